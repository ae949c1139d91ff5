"""A keeper over a real database and real key files, and a fuse that ends the process at any step."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.wallet_manager.app import NAME, create
from services.wallet_manager.cli import make_seed, parser, tend_vault
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.keeper import Keeper
from services.wallet_manager.settings import Settings
from services.wallet_manager.store import WalletStore
from services.wallet_manager.vault import Vault, new_seed
from services.wallet_manager.vault.keyfiles import KeyFiles
from shared.clock import HeldClock
from shared.storage import SqliteStorage
from shared.web.runtime import Runtime
from tests.services.wallet_manager.till import MASTER_KEY, open_storage
from tests.support import START_MS, Keys, answers, nobody_there, serving, settings_in

PASSPHRASE = b"correct horse battery staple"
LEAST_MEMORY_MIB = 19
NEVER = 1_000_000


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Fuse:
    """Burns one step with every write; at the end of it the process is gone."""

    left: int = NEVER
    after_the_write: bool = False
    burnt: int = field(default=0)

    def step(self) -> bool:
        """True when this write is the last thing that happens."""
        if self.left <= 0:
            raise Killed
        self.left -= 1
        self.burnt += 1
        if self.left == 0 and not self.after_the_write:
            raise Killed
        return self.left == 0


class MortalStorage:
    """Passes calls on until its fuse is burnt."""

    def __init__(self, inner: SqliteStorage, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)
        if name != "commit":
            return call

        async def mortal(*given: Any, **named: Any) -> Any:
            is_last = self._fuse.step()
            result = await call(*given, **named)
            if is_last:
                raise Killed
            return result

        return mortal


class MortalFiles:
    """Key files whose every change is a step of the fuse."""

    def __init__(self, inner: KeyFiles, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        call: Callable[..., Any] = getattr(self._inner, name)
        if name in {"current", "every"}:
            return call

        def mortal(*given: Any, **named: Any) -> Any:
            is_last = self._fuse.step()
            result = call(*given, **named)
            if is_last:
                raise Killed
            return result

        return mortal


@dataclass
class Safe:
    """One run of the process over a folder."""

    storage: SqliteStorage
    store: WalletStore
    vault: Vault
    keeper: Keeper
    clock: HeldClock

    def mark(self) -> int:
        """Return a mark of the vault, which no re-key may change."""
        return self.vault.stamp_ms("a:b:0", 1, floor_of_ms=START_MS)


def key_path(root: Path) -> Path:
    return root / "master.key"


def write_key(root: Path, key: bytes = MASTER_KEY) -> None:
    key_path(root).touch(mode=0o600)
    key_path(root).write_text(key.hex())


def keeper_on(
    store: WalletStore,
    vault: Vault,
    clock: HeldClock,
    root: Path,
    *,
    fuse: Fuse | None = None,
    unlock_ms: int = 0,
) -> Keeper:
    return Keeper(
        store=store,
        vault=vault,
        audit=Audit(store=store, clock=clock),
        clock=clock,
        files=MortalFiles(KeyFiles(key_path(root)), fuse or Fuse()),  # type: ignore[arg-type]
        network="devnet",
        memory_mib=LEAST_MEMORY_MIB,
        unlock_ms=unlock_ms,
    )


async def safe_in(
    root: Path,
    *,
    fuse: Fuse | None = None,
    clock: HeldClock | None = None,
    unlock_ms: int = 0,
) -> Safe:
    fuse, clock = fuse or Fuse(), clock or HeldClock(START_MS)
    storage = await open_storage(root)
    store = WalletStore(MortalStorage(storage, fuse))
    vault = Vault(network="devnet", coin_type=1)
    keeper = keeper_on(store, vault, clock, root, fuse=fuse, unlock_ms=unlock_ms)
    return Safe(storage=storage, store=store, vault=vault, keeper=keeper, clock=clock)


async def founded_in(root: Path) -> str:
    """Make the seed, with its key in a file; returns the words."""
    write_key(root)
    storage = await open_storage(root)
    founding, words = new_seed(MASTER_KEY, network="devnet", at_ms=START_MS)
    await WalletStore(storage).found(founding)
    await storage.close()
    return words


def secret(text: bytes = PASSPHRASE) -> bytearray:
    return bytearray(text)


@dataclass
class Terminal:
    """Types what it was told to, and keeps what it was shown."""

    typed: list[str] = field(default_factory=list)
    prompts: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    def ask(self, prompt: str) -> str:
        self.prompts.append(prompt)
        return self.typed.pop(0)


@dataclass
class House:
    """An installation."""

    root: Path
    settings: Settings
    keys: Keys
    clock: HeldClock

    @asynccontextmanager
    async def running(self) -> AsyncIterator[httpx.AsyncClient]:
        transport = answers(nobody_there)
        runtime = Runtime(
            service=NAME, settings=self.settings, clock=self.clock, transport=transport
        )
        async with serving(create(self.settings, runtime)) as client:
            yield client

    async def vault(self, *arguments: str, typed: Sequence[str] = ()) -> Terminal:
        terminal = Terminal(typed=list(typed))
        await asyncio.to_thread(self._vault, arguments, terminal)
        assert not terminal.typed
        return terminal

    def _vault(self, arguments: Sequence[str], terminal: Terminal) -> None:
        given: argparse.Namespace = parser().parse_args(["vault", *arguments])
        tend_vault(self.settings, given, show=terminal.shown.append, ask=terminal.ask)


async def house_in(root: Path, show: Callable[[str], None] = lambda _: None) -> House:
    clock = HeldClock(START_MS)
    keys = Keys(root, clock)
    master_key = root / "secrets" / NAME / "master.key"
    master_key.touch(mode=0o600)
    master_key.write_text(MASTER_KEY.hex())
    settings = settings_in(
        root, Settings, peer_attempts=1, vault_argon2_memory_mib=LEAST_MEMORY_MIB
    )
    assert await make_seed(settings, show=show)
    return House(root=root, settings=settings, keys=keys, clock=clock)

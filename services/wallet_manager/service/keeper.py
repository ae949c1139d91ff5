"""Opens and locks the vault, and replaces its master key record by record."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from services.wallet_manager.domain.audit import Act, Decision
from services.wallet_manager.domain.sends import Hold, Send
from services.wallet_manager.domain.unlocking import (
    TriedTooOften,
    Tries,
    WrongPassphrase,
    require_strong,
)
from services.wallet_manager.service.audit import ITSELF, Audit
from services.wallet_manager.service.guard import Objection
from services.wallet_manager.service.rekeying import SUBJECT, Rekeying
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import UNLOCK_TRIES
from services.wallet_manager.vault import KeyRing, Vault, WrongMasterKey, migrated, wipe
from services.wallet_manager.vault.keyfiles import KeyFiles
from services.wallet_manager.vault.records import Argon2
from services.wallet_manager.vault.wrapping import (
    MASTER_KEY_BYTES,
    fits,
    new_argon2,
    require_whole,
    stretch,
)
from shared.clock import Clock, rfc3339
from shared.config import ConfigurationMissing
from shared.errors import Conflict
from shared.logs import get_logger
from shared.storage import Unit, written

log = get_logger(__name__)

LOCKED = "the vault is locked: nothing is signed until its owner unlocks it"


class NeedsPassphrase(Conflict):
    """The master key is made of a passphrase, which was not given."""

    code = "LUCID_ERR_9344"
    title = "Passphrase needed"


class Keeper:
    """Stands between the vault and its owner; one change at a time.

    Args:
        unlock_ms: how long an unlock lasts; 0 is until it is locked.
        memory_mib: what a new passphrase costs to try.
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        vault: Vault,
        audit: Audit,
        clock: Clock,
        files: KeyFiles,
        network: str,
        memory_mib: int,
        unlock_ms: int,
    ) -> None:
        self._store = store
        self._vault = vault
        self._audit = audit
        self._clock = clock
        self._files = files
        self._rekeying = Rekeying(store=store, audit=audit, files=files, network=network)
        self._network = network
        self._memory_mib = memory_mib
        self._unlock_ms = unlock_ms
        self._until_ms: int | None = None
        self._ring: KeyRing | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Open the vault if its key lies in a file, and write that down; else leave it locked.

        A seed of the first format is resealed, and a re-key that was broken off is finished.

        Raises:
            ConfigurationMissing: there is no seed, or no file with its master key.
        """
        async with self._turn:
            ring = self._ring = await self._loaded()
            if ring.newest.argon2 is None:
                key = await asyncio.to_thread(self._key_in_files, ring)
                await self._open(ring, key, why="its master key lies in a file")
            self._log_standing()

    async def look(self) -> None:
        """Read which master keys are in use, without opening anything; raises as ``start`` does."""
        async with self._turn:
            self._ring = await self._loaded()

    def reason(self) -> str | None:
        """Say that the vault is locked, or None; ends an unlock whose time is over."""
        return None if self._vault.is_open else LOCKED

    async def open(self, sends: Sequence[Send], *, now_ms: int) -> "KeeperDesk":
        """Ask once for a signing round."""
        del sends, now_ms
        return KeeperDesk(self.reason())

    def standing(self) -> dict[str, Any]:
        """Return what ``/status`` says of the vault."""
        is_locked = self.reason() is not None
        ring = self._ring
        return {
            "is_locked": is_locked,
            "locks_at": rfc3339(self._until_ms) if self._until_ms and not is_locked else None,
            "generation": ring and ring.newest.number,
            "is_rekeying": ring is not None and ring.next is not None,
            "has_passphrase": ring is not None and ring.newest.argon2 is not None,
        }

    async def keep_up(self) -> bool:
        """Lock the vault when the time of an unlock is over, and write that down."""
        if self._in_time():
            return False
        self._vault.lock()
        async with self._turn:
            if not self._in_time():  # nobody unlocked it again meanwhile
                await self._audit.note(self._decision(Act.VAULT_LOCKED, why="its time is over"))
                self._until_ms = None
                log.warning("vault.locked")
        return False

    async def unlock(self, passphrase: bytearray | None, *, by: str, why: str = "") -> None:
        """Open the vault, for a time if its key is made of a passphrase; written down beforehand.

        Raises:
            NeedsPassphrase: none was given.
            TriedTooOften: after wrong ones.
            WrongPassphrase: it is another one.
            WrongMasterKey: a record was altered.
        """
        async with self._turn:
            ring = await self._loaded()
            key = await self._key(ring, passphrase, by=by)
            try:
                await self._open(ring, key, by=by, why=why)
            except WrongMasterKey as error:
                refused = self._decision(Act.VAULT_UNLOCK_REFUSED, who=by, why=str(error))
                await self._audit.note(refused)
                raise
            log.warning("vault.unlocked", by=by)

    async def lock(self, *, by: str, why: str = "") -> None:
        """Drop every key from memory at once, and again after an unlock that was under way.

        What was signed before is not touched.
        """
        self._vault.lock()
        async with self._turn:
            self._vault.lock()
            self._until_ms = None
            log.warning("vault.locked", by=by)
            await self._audit.note(self._decision(Act.VAULT_LOCKED, who=by, why=why))

    async def rekey(self, passphrase: bytearray | None, *, by: str, why: str = "") -> int:
        """Replace the master key by a fresh one; returns its generation.

        A passphrase stays and gets a fresh salt; a key in a file is drawn anew.

        Raises:
            NeedsPassphrase: as ``unlock``; so TriedTooOften and WrongPassphrase.
            ConfigurationMissing: the folder of the key file takes no other file.
        """
        async with self.master_key(passphrase, by=by) as (ring, old):
            if passphrase is not None and ring.current.argon2 is not None:
                argon2 = new_argon2(self._memory_mib)
                new = await asyncio.to_thread(stretch, passphrase, argon2)
                return await self._replace(ring, old, new, argon2, by=by, why=why)
            new = bytearray(os.urandom(MASTER_KEY_BYTES))
            await asyncio.to_thread(self._files.write_next, new)
            return await self._replace(ring, old, new, None, by=by, why=why)

    async def set_passphrase(
        self, passphrase: bytearray, *, now: bytearray | None, by: str, why: str = ""
    ) -> int:
        """Let the master key be made of a passphrase from now on; returns its generation.

        Args:
            passphrase: the new one.
            now: the one in force, if there is one.
            by: who asks.
            why: for the record.

        Raises:
            WeakPassphrase: it is too short.
            NeedsPassphrase: as ``unlock``; so TriedTooOften and WrongPassphrase.
        """
        require_strong(passphrase)
        async with self.master_key(now, by=by) as (ring, old):
            argon2 = new_argon2(self._memory_mib)
            new = await asyncio.to_thread(stretch, passphrase, argon2)
            return await self._replace(ring, old, new, argon2, by=by, why=why)

    @asynccontextmanager
    async def master_key(
        self, passphrase: bytearray | None, *, by: str
    ) -> AsyncIterator[tuple[KeyRing, bytearray]]:
        """Lend the master key that everything is wrapped under; nobody changes it meanwhile.

        Raises:
            NeedsPassphrase: as ``unlock``; so TriedTooOften and WrongPassphrase.
        """
        async with self._turn:
            ring = await self._loaded()
            key = await self._key(ring, passphrase, by=by)
            try:
                yield await self._finish(ring, key), key
            finally:
                wipe(key)

    async def take_up(self, key: bytearray) -> None:
        """Read what is stored again while the master key is lent, if the vault is open."""
        if self._vault.is_open:
            self._vault.open(key, await self._store.sealed_secrets(), in_time=self._in_time)

    async def _loaded(self) -> KeyRing:
        ring = await self._store.key_ring()
        if ring is None:
            await self._migrate()
            ring = await self._store.key_ring()
        if ring is None:
            raise ConfigurationMissing(
                "there is no seed yet: run 'python -m services init' while wallet-manager is stopped"
            )
        return ring

    async def _migrate(self) -> None:
        key = await asyncio.to_thread(self._files.current)
        first = await self._store.first_seed()
        if first is None:
            return
        await self._store.found(migrated(key, first, network=self._network), replaces=first)
        wipe(key)
        log.info("vault.resealed")

    def _key_in_files(self, ring: KeyRing) -> bytearray:
        is_any = False
        for key in self._files.every():
            is_any = True
            if fits(key, ring.newest, network=self._network):
                return key
            wipe(key)
        if not is_any:
            wipe(self._files.current())  # says what is missing
        raise WrongMasterKey(
            f"the master key of generation {ring.newest.number}, which this database is under, is "
            "not among the key files: put it back, or the seed belongs to another installation"
        )

    async def _key(self, ring: KeyRing, passphrase: bytearray | None, *, by: str) -> bytearray:
        """Return the newest master key; a passphrase is counted before it is looked at."""
        newest = ring.newest
        if newest.argon2 is None:
            return await asyncio.to_thread(self._key_in_files, ring)
        if passphrase is None:
            raise NeedsPassphrase("the master key is made of a passphrase: give it")
        tries = await self._one_more_try(by)
        await self._store.record(_put(tries), [])
        key = await asyncio.to_thread(stretch, passphrase, newest.argon2)
        if not fits(key, newest, network=self._network):
            wipe(key)
            refused = self._decision(Act.VAULT_UNLOCK_REFUSED, who=by, failed=tries.failed)
            await self._audit.note(refused)
            raise WrongPassphrase("this is not the passphrase", failed=tries.failed)
        await self._store.record(_put(written(tries).cleared()), [])
        return key

    async def _one_more_try(self, by: str) -> Tries:
        before = await self._store.tries()
        try:
            return before.one_more(now_ms=self._clock.now_ms())
        except TriedTooOften as refusal:
            refused = self._decision(Act.VAULT_UNLOCK_REFUSED, who=by, why=refusal.detail)
            await self._audit.note(refused)
            raise

    async def _open(self, ring: KeyRing, key: bytearray, *, why: str, by: str = ITSELF) -> None:
        """Look whether everything opens, write it down, and only then open."""
        try:
            ring = await self._finish(ring, key)
            secrets = await self._store.sealed_secrets()
            require_whole(key, secrets, network=self._network)
            await self._audit.note(self._decision(Act.VAULT_UNLOCKED, who=by, why=why))
            self._vault.open(key, secrets, in_time=self._in_time)
        finally:
            wipe(key)
        self._begin_time(ring)

    def _in_time(self) -> bool:
        return self._until_ms is None or self._clock.now_ms() < self._until_ms

    def _begin_time(self, ring: KeyRing) -> None:
        is_timed = self._unlock_ms and ring.newest.argon2 is not None
        self._until_ms = self._clock.now_ms() + self._unlock_ms if is_timed else None

    async def _replace(
        self, ring: KeyRing, old: bytearray, new: bytearray, argon2: Argon2 | None, **told: str
    ) -> int:
        begun = self._ring = await self._rekeying.begun(ring, old, new, argon2, **told)
        done = await self._finish(begun, new)
        if self._vault.is_open:
            self._begin_time(done)
        wipe(old, new)
        return done.current.number

    async def _finish(self, ring: KeyRing, key: bytearray) -> KeyRing:
        self._ring = await self._rekeying.finished(ring, key)
        return self._ring

    def _decision(self, act: Act, **said: Any) -> Decision:
        return self._audit.decision(act, SUBJECT, **said)

    def _log_standing(self) -> None:
        if not self._vault.is_open:
            log.warning("vault.starts_locked")


class KeeperDesk:
    """One signing round: while the vault is open, or not at all."""

    def __init__(self, reason: str | None) -> None:
        self._reason = reason

    def objection(self, send: Send, hold: Hold) -> Objection | None:
        """Say that the vault is locked, or None."""
        del send, hold
        return None if self._reason is None else Objection(rule="vault", detail=self._reason)

    def take(self, send: Send, hold: Hold) -> None:
        """Count nothing."""

    def write(self, change: Change) -> None:
        """Store nothing."""


def _put(tries: Any) -> Unit:
    unit = Unit()
    return (unit.update if tries.version else unit.insert)(UNLOCK_TRIES, tries)

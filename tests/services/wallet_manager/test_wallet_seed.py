"""The seed: new in 12 or 24 words, shown once on a terminal, or restored from what was written down."""

import asyncio
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.wallet_manager.cli import NAME, parser, tend_seed
from services.wallet_manager.settings import Settings
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import SCHEMA
from services.wallet_manager.vault import Vault, leaf_address, parse_master_key, restored_seed
from services.wallet_manager.vault.phrases import PhraseRefused, entropy_of, material_of, seed_of
from shared.config import process_environment
from shared.errors import BadRequest, Conflict
from shared.storage import SqliteStorage, Stamp, StorageLocked
from shared.tron.address import Address
from shared.tron.networks import FACTS, Network
from tests.services.wallet_manager.safe import Terminal
from tests.services.wallet_manager.till import MASTER_KEY
from tests.support import START_MS, settings_in

TREE = Path(__file__).resolve().parents[3]
TWELVE = "abandon " * 11 + "about"
TWENTY_FOUR = "abandon " * 23 + "art"
STAMP = Stamp(network="devnet", contract=FACTS[Network.DEVNET].usdt_contract)


@dataclass
class Installation:
    """An empty place for a seed."""

    settings: Settings

    async def run(
        self, *arguments: str, typed: list[str] | None = None, is_seen: bool = True
    ) -> str:
        terminal = Terminal(typed=list(typed or []))
        await asyncio.to_thread(self._run, arguments, terminal, is_seen=is_seen)
        assert not terminal.typed
        return "\n".join(terminal.shown)

    def _run(self, arguments: tuple[str, ...], terminal: Terminal, *, is_seen: bool) -> None:
        given = parser().parse_args(["seed", *arguments])
        tend_seed(
            self.settings, given, show=terminal.shown.append, ask=terminal.ask, is_seen=is_seen
        )

    async def first_address(self) -> Address:
        storage = await SqliteStorage.open(self.settings.database_path(NAME), SCHEMA, STAMP)
        secrets = await WalletStore(storage).sealed_secrets()
        await storage.close()
        vault = Vault(network="devnet", coin_type=1)
        vault.open(parse_master_key(self.settings.master_key_path().read_bytes()), secrets)
        return leaf_address(vault.branch(0), 0)


@pytest.fixture
def place(tmp_path: Path) -> Installation:
    return Installation(settings_in(tmp_path / "data", Settings))


def words_in(told: str) -> str:
    (words,) = [line.strip() for line in told.splitlines() if line.startswith("  ")]
    return words


def test_h17_a_phrase_is_the_address_that_other_wallets_make_of_it_on_mainnet() -> None:
    """m/44'/195'/0'/0/0 of the first phrase of BIP-39, as TronLink and Trezor show it."""
    founding = restored_seed(MASTER_KEY, TWELVE, network="mainnet", at_ms=START_MS)
    vault = Vault(network="mainnet", coin_type=195)
    vault.open(MASTER_KEY, founding.secrets)

    assert leaf_address(vault.branch(0), 0) == "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH"


def test_a_passphrase_makes_the_seed_of_the_vectors() -> None:
    """The first English vector of BIP-39, with its passphrase."""
    material = material_of(entropy_of(TWELVE), "TREZOR")

    assert (
        seed_of(material).hex().startswith("c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa")
    )
    assert seed_of(material_of(entropy_of(TWELVE), "")) != seed_of(material)


@pytest.mark.parametrize("words", [TWELVE, TWENTY_FOUR, TWELVE.upper(), TWELVE.replace(" ", "\n ")])
async def test_words_are_restored_however_they_are_spaced(place: Installation, words: str) -> None:
    await place.run("restore", typed=[words])

    founding = restored_seed(MASTER_KEY, words, network="devnet", at_ms=START_MS)
    vault = Vault(network="devnet", coin_type=1)
    vault.open(MASTER_KEY, founding.secrets)
    assert await place.first_address() == leaf_address(vault.branch(0), 0)


@pytest.mark.parametrize("count", ["12", "24"])
@pytest.mark.parametrize("passphrase", [None, "a word of my own"])
async def test_what_was_shown_restores_the_same_wallets_elsewhere(
    tmp_path: Path, place: Installation, count: str, passphrase: str | None
) -> None:
    flag = ["--with-passphrase"] if passphrase else []
    twice = [passphrase] * 2 if passphrase else []
    told = await place.run("new", "--words", count, *flag, typed=twice)
    words = words_in(told)
    assert len(words.split()) == int(count)
    assert passphrase is None or passphrase not in told

    elsewhere = Installation(settings_in(tmp_path / "elsewhere", Settings))
    await elsewhere.run("restore", *flag, typed=[words, *twice])
    assert await elsewhere.first_address() == await place.first_address()
    if passphrase:
        without = Installation(settings_in(tmp_path / "without", Settings))
        await without.run("restore", typed=[words])
        assert await without.first_address() != await place.first_address()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "these are 0"),
        ("abandon " * 11, "these are 11"),
        ("abandon " * 15, "these are 15"),
        ("abandon " * 11 + "abuot", "word 12 is not on"),
        ("abandn " * 2 + "abandon " * 10, "words 1, 2 are not on"),
        ("abandon " * 12, "checksum"),
        ("about " + "abandon " * 11, "checksum"),
    ],
)
async def test_words_that_are_no_phrase_are_refused_by_their_places(
    place: Installation, words: str, said: str
) -> None:
    with pytest.raises(PhraseRefused, match=said) as refused:
        await place.run("restore", typed=[words])

    assert not {"abuot", "abandn", "abandon"} & set(str(refused.value).split())
    assert "stored" in await place.run("restore", typed=[TWELVE])


async def test_no_seed_takes_the_place_of_another(place: Installation) -> None:
    await place.run("restore", typed=[TWELVE])
    before, key = await place.first_address(), place.settings.master_key_path().read_bytes()

    with pytest.raises(Conflict):
        await place.run("restore", typed=[TWENTY_FOUR])
    with pytest.raises(Conflict):
        await place.run("new")

    assert await place.first_address() == before
    assert place.settings.master_key_path().read_bytes() == key


async def test_words_are_shown_on_a_terminal_alone(place: Installation) -> None:
    with pytest.raises(BadRequest, match="terminal"):
        await place.run("new", is_seen=False)

    assert not place.settings.master_key_path().exists()


async def test_nothing_is_restored_beside_a_running_service(place: Installation) -> None:
    path = place.settings.database_path(NAME)
    path.parent.mkdir(parents=True)
    running = await SqliteStorage.open(path, SCHEMA, STAMP)

    with pytest.raises(StorageLocked):
        await place.run("restore", typed=[TWELVE])
    await running.close()


def test_the_command_shows_new_words_on_a_terminal_and_not_in_a_pipe(tmp_path: Path) -> None:
    environment = process_environment() | {
        "TRON_NETWORK": "devnet",
        "LUCID_DATA_DIR": str(tmp_path / "data"),
    }
    asked = [sys.executable, "-m", "services.wallet_manager", "seed", "new", "--words", "12"]
    piped = subprocess.run(
        asked, cwd=TREE, env=environment, capture_output=True, text=True, check=False
    )
    ours, theirs = pty.openpty()
    seen = subprocess.run(asked, cwd=TREE, env=environment, stdout=theirs, check=False)
    os.close(theirs)
    told = os.read(ours, 4_096).decode()
    os.close(ours)

    assert (piped.returncode, piped.stdout) == (1, "")
    assert "Traceback" not in piped.stderr
    assert seen.returncode == 0
    assert "in 12 words" in told

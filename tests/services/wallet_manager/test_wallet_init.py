"""What an installation needs is made once, for its owner's eyes alone."""

import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.init import Layout, Made, initialise, make_keys
from services.wallet_manager.cli import NAME, make_seed
from services.wallet_manager.settings import Settings
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import SCHEMA
from services.wallet_manager.vault import Vault, parse_master_key
from shared.config import SERVICES, ConfigurationMissing, process_environment
from shared.storage import SqliteStorage, Stamp, StorageLocked, WrongNetwork
from shared.tron.hd import PrivateNode, seed_from_phrase
from shared.tron.networks import FACTS, Network
from tests.support import settings_in

TREE = Path(__file__).resolve().parents[3]
NOTHING = Made(paths=[], seed=False, running=False)


class Terminal:
    """What the operator was shown."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def show(self, notice: str) -> None:
        self.notices.append(notice)

    def words(self) -> str:
        (told,) = [
            line.strip() for line in "\n".join(self.notices).splitlines() if _is_phrase(line)
        ]
        return told


class Unplugged(Terminal):
    """The power goes while the operator reads."""

    def show(self, notice: str) -> None:
        super().show(notice)
        raise KeyboardInterrupt


def _is_phrase(line: str) -> bool:
    return len(line.split()) == 24 and line.islower() and "." not in line


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


async def test_everything_is_its_owners_alone(tmp_path: Path) -> None:
    root = tmp_path / "data"
    terminal = Terminal()
    made = await initialise(settings_in(root, Settings), show=terminal.show)

    assert made.seed
    assert terminal.words() not in repr(made)
    assert {path.name for path in made.paths} >= {"operator.token", "master.key", "identity.pem"}
    for path in (root, *root.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


async def test_each_service_has_keys_of_its_own(tmp_path: Path) -> None:
    layout = Layout.of(settings_in(tmp_path / "data", Settings))
    make_keys(layout)

    private = {(layout.secrets / name / "identity.pem").read_bytes() for name in SERVICES}
    public = {(layout.keys / f"{name}.pub.pem").read_bytes() for name in SERVICES}
    assert len(private) == len(public) == 6


async def test_a_second_run_changes_nothing_and_shows_no_words(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "data", Settings)
    await initialise(settings, show=Terminal().show)
    before, terminal = contents(tmp_path), Terminal()

    assert await initialise(settings, show=terminal.show) == NOTHING
    assert terminal.notices == []

    keys = {path for path in before if path.suffix in {".pem", ".key", ".token"}}
    assert len(keys) == 17
    assert {path: contents(tmp_path)[path] for path in keys} == {
        path: before[path] for path in keys
    }


async def test_what_is_missing_is_made_again_and_nothing_else(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "data", Settings)
    await initialise(settings, show=Terminal().show)
    before = contents(tmp_path)
    lost = Layout.of(settings).keys / "payout-router.pub.pem"
    lost.unlink()

    assert await initialise(settings, show=Terminal().show) == replace(NOTHING, paths=[lost])
    assert lost.read_bytes() == before[lost]


async def test_the_words_are_those_of_the_seed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "data", Settings)
    terminal = Terminal()
    await initialise(settings, show=terminal.show)
    words = terminal.words()
    stamp = Stamp(network="devnet", contract=FACTS[Network.DEVNET].usdt_contract)
    storage = await SqliteStorage.open(settings.database_path(NAME), SCHEMA, stamp)
    secrets = await WalletStore(storage).sealed_secrets()
    await storage.close()
    master_key = parse_master_key(settings.master_key_path().read_bytes())
    vault = Vault(network="devnet", coin_type=1)
    vault.open(master_key, secrets)

    account = PrivateNode.from_seed(seed_from_phrase(words)).account(coin_type=1, account=0)
    assert vault.branch(0) == account.public()
    assert not any(words.encode() in content for content in contents(tmp_path).values())


async def test_no_seed_is_made_beside_a_running_wallet_manager(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "data", Settings)
    make_keys(Layout.of(settings))
    stamp = Stamp(network="devnet", contract=FACTS[Network.DEVNET].usdt_contract)
    running = await SqliteStorage.open(settings.database_path(NAME), SCHEMA, stamp)

    terminal = Terminal()
    made = await initialise(settings, show=terminal.show)
    assert (made.seed, made.running) == (False, True)
    with pytest.raises(StorageLocked, match="open in another process"):
        await make_seed(settings, show=terminal.show)
    assert "24 words" not in "".join(terminal.notices)

    await running.close()


async def test_words_that_nobody_finished_reading_belong_to_no_seed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "data", Settings)
    make_keys(Layout.of(settings))
    with pytest.raises(KeyboardInterrupt):
        await make_seed(settings, show=Unplugged().show)

    assert await make_seed(settings, show=Terminal().show)


async def test_no_seed_is_made_without_a_master_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationMissing, match=r"master\.key"):
        await make_seed(settings_in(tmp_path / "data", Settings), show=Terminal().show)


async def test_a_master_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "data", Settings)
    make_keys(Layout.of(settings))
    settings.master_key_path().chmod(0o640)

    with pytest.raises(ConfigurationMissing, match="chmod 600"):
        await make_seed(settings, show=Terminal().show)


async def test_h17_the_database_of_another_network_takes_no_seed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "data", Settings)
    await initialise(settings, show=Terminal().show)
    elsewhere = settings.model_copy(update={"tron_network": Network.NILE})

    with pytest.raises(WrongNetwork):
        await make_seed(elsewhere, show=Terminal().show)


@pytest.mark.parametrize("network", [Network.MAINNET, Network.NILE, Network.SHASTA])
def test_h25_money_keeps_no_data_in_the_work_tree(network: Network) -> None:
    inside = TREE / "data"

    with pytest.raises(ValidationError, match="H25"):
        Settings(tron_network=network, data_dir=inside)
    assert Settings(tron_network=Network.DEVNET, data_dir=inside).data_dir == inside


def test_the_command_shows_the_words_once(tmp_path: Path) -> None:
    environment = process_environment() | {
        "TRON_NETWORK": "devnet",
        "LUCID_DATA_DIR": str(tmp_path / "data"),
    }

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "services", "init"],
            cwd=TREE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    first, second = run(), run()

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "in 24 words" in first.stdout
    assert "in 24 words" not in second.stdout
    assert "nothing to do" in second.stdout

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.config import (
    MAX_SECRET_BYTES,
    SERVICES,
    ConfigurationMissing,
    LogLevel,
    ServiceSettings,
    explain,
    port_variable,
    process_environment,
    python_name,
    read_secret,
)
from shared.tron.networks import Network
from tests.support import address

TREE = Path(__file__).resolve().parents[2]

Environment = Callable[..., ServiceSettings]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Read the settings of an environment that holds these variables and nothing else of ours."""
    for name in process_environment():
        if name not in {"HOME", "PATH"}:
            monkeypatch.delenv(name)

    def settings(**variables: str) -> ServiceSettings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return ServiceSettings()

    return settings


def test_h17_the_network_has_no_default(read: Environment) -> None:
    with pytest.raises(ValidationError) as refusal:
        read()
    assert (
        explain(refusal.value) == "settings are wrong or missing:\n  TRON_NETWORK: Field required"
    )


@pytest.mark.parametrize("name", ["", "Mainnet", "main", "testnet", "nile "])
def test_h17_an_unknown_network_is_refused(read: Environment, name: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        read(TRON_NETWORK=name)
    assert "TRON_NETWORK" in explain(refusal.value)


@pytest.mark.parametrize("network", Network)
def test_a_network_and_a_log_level_are_enough(read: Environment, network: Network) -> None:
    settings = read(TRON_NETWORK=network.value, LOG_LEVEL="DEBUG")
    assert settings.tron_network is network
    assert settings.log_level is LogLevel.DEBUG
    assert settings.bind_host == "127.0.0.1"


def test_every_wrong_setting_is_listed_at_once_without_its_value(read: Environment) -> None:
    with pytest.raises(ValidationError) as refusal:
        read(TRON_NETWORK="moon", PEER_TIMEOUT_S="soon", MAX_BODY_BYTES="1", LOG_LEVEL="loud")
    told = explain(refusal.value)
    lines = told.splitlines()[1:]
    assert [line.strip().split(":")[0] for line in lines] == [
        "TRON_NETWORK",
        "LOG_LEVEL",
        "PEER_TIMEOUT_S",
        "MAX_BODY_BYTES",
    ]
    assert not any(value in told for value in ("moon", "soon", "loud"))


@pytest.mark.parametrize("variable", ["LUCID_DATA_DIR", "DATA_DIRECTORY", "TRON_DATA_DIR"])
def test_the_data_directory_goes_by_its_older_names_too(
    read: Environment, tmp_path: Path, variable: str
) -> None:
    settings = read(TRON_NETWORK="nile", **{variable: str(tmp_path)})
    assert settings.data_dir == tmp_path
    assert settings.keys_path() == tmp_path / "keys"
    assert settings.secrets_path("usdt-manager") == tmp_path / "secrets" / "usdt-manager"
    assert settings.database_path("usdt-manager").is_relative_to(tmp_path / "usdt-manager")


def test_the_newest_name_of_the_data_directory_wins(read: Environment, tmp_path: Path) -> None:
    settings = read(TRON_NETWORK="nile", LUCID_DATA_DIR=str(tmp_path), TRON_DATA_DIR="/elsewhere")
    assert settings.data_dir == tmp_path


def test_an_empty_variable_counts_as_absent(read: Environment) -> None:
    settings = read(TRON_NETWORK="nile", PEER_TIMEOUT_S="", LUCID_DATA_DIR="", KEYS_DIR="")
    assert settings.peer_timeout_s == 10
    assert settings.keys_path() == settings.data_dir / "keys"


def test_a_field_name_in_the_environment_is_somebody_elses(
    read: Environment, tmp_path: Path
) -> None:
    settings = read(TRON_NETWORK="nile", DATA_DIR=str(tmp_path), RATE_LIMIT_WINDOW_S="1")
    assert settings.data_dir != tmp_path
    assert settings.rate_limit_window_s == 60


def test_settings_are_frozen(read: Environment) -> None:
    with pytest.raises(ValidationError):
        read(TRON_NETWORK="nile").peer_timeout_s = 1  # type: ignore[misc]


def test_a_contract_address_with_a_bad_checksum_is_refused(read: Environment) -> None:
    good = address(7)
    assert read(TRON_NETWORK="nile", USDT_CONTRACT_ADDRESS=good).usdt_contract_address == good
    with pytest.raises(ValidationError):
        read(
            TRON_NETWORK="nile",
            USDT_CONTRACT_ADDRESS=f"{good[:-1]}{'1' if good[-1] != '1' else '2'}",
        )


@pytest.mark.skipif(not (TREE / ".git").exists(), reason="this is no work tree")
@pytest.mark.parametrize("variable", ["LUCID_DATA_DIR", "DATA_DIRECTORY", "SECRETS_DIR"])
@pytest.mark.parametrize("network", ["mainnet", "shasta", "nile"])
def test_h25_money_and_its_keys_never_lie_in_the_work_tree(
    read: Environment, network: str, variable: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        read(TRON_NETWORK=network, **{variable: str(TREE / "shared" / ".." / "data")})
    assert f"inside the work tree {TREE}" in explain(refusal.value)


def test_h25_the_devnets_data_may_lie_in_the_work_tree(read: Environment) -> None:
    settings = read(TRON_NETWORK="devnet", LUCID_DATA_DIR=str(TREE / ".devnet"))
    assert settings.data_dir == TREE / ".devnet"


def test_a_service_goes_by_one_name_at_the_edge_and_one_in_python() -> None:
    assert [python_name(service) for service in SERVICES] == [
        "tron_client",
        "payout_router",
        "wallet_manager",
        "usdt_manager",
        "trx_staking",
        "payment_gateway",
    ]
    assert port_variable("payout-router") == "PAYOUT_ROUTER_PORT"
    assert list(SERVICES.values()) == list(range(8091, 8097))


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / "master.key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_secret_that_only_its_owner_may_read_is_read(tmp_path: Path) -> None:
    assert read_secret(secret_file(tmp_path, b"abc"), purpose="the master key") == b"abc"
    largest = secret_file(tmp_path, b"x" * MAX_SECRET_BYTES, mode=0o400)
    assert len(read_secret(largest, purpose="the master key")) == MAX_SECRET_BYTES


def refusal_of(path: Path) -> str:
    with pytest.raises(ConfigurationMissing) as refusal:
        read_secret(path, purpose="the master key")
    told = str(refusal.value)
    assert told.startswith("the master key ")
    assert str(path) in told
    return told


def test_a_missing_secret_is_named_with_what_makes_it(tmp_path: Path) -> None:
    assert "run 'python -m services init'" in refusal_of(tmp_path / "master.key")


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_an_empty_secret_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    told = refusal_of(secret_file(tmp_path, content))
    assert "is empty" in told
    assert "init" in told


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644])
def test_a_secret_open_to_others_is_named_with_the_command(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path, b"abc", mode)
    assert f"run 'chmod 600 {path}'" in refusal_of(path)


def test_a_file_too_large_to_be_a_secret_is_not_taken_for_one(tmp_path: Path) -> None:
    assert "is larger than" in refusal_of(secret_file(tmp_path, b"x" * (MAX_SECRET_BYTES + 1)))

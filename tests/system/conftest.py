from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.demo import Caller
from services.init import Layout
from services.run import start
from services.stack import Stack, free_ports
from services.wallet_manager.settings import Settings
from shared.tron.networks import Network
from tests.system.chain import ChainReader
from tests.system.waiting import wait_until

SPEED = 20.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data_dir: Path = tmp_path_factory.mktemp("stack")
    with Stack(data_dir=data_dir, ports=free_ports(), speed=SPEED) as stack:
        start(stack)
        yield stack


@pytest.fixture(scope="module")
def token(stack: Stack) -> str:
    settings = Settings(tron_network=Network.DEVNET, data_dir=stack.data_dir)
    return Layout.of(settings).operator_token.read_text().strip()


@pytest.fixture(scope="module")
def caller(stack: Stack, token: str) -> Iterator[Caller]:
    with Caller(stack, token) as caller:
        yield caller


@pytest.fixture(scope="module")
def chain(stack: Stack) -> Iterator[ChainReader]:
    with ChainReader(stack) as chain:
        yield chain


@pytest.fixture(scope="module")
def treasury(caller: Caller) -> str:
    listed = caller.get("wallet-manager", "/api/v1/wallets", limit="100")["wallets"]
    known = [wallet["address"] for wallet in listed if wallet["role"] == "treasury"]
    if known:
        return str(known[0])
    body = {"user_id": "operator", "role": "treasury"}
    return str(caller.post("wallet-manager", "/api/v1/wallets", body, key="treasury")["address"])


@pytest.fixture(scope="module")
def funded(caller: Caller, treasury: str, until: Callable[..., None]) -> str:
    caller.devnet("/devnet/faucet", {"address": treasury, "trx": "5000", "usdt": "5000"})

    def booked(currency: str) -> int:
        path = f"/api/v1/wallets/{treasury}/balance"
        return int(caller.get("wallet-manager", path, currency=currency)["balance_base_units"])

    until(lambda: min(booked("TRX"), booked("USDT")) >= 5_000_000_000, "the treasury is funded")
    return treasury


@pytest.fixture(scope="session")
def until() -> Callable[..., None]:
    return wait_until

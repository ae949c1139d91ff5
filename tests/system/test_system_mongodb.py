"""The story of the first day, with the records of all six services in one MongoDB database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.demo import Caller, Story
from services.init import Layout
from services.run import start
from services.stack import Stack, free_ports
from services.wallet_manager.settings import Settings
from shared.config import SERVICES
from shared.tron.networks import Network
from tests.mongo_server import database
from tests.system.conftest import SPEED

pytestmark = [pytest.mark.system, pytest.mark.mongodb]


@pytest.fixture(scope="module")
def stack(mongo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data_dir: Path = tmp_path_factory.mktemp("stack")
    with database(mongo_url) as place:
        extra = {"MONGODB_URL": place.url, "MONGODB_DATABASE": place.database}
        with Stack(data_dir=data_dir, ports=free_ports(), speed=SPEED, extra=extra) as stack:
            start(stack)
            yield stack


@pytest.fixture(scope="module")
def caller(stack: Stack) -> Iterator[Caller]:
    settings = Settings(tron_network=Network.DEVNET, data_dir=stack.data_dir)
    with Caller(stack, Layout.of(settings).operator_token.read_text().strip()) as caller:
        yield caller


def test_the_whole_story_is_told_without_a_file_of_the_embedded_engine(
    stack: Stack, caller: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    Story(caller, speed=SPEED).tell()

    told = capsys.readouterr().out
    assert "invoice              paid 25 USDT (pending → seen → paid)" in told
    assert told.count("  fee ") == 3
    assert not list(stack.data_dir.rglob("*.sqlite3"))


def test_a_killed_service_goes_on_where_it_was(stack: Stack, caller: Caller) -> None:
    before = {service: caller.get(service, "/stats")["counts"] for service in SERVICES}
    for service in ("payout-router", "wallet-manager"):
        stack.kill(service)
        stack.start(service)
    for service in ("payout-router", "wallet-manager"):
        stack.wait_ready(service, timeout_s=60)
        after = caller.get(service, "/stats")["counts"]
        assert {name: after[name] for name in before[service]} == before[service]

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.engines import ENGINES, MONGODB, SQLITE, schema_of, stamp_for
from services.stack import TREE, free_ports
from services.wallet_manager.settings import Settings
from shared.config import SERVICES, process_environment, python_name
from shared.storage import Feed, Storage, StorageWithheld, Unit
from shared.storage.opening import open_storage
from shared.storage.transfer import TransferRefused
from shared.tron.networks import Network
from tests.mongo_server import Place
from tests.support import START_MS

pytestmark = pytest.mark.mongodb

PAYOUTS = "payout-router"
TRX = "trx-staking"


class Installation:
    """An installation whose databases can be in either engine."""

    def __init__(self, root: Path, place: Place) -> None:
        self.ports = free_ports()
        self._place = place
        self._root = root

    def settings(self, engine: str) -> Settings:
        url = SecretStr(self._place.url) if engine == MONGODB else None
        return Settings(
            tron_network=Network.DEVNET,
            data_dir=self._root,
            mongodb_url=url,
            mongodb_database=self._place.database[:38],
        )

    async def open(self, engine: str, service: str) -> Storage:
        settings = self.settings(engine)
        return await open_storage(settings, service, schema_of(service), stamp_for(settings))

    async def publish(self, engine: str, service: str, count: int) -> str:
        """Publish events; returns the incarnation."""
        storage = await self.open(engine, service)
        unit = Unit()
        for number in range(count):
            feed = feed_of(service)
            unit.publish(feed, id=f"e{number}", type="n.told", at_ms=START_MS, object={"n": number})
        await storage.commit(unit)
        await storage.close()
        return storage.incarnation

    async def copy(self, *arguments: str) -> str:
        """Run the command as an operator does; returns its status and what it says."""
        urls = {
            f"{python_name(name).upper()}_URL": f"http://127.0.0.1:{port}"
            for name, port in self.ports.services.items()
        }
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services",
            "copy",
            *arguments,
            cwd=TREE,
            env={
                **process_environment(),
                **urls,
                "TRON_NETWORK": "devnet",
                "LUCID_DATA_DIR": str(self._root),
                "MONGODB_URL": self._place.url,
                "MONGODB_DATABASE": self._place.database[:38],
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        async with asyncio.timeout(120):
            told, _ = await child.communicate()
        return f"{child.returncode}\n{told.decode()}"


def feed_of(service: str) -> Feed:
    return schema_of(service).feeds[0]


@pytest.fixture
def installation(tmp_path: Path, mongo_place: Place) -> Installation:
    return Installation(tmp_path / "data", mongo_place)


async def test_a_database_goes_there_and_back_with_its_history(installation: Installation) -> None:
    incarnation = await installation.publish(SQLITE, PAYOUTS, 3)
    told = await installation.copy("--to", MONGODB, PAYOUTS)
    assert told.startswith("0\n"), told
    assert f"f_{feed_of(PAYOUTS).name}" in told
    with pytest.raises(StorageWithheld, match="was moved to mongodb://"):
        await installation.open(SQLITE, PAYOUTS)
    assert await installation.publish(MONGODB, PAYOUTS, 2) == incarnation

    refused = await installation.copy("--to", SQLITE, PAYOUTS)
    assert refused.startswith("1\n")
    assert "is not empty: it was moved to" in refused
    told = await installation.copy("--to", SQLITE, "--afresh", PAYOUTS)
    assert told.startswith("0\n"), told
    with pytest.raises(StorageWithheld):
        await installation.open(MONGODB, PAYOUTS)
    storage = await installation.open(SQLITE, PAYOUTS)
    page = await storage.read_feed(feed_of(PAYOUTS), after=0, limit=10)
    assert [event.object for event in page.events] == [{"n": n} for n in (0, 1, 2, 0, 1)]
    assert storage.incarnation == incarnation
    await storage.close()


async def test_all_six_are_copied_and_what_is_missing_is_named(installation: Installation) -> None:
    for service in SERVICES:
        storage = await installation.open(SQLITE, service)
        await storage.close()
    told = await installation.copy("--to", MONGODB)
    assert told.startswith("0\n"), told
    assert told.count("the same on both") == len(SERVICES)
    missing = await installation.copy("--to", SQLITE, "--afresh", TRX, PAYOUTS)
    assert missing.startswith("0\n"), missing


async def test_what_is_not_there_is_not_copied(installation: Installation) -> None:
    for engine, to in ((SQLITE, MONGODB), (MONGODB, SQLITE)):
        with pytest.raises(TransferRefused, match="has no"):
            await ENGINES[engine].existing(installation.settings(MONGODB), PAYOUTS)
        assert (await installation.copy("--to", to, PAYOUTS)).startswith("1\n")
    with pytest.raises(TransferRefused, match="MONGODB_URL says no server"):
        await ENGINES[MONGODB].made(installation.settings(SQLITE), PAYOUTS)


async def test_a_service_that_answers_keeps_everything_where_it_is(
    installation: Installation,
) -> None:
    await installation.publish(SQLITE, PAYOUTS, 1)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    port = installation.ports.services[PAYOUTS]
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        told = await installation.copy("--to", MONGODB, PAYOUTS)
    assert told.startswith("1\n")
    assert f"payout-router answers at http://127.0.0.1:{port}" in told
    storage = await installation.open(SQLITE, PAYOUTS)
    await storage.close()


async def test_a_copy_that_was_never_begun_cannot_be_given_up(installation: Installation) -> None:
    await installation.publish(SQLITE, PAYOUTS, 1)
    told = await installation.copy("--to", MONGODB, "--abandon", PAYOUTS)
    assert told.startswith("1\n")
    assert "holds no unfinished copy" in told

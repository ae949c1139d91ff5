"""The engines that are measured; one more is one more line."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from shared.storage import SqliteStorage, Storage
from shared.storage.mongo.engine import MongoStorage
from tests import mongo_server
from tests.bench.ledger import SCHEMA, STAMP

Engine = Callable[[Path], AbstractAsyncContextManager[Storage]]
"""Opens an empty database that may keep its files in a folder, and lets go of it at the end."""


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[Storage]:
    """Open the embedded engine."""
    storage = await SqliteStorage.open(folder / "bench.db", SCHEMA, STAMP)
    try:
        yield storage
    finally:
        await storage.close()


@asynccontextmanager
async def mongodb(folder: Path) -> AsyncIterator[Storage]:
    """Open the other engine on a server of its own, or on the one that TEST_MONGO_URL names."""
    with mongo_server.server() as url, mongo_server.database(url) as place:
        storage = await MongoStorage.open(place.options(), SCHEMA, STAMP, copies=folder)
        try:
            yield storage
        finally:
            await storage.close()


ENGINES: Final[dict[str, Engine]] = {"SQLite": sqlite, "MongoDB": mongodb}

SIZES: Final[dict[str, list[int]]] = {
    "SQLite": [1_000, 100_000, 1_000_000],
    "MongoDB": [1_000, 100_000],
}
"""How many records reads are measured at; the tests' own MongoDB server takes a thousand a second."""

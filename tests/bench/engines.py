"""The engines that are measured; one more is one more line."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from shared.storage import SqliteStorage, Storage
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


ENGINES: Final[dict[str, Engine]] = {"SQLite": sqlite}

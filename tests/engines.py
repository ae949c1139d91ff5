"""A database of either engine, for tests of what both must keep the same promises for."""

from pathlib import Path
from typing import Protocol

from shared.storage import Schema, SqliteStorage, Stamp, Storage
from shared.storage.mongo.engine import MongoStorage
from tests import mongo_server


class Engine(Protocol):
    """Opens one database, as often as a process would."""

    async def open(self, schema: Schema, stamp: Stamp) -> Storage:
        """Open it, making it if it is not there."""
        ...


class SqliteEngine:
    """A file in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def open(self, schema: Schema, stamp: Stamp) -> Storage:
        """Open it, making it if it is not there."""
        return await SqliteStorage.open(self._folder / "engine.sqlite3", schema, stamp)


class MongoEngine:
    """A database of a server."""

    def __init__(self, place: mongo_server.Place, folder: Path) -> None:
        self._options = place.options()
        self._folder = folder

    async def open(self, schema: Schema, stamp: Stamp) -> Storage:
        """Open it, making it if it is not there."""
        return await MongoStorage.open(self._options, schema, stamp, copies=self._folder)

"""Databases that are carried in tests, and a program that carries one until it is killed.

``python -m tests.shared.storage.places SOURCE TARGET PIECES`` moves a database and stops dead, still
holding both, once so many pieces were dealt with.
"""

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from pymongo import AsyncMongoClient

from shared.storage import (
    Collection,
    Feed,
    Index,
    Schema,
    SqliteStorage,
    Stamp,
    Storage,
    Tally,
    Unit,
    tallies,
)
from shared.storage.mongo.engine import MongoStorage
from shared.storage.mongo.names import Names
from shared.storage.mongo.portable import MongoPortable
from shared.storage.sqlite.portable import SqlitePortable
from shared.storage.transfer import Portable, move
from shared.storage.transfer.portable import CHUNK_ROWS
from tests import mongo_server

START_MS: Final = 1_795_000_000_000


class State(StrEnum):
    OPEN = "open"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: str
    version: int = 0
    key: str
    state: State = State.OPEN
    due_ms: int | None = 0
    amount: str = "0"
    wei: int = 0
    note: str | None = None
    facts: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    id: str
    version: int = 0
    text: str


JOBS = Collection(
    "jobs",
    Job,
    (Index("key", ("key",), unique=True), Index("due", ("state", "due_ms"))),
    leased=True,
)
LINES = Collection("lines", Line, (Index("all", ("id",)),))
SPENT = tallies("spent")
NEWS = Feed("news")
TRIMMED = Feed("trimmed")
EMPTIED = Feed("emptied")
SILENT = Feed("silent")
SCHEMA = Schema("shop", 3, (JOBS, LINES, SPENT), (NEWS, TRIMMED, EMPTIED, SILENT))
STAMP = Stamp("devnet", "TContract")

AWKWARD: Final = "snow \u2603 \U0001f9fe e\u0301 \u00e9 \u0000 \\ \" ' $where . \u2028"


class Place(Protocol):
    """Where a database can be, whatever the engine."""

    described: str

    async def storage(self) -> Storage: ...

    async def portable(self) -> Portable: ...

    async def outlive_the_dead(self) -> None: ...


class SqlitePlace:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.described = f"sqlite:{path}"

    async def storage(self) -> Storage:
        return await SqliteStorage.open(self.path, SCHEMA, STAMP)

    async def portable(self) -> Portable:
        return await SqlitePortable.open(self.path, SCHEMA, STAMP)

    async def outlive_the_dead(self) -> None:
        """Do nothing: the lock of a process ends with it."""


class MongoPlace:
    """A database of a MongoDB server."""

    def __init__(self, where: mongo_server.Place) -> None:
        self.described = f"mongo:{where.url} {where.database}"
        self._options = where.options()
        self._copies = Path(tempfile.gettempdir())

    async def storage(self) -> Storage:
        return await MongoStorage.open(self._options, SCHEMA, STAMP, copies=self._copies)

    async def portable(self) -> Portable:
        return await MongoPortable.open(self._options, SCHEMA, STAMP, copies=self._copies)

    async def outlive_the_dead(self) -> None:
        """Let so much time pass that whoever gave no sign of life since counts as dead."""
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(self._options.url)
        engine = client[self._options.database][Names(SCHEMA.service).engine]
        long_ago = {"$set": {"at": datetime(2020, 1, 1, tzinfo=UTC)}}
        await engine.update_many({"_id": {"$regex": "^session:"}}, long_ago)
        await client.close()


def place(described: str) -> Place:
    """Return the place of a description."""
    kind, _, where = described.partition(":")
    if kind == "sqlite":
        return SqlitePlace(Path(where))
    url, _, database = where.partition(" ")
    return MongoPlace(mongo_server.Place(url, database))


async def fill(storage: Storage, *, lines: int = 10) -> None:
    """Store something of everything that an engine can hold."""
    jobs = [
        Job(id="job_a", key="k1", wei=10**30 + 7, note=AWKWARD, amount=str(2**255)),
        Job(
            id="job_b",
            key="k2",
            due_ms=None,
            facts={"b": [1, None, {"z": 2**80, "a": True}], "a": ""},
        ),
        Job(id="job_gone", key="k3"),
        Job(id="job_\u00fc", key=AWKWARD, state=State.DONE, due_ms=-(2**62)),
    ]
    unit = Unit()
    for job in jobs:
        unit.insert(JOBS, job)
    spent = Tally(id="day", width_ms=1_000, kept=5, buckets=((7, 10**27), (8, 1)), over_ms=13_000)
    unit.insert(SPENT, spent)
    await storage.commit(unit)
    for first in range(0, lines, 1_000):
        unit = Unit()
        for number in range(first, min(first + 1_000, lines)):
            unit.insert(LINES, Line(id=f"line_{number:06d}", text=f"text {number}"))
        await storage.commit(unit)
    await _lease(storage)
    for number in range(1, 8):
        unit = Unit()
        for feed in (NEWS, TRIMMED, EMPTIED):
            told = {"number": number, "text": AWKWARD, "big": 10**25}
            unit.publish(feed, id=f"e{number}", type="n.told", at_ms=START_MS + number, object=told)
        await storage.commit(unit)
    await storage.acknowledge(NEWS, "gateway", 4, START_MS)
    await storage.acknowledge(NEWS, "router", 0, START_MS + 1)
    await storage.acknowledge(EMPTIED, "gateway", 7, START_MS)
    await storage.trim_feed(TRIMMED, keep_after_ms=START_MS + 5)
    await storage.trim_feed(EMPTIED, keep_after_ms=START_MS + 100)


async def _lease(storage: Storage) -> None:
    """Leave one record leased, one given up, and the token of a removed one behind."""
    for _ in range(3):
        taken = await storage.claim(
            JOBS, "due", State.OPEN, limit=10, owner="w1", now_ms=START_MS, lease_ms=5
        )
        await storage.release(JOBS, [each.lease for each in taken])
    await storage.claim(
        JOBS, "due", State.OPEN, limit=1, owner="w2", now_ms=START_MS, lease_ms=60_000
    )
    gone = await storage.get(JOBS, "job_gone")
    assert gone is not None
    await storage.commit(Unit().delete(JOBS, gone))


async def _move_until_killed(source: str, target: str, pieces: int) -> None:
    left = await place(source).portable()
    right = await place(target).portable()
    dealt = 0

    def progress(count: int) -> None:
        nonlocal dealt
        dealt += count
        if dealt >= pieces * CHUNK_ROWS:
            sys.stdout.write("holding\n")
            sys.stdout.flush()
            sys.stdin.read()  # until the test ends this process

    await move(left, right, progress=progress)


if __name__ == "__main__":
    asyncio.run(_move_until_killed(sys.argv[1], sys.argv[2], int(sys.argv[3])))

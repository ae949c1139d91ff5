"""The program that is killed: many writers and workers that say what was acknowledged.

``python -m tests.shared.storage.crash ENGINE ROUND`` opens the database that ENGINE describes, such
as ``sqlite:/tmp/crash.db``, and goes on until somebody ends it. Each line on standard output names
something that is durable by then.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from shared.storage import (
    Collection,
    Feed,
    GuardFailed,
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
from tests.mongo_server import Place

WRITERS: Final = 16
WORKERS: Final = 4
SHARED_BY: Final = 4
"""Writers that add to the same tally."""

HOUR_MS: Final = 3_600_000
EVERY_FOURTH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """One side of a pair that is always written together."""

    id: str
    version: int = 0
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that is to be done once."""

    id: str
    version: int = 0
    done_by: str | None = None
    due_ms: int | None = 0


LEFT = Collection("left_halves", Half, (Index("all", ("id",)),))
RIGHT = Collection("right_halves", Half, (Index("all", ("id",)),))
JOBS = Collection("jobs", Job, (Index("due", ("due_ms",)), Index("all", ("id",))), leased=True)
DONE = Collection("done_jobs", Half, (Index("all", ("id",)),))
SPENT = tallies("spent")
EVENTS = Feed("events")
SCHEMA = Schema("crash", 1, (LEFT, RIGHT, JOBS, DONE, SPENT), (EVENTS,))
STAMP = Stamp("devnet", "TContract")


async def open_sqlite(place: str) -> Storage:
    """Open an embedded database by its path."""
    return await SqliteStorage.open(Path(place), SCHEMA, STAMP)


async def open_mongodb(place: str) -> Storage:
    """Open a database in a replica set by its server's URL, its name and a folder, spaces between."""
    url, name, folder = place.split(" ")
    return await MongoStorage.open(Place(url, name).options(), SCHEMA, STAMP, copies=Path(folder))


OPENERS: Final[dict[str, Callable[[str], Awaitable[Storage]]]] = {
    "sqlite": open_sqlite,
    "mongodb": open_mongodb,
}
"""How each kind of engine is opened; what an engine is described by follows its kind and a colon."""


async def open_engine(described: str) -> Storage:
    """Open the database that is described."""
    kind, _, place = described.partition(":")
    return await OPENERS[kind](place)


def tell(line: str) -> None:
    """Say that something is durable, in one write that is not buffered."""
    os.write(1, f"{line}\n".encode())


async def write_for_ever(storage: Storage, round_number: int, number: int) -> None:
    """Commit pairs, each with its event and its place in a shared sum, and now and then a job."""
    subject = f"w{number // SHARED_BY}"
    count = 0
    while True:
        name = f"{round_number}-{number}-{count}"
        spent = await storage.get(SPENT, subject)
        spent = spent or Tally.begin(subject, width_ms=HOUR_MS, kept=1)
        unit = Unit().insert(LEFT, Half(id=name, amount=count))
        unit.publish(EVENTS, id=name, type="made", at_ms=count, object={})
        spent.add(1, at_ms=0).put(unit, SPENT)
        if count % EVERY_FOURTH == 0:
            unit.insert(JOBS, Job(id=name))
        try:
            await storage.commit(unit.insert(RIGHT, Half(id=name, amount=-count)))
        except GuardFailed:
            continue
        tell(f"pair {name}")
        count += 1


async def work_for_ever(storage: Storage, round_number: int, number: int) -> None:
    """Claim jobs and do each under its fence, together with the proof that it was done."""
    owner = f"{round_number}-{number}"
    while True:
        claimed = await storage.claim(
            JOBS,
            "due",
            at_most=round_number,
            limit=5,
            owner=owner,
            now_ms=round_number,
            lease_ms=1,
        )
        for each in claimed:
            done = replace(each.record, done_by=owner, due_ms=None)
            unit = Unit().fence(JOBS, each.lease).update(JOBS, done)
            await storage.commit(unit.insert(DONE, Half(id=done.id, amount=1)))
            tell(f"job {done.id}")


async def main(described: str, round_number: int) -> None:
    """Run writers and workers beside each other for ever."""
    storage = await open_engine(described)
    writers = [write_for_ever(storage, round_number, number) for number in range(WRITERS)]
    workers = [work_for_ever(storage, round_number, number) for number in range(WORKERS)]
    await asyncio.gather(*writers, *workers)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

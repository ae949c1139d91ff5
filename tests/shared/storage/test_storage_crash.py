"""A process that is killed at any moment loses nothing it acknowledged and leaves nothing half done."""

import asyncio
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TypeVar

import pytest

from shared.storage import MAX_ROWS, Collection, Storage
from shared.storage.schema import Record
from tests.mongo_server import Place
from tests.shared.storage import crash
from tests.shared.storage.crash import DONE, EVENTS, JOBS, LEFT, RIGHT, SPENT, open_engine

ROOT = Path(__file__).resolve().parents[3]
ROUNDS = 6
SEED = 20261122
MOST_ACKNOWLEDGED = {"sqlite": 400, "mongodb": 80}
"""By engine: contended units take the test server longer than a file."""

LONGEST_S = 0.1

R = TypeVar("R", bound=Record)


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongodb)])
def described(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Describe a database that a child process opens, and this one after its death."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'crash.db'}"
    place: Place = request.getfixturevalue("mongo_place")
    return f"mongodb:{place.url} {place.database} {tmp_path}"


def kill_after(described: str, round_number: int, acknowledged: int, later_s: float) -> set[str]:
    """Run the program, kill it some time after so many lines, and return what it acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-m", crash.__name__, described, str(round_number)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout as told:
        lines = [told.readline() for _ in range(acknowledged)]
        killer = threading.Timer(later_s, child.send_signal, [signal.SIGKILL])
        killer.start()
        lines += list(told)
        killer.join()
    assert child.returncode == -signal.SIGKILL
    return {line.rstrip("\n") for line in lines if line.endswith("\n")}


async def everything(storage: Storage, collection: Collection[R]) -> dict[str, R]:
    """Read a whole collection."""
    found: dict[str, R] = {}
    cursor = None
    while True:
        page = await storage.list(collection, "all", limit=MAX_ROWS, cursor=cursor)
        found |= {record.id: record for record in page.items}
        cursor = page.next
        if cursor is None:
            return found


async def told_of(storage: Storage) -> list[str]:
    """Follow the feed to its end; numbers are without gaps from 1."""
    ids: list[str] = []
    while True:
        page = await storage.read_feed(EVENTS, after=len(ids), limit=MAX_ROWS)
        assert [event.seq for event in page.events] == list(
            range(len(ids) + 1, len(ids) + 1 + len(page.events))
        )
        ids += [event.id for event in page.events]
        if not page.events:
            assert (page.start, page.end) == (1, len(ids))
            return ids


async def verify(storage: Storage, acknowledged: set[str]) -> None:
    """Compare what is stored with what was acknowledged and with itself."""
    left, right = await everything(storage, LEFT), await everything(storage, RIGHT)
    jobs, done = await everything(storage, JOBS), await everything(storage, DONE)
    assert acknowledged <= {f"pair {name}" for name in left} | {f"job {name}" for name in done}
    assert {name: half.amount for name, half in left.items()} == {
        name: -half.amount for name, half in right.items()
    }
    ids = await told_of(storage)
    assert len(ids) == len(left)
    assert set(ids) == left.keys()
    assert done.keys() == {name for name, job in jobs.items() if job.done_by is not None}

    subjects = [f"w{number}" for number in range(crash.WRITERS // crash.SHARED_BY)]
    spent = await storage.get_many(SPENT, subjects)
    assert sum(total for tally in spent.values() for _, total in tally.buckets) == len(left)
    await storage.check()


async def test_kill_9_loses_nothing_acknowledged_and_leaves_nothing_half(described: str) -> None:
    """Many writers and workers, killed at random moments that the seed repeats."""
    chance = random.Random(SEED)  # noqa: S311 - picks moments, guards nothing
    acknowledged: set[str] = set()
    for round_number in range(ROUNDS):
        most = MOST_ACKNOWLEDGED[described.partition(":")[0]]
        count, later_s = chance.randint(1, most), chance.uniform(0, LONGEST_S)
        acknowledged |= await asyncio.to_thread(kill_after, described, round_number, count, later_s)
        storage = await open_engine(described)
        try:
            await verify(storage, acknowledged)
        finally:
            await storage.close()
    assert any(line.startswith("job ") for line in acknowledged)

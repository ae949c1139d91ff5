"""A process that is killed at any moment loses nothing it acknowledged and leaves nothing half done.

This file is also the program that is killed: ``python test_storage_crash.py DATABASE ROUND``.
"""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from shared.storage import Collection, Feed, Index, Schema, SqliteStorage, Stamp, Unit

ROOT = Path(__file__).resolve().parents[3]
WRITERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    id: str
    version: int = 0
    amount: int


LEFT = Collection("left_halves", Half, (Index("all", ("id",)),))
RIGHT = Collection("right_halves", Half, (Index("all", ("id",)),))
EVENTS = Feed("events")
SCHEMA = Schema("crash", 1, (LEFT, RIGHT), (EVENTS,))
STAMP = Stamp("devnet", "TContract")


async def write_for_ever(path: Path, round_number: int) -> None:
    """Commit pairs of halves, and say so on standard output once each is acknowledged."""
    storage = await SqliteStorage.open(path, SCHEMA, STAMP)

    async def writer(number: int) -> None:
        count = 0
        while True:
            name = f"{round_number}-{number}-{count}"
            unit = Unit().insert(LEFT, Half(id=name, amount=count))
            unit.publish(EVENTS, id=name, type="made", at_ms=count, object={})
            await storage.commit(unit.insert(RIGHT, Half(id=name, amount=-count)))
            os.write(1, f"{name}\n".encode())
            count += 1

    await asyncio.gather(*map(writer, range(WRITERS)))


def kill_after(acknowledged: int, path: Path, round_number: int) -> list[str]:
    """Run the writer, kill it at a moment after so many units, and return what it acknowledged."""
    child = subprocess.Popen(
        [sys.executable, __file__, str(path), str(round_number)],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert child.stdout is not None
    with child, child.stdout as told:
        names = [told.readline().rstrip("\n") for _ in range(acknowledged)]
        child.send_signal(signal.SIGKILL)
        names += [line.rstrip("\n") for line in told if line.endswith("\n")]
    assert child.returncode == -signal.SIGKILL
    assert all(names)
    return names


async def halves(storage: SqliteStorage, collection: Collection[Half]) -> dict[str, int]:
    """Read a whole collection."""
    found: dict[str, int] = {}
    cursor = None
    while True:
        page = await storage.list(collection, "all", limit=1000, cursor=cursor)
        found |= {half.id: half.amount for half in page.items}
        cursor = page.next
        if cursor is None:
            return found


async def test_kill_9_loses_nothing_acknowledged_and_leaves_nothing_half(tmp_path: Path) -> None:
    path = tmp_path / "crash.db"
    acknowledged: set[str] = set()
    for round_number, count in enumerate((1, 40, 333, 1000)):
        acknowledged |= set(await asyncio.to_thread(kill_after, count, path, round_number))
        storage = await SqliteStorage.open(path, SCHEMA, STAMP)
        left, right = await halves(storage, LEFT), await halves(storage, RIGHT)
        end = (await storage.read_feed(EVENTS, after=0, limit=1)).end
        await storage.check()
        await storage.close()
        assert acknowledged <= left.keys()
        assert left == {name: -amount for name, amount in right.items()}
        assert end == len(left)


if __name__ == "__main__":
    asyncio.run(write_for_ever(Path(sys.argv[1]), int(sys.argv[2])))

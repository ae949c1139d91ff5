"""Durable units of work a second, beside bare SQLite with one commit for each in the same run."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
from tqdm import tqdm

from shared.storage import Storage
from tests.bench.engines import Engine
from tests.bench.ledger import payout, unit
from tests.bench.table import Row

CLIENTS = (1, 16, 64)
MS_PER_S = 1_000
KIB = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How fast units were.

    Attributes:
        per_s: units a second.
        p99_ms: what the slowest hundredth took at least.
        written_kib: what this process gave to the disk for each, where the system says so.
    """

    per_s: float
    p99_ms: float
    written_kib: float | None

    def __str__(self) -> str:
        written = "" if self.written_kib is None else f", {self.written_kib:.0f} KiB"
        return f"{self.per_s:.0f}/s, p99 {self.p99_ms:.1f} ms{written}"


class Stopwatch:
    """Times calls, and what is written meanwhile."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._written = written_bytes()
        self._began = time.perf_counter()

    def note(self, began: float) -> None:
        """Take the time of a call that began then and is over now."""
        self._times.append(time.perf_counter() - began)

    def speed(self) -> Speed:
        """Say how fast the calls were."""
        elapsed = time.perf_counter() - self._began
        before, after = self._written, written_bytes()
        count = len(self._times)
        known = before is not None and after is not None and after > before
        return Speed(
            per_s=count / elapsed,
            p99_ms=MS_PER_S * sorted(self._times)[int(0.99 * count)],
            written_kib=((after or 0) - (before or 0)) / count / KIB if known else None,
        )


def written_bytes() -> int | None:
    """Return what this process gave to the disk so far; None where the system does not say."""
    counters: Callable[[], object] | None = getattr(psutil.Process(), "io_counters", None)
    return None if counters is None else int(getattr(counters(), "write_bytes", 0))


async def measure(folder: Path, name: str, engine: Engine, count: int) -> list[Row]:
    """Commit so many units by each number of clients, and as many on bare SQLite."""
    bare = await asyncio.to_thread(one_commit_each, folder / "bare.db", count)
    rows = []
    numbers = iter(range(10**9))
    async with engine(folder) as storage:
        for clients in tqdm(CLIENTS, desc=f"units on {name}"):
            speed = await commit_all(storage, numbers, clients=clients, count=count)
            rows.append(
                Row(
                    what=f"durable unit (payout, identity, event), {name}, {_clients(clients)}",
                    measured=str(speed),
                    beside=f"bare SQLite, one commit each: {bare}",
                )
            )
    return rows


def _clients(number: int) -> str:
    return "1 client" if number == 1 else f"{number} clients"


async def commit_all(
    storage: Storage, numbers: Iterator[int], *, clients: int, count: int
) -> Speed:
    """Commit units by clients that each wait for their own."""
    left = iter(range(count))
    watch = Stopwatch()

    async def client() -> None:
        for _ in left:
            began = time.perf_counter()
            await storage.commit(unit(next(numbers)))
            watch.note(began)

    await asyncio.gather(*(client() for _ in range(clients)))
    return watch.speed()


def one_commit_each(path: Path, count: int) -> Speed:
    """Store the same with the same durability in the plainest way there is."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE payouts (id TEXT PRIMARY KEY, identity TEXT UNIQUE, state TEXT,"
        " created_at_ms INTEGER, doc BLOB)"
    )
    connection.execute("CREATE INDEX state ON payouts (state, created_at_ms)")
    connection.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, doc BLOB)")
    watch = Stopwatch()
    for number in range(count):
        began = time.perf_counter()
        made = payout(number)
        doc = msgspec.json.encode(made)
        row = (made.id, made.identity, made.state, made.created_at_ms, doc)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO payouts VALUES (?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO events (doc) VALUES (?)", (doc,))
        connection.execute("COMMIT")
        watch.note(began)
    speed = watch.speed()
    connection.close()
    return speed

"""Claim, list, feed and window sum at ever more records: what an index serves stays as fast."""

import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tqdm import tqdm

from shared.storage import Storage, Unit
from tests.bench.engines import Engine
from tests.bench.ledger import (
    DAY_MS,
    EVENTS,
    PAYOUTS,
    RECIPIENTS,
    SPENT,
    START_MS,
    spent_today,
    subject,
    unit,
)
from tests.bench.table import Row

CALLS = 200
PAGE = 100
CLAIM = 10
LOADED_AT_ONCE = 500
MS_PER_S = 1_000

Call = Callable[[Storage, int, random.Random], Awaitable[float]]
"""Makes one call against so many records, somewhere among them, and returns its seconds."""


async def claim(storage: Storage, _: int, chance: random.Random) -> float:
    """Claim the first due payouts; giving them back is not counted."""
    owner = f"worker-{chance.random()}"
    now_ms = START_MS + DAY_MS
    began = time.perf_counter()
    claimed = await storage.claim(
        PAYOUTS,
        "due",
        "USDT",
        at_most=now_ms,
        limit=CLAIM,
        owner=owner,
        now_ms=now_ms,
        lease_ms=1,
    )
    elapsed = time.perf_counter() - began
    assert len(claimed) == CLAIM
    await storage.release(PAYOUTS, [each.lease for each in claimed])
    return elapsed


async def page(storage: Storage, size: int, chance: random.Random) -> float:
    """List a page that begins anywhere, newest first."""
    newest = START_MS + chance.randrange(PAGE, size)
    began = time.perf_counter()
    found = await storage.list(
        PAYOUTS, "state", "pending", limit=PAGE, at_most=newest, descending=True
    )
    elapsed = time.perf_counter() - began
    assert len(found.items) == PAGE
    return elapsed


async def feed(storage: Storage, size: int, chance: random.Random) -> float:
    """Read a page of the feed from anywhere."""
    after = chance.randrange(size - PAGE)
    began = time.perf_counter()
    found = await storage.read_feed(EVENTS, after=after, limit=PAGE)
    elapsed = time.perf_counter() - began
    assert len(found.events) == PAGE
    return elapsed


async def window(storage: Storage, size: int, chance: random.Random) -> float:
    """Sum the last day of some recipient."""
    wanted = subject(chance.randrange(size))
    began = time.perf_counter()
    tally = await storage.get(SPENT, wanted)
    assert tally is not None
    total = tally.rolling(DAY_MS, at_ms=START_MS)
    elapsed = time.perf_counter() - began
    assert total > 0
    return elapsed


CALLED: dict[str, Call] = {
    f"claim {CLAIM} due payouts": claim,
    f"list a page of {PAGE}": page,
    f"feed page of {PAGE}": feed,
    "window sum of a day": window,
}


async def measure(folder: Path, name: str, engine: Engine, sizes: Sequence[int]) -> list[Row]:
    """Measure every call on databases of every size, in turns, so that all meet the same noise."""
    async with AsyncExitStack() as opened:
        databases: dict[int, Storage] = {}
        for size in sorted(sizes):
            place = folder / str(size)
            place.mkdir()
            databases[size] = await opened.enter_async_context(engine(place))
            await load(databases[size], size, name)
        return [
            row
            for what, call in CALLED.items()
            for row in _rows(f"{what}, {name}", await medians_s(databases, call))
        ]


def _rows(what: str, took_s: Mapping[int, float]) -> list[Row]:
    fewest = min(took_s)
    return [
        Row(
            what=f"{what}, {size:,} records",
            measured=f"{MS_PER_S * median_s:.2f} ms",
            beside=f"{median_s / took_s[fewest]:.1f} times that at {fewest:,}",
        )
        for size, median_s in took_s.items()
    ]


async def medians_s(databases: Mapping[int, Storage], call: Call) -> dict[int, float]:
    """Return the median of many calls for each size, spread over it by a fixed seed."""
    chance = random.Random(CALLS)  # noqa: S311 - spreads calls, guards nothing
    took: dict[int, list[float]] = {size: [] for size in databases}
    for _ in range(CALLS):
        for size, storage in databases.items():
            took[size].append(await call(storage, size, chance))
    return {size: statistics.median(times) for size, times in took.items()}


async def load(storage: Storage, size: int, name: str) -> None:
    """Store so many payouts, their events, and the tallies of their recipients."""
    with tqdm(total=size, desc=f"loading {name}", unit="records") as bar:
        for start in range(0, size, LOADED_AT_ONCE):
            part = range(start, min(start + LOADED_AT_ONCE, size))
            sums = Unit()
            for number in part:
                if number % RECIPIENTS == 0:
                    spent_today(number).put(sums, SPENT)
            outcomes = await storage.commit_all([*map(unit, part), sums])
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
            bar.update(len(part))

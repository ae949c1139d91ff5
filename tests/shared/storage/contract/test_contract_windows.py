"""What every engine keeps of sums over windows: no limit is passed, none is wasted."""

import asyncio

from shared.storage import (
    GuardFailed,
    Storage,
    Tally,
    Unit,
)
from tests.shared.storage.contract.shop import (
    ENTRIES,
    SPENT,
    Entry,
)

HOUR_MS = 3_600_000
WRITERS = 64


async def spend(storage: Storage, name: str, limit: int, at_ms: int) -> bool:
    """Spend one of a subject's limit of an hour; False when there is none left."""
    while True:
        tally = await storage.get(SPENT, "carol")
        tally = tally or Tally.begin("carol", width_ms=HOUR_MS, kept=24)
        if tally.period(HOUR_MS, at_ms=at_ms) >= limit:
            return False
        unit = Unit().insert(ENTRIES, Entry(id=name, amount=1))
        try:
            await storage.commit(tally.add(1, at_ms=at_ms).put(unit, SPENT))
        except GuardFailed:
            continue
        return True


async def test_64_writers_pass_no_limit_and_leave_none_of_it_unused(storage: Storage) -> None:
    """H14: the sum that decides is compared and set with what it decides about."""
    limit = 10
    tries = [spend(storage, f"e{n}", limit, at_ms=HOUR_MS) for n in range(WRITERS)]
    outcomes = await asyncio.gather(*tries)
    assert sum(outcomes) == limit
    entries = await storage.get_many(ENTRIES, [f"e{n}" for n in range(WRITERS)])
    assert entries.keys() == {f"e{n}" for n, done in enumerate(outcomes) if done}
    tally = await storage.get(SPENT, "carol")
    assert tally is not None
    assert (tally.version, tally.period(HOUR_MS, at_ms=HOUR_MS)) == (limit, limit)


async def test_a_clock_set_back_opens_no_window_again(storage: Storage) -> None:
    """H2: at an earlier time the newest window still counts, and takes what is added."""
    assert await spend(storage, "first", 1, at_ms=10 * HOUR_MS)
    assert not await spend(storage, "second", 1, at_ms=10 * HOUR_MS)
    assert not await spend(storage, "second", 1, at_ms=HOUR_MS)
    assert await spend(storage, "second", 1, at_ms=11 * HOUR_MS)
    assert not await spend(storage, "third", 1, at_ms=10 * HOUR_MS)


async def test_tallies_out_of_reach_can_be_pruned(storage: Storage) -> None:
    await spend(storage, "first", 1, at_ms=HOUR_MS)
    for at_ms, removed in ((24 * HOUR_MS, 0), (25 * HOUR_MS, 1)):
        found = await storage.prune(SPENT, "over", at_most=at_ms, limit=9, now_ms=at_ms)
        assert found == removed
    assert await storage.get(SPENT, "carol") is None

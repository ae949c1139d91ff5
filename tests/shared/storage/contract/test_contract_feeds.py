"""What every engine keeps of feeds: numbers without gaps, consumers, long polls, trimming."""

import asyncio

import pytest

from shared.storage import (
    MAX_CONSUMERS,
    MAX_ROWS,
    DuplicateRecord,
    FeedTrimmed,
    InvalidCursor,
    LimitExceeded,
    Storage,
    Unit,
)
from tests.shared.storage.contract.shop import (
    EVENTS,
    ITEMS,
    OTHER_EVENTS,
    Item,
    insert,
    published,
)


async def test_feed_numbers_have_no_gaps_and_follow_the_commits(storage: Storage) -> None:
    """H13: no number commits before a smaller one, and failed units take none."""
    await insert(storage, Item(id="taken", key="taken"))
    seen: list[int] = []

    async def follow() -> None:
        while len(seen) < 400:
            after = seen[-1] if seen else 0
            await storage.wait_feed(EVENTS, after=after, timeout_s=5)
            page = await storage.read_feed(EVENTS, after=after, limit=50)
            seen.extend(event.seq for event in page.events)

    async def write(n: int) -> tuple[int, ...]:
        unit = published(published(Unit(), 2 * n), 2 * n + 1)
        if n % 3 == 0:
            bad = published(Unit(), 0).insert(ITEMS, Item(id=f"i{n}", key="taken"))
            with pytest.raises(DuplicateRecord):
                await storage.commit(bad)
        return (await storage.commit(unit)).feed_numbers["events"]

    follower = asyncio.ensure_future(follow())
    numbers = await asyncio.gather(*(write(n) for n in range(200)))
    await follower
    assert seen == list(range(1, 401))
    assert sorted(number for pair in numbers for number in pair) == seen
    assert all(second == first + 1 for first, second in numbers)


async def test_a_reader_never_sees_a_gap_while_others_publish(storage: Storage) -> None:
    """H13: whatever a reader finds at any moment is everything up to some number."""
    publishers, each_publishes = 16, 10
    total = publishers * each_publishes
    done = asyncio.Event()
    looked = 0

    async def publish(number: int) -> None:
        for n in range(each_publishes):
            await storage.commit(published(Unit(), number * each_publishes + n))

    async def read() -> int:
        nonlocal looked
        end = 0
        while not (done.is_set() and end == total):
            page = await storage.read_feed(EVENTS, after=0, limit=MAX_ROWS)
            assert [event.seq for event in page.events] == list(range(1, page.end + 1))
            assert page.end >= end
            end, looked = page.end, looked + 1
        return end

    readers = [asyncio.ensure_future(read()) for _ in range(2)]
    await asyncio.gather(*map(publish, range(publishers)))
    done.set()
    assert await asyncio.gather(*readers) == [total, total]
    page = await storage.read_feed(EVENTS, after=0, limit=MAX_ROWS)
    assert len({event.id for event in page.events}) == total
    assert looked >= 2


async def test_one_publishers_events_keep_their_order(storage: Storage) -> None:
    """H13: an event of a later commit has a higher number."""

    async def publish(number: int) -> list[int]:
        taken: list[int] = []
        for n in range(10):
            unit = Unit().publish(EVENTS, id=f"{number}-{n}", type="t", at_ms=0, object={})
            taken += (await storage.commit(unit)).feed_numbers["events"]
        return taken

    for taken in await asyncio.gather(*map(publish, range(10))):
        assert taken == sorted(taken)


async def test_consumers_of_a_feed_are_bounded(storage: Storage) -> None:
    for n in range(MAX_CONSUMERS):
        await storage.acknowledge(EVENTS, f"c{n}", 0, 0)
    with pytest.raises(LimitExceeded):
        await storage.acknowledge(EVENTS, "one more", 0, 0)
    await storage.acknowledge(EVENTS, "c1", 0, 0)
    await storage.acknowledge(OTHER_EVENTS, "one more", 0, 0)
    await storage.dismiss(EVENTS, "c1")
    await storage.acknowledge(EVENTS, "one more", 0, 0)
    with pytest.raises(LimitExceeded):
        await storage.acknowledge(EVENTS, "x" * 1_001, 0, 0)


async def test_events_carry_what_was_published(storage: Storage) -> None:
    told = {"amount": 10**30, "name": "☃", "parts": [1, None]}
    unit = Unit().publish(EVENTS, id="e1", type="item.made", at_ms=5, object=told)
    unit.publish(OTHER_EVENTS, id="o1", type="other", at_ms=6, object={})
    committed = await storage.commit(unit)
    assert committed.feed_numbers == {"events": (1,), "other_events": (1,)}
    page = await storage.read_feed(EVENTS, after=0, limit=10)
    (event,) = page.events
    assert (event.seq, event.id, event.type, event.at_ms) == (1, "e1", "item.made", 5)
    assert event.object == told
    assert (page.start, page.end) == (1, 1)


async def test_a_long_poll_wakes_for_its_feed_only(storage: Storage) -> None:
    waiting = asyncio.ensure_future(storage.wait_feed(EVENTS, after=0, timeout_s=10))
    other = asyncio.ensure_future(storage.wait_feed(OTHER_EVENTS, after=0, timeout_s=0.05))
    await asyncio.sleep(0)
    await storage.commit(published(Unit(), 1))
    assert await asyncio.wait_for(waiting, 1)
    assert not await other
    assert await storage.wait_feed(EVENTS, after=0, timeout_s=0)
    assert not await storage.wait_feed(EVENTS, after=1, timeout_s=0.01)


async def test_trimming_never_passes_a_consumer(storage: Storage) -> None:
    """H13: retention waits for whoever sleeps."""
    for n in range(10):
        await storage.commit(published(Unit(), n, at_ms=n))
    await storage.acknowledge(EVENTS, "fast", 9, 0)
    await storage.acknowledge(EVENTS, "slow", 4, 0)
    assert await storage.consumers(EVENTS) == {"fast": 9, "slow": 4}
    assert await storage.trim_feed(EVENTS, keep_after_ms=3) == 3
    assert await storage.trim_feed(EVENTS, keep_after_ms=1_000) == 1
    page = await storage.read_feed(EVENTS, after=4, limit=10)
    assert [event.seq for event in page.events] == [5, 6, 7, 8, 9, 10]
    assert (page.start, page.end) == (5, 10)
    with pytest.raises(FeedTrimmed) as caught:
        await storage.read_feed(EVENTS, after=3, limit=10)
    assert (caught.value.after, caught.value.start) == (3, 5)
    with pytest.raises(FeedTrimmed):
        await storage.acknowledge(EVENTS, "late", 0, 0)
    assert await storage.dismiss(EVENTS, "slow")
    assert not await storage.dismiss(EVENTS, "slow")
    assert await storage.trim_feed(EVENTS, keep_after_ms=1_000) == 5


async def test_a_trimmed_feed_goes_on_counting(storage: Storage) -> None:
    for n in range(5):
        await storage.commit(published(Unit(), n, at_ms=n))
    assert await storage.trim_feed(EVENTS, keep_after_ms=1_000) == 5
    page = await storage.read_feed(EVENTS, after=5, limit=10)
    assert (page.events, page.start, page.end) == ((), 6, 5)
    committed = await storage.commit(published(Unit(), 5))
    assert committed.feed_numbers == {"events": (6,)}


async def test_trimming_leaves_no_holes_when_times_are_out_of_order(storage: Storage) -> None:
    for at_ms in (1, 9, 2, 3):
        await storage.commit(published(Unit(), at_ms, at_ms=at_ms))
    assert await storage.trim_feed(EVENTS, keep_after_ms=5) == 1
    page = await storage.read_feed(EVENTS, after=1, limit=10)
    assert [event.at_ms for event in page.events] == [9, 2, 3]


async def test_a_cursor_beyond_the_end_is_refused(storage: Storage) -> None:
    for after in (1, -1):
        with pytest.raises(InvalidCursor):
            await storage.read_feed(EVENTS, after=after, limit=1)
        with pytest.raises(InvalidCursor):
            await storage.acknowledge(EVENTS, "c", after, 0)

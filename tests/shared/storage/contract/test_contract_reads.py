"""What every engine keeps of reads: lookups, pages, cursors, counts, limits."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from shared.storage import (
    MAX_COUNT,
    MAX_OPERATIONS,
    MAX_ROWS,
    InvalidCursor,
    LimitExceeded,
    Storage,
    Unit,
)
from tests.shared.storage.contract.shop import (
    EVENTS,
    ITEMS,
    LEASE,
    Item,
    State,
    claim,
    insert,
    published,
    walk,
)


async def test_lookups_find_by_unique_key_and_by_values(storage: Storage) -> None:
    await insert(storage, *(Item(id=f"i{n}", key=f"k{n}", note=f"n{n % 3}") for n in range(9)))
    found = await storage.find(ITEMS, "key", "alice", "k4")
    assert found is not None
    assert found.id == "i4"
    assert await storage.find(ITEMS, "key", "bob", "k4") is None
    many = await storage.find_many(ITEMS, "note", ["n2", "n0", "none"])
    assert [item.id for item in many] == ["i0", "i3", "i6", "i2", "i5", "i8"]
    assert await storage.count(ITEMS, "due", State.OPEN) == 9
    assert await storage.count(ITEMS, "due", State.DONE) == 0
    assert await storage.count(ITEMS, "all") == 9
    with pytest.raises(ValueError, match="unique"):
        await storage.find(ITEMS, "note", "n1")
    with pytest.raises(ValueError, match="unique"):
        await storage.find(ITEMS, "key", "alice")
    with pytest.raises(ValueError, match="one field"):
        await storage.find_many(ITEMS, "due", ["open"])
    with pytest.raises(ValueError, match="no index"):
        await storage.count(ITEMS, "nothing")


async def test_a_lookup_by_what_a_field_never_holds_is_a_type_error(storage: Storage) -> None:
    """Text and numbers never meet in an index: such a lookup would find nothing, silently."""
    wrong: Any
    for wrong in ("7", True, 7.0, None, b"7"):
        with pytest.raises(TypeError):
            await storage.count(ITEMS, "due", "open", wrong)
    for wrong in ("7", True, 7.0, b"7"):
        with pytest.raises(TypeError):
            await storage.list(ITEMS, "due", "open", limit=1, at_least=wrong)
        with pytest.raises(TypeError):
            await storage.prune(ITEMS, "due", "open", at_most=wrong, limit=1, now_ms=0)
        with pytest.raises(TypeError):
            await claim(storage, "w", wrong)
    with pytest.raises(TypeError):
        await storage.find(ITEMS, "key", "alice", 7)
    with pytest.raises(TypeError):
        await storage.find_many(ITEMS, "note", ["a", 7])


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
@pytest.mark.parametrize("descending", [False, True])
async def test_pages_follow_the_index_with_none_first(
    storage: Storage, limit: int, *, descending: bool
) -> None:
    dues = [5, None, 3, 5, None, 3, 9, -1]
    items = [Item(id=f"i{n}", due_ms=due) for n, due in enumerate(dues)]
    await insert(storage, *items, Item(id="x", state=State.DONE))
    items.sort(key=lambda item: (item.due_ms is not None, item.due_ms or 0, item.id))
    expected = [item.id for item in items]
    if descending:
        expected.reverse()
    how = {"limit": limit, "descending": descending}
    assert await walk(storage, "due", "open", **how) == expected
    assert await walk(storage, "unfinished", **how) == expected
    bounded = [item for item in items if item.due_ms in {3, 5}]
    expected = [item.id for item in bounded]
    if descending:
        expected.reverse()
    assert await walk(storage, "due", "open", at_least=3, at_most=5, **how) == expected
    with_done = await walk(storage, "due", **how)
    assert len(with_done) == 9


async def test_pages_are_stable_under_inserts(storage: Storage) -> None:
    await insert(storage, *(Item(id=f"i{n:02}", due_ms=n) for n in range(0, 40, 2)))
    seen: list[str] = []
    cursor = None
    for round_number in range(100):
        page = await storage.list(ITEMS, "due", "open", limit=3, cursor=cursor)
        seen += [item.id for item in page.items]
        cursor = page.next
        if cursor is None:
            break
        await insert(storage, Item(id=f"before{round_number}", due_ms=-1))
        await insert(storage, Item(id=f"same{round_number}", due_ms=page.items[0].due_ms))
    assert [each for each in seen if each[0] == "i"] == [f"i{n:02}" for n in range(0, 40, 2)]
    assert len(seen) == len(set(seen))


async def test_pages_are_stable_under_deletes(storage: Storage) -> None:
    """A cursor is a place, not a record: what goes away before or at it leaves no gap."""
    await insert(storage, *(Item(id=f"i{n:02}", due_ms=n // 4) for n in range(24)))
    seen: list[str] = []
    cursor = None
    while True:
        page = await storage.list(ITEMS, "due", "open", limit=5, cursor=cursor)
        seen += [item.id for item in page.items]
        unit = Unit()
        for item in (page.items[0], page.items[-1]):
            unit.delete(ITEMS, item)
        await storage.commit(unit)
        cursor = page.next
        if cursor is None:
            break
    assert seen == [f"i{n:02}" for n in range(24)]


async def test_a_record_that_moves_behind_the_cursor_is_met_again_and_no_other_is_lost(
    storage: Storage,
) -> None:
    await insert(storage, *(Item(id=f"i{n}", due_ms=n) for n in range(6)))
    page = await storage.list(ITEMS, "due", "open", limit=3)
    await storage.commit(Unit().update(ITEMS, replace(page.items[0], due_ms=9)))
    page = await storage.list(ITEMS, "due", "open", limit=9, cursor=page.next)
    assert [item.id for item in page.items] == ["i3", "i4", "i5", "i0"]


def forge(cursor: str, position: list[Any]) -> str:
    """Keep the list that a cursor names, and put another position into it."""
    known = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    told = json.dumps([known[0], *position]).encode()
    return base64.urlsafe_b64encode(told).decode().rstrip("=")


async def test_cursors_of_other_lists_are_refused(storage: Storage) -> None:
    await insert(storage, *(Item(id=f"i{n}") for n in range(4)))
    cursor = (await storage.list(ITEMS, "due", "open", limit=2)).next
    assert cursor is not None
    assert len((await storage.list(ITEMS, "due", "open", limit=9, cursor=cursor)).items) == 2
    for index, equals, descending in (
        ("due", ("held",), False),
        ("due", ("open",), True),
        ("unfinished", (), False),
    ):
        with pytest.raises(InvalidCursor):
            await storage.list(ITEMS, index, *equals, limit=2, cursor=cursor, descending=descending)
    for position in (["1", "i1"], [1, None], [1, 2], [True, "i1"], [2**63, "i1"], [1], [1.5, "i1"]):
        forged = forge(cursor, position)
        with pytest.raises(InvalidCursor):
            await storage.list(ITEMS, "due", "open", limit=2, cursor=forged)
    for nonsense in ("", "x", "☃", "W10", "e30", cursor[:-3], cursor + "A", "A" * 100_000):
        with pytest.raises(InvalidCursor):
            await storage.list(ITEMS, "due", "open", limit=2, cursor=nonsense)


async def test_limits_are_refused(storage: Storage) -> None:
    too_many = [f"i{n}" for n in range(MAX_ROWS + 1)]
    unit = Unit()
    for n in range(MAX_OPERATIONS + 1):
        published(unit, n)
    calls = [
        storage.get_many(ITEMS, too_many),
        storage.find_many(ITEMS, "note", too_many),
        storage.list(ITEMS, "due", limit=0),
        storage.list(ITEMS, "due", limit=MAX_ROWS + 1),
        storage.read_feed(EVENTS, after=0, limit=0),
        storage.claim(ITEMS, "due", limit=MAX_ROWS + 1, owner="w", now_ms=0, lease_ms=1),
        storage.commit(unit),
        storage.commit_all([Unit()] * (MAX_ROWS + 1)),
        storage.commit(Unit().insert(ITEMS, Item(id="a", due_ms=2**63))),
        storage.commit(Unit().insert(ITEMS, Item(id="a", note="x" * 5_000_000))),
        storage.commit(Unit().insert(ITEMS, Item(id="a", key="x" * 1_001))),
        storage.commit(Unit().insert(ITEMS, Item(id="x" * 1_001))),
        storage.commit(published(Unit(), 1, at_ms=2**63)),
        storage.commit(published(Unit(), 1, at_ms=-1)),
        storage.commit(Unit().publish(EVENTS, id="x" * 1_001, type="t", at_ms=0, object={})),
        storage.release(ITEMS, [LEASE] * (MAX_ROWS + 1)),
        storage.count(ITEMS, "due", "open", 2**63),
        storage.count(ITEMS, "due", limit=0),
        storage.count(ITEMS, "due", limit=MAX_COUNT + 1),
        storage.prune(ITEMS, "due", at_most="open", limit=0, now_ms=0),
        storage.prune(ITEMS, "due", at_most="open", limit=MAX_ROWS + 1, now_ms=0),
    ]
    for call in calls:
        with pytest.raises(LimitExceeded):
            await call
    with pytest.raises(ValueError, match="fewer fields"):
        await storage.count(ITEMS, "due", "open", 1, 2)
    with pytest.raises(ValueError, match="no field left"):
        await storage.list(ITEMS, "due", "open", 1, limit=1, at_least=0)
    with pytest.raises(ValueError, match="no field left"):
        await storage.prune(ITEMS, "due", "open", 1, at_most=0, limit=1, now_ms=0)


async def test_counts_stop_at_their_limit_and_bounds_leave_none_out(storage: Storage) -> None:
    await insert(storage, *(Item(id=f"i{n}", due_ms=n or None) for n in range(10)))
    assert await storage.count(ITEMS, "due", "open") == 10
    assert await storage.count(ITEMS, "due", "open", limit=4) == 4
    assert await storage.count(ITEMS, "due", "open", limit=10) == 10
    assert await storage.count(ITEMS, "due", "open", at_least=3, at_most=6) == 4
    assert await storage.count(ITEMS, "due", "open", at_most=6) == 6
    assert await storage.count(ITEMS, "unfinished", at_least=-5, limit=3) == 3
    assert await storage.count(ITEMS, "unfinished", at_least=10) == 0


async def test_a_lookup_that_finds_too_much_says_so(storage: Storage) -> None:
    for start in (0, MAX_ROWS):
        await insert(storage, *(Item(id=f"i{start + n}") for n in range(MAX_ROWS)))
    with pytest.raises(LimitExceeded):
        await storage.find_many(ITEMS, "note", [""])

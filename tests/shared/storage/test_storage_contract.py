"""What every engine behind the storage port has to keep; a new engine joins the list below."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import pytest

from shared.storage import (
    MAX_CONSUMERS,
    MAX_COUNT,
    MAX_DOCUMENT_BYTES,
    MAX_OPERATIONS,
    MAX_ROWS,
    Collection,
    Committed,
    DuplicateRecord,
    Feed,
    FeedTrimmed,
    GuardFailed,
    Index,
    InvalidCursor,
    Lease,
    LeaseLost,
    LimitExceeded,
    Migration,
    RecordMissing,
    Schema,
    SchemaTooNew,
    SqliteStorage,
    StaleRecord,
    Stamp,
    Storage,
    StorageClosed,
    StorageError,
    Tally,
    Unit,
    WrongContract,
    WrongNetwork,
    WrongService,
    tallies,
    written,
)
from shared.storage.mongo.engine import MongoStorage
from shared.storage.values import MAX_INDEXED_CHARS, MAX_INTEGER
from tests.mongo_server import Place


class State(StrEnum):
    OPEN = "open"
    HELD = "held"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    id: str
    version: int = 0
    owner: str = "alice"
    key: str | None = None
    state: State = State.OPEN
    due_ms: int | None = 0
    amount: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    id: str
    version: int = 0
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    id: str
    version: int = 0
    text: str


ITEMS = Collection(
    "items",
    Item,
    (
        Index("key", ("owner", "key"), unique=True),
        Index("one_held", ("owner",), unique=True, where=(("state", (State.HELD,)),)),
        Index("due", ("state", "due_ms")),
        Index("unfinished", ("due_ms",), where=(("state", (State.OPEN, State.HELD)),)),
        Index("note", ("note",)),
        Index("all", ("id",)),
    ),
    leased=True,
)
ENTRIES = Collection("entries", Entry)
BLOBS = Collection("blobs", Blob)
SPENT = tallies("spent")
EVENTS = Feed("events")
OTHER_EVENTS = Feed("other_events")
SCHEMA = Schema("shop", 1, (ITEMS, ENTRIES, BLOBS, SPENT), (EVENTS, OTHER_EVENTS))
STAMP = Stamp("devnet", "TContract")
LEASE = Lease(record_id="a", token=1, owner="w", until_ms=1)


class Engine(Protocol):
    """One database of some engine, which can be opened again and again.

    Attributes:
        is_shared: whether other services keep their records beside ours in it.
    """

    is_shared: bool

    async def open(self, schema: Schema = SCHEMA, stamp: Stamp = STAMP) -> Storage: ...

    async def open_backup(self, path: Path) -> Storage: ...


class SqliteEngine:
    is_shared = False

    def __init__(self, directory: Path) -> None:
        self.path = directory / "data" / "shop.db"

    async def open(self, schema: Schema = SCHEMA, stamp: Stamp = STAMP) -> Storage:
        return await SqliteStorage.open(self.path, schema, stamp)

    async def open_backup(self, path: Path) -> Storage:
        return await SqliteStorage.open(path, SCHEMA, STAMP)


class MongoEngine:
    is_shared = True

    def __init__(self, place: Place, directory: Path) -> None:
        self.place = place
        self.directory = directory

    async def open(self, schema: Schema = SCHEMA, stamp: Stamp = STAMP) -> Storage:
        options = self.place.options()
        return await MongoStorage.open(options, schema, stamp, copies=self.directory)

    async def open_backup(self, path: Path) -> Storage:
        return await SqliteStorage.open(path, SCHEMA, STAMP)


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongodb)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "sqlite":
        return SqliteEngine(tmp_path)
    return MongoEngine(request.getfixturevalue("mongo_place"), tmp_path)


@pytest.fixture
async def storage(engine: Engine) -> AsyncIterator[Storage]:
    opened = await engine.open()
    yield opened
    await opened.close()


async def insert(storage: Storage, *items: Item) -> None:
    unit = Unit()
    for item in items:
        unit.insert(ITEMS, item)
    await storage.commit(unit)


def published(unit: Unit, number: int, at_ms: int = 0) -> Unit:
    return unit.publish(EVENTS, id=f"e{number}", type="made", at_ms=at_ms, object={"n": number})


# Units


async def test_a_record_comes_back_as_it_was_written(storage: Storage) -> None:
    item = Item(id="a", key="k", state=State.DONE, due_ms=7)
    await insert(storage, item)
    found = await storage.get(ITEMS, "a")
    assert found == written(item)
    assert found is not None
    assert found.version == 1
    assert isinstance(found.state, State)
    assert await storage.get(ITEMS, "b") is None


async def test_what_is_as_large_as_allowed_is_stored(storage: Storage) -> None:
    """The longest id and key, the largest integers of an index, and a document near its limit."""
    longest = "🤖" * MAX_INDEXED_CHARS
    items = [
        Item(id=longest, key=longest, due_ms=MAX_INTEGER),
        Item(id="low", due_ms=-MAX_INTEGER),
        Item(id="large", due_ms=0),
    ]
    await insert(storage, *items)
    entry = Entry(id="large", amount=10**300)
    await storage.commit(Unit().insert(ENTRIES, entry))
    assert await storage.get(ENTRIES, "large") == written(entry)
    assert await walk(storage, "due", "open", limit=1) == ["low", "large", longest]
    assert await storage.find(ITEMS, "key", "alice", longest) == written(items[0])
    blob = Blob(id="large", text="é" * ((MAX_DOCUMENT_BYTES - 100) // 2))
    await storage.commit(Unit().insert(BLOBS, blob))
    assert await storage.get(BLOBS, "large") == written(blob)
    with pytest.raises(LimitExceeded):
        await storage.commit(Unit().insert(BLOBS, replace(blob, id="larger", text=blob.text * 2)))


async def test_text_is_ordered_by_its_code_points(storage: Storage) -> None:
    """Upper case before lower, the BMP's end before what follows it, NUL first of all."""
    notes = ["", "\x00", "A", "Z", "a", "z", "é", "\uffff", "🤖"]
    await insert(storage, *(Item(id=f"i{n}", note=note) for n, note in enumerate(notes)))
    assert await walk(storage, "note", limit=2) == [f"i{n}" for n in range(len(notes))]
    assert await storage.count(ITEMS, "note", at_most="Z") == 4
    assert await walk(storage, "note", limit=2, at_least="\uffff") == ["i7", "i8"]


async def test_big_integers_and_unicode_are_exact(storage: Storage) -> None:
    nul_and_more = 'naïve \x00 "☃" 🤖 \u2028 \\ 漢字'
    items = [
        Item(id="huge", amount=10**77 + 1),
        Item(id="low", amount=-(2**256)),
        Item(id="int64", due_ms=2**63 - 1),
        Item(id="ключ🔑", note=nul_and_more),
    ]
    await insert(storage, *items)
    found = await storage.get_many(ITEMS, [item.id for item in items])
    assert found == {item.id: written(item) for item in items}
    assert await storage.find_many(ITEMS, "note", [nul_and_more]) == [written(items[3])]


async def test_one_bad_guard_undoes_the_whole_unit(storage: Storage) -> None:
    old = Item(id="old")
    await insert(storage, old, Item(id="doomed"))
    doomed = await storage.get(ITEMS, "doomed")
    assert doomed is not None
    unit = Unit().insert(ITEMS, Item(id="new")).insert(ENTRIES, Entry(id="e", amount=1))
    unit.delete(ITEMS, doomed)
    published(unit, 1)
    unit.update(ITEMS, replace(old, version=7, note="changed"))
    with pytest.raises(StaleRecord) as caught:
        await storage.commit(unit)
    assert (caught.value.collection, caught.value.id, caught.value.version) == ("items", "old", 7)
    assert await storage.get(ITEMS, "new") is None
    assert await storage.get(ENTRIES, "e") is None
    assert await storage.get(ITEMS, "doomed") == doomed
    assert await storage.get(ITEMS, "old") == written(old)
    assert (await storage.read_feed(EVENTS, after=0, limit=10)).end == 0


async def test_an_update_names_the_version_it_saw(storage: Storage) -> None:
    first = written(Item(id="a"))
    await insert(storage, Item(id="a"))
    await storage.commit(Unit().update(ITEMS, replace(first, note="one")))
    with pytest.raises(StaleRecord):
        await storage.commit(Unit().update(ITEMS, replace(first, note="two")))
    assert await storage.get(ITEMS, "a") == replace(first, note="one", version=2)


async def test_a_guard_on_a_record_that_is_not_there_says_so(storage: Storage) -> None:
    ghost = Item(id="ghost", version=1)
    for unit in (
        Unit().update(ITEMS, ghost),
        Unit().delete(ITEMS, ghost),
        Unit().require(ITEMS, ghost),
    ):
        with pytest.raises(RecordMissing) as caught:
            await storage.commit(unit)
        assert caught.value.id == "ghost"


async def test_require_ties_a_unit_to_a_record_it_does_not_change(storage: Storage) -> None:
    """H14: what was read to decide is still true when the decision is stored."""
    sum_seen = Item(id="sum")
    await insert(storage, sum_seen)
    seen = written(sum_seen)
    await storage.commit(Unit().require(ITEMS, seen).insert(ITEMS, Item(id="within")))
    await storage.commit(Unit().update(ITEMS, replace(seen, amount=5)))
    with pytest.raises(StaleRecord):
        await storage.commit(Unit().require(ITEMS, seen).insert(ITEMS, Item(id="beyond")))
    assert await storage.get(ITEMS, "beyond") is None


async def test_operations_of_a_unit_see_each_other(storage: Storage) -> None:
    made = Item(id="a", key="k")
    unit = Unit().insert(ITEMS, made).update(ITEMS, replace(written(made), note="n"))
    unit.delete(ITEMS, replace(made, version=2)).insert(ITEMS, Item(id="b", key="k"))
    await storage.commit(unit)
    assert await storage.get(ITEMS, "a") is None
    assert await storage.get(ITEMS, "b") == Item(id="b", key="k", version=1)


async def test_duplicates_name_the_index_they_ran_into(storage: Storage) -> None:
    await insert(storage, Item(id="a", key="k"), Item(id="h", state=State.HELD))
    for item, index, values in (
        (Item(id="a"), "id", ("a",)),
        (Item(id="b", key="k"), "key", ("alice", "k")),
        (Item(id="c", state=State.HELD), "one_held", ("alice",)),
    ):
        with pytest.raises(DuplicateRecord) as caught:
            await insert(storage, item)
        assert caught.value.collection == "items"
        assert (caught.value.index, caught.value.values) == (index, values)
    with pytest.raises(DuplicateRecord):
        await storage.commit(Unit().update(ITEMS, Item(id="h", version=1, key="k")))


async def test_none_is_exempt_from_uniqueness_and_conditions_narrow_it(storage: Storage) -> None:
    await insert(storage, Item(id="a"), Item(id="b"), Item(id="c", state=State.HELD))
    await insert(storage, Item(id="d", owner="bob", state=State.HELD))
    held = await storage.find(ITEMS, "one_held", "bob")
    assert held is not None
    assert held.id == "d"
    assert await storage.find(ITEMS, "one_held", "carol") is None


async def test_of_64_writers_of_one_key_one_wins(storage: Storage) -> None:
    units = [Unit().insert(ITEMS, Item(id=f"i{n}", key="same")) for n in range(64)]
    outcomes = await asyncio.gather(*map(storage.commit, units), return_exceptions=True)
    assert sum(isinstance(each, Committed) for each in outcomes) == 1
    assert sum(isinstance(each, DuplicateRecord) for each in outcomes) == 63
    assert await storage.count(ITEMS, "key", "alice", "same") == 1


async def test_of_64_updates_of_one_version_one_wins(storage: Storage) -> None:
    await insert(storage, Item(id="a"))
    seen = await storage.get(ITEMS, "a")
    assert seen is not None
    units = [Unit().update(ITEMS, replace(seen, amount=n)) for n in range(64)]
    outcomes = await storage.commit_all(units)
    assert sum(isinstance(each, Committed) for each in outcomes) == 1
    assert sum(isinstance(each, StaleRecord) for each in outcomes) == 63


async def test_concurrent_transfers_keep_the_sum(storage: Storage) -> None:
    """Write skew: each moves between two of three accounts, and tells; none is half done."""
    accounts = [Item(id=f"a{n}", amount=100) for n in range(3)]
    await insert(storage, *accounts)

    async def move(number: int) -> int:
        tries = 0
        source, target = number % 3, (number + 1) % 3
        while True:
            tries += 1
            found = await storage.get_many(ITEMS, [f"a{source}", f"a{target}"])
            one, other = found[f"a{source}"], found[f"a{target}"]
            unit = Unit().update(ITEMS, replace(one, amount=one.amount - number))
            unit.update(ITEMS, replace(other, amount=other.amount + number))
            unit.insert(ENTRIES, Entry(id=f"e{number}", amount=number))
            try:
                await storage.commit(published(unit, number))
            except GuardFailed:
                continue
            return tries

    assert min(await asyncio.gather(*map(move, range(20)))) >= 1
    found = await storage.get_many(ITEMS, [f"a{n}" for n in range(3)])
    assert sum(each.amount for each in found.values()) == 300
    assert sum(each.version for each in found.values()) == 3 + 2 * 20
    assert len(await storage.get_many(ENTRIES, [f"e{n}" for n in range(20)])) == 20
    assert (await storage.read_feed(EVENTS, after=0, limit=1)).end == 20


async def test_units_committed_together_fail_one_by_one(storage: Storage) -> None:
    units = [published(Unit().insert(ITEMS, Item(id=name)), 1) for name in "abab"]
    first, second, third, fourth = await storage.commit_all(units)
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert first.feed_numbers == {"events": (1,)}
    assert second.feed_numbers == {"events": (2,)}
    assert isinstance(third, DuplicateRecord)
    assert isinstance(fourth, DuplicateRecord)
    assert await storage.commit_all([]) == []


async def test_an_empty_unit_commits(storage: Storage) -> None:
    assert await storage.commit(Unit()) == Committed(feed_numbers={})


async def test_what_cannot_be_read_back_is_refused_before_it_is_stored(storage: Storage) -> None:
    wrong: Any = Item(id="a", amount="1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="amount"):
        await storage.commit(Unit().insert(ITEMS, wrong))
    with pytest.raises(ValueError, match="version 3"):
        Unit().insert(ITEMS, Item(id="a", version=3))
    for refuse in (Unit().update, Unit().delete, Unit().require):
        with pytest.raises(ValueError, match="never stored"):
            refuse(ITEMS, Item(id="a"))
    other: Any = Entry(id="a", amount=1)
    for refuse in (Unit().insert, Unit().update, Unit().delete, Unit().require):
        with pytest.raises(TypeError, match="no record of items"):
            refuse(ITEMS, other)
    with pytest.raises(ValueError, match="no id"):
        await insert(storage, Item(id=""))
    with pytest.raises(TypeError, match="JSON object"):
        await storage.commit(Unit().publish(EVENTS, id="e", type="t", at_ms=0, object=[1]))
    with pytest.raises(ValueError, match="schema"):
        await storage.get(Collection("items", Item), "a")
    with pytest.raises(ValueError, match="schema"):
        await storage.read_feed(Feed("unknown"), after=0, limit=1)


async def test_a_bad_neighbour_does_not_harm_the_others(storage: Storage) -> None:
    nameless: Any = Item(id=["not", "text"], version=1)  # type: ignore[arg-type]
    bad = storage.commit(Unit().delete(ITEMS, nameless))
    good = [storage.commit(Unit().insert(ITEMS, Item(id=f"i{n}"))) for n in range(8)]
    outcomes = await asyncio.gather(*good[:4], bad, *good[4:], return_exceptions=True)
    assert isinstance(outcomes.pop(4), Exception)
    assert all(isinstance(each, Committed) for each in outcomes)


async def test_a_cancelled_commit_happens_entirely_or_not_at_all(storage: Storage) -> None:
    tasks = []
    for n in range(200):
        unit = Unit().insert(ITEMS, Item(id=f"i{n}")).insert(ENTRIES, Entry(id=f"i{n}", amount=n))
        tasks.append(asyncio.ensure_future(storage.commit(unit)))
        await asyncio.sleep(0)
        if n % 2:
            tasks[n].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await insert(storage, Item(id="last"))
    ids = [f"i{n}" for n in range(200)]
    items, entries = await storage.get_many(ITEMS, ids), await storage.get_many(ENTRIES, ids)
    assert items.keys() == entries.keys()
    kept = {each for each, told in zip(ids, outcomes, strict=True) if isinstance(told, Committed)}
    assert kept <= items.keys()
    assert len(kept) >= 100


# Reads


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


async def walk(storage: Storage, index: str, *equals: str | int, **how: Any) -> list[str]:
    """Collect the ids of all pages of a list."""
    ids: list[str] = []
    cursor = None
    while True:
        page = await storage.list(ITEMS, index, *equals, cursor=cursor, **how)
        ids += [item.id for item in page.items]
        cursor = page.next
        if cursor is None:
            return ids


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


# Leases


async def claim(storage: Storage, owner: str, now_ms: int, limit: int = 10) -> list[Any]:
    return await storage.claim(
        ITEMS, "due", "open", at_most=now_ms, limit=limit, owner=owner, now_ms=now_ms, lease_ms=100
    )


async def test_claims_take_the_first_due_and_leave_the_rest(storage: Storage) -> None:
    dues = [30, 10, 20, 2_000, None]
    await insert(storage, *(Item(id=f"i{n}", due_ms=due) for n, due in enumerate(dues)))
    first = await claim(storage, "w1", 1_000, limit=2)
    assert [each.record.id for each in first] == ["i1", "i2"]
    assert [(each.lease.token, each.lease.until_ms) for each in first] == [(1, 1_100)] * 2
    assert [each.record.id for each in await claim(storage, "w2", 1_000)] == ["i0"]
    assert await claim(storage, "w2", 1_099) == []
    again = await claim(storage, "w2", 1_100)
    assert [(each.record.id, each.lease.token) for each in again] == [
        ("i1", 2),
        ("i2", 2),
        ("i0", 2),
    ]


async def test_concurrent_claims_never_share(storage: Storage) -> None:
    await insert(storage, *(Item(id=f"i{n}") for n in range(300)))
    claims = [claim(storage, f"w{n}", 1, limit=7) for n in range(64)]
    got = [each.record.id for batch in await asyncio.gather(*claims) for each in batch]
    assert len(got) == len(set(got)) == 300


async def test_a_fence_refuses_the_old_holder(storage: Storage) -> None:
    await insert(storage, Item(id="a"))
    (old,) = await claim(storage, "w1", 0)
    await storage.commit(Unit().fence(ITEMS, old.lease))
    (new,) = await claim(storage, "w2", 100)
    changed = replace(new.record, state=State.DONE)
    with pytest.raises(LeaseLost) as caught:
        await storage.commit(Unit().update(ITEMS, changed).fence(ITEMS, old.lease))
    assert (caught.value.id, caught.value.token) == ("a", 1)
    with pytest.raises(LeaseLost):
        await storage.renew(ITEMS, old.lease, until_ms=900)
    await storage.release(ITEMS, [old.lease])
    await storage.commit(Unit().update(ITEMS, changed).fence(ITEMS, new.lease))


async def test_of_two_clocks_the_token_decides_who_works(storage: Storage) -> None:
    """A claimant whose clock runs ahead takes a lease early; the slow one's work is refused then."""
    await insert(storage, Item(id="a"))
    (slow,) = await claim(storage, "slow", 1_000)
    assert await claim(storage, "fast", 1_099) == []
    (fast,) = await claim(storage, "fast", 5_000)
    assert (slow.lease.until_ms, fast.lease.until_ms) == (1_100, 5_100)
    assert fast.lease.token == slow.lease.token + 1
    assert await claim(storage, "slow", 1_050) == []
    done = replace(fast.record, state=State.DONE)
    for unit in (
        Unit().update(ITEMS, done).fence(ITEMS, slow.lease),
        Unit().fence(ITEMS, slow.lease).update(ITEMS, done),
        Unit().release(ITEMS, slow.lease),
    ):
        with pytest.raises(LeaseLost):
            await storage.commit(unit)
    with pytest.raises(LeaseLost):
        await storage.renew(ITEMS, slow.lease, until_ms=9_000)
    await storage.release(ITEMS, [slow.lease])
    await storage.commit(Unit().update(ITEMS, done).release(ITEMS, fast.lease))
    assert await storage.get(ITEMS, "a") == written(done)


async def test_claimants_with_skewed_clocks_do_each_job_once(storage: Storage) -> None:
    """Whatever their clocks say, what a unit does under its fence happens once for each record."""
    jobs = [f"i{n}" for n in range(50)]
    await insert(storage, *(Item(id=name) for name in jobs))
    worked: list[str] = []

    async def work(number: int) -> None:
        owner, now_ms = f"w{number}", 1_000 + 70 * number
        while True:
            claimed = await claim(storage, owner, now_ms, limit=5)
            for each in claimed:
                name = each.record.id
                unit = Unit().fence(ITEMS, each.lease)
                unit.update(ITEMS, replace(each.record, state=State.DONE))
                try:
                    await storage.commit(unit.insert(ENTRIES, Entry(id=name, amount=number)))
                except (LeaseLost, StaleRecord):
                    continue
                worked.append(name)
            if not claimed and not await storage.count(ITEMS, "due", "open", limit=1):
                return
            now_ms += 40

    await asyncio.gather(*map(work, range(10)))
    assert sorted(worked) == sorted(jobs)
    assert (await storage.get_many(ENTRIES, jobs)).keys() == set(jobs)


async def test_a_released_record_is_free_and_its_token_spent(storage: Storage) -> None:
    await insert(storage, Item(id="a"))
    (first,) = await claim(storage, "w1", 0)
    await storage.release(ITEMS, [first.lease])
    with pytest.raises(LeaseLost):
        await storage.commit(Unit().fence(ITEMS, first.lease))
    (second,) = await claim(storage, "w1", 0)
    assert second.lease.token == 2
    update = Unit().update(ITEMS, replace(second.record, note="worked"))
    await storage.commit(update.release(ITEMS, second.lease))
    with pytest.raises(LeaseLost):
        await storage.commit(Unit().release(ITEMS, second.lease))
    (third,) = await claim(storage, "w2", 0)
    assert (third.lease.token, third.record.note) == (3, "worked")


async def test_a_renewed_lease_lasts_longer_under_its_token(storage: Storage) -> None:
    await insert(storage, Item(id="a"))
    (held,) = await claim(storage, "w1", 0)
    renewed = await storage.renew(ITEMS, held.lease, until_ms=500)
    assert (renewed.token, renewed.until_ms) == (1, 500)
    assert await claim(storage, "w2", 499) == []
    assert len(await claim(storage, "w2", 500)) == 1


async def test_tokens_never_return_even_when_the_record_does(storage: Storage) -> None:
    await insert(storage, Item(id="a"))
    (old,) = await claim(storage, "w1", 0)
    await storage.commit(Unit().delete(ITEMS, old.record))
    with pytest.raises(LeaseLost):
        await storage.commit(Unit().fence(ITEMS, old.lease))
    await insert(storage, Item(id="a"))
    (new,) = await claim(storage, "w1", 0)
    assert new.lease.token > old.lease.token


async def test_leases_need_a_leased_collection(storage: Storage) -> None:
    await insert(storage, Item(id="a"))
    (held,) = await claim(storage, "w1", 0)
    with pytest.raises(ValueError, match="no leases"):
        Unit().fence(ENTRIES, held.lease)
    with pytest.raises(ValueError, match="no leases"):
        await storage.release(ENTRIES, [held.lease])


# Retention


async def test_pruning_removes_the_oldest_in_bounded_steps(storage: Storage) -> None:
    dues = [5, None, 3, 9, 3, None, 7]
    await insert(storage, *(Item(id=f"i{n}", due_ms=due) for n, due in enumerate(dues)))
    await insert(storage, Item(id="done", state=State.DONE, due_ms=1))
    assert await storage.prune(ITEMS, "due", "open", at_most=7, limit=3, now_ms=0) == 3
    assert await walk(storage, "all", limit=9) == ["done", "i1", "i3", "i5", "i6"]
    assert await storage.prune(ITEMS, "due", "open", at_most=7, limit=3, now_ms=0) == 1
    assert await storage.prune(ITEMS, "due", "open", at_most=7, limit=3, now_ms=0) == 0
    assert await storage.prune(ITEMS, "due", "held", at_most=7, limit=3, now_ms=0) == 0
    assert await walk(storage, "all", limit=9) == ["done", "i1", "i3", "i5"]
    await insert(storage, Item(id="i0", key="again"))


async def test_pruning_spares_what_somebody_holds(storage: Storage) -> None:
    await insert(storage, *(Item(id=f"i{n}", due_ms=n) for n in range(3)))
    (held,) = await claim(storage, "w1", 0, limit=1)
    assert held.record.id == "i0"
    assert await storage.prune(ITEMS, "due", "open", at_most=9, limit=9, now_ms=99) == 2
    assert await walk(storage, "all", limit=9) == ["i0"]
    assert await storage.prune(ITEMS, "due", "open", at_most=9, limit=9, now_ms=100) == 1
    with pytest.raises(LeaseLost):
        await storage.commit(Unit().fence(ITEMS, held.lease))
    await insert(storage, Item(id="i0"))
    (again,) = await claim(storage, "w1", 0)
    assert again.lease.token > held.lease.token


async def test_what_was_pruned_stays_away_over_a_restart(engine: Engine) -> None:
    storage = await engine.open()
    await insert(storage, *(Item(id=f"i{n}", due_ms=n) for n in range(4)))
    assert await storage.prune(ITEMS, "unfinished", at_most=1, limit=9, now_ms=0) == 2
    await storage.close()
    storage = await engine.open()
    assert await walk(storage, "all", limit=9) == ["i2", "i3"]
    await storage.close()


# Limits over windows

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


# Feeds


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


# The life of a database


async def test_a_probe_of_healthy_storage_leaves_nothing_behind(storage: Storage) -> None:
    assert storage.trouble is None
    await storage.probe()
    assert storage.trouble is None
    assert await storage.count(ITEMS, "all") == 0
    assert (await storage.read_feed(EVENTS, after=0, limit=1)).end == 0


async def test_a_database_keeps_everything_over_a_restart(engine: Engine) -> None:
    first = await engine.open()
    await first.commit(published(Unit().insert(ITEMS, Item(id="a", key="k")), 1))
    await first.acknowledge(EVENTS, "c", 1, 0)
    await claim(first, "w", 0)
    incarnation = first.incarnation
    await first.close()
    second = await engine.open()
    assert second.incarnation == incarnation
    assert await second.find(ITEMS, "key", "alice", "k") == written(Item(id="a", key="k"))
    assert (await second.read_feed(EVENTS, after=0, limit=5)).end == 1
    assert await second.consumers(EVENTS) == {"c": 1}
    assert await claim(second, "w2", 99) == []
    assert await second.wait_feed(EVENTS, after=0, timeout_s=0)
    assert (await second.commit(published(Unit(), 2))).feed_numbers == {"events": (2,)}
    await second.close()


async def test_closing_finishes_what_is_queued(engine: Engine) -> None:
    storage = await engine.open()
    commits = [
        asyncio.ensure_future(storage.commit(Unit().insert(ITEMS, Item(id=f"i{n}"))))
        for n in range(50)
    ]
    waiting = asyncio.ensure_future(storage.wait_feed(EVENTS, after=0, timeout_s=60))
    await asyncio.sleep(0)
    await asyncio.gather(storage.close(), storage.close())
    assert all(isinstance(each, Committed) for each in await asyncio.gather(*commits))
    assert not await waiting
    for call in (
        storage.commit(Unit()),
        storage.get(ITEMS, "a"),
        storage.wait_feed(EVENTS, after=0, timeout_s=1),
    ):
        with pytest.raises(StorageClosed):
            await call
    again = await engine.open()
    assert await again.count(ITEMS, "all") == 50
    await again.close()


async def test_a_database_opens_only_for_what_it_is(engine: Engine) -> None:
    """H17: another network's data is refused, and left as it is."""
    newer = Schema("shop", 2, SCHEMA.collections, SCHEMA.feeds)
    storage = await engine.open(newer)
    await insert(storage, Item(id="a"))
    await storage.close()
    other = Schema("till", 2, SCHEMA.collections)
    others = [] if engine.is_shared else [(other, STAMP, WrongService, "shop")]
    for schema, stamp, error, found in (
        *others,
        (newer, Stamp("mainnet", "TContract"), WrongNetwork, "devnet"),
        (newer, Stamp("devnet", "TOther"), WrongContract, "TContract"),
        (SCHEMA, STAMP, SchemaTooNew, "2"),
    ):
        with pytest.raises(error) as caught:
            await engine.open(schema, stamp)
        assert isinstance(caught.value, StorageError)
        assert caught.value.found == found
    storage = await engine.open(newer)
    assert await storage.count(ITEMS, "all") == 1
    await storage.close()


async def test_a_backup_opens_and_equals(engine: Engine, storage: Storage, tmp_path: Path) -> None:
    """H5: a backup is another incarnation, so that consumers notice a restore."""
    items = [Item(id=f"i{n}", key=f"k{n}") for n in range(500)]
    await storage.commit(published(Unit(), 1))
    await insert(storage, *items)
    writes = [storage.commit(Unit().insert(ITEMS, Item(id=f"late{n}"))) for n in range(50)]
    path = tmp_path / "copy" / "shop.bak"
    path.parent.mkdir()
    await asyncio.gather(storage.backup(path), *writes)
    with pytest.raises(StorageError):
        await storage.backup(path)
    copy = await engine.open_backup(path)
    ids = [item.id for item in items]
    assert await copy.get_many(ITEMS, ids) == await storage.get_many(ITEMS, ids)
    assert (await copy.read_feed(EVENTS, after=0, limit=1)).end == 1
    assert copy.incarnation != storage.incarnation
    await copy.check()
    await storage.check()
    await copy.close()


async def test_migrations_carry_documents_forward(engine: Engine) -> None:
    storage = await engine.open()
    await insert(storage, *(Item(id=f"i{n:04}", note=f"{n}") for n in range(1_200)))
    await storage.close()
    steps = (
        Migration(3, "items", lambda doc: {**doc, "note": doc["note"] + "+three"}),
        Migration(2, "items", lambda doc: {**doc, "note": doc["note"] + "+two"}),
    )
    newer = Schema("shop", 3, SCHEMA.collections, SCHEMA.feeds, steps)
    for _ in range(2):
        storage = await engine.open(newer)
        found = await storage.find_many(ITEMS, "note", ["7+two+three"])
        assert found == [Item(id="i0007", note="7+two+three", version=1)]
        assert await storage.count(ITEMS, "all") == 1_200
        await storage.close()


async def test_a_migration_that_fails_changes_nothing(engine: Engine) -> None:
    storage = await engine.open()
    await insert(storage, *(Item(id=f"i{n}") for n in range(9)))
    await storage.close()
    broken = Migration(
        2, "items", lambda doc: {**doc, "note": 5 if doc["id"] == "i5" else "changed"}
    )
    with pytest.raises(StorageError):
        await engine.open(Schema("shop", 2, SCHEMA.collections, SCHEMA.feeds, (broken,)))
    storage = await engine.open()
    assert await storage.count(ITEMS, "note", "") == 9
    await storage.close()


async def test_new_indexes_are_filled_and_changed_ones_rebuilt(engine: Engine) -> None:
    bare = Collection("items", Item)
    storage = await engine.open(Schema("shop", 1, (bare,)))
    unit = Unit()
    for n in range(1_100):
        unit.insert(bare, Item(id=f"i{n}", key=f"k{n}", note=f"n{n % 2}"))
    await storage.commit(unit)
    await storage.close()

    storage = await engine.open()
    assert await storage.count(ITEMS, "note", "n1") == 550
    found = await storage.find(ITEMS, "key", "alice", "k77")
    assert found is not None
    assert len(await claim(storage, "w", 0)) == 10
    await storage.commit(Unit().update(ITEMS, replace(found, note="n1")))
    await storage.close()

    storage = await engine.open(Schema("shop", 1, (bare,)))
    await storage.commit(Unit().update(bare, replace(found, version=2, note="unseen")))
    await storage.close()
    storage = await engine.open()
    assert await storage.count(ITEMS, "note", "unseen") == 1
    await storage.close()

    unique_note = Collection("items", Item, (Index("note", ("note",), unique=True),))
    with pytest.raises(DuplicateRecord) as caught:
        await engine.open(Schema("shop", 1, (unique_note,)))
    assert caught.value.index == "note"

"""What every engine keeps of a unit: all of it or nothing, guards, versions, uniqueness."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from shared.storage import (
    MAX_DOCUMENT_BYTES,
    Collection,
    Committed,
    DuplicateRecord,
    Feed,
    GuardFailed,
    LimitExceeded,
    RecordMissing,
    StaleRecord,
    Storage,
    Unit,
    written,
)
from shared.storage.values import MAX_INDEXED_CHARS, MAX_INTEGER
from tests.shared.storage.contract.shop import (
    BLOBS,
    ENTRIES,
    EVENTS,
    ITEMS,
    Blob,
    Entry,
    Item,
    State,
    insert,
    published,
    walk,
)


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

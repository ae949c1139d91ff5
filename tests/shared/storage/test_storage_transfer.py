import asyncio
import contextlib
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from services.stack import TREE
from shared.storage import (
    DuplicateRecord,
    FeedTrimmed,
    LeaseLost,
    StorageFull,
    StorageLocked,
    StorageWithheld,
    Unit,
)
from shared.storage.errors import StorageCorrupt
from shared.storage.transfer import (
    Carried,
    Contents,
    Mark,
    MarkKind,
    Portable,
    StoredEvent,
    StoredRecord,
    TransferRefused,
    VerificationFailed,
    abandon,
    discard,
    load,
    move,
)
from shared.storage.transfer.canonical import Digest, canonical, same
from shared.storage.transfer.carry import events, records
from tests.mongo_server import database
from tests.shared.storage.places import (
    EMPTIED,
    JOBS,
    LINES,
    NEWS,
    SCHEMA,
    SPENT,
    START_MS,
    TRIMMED,
    Line,
    MongoPlace,
    Place,
    SqlitePlace,
    State,
    fill,
)

PAIRS = [
    pytest.param((source, target), id=f"{source} to {target}", marks=marks)
    for source in ("sqlite", "mongo")
    for target in ("sqlite", "mongo")
    for marks in ([pytest.mark.mongodb] if "mongo" in {source, target} else [],)
]


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    with ExitStack() as stack:

        def made(kind: str, name: str) -> Place:
            if kind == "sqlite":
                return SqlitePlace(tmp_path / name / "shop.sqlite3")
            return MongoPlace(stack.enter_context(database(request.getfixturevalue("mongo_url"))))

        source, target = request.param
        yield made(source, "source"), made(target, "target")


def nothing(_: int) -> None:
    """Take no notice of progress."""


async def filled(place: Place, *, lines: int = 10) -> None:
    storage = await place.storage()
    await fill(storage, lines=lines)
    await storage.close()


async def moved(source: Place, target: Place) -> list[Carried]:
    left, right = await source.portable(), await target.portable()
    try:
        return await move(left, right, progress=nothing)
    finally:
        await left.close()
        await right.close()


async def everything(
    place: Place,
) -> tuple[Contents, dict[str, list[StoredRecord]], dict[str, list[StoredEvent]]]:
    portable = await place.portable()
    contents = await portable.contents()
    held = {
        each.name: [
            replace(one, document=canonical(one.document))
            async for one in records(portable, each.name)
        ]
        for each in contents.collections
    }
    told = {
        each.name: [
            replace(one, document=canonical(one.document))
            async for one in events(portable, each.name)
        ]
        for each in contents.feeds
    }
    await portable.close()
    return contents, held, told


async def test_everything_that_a_database_holds_is_carried_exactly(
    pair: tuple[Place, Place],
) -> None:
    source, target = pair
    await filled(source)
    before = await everything(source)
    assert {name: len(held) for name, held in before[1].items()} == {
        "jobs": 3,
        "lines": 10,
        "spent": 1,
    }
    await moved(source, target)
    assert await everything(target) == before


async def test_a_carried_database_goes_on_with_the_same_history(pair: tuple[Place, Place]) -> None:
    source, target = pair
    storage = await source.storage()
    await fill(storage)
    incarnation = storage.incarnation
    jobs = {job.id: job for job in (await storage.list(JOBS, "due", State.OPEN, limit=10)).items}
    spent = await storage.get(SPENT, "day")
    await storage.close()
    await moved(source, target)

    storage = await target.storage()
    assert storage.incarnation == incarnation
    carried = (await storage.list(JOBS, "due", State.OPEN, limit=10)).items
    assert {job.id: job for job in carried} == jobs
    assert await storage.get(SPENT, "day") == spent
    assert await storage.consumers(NEWS) == {"gateway": 4, "router": 0}
    with pytest.raises(FeedTrimmed) as lost:
        await storage.read_feed(TRIMMED, after=0, limit=1)
    assert lost.value.start == 5
    published = await storage.commit(
        Unit()
        .publish(EMPTIED, id="next", type="n.told", at_ms=START_MS, object={})
        .publish(NEWS, id="next", type="n.told", at_ms=START_MS, object={})
    )
    assert published.feed_numbers == {"emptied": (8,), "news": (8,)}
    await storage.close()


async def test_leases_and_fencing_tokens_outlive_the_carrying(pair: tuple[Place, Place]) -> None:
    source, target = pair
    storage = await source.storage()
    await fill(storage)
    job = await storage.get(JOBS, "job_a")
    await storage.close()
    await moved(source, target)

    storage = await target.storage()
    late = await storage.claim(
        JOBS, "due", State.OPEN, limit=10, owner="w3", now_ms=START_MS + 10, lease_ms=5
    )
    assert [each.record.id for each in late] == ["job_a"], "job_b is still leased"
    assert job == late[0].record
    assert late[0].lease.token == 4
    with pytest.raises(LeaseLost):
        await storage.commit(Unit().fence(JOBS, replace(late[0].lease, token=3)))
    again = replace(late[0].record, id="job_gone", key="k3", version=0, due_ms=-1)
    await storage.commit(Unit().insert(JOBS, again))
    (taken,) = await storage.claim(
        JOBS, "due", State.OPEN, limit=1, owner="w3", now_ms=START_MS, lease_ms=5
    )
    assert (taken.record.id, taken.lease.token) == ("job_gone", 4), "tokens are never used again"
    await storage.close()


async def test_indexes_hold_in_the_carried_database(pair: tuple[Place, Place]) -> None:
    source, target = pair
    await filled(source)
    await moved(source, target)
    storage = await target.storage()
    known = await storage.find(JOBS, "key", "k1")
    assert known is not None
    with pytest.raises(DuplicateRecord) as refused:
        await storage.commit(Unit().insert(JOBS, replace(known, id="other", version=0)))
    assert refused.value.index == "key"
    await storage.check()
    await storage.close()


async def test_a_source_that_was_moved_opens_no_more_so_that_two_never_pay(
    pair: tuple[Place, Place],
) -> None:
    source, target = pair
    await filled(source)
    await moved(source, target)
    with pytest.raises(StorageWithheld, match="was moved to"):
        await source.storage()
    portable = await source.portable()
    mark = await portable.mark()
    assert mark is not None
    assert mark.kind is MarkKind.MOVED
    await portable.close()
    with pytest.raises(TransferRefused, match="is not in use"):
        await moved(source, target)


async def test_a_target_that_holds_something_is_refused_and_left_alone(
    pair: tuple[Place, Place],
) -> None:
    source, target = pair
    await filled(source)
    storage = await target.storage()
    await storage.commit(Unit().insert(LINES, Line(id="precious", text="1")))
    await storage.close()
    with pytest.raises(TransferRefused, match="is not empty: it holds 1 records"):
        await moved(source, target)
    storage = await target.storage()
    assert (await storage.get(LINES, "precious")) == Line(id="precious", version=1, text="1")
    await storage.close()
    storage = await source.storage()
    await storage.close()


async def test_a_target_whose_feeds_were_emptied_is_not_an_empty_one(
    pair: tuple[Place, Place],
) -> None:
    source, target = pair
    await filled(source)
    storage = await target.storage()
    await storage.commit(Unit().publish(NEWS, id="e", type="n.told", at_ms=1, object={}))
    await storage.trim_feed(NEWS, keep_after_ms=2)
    await storage.close()
    with pytest.raises(TransferRefused, match="is not empty"):
        await moved(source, target)


async def test_a_running_service_keeps_its_database_from_being_carried(
    pair: tuple[Place, Place],
) -> None:
    source, _ = pair
    storage = await source.storage()
    with pytest.raises(StorageLocked):
        await source.portable()
    await storage.close()


class Crash(Exception):
    """The process is gone."""


class DiesAfter:
    """A database whose process ends before a write is begun, or after it."""

    def __init__(self, inner: Portable, writes: list[int]) -> None:
        self._inner = inner
        self._left = writes

    def _count(self) -> None:
        if self._left[0] == 0:
            raise Crash
        self._left[0] -= 1

    @property
    def place(self) -> str:
        return self._inner.place

    async def contents(self) -> Contents:
        return await self._inner.contents()

    async def mark(self) -> Mark | None:
        return await self._inner.mark()

    async def set_mark(self, mark: Mark | None) -> None:
        self._count()
        await self._inner.set_mark(mark)
        self._count()

    async def records(self, collection: str, *, after: str) -> list[StoredRecord]:
        return await self._inner.records(collection, after=after)

    async def events(self, feed: str, *, after: int) -> list[StoredEvent]:
        return await self._inner.events(feed, after=after)

    async def last_record(self, collection: str) -> str:
        return await self._inner.last_record(collection)

    async def last_event(self, feed: str) -> int:
        return await self._inner.last_event(feed)

    async def put_records(self, collection: str, records: Sequence[StoredRecord]) -> None:
        self._count()
        await self._inner.put_records(collection, records)
        self._count()

    async def put_events(self, feed: str, events: Sequence[StoredEvent]) -> None:
        self._count()
        await self._inner.put_events(feed, events)
        self._count()

    async def put_contents(self, contents: Contents) -> None:
        self._count()
        await self._inner.put_contents(contents)
        self._count()

    async def clear(self) -> None:
        await self._inner.clear()

    async def close(self) -> None:
        await self._inner.close()


async def test_whenever_a_copy_ends_early_at_most_one_side_opens_and_it_can_go_on(
    pair: tuple[Place, Place],
) -> None:
    source, target = pair
    await filled(source)
    before = await everything(source)
    writes = 0
    while not await _opens(target):
        assert await _opens(source) or await _is_marked(source)
        left, right = await source.portable(), await target.portable()
        budget = [writes]
        with contextlib.suppress(Crash):
            await move(DiesAfter(left, budget), DiesAfter(right, budget), progress=nothing)
        await left.close()
        await right.close()
        writes += 1
    assert writes > 6, "it was cut before and after every write"
    assert await everything(target) == before
    assert not await _opens(source)


async def _is_marked(source: Place) -> bool:
    portable = await source.portable()
    mark = await portable.mark()
    await portable.close()
    return mark is not None and mark.kind in {MarkKind.MOVING, MarkKind.MOVED}


async def _opens(place: Place) -> bool:
    try:
        storage = await place.storage()
    except StorageWithheld:
        return False
    empty = (await storage.list(LINES, "all", limit=1)).items == []
    await storage.close()
    return not empty


async def test_a_copy_that_is_killed_goes_on_where_it_was(pair: tuple[Place, Place]) -> None:
    source, target = pair
    await filled(source, lines=2_500)
    before = await everything(source)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.shared.storage.places",
        source.described,
        target.described,
        "3",
        cwd=TREE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    assert await asyncio.wait_for(child.stdout.readline(), timeout=60) == b"holding\n"
    child.kill()
    await child.wait()

    with pytest.raises(StorageWithheld, match="is being moved to"):
        await source.storage()
    with pytest.raises(StorageWithheld, match="is not complete"):
        await target.storage()
    for each in (source, target):
        await each.outlive_the_dead()
    left, right = await source.portable(), await target.portable()
    assert await right.last_record("lines") >= "line_000499"
    dealt: list[int] = []
    await move(left, right, progress=dealt.append)
    await left.close()
    await right.close()
    total = before[0].count
    assert total < sum(dealt) < 2 * total, "what was there is read back, not carried again"
    assert await everything(target) == before


class FailsAt(DiesAfter):
    """A database that takes no more records from one collection on."""

    def __init__(self, inner: Portable, collection: str) -> None:
        super().__init__(inner, [-1])
        self._collection = collection

    async def put_records(self, collection: str, records: Sequence[StoredRecord]) -> None:
        if collection == self._collection:
            raise StorageFull("/data")
        await self._inner.put_records(collection, records)


async def fail_at(source: Place, target: Place, collection: str) -> None:
    """Leave a copy behind that is not complete."""
    left, right = await source.portable(), await target.portable()
    with pytest.raises(StorageFull):
        await move(left, FailsAt(right, collection), progress=nothing)
    await left.close()
    await right.close()


async def test_a_source_that_changed_in_between_is_noticed_and_the_target_stays_closed(
    pair: tuple[Place, Place],
) -> None:
    source, target = pair
    await filled(source)
    await fail_at(source, target, "spent")
    storage = await source.storage()
    line = await storage.get(LINES, "line_000003")
    assert line is not None
    await storage.commit(Unit().update(LINES, replace(line, text="changed")))
    await storage.close()

    with pytest.raises(VerificationFailed) as failure:
        await moved(source, target)
    assert (failure.value.part, failure.value.key) == ("c_lines", "line_000003")
    with pytest.raises(StorageWithheld):
        await target.storage()
    storage = await source.storage()
    await storage.close()

    right = await target.portable()
    await discard(right)
    await right.close()
    before = await everything(source)
    await moved(source, target)
    assert await everything(target) == before


async def test_while_it_is_carried_a_database_does_not_open_and_a_copy_can_be_given_up(
    pair: tuple[Place, Place],
) -> None:
    source, target = pair
    await filled(source)
    before = await everything(source)
    left, right = await source.portable(), await target.portable()
    budget = [5]
    with pytest.raises(Crash):
        await move(DiesAfter(left, budget), DiesAfter(right, budget), progress=nothing)
    for each in (left, right):
        await each.close()
    with pytest.raises(StorageWithheld, match=r"being moved to .* --abandon"):
        await source.storage()

    left, right = await source.portable(), await target.portable()
    await abandon(left, right)
    with pytest.raises(TransferRefused, match="no unfinished copy"):
        await abandon(left, right)
    for each in (left, right):
        await each.close()
    assert await everything(source) == before
    storage = await source.storage()
    await storage.close()
    await moved(source, target)
    assert await everything(target) == before


async def test_what_is_being_moved_to_one_place_is_not_moved_to_another(
    pair: tuple[Place, Place], tmp_path: Path
) -> None:
    source, target = pair
    await filled(source)
    left, right = await source.portable(), await target.portable()
    budget = [5]
    with pytest.raises(Crash):
        await move(DiesAfter(left, budget), DiesAfter(right, budget), progress=nothing)
    await left.close()
    await right.close()
    with pytest.raises(TransferRefused, match="is not in use: it is being moved to"):
        await moved(source, SqlitePlace(tmp_path / "third.sqlite3"))


async def test_a_retired_database_can_be_filled_anew_and_one_in_use_cannot(
    pair: tuple[Place, Place],
) -> None:
    source, target = pair
    await filled(source)
    await moved(source, target)
    before = await everything(target)
    with pytest.raises(TransferRefused, match="is not empty: it was moved to"):
        await moved(target, source)
    portable = await target.portable()
    with pytest.raises(TransferRefused, match="no copy that was left behind"):
        await discard(portable)
    await portable.close()
    portable = await source.portable()
    await discard(portable)
    await portable.close()
    with pytest.raises(StorageWithheld, match="was emptied"):
        await source.storage()
    await moved(target, source)
    assert await everything(source) == before


class Forgetful(DiesAfter):
    """A database that says it stored everything and lost the last of each piece."""

    def __init__(self, inner: Portable) -> None:
        super().__init__(inner, [-1])

    async def put_records(self, collection: str, records: Sequence[StoredRecord]) -> None:
        if records[:-1]:
            await self._inner.put_records(collection, records[:-1])


async def test_a_target_that_lies_is_found_out_by_reading_back(pair: tuple[Place, Place]) -> None:
    source, target = pair
    await filled(source)
    left, right = await source.portable(), await target.portable()
    with pytest.raises(VerificationFailed) as failure:
        await move(left, Forgetful(right), progress=nothing)
    assert failure.value.part == "c_jobs"
    assert await left.mark() is None, "the source is still the one to use"
    await left.close()
    await right.close()


async def test_the_digest_of_a_collection_says_what_it_holds(pair: tuple[Place, Place]) -> None:
    source, target = pair
    await filled(source)
    carried = {each.part: each for each in await moved(source, target)}
    assert {part: each.count for part, each in carried.items()} == {
        "c_jobs": 3,
        "c_lines": 10,
        "c_spent": 1,
        "f_emptied": 0,
        "f_news": 7,
        "f_silent": 0,
        "f_trimmed": 3,
    }
    assert len({each.sha256 for each in carried.values() if each.count}) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"document": b'{"a":100000000000000000000000000000000001}'},
        {"document": b'{"a":"1"}'},
        {"lease": (2, None, None)},
        {"lease": None},
        {"id": "y"},
    ],
)
def test_whatever_differs_in_a_record_is_a_difference(change: dict[str, object]) -> None:
    held = StoredRecord(
        id="x",
        version=1,
        document=b'{"a":100000000000000000000000000000000000}',
        lease=(1, None, None),
    )
    other = replace(held, **change)  # type: ignore[arg-type]
    assert not same(held, other)
    assert digest_of(held) != digest_of(other)


def test_the_order_of_keys_and_their_spacing_are_no_difference() -> None:
    held = StoredEvent(seq=1, id="e", type="t", at_ms=1, document=b'{"a": 1, "b": "\\u00fc"}')
    other = replace(held, document='{"b":"\u00fc","a":1}'.encode())
    assert same(held, other)
    assert digest_of(held) == digest_of(other)


def digest_of(*held: StoredRecord | StoredEvent) -> str:
    digest = Digest()
    for each in held:
        digest.add(each)
    return digest.hexdigest()


async def test_a_database_of_another_service_is_not_carried(tmp_path: Path) -> None:
    left = SqlitePlace(tmp_path / "a.sqlite3")
    await filled(left)
    source, target = await left.portable(), await SqlitePlace(tmp_path / "b.sqlite3").portable()

    class Other(DiesAfter):
        async def contents(self) -> Contents:
            held = await super().contents()
            return replace(held, identity=replace(held.identity, service="bakery"))

    with pytest.raises(TransferRefused, match="not for the same service"):
        await move(source, Other(target, [-1]), progress=nothing)
    await source.close()
    await target.close()


async def test_a_collection_that_the_target_does_not_know_is_not_left_behind_silently(
    tmp_path: Path,
) -> None:
    left = SqlitePlace(tmp_path / "a.sqlite3")
    await filled(left)
    source, target = await left.portable(), await SqlitePlace(tmp_path / "b.sqlite3").portable()

    class Older(DiesAfter):
        async def contents(self) -> Contents:
            held = await super().contents()
            return replace(held, collections=held.collections[:1], feeds=())

    with pytest.raises(TransferRefused, match=r"does not know: feed emptied, .*lines"):
        await move(source, Older(target, [-1]), progress=nothing)
    await source.close()
    await target.close()


async def test_a_document_that_is_not_the_record_it_stands_for_is_refused(
    pair: tuple[Place, Place],
) -> None:
    _, target = pair
    portable = await target.portable()
    wrong = StoredRecord(
        id="a", version=1, document=b'{"id":"b","version":1,"text":""}', lease=None
    )
    with pytest.raises(StorageCorrupt, match="holds another record"):
        await portable.put_records("lines", [wrong])
    assert await portable.records("lines", after="") == []
    await portable.close()


async def test_h5_a_loaded_backup_is_another_history_and_its_source_stays_usable(
    pair: tuple[Place, Place],
) -> None:
    source, target = pair
    await filled(source)
    before = await everything(source)
    left, right = await source.portable(), await target.portable()
    fresh = uuid.uuid4().hex
    await load(left, right, incarnation=fresh, progress=nothing)
    await left.close()
    await right.close()
    held = await everything(target)
    assert held[0].identity == replace(before[0].identity, incarnation=fresh)
    assert held[1:] == before[1:]
    storage = await source.storage()
    assert storage.incarnation == before[0].identity.incarnation
    await storage.close()


def test_every_kind_of_thing_in_the_schema_is_in_these_tests() -> None:
    assert {each.name for each in SCHEMA.feeds} >= {NEWS.name, TRIMMED.name, EMPTIED.name}

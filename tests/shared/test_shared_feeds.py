import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared.clock import HeldClock, rfc3339
from shared.errors import BadCursor
from shared.feeds import FeedFollower, FeedLost, FeedReset, FeedSource
from shared.models.wire import BlockRef, FeedView, View
from shared.peers.caller import PeerRefused, PeerUnavailable
from shared.storage import Feed, Schema, SqliteStorage, Stamp, Unit
from tests.support import START_MS

NEWS = Feed("news")
SCHEMA = Schema(service="usdt-manager", version=1, collections=(), feeds=(NEWS,))
SOLID = BlockRef(height=7, block_id="ab" * 32, timestamp_ms=START_MS)


class Note(View):
    text: str


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[SqliteStorage]:
    stamp = Stamp(network="devnet", contract="usdt")
    opened = await SqliteStorage.open(tmp_path / "news.sqlite3", SCHEMA, stamp)
    yield opened
    await opened.close()


async def publish(storage: SqliteStorage, *numbers: int) -> None:
    unit = Unit()
    for number in numbers:
        unit.publish(
            NEWS,
            id=f"evt_{number}",
            type="note.written",
            at_ms=START_MS + number,
            object={"text": str(number), "not_for_the_wire": True},
        )
    await storage.commit(unit)


def source_of(storage: SqliteStorage, *, solid: bool = True) -> FeedSource[Note]:
    async def as_of() -> BlockRef | None:
        return SOLID

    return FeedSource(
        storage=storage,
        feed=NEWS,
        view=Note,
        clock=HeldClock(START_MS),
        as_of=as_of if solid else None,
    )


async def test_a_feed_is_read_page_by_page_in_order(storage: SqliteStorage) -> None:
    await publish(storage, 1, 2, 3, 4, 5)
    source = source_of(storage)
    cursor, pages = "", []
    for _ in range(3):
        page = await source.page(after=cursor, limit=2, wait_s=0)
        pages.append([item.object.text for item in page.items])
        cursor = page.next
    assert pages == [["1", "2"], ["3", "4"], ["5"]]
    assert cursor == f"{storage.incarnation}.5"


async def test_an_event_is_told_as_the_wire_knows_it(storage: SqliteStorage) -> None:
    await publish(storage, 1)
    page = await source_of(storage).page(after="", limit=10, wait_s=0)
    assert page.model_dump()["items"] == [
        {
            "seq": 1,
            "id": "evt_1",
            "type": "note.written",
            "at": rfc3339(START_MS + 1),
            "object": {"text": "1"},
        }
    ]


async def test_the_solid_block_is_told_only_with_the_end_of_the_feed(
    storage: SqliteStorage,
) -> None:
    source = source_of(storage)
    assert (await source.page(after="", limit=10, wait_s=0)).as_of == SOLID
    await publish(storage, 1, 2)
    first = await source.page(after="", limit=1, wait_s=0)
    assert first.as_of is None
    assert (await source.page(after=first.next, limit=1, wait_s=0)).as_of == SOLID
    without = source_of(storage, solid=False)
    assert (await without.page(after=first.next, limit=1, wait_s=0)).as_of is None


async def test_a_reader_at_the_end_waits_for_the_next_event(storage: SqliteStorage) -> None:
    source = source_of(storage)
    async with asyncio.timeout(5):
        reading = asyncio.create_task(source.page(after="", limit=10, wait_s=30))
        await asyncio.sleep(0)
        await publish(storage, 1)
        assert [item.seq for item in (await reading).items] == [1]


@pytest.mark.parametrize("cursor", ["0123456789abcdef.3", "{}.9"], ids=["other", "lost tail"])
async def test_h5_a_cursor_of_another_history_forces_a_resync(
    storage: SqliteStorage, cursor: str
) -> None:
    source = source_of(storage)
    cursor = cursor.format(storage.incarnation)
    for ask in (
        source.page(after=cursor, limit=1, wait_s=0),
        source.acknowledge(consumer="gateway", cursor=cursor),
    ):
        with pytest.raises(FeedReset) as refusal:
            await ask
        assert refusal.value.facts == {"incarnation": storage.incarnation}


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "5",
        ".5",
        "{}",
        "{}.",
        "{}.x",
        "{}.-1",
        "{}.1.5",
        "{}.\u0661",
        "{}." + "9" * 5_000,
    ],
)
async def test_a_cursor_that_was_not_issued_is_refused(storage: SqliteStorage, cursor: str) -> None:
    source = source_of(storage)
    refusals = (BadCursor, FeedReset) if cursor.count(".") > 1 else BadCursor
    with pytest.raises(refusals):
        await source.page(after=cursor.format(storage.incarnation), limit=1, wait_s=0)
    with pytest.raises(refusals):
        await source.acknowledge(consumer="gateway", cursor=cursor.format(storage.incarnation))


async def test_h13_a_cursor_before_the_start_of_the_feed_is_an_error(
    storage: SqliteStorage,
) -> None:
    await publish(storage, 1, 2, 3)
    await storage.trim_feed(NEWS, keep_after_ms=START_MS + 3)
    source = source_of(storage)
    with pytest.raises(FeedLost):
        await source.page(after=f"{storage.incarnation}.1", limit=1, wait_s=0)
    with pytest.raises(FeedLost):
        await source.acknowledge(consumer="gateway", cursor=f"{storage.incarnation}.1")


async def test_who_joins_late_starts_at_the_oldest_event_that_is_kept(
    storage: SqliteStorage,
) -> None:
    await publish(storage, 1, 2, 3)
    await storage.trim_feed(NEWS, keep_after_ms=START_MS + 3)
    page = await source_of(storage).page(after="", limit=10, wait_s=0)
    assert [item.object.text for item in page.items] == ["3"]

    await storage.trim_feed(NEWS, keep_after_ms=START_MS + 1_000)
    empty = await source_of(storage).page(after="", limit=10, wait_s=0)
    assert (empty.items, empty.next) == ([], f"{storage.incarnation}.3")
    assert empty.as_of == SOLID


async def test_h13_nothing_is_dropped_that_a_consumer_has_not_acknowledged(
    storage: SqliteStorage,
) -> None:
    await publish(storage, 1, 2, 3)
    await source_of(storage).acknowledge(consumer="gateway", cursor=f"{storage.incarnation}.1")
    assert await storage.consumers(NEWS) == {"gateway": 1}
    assert await storage.trim_feed(NEWS, keep_after_ms=START_MS + 1_000) == 1


@dataclass
class Consumer:
    """Keeps the cursor and the notes, and writes down the order of what happens."""

    cursor: str = ""
    notes: list[str] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    refuses_pages: bool = False

    async def load(self) -> str:
        return self.cursor

    async def apply(self, page: FeedView[Note]) -> None:
        if self.refuses_pages:
            raise OSError("disk full")
        self.notes += [item.object.text for item in page.items]
        self.cursor = page.next
        self.happened.append("applied")

    async def resync(self) -> None:
        self.cursor, self.notes = "", []
        self.happened.append("resynced")


def follower_of(
    storage: SqliteStorage,
    consumer: Consumer,
    refusal: Exception | None = None,
    bell: "Bell | None" = None,
) -> FeedFollower[Note]:
    source = source_of(storage)

    async def pages(*, after: str, limit: int, wait_s: int) -> FeedView[Note]:
        if refusal is not None:
            raise refusal
        try:
            return await source.page(after=after, limit=limit, wait_s=wait_s)
        except (FeedReset, FeedLost) as problem:
            document = problem.document(request_id="", instance="")
            raise PeerRefused(peer="usdt-manager", status=409, document=document) from None

    async def acknowledge(cursor: str) -> None:
        consumer.happened.append("acknowledged")
        await source.acknowledge(consumer="tester", cursor=cursor)

    return FeedFollower(
        pages=pages,
        load_cursor=consumer.load,
        apply=consumer.apply,
        acknowledge=acknowledge,
        resync=consumer.resync,
        alarms=bell,
        limit=2,
        wait_s=0,
    )


async def test_a_follower_applies_a_page_before_it_acknowledges_it(storage: SqliteStorage) -> None:
    await publish(storage, 1, 2, 3)
    consumer = Consumer()
    follower = follower_of(storage, consumer)
    assert await follower.follow()
    assert await follower.follow()
    assert consumer.notes == ["1", "2", "3"]
    assert consumer.happened == ["applied", "acknowledged"] * 2
    assert await storage.consumers(NEWS) == {"tester": 3}


async def test_a_page_that_could_not_be_stored_is_not_acknowledged(storage: SqliteStorage) -> None:
    await publish(storage, 1)
    consumer = Consumer(refuses_pages=True)
    with pytest.raises(OSError, match="disk full"):
        await follower_of(storage, consumer).follow()
    assert consumer.happened == []
    assert await storage.consumers(NEWS) == {}


async def test_the_same_cursor_is_acknowledged_once(storage: SqliteStorage) -> None:
    await publish(storage, 1)
    consumer = Consumer()
    follower = follower_of(storage, consumer)
    for _ in range(3):
        await follower.follow()
    assert consumer.happened == ["applied", "acknowledged", "applied", "applied"]


async def test_h5_a_follower_of_a_restored_publisher_resyncs_and_goes_on(
    storage: SqliteStorage,
) -> None:
    await publish(storage, 1, 2)
    consumer = Consumer(cursor="0123456789abcdef.9", notes=["from before"])
    follower = follower_of(storage, consumer)
    assert not await follower.follow()
    assert consumer.happened == ["resynced"]
    assert await follower.follow()
    assert consumer.notes == ["1", "2"]


async def test_h13_a_follower_that_lost_events_resyncs_and_is_paced(
    storage: SqliteStorage,
) -> None:
    await publish(storage, 1, 2, 3)
    await storage.trim_feed(NEWS, keep_after_ms=START_MS + 3)
    consumer = Consumer(cursor=f"{storage.incarnation}.1")
    follower = follower_of(storage, consumer)
    assert not await follower.follow()
    assert consumer.happened == ["resynced"]
    assert await follower.follow()
    assert consumer.notes == ["3"]


@pytest.mark.parametrize(
    "trouble",
    [
        PeerUnavailable("away"),
        PeerRefused(peer="usdt-manager", status=403, document={"code": "LUCID_ERR_1201"}),
    ],
)
async def test_any_other_trouble_is_the_loops_and_changes_nothing(
    storage: SqliteStorage, trouble: Exception
) -> None:
    consumer = Consumer(cursor="kept")
    with pytest.raises(type(trouble)):
        await follower_of(storage, consumer, trouble).follow()
    assert consumer.cursor == "kept"
    assert consumer.happened == []


@pytest.mark.parametrize("code", ["LUCID_ERR_1403", "LUCID_ERR_1404"])
async def test_h13_a_resync_is_an_alarm_in_the_log(
    storage: SqliteStorage, written: Callable[[], list[dict[str, Any]]], code: str
) -> None:
    consumer = Consumer(cursor="0123456789abcdef.9")
    refusal = PeerRefused(peer="usdt-manager", status=409, document={"code": code})
    assert not await follower_of(storage, consumer, refusal).follow()
    (line,) = [line for line in written() if line["event"] == "feed.reset"]
    assert (line["level"], line["peer"], line["code"]) == ("critical", "usdt-manager", code)


class Bell:
    """Notes whom it was rung for."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, str, str]] = []

    async def raise_alarm(self, kind: str, subject: str, *, detail: str) -> None:
        self.rung.append((kind, subject, detail))


@pytest.mark.parametrize(
    ("code", "said"), [("LUCID_ERR_1403", "was set back"), ("LUCID_ERR_1404", "no longer has")]
)
async def test_h13_a_follower_that_lost_its_place_calls_a_person_before_it_resyncs(
    storage: SqliteStorage, code: str, said: str
) -> None:
    consumer, bell = Consumer(cursor="0123456789abcdef.9"), Bell()
    refusal = PeerRefused(peer="usdt-manager", status=409, document={"code": code})
    assert not await follower_of(storage, consumer, refusal, bell).follow()
    ((kind, subject, detail),) = bell.rung
    assert (kind, subject) == ("feed_broken", "usdt-manager")
    assert said in detail
    assert consumer.happened == ["resynced"]


async def test_h5_a_restored_publisher_knows_no_cursor_of_before_whatever_its_number(
    storage: SqliteStorage, tmp_path: Path
) -> None:
    """A restored feed gives its next events numbers that other events had before."""
    await publish(storage, 1, 2)
    backup = tmp_path / "copy.sqlite3"
    await storage.backup(backup)
    await publish(storage, 3)
    consumer = Consumer()
    follower = follower_of(storage, consumer)
    for _ in range(2):
        await follower.follow()
    assert consumer.notes == ["1", "2", "3"]

    restored = await SqliteStorage.open(backup, SCHEMA, Stamp(network="devnet", contract="usdt"))
    await publish(restored, 30)
    follower = follower_of(restored, consumer)
    assert not await follower.follow()
    for _ in range(2):
        await follower.follow()
    assert consumer.notes == ["1", "2", "30"]
    await restored.close()

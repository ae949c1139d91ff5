"""Retention of feeds: what is old goes, and never past a consumer (H13)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.alarms import ALARM_COLLECTIONS, ALARM_FEEDS, Alarms
from shared.clock import HeldClock
from shared.feed_keeping import FeedKeeper, FeedLimits, UnknownConsumer
from shared.feeds import FeedLost, FeedSource
from shared.ids import new_id
from shared.metrics import Metrics
from shared.models.wire import View
from shared.storage import Feed, Schema, Stamp, Storage, Unit
from tests.engines import Engine, MongoEngine, SqliteEngine
from tests.support import START_MS

NEWS = Feed("news")
SCHEMA = Schema(
    service="usdt-manager",
    version=1,
    collections=ALARM_COLLECTIONS,
    feeds=(NEWS, *ALARM_FEEDS),
)
DAY_MS = 86_400_000


class Note(View):
    text: str


class Desk:
    """A feed with its keeper."""

    def __init__(self, storage: Storage, *, keep_events: int = 1_000) -> None:
        self.storage = storage
        self.clock = HeldClock(START_MS)
        self.metrics = Metrics()
        self.alarms = Alarms(storage=storage, clock=self.clock, new_id=new_id, metrics=self.metrics)
        self.keeper = FeedKeeper(
            storage=storage,
            feeds=(NEWS,),
            limits=FeedLimits(keep_ms=10 * DAY_MS, keep_events=keep_events, vanished_ms=DAY_MS),
            alarms=self.alarms,
            clock=self.clock,
            metrics=self.metrics,
        )
        self.source = FeedSource(storage=storage, feed=NEWS, view=Note, clock=self.clock)

    async def publish(self, count: int = 1) -> None:
        for _ in range(count):
            unit = Unit().publish(
                NEWS,
                id=new_id("evt"),
                type="note.written",
                at_ms=self.clock.now_ms(),
                object={"text": "news"},
            )
            await self.storage.commit(unit)
            self.clock.advance(milliseconds=1)

    async def acknowledge(self, consumer: str, number: int) -> None:
        cursor = f"{self.storage.incarnation}.{number}"
        await self.source.acknowledge(consumer=consumer, cursor=cursor)

    async def kept(self) -> tuple[int, int]:
        (standing,) = await self.keeper.standing()
        return standing.first, standing.last


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongodb)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "sqlite":
        return SqliteEngine(tmp_path)
    return MongoEngine(request.getfixturevalue("mongo_place"), tmp_path)


@pytest.fixture
async def storage(engine: Engine) -> AsyncIterator[Storage]:
    opened = await engine.open(SCHEMA, Stamp(network="devnet", contract="usdt"))
    yield opened
    await opened.close()


@pytest.fixture
def desk(storage: Storage) -> Desk:
    return Desk(storage)


async def test_what_is_old_goes_and_what_is_not_stays(desk: Desk) -> None:
    await desk.publish(3)
    desk.clock.advance(milliseconds=11 * DAY_MS)
    await desk.publish(2)
    await desk.keeper.keep()
    assert await desk.kept() == (4, 5)


async def test_h13_retention_never_passes_the_slowest_registered_consumer(desk: Desk) -> None:
    await desk.publish(5)
    await desk.acknowledge("slow", 2)
    await desk.acknowledge("fast", 5)
    desk.clock.advance(milliseconds=1_000 * DAY_MS)
    await desk.keeper.keep()
    assert await desk.kept() == (3, 5)
    page = await desk.source.page(after=f"{desk.storage.incarnation}.2", limit=10, wait_s=0)
    assert [item.seq for item in page.items] == [3, 4, 5]
    await desk.acknowledge("slow", 4)
    await desk.keeper.keep()
    assert await desk.kept() == (5, 5)


async def test_h13_retention_by_number_never_passes_a_consumer_either(
    storage: Storage,
) -> None:
    desk = Desk(storage, keep_events=4)
    await desk.publish(10)
    await desk.acknowledge("slow", 3)
    await desk.keeper.keep()
    assert await desk.kept() == (4, 10)
    await desk.acknowledge("slow", 10)
    await desk.keeper.keep()
    assert await desk.kept() == (7, 10)


async def test_h13_a_cursor_of_before_what_is_kept_is_an_error_and_never_a_skip(
    desk: Desk,
) -> None:
    await desk.publish(3)
    desk.clock.advance(milliseconds=11 * DAY_MS)
    await desk.keeper.keep()
    await desk.publish(1)
    with pytest.raises(FeedLost):
        await desk.source.page(after=f"{desk.storage.incarnation}.1", limit=10, wait_s=0)


async def test_h13_a_consumer_that_vanished_is_an_alarm_until_it_is_back(desk: Desk) -> None:
    await desk.publish(2)
    await desk.acknowledge("books", 1)
    desk.clock.advance(milliseconds=DAY_MS - 10)
    await desk.keeper.keep()
    assert desk.alarms.open() == []
    desk.clock.advance(milliseconds=20)
    await desk.keeper.keep()
    (alarm,) = desk.alarms.open()
    assert (alarm.kind, alarm.subject) == ("feed_consumer_vanished", "news/books")
    assert "1 events" in alarm.detail
    await desk.acknowledge("books", 2)
    await desk.keeper.keep()
    assert desk.alarms.open() == []


async def test_a_consumer_of_a_quiet_feed_has_not_vanished(desk: Desk) -> None:
    await desk.publish(1)
    await desk.acknowledge("books", 1)
    desk.clock.advance(milliseconds=300 * DAY_MS)
    await desk.keeper.keep()
    assert desk.alarms.open() == []


async def test_a_dismissed_consumer_holds_nothing_back_any_more(desk: Desk) -> None:
    await desk.publish(2)
    await desk.acknowledge("gone", 0)
    desk.clock.advance(milliseconds=20 * DAY_MS)
    await desk.keeper.keep()
    assert await desk.kept() == (1, 2)
    assert len(desk.alarms.open()) == 1
    await desk.keeper.dismiss("news", "gone", by="ada")
    assert desk.alarms.open() == []
    await desk.keeper.keep()
    assert await desk.kept() == (3, 2)
    for feed, consumer in (("news", "gone"), ("none", "gone")):
        with pytest.raises(UnknownConsumer):
            await desk.keeper.dismiss(feed, consumer, by="ada")


async def test_feeds_and_their_consumers_are_metrics(desk: Desk) -> None:
    await desk.keeper.keep()
    await desk.publish(3)
    await desk.acknowledge("books", 1)
    await desk.keeper.keep()
    shown = desk.metrics.render().decode()
    assert 'lucid_feed_events{feed="news"} 3.0' in shown
    assert 'lucid_feed_consumer_lag_events{consumer="books",feed="news"} 2.0' in shown
    newest_s = desk.metrics.registry.get_sample_value(
        "lucid_feed_last_event_timestamp_seconds", {"feed": "news"}
    )
    assert newest_s == (START_MS + 2) / 1_000


async def test_the_age_of_what_a_consumer_left_is_a_metric(desk: Desk) -> None:
    def age_s() -> float | None:
        return desk.metrics.registry.get_sample_value(
            "lucid_feed_consumer_age_seconds", {"feed": "news", "consumer": "books"}
        )

    await desk.publish(3)
    await desk.acknowledge("books", 1)
    desk.clock.advance(seconds=90)
    await desk.keeper.keep()
    assert age_s() == 90
    await desk.acknowledge("books", 3)
    await desk.keeper.keep()
    assert age_s() == 0


def test_limits_that_would_keep_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        FeedLimits(keep_ms=0, keep_events=1, vanished_ms=1)

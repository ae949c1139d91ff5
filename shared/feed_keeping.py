"""Keep the feeds of a service: drop what is old and was consumed, and notice who no longer consumes.

Nothing is dropped that a registered consumer has not acknowledged (hazard H13). One that stays away
holds its feed back until it returns or an operator dismisses it; that is what the alarm is for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from prometheus_client import Gauge

from shared.clock import MS_PER_S, Clock
from shared.config import ServiceSettings
from shared.errors import NotFound
from shared.logs import get_logger
from shared.loop import LoopSpec
from shared.metrics import Metrics
from shared.models.alarms import Severity
from shared.models.operations import FeedConsumerView, FeedStandingView
from shared.storage import Event, Feed, FeedPage, FeedTrimmed, Storage

log = get_logger(__name__)

VANISHED: Final = "feed_consumer_vanished"
"""The alarm over a consumer; its subject is the feed and the consumer's name."""

_INTERVAL_S: Final = 60.0
_STALE_AFTER_S: Final = 900


class UnknownConsumer(NotFound):
    """There is no such feed here, or nobody of that name follows it."""

    code = "LUCID_ERR_9072"
    title = "No such consumer"


class Alarms(Protocol):
    """Where a person is called."""

    async def raise_alarm(
        self, kind: str, subject: str, *, detail: str, severity: Severity = Severity.CRITICAL
    ) -> None:
        """Raise an alarm, or count it once more."""
        ...

    async def clear(self, kind: str, subject: str) -> None:
        """Note that its cause is gone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLimits:
    """How much of a feed is kept.

    Attributes:
        keep_ms: events of that age may go.
        keep_events: beyond so many the oldest may go.
        vanished_ms: a consumer that leaves an event of that age unconsumed is missed.
    """

    keep_ms: int
    keep_events: int
    vanished_ms: int

    def __post_init__(self) -> None:
        if self.keep_ms <= 0 or self.keep_events <= 0 or self.vanished_ms <= 0:
            raise ValueError("the limits of a feed are positive")


def feed_limits(settings: ServiceSettings) -> FeedLimits:
    """Return the limits that the environment sets."""
    return FeedLimits(
        keep_ms=settings.feed_keep_s * MS_PER_S,
        keep_events=settings.feed_keep_events,
        vanished_ms=settings.feed_vanished_s * MS_PER_S,
    )


class FeedKeeper:
    """Trims the feeds of one service and watches over their consumers."""

    def __init__(
        self,
        *,
        storage: Storage,
        feeds: Sequence[Feed],
        limits: FeedLimits,
        alarms: Alarms,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._storage = storage
        self._feeds = {feed.name: feed for feed in feeds}
        self._limits = limits
        self._alarms = alarms
        self._clock = clock
        self._missed: set[str] = set()
        self._kept = Gauge(
            "lucid_feed_events", "Events that are kept.", ("feed",), registry=metrics.registry
        )
        self._newest = Gauge(
            "lucid_feed_last_event_timestamp_seconds",
            "When the newest event was published.",
            ("feed",),
            registry=metrics.registry,
        )
        self._oldest = Gauge(
            "lucid_feed_first_event_timestamp_seconds",
            "When the oldest event that is kept was published.",
            ("feed",),
            registry=metrics.registry,
        )
        self._lag = Gauge(
            "lucid_feed_consumer_lag_events",
            "Events that a registered consumer has not acknowledged.",
            ("feed", "consumer"),
            registry=metrics.registry,
        )
        self._waiting = Gauge(
            "lucid_feed_consumer_age_seconds",
            "How long the oldest event has waited that a registered consumer has not acknowledged.",
            ("feed", "consumer"),
            registry=metrics.registry,
        )

    def loop(self) -> LoopSpec:
        """Return the loop that keeps the feeds."""
        return LoopSpec(
            name="feed-retention",
            interval_s=_INTERVAL_S,
            stale_after_s=_STALE_AFTER_S,
            work=self.keep,
        )

    async def keep(self) -> bool:
        """Trim every feed and look after its consumers; never more work at once."""
        self._lag.clear()
        self._waiting.clear()
        missed: set[str] = set()
        for feed in self._feeds.values():
            await self._trim(feed)
            missed |= await self._look(feed)
        for subject in self._missed - missed:
            await self._alarms.clear(VANISHED, subject)
        self._missed = missed
        return False

    async def standing(self) -> list[FeedStandingView]:
        """Say of every feed what is kept and who has come how far."""
        found = []
        for name, feed in self._feeds.items():
            page = await self._page(feed, after=0)
            consumers = await self._storage.consumers(feed)
            found.append(
                FeedStandingView(
                    feed=name,
                    first=page.start,
                    last=page.end,
                    consumers=[
                        FeedConsumerView(name=each, acknowledged=seq, behind=page.end - seq)
                        for each, seq in sorted(consumers.items())
                    ],
                )
            )
        return found

    async def dismiss(self, feed_name: str, consumer: str, *, by: str) -> None:
        """Forget a consumer that will not come back: what it held back may go.

        Raises:
            UnknownConsumer: there is none.
        """
        feed = self._feeds.get(feed_name)
        if feed is None or not await self._storage.dismiss(feed, consumer):
            raise UnknownConsumer(f"nobody named {consumer} follows a feed {feed_name} here")
        log.warning("feed.dismissed", feed=feed_name, consumer=consumer, by=by)
        await self._alarms.clear(VANISHED, _subject(feed, consumer))

    async def _trim(self, feed: Feed) -> None:
        keep_after_ms = self._clock.now_ms() - self._limits.keep_ms
        page = await self._page(feed, after=0)
        if page.end - page.start >= self._limits.keep_events:
            first_kept = await self._event_after(feed, page.end - self._limits.keep_events)
            if first_kept is not None:
                keep_after_ms = max(keep_after_ms, first_kept.at_ms)
        removed = await self._storage.trim_feed(feed, keep_after_ms=keep_after_ms)
        if removed:
            log.info("feed.trimmed", feed=feed.name, events=removed)

    async def _look(self, feed: Feed) -> set[str]:
        """Show the feed's metrics; returns the alarms that stand over its consumers."""
        page = await self._page(feed, after=0)
        last = await self._event_after(feed, page.end - 1)
        self._kept.labels(feed.name).set(page.end - page.start + 1)
        self._oldest.labels(feed.name).set(page.events[0].at_ms / MS_PER_S if page.events else 0)
        self._newest.labels(feed.name).set(last.at_ms / MS_PER_S if last else 0)
        missed = set()
        for consumer, seq in (await self._storage.consumers(feed)).items():
            self._lag.labels(feed.name, consumer).set(page.end - seq)
            waiting = await self._event_after(feed, seq)
            age_ms = self._clock.now_ms() - waiting.at_ms if waiting else 0
            self._waiting.labels(feed.name, consumer).set(age_ms // MS_PER_S)
            if age_ms > self._limits.vanished_ms:
                missed.add(await self._miss(feed, consumer, page.end - seq, age_ms))
            else:
                await self._alarms.clear(VANISHED, _subject(feed, consumer))
        return missed

    async def _miss(self, feed: Feed, consumer: str, behind: int, age_ms: int) -> str:
        subject = _subject(feed, consumer)
        await self._alarms.raise_alarm(
            VANISHED,
            subject,
            detail=f"{consumer} has left {behind} events of the feed {feed.name} unconsumed, the first"
            f" for {age_ms // MS_PER_S} s; they are kept until it returns or is dismissed",
            severity=Severity.WARNING,
        )
        return subject

    async def _event_after(self, feed: Feed, seq: int) -> Event | None:
        page = await self._page(feed, after=max(seq, 0))
        return page.events[0] if page.events else None

    async def _page(self, feed: Feed, *, after: int) -> FeedPage:
        """Return one event after a number, or the oldest one that is kept."""
        try:
            return await self._storage.read_feed(feed, after=after, limit=1)
        except FeedTrimmed as trimmed:
            return await self._storage.read_feed(feed, after=trimmed.start - 1, limit=1)


def _subject(feed: Feed, consumer: str) -> str:
    return f"{feed.name}/{consumer}"

"""Feeds between services: published from storage with a cursor, consumed from a stored cursor.

A cursor is ``incarnation.number``. A cursor of another incarnation means that the publisher's
database was restored or made anew, and forces its consumer to resynchronise instead of skipping
(hazards H5 and H13).
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from pydantic import BaseModel

from shared.clock import Clock, rfc3339
from shared.errors import BadCursor, Conflict
from shared.logs import get_logger
from shared.models.wire import BlockRef, FeedItem, FeedView
from shared.peers.caller import PeerRefused
from shared.storage import Feed, FeedPage, FeedTrimmed, InvalidCursor, Storage

log = get_logger(__name__)

V = TypeVar("V", bound=BaseModel)

MAX_PAGE: Final = 500
MAX_WAIT_S: Final = 30

_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class FeedReset(Conflict):
    """The cursor belongs to another history of the publisher's database."""

    code = "LUCID_ERR_1403"
    title = "Feed has another incarnation"


class FeedLost(Conflict):
    """Events after the cursor are no longer kept."""

    code = "LUCID_ERR_1404"
    title = "Feed no longer reaches back to the cursor"


class FeedSource(Generic[V]):
    """Publishes one feed of a service's storage.

    Args:
        storage: where the feed is.
        feed: which one.
        view: the wire model of the objects in it.
        as_of: returns the solid block that the service has come to; read before the page.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        feed: Feed,
        view: type[V],
        clock: Clock,
        as_of: Callable[[], Awaitable[BlockRef | None]] | None = None,
    ) -> None:
        self._storage = storage
        self._feed = feed
        self._view = view
        self._clock = clock
        self._as_of = as_of

    async def page(self, *, after: str, limit: int, wait_s: int) -> FeedView[V]:
        """Return the events after a cursor, waiting for the first one if there is none yet.

        The empty cursor means the oldest event that is kept: who joins late starts there, and who
        was registered before had acknowledged whatever is no longer kept.

        Raises:
            BadCursor: the cursor is not one of this feed.
            FeedReset: it belongs to another incarnation.
            FeedLost: events after it are gone.
        """
        number = self._number(after)
        if wait_s:
            await self._storage.wait_feed(self._feed, after=number, timeout_s=wait_s)
        # The solid block is read before the page: it then holds for all of it.
        solid = await self._as_of() if self._as_of else None
        page = await self._read(number, limit=limit, joining=not after)
        items = [
            FeedItem[Any](
                seq=event.seq,
                id=event.id,
                type=event.type,
                at=rfc3339(event.at_ms),
                object=self._view.model_validate(event.object),
            )
            for event in page.events
        ]
        last = items[-1].seq if items else max(number, page.start - 1)
        return FeedView[Any](
            items=items,
            next=f"{self._storage.incarnation}.{last}",
            incarnation=self._storage.incarnation,
            as_of=solid if last >= page.end else None,
        )

    async def _read(self, number: int, *, limit: int, joining: bool) -> FeedPage:
        try:
            return await self._storage.read_feed(self._feed, after=number, limit=limit)
        except FeedTrimmed as trimmed:
            if joining:
                return await self._read(trimmed.start - 1, limit=limit, joining=False)
            raise FeedLost("events after this cursor are no longer kept; resynchronise") from None
        except InvalidCursor:
            raise self._lost_tail() from None

    async def acknowledge(self, *, consumer: str, cursor: str) -> None:
        """Register a consumer with how far it has durably come, so that nothing after is dropped."""
        try:
            await self._storage.acknowledge(
                self._feed, consumer, self._number(cursor), self._clock.now_ms()
            )
        except FeedTrimmed:
            raise FeedLost("events after this cursor are no longer kept; resynchronise") from None
        except InvalidCursor:
            raise self._lost_tail() from None

    def _lost_tail(self) -> FeedReset:
        """Return what to raise when somebody saw events that are gone: the database was set back (H5)."""
        return FeedReset(
            "this cursor lies beyond the end of the feed; start again from the beginning",
            incarnation=self._storage.incarnation,
        )

    def _number(self, cursor: str) -> int:
        if not cursor:
            return 0
        incarnation, _, number = cursor.rpartition(".")
        if not incarnation or not _NUMBER.fullmatch(number):
            raise BadCursor("a feed cursor is incarnation.number")
        if incarnation != self._storage.incarnation:
            raise FeedReset(
                "this cursor belongs to another history of the database; start again from the beginning",
                incarnation=self._storage.incarnation,
            )
        return int(number)


class FeedPages(Protocol[V]):
    """Reads pages of a sibling's feed, as the typed clients do."""

    async def __call__(self, *, after: str, limit: int, wait_s: int) -> FeedView[V]:
        """Return the events after a cursor."""
        ...


class Caller(Protocol):
    """Calls a person: the alarms of a service."""

    async def raise_alarm(self, kind: str, subject: str, *, detail: str) -> None:
        """Raise an alarm, or count it once more."""
        ...


class FeedFollower(Generic[V]):
    """Consumes one feed of a sibling: load the cursor, read, apply and store, acknowledge.

    Args:
        pages: reads the feed.
        load_cursor: returns the stored cursor, empty before the first page.
        apply: stores what a page means, its ``next`` cursor included, in one unit.
        acknowledge: tells the publisher how far this consumer has durably come.
        resync: brings this side up to date after the publisher began another history, and stores
            the empty cursor.
        alarms: where a person is called after events were lost or the publisher was set back; they
            are closed by hand, for nobody else can say that nothing is missing.
        limit: events in a page.
        wait_s: how long the publisher may hold an empty page back.
    """

    def __init__(
        self,
        *,
        pages: FeedPages[V],
        load_cursor: Callable[[], Awaitable[str]],
        apply: Callable[[FeedView[V]], Awaitable[None]],
        acknowledge: Callable[[str], Awaitable[object]],
        resync: Callable[[], Awaitable[None]],
        alarms: Caller | None = None,
        limit: int = 200,
        wait_s: int = 5,
    ) -> None:
        self._pages = pages
        self._load_cursor = load_cursor
        self._apply = apply
        self._acknowledge = acknowledge
        self._resync = resync
        self._alarms = alarms
        self._limit = limit
        self._wait_s = wait_s
        self._acknowledged = ""

    async def follow(self) -> bool:
        """Consume one page; True, so that the loop goes on at once (the feed paces it by waiting).

        False after a resync, so that one that does not help is not repeated without a pause.
        """
        cursor = await self._load_cursor()
        try:
            page = await self._pages(after=cursor, limit=self._limit, wait_s=self._wait_s)
        except PeerRefused as refusal:
            if refusal.code not in {FeedReset.code, FeedLost.code}:
                raise
            log.critical("feed.reset", peer=refusal.peer, code=refusal.code)
            await self._call(refusal)
            await self._resync()
            return False
        await self._apply(page)
        if page.next != self._acknowledged:
            await self._acknowledge(page.next)
            self._acknowledged = page.next
        return True

    async def _call(self, refusal: PeerRefused) -> None:
        if self._alarms is None:
            return
        what = (
            "no longer has" if refusal.code == FeedLost.code else "was set back and does not know"
        )
        await self._alarms.raise_alarm(
            "feed_broken",
            refusal.peer,
            detail=f"{refusal.peer} {what} the events after our cursor; all was read anew",
        )

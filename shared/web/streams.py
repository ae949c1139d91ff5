"""Server-Sent Events: a feed as a stream that a browser can follow.

Each event carries its cursor as its id, so that a client that comes back with ``Last-Event-ID`` goes
on where it was. Streams are bounded in number and in time; they end when the service stops.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.errors import Overloaded, Problem
from shared.feeds import FeedSource
from shared.models.wire import FeedView

MAX_STREAMS: Final = 16
"""Streams of one process at once."""

LONGEST_S: Final = 600.0
"""After so long a stream ends, and its client comes back with a token that is valid then."""

LAST_WORDS_S: Final = 30.0
"""How long a client that does not read keeps its stream after that."""

HEARTBEAT_S: Final = 15
_PAGE: Final = 100
_HEARTBEAT: Final = b": alive\n\n"
_RETRY: Final = b"retry: 3000\n\n"


class Streams:
    """The streams of one process.

    Args:
        limit: how many at once.
        longest_s: after which one ends.
        last_words_s: how long a client that does not read keeps its stream after that.
    """

    def __init__(
        self,
        *,
        limit: int = MAX_STREAMS,
        longest_s: float = LONGEST_S,
        last_words_s: float = LAST_WORDS_S,
    ) -> None:
        self._limit = limit
        self._longest_s = longest_s
        self._last_words_s = last_words_s
        self._open = 0
        self._closing = asyncio.Event()

    @property
    def count(self) -> int:
        """How many are open."""
        return self._open

    def close(self) -> None:
        """End every stream; none can be opened from now on."""
        self._closing.set()

    async def open(self, source: FeedSource[Any], *, after: str) -> "FeedStream":
        """Begin a stream after a cursor.

        Raises:
            Overloaded: as many as there may be are open, or the service is stopping.
            BadCursor: the cursor is not one of this feed.
            FeedReset: it belongs to another incarnation.
            FeedLost: events after it are gone.
        """
        if self._open >= self._limit or self._closing.is_set():
            raise Overloaded("as many streams are open as this service serves", retry_after_s=30)
        self._open += 1
        try:
            page = await source.page(after=after, limit=_PAGE, wait_s=0)
        except BaseException:
            self._open -= 1
            raise
        return FeedStream(self, source, page)

    def release(self) -> None:
        """Give a place back."""
        self._open -= 1

    async def events(self, source: FeedSource[Any], page: FeedView[Any]) -> AsyncIterator[bytes]:
        """Return the encoded events from a page on, with a comment now and then while none come."""
        until_s = asyncio.get_running_loop().time() + self._longest_s
        yield _RETRY
        while True:
            for item in page.items:
                cursor = f"{page.incarnation}.{item.seq}"
                yield _encoded(cursor, item.type, item.model_dump_json())
            if not page.items:
                yield _HEARTBEAT
            if self._closing.is_set() or asyncio.get_running_loop().time() >= until_s:
                return
            try:
                following = await self._following(source, page.next)
            except Problem as problem:
                yield _encoded("", "problem", f'{{"code": "{problem.code}"}}')
                return
            if following is None:
                return
            page = following

    async def _following(self, source: FeedSource[Any], cursor: str) -> FeedView[Any] | None:
        """Return the next page, empty after a while without events; None when all is to end."""
        reading = asyncio.ensure_future(source.page(after=cursor, limit=_PAGE, wait_s=HEARTBEAT_S))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({reading, closing}, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        finally:
            for task in (reading, closing):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Problem):
                    await task

    def longest_s(self) -> float:
        """Return how long a stream may last, its last words included."""
        return self._longest_s + self._last_words_s


def streams_of(app: Any) -> Streams:
    """Return the streams of an application."""
    streams: Streams = app.state.streams
    return streams


class FeedStream(StreamingResponse):
    """One stream, which gives its place back however it ends."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, source: FeedSource[Any], page: FeedView[Any]) -> None:
        super().__init__(
            streams.events(source, page),
            headers={"X-Accel-Buffering": "no"},
        )
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it until it ends, its time is over, or nobody listens."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._streams.longest_s()):
                    await super().__call__(scope, receive, send)
        finally:
            self._streams.release()


def _encoded(cursor: str, event: str, data: str) -> bytes:
    """Write one event; JSON text has no line breaks of its own."""
    name = f"id: {cursor}\n" if cursor else ""
    return f"{name}event: {event}\ndata: {data}\n\n".encode()

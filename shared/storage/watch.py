"""Who waits for an event, and how far each feed has come."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

from shared.storage.errors import StorageBusy

MAX_WAITERS: Final = 1_000


class FeedWatch:
    """The newest number of each feed, and the waiters that it wakes. Lives on the event loop."""

    def __init__(self, heads: Mapping[str, int]) -> None:
        self._heads = dict(heads)
        self._waiters: dict[str, set[asyncio.Future[None]]] = {feed: set() for feed in heads}
        self._closed = False

    def advance(self, feed: str, numbers: Iterable[int]) -> None:
        """Note committed numbers of a feed and wake whoever waits for it."""
        self._heads[feed] = max(self._heads[feed], *numbers)
        self._wake(feed)

    async def wait(self, feed: str, after: int, timeout_s: float) -> bool:
        """Return whether the feed is, or in time comes to be, past a number.

        Raises:
            StorageBusy: too many are waiting.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._heads[feed] <= after and not self._closed:
                    await self._next(feed)
        return self._heads[feed] > after

    def close(self) -> None:
        """Send every waiter home."""
        self._closed = True
        for feed in self._waiters:
            self._wake(feed)

    async def _next(self, feed: str) -> None:
        if sum(map(len, self._waiters.values())) >= MAX_WAITERS:
            raise StorageBusy("too many wait for feeds")
        waiter = asyncio.get_running_loop().create_future()
        self._waiters[feed].add(waiter)
        try:
            await waiter
        finally:
            self._waiters[feed].discard(waiter)

    def _wake(self, feed: str) -> None:
        for waiter in self._waiters[feed]:
            if not waiter.done():
                waiter.set_result(None)

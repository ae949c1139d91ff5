"""How waiters learn of events that other processes publish: a look at intervals, while somebody waits."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from shared.storage.errors import StorageError
from shared.storage.mongo import feeds
from shared.storage.mongo.connection import MS_PER_S, Connection
from shared.storage.watch import FeedWatch


class HeadWatch:
    """Looks how far each feed has come.

    Args:
        connection: where.
        known: the feeds.
        watch: is told.
    """

    def __init__(self, connection: Connection, known: Sequence[str], watch: FeedWatch) -> None:
        self._connection = connection
        self._known = known
        self._watch = watch
        self._waiting = 0
        self._looking: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Note how far every feed has come."""
        found = await self._connection.read(lambda: feeds.heads(self._connection, self._known))
        for feed, end in found.items():
            self._watch.advance(feed, (end,))

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Look at intervals until the last of those who wait leaves."""
        self._waiting += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._follow(), name="storage-feeds")
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.close()

    def close(self) -> None:
        """Stop looking."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _follow(self) -> None:
        interval_s = self._connection.options.feed_poll_ms / MS_PER_S
        while True:
            with contextlib.suppress(StorageError):  # noted; who waits waits on
                await self.look()
            await asyncio.sleep(interval_s)

"""What every engine does alike: the calls of the port, with what they were given checked.

An engine says how a checked call is carried out; misuse is refused by each of them in the same
words.
"""

import asyncio
import builtins
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, Generic

from shared.storage.errors import LimitExceeded, StorageClosed, StorageError
from shared.storage.known import Known, S
from shared.storage.port import MAX_COUNT, MAX_ROWS, Committed, FeedPage, Leased, Page
from shared.storage.schema import Collection, Feed, R
from shared.storage.selection import Selection, read_cursor, write_cursor
from shared.storage.unit import Lease, Unit
from shared.storage.values import Value, check_limit
from shared.storage.watch import FeedWatch

DEFAULT_QUEUE_LIMIT: Final = 10_000
DEFAULT_COMMIT_TIMEOUT_S: Final = 30.0


class Engine(ABC, Generic[S]):
    """The part of a ``Storage`` that does not depend on what stands behind it."""

    def __init__(self, *, known: Known[S], incarnation: str, watch: FeedWatch) -> None:
        self._known = known
        self._incarnation = incarnation
        self._watch = watch
        self._closing: asyncio.Future[None] | None = None

    @property
    def incarnation(self) -> str:
        """Identify this history of the database: a restored backup has another."""
        return self._incarnation

    async def get(self, collection: Collection[R], id: str) -> R | None:  # noqa: A002 - the record's own word
        """Return the record with that id, if there is one."""
        return (await self.get_many(collection, [id])).get(id)

    async def get_many(self, collection: Collection[R], ids: Sequence[str]) -> dict[str, R]:
        """Return the records that exist among these ids, by id."""
        stored = self._known.stored(collection)
        if not ids:
            return {}
        check_limit("ids", len(ids))
        return await self._get_many(stored, ids)

    async def find(self, collection: Collection[R], index: str, *equals: str | int) -> R | None:
        """Return the record under these values of a unique index."""
        selection = Selection(collection, collection.index(index), equals)
        if not selection.index.unique or len(equals) != len(selection.index.fields):
            raise ValueError(f"find needs a unique index and all its fields, not {index!r}")
        found: R | None = await self._find(self._known.stored(collection), selection)
        return found

    async def find_many(
        self, collection: Collection[R], index: str, values: Sequence[str | int]
    ) -> builtins.list[R]:
        """Return the records under these values of an index of one field."""
        selection = Selection(collection, collection.index(index), ())
        if len(selection.index.fields) != 1:
            raise ValueError(f"find_many needs an index of one field, not {index!r}")
        stored = self._known.stored(collection)
        if not values:
            return []
        check_limit("values", len(values))
        return await self._find_many(stored, selection, values)

    async def list(
        self,
        collection: Collection[R],
        index: str,
        *equals: str | int,
        limit: int,
        cursor: str | None = None,
        descending: bool = False,
        at_least: str | int | None = None,
        at_most: str | int | None = None,
    ) -> Page[R]:
        """Return a page of an index."""
        check_limit("rows of a page", limit)
        selection = Selection(collection, collection.index(index), equals, at_least, at_most)
        stored = self._known.stored(collection)
        position = read_cursor(selection, cursor, descending=descending)
        items, following = await self._page(
            stored, selection, limit=limit, position=position, descending=descending
        )
        return Page(items=items, next=write_cursor(selection, following, descending=descending))

    async def count(
        self,
        collection: Collection[R],
        index: str,
        *equals: str | int,
        at_least: str | int | None = None,
        at_most: str | int | None = None,
        limit: int = MAX_COUNT,
    ) -> int:
        """Count the records of an index, up to a limit."""
        check_limit("counted records", limit, MAX_COUNT)
        selection = Selection(collection, collection.index(index), equals, at_least, at_most)
        return await self._count(self._known.stored(collection), selection, limit)

    async def claim(
        self,
        collection: Collection[R],
        index: str,
        *equals: str | int,
        at_most: str | int | None = None,
        limit: int,
        owner: str,
        now_ms: int,
        lease_ms: int,
    ) -> builtins.list[Leased[R]]:
        """Lease the first free records in the order of the index."""
        stored = self._known.leased(collection)
        check_limit("claimed records", limit)
        if not owner or lease_ms <= 0:
            raise ValueError("a claim needs an owner and a lease that lasts")
        selection = Selection(collection, collection.index(index), equals, at_most=at_most)
        until_ms = now_ms + lease_ms
        return await self._claim(
            stored, selection, limit=limit, owner=owner, now_ms=now_ms, until_ms=until_ms
        )

    async def renew(self, collection: Collection[R], lease: Lease, *, until_ms: int) -> Lease:
        """Move the end of a lease that is still ours."""
        return await self._renew(self._known.leased(collection), lease, until_ms)

    async def release(self, collection: Collection[R], leases: Sequence[Lease]) -> None:
        """Give up leases; those that are not ours any more are left alone."""
        stored = self._known.leased(collection)
        if leases:
            check_limit("leases", len(leases))
            await self._release(stored, leases)

    async def prune(
        self,
        collection: Collection[R],
        index: str,
        *equals: str | int,
        at_most: str | int,
        limit: int,
        now_ms: int,
    ) -> int:
        """Remove the first records in the order of the index whose time is over."""
        check_limit("removed records", limit)
        selection = Selection(collection, collection.index(index), equals, at_most=at_most)
        return await self._prune(
            self._known.stored(collection), selection, limit=limit, now_ms=now_ms
        )

    async def commit(self, unit: Unit) -> Committed:
        """Carry out the unit, all or nothing, and return once it is stored for good."""
        (outcome,) = await self._commit_each([unit])
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def commit_all(self, units: Sequence[Unit]) -> builtins.list[Committed | StorageError]:
        """Commit independent units together; each has its own outcome, in order."""
        if len(units) > MAX_ROWS:
            raise LimitExceeded("units", limit=MAX_ROWS, got=len(units))
        told: builtins.list[Committed | StorageError] = []
        for outcome in await self._commit_each(units):
            if isinstance(outcome, BaseException) and not isinstance(outcome, StorageError):
                raise outcome
            told.append(outcome)
        return told

    async def read_feed(self, feed: Feed, *, after: int, limit: int) -> FeedPage:
        """Return events after a number."""
        name = self._known.feed(feed)
        check_limit("events", limit)
        return await self._read_feed(name, after, limit)

    async def wait_feed(self, feed: Feed, *, after: int, timeout_s: float) -> bool:
        """Wait for an event after a number; False when none came in time."""
        name = self._known.feed(feed)
        if self._closing is not None:
            raise StorageClosed
        return await self._wait_feed(name, after, timeout_s)

    async def acknowledge(self, feed: Feed, consumer: str, seq: int, at_ms: int) -> None:
        """Register the consumer and note what it is done with."""
        await self._acknowledge(self._known.feed(feed), consumer, seq, at_ms)

    async def dismiss(self, feed: Feed, consumer: str) -> bool:
        """Forget a consumer that will not come back."""
        return await self._dismiss(self._known.feed(feed), consumer)

    async def consumers(self, feed: Feed) -> dict[str, int]:
        """Return what each registered consumer acknowledged."""
        return await self._consumers(self._known.feed(feed))

    async def trim_feed(self, feed: Feed, *, keep_after_ms: int) -> int:
        """Remove the oldest events before a time, in steps that let units in between."""
        name = self._known.feed(feed)
        removed = 0
        while step := await self._trim(name, keep_after_ms):
            removed += step
        return removed

    async def close(self) -> None:
        """Finish what is queued and let go of the database; a second call waits for the first."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    def _settled(self, committed: Committed) -> None:
        """Wake whoever waits for the events of a unit."""
        for feed, numbers in committed.feed_numbers.items():
            self._watch.advance(feed, numbers)

    @abstractmethod
    async def _get_many(self, stored: S, ids: Sequence[str]) -> dict[str, Any]: ...

    @abstractmethod
    async def _find(self, stored: S, selection: Selection[Any]) -> Any: ...

    @abstractmethod
    async def _find_many(
        self, stored: S, selection: Selection[Any], values: Sequence[str | int]
    ) -> builtins.list[Any]: ...

    @abstractmethod
    async def _page(
        self,
        stored: S,
        selection: Selection[Any],
        *,
        limit: int,
        position: builtins.list[Value] | None,
        descending: bool,
    ) -> tuple[builtins.list[Any], builtins.list[Value] | None]: ...

    @abstractmethod
    async def _count(self, stored: S, selection: Selection[Any], limit: int) -> int: ...

    @abstractmethod
    async def _claim(
        self,
        stored: S,
        selection: Selection[Any],
        *,
        limit: int,
        owner: str,
        now_ms: int,
        until_ms: int,
    ) -> builtins.list[Leased[Any]]: ...

    @abstractmethod
    async def _renew(self, stored: S, lease: Lease, until_ms: int) -> Lease: ...

    @abstractmethod
    async def _release(self, stored: S, leases: Sequence[Lease]) -> None: ...

    @abstractmethod
    async def _prune(
        self, stored: S, selection: Selection[Any], *, limit: int, now_ms: int
    ) -> int: ...

    @abstractmethod
    async def _commit_each(self, units: Sequence[Unit]) -> Sequence[Committed | BaseException]: ...

    @abstractmethod
    async def _read_feed(self, feed: str, after: int, limit: int) -> FeedPage: ...

    @abstractmethod
    async def _wait_feed(self, feed: str, after: int, timeout_s: float) -> bool: ...

    @abstractmethod
    async def _acknowledge(self, feed: str, consumer: str, seq: int, at_ms: int) -> None: ...

    @abstractmethod
    async def _dismiss(self, feed: str, consumer: str) -> bool: ...

    @abstractmethod
    async def _consumers(self, feed: str) -> dict[str, int]: ...

    @abstractmethod
    async def _trim(self, feed: str, keep_after_ms: int) -> int: ...

    @abstractmethod
    async def _close(self) -> None: ...

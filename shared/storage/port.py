"""The port through which a service keeps its records, whatever engine stands behind it.

Every call has a limit, no cursor stays open, and no call reads a clock: times come from the caller,
in Unix milliseconds. Records come back as they were stored, with the version that a later update
has to name.
"""

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Protocol

from shared.storage.errors import StorageError
from shared.storage.schema import Collection, Feed, R
from shared.storage.unit import Lease, Unit

MAX_ROWS: Final = 1_000
"""The most ids, values, rows or events that one read or claim carries."""

MAX_COUNT: Final = 100_000
"""The most that one count goes up to: beyond it the answer is this number."""

MAX_CONSUMERS: Final = 100
"""The most consumers that one feed has registered."""

MAX_OPERATIONS: Final = 10_000
"""The most operations in one unit."""

MAX_DOCUMENT_BYTES: Final = 4 * 1024 * 1024
"""The most that one record or event takes up as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[R]):
    """A part of a list.

    Attributes:
        items: the records, in order.
        next: cursor of the following page; None when this is the last.
    """

    items: list[R]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased(Generic[R]):
    """A record and the lease that was just taken on it."""

    record: R
    lease: Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A unit that is stored for good.

    Attributes:
        feed_numbers: for each feed by name, the numbers of the unit's events in their order.
    """

    feed_numbers: dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of a feed.

    Attributes:
        seq: its number, from 1, without gaps.
        id: its own id.
        type: what happened.
        at_ms: when, in Unix milliseconds.
        object: what it happened to.
    """

    seq: int
    id: str
    type: str
    at_ms: int
    object: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """A part of a feed.

    Attributes:
        events: in order, without gaps, from the one after the cursor.
        start: number of the oldest event that is still there; ``end + 1`` when there is none.
        end: number of the newest event ever published; 0 before the first.
    """

    events: tuple[Event, ...]
    start: int
    end: int


class Storage(Protocol):
    """The database of one service, used from one event loop."""

    @property
    def incarnation(self) -> str:
        """Identify this history of the database: a restored backup has another."""

    @property
    def trouble(self) -> StorageError | None:
        """Say what last kept a call from being carried out, until ``probe`` finds it gone.

        It is a StorageFull, StorageBusy, StorageUnwritable or StorageCorrupt; readiness asks here.
        """

    async def probe(self) -> None:
        """Find out, by storing and removing something small, whether the trouble is over.

        Raises:
            StorageError: it is not; damage stays until the database is opened again.
        """

    async def get(self, collection: Collection[R], id: str) -> R | None:  # noqa: A002 - the record's own word
        """Return the record with that id, if there is one."""

    async def get_many(self, collection: Collection[R], ids: Sequence[str]) -> dict[str, R]:
        """Return the records that exist among up to ``MAX_ROWS`` ids, by id."""

    async def find(self, collection: Collection[R], index: str, *equals: str | int) -> R | None:
        """Return the record under these values of a unique index; all its fields are given."""

    async def find_many(
        self, collection: Collection[R], index: str, values: Sequence[str | int]
    ) -> builtins.list[R]:
        """Return the records under up to ``MAX_ROWS`` values of an index of one field.

        Ordered by that field, then by id. On an index that is not unique, more than ``MAX_ROWS``
        matches raise LimitExceeded rather than being cut.
        """

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
        """Return a page of an index.

        Args:
            collection: what to list.
            index: its order; records that its condition leaves out are not listed.
            equals: values of its first fields. The page is ordered by the remaining fields, None
                first, then by id.
            limit: 1 to ``MAX_ROWS``.
            cursor: ``next`` of the page before, from the same list.
            descending: turn the order around.
            at_least: smallest value of the first remaining field; None values are then left out.
            at_most: largest value of the first remaining field; None values are then left out.

        Raises:
            InvalidCursor: the cursor is not from this list.
        """

    async def count(
        self,
        collection: Collection[R],
        index: str,
        *equals: str | int,
        at_least: str | int | None = None,
        at_most: str | int | None = None,
        limit: int = MAX_COUNT,
    ) -> int:
        """Count the records of an index, up to a limit, which stands for "that many or more".

        Args:
            collection: what to count.
            index: where; records that its condition leaves out are not counted.
            equals: values of its first fields.
            at_least: smallest value of the first remaining field; None values are then left out.
            at_most: largest value of the first remaining field; None values are then left out.
            limit: 1 to ``MAX_COUNT``, where counting stops.
        """

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
        """Lease up to ``limit`` records that nobody holds, the first in the order of the index.

        A record is free when it has no lease or ``now_ms`` has reached the end of it. Two claims
        never return the same record while its lease lasts.

        Args:
            collection: a leased collection.
            index: where to look.
            equals: values of its first fields.
            at_most: largest value of the first remaining field, such as a due time.
            limit: 1 to ``MAX_ROWS``.
            owner: who claims.
            now_ms: the time.
            lease_ms: how long the leases last.
        """

    async def renew(self, collection: Collection[R], lease: Lease, *, until_ms: int) -> Lease:
        """Move the end of a lease that is still ours; the token stays.

        Raises:
            LeaseLost: it is not ours any more.
        """

    async def release(self, collection: Collection[R], leases: Sequence[Lease]) -> None:
        """Give up leases; those that are not ours any more are left alone."""

    async def prune(
        self,
        collection: Collection[R],
        index: str,
        *equals: str | int,
        at_most: str | int,
        limit: int,
        now_ms: int,
    ) -> int:
        """Remove up to ``limit`` records whose time is over, and return how many.

        They are the first in the order of the index whose first remaining field is at most a value,
        such as a time; None values stay. So does a leased record that somebody holds. What is
        removed is gone for good on return, in one step; fewer than ``limit`` means that nothing is
        left to remove.

        Args:
            collection: where to remove.
            index: its order.
            equals: values of its first fields.
            at_most: largest value of the first remaining field.
            limit: 1 to ``MAX_ROWS``.
            now_ms: the time, which decides whether a lease has ended.
        """

    async def commit(self, unit: Unit) -> Committed:
        """Carry out the unit, all or nothing, and return once it survives a power cut.

        When the caller is cancelled the unit still happens entirely or not at all.

        Raises:
            GuardFailed: a guard said no, as one of its subclasses.
            StorageBusy: the queue is full or the unit waited too long in it.
            StorageFull: the disk is full.
        """

    async def commit_all(self, units: Sequence[Unit]) -> builtins.list[Committed | StorageError]:
        """Commit up to ``MAX_ROWS`` independent units together; outcomes come in their order."""

    async def read_feed(self, feed: Feed, *, after: int, limit: int) -> FeedPage:
        """Return up to ``limit`` events after number ``after``.

        Raises:
            FeedTrimmed: events after ``after`` are gone.
            InvalidCursor: ``after`` lies beyond the end.
        """

    async def wait_feed(self, feed: Feed, *, after: int, timeout_s: float) -> bool:
        """Wait for an event after number ``after``; False when none came in time."""

    async def acknowledge(self, feed: Feed, consumer: str, seq: int, at_ms: int) -> None:
        """Register the consumer and note that it is done with events up to ``seq``.

        Raises:
            FeedTrimmed: events after ``seq`` are gone.
            InvalidCursor: ``seq`` lies beyond the end.
            LimitExceeded: ``MAX_CONSUMERS`` others are registered.
        """

    async def dismiss(self, feed: Feed, consumer: str) -> bool:
        """Forget a consumer that will not come back; False when it was not registered."""

    async def consumers(self, feed: Feed) -> dict[str, int]:
        """Return what each registered consumer acknowledged."""

    async def trim_feed(self, feed: Feed, *, keep_after_ms: int) -> int:
        """Remove the oldest events before a time and return how many.

        Never removes one that a registered consumer has not acknowledged.
        """

    async def check(self) -> None:
        """Verify the database as a whole.

        Raises:
            StorageCorrupt: it is damaged.
        """

    async def backup(self, path: Path) -> None:
        """Write a copy that opens by itself, as of one moment, while calls go on.

        The copy has an incarnation of its own: whoever followed the original notices a restore.
        """

    async def close(self) -> None:
        """Finish what is queued and let go of the database."""

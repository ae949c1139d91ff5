"""A unit of work is data: guarded writes that happen all together or not at all.

A service loads records, asks its domain, and describes the outcome as a ``Unit``. No code of the
service runs inside the transaction, so nothing there can wait for a network, and units of different
callers share one flush to the disk.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self, cast

from shared.storage.schema import Collection, Feed, R


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on one record until a time.

    Attributes:
        record_id: the record.
        token: fencing token, one higher with every claim of this record, never reused.
        owner: who holds it.
        until_ms: end of the lease, in Unix milliseconds of the caller's clock.
    """

    record_id: str
    token: int
    owner: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Insert:
    """Store a record that must not exist."""

    collection: Collection[Any]
    record: Any


@dataclass(frozen=True, slots=True)
class Update:
    """Replace a record that must still have the version it was loaded with."""

    collection: Collection[Any]
    record: Any


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a record that must still have the version it was loaded with."""

    collection: Collection[Any]
    record: Any


@dataclass(frozen=True, slots=True)
class Require:
    """Go on only if the record still has the version it was loaded with."""

    collection: Collection[Any]
    record: Any


@dataclass(frozen=True, slots=True)
class Fence:
    """Go on only if the lease is still ours."""

    collection: Collection[Any]
    lease: Lease


@dataclass(frozen=True, slots=True)
class Release:
    """Give up a lease that must still be ours."""

    collection: Collection[Any]
    lease: Lease


@dataclass(frozen=True, slots=True)
class Publish:
    """Append an event to a feed; its number is taken inside the transaction."""

    feed: Feed
    id: str
    type: str
    at_ms: int
    object: Any


Operation = Insert | Update | Delete | Require | Fence | Release | Publish


class Unit:
    """A builder of operations, carried out in the order in which they were added.

    Every method returns the unit itself. A unit can be committed again after an error, since then
    nothing of it was stored.
    """

    __slots__ = ("_operations",)

    def __init__(self) -> None:
        self._operations: list[Operation] = []

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What the unit will do, in order."""
        return tuple(self._operations)

    def insert(self, collection: Collection[R], record: R) -> Self:
        """Store a new record as version 1; fails with DuplicateRecord.

        Raises:
            TypeError: the record is none of this collection.
            ValueError: the record has a version, so it was stored before.
        """
        if record.version != 0:
            raise ValueError(f"{collection.name} {record.id} has version {record.version}, not 0")
        return self._add(Insert(collection, _typed(collection, record)))

    def update(self, collection: Collection[R], record: R) -> Self:
        """Replace the record and raise its version by one.

        ``record.version`` is the version that was loaded. Fails with StaleRecord, RecordMissing or
        DuplicateRecord.

        Raises:
            TypeError: the record is none of this collection.
            ValueError: the record has no version, so it was never loaded; ``delete`` and
                ``require`` refuse it too.
        """
        return self._add(Update(collection, _stored(collection, record)))

    def delete(self, collection: Collection[R], record: R) -> Self:
        """Remove the record; fails with StaleRecord or RecordMissing."""
        return self._add(Delete(collection, _stored(collection, record)))

    def require(self, collection: Collection[R], record: R) -> Self:
        """Insist that the record is unchanged; fails with StaleRecord or RecordMissing."""
        return self._add(Require(collection, _stored(collection, record)))

    def fence(self, collection: Collection[R], lease: Lease) -> Self:
        """Insist that the lease is still ours; fails with LeaseLost."""
        return self._add(Fence(_leased(collection), lease))

    def release(self, collection: Collection[R], lease: Lease) -> Self:
        """Give up a lease that must still be ours, with the rest; fails with LeaseLost."""
        return self._add(Release(_leased(collection), lease))

    def publish(
        self,
        feed: Feed,
        *,
        id: str,  # noqa: A002 - the words of the feed
        type: str,  # noqa: A002 - the words of the feed
        at_ms: int,
        object: Any,  # noqa: A002 - the words of the feed
    ) -> Self:
        """Append an event.

        Args:
            feed: where to.
            id: the event's own id.
            type: what happened, such as ``payout.confirmed``.
            at_ms: when, in Unix milliseconds.
            object: what it happened to; whatever msgspec writes as a JSON object.
        """
        return self._add(Publish(feed, id, type, at_ms, object))

    def _add(self, operation: Operation) -> Self:
        self._operations.append(operation)
        return self


def written(record: R) -> R:
    """Return the record as its insert or update stores it: one version higher."""
    return cast("R", dataclasses.replace(cast("Any", record), version=record.version + 1))


def _typed(collection: Collection[R], record: R) -> R:
    if not isinstance(record, collection.record):
        raise TypeError(f"{type(record).__name__} is no record of {collection.name}")
    return record


def _stored(collection: Collection[R], record: R) -> R:
    if _typed(collection, record).version < 1:
        raise ValueError(f"{collection.name} {record.id} was never stored")
    return record


def _leased(collection: Collection[R]) -> Collection[R]:
    if not collection.leased:
        raise ValueError(f"collection {collection.name} has no leases")
    return collection

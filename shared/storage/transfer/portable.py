"""What an engine opens for carrying: everything it holds, in a stable order and in bounded pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import msgspec

CHUNK_ROWS: Final = 500
"""The most records or events in one piece."""

CHUNK_BYTES: Final = 8 * 1024 * 1024
"""A piece ends with the document that reaches this size."""


class MarkKind(StrEnum):
    """Why a database is not to be opened by its service."""

    INCOMING = "incoming"
    """It is being filled, and is not complete."""

    MOVING = "moving"
    """It is being carried to another database, and must not change meanwhile."""

    MOVED = "moved"
    """Everything was carried to another database, which is the one to use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What keeps a service from opening a database.

    Attributes:
        kind: why.
        transfer_id: the transfer that set it; the same on both sides.
        told: for the operator: what happened and what to do.
    """

    kind: MarkKind
    transfer_id: str
    told: str

    def encode(self) -> str:
        """Write it as text."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def decode(cls, text: str) -> "Mark":
        """Read it back; raises ValueError when it is none."""
        return msgspec.json.decode(text, type=cls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose database it is and which history of it.

    Attributes:
        service: the owner.
        network: name of the network.
        contract: address of the token contract.
        schema_version: of the documents.
        incarnation: part of every feed cursor.
    """

    service: str
    network: str
    contract: str
    schema_version: int
    incarnation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionState:
    """A collection as a whole.

    Attributes:
        name: of the collection.
        count: how many records it has.
        token_floor: no later record of an id that was removed gets a fencing token up to this.
    """

    name: str
    count: int
    token_floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedState:
    """A feed as a whole, also when none of its events are left.

    Attributes:
        name: of the feed.
        start: number of the oldest event that is there; ``end + 1`` when there is none.
        end: number of the newest event ever published.
        consumers: (name, acknowledged number, when in Unix milliseconds), by name.
    """

    name: str
    start: int
    end: int
    consumers: tuple[tuple[str, int, int], ...]

    @property
    def count(self) -> int:
        """How many events are there."""
        return self.end - self.start + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything of bounded size that a database says of itself.

    Attributes:
        identity: whose it is.
        collections: by name.
        feeds: by name.
    """

    identity: Identity
    collections: tuple[CollectionState, ...]
    feeds: tuple[FeedState, ...]

    @property
    def count(self) -> int:
        """How many records and events there are."""
        records = sum(each.count for each in self.collections)
        return records + sum(each.count for each in self.feeds)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever stored."""
        floors = any(each.token_floor for each in self.collections)
        told = any(each.end or each.consumers for each in self.feeds)
        return not (self.count or floors or told)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A record as an engine holds it.

    Attributes:
        id: of the record.
        version: its stored version.
        document: the record as JSON, with id and version.
        lease: (token, owner, end in Unix milliseconds) in a leased collection; owner and end are
            None while nobody holds it. None where the collection has no leases.
    """

    id: str
    version: int
    document: bytes
    lease: tuple[int, str | None, int | None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event as an engine holds it.

    Attributes:
        seq: its number.
        id: its own id.
        type: what happened.
        at_ms: when, in Unix milliseconds.
        document: what it happened to, as JSON.
    """

    seq: int
    id: str
    type: str
    at_ms: int
    document: bytes


class Portable(Protocol):
    """A database without its service: this process owns it alone, so that nothing changes meanwhile."""

    @property
    def place(self) -> str:
        """Say where it is, in the operator's words and without a password."""

    async def contents(self) -> Contents:
        """Return what it says of itself."""

    async def mark(self) -> Mark | None:
        """Return what keeps services from opening it."""

    async def set_mark(self, mark: Mark | None) -> None:
        """Set or remove what keeps services from opening it, for good on return."""

    async def records(self, collection: str, *, after: str) -> list[StoredRecord]:
        """Return the next piece of a collection by id, empty at the end.

        Args:
            collection: its name.
            after: the last id that is known; empty at the beginning.
        """

    async def events(self, feed: str, *, after: int) -> list[StoredEvent]:
        """Return the next piece of a feed by number, empty at the end."""

    async def last_record(self, collection: str) -> str:
        """Return the largest id of a collection, empty when there is none."""

    async def last_event(self, feed: str) -> int:
        """Return the number of the newest event that is there, 0 when there is none."""

    async def put_records(self, collection: str, records: Sequence[StoredRecord]) -> None:
        """Store a piece, for good on return; what is there already under these ids is replaced.

        Raises:
            DuplicateRecord: a unique index does not hold.
        """

    async def put_events(self, feed: str, events: Sequence[StoredEvent]) -> None:
        """Store a piece, for good on return; what is there already is replaced."""

    async def put_contents(self, contents: Contents) -> None:
        """Take over incarnation, token floors, bounds of feeds and consumers, for good on return."""

    async def clear(self) -> None:
        """Remove every record, event, floor and consumer."""

    async def close(self) -> None:
        """Let go of it."""

"""The collections and feeds of a schema, by how an engine stores them."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from shared.storage.documents import Documents
from shared.storage.errors import LimitExceeded
from shared.storage.port import MAX_OPERATIONS
from shared.storage.schema import Collection, Feed
from shared.storage.unit import Operation, Unit

S = TypeVar("S", bound=Documents[Any])
"""How an engine stores one collection."""


class Known(Generic[S]):
    """What a database holds; anything else is refused.

    Attributes:
        by_name: each collection as it is stored.
        feeds: every feed.
    """

    def __init__(self, by_name: Mapping[str, S], feeds: Sequence[Feed]) -> None:
        self.by_name = by_name
        self.feeds = tuple(feeds)

    def stored(self, collection: Collection[Any]) -> S:
        """Return how a collection is stored.

        Raises:
            ValueError: the collection is not of this schema.
        """
        stored = self.by_name.get(collection.name)
        ours = stored and (stored.collection is collection or stored.collection == collection)
        if stored is None or not ours:
            raise ValueError(f"collection {collection.name} is not of this schema")
        return stored

    def leased(self, collection: Collection[Any]) -> S:
        """Return how a collection with leases is stored.

        Raises:
            ValueError: the collection has no leases, or is not of this schema.
        """
        if not collection.leased:
            raise ValueError(f"collection {collection.name} has no leases")
        return self.stored(collection)

    def feed(self, feed: Feed) -> str:
        """Return the name of a feed.

        Raises:
            ValueError: the feed is not of this schema.
        """
        if feed not in self.feeds:
            raise ValueError(f"feed {feed.name} is not of this schema")
        return feed.name


def operations_of(unit: Unit) -> Sequence[Operation]:
    """Return what a unit does, in order.

    Raises:
        LimitExceeded: it does too much.
    """
    operations = unit.operations
    if len(operations) > MAX_OPERATIONS:
        raise LimitExceeded("operations in a unit", limit=MAX_OPERATIONS, got=len(operations))
    return operations

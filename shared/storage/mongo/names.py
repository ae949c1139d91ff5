"""What collections are called in a database that all services share."""

from typing import Final

EXPECTED: Final = frozenset({"payouts", "payout_batches", "tron_receipts", "wallet_keys"})
"""Names that other Lucid tools look for, whichever service owns them."""

ENGINE: Final = "engine"
"""The name of the bookkeeping collection, after its service."""

STAMP: Final = "stamp"
EXCLUSIVE: Final = "exclusive"


class Names:
    """The collections of one service."""

    def __init__(self, service: str) -> None:
        self._prefix = service.replace("-", "_")
        self.engine = f"{self._prefix}.{ENGINE}"

    def collection(self, name: str) -> str:
        """Name where records lie.

        Raises:
            ValueError: the name is kept for bookkeeping.
        """
        if name == ENGINE:
            raise ValueError(f"a collection cannot be called {ENGINE!r}")
        return name if name in EXPECTED else f"{self._prefix}.{name}"

    def feed(self, name: str) -> str:
        """Name where the events of a feed lie."""
        return f"{self._prefix}.feed.{name}"


def head_of(feed: str) -> str:
    """Return the id of the document that holds the number of a feed's newest event."""
    return f"head:{feed}"


def followers_of(feed: str) -> str:
    """Return the id of the document that holds a feed's consumers and how far it was trimmed."""
    return f"followers:{feed}"


def floor_of(collection: str) -> str:
    """Return the id of the document that holds the highest token of records that are gone."""
    return f"floor:{collection}"


def session_of(session: str) -> str:
    """Return the id of the document by which an open engine says that it is there."""
    return f"session:{session}"


def receipt_of(session: str) -> str:
    """Return the id of the document that names the last transaction of an open engine."""
    return f"receipt:{session}"

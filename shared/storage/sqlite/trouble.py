"""What keeps the engine from doing its work, as long as it lasts."""

import sqlite3
from typing import Final

from shared.storage.errors import (
    StorageBusy,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageUnwritable,
)

LASTING: Final = (StorageBusy, StorageCorrupt, StorageFull, StorageUnwritable)

PROBE_CHARS: Final = 64 * 1024
"""How much a probe stores: room for it is room for the units of many callers."""


class Trouble:
    """Notes the last error that says something of the disk and not of the call.

    Attributes:
        now: that error, until it is over.
    """

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now: StorageError | None = None

    def note(self, error: StorageError) -> StorageError:
        """Take note of an error and return it; nothing displaces damage."""
        if isinstance(error, LASTING) and not isinstance(self.now, StorageCorrupt):
            self.now = error
        return error

    def over(self, error: StorageError | None) -> None:
        """Forget an error, unless another one came meanwhile."""
        if self.now is error and not isinstance(error, StorageCorrupt):
            self.now = None


def fill(connection: sqlite3.Connection) -> None:
    """Store as much as a probe does."""
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', ?)", ("x" * PROBE_CHARS,)
    )


def clear(connection: sqlite3.Connection) -> None:
    """Remove what a probe stored."""
    connection.execute("DELETE FROM meta WHERE key = 'probe'")

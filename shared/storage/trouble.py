"""What keeps an engine from doing its work, as long as it lasts."""

from typing import Final

from shared.storage.errors import (
    StorageBusy,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnreachable,
    StorageUnwritable,
    StorageWithheld,
)

LASTING: Final = (
    StorageBusy,
    StorageCorrupt,
    StorageFull,
    StorageRefused,
    StorageUnreachable,
    StorageUnwritable,
    StorageWithheld,
)


class Trouble:
    """Notes the last error that says something of the database and not of the call.

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

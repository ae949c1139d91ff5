"""The database as readiness sees it: what keeps it from working, and whether that is over."""

from shared.logs import get_logger
from shared.storage import Storage, StorageError

log = get_logger(__name__)


class DatabaseWatch:
    """Says why the database takes nothing, and finds out when it does again.

    Nothing is written to a database that has no trouble.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def reason(self) -> str | None:
        """Say what keeps the database from working, or None."""
        trouble = self._storage.trouble
        return f"storage: {trouble}" if trouble else None

    async def look(self) -> bool:
        """Try the database if it had trouble; what it says then is its reason."""
        if self._storage.trouble is None:
            return False
        try:
            await self._storage.probe()
        except StorageError as error:
            log.warning("storage.refused", error=type(error).__name__)
        else:
            log.info("storage.recovered")
        return False

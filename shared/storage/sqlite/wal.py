"""The write-ahead log, kept small although somebody always reads.

SQLite begins its log anew when a checkpoint finds no reader in it. Under readers that overlap without
end it never does, and the log grows; then the writing thread waits a moment for the readers of that
moment to finish. Those that come meanwhile read the database itself and are not waited for. One long
read, such as a backup, lets the log grow by what is written beside it.
"""

import sqlite3
from pathlib import Path
from typing import Final

from shared.storage.sqlite.connection import BUSY_TIMEOUT_MS, WAL_LIMIT_BYTES

WAIT_MS: Final = 50
"""How long units wait for readers to finish, once for so many bytes written."""


def log_of(database: Path) -> Path:
    """Return the path of a database's log; it is gone once the database was closed in order."""
    return database.with_name(database.name + "-wal")


class WriteAheadLog:
    """Empties the log of a database when it has grown too large.

    Args:
        database: path of the database.
        limit_bytes: the size from which on the log is too large.
    """

    def __init__(self, database: Path, *, limit_bytes: int = WAL_LIMIT_BYTES) -> None:
        self._path = log_of(database)
        self._limit_bytes = limit_bytes
        self._due_bytes = limit_bytes

    def contain(self, connection: sqlite3.Connection) -> None:
        """Empty the log if it is due; if a reader stays, let it grow before the next try."""
        size = self._size()
        if size < self._limit_bytes:
            self._due_bytes = self._limit_bytes
        if size < self._due_bytes:
            return
        connection.execute(f"PRAGMA busy_timeout={WAIT_MS}").fetchall()
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}").fetchall()
            self._due_bytes = self._size() + self._limit_bytes

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

"""Which block includes a transaction: an index on disk, however long the chain becomes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

_CACHE_KIB = 4_096


class TransactionIndex:
    """Heights by txid, in a nameless temporary file that is gone with the process."""

    def __init__(self) -> None:
        self._store = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._store.execute("PRAGMA journal_mode = OFF")
        self._store.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._store.execute(
            "CREATE TABLE heights (txid BLOB PRIMARY KEY, height INTEGER NOT NULL) WITHOUT ROWID"
        )

    def add(self, txids: Iterable[bytes], height: int) -> None:
        """Note the transactions of a block."""
        self._in_one_go("INSERT INTO heights VALUES (?, ?)", [(txid, height) for txid in txids])

    def remove(self, txids: Iterable[bytes]) -> None:
        """Forget the transactions of a block that was taken back."""
        self._in_one_go("DELETE FROM heights WHERE txid = ?", [(txid,) for txid in txids])

    def height_of(self, txid: bytes) -> int | None:
        """The number of the block that includes a transaction."""
        row = self._store.execute("SELECT height FROM heights WHERE txid = ?", (txid,)).fetchone()
        return None if row is None else int(row[0])

    def close(self) -> None:
        """Give the file back."""
        self._store.close()

    def _in_one_go(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        if not rows:
            return
        self._store.execute("BEGIN")
        self._store.executemany(statement, rows)
        self._store.execute("COMMIT")

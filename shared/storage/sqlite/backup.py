"""Copies of the database that open by themselves."""

import os
import sqlite3
import uuid
from pathlib import Path

from shared.storage.errors import StorageUnwritable
from shared.storage.sqlite.connection import (
    connect,
    create,
    flush_directory,
    os_errors,
    sqlite_errors,
)


def copy(source: sqlite3.Connection, path: Path) -> None:
    """Write a copy as of one moment, complete and durable before it gets its name.

    The copy becomes an incarnation of its own: put back in place of the original it would number
    events that consumers of the original have seen differently.

    Raises:
        StorageUnwritable: the path exists, or cannot be written.
        StorageFull: there is no space for it.
    """
    if path.exists():
        raise StorageUnwritable(str(path), "it exists already: choose another name")
    partial = path.with_name(path.name + ".partial")
    with os_errors(partial):
        partial.unlink(missing_ok=True)
    create(partial)
    try:
        with sqlite_errors(partial):
            _fill(source, partial)
        with os_errors(path):
            os.rename(partial, path)  # noqa: PTH104 - beside fsync, the plain call says what happens
            flush_directory(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _fill(source: sqlite3.Connection, path: Path) -> None:
    target = connect(path, mode="rw")
    try:
        source.backup(target, pages=-1)
        target.execute("PRAGMA journal_mode=DELETE").fetchall()
        target.execute("PRAGMA synchronous=FULL")
        target.execute("UPDATE meta SET value = ? WHERE key = 'incarnation'", (uuid.uuid4().hex,))
    finally:
        target.close()

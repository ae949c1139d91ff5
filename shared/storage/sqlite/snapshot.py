"""Database files that lie by themselves, such as the copy in a backup: looked at, noted on, renewed.

Every engine writes its backup as such a file, so that there is one form to seal, check and restore.
"""

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.storage.errors import StorageCorrupt, StorageUnwritable
from shared.storage.sqlite import integrity
from shared.storage.sqlite.connection import connect, flush_directory, meaning
from shared.storage.sqlite.feeds import bounds
from shared.storage.transfer.portable import Identity

WITHHELD: Final = "withheld"
"""The key in ``meta`` under which a mark keeps the service from opening the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a database file says of itself.

    Attributes:
        identity: whose it is.
        feed_ends: number of the newest event of each feed.
        notes: what else is written down in it, such as when the copy was made.
    """

    identity: Identity
    feed_ends: Mapping[str, int]
    notes: Mapping[str, str]


def inspect(path: Path) -> Snapshot:
    """Verify every page of a file that nobody writes to, and return what it says of itself.

    Raises:
        StorageCorrupt: it is damaged, or no database of a service.
        StorageUnwritable: it cannot be read.
    """
    if not path.is_file():
        raise StorageUnwritable(str(path), "there is no such file")
    with _opened(path, "ro") as connection:
        told = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
        if told != ["ok"]:
            raise StorageCorrupt(str(path), "; ".join(map(str, told)))
        return _read(path, connection)


def verify(path: Path) -> None:
    """Verify every page, index and constraint of a file that nobody writes to.

    Raises:
        StorageCorrupt: it is damaged.
    """
    with _opened(path, "ro") as connection:
        integrity.check(connection, path)


def note(path: Path, notes: Mapping[str, str]) -> None:
    """Write something down in a file, durably."""
    with _opened(path, "rw") as connection:
        _write(connection, notes)


def renew(path: Path, notes: Mapping[str, str]) -> str:
    """Make a file another history of its database; returns its incarnation (hazard H5)."""
    incarnation = uuid.uuid4().hex
    with _opened(path, "rw") as connection:
        _write(connection, {**notes, "incarnation": incarnation})
    flush_directory(path.parent)
    return incarnation


def read_identity(path: str, meta: Mapping[str, str]) -> Identity:
    """Return whose a database is, by its stamp.

    Raises:
        StorageCorrupt: the stamp is not complete.
    """
    try:
        return Identity(
            service=meta["service"],
            network=meta["network"],
            contract=meta["contract"],
            schema_version=int(meta["schema_version"]),
            incarnation=meta["incarnation"],
        )
    except (KeyError, ValueError) as error:
        raise StorageCorrupt(path, f"its stamp is not complete: {error}") from error


def _read(path: Path, connection: sqlite3.Connection) -> Snapshot:
    names = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
    tables = [str(row[0]) for row in connection.execute(names)]
    if "meta" not in tables:
        raise StorageCorrupt(str(path), "it is no database of a service")
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    identity = read_identity(str(path), meta)
    known = {"service", "network", "contract", "schema_version", "incarnation"}
    feeds = [name.removeprefix("f_") for name in tables if name.startswith("f_")]
    return Snapshot(
        identity=identity,
        feed_ends={feed: bounds(connection, feed)[1] for feed in feeds},
        notes={key: value for key, value in meta.items() if key not in known},
    )


def _write(connection: sqlite3.Connection, notes: Mapping[str, str]) -> None:
    connection.execute("PRAGMA journal_mode=DELETE").fetchall()
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", list(notes.items())
    )
    connection.execute("COMMIT")


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    try:
        with contextlib.closing(connect(path, mode=mode)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise meaning(path, error) from error

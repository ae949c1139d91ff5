"""The file and its connections: ownership, permissions, pragmas, and what their failures mean."""

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from shared.storage.errors import (
    StorageBusy,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageLocked,
    StorageUnwritable,
    StorageWithheld,
)

OLDEST_SQLITE: Final = (3, 37, 0)
"""The first release with STRICT tables."""

BUSY_TIMEOUT_MS: Final = 5_000

WAL_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""Beyond this the write-ahead log is emptied."""

CONNECTION_PRAGMAS: Final = (
    f"busy_timeout={BUSY_TIMEOUT_MS}",
    "foreign_keys=ON",
    "temp_store=MEMORY",
    "cache_size=-8000",
    "mmap_size=0",
)
WRITER_PRAGMAS: Final = (
    "page_size=2048",  # of a new file: a commit writes whole pages, twice; half of 4096 wears less
    "journal_mode=WAL",
    "synchronous=FULL",
    "wal_autocheckpoint=2000",
    f"journal_size_limit={WAL_LIMIT_BYTES}",
)


def own(path: Path) -> int:
    """Create directory and file if needed, take the lock beside it, and return the lock's handle.

    Raises:
        StorageLocked: another process, or another engine of this one, has it.
        StorageWithheld: a restore of it was interrupted.
        StorageUnwritable: a path cannot be written.
    """
    lock = lock_file(path)
    try:
        _check_restored(path)
        create(path)
    except BaseException:
        os.close(lock)
        raise
    return lock


def restoring_of(path: Path) -> Path:
    """Return the file that is there while another database is put in the place of one."""
    return path.with_name(path.name + ".restoring")


def _check_restored(path: Path) -> None:
    if restoring_of(path).exists():
        raise StorageWithheld(str(path), "its restore was interrupted: run it again")


def lock_file(path: Path) -> int:
    """Take the lock beside a database, which need not exist, and return the lock's handle.

    Raises:
        StorageLocked: another process, or another engine of this one, has it.
        StorageUnwritable: a path cannot be written.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StorageError(f"SQLite {sqlite3.sqlite_version} is older than 3.37")
    with os_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StorageLocked(str(path)) from error
    return lock


def create(path: Path) -> None:
    """Make sure that the file exists, is ours alone, and that its directory entry is durable.

    Raises:
        StorageUnwritable: it cannot be written.
    """
    with os_errors(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        flush_directory(path.parent)


def flush_directory(directory: Path) -> None:
    """Make creations and renames in a directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def connect(path: Path, *, mode: str) -> sqlite3.Connection:
    """Open a connection without implicit transactions, usable from any one thread at a time.

    Args:
        path: an existing database.
        mode: ``rw`` or ``ro``.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
    )
    try:
        for pragma in CONNECTION_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare_writer(connection: sqlite3.Connection) -> None:
    """Make commits durable and let readers go on beside them."""
    for pragma in WRITER_PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def meaning(path: Path, error: sqlite3.Error) -> StorageError:
    """Say what a failure of SQLite means to the caller."""
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith("SQLITE_FULL"):
        return StorageFull(str(path))
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StorageCorrupt(str(path), str(error))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StorageBusy(f"another program holds {path}")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return StorageUnwritable(str(path), _ownership_fix(path))
    if name.startswith("SQLITE_IOERR"):
        return StorageUnwritable(str(path), f"check the disk ({name}: {error})")
    return StorageError(f"{path}: {error}")


@contextlib.contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Raise what SQLite's failures mean instead of them."""
    try:
        yield
    except sqlite3.Error as error:
        raise meaning(path, error) from error


@contextlib.contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Raise StorageFull or StorageUnwritable, with the exact path, instead of OSError."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull(str(path)) from error
        named = Path(error.filename) if isinstance(error.filename, str) else path
        refused = error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}
        fix = _ownership_fix(path) if refused else str(error)
        raise StorageUnwritable(str(named), fix) from error


def _ownership_fix(path: Path) -> str:
    """Name the command that gives the directory of the database to this process."""
    directory = path.absolute().parent
    return f"mkdir -p {directory} && chown -R {os.geteuid()} {directory}, and mount it writable"

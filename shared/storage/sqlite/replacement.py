"""Another database in the place of one, such as a restored backup, with the former kept aside.

The write-ahead log belongs to its database by name alone: beside another it would destroy it. So
while files are being renamed a note lies beside them, which keeps the service from opening whatever
is there, and which lets an interrupted replacement be finished.
"""

import os
import sqlite3
from pathlib import Path

from shared.storage.errors import StorageUnwritable, StorageWithheld
from shared.storage.sqlite.connection import connect, flush_directory, os_errors, restoring_of
from shared.storage.sqlite.snapshot import WITHHELD
from shared.storage.transfer.portable import Mark, MarkKind

PARTS = ("", "-wal")
"""What is kept of a database: the file and its log."""


def check_replaceable(path: Path) -> None:
    """Make sure that nothing else has taken the place of a database, whose lock is held.

    Raises:
        StorageWithheld: it was moved elsewhere: a second one beside that would pay again.
    """
    mark = _mark(path) if path.is_file() else None
    if mark is not None and mark.kind is MarkKind.MOVED:
        raise StorageWithheld(str(path), mark.told)


def put_in_place(path: Path, prepared: Path, former: Path) -> bool:
    """Rename a prepared database into the place of one whose lock is held; False if there was none.

    Args:
        path: the database, which need not exist.
        prepared: a complete database on the same disk, without a log.
        former: where to keep what was there.

    Raises:
        StorageFull: there is no space for a name.
        StorageUnwritable: the folder cannot be written.
    """
    with os_errors(path):
        finish_interrupted(path)
        if former.exists():
            raise StorageUnwritable(str(former), "it exists already: choose another name")
        note = restoring_of(path)
        _write_note(note, former)
        there = path.exists()
        _set_aside(path, former)
        prepared.rename(path)
        flush_directory(path.parent)
        note.unlink()
        flush_directory(path.parent)
    return there


def finish_interrupted(path: Path) -> None:
    """Put aside what an interrupted replacement had not put aside yet, so that it can be done again."""
    note = restoring_of(path)
    if note.exists() and (name := note.read_text()):  # while it is empty nothing was renamed
        former = path.with_name(name)
        if former.exists():  # then the log, if there still is one, belongs to it
            _rename(path, former, "-wal")
            flush_directory(path.parent)


def _set_aside(path: Path, former: Path) -> None:
    for part in PARTS:
        _rename(path, former, part)
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    flush_directory(path.parent)


def _rename(path: Path, former: Path, part: str) -> None:
    source = path.with_name(path.name + part)
    if part and source.exists() and not source.stat().st_size:
        source.unlink()  # what looking at a database leaves
    elif source.exists():
        source.rename(former.with_name(former.name + part))


def _write_note(note: Path, former: Path) -> None:
    descriptor = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(former.name)
        file.flush()
        os.fsync(file.fileno())
    flush_directory(note.parent)


def _mark(path: Path) -> Mark | None:
    """Return the mark of a database; one that cannot be read has none."""
    try:
        connection = connect(path, mode="ro")
        try:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (WITHHELD,)).fetchone()
        finally:
            connection.close()
    except sqlite3.Error:
        return None
    return Mark.decode(row[0]) if row else None

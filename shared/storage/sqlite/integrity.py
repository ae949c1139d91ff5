"""Whether the file is whole: a glance of bounded time at every start, everything on demand."""

import sqlite3
import threading
from pathlib import Path
from typing import Final

from shared.storage.errors import StorageCorrupt

MAX_FINDINGS: Final = 10


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Verify every page, index and constraint of the database.

    Raises:
        StorageCorrupt: something is wrong.
    """
    _judge(connection.execute(f"PRAGMA integrity_check({MAX_FINDINGS})").fetchall(), path)


def glance(connection: sqlite3.Connection, path: Path, *, within_s: float) -> bool:
    """Verify as many pages as a time allows, and return whether these were all.

    Raises:
        StorageCorrupt: something is wrong with one of them.
    """
    over = threading.Event()

    def end() -> None:
        over.set()
        connection.interrupt()

    timer = threading.Timer(within_s, end)
    timer.start()
    try:
        findings = connection.execute("PRAGMA quick_check(1)").fetchall()
    except sqlite3.OperationalError:
        if not over.is_set():
            raise
        return False
    finally:
        timer.cancel()
        timer.join()
    if over.is_set():  # what a check that was broken off says of the rest means nothing
        return False
    _judge(findings, path)
    return True


def _judge(findings: list[tuple[str]], path: Path) -> None:
    told = [row[0] for row in findings]
    if told != ["ok"]:
        raise StorageCorrupt(str(path), "; ".join(map(str, told)))

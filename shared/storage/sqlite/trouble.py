"""Whether the disk takes something again: a probe that stores as much as many units do."""

import sqlite3
from typing import Final

PROBE_CHARS: Final = 64 * 1024
"""How much a probe stores: room for it is room for the units of many callers."""


def fill(connection: sqlite3.Connection) -> None:
    """Store as much as a probe does."""
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', ?)", ("x" * PROBE_CHARS,)
    )


def clear(connection: sqlite3.Connection) -> None:
    """Remove what a probe stored."""
    connection.execute("DELETE FROM meta WHERE key = 'probe'")

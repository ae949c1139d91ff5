"""Feeds as tables whose numbers are taken inside the writing transaction: commit order is order."""

import sqlite3
from typing import Any, Final

import msgspec

from shared.storage.errors import FeedTrimmed, InvalidCursor
from shared.storage.port import Event, FeedPage

TRIM_ROWS: Final = 5_000
"""Events removed in one transaction, so that a large trim does not hold up the units."""

CONSUMERS_SQL: Final = (
    "CREATE TABLE IF NOT EXISTS consumers (feed TEXT NOT NULL, name TEXT NOT NULL,"
    " seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (feed, name)) STRICT, WITHOUT ROWID"
)

_decoder = msgspec.json.Decoder(dict[str, Any])


def feed_table(feed: str) -> str:
    """Return the name of a feed's table."""
    return f"f_{feed}"


def feed_sql(feed: str) -> str:
    """Define a feed's table; AUTOINCREMENT keeps the count when every event was trimmed."""
    return (
        f"CREATE TABLE IF NOT EXISTS {feed_table(feed)} (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        " id TEXT NOT NULL, type TEXT NOT NULL, at_ms INTEGER NOT NULL, object BLOB NOT NULL)"
        " STRICT"
    )


def bounds(connection: sqlite3.Connection, feed: str) -> tuple[int, int]:
    """Return the number of the oldest event that is there and of the newest ever published."""
    table = feed_table(feed)
    counted = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
    end = int((counted.fetchone() or (0,))[0])
    oldest = connection.execute(f"SELECT min(seq) FROM {table}").fetchone()[0]  # noqa: S608 - a checked name
    return (end + 1 if oldest is None else int(oldest)), end


def check_cursor(connection: sqlite3.Connection, feed: str, after: int) -> tuple[int, int]:
    """Return the bounds of a feed that can be read on from a number.

    Raises:
        FeedTrimmed: events after it are gone.
        InvalidCursor: it lies beyond the end, or below zero.
    """
    start, end = bounds(connection, feed)
    if after < 0 or after > end:
        raise InvalidCursor(str(after))
    if after < start - 1:
        raise FeedTrimmed(feed=feed, after=after, start=start)
    return start, end


def read(connection: sqlite3.Connection, feed: str, after: int, limit: int) -> FeedPage:
    """Read a part of a feed, all from one snapshot."""
    start, end = check_cursor(connection, feed, after)
    sql = (
        f"SELECT seq, id, type, at_ms, object FROM {feed_table(feed)}"  # noqa: S608 - a checked name
        " WHERE seq > ? ORDER BY seq LIMIT ?"
    )
    rows = connection.execute(sql, (after, limit)).fetchall()
    events = tuple(
        Event(seq=seq, id=event_id, type=kind, at_ms=at_ms, object=_decoder.decode(document))
        for seq, event_id, kind, at_ms, document in rows
    )
    return FeedPage(events=events, start=start, end=end)


def acknowledge(
    connection: sqlite3.Connection, feed: str, consumer: str, seq: int, at_ms: int
) -> None:
    """Set what a consumer is done with; it may go back as far as the feed still reaches."""
    check_cursor(connection, feed, seq)
    connection.execute(
        "INSERT INTO consumers (feed, name, seq, at_ms) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (feed, name) DO UPDATE SET seq = excluded.seq, at_ms = excluded.at_ms",
        (feed, consumer, seq, at_ms),
    )


def dismiss(connection: sqlite3.Connection, feed: str, consumer: str) -> bool:
    """Forget a consumer."""
    sql = "DELETE FROM consumers WHERE feed = ? AND name = ?"
    return connection.execute(sql, (feed, consumer)).rowcount > 0


def consumers(connection: sqlite3.Connection, feed: str) -> dict[str, int]:
    """Return what each consumer is done with, by name."""
    sql = "SELECT name, seq FROM consumers WHERE feed = ? ORDER BY name"
    return dict(connection.execute(sql, (feed,)).fetchall())


def trim(connection: sqlite3.Connection, feed: str, keep_after_ms: int) -> int:
    """Remove up to ``TRIM_ROWS`` events from the front and return how many.

    Stops at the first event that is recent enough or that the slowest consumer has not
    acknowledged, so that what remains has no holes.
    """
    table = feed_table(feed)
    front = f"SELECT seq, at_ms FROM {table} ORDER BY seq LIMIT {TRIM_ROWS}"  # noqa: S608 - a checked name
    kept, last = connection.execute(
        f"SELECT min(CASE WHEN at_ms >= ? THEN seq END), max(seq) FROM ({front})",  # noqa: S608 - a checked name
        (keep_after_ms,),
    ).fetchone()
    if last is None:
        return 0
    slowest = connection.execute(
        "SELECT min(seq) FROM consumers WHERE feed = ?", (feed,)
    ).fetchone()[0]
    until = int(last) if kept is None else int(kept) - 1
    if slowest is not None:
        until = min(until, int(slowest))
    return connection.execute(f"DELETE FROM {table} WHERE seq <= ?", (until,)).rowcount  # noqa: S608 - a checked name

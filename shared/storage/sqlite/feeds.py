"""Feeds as tables whose numbers are taken inside the writing transaction: commit order is order."""

import sqlite3
from typing import Any, Final

import msgspec

from shared.storage.errors import FeedTrimmed, InvalidCursor
from shared.storage.port import MAX_CONSUMERS, Event, FeedPage
from shared.storage.values import check_limit, plain

TRIM_ROWS: Final = 5_000
"""Events removed in one transaction, so that a large trim does not hold up the units."""

CONSUMERS_SQL: Final = (
    "CREATE TABLE IF NOT EXISTS consumers (feed TEXT NOT NULL, name TEXT NOT NULL,"
    " seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (feed, name)) STRICT, WITHOUT ROWID"
)
TRIMMED_SQL: Final = (
    "CREATE TABLE IF NOT EXISTS trimmed (feed TEXT PRIMARY KEY NOT NULL, seq INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID"
)

_decoder = msgspec.json.Decoder(dict[str, Any])


def feed_table(feed: str) -> str:
    """Return the name of a feed's table."""
    return f"f_{feed}"


def feed_sql(feed: str) -> str:
    """Define a feed's table."""
    return (
        f"CREATE TABLE IF NOT EXISTS {feed_table(feed)} (seq INTEGER PRIMARY KEY,"
        " id TEXT NOT NULL, type TEXT NOT NULL, at_ms INTEGER NOT NULL, object BLOB NOT NULL)"
        " STRICT"
    )


def newest(feed: str) -> str:
    """Write as SQL the number of the newest event ever published, 0 before the first.

    What trimming has passed is written down by the trim, so that publishing writes no counter.
    """
    return (
        f"coalesce((SELECT max(seq) FROM {feed_table(feed)}),"  # noqa: S608 - a checked name
        f" (SELECT seq FROM trimmed WHERE feed = '{feed}'), 0)"
    )


def publish_sql(feed: str) -> str:
    """Append an event under the next number."""
    return (
        f"INSERT INTO {feed_table(feed)} (seq, id, type, at_ms, object)"  # noqa: S608 - a checked name
        f" VALUES ({newest(feed)} + 1, ?, ?, ?, ?)"
    )


def bounds(connection: sqlite3.Connection, feed: str) -> tuple[int, int]:
    """Return the number of the oldest event that is there and of the newest ever published."""
    sql = f"SELECT (SELECT min(seq) FROM {feed_table(feed)}), {newest(feed)}"  # noqa: S608 - a checked name
    oldest, end = connection.execute(sql).fetchone()
    return (end + 1 if oldest is None else int(oldest)), int(end)


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
    plain(consumer, f"{feed} consumer")
    check_cursor(connection, feed, seq)
    others = "SELECT count(*) FROM consumers WHERE feed = ? AND name <> ?"
    known = int(connection.execute(others, (feed, consumer)).fetchone()[0])
    check_limit(f"consumers of {feed}", known + 1, MAX_CONSUMERS)
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
    removed = connection.execute(f"DELETE FROM {table} WHERE seq <= ?", (until,)).rowcount  # noqa: S608 - a checked name
    if removed:
        connection.execute(
            "INSERT OR REPLACE INTO trimmed (feed, seq) VALUES (?, ?)", (feed, until)
        )
    return removed

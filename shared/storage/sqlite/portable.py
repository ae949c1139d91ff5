"""The embedded database opened for carrying: see ``shared.storage.transfer``."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from shared.storage.errors import StorageCorrupt
from shared.storage.schema import Schema, Stamp
from shared.storage.sqlite.connection import own, sqlite_errors
from shared.storage.sqlite.feeds import bounds, feed_table
from shared.storage.sqlite.snapshot import WITHHELD, read_identity
from shared.storage.sqlite.tables import Table
from shared.storage.sqlite.upgrade import open_database
from shared.storage.transfer.portable import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    CollectionState,
    Contents,
    FeedState,
    Mark,
    StoredEvent,
    StoredRecord,
)

T = TypeVar("T")
P = TypeVar("P", StoredRecord, StoredEvent)

_LEASE: Final = ("lease_token", "lease_owner", "lease_until")


class SqlitePortable:
    """A ``Portable`` in one SQLite file whose service is stopped; ``open`` makes one."""

    def __init__(
        self,
        path: Path,
        lock: int,
        connection: sqlite3.Connection,
        tables: dict[str, Table[Any]],
    ) -> None:
        self._path = path
        self._lock = lock
        self._connection = connection
        self._tables = tables

    @classmethod
    async def open(cls, path: Path, schema: Schema, stamp: Stamp) -> Self:
        """Take the file's lock and bring it to the schema; one that is missing is created.

        Raises:
            StorageLocked: its service is running.
            WrongStamp: it is for something else, or of a newer release.
            StorageCorrupt: it is damaged or not ours.
        """
        tables = {each.name: Table(each) for each in schema.collections}
        lock = await asyncio.to_thread(own, path)
        try:
            opened = await asyncio.to_thread(
                open_database, path, schema, stamp, tables, even_withheld=True
            )
        except BaseException:
            os.close(lock)
            raise
        return cls(path, lock, opened.connection, tables)

    @property
    def place(self) -> str:
        """Name the file."""
        return str(self._path)

    async def contents(self) -> Contents:
        """Return what the database says of itself."""
        return await self._read(read_contents)

    async def mark(self) -> Mark | None:
        """Return what keeps its service from opening it."""
        return await self._read(read_mark)

    async def set_mark(self, mark: Mark | None) -> None:
        """Set or remove what keeps its service from opening it."""
        if mark is None:
            await self._write([("DELETE FROM meta WHERE key = ?", [(WITHHELD,)])])
        else:
            sql = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"
            await self._write([(sql, [(WITHHELD, mark.encode())])])

    async def records(self, collection: str, *, after: str) -> list[StoredRecord]:
        """Return the next piece of a collection by id."""
        return await self._read(lambda connection: read_records(connection, collection, after))

    async def events(self, feed: str, *, after: int) -> list[StoredEvent]:
        """Return the next piece of a feed by number."""
        return await self._read(lambda connection: read_events(connection, feed, after))

    async def last_record(self, collection: str) -> str:
        """Return the largest id of a collection."""
        sql = f"SELECT coalesce(max(id), '') FROM {self._table(collection).name}"  # noqa: S608 - a checked name
        return str(await self._read(lambda connection: connection.execute(sql).fetchone()[0]))

    async def last_event(self, feed: str) -> int:
        """Return the number of the newest event that is there."""
        sql = f"SELECT coalesce(max(seq), 0) FROM {feed_table(feed)}"  # noqa: S608 - a checked name
        return int(await self._read(lambda connection: connection.execute(sql).fetchone()[0]))

    async def put_records(self, collection: str, records: Sequence[StoredRecord]) -> None:
        """Store a piece in one transaction."""
        table = self._table(collection)
        columns = ["id", "version", "doc", *table.columns]
        if table.collection.leased:
            columns += _LEASE
        sets = ", ".join(f"{each} = excluded.{each}" for each in columns[1:])
        sql = (
            f"INSERT INTO {table.name} ({', '.join(columns)})"  # noqa: S608 - checked names
            f" VALUES ({', '.join('?' * len(columns))}) ON CONFLICT (id) DO UPDATE SET {sets}"
        )

        def write(connection: sqlite3.Connection) -> None:
            for stored in records:
                record = table.decode(stored.document)
                if (record.id, record.version) != (stored.id, stored.version):
                    raise StorageCorrupt(collection, f"{stored.id} holds another record")
                row = [stored.id, stored.version, stored.document, *table.values(record)]
                if table.collection.leased:
                    row += stored.lease or (0, None, None)
                try:
                    connection.execute(sql, row)
                except sqlite3.IntegrityError as error:
                    raise table.refusal(error, record) from error

        await self._in_transaction(write)

    async def put_events(self, feed: str, events: Sequence[StoredEvent]) -> None:
        """Store a piece in one transaction."""
        sql = (
            f"INSERT OR REPLACE INTO {feed_table(feed)} (seq, id, type, at_ms, object)"  # noqa: S608 - a checked name
            " VALUES (?, ?, ?, ?, ?)"
        )
        rows = [(each.seq, each.id, each.type, each.at_ms, each.document) for each in events]
        await self._write([(sql, rows)])

    async def put_contents(self, contents: Contents) -> None:
        """Take over incarnation, token floors, bounds of feeds and consumers in one transaction."""
        floors = [
            (each.name, each.token_floor) for each in contents.collections if each.token_floor
        ]
        trimmed = [(each.name, each.start - 1) for each in contents.feeds if each.start > 1]
        consumers = [(each.name, *known) for each in contents.feeds for known in each.consumers]
        await self._write(
            [
                ("DELETE FROM lease_floors", [()]),
                ("DELETE FROM trimmed", [()]),
                ("DELETE FROM consumers", [()]),
                ("INSERT INTO lease_floors (collection, token) VALUES (?, ?)", floors),
                ("INSERT INTO trimmed (feed, seq) VALUES (?, ?)", trimmed),
                ("INSERT INTO consumers (feed, name, seq, at_ms) VALUES (?, ?, ?, ?)", consumers),
                (
                    "UPDATE meta SET value = ? WHERE key = 'incarnation'",
                    [(contents.identity.incarnation,)],
                ),
            ]
        )

    async def clear(self) -> None:
        """Remove everything but the stamp and the mark."""
        contents = await self.contents()
        tables = [f"c_{each.name}" for each in contents.collections]
        tables += [feed_table(each.name) for each in contents.feeds]
        tables += ["lease_floors", "trimmed", "consumers"]
        await self._write([(f"DELETE FROM {each}", [()]) for each in tables])  # noqa: S608 - checked names

    async def close(self) -> None:
        """Let go of the file and its lock."""
        await asyncio.to_thread(self._connection.close)
        os.close(self._lock)

    def _table(self, collection: str) -> Table[Any]:
        if collection not in self._tables:
            raise ValueError(f"collection {collection} is not of this schema")
        return self._tables[collection]

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def read() -> T:
            with sqlite_errors(self._path):
                return work(self._connection)

        return await asyncio.to_thread(read)

    async def _write(self, statements: Sequence[tuple[str, Sequence[Sequence[Any]]]]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            for sql, rows in statements:
                connection.executemany(sql, rows)

        await self._in_transaction(write)

    async def _in_transaction(self, work: Callable[[sqlite3.Connection], None]) -> None:
        def write() -> None:
            with sqlite_errors(self._path), _transaction(self._connection):
                work(self._connection)

        await asyncio.to_thread(write)


def read_contents(connection: sqlite3.Connection) -> Contents:
    """Return what a database says of itself; tables that no schema names any more are told too.

    Raises:
        StorageCorrupt: it is no database of ours.
    """
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    names = [
        str(row[0])
        for row in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        )
    ]
    floors = dict(connection.execute("SELECT collection, token FROM lease_floors").fetchall())
    collections = [name.removeprefix("c_") for name in names if name.startswith("c_")]
    feeds = [name.removeprefix("f_") for name in names if name.startswith("f_")]
    return Contents(
        identity=read_identity("database", meta),
        collections=tuple(
            CollectionState(
                name=name, count=_count(connection, f"c_{name}"), token_floor=floors.get(name, 0)
            )
            for name in collections
        ),
        feeds=tuple(_feed_state(connection, name) for name in feeds),
    )


def read_mark(connection: sqlite3.Connection) -> Mark | None:
    """Return what keeps its service from opening a database."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (WITHHELD,)).fetchone()
    return Mark.decode(row[0]) if row else None


def read_records(connection: sqlite3.Connection, collection: str, after: str) -> list[StoredRecord]:
    """Return the next piece of a collection, whether or not a schema names it."""
    columns = {row[1] for row in connection.execute(f"PRAGMA table_info(c_{collection})")}
    leased = _LEASE[0] in columns
    wanted = ", ".join(("id", "version", "doc", *(_LEASE if leased else ())))
    sql = f"SELECT {wanted} FROM c_{collection} WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - checked names
    rows = connection.execute(sql, (after, CHUNK_ROWS))
    return _piece(
        StoredRecord(id=id_, version=version, document=doc, lease=tuple(lease) if leased else None)
        for id_, version, doc, *lease in rows
    )


def read_events(connection: sqlite3.Connection, feed: str, after: int) -> list[StoredEvent]:
    """Return the next piece of a feed."""
    sql = (
        f"SELECT seq, id, type, at_ms, object FROM {feed_table(feed)}"  # noqa: S608 - a checked name
        " WHERE seq > ? ORDER BY seq LIMIT ?"
    )
    return _piece(
        StoredEvent(seq=seq, id=id_, type=kind, at_ms=at_ms, document=document)
        for seq, id_, kind, at_ms, document in connection.execute(sql, (after, CHUNK_ROWS))
    )


def _piece(rows: Iterator[P]) -> list[P]:
    piece, size = [], 0
    for row in rows:
        piece.append(row)
        size += len(row.document)
        if size >= CHUNK_BYTES:
            break
    return piece


def _feed_state(connection: sqlite3.Connection, feed: str) -> FeedState:
    start, end = bounds(connection, feed)
    rows = connection.execute(
        "SELECT name, seq, at_ms FROM consumers WHERE feed = ? ORDER BY name", (feed,)
    )
    return FeedState(name=feed, start=start, end=end, consumers=tuple(rows.fetchall()))


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - a checked name


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise

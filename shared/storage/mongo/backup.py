"""Copies as of one moment, as files of the embedded engine: one form to seal, to check and to restore."""

import asyncio
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pymongo.asynchronous.client_session import AsyncClientSession

from shared.storage.errors import StorageUnwritable
from shared.storage.mongo.carried import read_contents, read_events, read_records
from shared.storage.mongo.connection import Connection
from shared.storage.mongo.documents import MongoDocuments
from shared.storage.schema import Feed
from shared.storage.sqlite.connection import (
    connect,
    create,
    flush_directory,
    os_errors,
    sqlite_errors,
)
from shared.storage.sqlite.feeds import CONSUMERS_SQL, TRIMMED_SQL, feed_sql, feed_table
from shared.storage.sqlite.tables import LEASE_COLUMNS
from shared.storage.transfer.portable import Contents

CHUNK_ROWS: Final = 500

META_SQL: Final = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT"
FLOORS_SQL: Final = (
    "CREATE TABLE lease_floors"
    " (collection TEXT PRIMARY KEY NOT NULL, token INTEGER NOT NULL) STRICT"
)

Row = tuple[Any, ...]


async def copy(
    connection: Connection,
    documents: Mapping[str, MongoDocuments[Any]],
    known: Sequence[Feed],
    path: Path,
) -> None:
    """Write a copy as of one moment, complete and durable before it gets its name.

    It is another incarnation: put in place of the original it would number events that consumers of the
    original have seen differently (hazard H5). Columns of indexed fields are left to whoever opens it,
    so that a copy of an older release's documents opens under that release.

    Raises:
        StorageUnwritable: the path exists, or cannot be written.
        StorageFull: there is no space for it.
        StorageBusy: the server keeps its history for a shorter time than the copy takes.
    """
    partial = path.with_name(path.name + ".partial")
    await asyncio.to_thread(_begin, path, partial)
    try:
        target = await asyncio.to_thread(connect, partial, mode="rw")
        try:
            with connection.noted():
                async with connection.moment() as session:
                    await _fill(connection, session, documents, known, File(partial, target))
        finally:
            await asyncio.to_thread(target.close)
        await asyncio.to_thread(_finish, path, partial)
    finally:
        await asyncio.to_thread(partial.unlink, missing_ok=True)


class File:
    """A database file of the embedded engine that is being written, beside the event loop."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    async def run(self, *statements: str) -> None:
        """Run statements."""

        def run() -> None:
            with sqlite_errors(self._path):
                for sql in statements:
                    self._connection.execute(sql).fetchall()

        await asyncio.to_thread(run)

    async def put(self, table: str, rows: Sequence[Row]) -> None:
        """Store rows, each with every column of its table."""

        def put() -> None:
            with sqlite_errors(self._path):
                marks = ", ".join("?" * len(rows[0]))
                sql = f"INSERT INTO {table} VALUES ({marks})"  # noqa: S608 - a checked name
                self._connection.executemany(sql, rows)

        if rows:
            await asyncio.to_thread(put)

    async def put_all(self, table: str, rows: AsyncIterator[Row]) -> None:
        """Store rows as they come, a bounded number at once."""
        chunk: list[Row] = []
        async for row in rows:
            chunk.append(row)
            if len(chunk) >= CHUNK_ROWS:
                await self.put(table, chunk)
                chunk = []
        await self.put(table, chunk)


async def _fill(
    connection: Connection,
    session: AsyncClientSession,
    documents: Mapping[str, MongoDocuments[Any]],
    known: Sequence[Feed],
    file: File,
) -> None:
    await file.run("PRAGMA journal_mode=DELETE", "PRAGMA synchronous=FULL", "BEGIN IMMEDIATE")
    await _describe(file, await read_contents(connection, documents, known, session=session))
    for name, each in documents.items():
        columns = ["id TEXT PRIMARY KEY NOT NULL", "version INTEGER NOT NULL", "doc BLOB NOT NULL"]
        columns += LEASE_COLUMNS if each.collection.leased else ()
        await file.run(f"CREATE TABLE c_{name} ({', '.join(columns)}) STRICT")
        records = read_records(connection, each, session=session)
        rows = ((one.id, one.version, one.document, *(one.lease or ())) async for one in records)
        await file.put_all(f"c_{name}", rows)
    for feed in known:
        await file.run(feed_sql(feed.name))
        events = read_events(connection, feed.name, session=session)
        told = ((one.seq, one.id, one.type, one.at_ms, one.document) async for one in events)
        await file.put_all(feed_table(feed.name), told)
    await file.run("COMMIT")


async def _describe(file: File, contents: Contents) -> None:
    """Write down all that is no record and no event."""
    identity = contents.identity
    meta = {
        "service": identity.service,
        "network": identity.network,
        "contract": identity.contract,
        "schema_version": str(identity.schema_version),
        "incarnation": uuid.uuid4().hex,
    }
    await file.run(META_SQL, FLOORS_SQL, CONSUMERS_SQL, TRIMMED_SQL)
    await file.put("meta", list(meta.items()))
    floors = [(one.name, one.token_floor) for one in contents.collections if one.token_floor]
    await file.put("lease_floors", floors)
    for feed in contents.feeds:
        await file.put("consumers", [(feed.name, *known) for known in feed.consumers])
        if feed.start > 1:
            await file.put("trimmed", [(feed.name, feed.start - 1)])


def _begin(path: Path, partial: Path) -> None:
    if path.exists():
        raise StorageUnwritable(str(path), "it exists already: choose another name")
    with os_errors(partial):
        partial.unlink(missing_ok=True)
    create(partial)


def _finish(path: Path, partial: Path) -> None:
    with os_errors(path):
        os.rename(partial, path)  # noqa: PTH104 - beside fsync, the plain call says what happens
        flush_directory(path.parent)

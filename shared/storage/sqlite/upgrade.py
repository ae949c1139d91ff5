"""Opening a database: whose it is, what its tables lack, and how older documents become today's."""

import sqlite3
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from shared.storage.errors import (
    DuplicateRecord,
    SchemaTooNew,
    StorageCorrupt,
    StorageWithheld,
    WrongContract,
    WrongNetwork,
    WrongService,
)
from shared.storage.schema import Migration, Schema, Stamp
from shared.storage.sqlite import backup, integrity
from shared.storage.sqlite.connection import connect, prepare_writer, sqlite_errors
from shared.storage.sqlite.feeds import CONSUMERS_SQL, TRIMMED_SQL, bounds, feed_sql
from shared.storage.sqlite.snapshot import WITHHELD
from shared.storage.sqlite.tables import LEASE_COLUMNS, Table
from shared.storage.sqlite.wal import log_of
from shared.storage.transfer.portable import Mark

CHUNK_ROWS: Final = 500

AT_START_S: Final = 1.0
AFTER_CRASH_S: Final = 10.0
"""How long a start looks for damage, longer where the database was not closed in order.

A million records, 2 GB, take 50 s read cold and 1.5 s once they are in memory: a small database is
always looked at as a whole, a large one in part, and as a whole on demand.
"""


class Opened:
    """A database that is ready for its service.

    Attributes:
        connection: the writing connection.
        incarnation: identifies this history of the database.
        heads: number of the newest event of each feed.
    """

    def __init__(self, connection: sqlite3.Connection, schema: Schema) -> None:
        self.connection = connection
        self.incarnation = _read_meta(connection)["incarnation"]
        self.heads = {feed.name: bounds(connection, feed.name)[1] for feed in schema.feeds}


def open_database(
    path: Path,
    schema: Schema,
    stamp: Stamp,
    tables: Mapping[str, Table[Any]],
    *,
    even_withheld: bool = False,
) -> Opened:
    """Open or create the database; a refusal leaves it untouched.

    Args:
        path: an existing file, empty before the first time.
        schema: what the service keeps.
        stamp: what the database is for.
        tables: the collections of the schema by name.
        even_withheld: open one that services must not use, to carry what it holds.

    Raises:
        StorageWithheld: it is being filled, or was moved elsewhere.
        WrongStamp: it belongs to another service, network or contract, or to a newer release.
        StorageCorrupt: it is not a database of ours.
        DuplicateRecord: a new unique index does not hold for what is stored.
    """
    with sqlite_errors(path):
        _look_for_damage(path)
        connection = connect(path, mode="rw")
        try:
            found = _read_meta(connection)
            if found:
                _check_stamp(path, found, schema, stamp)
                if not even_withheld:
                    _check_mark(path, found)
            else:
                _check_empty(path, connection)
            prepare_writer(connection)
            _save_copy(path, connection, found, schema)
            _align(connection, found, schema, stamp, tables)
            return Opened(connection, schema)
        except BaseException:
            connection.close()
            raise


def _look_for_damage(path: Path) -> None:
    """Glance at the file before anything is written to it, its log included."""
    within_s = AFTER_CRASH_S if log_of(path).exists() else AT_START_S
    connection = connect(path, mode="ro")
    try:
        integrity.glance(connection, path, within_s=within_s)
    finally:
        connection.close()


def _read_meta(connection: sqlite3.Connection) -> dict[str, str]:
    known = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'meta'"
    if not connection.execute(known).fetchone()[0]:
        return {}
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def _check_empty(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise StorageCorrupt(str(path), "it holds tables of some other program")


def _check_stamp(path: Path, found: dict[str, str], schema: Schema, stamp: Stamp) -> None:
    for error, key, expected in (
        (WrongService, "service", schema.service),
        (WrongNetwork, "network", stamp.network),
        (WrongContract, "contract", stamp.contract),
    ):
        if found.get(key) != expected:
            raise error(str(path), expected=expected, found=str(found.get(key)))
    if int(found["schema_version"]) > schema.version:
        told = found["schema_version"]
        raise SchemaTooNew(str(path), expected=str(schema.version), found=told)


def _check_mark(path: Path, found: dict[str, str]) -> None:
    if WITHHELD in found:
        raise StorageWithheld(str(path), Mark.decode(found[WITHHELD]).told)


def _save_copy(
    path: Path, connection: sqlite3.Connection, found: dict[str, str], schema: Schema
) -> None:
    """Keep the database as the older release knew it, before its documents change."""
    if not found or int(found["schema_version"]) == schema.version:
        return
    copy = path.with_name(f"{path.name}.schema-{found['schema_version']}")
    copy.unlink(missing_ok=True)  # of an upgrade that did not get through
    backup.copy(connection, copy)


def _align(
    connection: sqlite3.Connection,
    found: dict[str, str],
    schema: Schema,
    stamp: Stamp,
    tables: Mapping[str, Table[Any]],
) -> None:
    """Bring tables, documents, columns and indexes to the schema, all in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not found:
            _create_meta(connection, schema, stamp)
        connection.execute(CONSUMERS_SQL)
        connection.execute(TRIMMED_SQL)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS lease_floors"
            " (collection TEXT PRIMARY KEY NOT NULL, token INTEGER NOT NULL) STRICT"
        )
        for feed in schema.feeds:
            connection.execute(feed_sql(feed.name))
        since = int(found.get("schema_version", schema.version))
        for table in tables.values():
            due = [
                each
                for each in sorted(schema.migrations, key=lambda each: each.to_version)
                if each.collection == table.collection.name and each.to_version > since
            ]
            _align_table(connection, table, due)
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(schema.version),)
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _create_meta(connection: sqlite3.Connection, schema: Schema, stamp: Stamp) -> None:
    connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT")
    told = {
        "service": schema.service,
        "network": stamp.network,
        "contract": stamp.contract,
        "schema_version": str(schema.version),
        "incarnation": uuid.uuid4().hex,
    }
    connection.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", told.items())


def _align_table(connection: sqlite3.Connection, table: Table[Any], due: list[Migration]) -> None:
    columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")}
    if not columns:
        connection.execute(table.create_sql())
        columns = {"id", "version", "doc", *table.columns}
    _drop_indexes(connection, table, every=bool(due))
    missing = [each for each in table.columns if each not in columns]
    for name in missing:
        connection.execute(f"ALTER TABLE {table.name} ADD COLUMN {name} ANY")
    # A column that nobody fills any more would be taken for filled if its index came back.
    for name in columns - set(table.columns):
        if name.startswith("i_"):
            connection.execute(f"ALTER TABLE {table.name} DROP COLUMN {name}")
    if table.collection.leased and "lease_token" not in columns:
        held = {row[1] for row in connection.execute(f"PRAGMA table_info({table.name})")}
        for definition in LEASE_COLUMNS:
            if definition.split()[0] not in held:
                connection.execute(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
    if missing or due:
        _rewrite(connection, table, due)
    _create_indexes(connection, table)


def _drop_indexes(connection: sqlite3.Connection, table: Table[Any], *, every: bool) -> None:
    """Drop the indexes that the schema does not name, or defines differently by now.

    Before a migration every one goes: documents may share a unique value half way through it.
    """
    wanted = set() if every else {table.index_sql(index) for index in table.collection.indexes}
    sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?"
    for name, definition in connection.execute(sql, (table.name,)).fetchall():
        if definition is not None and definition not in wanted:
            connection.execute(f"DROP INDEX {name}")


def _create_indexes(connection: sqlite3.Connection, table: Table[Any]) -> None:
    held = {row[1] for row in connection.execute(f"PRAGMA index_list({table.name})")}
    for index in table.collection.indexes:
        if table.index_name(index) in held:
            continue
        try:
            connection.execute(table.index_sql(index))
        except sqlite3.IntegrityError as error:
            name = table.collection.name
            raise DuplicateRecord(collection=name, index=index.name) from error


def _rewrite(connection: sqlite3.Connection, table: Table[Any], due: list[Migration]) -> None:
    """Carry documents through their migrations and fill the columns of indexed fields."""
    select = (
        f"SELECT id, version, doc FROM {table.name} WHERE id > ? ORDER BY id LIMIT {CHUNK_ROWS}"  # noqa: S608 - a checked name
    )
    changes = ", ".join(f"{each} = ?" for each in ("doc", *table.columns))
    update = f"UPDATE {table.name} SET {changes} WHERE id = ?"  # noqa: S608 - checked names
    last = ""
    while rows := connection.execute(select, (last,)).fetchall():
        for record_id, version, doc in rows:
            today = _migrate(doc, due, record_id, version)
            record = table.decode(today)
            connection.execute(update, (today, *table.values(record), record_id))
        last = rows[-1][0]


def _migrate(doc: bytes, due: list[Migration], record_id: str, version: int) -> bytes:
    """Return a document as the last of the migrations leaves it, id and version kept."""
    if not due:
        return doc
    document = msgspec.json.decode(doc)
    for migration in due:
        document = migration.transform(document)
    return msgspec.json.encode({**document, "id": record_id, "version": version})

"""A unit as statements: planned beside the caller, carried out in the writing thread."""

import sqlite3
from collections.abc import Callable
from typing import Any, Final, assert_never

from shared.storage.documents import event_object
from shared.storage.errors import LeaseLost, RecordMissing, StaleRecord
from shared.storage.known import Known, operations_of
from shared.storage.port import Committed
from shared.storage.sqlite.feeds import publish_sql
from shared.storage.sqlite.tables import Table
from shared.storage.unit import (
    Delete,
    Fence,
    Insert,
    Lease,
    Operation,
    Publish,
    Release,
    Require,
    Unit,
    Update,
)

Numbers = dict[str, list[int]]
Step = Callable[[sqlite3.Connection, Numbers], None]


def plan(known: Known[Table[Any]], unit: Unit) -> Callable[[sqlite3.Connection], Committed]:
    """Return a unit as one function of the connection; all encoding is done by then.

    Raises:
        LimitExceeded: the unit or something in it is too large.
        ValueError: something in it is not of this schema.
    """
    steps = [_step(known, operation) for operation in operations_of(unit)]

    def run(connection: sqlite3.Connection) -> Committed:
        numbers: Numbers = {}
        for step in steps:
            step(connection, numbers)
        taken = {feed: tuple(each) for feed, each in numbers.items()}
        return Committed(feed_numbers=taken)

    return run


def _step(known: Known[Table[Any]], operation: Operation) -> Step:
    match operation:
        case Insert() | Update() | Delete() | Require():
            table = known.stored(operation.collection)
            return _RECORD_STEPS[type(operation)](table, operation.record)
        case Fence() | Release():
            table = known.stored(operation.collection)
            return _LEASE_STEPS[type(operation)](table, operation.lease)
        case Publish():
            known.feed(operation.feed)
            return _publish(operation)
    assert_never(operation)


def _insert(table: Table[Any], record: Any) -> Step:
    row = (record.id, 1, table.encode(record, 1), *table.values(record))

    def step(connection: sqlite3.Connection, _numbers: Numbers) -> None:
        try:
            connection.execute(table.insert_sql, row)
        except sqlite3.IntegrityError as error:
            raise table.refusal(error, record) from error

    return step


def _update(table: Table[Any], record: Any) -> Step:
    version = record.version + 1
    doc = table.encode(record, version)
    row = (version, doc, *table.values(record), record.id, record.version)

    def step(connection: sqlite3.Connection, _numbers: Numbers) -> None:
        try:
            changed = connection.execute(table.update_sql, row).rowcount
        except sqlite3.IntegrityError as error:
            raise table.refusal(error, record) from error
        if not changed:
            raise _absent(connection, table, record)

    return step


def _delete(table: Table[Any], record: Any) -> Step:
    sql = f"DELETE FROM {table.name} WHERE id = ? AND version = ?"  # noqa: S608 - a checked name

    def step(connection: sqlite3.Connection, _numbers: Numbers) -> None:
        if table.collection.leased:
            connection.execute(table.floor_sql, (record.id,))
        if not connection.execute(sql, (record.id, record.version)).rowcount:
            raise _absent(connection, table, record)

    return step


def _require(table: Table[Any], record: Any) -> Step:
    def step(connection: sqlite3.Connection, _numbers: Numbers) -> None:
        sql = f"SELECT 1 FROM {table.name} WHERE id = ? AND version = ?"  # noqa: S608 - a checked name
        if connection.execute(sql, (record.id, record.version)).fetchone() is None:
            raise _absent(connection, table, record)

    return step


def _fence(table: Table[Any], lease: Lease) -> Step:
    def step(connection: sqlite3.Connection, _numbers: Numbers) -> None:
        sql = (
            f"SELECT 1 FROM {table.name}"  # noqa: S608 - a checked name
            " WHERE id = ? AND lease_token = ? AND lease_owner = ?"
        )
        held = connection.execute(sql, (lease.record_id, lease.token, lease.owner)).fetchone()
        if held is None:
            raise lost(table, lease)

    return step


def _release(table: Table[Any], lease: Lease) -> Step:
    def step(connection: sqlite3.Connection, _numbers: Numbers) -> None:
        sql = (
            f"UPDATE {table.name} SET lease_owner = NULL, lease_until = NULL"  # noqa: S608 - a checked name
            " WHERE id = ? AND lease_token = ? AND lease_owner = ?"
        )
        if not connection.execute(sql, (lease.record_id, lease.token, lease.owner)).rowcount:
            raise lost(table, lease)

    return step


def _publish(event: Publish) -> Step:
    feed = event.feed.name
    sql = publish_sql(feed)
    row = (event.id, str(event.type), event.at_ms, event_object(event))

    def step(connection: sqlite3.Connection, numbers: Numbers) -> None:
        taken = connection.execute(sql, row).lastrowid
        numbers.setdefault(feed, []).append(int(taken or 0))

    return step


def lost(table: Table[Any], lease: Lease) -> LeaseLost:
    """Say whose lease is gone."""
    name = table.collection.name
    return LeaseLost(collection=name, id=lease.record_id, token=lease.token)


def _absent(
    connection: sqlite3.Connection, table: Table[Any], record: Any
) -> StaleRecord | RecordMissing:
    """Tell a record that changed from one that is not there."""
    name = table.collection.name
    sql = f"SELECT 1 FROM {table.name} WHERE id = ?"  # noqa: S608 - a checked name
    if connection.execute(sql, (record.id,)).fetchone() is None:
        return RecordMissing(collection=name, id=record.id)
    return StaleRecord(collection=name, id=record.id, version=record.version)


_RECORD_STEPS: Final[dict[type[Operation], Callable[[Table[Any], Any], Step]]] = {
    Insert: _insert,
    Update: _update,
    Delete: _delete,
    Require: _require,
}
_LEASE_STEPS: Final[dict[type[Operation], Callable[[Table[Any], Lease], Step]]] = {
    Fence: _fence,
    Release: _release,
}

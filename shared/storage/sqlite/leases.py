"""Leases: the right to work on a record, taken and given back in conditional writes."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from shared.storage.errors import LeaseLost
from shared.storage.port import Leased
from shared.storage.schema import R
from shared.storage.sqlite.queries import Rows, where
from shared.storage.sqlite.tables import Table
from shared.storage.unit import Lease

FREE: Final = "(lease_until IS NULL OR lease_until <= ?)"
"""The condition under which nobody holds a row at a time."""


def claim(
    connection: sqlite3.Connection,
    chosen: Rows[R],
    *,
    limit: int,
    owner: str,
    now_ms: int,
    until_ms: int,
) -> list[Leased[R]]:
    """Lease the first free records of a selection.

    Runs in the one writing transaction, so nothing can come between the choice and the lease.
    """
    table = chosen.table
    terms, values = chosen.terms()
    terms.append(FREE)
    sql = (
        f"SELECT id, doc, lease_token + 1 FROM {chosen.source()}{where(terms)}"  # noqa: S608 - checked names
        f" ORDER BY {', '.join(chosen.order())} LIMIT ?"
    )
    rows = connection.execute(sql, [*values, now_ms, limit]).fetchall()
    connection.executemany(
        f"UPDATE {table.name} SET lease_token = ?, lease_owner = ?, lease_until = ? WHERE id = ?",  # noqa: S608 - a checked name
        [(token, owner, until_ms, record_id) for record_id, _, token in rows],
    )
    return [
        Leased(
            record=table.decode(doc),
            lease=Lease(record_id=record_id, token=token, owner=owner, until_ms=until_ms),
        )
        for record_id, doc, token in rows
    ]


def renew(connection: sqlite3.Connection, table: Table[R], lease: Lease, until_ms: int) -> Lease:
    """Move the end of a lease.

    Raises:
        LeaseLost: it is not this owner's any more.
    """
    sql = (
        f"UPDATE {table.name} SET lease_until = ?"  # noqa: S608 - a checked name
        " WHERE id = ? AND lease_token = ? AND lease_owner = ?"
    )
    values = (until_ms, lease.record_id, lease.token, lease.owner)
    if not connection.execute(sql, values).rowcount:
        name = table.collection.name
        raise LeaseLost(collection=name, id=lease.record_id, token=lease.token)
    return Lease(record_id=lease.record_id, token=lease.token, owner=lease.owner, until_ms=until_ms)


def release(connection: sqlite3.Connection, table: Table[R], leases: Sequence[Lease]) -> None:
    """Give up those of the leases that are still their owners'."""
    connection.executemany(
        f"UPDATE {table.name} SET lease_owner = NULL, lease_until = NULL"  # noqa: S608 - a checked name
        " WHERE id = ? AND lease_token = ? AND lease_owner = ?",
        [(lease.record_id, lease.token, lease.owner) for lease in leases],
    )

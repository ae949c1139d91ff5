"""Retention: records whose time is over are removed in bounded steps."""

import sqlite3

from shared.storage.schema import R
from shared.storage.sqlite.leases import FREE
from shared.storage.sqlite.queries import Rows, where


def prune(
    connection: sqlite3.Connection,
    chosen: Rows[R],
    *,
    limit: int,
    now_ms: int,
) -> int:
    """Remove the first rows of a selection, held ones excepted, and return how many.

    Runs in the one writing transaction, so nobody can claim a row between choice and removal.
    """
    table = chosen.table
    terms, values = chosen.terms()
    if table.collection.leased:
        terms.append(FREE)
        values.append(now_ms)
    sql = (
        f"SELECT id FROM {chosen.source()}{where(terms)}"  # noqa: S608 - checked names
        f" ORDER BY {', '.join(chosen.order())} LIMIT ?"
    )
    rows = connection.execute(sql, [*values, limit]).fetchall()
    if table.collection.leased:
        connection.executemany(table.floor_sql, rows)
    connection.executemany(f"DELETE FROM {table.name} WHERE id = ?", rows)  # noqa: S608 - a checked name
    return len(rows)

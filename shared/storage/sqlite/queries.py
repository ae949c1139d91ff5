"""Reads of one collection as SQL: by id, by unique key, by values, by page."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from shared.storage.errors import LimitExceeded
from shared.storage.port import MAX_ROWS
from shared.storage.schema import R
from shared.storage.selection import Selection
from shared.storage.sqlite.tables import Table, column, condition
from shared.storage.values import Value, plain

Query = tuple[str, list[Value]]


def get_many(connection: sqlite3.Connection, table: Table[R], ids: Sequence[str]) -> dict[str, R]:
    """Return the records that exist among these ids."""
    marks = ", ".join("?" * len(ids))
    sql = f"SELECT id, doc FROM {table.name} WHERE id IN ({marks})"  # noqa: S608 - a checked name
    rows = connection.execute(sql, tuple(ids)).fetchall()
    return {each: table.decode(doc) for each, doc in rows}


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """A selection as a part of its table.

    Attributes:
        table: whose rows.
        selection: which of them, in which order.
    """

    table: Table[R]
    selection: Selection[R]

    def source(self) -> str:
        """Name the table with the index that must serve the selection."""
        return f"{self.table.name} INDEXED BY {self.table.index_name(self.selection.index)}"

    def order(self) -> list[str]:
        """Return the columns that order the rows."""
        return [column(field) for field in self.selection.order()]

    def terms(self) -> tuple[list[str], list[Value]]:
        """Return the conditions that every row meets, with their values."""
        selection = self.selection
        terms = condition(selection.index)
        values: list[Value] = []
        for field, value in zip(selection.index.fields, selection.equals, strict=False):
            terms.append(f"{column(field)} = ?")
            values.append(plain(value, field))
        for sign, bound in ((">=", selection.at_least), ("<=", selection.at_most)):
            if bound is not None:
                terms.append(f"{self.order()[0]} {sign} ?")
                values.append(plain(bound, "bound"))
        return terms, values


def where(terms: Sequence[str]) -> str:
    """Join conditions."""
    return f" WHERE {' AND '.join(terms)}" if terms else ""


def find(connection: sqlite3.Connection, chosen: Rows[R]) -> R | None:
    """Return the record under all values of a unique index."""
    terms, values = chosen.terms()
    sql = f"SELECT doc FROM {chosen.source()}{where(terms)}"  # noqa: S608 - checked names
    row = connection.execute(sql, values).fetchone()
    return None if row is None else chosen.table.decode(row[0])


def find_many(
    connection: sqlite3.Connection,
    chosen: Rows[R],
    values: Sequence[str | int],
) -> list[R]:
    """Return every record under one of the values of an index of one field.

    Raises:
        LimitExceeded: there are more than ``MAX_ROWS``.
    """
    selection = chosen.selection
    field = column(selection.index.fields[0])
    terms, _ = chosen.terms()
    terms.append(f"{field} IN ({', '.join('?' * len(values))})")
    sql = (
        f"SELECT doc FROM {chosen.source()}{where(terms)}"  # noqa: S608 - checked names
        f" ORDER BY {field}, id LIMIT {MAX_ROWS + 1}"
    )
    known = [selection.check(selection.index.fields[0], value) for value in values]
    rows = connection.execute(sql, known).fetchall()
    if len(rows) > MAX_ROWS:
        raise LimitExceeded("records found", limit=MAX_ROWS, got=len(rows))
    return [chosen.table.decode(doc) for (doc,) in rows]


def count(connection: sqlite3.Connection, chosen: Rows[R], limit: int) -> int:
    """Count the rows, no further than a limit."""
    terms, values = chosen.terms()
    rows = f"SELECT 1 FROM {chosen.source()}{where(terms)} LIMIT ?"  # noqa: S608 - checked names
    counted = connection.execute(f"SELECT count(*) FROM ({rows})", [*values, limit])  # noqa: S608 - as above
    return int(counted.fetchone()[0])


def page(
    connection: sqlite3.Connection,
    chosen: Rows[R],
    *,
    limit: int,
    position: list[Value] | None,
    descending: bool,
) -> tuple[list[R], list[Value] | None]:
    """Return up to ``limit`` records after a position, and the position after them if more follow.

    A position is the values of the order columns of the last row that was handed out. What comes
    after it is read in stretches, each of which the index serves without sorting or skipping.
    """
    rows: list[tuple[Any, ...]] = []
    for sql, values in stretches(chosen, position, descending=descending):
        rows += connection.execute(f"{sql} LIMIT {limit + 1 - len(rows)}", values).fetchall()
        if len(rows) > limit:
            break
    more = len(rows) > limit
    rows = rows[:limit]
    return [chosen.table.decode(row[0]) for row in rows], list(rows[-1][1:]) if more else None


def stretches(
    chosen: Rows[Any], position: list[Value] | None, *, descending: bool
) -> Iterator[Query]:
    """Yield the queries that, one after the other, return all rows after a position."""
    columns = chosen.order()
    direction = " DESC" if descending else ""
    common, known = chosen.terms()
    nowhere = f"{columns[0]} IS NULL" if chosen.selection.bounded() else None
    for terms, values, rest in _beyond(columns, position, descending=descending):
        if nowhere not in terms:
            order = ", ".join(name + direction for name in rest)
            sql = f"SELECT doc, {', '.join(columns)} FROM {chosen.source()}"  # noqa: S608 - checked names
            yield f"{sql}{where([*common, *terms])} ORDER BY {order}", [*known, *values]


def _beyond(
    order: list[str], position: list[Value] | None, *, descending: bool
) -> Iterator[tuple[list[str], list[Value], list[str]]]:
    """Yield the conditions, their values and the order of each stretch after a position.

    With the order (a, b, id) and the position (1, 2, x) these are: a=1, b=2, id>x; then a=1, b>2;
    then a>1. NULL is the smallest value, which a comparison alone would lose.
    """
    if position is None:
        yield [], [], order
        return
    for depth in reversed(range(len(order))):
        terms = [
            f"{name} IS NULL" if value is None else f"{name} = ?"
            for name, value in zip(order[:depth], position, strict=False)
        ]
        values: list[Value] = [value for value in position[:depth] if value is not None]
        name, value, rest = order[depth], position[depth], order[depth:]
        if value is not None:
            yield [*terms, f"{name} {'<' if descending else '>'} ?"], [*values, value], rest
        if (value is None) != descending and name != "id":
            yield [*terms, f"{name} IS {'NULL' if descending else 'NOT NULL'}"], values, rest

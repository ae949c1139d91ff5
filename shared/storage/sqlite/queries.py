"""Reads of one collection as SQL: by id, by unique key, by values, by page."""

import base64
import binascii
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic

from shared.storage.errors import InvalidCursor, LimitExceeded
from shared.storage.port import MAX_ROWS
from shared.storage.schema import Index, R
from shared.storage.sqlite.tables import MAX_INTEGER, Table, Value, column, condition, plain

MAX_CURSOR_CHARS: Final = 65_536

Query = tuple[str, list[Value]]


def check_limit(what: str, got: int, limit: int = MAX_ROWS) -> int:
    """Return a number of rows that one call may carry.

    Raises:
        LimitExceeded: it is none or too many.
    """
    if not 1 <= got <= limit:
        raise LimitExceeded(what, limit=limit, got=got)
    return got


def get_many(connection: sqlite3.Connection, table: Table[R], ids: Sequence[str]) -> dict[str, R]:
    """Return the records that exist among these ids."""
    marks = ", ".join("?" * len(ids))
    sql = f"SELECT id, doc FROM {table.name} WHERE id IN ({marks})"  # noqa: S608 - a checked name
    rows = connection.execute(sql, tuple(ids)).fetchall()
    return {each: table.decode(doc) for each, doc in rows}


@dataclass(frozen=True, slots=True)
class Selection(Generic[R]):
    """A part of an index: equal first fields, and bounds of the field after them.

    Attributes:
        table: whose rows.
        index: in which order.
        equals: values of the first fields.
        at_least: smallest value of the first remaining field.
        at_most: largest value of the first remaining field.
    """

    table: Table[R]
    index: Index
    equals: tuple[str | int, ...]
    at_least: str | int | None = None
    at_most: str | int | None = None

    def __post_init__(self) -> None:
        name = f"index {self.index.name} of {self.table.collection.name}"
        if len(self.equals) > len(self.index.fields):
            raise ValueError(f"{name} has fewer fields than {len(self.equals)}")
        if self.bounded() and len(self.equals) == len(self.index.fields):
            raise ValueError(f"{name} has no field left to be bounded")
        if None in self.equals:
            raise TypeError(f"{name} is not looked up by None")

    def bounded(self) -> bool:
        """Tell whether the first remaining field has a bound, which None never meets."""
        return self.at_least is not None or self.at_most is not None

    def order(self) -> list[str]:
        """Return the columns that order the rows: the remaining fields, then the id."""
        remaining = [column(field) for field in self.index.fields[len(self.equals) :]]
        return remaining if "id" in remaining else [*remaining, "id"]

    def source(self) -> str:
        """Name the table with the index that must serve it."""
        return f"{self.table.name} INDEXED BY {self.table.index_name(self.index)}"

    def terms(self) -> tuple[list[str], list[Value]]:
        """Return the conditions that every row meets, with their values."""
        terms = condition(self.index)
        values: list[Value] = []
        for field, value in zip(self.index.fields, self.equals, strict=False):
            terms.append(f"{column(field)} = ?")
            values.append(plain(value, field))
        for sign, bound in ((">=", self.at_least), ("<=", self.at_most)):
            if bound is not None:
                terms.append(f"{self.order()[0]} {sign} ?")
                values.append(plain(bound, "bound"))
        return terms, values


def where(terms: Sequence[str]) -> str:
    """Join conditions."""
    return f" WHERE {' AND '.join(terms)}" if terms else ""


def find(connection: sqlite3.Connection, selection: Selection[R]) -> R | None:
    """Return the record under all values of a unique index."""
    terms, values = selection.terms()
    sql = f"SELECT doc FROM {selection.source()}{where(terms)}"  # noqa: S608 - checked names
    row = connection.execute(sql, values).fetchone()
    return None if row is None else selection.table.decode(row[0])


def find_many(
    connection: sqlite3.Connection, selection: Selection[R], values: Sequence[str | int]
) -> list[R]:
    """Return every record under one of the values of an index of one field.

    Raises:
        LimitExceeded: there are more than ``MAX_ROWS``.
    """
    field = column(selection.index.fields[0])
    terms, _ = selection.terms()
    terms.append(f"{field} IN ({', '.join('?' * len(values))})")
    sql = (
        f"SELECT doc FROM {selection.source()}{where(terms)}"  # noqa: S608 - checked names
        f" ORDER BY {field}, id LIMIT {MAX_ROWS + 1}"
    )
    known = [plain(value, selection.index.name) for value in values]
    rows = connection.execute(sql, known).fetchall()
    if len(rows) > MAX_ROWS:
        raise LimitExceeded("records found", limit=MAX_ROWS, got=len(rows))
    return [selection.table.decode(doc) for (doc,) in rows]


def count(connection: sqlite3.Connection, selection: Selection[Any]) -> int:
    """Count the rows."""
    terms, values = selection.terms()
    sql = f"SELECT count(*) FROM {selection.source()}{where(terms)}"  # noqa: S608 - checked names
    return int(connection.execute(sql, values).fetchone()[0])


def page(
    connection: sqlite3.Connection,
    selection: Selection[R],
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
    for sql, values in _stretches(selection, position, descending=descending):
        rows += connection.execute(f"{sql} LIMIT {limit + 1 - len(rows)}", values).fetchall()
        if len(rows) > limit:
            break
    more = len(rows) > limit
    rows = rows[:limit]
    return [selection.table.decode(row[0]) for row in rows], list(rows[-1][1:]) if more else None


def _stretches(
    selection: Selection[Any], position: list[Value] | None, *, descending: bool
) -> Iterator[Query]:
    """Yield the queries that, one after the other, return all rows after a position."""
    columns = selection.order()
    direction = " DESC" if descending else ""
    common, known = selection.terms()
    nowhere = f"{columns[0]} IS NULL" if selection.bounded() else None
    for terms, values, rest in _beyond(columns, position, descending=descending):
        if nowhere not in terms:
            order = ", ".join(name + direction for name in rest)
            sql = f"SELECT doc, {', '.join(columns)} FROM {selection.source()}"  # noqa: S608 - checked names
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


def _fingerprint(selection: Selection[Any], *, descending: bool) -> str:
    """Identify a list, so that a cursor of another list is refused."""
    equals = [plain(value, "cursor") for value in selection.equals]
    named = [selection.table.collection.name, selection.index.name, equals, descending]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]


def write_cursor(
    selection: Selection[Any], position: list[Value] | None, *, descending: bool
) -> str | None:
    """Write a position as an opaque cursor of this list."""
    if position is None:
        return None
    told = json.dumps([_fingerprint(selection, descending=descending), *position])
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def read_cursor(
    selection: Selection[Any], cursor: str | None, *, descending: bool
) -> list[Value] | None:
    """Read a cursor of this list.

    Raises:
        InvalidCursor: it is of another list, or of none.
    """
    if cursor is None:
        return None
    try:
        if len(cursor) > MAX_CURSOR_CHARS:
            raise InvalidCursor(cursor[:64])
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        told = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        json.dumps(told, ensure_ascii=False).encode()  # a lone surrogate is no text
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidCursor(cursor[:64]) from error
    expected = _fingerprint(selection, descending=descending)
    if not isinstance(told, list) or not told or told[0] != expected:
        raise InvalidCursor(cursor)
    position = told[1:]
    if len(position) != len(selection.order()) or not all(map(_storable, position)):
        raise InvalidCursor(cursor)
    return position


def _storable(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return -MAX_INTEGER <= value <= MAX_INTEGER
    return value is None or isinstance(value, str)

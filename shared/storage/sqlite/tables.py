"""Records as rows: one table per collection, the document beside one column per indexed field."""

import dataclasses
import enum
import sqlite3
from typing import Any, Final, Generic

import msgspec

from shared.storage.errors import DuplicateRecord, LimitExceeded, StorageCorrupt
from shared.storage.port import MAX_DOCUMENT_BYTES
from shared.storage.schema import Collection, Index, R

Value = str | int | None

MAX_INTEGER: Final = 2**63 - 1

MAX_INDEXED_CHARS: Final = 1_000
"""The longest text that can stand in an index."""

UNIQUENESS: Final = {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}

LEASE_COLUMNS: Final = (
    "lease_token INTEGER NOT NULL DEFAULT 0",
    "lease_owner TEXT",
    "lease_until INTEGER",
)


def column(field: str) -> str:
    """Return the column that holds an indexed field."""
    return field if field in {"id", "version"} else f"i_{field}"


def plain(value: object, where: str) -> Value:
    """Return what an indexed field is in a column: text, an integer of 64 bits, or nothing.

    Raises:
        LimitExceeded: the integer is larger, or the text longer than ``MAX_INDEXED_CHARS``.
        TypeError: it is something else.
    """
    if isinstance(value, enum.Enum):
        value = value.value
    if value is None:
        return None
    if isinstance(value, str):
        if len(value) > MAX_INDEXED_CHARS:
            raise LimitExceeded(f"{where} characters", limit=MAX_INDEXED_CHARS, got=len(value))
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise LimitExceeded(where, limit=MAX_INTEGER, got=value)
        return int(value)
    raise TypeError(f"{where} cannot be indexed by {type(value).__name__}")


def literal(value: str | int) -> str:
    """Write a constant of an index's condition in SQL."""
    known = plain(value, "condition")
    return str(known) if isinstance(known, int) else "'" + str(known).replace("'", "''") + "'"


def condition(index: Index) -> list[str]:
    """Return the terms of a partial index, the same text in its definition and in its queries."""
    return [
        f"{column(field)} IN ({', '.join(literal(value) for value in values)})"
        for field, values in index.where
    ]


class Table(Generic[R]):
    """How one collection is stored, with the statements that are fixed for it."""

    def __init__(self, collection: Collection[R]) -> None:
        self.collection = collection
        self.name = f"c_{collection.name}"
        self.fields = collection.indexed_fields()
        self.columns = tuple(column(field) for field in self.fields)
        self._told = [(field, f"{collection.name}.{field}") for field in self.fields]
        self._decoder = msgspec.json.Decoder(collection.record)
        self._encoder = msgspec.json.Encoder()

        columns = ("id", "version", "doc", *self.columns)
        marks = ", ".join("?" * len(columns))
        names = ", ".join(columns)
        if collection.leased:
            floor = f"(SELECT token FROM lease_floors WHERE collection = '{collection.name}')"  # noqa: S608 - a checked name
            names, marks = f"{names}, lease_token", f"{marks}, coalesce({floor}, 0)"
        self.insert_sql = f"INSERT INTO {self.name} ({names}) VALUES ({marks})"  # noqa: S608 - checked names
        changes = ", ".join(f"{each} = ?" for each in columns[1:])
        self.update_sql = f"UPDATE {self.name} SET {changes} WHERE id = ? AND version = ?"  # noqa: S608 - checked names

    def index_name(self, index: Index) -> str:
        """Return the name of an index in the file."""
        return f"x_{self.collection.name}__{index.name}"

    def create_sql(self) -> str:
        """Define the table with all its columns.

        It keeps its rowid: with time-ordered ids both layouts write the same bytes in the same time,
        and only this one has no trouble with documents larger than a fraction of a page.
        """
        columns = ["id TEXT PRIMARY KEY NOT NULL", "version INTEGER NOT NULL", "doc BLOB NOT NULL"]
        columns += [f"{each} ANY" for each in self.columns]
        if self.collection.leased:
            columns += LEASE_COLUMNS
        return f"CREATE TABLE {self.name} ({', '.join(columns)}) STRICT"

    def index_sql(self, index: Index) -> str:
        """Define an index; one that is not unique ends in the id, which is its order of ties."""
        columns = [column(field) for field in index.fields]
        if not index.unique and "id" not in columns:
            columns.append("id")
        kind = "UNIQUE INDEX" if index.unique else "INDEX"
        where = f" WHERE {' AND '.join(condition(index))}" if index.where else ""
        name = self.index_name(index)
        return f"CREATE {kind} {name} ON {self.name} ({', '.join(columns)}){where}"

    def values(self, record: R) -> tuple[Value, ...]:
        """Return what stands in the columns of the indexed fields."""
        return tuple([plain(getattr(record, field), told) for field, told in self._told])

    def encode(self, record: R, version: int) -> bytes:
        """Write a record with its new version, and make sure that it can be read back.

        Raises:
            LimitExceeded: it is larger than ``MAX_DOCUMENT_BYTES``.
            ValueError: a field holds what its type does not allow.
        """
        stored: Any = record
        doc = self._encoder.encode(dataclasses.replace(stored, version=version))
        if len(doc) > MAX_DOCUMENT_BYTES:
            name = self.collection.name
            raise LimitExceeded(f"{name} document bytes", limit=MAX_DOCUMENT_BYTES, got=len(doc))
        try:
            self._decoder.decode(doc)
        except msgspec.DecodeError as error:
            raise ValueError(f"{self.collection.name} {record.id}: {error}") from error
        return doc

    def decode(self, doc: bytes) -> R:
        """Read a record.

        Raises:
            StorageCorrupt: the document does not fit the record's type.
        """
        try:
            return self._decoder.decode(doc)
        except msgspec.DecodeError as error:
            raise StorageCorrupt(self.collection.name, str(error)) from error

    def refusal(self, error: sqlite3.IntegrityError, record: R) -> Exception:
        """Say which unique index a record ran into, from the columns that SQLite names."""
        if error.sqlite_errorname not in UNIQUENESS:
            return error
        named = {each.rpartition(".")[2] for each in str(error).rpartition(": ")[2].split(", ")}
        name = self.collection.name
        for index in self.collection.indexes:
            if index.unique and {column(field) for field in index.fields} == named:
                values = tuple(plain(getattr(record, each), each) for each in index.fields)
                return DuplicateRecord(collection=name, index=index.name, values=values)
        return DuplicateRecord(collection=name, index="id", values=(record.id,))

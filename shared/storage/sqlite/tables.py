"""Records as rows: one table per collection, the document beside one column per indexed field."""

import sqlite3
from typing import Final

from shared.storage.documents import Documents
from shared.storage.errors import DuplicateRecord
from shared.storage.schema import Collection, Index, R
from shared.storage.values import plain

UNIQUENESS: Final = {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}

LEASE_COLUMNS: Final = (
    "lease_token INTEGER NOT NULL DEFAULT 0",
    "lease_owner TEXT",
    "lease_until INTEGER",
)


def column(field: str) -> str:
    """Return the column that holds an indexed field."""
    return field if field in {"id", "version"} else f"i_{field}"


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


class Table(Documents[R]):
    """How one collection is stored, with the statements that are fixed for it."""

    def __init__(self, collection: Collection[R]) -> None:
        super().__init__(collection)
        self.name = f"c_{collection.name}"
        self.columns = tuple(column(field) for field in self.fields)

        columns = ("id", "version", "doc", *self.columns)
        marks = ", ".join("?" * len(columns))
        names = ", ".join(columns)
        if collection.leased:
            floor = f"(SELECT token FROM lease_floors WHERE collection = '{collection.name}')"  # noqa: S608 - a checked name
            names, marks = f"{names}, lease_token", f"{marks}, coalesce({floor}, 0)"
        self.insert_sql = f"INSERT INTO {self.name} ({names}) VALUES ({marks})"  # noqa: S608 - checked names
        changes = ", ".join(f"{each} = ?" for each in columns[1:])
        self.update_sql = f"UPDATE {self.name} SET {changes} WHERE id = ? AND version = ?"  # noqa: S608 - checked names
        # A later record of the same id starts above every token that was ever handed out.
        self.floor_sql = (
            "INSERT INTO lease_floors (collection, token)"  # noqa: S608 - checked names
            f" SELECT '{collection.name}', lease_token FROM {self.name} WHERE id = ?"
            " ON CONFLICT (collection) DO UPDATE SET token = max(token, excluded.token)"
        )

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

"""Records as documents: their fields by name, exact, and checked by the server besides."""

import dataclasses
from typing import Any, Final

import msgspec

from shared.storage.documents import Documents
from shared.storage.errors import DuplicateRecord, StorageCorrupt
from shared.storage.mongo.bson_values import TooDeep, from_bson, to_bson
from shared.storage.mongo.indexes import (
    ID,
    Access,
    Specification,
    access,
    bson,
    bson_types,
    nullable,
    specifications,
)
from shared.storage.schema import Collection, R
from shared.storage.values import plain

VERSION: Final = "version"
LEASE: Final = "_lease"
TOUCHED: Final = "_touched"
TEXT: Final = "~json"
"""Where a document is kept as JSON text that BSON cannot hold natively."""

MAX_NATIVE_BYTES: Final = 1024 * 1024
"""The largest document, as JSON, that is kept natively: BSON writes up to nine times as much."""

_RESERVED: Final = frozenset({ID, LEASE, TOUCHED})

Stored = dict[str, Any]


class MongoDocuments(Documents[R]):
    """Writes the records of one collection as documents and reads them back.

    Attributes:
        name: of the collection in the database.
    """

    def __init__(self, collection: Collection[R], name: str) -> None:
        super().__init__(collection)
        self.name = name
        named = [field.name for field in dataclasses.fields(collection.record) if field.init]  # type: ignore[arg-type]
        if _RESERVED & set(named):
            raise ValueError(f"fields of {collection.name} cannot be called {sorted(_RESERVED)}")
        self._native = [name for name in named if name not in {"id", VERSION}]
        self._access = {index.name: access(collection, index) for index in collection.indexes}
        self._unique = {
            self._access[index.name].lookup.name: index
            for index in collection.indexes
            if index.unique
        }

    def access(self, index: str) -> Access:
        """Return how an index of the schema is read."""
        return self._access[index]

    def specifications(self) -> list[Specification]:
        """Return every index that the collection is to have."""
        return specifications(self.collection)

    def fields_of(self, record: R, version: int) -> Stored:
        """Return a record's version and fields as they are stored.

        Raises:
            LimitExceeded: it, its id or an indexed value is too large.
            ValueError: it cannot be read back.
        """
        doc = self.encode(record, version)
        return {VERSION: bson(version), **self._fields(record, doc)}

    def stored_of(self, doc: bytes) -> Stored:
        """Return a document that is held as JSON as it is stored, its id included.

        Raises:
            StorageCorrupt: it does not fit the record's type.
        """
        record = self.decode(doc)
        return {ID: record.id, VERSION: bson(record.version), **self._fields(record, doc)}

    def replacing(self, fields: Stored) -> Stored:
        """Return the update that puts these fields into the place of what there is."""
        gone = (
            [TEXT] if TEXT not in fields else [name for name in self._native if name not in fields]
        )
        update: Stored = {"$set": fields}
        if gone:
            update["$unset"] = dict.fromkeys(gone, "")
        return update

    def json(self, stored: Stored) -> bytes:
        """Return a stored document as JSON.

        Raises:
            StorageCorrupt: somebody else wrote it.
        """
        if TEXT in stored:
            return str(stored[TEXT]).encode()
        told = {"id": stored[ID], VERSION: from_bson(stored.get(VERSION))}
        for key, value in stored.items():
            if key not in _RESERVED and key != VERSION:
                told[key] = from_bson(value)
        return msgspec.json.encode(told)

    def read(self, stored: Stored) -> R:
        """Read a record.

        Raises:
            StorageCorrupt: the document does not fit the record's type.
        """
        try:
            return self.decode(self.json(stored))
        except StorageCorrupt as error:
            raise StorageCorrupt(self.name, f"{stored[ID]!r}: {error.detail}") from error

    def missing(self, stored: Stored) -> Stored:
        """Return the indexed fields that a document written by an older release lacks."""
        record = self.read(stored)
        held = zip(self.fields, self.values(record), strict=True)
        return {field: bson(value) for field, value in held if field not in stored}

    def validator(self) -> Stored:
        """Return what the server insists on, whoever writes."""
        record = self.collection.record
        properties: Stored = {
            ID: {"bsonType": "string", "minLength": 1},
            VERSION: {"bsonType": "long", "minimum": 1},
        }
        for field in self.fields:
            allowed = bson_types(record, field)
            properties[field] = {
                "bsonType": [*allowed, "null"] if nullable(record, field) else allowed
            }
        required = [ID, VERSION, *self.fields]
        return {
            "$jsonSchema": {"bsonType": "object", "required": required, "properties": properties}
        }

    def refusal(self, told: Stored, record: R) -> DuplicateRecord:
        """Say which unique index a record ran into, from the server's words."""
        name = self.collection.name
        named = str(told.get("errmsg", "")).partition(" index: ")[2].partition(" ")[0]
        index = self._unique.get(named)
        if index is None:
            return DuplicateRecord(collection=name, index="id", values=(record.id,))
        values = tuple(plain(getattr(record, each), each) for each in index.fields)
        return DuplicateRecord(collection=name, index=index.name, values=values)

    def _fields(self, record: R, doc: bytes) -> Stored:
        indexed = dict(zip(self.fields, map(bson, self.values(record)), strict=True))
        if len(doc) <= MAX_NATIVE_BYTES:
            told = msgspec.json.decode(doc)
            try:
                native = {key: to_bson(told[key]) for key in told if key not in {"id", VERSION}}
            except TooDeep:
                pass
            else:
                return {**native, **indexed}
        return {**indexed, TEXT: doc.decode()}

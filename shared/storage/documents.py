"""Records as JSON documents and the values of their indexed fields: the same for every engine."""

import dataclasses
from typing import Any, Generic

import msgspec

from shared.storage.errors import LimitExceeded, StorageCorrupt
from shared.storage.port import MAX_DOCUMENT_BYTES
from shared.storage.schema import Collection, Feed, R
from shared.storage.unit import Publish
from shared.storage.values import MAX_INTEGER, Value, plain

_event_encoder = msgspec.json.Encoder()


class Documents(Generic[R]):
    """Writes the records of one collection and reads them back.

    Attributes:
        collection: whose records.
        fields: every indexed field besides id and version, in a fixed order.
    """

    def __init__(self, collection: Collection[R]) -> None:
        self.collection = collection
        self.fields = collection.indexed_fields()
        self._told = [(field, f"{collection.name}.{field}") for field in self.fields]
        self._decoder = msgspec.json.Decoder(collection.record)
        self._encoder = msgspec.json.Encoder()

    def encode(self, record: R, version: int) -> bytes:
        """Write a record with its new version, and make sure that it can be read back.

        Raises:
            LimitExceeded: it is larger than ``MAX_DOCUMENT_BYTES``, or its id is too long.
            ValueError: it has no id, or a field holds what its type does not allow.
        """
        if not plain(record.id, f"{self.collection.name}.id"):
            raise ValueError(f"a record of {self.collection.name} has no id")
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

    def values(self, record: R) -> tuple[Value, ...]:
        """Return what stands in the indexed fields, in the order of ``fields``.

        Raises:
            LimitExceeded: a value is too large for an index.
        """
        return tuple([plain(getattr(record, field), told) for field, told in self._told])


def event_object(event: Publish) -> bytes:
    """Write the object of an event.

    Raises:
        LimitExceeded: it is larger than ``MAX_DOCUMENT_BYTES``, or its id, type or time is.
        TypeError: it is no JSON object.
    """
    feed: Feed = event.feed
    plain(event.id, f"{feed.name} event id")
    plain(event.type, f"{feed.name} event type")
    document = _event_encoder.encode(event.object)
    if not document.startswith(b"{"):
        raise TypeError(f"the object of an event of {feed.name} must be a JSON object")
    if len(document) > MAX_DOCUMENT_BYTES:
        limit = MAX_DOCUMENT_BYTES
        raise LimitExceeded(f"{feed.name} event bytes", limit=limit, got=len(document))
    if not 0 <= event.at_ms <= MAX_INTEGER:
        raise LimitExceeded(f"{feed.name} event time", limit=MAX_INTEGER, got=event.at_ms)
    return document

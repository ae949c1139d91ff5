"""Where a service keeps its records: a small port, and the engines behind it.

A service states its collections, unique keys, indexes and feeds once as a ``Schema``, loads records
through ``Storage``, and commits what its domain decided as a ``Unit``: guarded operations that
happen together or not at all, durable once acknowledged. ``SqliteStorage`` is the embedded engine.
"""

from shared.storage.errors import (
    DuplicateRecord,
    FeedTrimmed,
    GuardFailed,
    InvalidCursor,
    LeaseLost,
    LimitExceeded,
    RecordMissing,
    SchemaTooNew,
    StaleRecord,
    StorageBusy,
    StorageClosed,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageLocked,
    StorageUnwritable,
    WrongContract,
    WrongNetwork,
    WrongService,
    WrongStamp,
)
from shared.storage.port import (
    MAX_DOCUMENT_BYTES,
    MAX_OPERATIONS,
    MAX_ROWS,
    Committed,
    Event,
    FeedPage,
    Leased,
    Page,
    Storage,
)
from shared.storage.schema import Collection, Feed, Index, Migration, Record, Schema, Stamp
from shared.storage.sqlite import SqliteStorage
from shared.storage.unit import Lease, Unit, written

__all__ = [
    "MAX_DOCUMENT_BYTES",
    "MAX_OPERATIONS",
    "MAX_ROWS",
    "Collection",
    "Committed",
    "DuplicateRecord",
    "Event",
    "Feed",
    "FeedPage",
    "FeedTrimmed",
    "GuardFailed",
    "Index",
    "InvalidCursor",
    "Lease",
    "LeaseLost",
    "Leased",
    "LimitExceeded",
    "Migration",
    "Page",
    "Record",
    "RecordMissing",
    "Schema",
    "SchemaTooNew",
    "SqliteStorage",
    "StaleRecord",
    "Stamp",
    "Storage",
    "StorageBusy",
    "StorageClosed",
    "StorageCorrupt",
    "StorageError",
    "StorageFull",
    "StorageLocked",
    "StorageUnwritable",
    "Unit",
    "WrongContract",
    "WrongNetwork",
    "WrongService",
    "WrongStamp",
    "written",
]

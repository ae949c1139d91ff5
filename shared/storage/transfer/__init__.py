"""Everything that a database holds, carried from one engine to another and compared on both sides.

``move`` makes another database the only one that its service opens; ``load`` fills an empty database
from a copy of one. Both go on where an interrupted run left off, and both read everything back.
"""

from shared.storage.transfer.carry import (
    PASSES,
    Carried,
    Progress,
    TransferRefused,
    VerificationFailed,
    abandon,
    discard,
    load,
    move,
)
from shared.storage.transfer.portable import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    CollectionState,
    Contents,
    FeedState,
    Identity,
    Mark,
    MarkKind,
    Portable,
    StoredEvent,
    StoredRecord,
)

__all__ = [
    "CHUNK_BYTES",
    "CHUNK_ROWS",
    "PASSES",
    "Carried",
    "CollectionState",
    "Contents",
    "FeedState",
    "Identity",
    "Mark",
    "MarkKind",
    "Portable",
    "Progress",
    "StoredEvent",
    "StoredRecord",
    "TransferRefused",
    "VerificationFailed",
    "abandon",
    "discard",
    "load",
    "move",
]

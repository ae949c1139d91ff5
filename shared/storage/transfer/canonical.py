"""One form for documents that different engines write differently, to compare and to digest."""

import json
from hashlib import sha256

from shared.storage.transfer.portable import StoredEvent, StoredRecord


def canonical(document: bytes) -> bytes:
    """Return a JSON document with its keys in order and without space; integers stay exact."""
    told = json.loads(document)
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def same(left: StoredRecord | StoredEvent, right: StoredRecord | StoredEvent) -> bool:
    """Tell whether two engines hold the same record or event."""
    return left == right or _essence(left) == _essence(right)


class Digest:
    """The SHA-256 of records or events in their order, the same on every engine."""

    def __init__(self) -> None:
        self._hash = sha256()
        self.count = 0

    def add(self, held: StoredRecord | StoredEvent) -> None:
        """Take in the next one."""
        line = json.dumps(_facts(held), separators=(",", ":"), ensure_ascii=False).encode()
        document = canonical(held.document)
        self._hash.update(b"%d %d\n" % (len(line), len(document)))
        self._hash.update(line)
        self._hash.update(document)
        self.count += 1

    def hexdigest(self) -> str:
        """Return the digest of what was taken in."""
        return self._hash.hexdigest()


def _facts(held: StoredRecord | StoredEvent) -> list[object]:
    if isinstance(held, StoredRecord):
        return [held.id, held.version, held.lease]
    return [held.seq, held.id, held.type, held.at_ms]


def _essence(held: StoredRecord | StoredEvent) -> tuple[list[object], bytes]:
    return _facts(held), canonical(held.document)

"""A part of an index, and the cursors of its pages: the same for every engine."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, Generic

from shared.storage.errors import InvalidCursor, LimitExceeded
from shared.storage.schema import Collection, Index, R, kinds
from shared.storage.values import Value, plain

MAX_CURSOR_CHARS: Final = 65_536


@dataclass(frozen=True, slots=True)
class Selection(Generic[R]):
    """Equal first fields of an index, and bounds of the field after them.

    Construction refuses fields that the index does not have, and values that its fields never hold.

    Attributes:
        collection: whose records.
        index: in which order.
        equals: values of the first fields.
        at_least: smallest value of the first remaining field.
        at_most: largest value of the first remaining field.
    """

    collection: Collection[R]
    index: Index
    equals: tuple[str | int, ...]
    at_least: str | int | None = None
    at_most: str | int | None = None

    def __post_init__(self) -> None:
        if len(self.equals) > len(self.index.fields):
            raise ValueError(f"{self.name()} has fewer fields than {len(self.equals)}")
        if self.bounded() and len(self.equals) == len(self.index.fields):
            raise ValueError(f"{self.name()} has no field left to be bounded")
        if None in self.equals:
            raise TypeError(f"{self.name()} is not looked up by None")
        for field, value in zip(self.index.fields, self.equals, strict=False):
            self.check(field, value)
        for bound in (self.at_least, self.at_most):
            if bound is not None:
                self.check(self.index.fields[len(self.equals)], bound)

    def name(self) -> str:
        """Name the index for messages."""
        return f"index {self.index.name} of {self.collection.name}"

    def check(self, field: str, value: object) -> Value:
        """Return a value as it stands in a field of the index.

        Raises:
            LimitExceeded: it is too large for an index.
            TypeError: the field never holds such a value.
        """
        known = plain(value, f"{self.collection.name}.{field}")
        if not isinstance(known, kinds(self.collection.record, field)):
            raise TypeError(f"{self.name()}: {field} is never {type(known).__name__}")
        return known

    def holds(self, field: str, value: object) -> bool:
        """Tell whether a value can stand in a field of the index, None included."""
        if value is None:
            return field != "id"
        try:
            self.check(field, value)
        except (LimitExceeded, TypeError):
            return False
        return True

    def bounded(self) -> bool:
        """Tell whether the first remaining field has a bound, which None never meets."""
        return self.at_least is not None or self.at_most is not None

    def order(self) -> tuple[str, ...]:
        """Return the fields that order the records: the remaining ones, then the id."""
        remaining = self.index.fields[len(self.equals) :]
        return remaining if "id" in remaining else (*remaining, "id")


def write_cursor(
    selection: Selection[Any], position: list[Value] | None, *, descending: bool
) -> str | None:
    """Write a position as an opaque cursor of this list.

    A position is the values of the order fields of the last record that was handed out.
    """
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
    fields, position = selection.order(), told[1:]
    if len(position) != len(fields):
        raise InvalidCursor(cursor)
    for field, value in zip(fields, position, strict=True):
        if not selection.holds(field, value):
            raise InvalidCursor(cursor)
    return position


def _fingerprint(selection: Selection[Any], *, descending: bool) -> str:
    """Identify a list, so that a cursor of another list is refused."""
    equals = [plain(value, "cursor") for value in selection.equals]
    named = [selection.collection.name, selection.index.name, equals, descending]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:16]

"""What can stand in an index, and how much one call may carry: the same for every engine."""

import enum
from typing import Final

from shared.storage.errors import LimitExceeded
from shared.storage.port import MAX_ROWS

Value = str | int | None

MAX_INTEGER: Final = 2**63 - 1
"""The largest integer of an index, and the negative of the smallest."""

MAX_INDEXED_CHARS: Final = 1_000
"""The longest text that can stand in an index; ids are such texts."""


def plain(value: object, where: str) -> Value:
    """Return what an indexed field is in an index: text, an integer of 64 bits, or nothing.

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


def check_limit(what: str, got: int, limit: int = MAX_ROWS) -> int:
    """Return a number of things that one call may carry.

    Raises:
        LimitExceeded: it is none or too many.
    """
    if not 1 <= got <= limit:
        raise LimitExceeded(what, limit=limit, got=got)
    return got

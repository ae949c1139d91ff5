"""JSON values as BSON and back, exact in both directions."""

import re
from typing import Any, Final

from bson import Int64

from shared.storage.errors import StorageCorrupt

INTEGER: Final = "~integer"
"""The one key of an object that stands for an integer beyond 64 bits."""

MAX_DEPTH: Final = 60
"""The deepest nesting that is written natively; MongoDB refuses more than 100 levels."""

_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1
_SPECIAL: Final = re.compile(r"[~\0.]|^\$")
_ESCAPES: Final = {"~": "~~", "\0": "~0", ".": "~1", "$": "~2"}
_ESCAPED: Final = re.compile(r"~([~012])")
_MEANINGS: Final = {"~": "~", "0": "\0", "1": ".", "2": "$"}


class TooDeep(Exception):
    """A document is nested deeper than ``MAX_DEPTH``."""


def to_bson(value: Any, depth: int = 0) -> Any:
    """Write a JSON value.

    Raises:
        TooDeep: it cannot be written natively.
    """
    match value:
        case str() | None | bool() | float():
            return value
        case int():
            return Int64(value) if _LEAST <= value <= _MOST else {INTEGER: str(value)}
    if depth >= MAX_DEPTH:
        raise TooDeep
    if isinstance(value, list):
        return [to_bson(each, depth + 1) for each in value]
    return {_escape(key): to_bson(each, depth + 1) for key, each in value.items()}


def from_bson(value: Any) -> Any:
    """Read what ``to_bson`` wrote.

    Raises:
        StorageCorrupt: somebody else wrote it.
    """
    match value:
        case str() | None | bool() | float():
            return value
        case int():
            return int(value)
        case list():
            return [from_bson(each) for each in value]
        case dict():
            if len(value) == 1 and INTEGER in value:
                return _integer(value[INTEGER])
            return {_unescape(key): from_bson(each) for key, each in value.items()}
    raise StorageCorrupt("a document", f"it holds a {type(value).__name__}")


def _integer(text: object) -> int:
    try:
        return int(str(text))
    except ValueError:
        raise StorageCorrupt("a document", f"{text!r} is no integer") from None


def _escape(key: str) -> str:
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], key)


def _unescape(key: str) -> str:
    return _ESCAPED.sub(lambda found: _MEANINGS[found[1]], key) if "~" in key else key

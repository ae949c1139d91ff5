"""Decode what a node sends: exactly, and only where it can be read in one way."""

import json
import math
from typing import Any, Final, NoReturn

import msgspec

_ESCAPE: Final = "\\u"


class Undecodable(ValueError):
    """What a node sent is no JSON, or could be read in two ways."""


def decode(content: bytes) -> Any:
    """Decode JSON in UTF-8; integers stay exact, whatever their size.

    Raises:
        Undecodable: it is malformed, a name comes twice in one object, a number is not finite, text
            is no text, or it is nested so deeply that nothing a node says could be meant.
    """
    try:
        text = content.decode()
        answer = json.loads(
            text, object_pairs_hook=_once_each, parse_float=_finite, parse_constant=_no_number
        )
        if _ESCAPE in text:
            msgspec.json.encode(answer)  # half of a surrogate pair has no bytes
    except Undecodable:
        raise
    except UnicodeError:
        raise Undecodable("bytes that are no text") from None
    except RecursionError:
        raise Undecodable("JSON that is nested too deeply") from None
    except ValueError:
        raise Undecodable("text that is no JSON") from None
    return answer


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Undecodable("JSON that names one thing twice")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Undecodable("a number without bounds")
    return number


def _no_number(text: str) -> NoReturn:
    raise Undecodable(f"{text}, which is no number")

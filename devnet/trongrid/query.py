"""What a caller of the facade asks for: which blocks, in which order, how many, from where on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl, urlencode

import base58

from devnet import address

LIMIT_DEFAULT = 20
LIMIT_MAX = 200
NEWEST_FIRST = "block_timestamp,desc"
OLDEST_FIRST = "block_timestamp,asc"
_FINGERPRINT = "fingerprint"
_SEAL_BYTES = 8
_PLACE_BYTES = 8
_NUMBER = re.compile(r"[0-9]{1,19}")
_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")


class BadQueryError(Exception):
    """A parameter makes no sense; the text is what the caller is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A path's parameters by their snake_case names; camelCase is the same.

    Attributes:
        path: Of the request; a fingerprint is good for one path only.
        default_order: What comes first unless the caller says.
    """

    path: str
    params: Mapping[str, str]
    default_order: str = NEWEST_FIRST

    def flag(self, name: str) -> bool:
        """A flag, false unless it is `true`."""
        return self.params.get(name, "").lower() == "true"

    def text(self, name: str) -> str:
        """A text, empty unless given."""
        return self.params.get(name, "")

    def integer(self, name: str) -> int | None:
        """A whole number that is not negative, or None.

        Raises:
            BadQueryError: It is something else.
        """
        text = self.params.get(name)
        if not text:
            return None
        return parsed_number(text, f"{name} must be a number")

    def address(self, name: str) -> bytes | None:
        """An address in either form, or None.

        Raises:
            BadQueryError: It is something else.
        """
        text = self.params.get(name)
        return parsed_address(text, f"A valid {name} is required.") if text else None

    @property
    def limit(self) -> int:
        """How many items at most.

        Raises:
            BadQueryError: It is not above 0.
        """
        limit = self.integer("limit")
        if limit is None:
            return LIMIT_DEFAULT
        if limit == 0:
            raise BadQueryError("limit must be a number")
        return min(limit, LIMIT_MAX)

    @property
    def is_ascending(self) -> bool:
        """True for the oldest first.

        Raises:
            BadQueryError: Another order was asked for.
        """
        order = self.params.get("order_by", self.default_order)
        if order not in {NEWEST_FIRST, OLDEST_FIRST}:
            raise BadQueryError(f"order_by must be {OLDEST_FIRST} or {NEWEST_FIRST}")
        return order == OLDEST_FIRST

    @property
    def cursor(self) -> int | None:
        """The packed place after which this page begins; None on the first page.

        Raises:
            BadQueryError: The fingerprint was not made for these parameters.
        """
        text = self.params.get(_FINGERPRINT)
        if not text:
            return None
        try:
            token = base58.b58decode(text)
        except ValueError as error:
            raise BadQueryError("invalid fingerprint") from error
        if len(token) != _SEAL_BYTES + _PLACE_BYTES or token[:_SEAL_BYTES] != self._seal():
            raise BadQueryError("invalid fingerprint")
        return int.from_bytes(token[_SEAL_BYTES:], "big")

    def fingerprint(self, place: int) -> str:
        """What the next page is asked for with; it stays good while the chain grows."""
        return base58.b58encode(self._seal() + place.to_bytes(_PLACE_BYTES, "big")).decode()

    def link(self, fingerprint: str) -> str:
        """The path and query of the next page."""
        return f"{self.path}?{urlencode({**self.params, _FINGERPRINT: fingerprint})}"

    def _seal(self) -> bytes:
        others = sorted(item for item in self.params.items() if item[0] != _FINGERPRINT)
        return sha256(repr((self.path, others)).encode()).digest()[:_SEAL_BYTES]


def parsed_query(path: str, query: bytes) -> Query:
    """Read a query string."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return Query(path=path, params={_snake(name): value for name, value in pairs})


def parsed_number(text: str, refusal: str) -> int:
    """Read a whole number of at most 19 digits.

    Raises:
        BadQueryError: It is something else.
    """
    if not _NUMBER.fullmatch(text):
        raise BadQueryError(refusal)
    return int(text)


def parsed_address(text: str, refusal: str = "A valid account address is required.") -> bytes:
    """Read an address in base58, as 41 and 20 bytes in hex, or as 0x and 20 bytes.

    Raises:
        BadQueryError: It is none of them.
    """
    if text.startswith("0x"):
        text = "41" + text[2:]
    try:
        return address.parse(text)
    except ValueError as error:
        raise BadQueryError(refusal) from error


def _snake(name: str) -> str:
    return _CAMEL.sub(r"_\1", name).lower()

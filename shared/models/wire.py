"""Field types and shapes that all wire contracts share."""

import re
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from shared.clock import rfc3339
from shared.money import Currency, format_base_units, parse_base_units
from shared.tron.address import Address, parse_address

T = TypeVar("T")

_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)
"""At most the 78 digits of the largest uint256."""


class Request(BaseModel):
    """Something a caller sends: unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class View(BaseModel):
    """Something a service answers with: readers ignore fields they do not know."""

    model_config = ConfigDict(extra="ignore", frozen=True)


def _amount(value: Any) -> str:
    return format_base_units(parse_base_units(value))


def _positive_amount(value: Any) -> str:
    if parse_base_units(value) == 0:
        raise ValueError("must be more than zero")
    return _amount(value)


def _base_units(value: str) -> str:
    if not _WHOLE_NUMBER.fullmatch(value):
        raise ValueError("must be a whole number of base units as a string")
    return value


def _checked_address(value: str) -> Address:
    return parse_address(value)


AmountText = Annotated[
    str,
    BeforeValidator(_positive_amount),
    Field(
        description="Decimal string with at most six decimals, more than zero.",
        examples=["12.5"],
        max_length=24,
        json_schema_extra={"pattern": r"^(0|[1-9][0-9]{0,12})(\.[0-9]{1,6})?$"},
    ),
]
"""An amount to move; JSON numbers are refused."""

DecimalText = Annotated[str, Field(description="Decimal string.", examples=["12.5"])]
BaseUnitsText = Annotated[
    str, AfterValidator(_base_units), Field(description="Whole base units.", examples=["12500000"])
]
AddressText = Annotated[
    Address,
    AfterValidator(_checked_address),
    Field(
        description="TRON address in Base58Check.",
        examples=["TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH"],
        max_length=64,
    ),
]
NaturalId = Annotated[
    str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")
]
"""A caller's own id for a request, which may stand for the Idempotency-Key header."""

SubjectText = Annotated[str, StringConstraints(min_length=1, max_length=255)]
NoteText = Annotated[str, StringConstraints(max_length=500)]
HexText = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{2})*$", max_length=1_048_576)]
TxidText = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
SendKeyText = Annotated[
    str, StringConstraints(pattern=r"^[a-z-]+:[A-Za-z0-9_.-]+:(0|[1-9][0-9]*)$", max_length=255)
]
TimeText = Annotated[
    str, Field(description="RFC 3339, UTC.", examples=["2026-11-22T10:00:00.000Z"])
]


def time_or_none(at_ms: int | None) -> str | None:
    """Write a moment for the wire, if there is one."""
    return None if at_ms is None else rfc3339(at_ms)


class Money(View):
    """An amount as callers read it."""

    amount: DecimalText
    amount_base_units: BaseUnitsText
    currency: Currency


class BlockRef(View):
    """One block: its height, id and time."""

    height: int
    block_id: str
    timestamp_ms: int


class FeedItem(View, Generic[T]):
    """One event of a feed."""

    seq: int
    id: str
    type: str
    at: TimeText
    object: T


class FeedView(View, Generic[T]):
    """A page of a feed.

    ``next`` is the cursor after this page: incarnation and number. ``as_of`` is a solid block whose
    events are all at or before the end of the feed as this page saw it; it is given when the page
    reaches that end.
    """

    items: list[FeedItem[T]]
    next: str
    incarnation: str
    as_of: BlockRef | None = None


class ConsumerRequest(Request):
    """How far a consumer of a feed has durably come."""

    cursor: str


class ConsumerView(View):
    """A registered consumer of a feed."""

    name: str
    cursor: str

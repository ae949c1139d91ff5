"""What the control API is told, read strictly: anything unclear is a BadOrderError."""

from __future__ import annotations

import re
from typing import Any

from devnet import address
from devnet.faults import ArmedFault, Fault
from devnet.forks import Fate
from devnet.genesis import HOLDERS
from devnet.keys import Key
from devnet.parameters import BadParameterError, numbered
from devnet.settings import MAX_SPEED

_AMOUNT = re.compile(r"(?P<whole>\d{1,12})(?:\.(?P<part>\d{1,6}))?")
_DECIMALS = 6
_MAX_COUNT = 100_000
_MAX_S = 10 * 366 * 86_400
_MS_PER_S = 1_000
_FAILURE_STATUSES = range(400, 600)


class BadOrderError(Exception):
    """The order makes no sense; its text says why."""


def amount_of(value: Any, name: str) -> int:
    """A positive decimal string of TRX or USDT as integer base units; both have 6 decimals."""
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadOrderError(f'{name} must be a decimal string with up to 6 decimals, like "12.5"')
    units = int(match["whole"] + (match["part"] or "").ljust(_DECIMALS, "0"))
    if units == 0:
        raise BadOrderError(f"{name} must be greater than 0")
    return units


def address_of(value: Any, name: str) -> bytes:
    """A base58check or hex address, or the name of one of the chain's own accounts."""
    if not isinstance(value, str):
        raise BadOrderError(f"{name} must be an address")
    for holder in HOLDERS:
        if holder.key.name == value:
            return holder.key.address
    try:
        return address.parse(value)
    except ValueError as error:
        raise BadOrderError(f"{name} is not an address: {value}") from error


def key_of(value: Any, name: str) -> Key:
    """A named account's key, by the account's name or address."""
    wanted = address_of(value, name)
    for holder in HOLDERS:
        if holder.key.address == wanted:
            return holder.key
    raise BadOrderError(f"{name} is not one of the chain's own accounts: {value}")


def count_of(value: Any, name: str) -> int:
    """A whole number from 1."""
    return whole_of(value, name, low=1, high=_MAX_COUNT)


def whole_of(value: Any, name: str, *, low: int, high: int) -> int:
    """A whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadOrderError(f"{name} must be a whole number from {low} to {high}")
    return value


def number_in(query: dict[str, Any], name: str, *, default: int, low: int, high: int) -> int:
    """A whole number of a query, where it stands as text."""
    text = str(query.get(name, default))
    return whole_of(int(text) if text.isdecimal() else None, name, low=low, high=high)


def places_of(value: Any) -> list[int]:
    """A list of places, from 0."""
    if not isinstance(value, list):
        raise BadOrderError("places must be a list of whole numbers from 0")
    return [whole_of(each, "a place", low=0, high=_MAX_COUNT) for each in value]


def fate_of(value: Any) -> Fate:
    """What becomes of the transactions of replaced blocks."""
    if value not in {each.value for each in Fate}:
        raise BadOrderError(f"fate must be one of {', '.join(Fate)}")
    return Fate(value)


def flag_of(value: Any, name: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise BadOrderError(f"{name} must be true or false")
    return value


def speed_of(value: Any) -> float:
    """Chain seconds for each real second; 0 is by hand."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_SPEED:
        raise BadOrderError(f"speed must be a number from 0 to {MAX_SPEED}")
    return float(value)


def milliseconds_of(value: Any) -> int:
    """A jump forward, given in whole or broken seconds, in milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MAX_S:
        raise BadOrderError(f"seconds must be a number greater than 0, at most {_MAX_S}")
    return round(value * _MS_PER_S)


def skew_ms_of(value: Any) -> int:
    """How far the chain is ahead, given in whole or broken seconds, in milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MAX_S:
        raise BadOrderError(f"seconds must be a number from -{_MAX_S} to {_MAX_S}")
    return round(value * _MS_PER_S)


def parameters_of(order: dict[str, Any]) -> dict[int, int]:
    """Chain parameters by their proposal numbers."""
    for name, value in order.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadOrderError(f"{name} must be a whole number")
    if not order:
        raise BadOrderError('name at least one parameter, like {"getEnergyFee": 210}')
    try:
        return numbered(order)
    except BadParameterError as error:
        raise BadOrderError(str(error)) from error


def fault_of(order: dict[str, Any]) -> ArmedFault:
    """A fault to arm."""
    kind = order.get("kind")
    if kind not in set(Fault):
        known = ", ".join(sorted([*Fault, "reorg"]))
        raise BadOrderError(f"kind must be one of {known}")
    txid = order.get("txid")
    fault = Fault(kind)
    if txid is not None and fault is not Fault.DROP_TRANSACTION:
        raise BadOrderError(f"txid goes with {Fault.DROP_TRANSACTION.value} only")
    return ArmedFault(
        fault=fault,
        left=count_of(order.get("count", 1), "count"),
        path=_path_of(order.get("path")),
        txid=None if txid is None else str(txid).lower(),
        status=_status_of(order.get("status", 429)),
        body=order.get("body"),
        delay_ms=count_of(order.get("delay_ms", 1_000), "delay_ms"),
    )


def _status_of(value: Any) -> int:
    if not isinstance(value, int) or value not in _FAILURE_STATUSES:
        raise BadOrderError("status must be from 400 to 599")
    return value


def _path_of(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith("/"):
        raise BadOrderError("path must begin with /, like /wallet/getnowblock")
    return value

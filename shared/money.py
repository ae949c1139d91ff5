"""Amounts: integers with a name, decimal strings at the edge, floats nowhere.

One TRX is 1,000,000 sun and one USDT is 1,000,000 micro-USDT; both tokens have six decimals on TRON.
"""

import re
from enum import StrEnum
from typing import Final, NewType

Sun = NewType("Sun", int)
"""TRX in its base unit: 1 TRX = 1,000,000 sun."""

MicroUsdt = NewType("MicroUsdt", int)
"""USDT in its base unit: 1 USDT = 1,000,000 micro-USDT."""

DECIMALS: Final = 6
"""Decimals of TRX and of USDT on TRON."""

BASE_UNITS_PER_COIN: Final = 10**DECIMALS

MAX_BASE_UNITS: Final = 2**63 - 1
"""The largest amount that fits the int64 fields of TRON's transactions."""

_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,12})(?:\.([0-9]{1,6}))?", re.ASCII)


class Currency(StrEnum):
    """What can be paid: the chain's coin and the one token this stack handles."""

    TRX = "TRX"
    USDT = "USDT"


class InvalidAmount(ValueError):
    """A text that is no amount; ``reason`` says what is wrong with it.

    Attributes:
        reason: one sentence for the caller.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_base_units(text: object) -> int:
    """Read a decimal string such as ``"12.5"`` into base units (12,500,000).

    Args:
        text: digits, optionally a point and one to six decimals; no sign, exponent, space or separator.

    Returns:
        The amount in base units, 0 included.

    Raises:
        InvalidAmount: the value is not a string of that form, or is too large for the chain.
    """
    if not isinstance(text, str):
        raise InvalidAmount('must be a decimal string such as "12.50", not a JSON number')
    matched = _AMOUNT.fullmatch(text)
    if matched is None:
        raise InvalidAmount("must be digits with at most six decimals, without sign or exponent")
    whole, decimals = matched.group(1), matched.group(2) or ""
    units = int(whole) * BASE_UNITS_PER_COIN + int(decimals.ljust(DECIMALS, "0"))
    if units > MAX_BASE_UNITS:
        raise InvalidAmount("is larger than the chain can carry")
    return units


def parse_trx(text: object) -> Sun:
    """Read a decimal TRX string into sun; raises InvalidAmount."""
    return Sun(parse_base_units(text))


def parse_usdt(text: object) -> MicroUsdt:
    """Read a decimal USDT string into micro-USDT; raises InvalidAmount."""
    return MicroUsdt(parse_base_units(text))


def format_base_units(units: int) -> str:
    """Write base units as a decimal string without trailing zeros: 12,500,000 is ``"12.5"``.

    Raises:
        TypeError: the amount is not an int (a float has already lost money).
    """
    if isinstance(units, bool) or not isinstance(units, int):
        raise TypeError(f"an amount is an int in base units, not {type(units).__name__}")
    sign = "-" if units < 0 else ""
    whole, decimals = divmod(abs(units), BASE_UNITS_PER_COIN)
    if decimals == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{decimals:06d}".rstrip("0")

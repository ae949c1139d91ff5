"""Which TRC-20 tokens count: the network's USDT, and others that the operator names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared.tron.address import Address, InvalidAddress, evm_bytes, parse_address

MAX_DECIMALS: Final = 77
"""A uint256 has 78 digits."""

_SYMBOL: Final = re.compile(r"[A-Za-z0-9._-]{1,16}", re.ASCII)
_PARTS: Final = 3


class InvalidToken(ValueError):
    """What was named is no token that could be told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A TRC-20 token by its contract.

    Raises:
        InvalidToken: a symbol or a number of decimals that no token has.
    """

    contract: Address
    symbol: str
    decimals: int

    def __post_init__(self) -> None:
        if not _SYMBOL.fullmatch(self.symbol):
            raise InvalidToken(f"{self.symbol[:20]!r} is no symbol: 1 to 16 letters, digits, . _ -")
        if not 0 <= self.decimals <= MAX_DECIMALS:
            raise InvalidToken(f"{self.symbol} cannot have {self.decimals} decimals")


class Tokens:
    """The tokens whose Transfer logs are told.

    Which these are decides what is told, never what a transfer is named (H21).

    Attributes:
        usdt: the contract of the network's USDT.
        others: the other tokens by their contracts.
    """

    def __init__(self, usdt: Address, others: Iterable[Token] = ()) -> None:
        self.usdt = usdt
        self.others = {token.contract: token for token in others}
        if usdt in self.others:
            raise InvalidToken("USDT is told of anyway and must not be named again")
        self._printed = frozenset(evm_bytes(each).hex() for each in (usdt, *self.others))

    def counts(self, printed: str) -> bool:
        """Tell whether logs of a contract count, given as a node prints it: 40 hexadecimal digits."""
        return printed.lower() in self._printed

    def other(self, contract: Address) -> Token | None:
        """Return what is known of a contract; None for USDT."""
        return self.others.get(contract)


def parse_token(text: str) -> Token:
    """Read ``SYMBOL:CONTRACT:DECIMALS``, such as ``USDD:TXDk8mbtRbXeYuMNS83CfKPaYYT8XWv9Hz:18``.

    Raises:
        InvalidToken: it is not of that form, or not a token.
    """
    parts = text.split(":")
    if len(parts) != _PARTS or not parts[2].isascii() or not parts[2].isdigit():
        raise InvalidToken("a token is SYMBOL:CONTRACT:DECIMALS")
    try:
        contract = parse_address(parts[1])
    except InvalidAddress as error:
        raise InvalidToken(f"the contract of {parts[0][:20]!r} is {error}") from None
    return Token(contract=contract, symbol=parts[0], decimals=int(parts[2][:4]))


def format_units(units: int, *, decimals: int) -> str:
    """Write base units as a decimal string without trailing zeros."""
    if not decimals:
        return str(units)
    digits = str(units).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}".rstrip("0").rstrip(".")

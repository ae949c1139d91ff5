"""What a scenario can be told, each value with its type, its bounds and its default."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from devnet.control import orders
from devnet.control.orders import BadOrderError

_TXID = re.compile(r"[0-9a-fA-F]{64}")
_REQUIRED: Any = object()

Read = Callable[[Any, str], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One value of an order.

    Attributes:
        type: What may be given, in words.
        default: What counts if nothing is given, as it would be given; null stands for nothing.
    """

    name: str
    type: str
    meaning: str
    read: Read
    default: Any = _REQUIRED

    @property
    def is_required(self) -> bool:
        """True if there is no default."""
        return self.default is _REQUIRED

    def value(self, order: dict[str, Any]) -> Any:
        """What an order says, or the default; None stands for nothing.

        Raises:
            BadOrderError: It is missing or not of the type.
        """
        given = order.get(self.name, self.default)
        if given is _REQUIRED or (given is None and self.default is not None):
            raise BadOrderError(f"name {self.name}: {self.meaning}, {self.type}")
        return None if given is None else self.read(given, self.name)

    def shown(self) -> dict[str, Any]:
        """The parameter as the registry lists it; without `default` it must be given."""
        listed = {"name": self.name, "type": self.type, "meaning": self.meaning}
        return listed if self.is_required else {**listed, "default": self.default}


def whole(
    name: str, meaning: str, *, low: int, high: int, default: int | None = _REQUIRED
) -> Parameter:
    """A whole number within bounds."""

    def read(value: Any, called: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadOrderError(f"{called} must be a whole number from {low} to {high}")
        return value

    kind = f"whole number from {low} to {high}"
    return Parameter(name=name, type=kind, meaning=meaning, read=read, default=default)


def choice(
    name: str, meaning: str, options: Sequence[str], *, default: str | None = _REQUIRED
) -> Parameter:
    """One of a few words."""

    def read(value: Any, called: str) -> str:
        if not isinstance(value, str) or value not in options:
            raise BadOrderError(f"{called} must be one of {', '.join(options)}")
        return value

    kind = "one of " + ", ".join(options)
    return Parameter(name=name, type=kind, meaning=meaning, read=read, default=default)


def several(name: str, meaning: str, options: Callable[[], Sequence[str]]) -> Parameter:
    """A list of words, all of them by default."""

    def read(value: Any, called: str) -> tuple[str, ...]:
        known = options()
        if not isinstance(value, list) or not value or not all(each in known for each in value):
            raise BadOrderError(f"{called} must be a list of some of {', '.join(known)}")
        return tuple(dict.fromkeys(value))

    return Parameter(name=name, type="list of names", meaning=meaning, read=read, default=None)


def flag(name: str, meaning: str, *, default: bool) -> Parameter:
    """True or false."""
    return Parameter(
        name=name, type="true or false", meaning=meaning, read=orders.flag_of, default=default
    )


def amount(name: str, meaning: str, *, default: str | None = _REQUIRED) -> Parameter:
    """A decimal string of TRX or USDT, in base units once it is read."""
    return Parameter(
        name=name,
        type='decimal string, like "12.5"',
        meaning=meaning,
        read=orders.amount_of,
        default=default,
    )


def address(name: str, meaning: str, *, default: str | None = _REQUIRED) -> Parameter:
    """An address in base58check or hex, or an account's name."""
    return Parameter(
        name=name,
        type="address or account name",
        meaning=meaning,
        read=orders.address_of,
        default=default,
    )


def account(name: str, meaning: str, *, default: str) -> Parameter:
    """One of the chain's own accounts, whose key is known here."""
    return Parameter(
        name=name, type="account name", meaning=meaning, read=orders.key_of, default=default
    )


def txid(name: str, meaning: str, *, default: str | None = _REQUIRED) -> Parameter:
    """A transaction's id, as bytes once it is read."""

    def read(value: Any, called: str) -> bytes:
        if not isinstance(value, str) or not _TXID.fullmatch(value):
            raise BadOrderError(f"{called} must be a transaction id of 64 hex digits")
        return bytes.fromhex(value)

    return Parameter(name=name, type="64 hex digits", meaning=meaning, read=read, default=default)


def text(name: str, meaning: str, *, most: int, default: str) -> Parameter:
    """A line of text."""

    def read(value: Any, called: str) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise BadOrderError(f"{called} must be a text of at most {most} characters")
        return value

    kind = f"text of at most {most} characters"
    return Parameter(name=name, type=kind, meaning=meaning, read=read, default=default)


def path(name: str, meaning: str) -> Parameter:
    """A path of the node's, or the beginning of some with a star behind."""

    def read(value: Any, called: str) -> str:
        if not isinstance(value, str) or not value.startswith("/") or "*" in value[:-1]:
            raise BadOrderError(
                f"{called} must be a path like /wallet/getnowblock, or like /walletsolidity/*"
            )
        return value

    return Parameter(
        name=name,
        type="path, with * at its end for all below",
        meaning=meaning,
        read=read,
        default=None,
    )


def node(name: str, meaning: str, *, default: int | None) -> Parameter:
    """A node by its place: 0 is the one that makes blocks."""

    def read(value: Any, called: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise BadOrderError(f"{called} must be the number of a node, 0 for the first")
        return value

    return Parameter(
        name=name, type="number of a node", meaning=meaning, read=read, default=default
    )

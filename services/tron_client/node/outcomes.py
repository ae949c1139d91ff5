"""The three things a node can make of a broadcast, and which of its answers means which."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """It is in the node's pool, which is no promise of a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The node did not take it; that says nothing of other nodes or other times."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """It may have been taken, now or before."""

    code: str | None
    message: str


BroadcastResult = Accepted | Rejected | Unknown

_NOT_TAKEN: Final = frozenset(
    {
        "SIGERROR",
        "CONTRACT_VALIDATE_ERROR",
        "CONTRACT_EXE_ERROR",
        "BANDWITH_ERROR",
        "TAPOS_ERROR",
        "TOO_BIG_TRANSACTION_ERROR",
        "SERVER_BUSY",
        "NO_CONNECTION",
        "NOT_ENOUGH_EFFECTIVE_CONNECTION",
        "BLOCK_UNSOLIDIFIED",
    }
)
"""Codes after which the transaction is not in the node's pool (java-tron Wallet.broadcastTransaction)."""

_NEVER_TAKEN: Final = frozenset({"SIGERROR", "TOO_BIG_TRANSACTION_ERROR"})
"""Codes that no other node and no other time change."""

_ALREADY_IN_POOL: Final = "P2P broadcast failed."
_MAX_MESSAGE: Final = 500


def read_outcome(answer: dict[str, Any], *, txid: str) -> BroadcastResult:
    """Judge what a node answered to ``broadcasthex``; whatever is not plain is unknown.

    A duplicate was taken before, perhaps into a block; an expired one may have been.
    """
    code, message = str(answer.get("code", "")), plain(answer.get("message", ""))
    if answer.get("txid", txid) != txid:
        return Unknown(code=code or None, message="the node names another transaction")
    if answer.get("result") is True and code in {"", "SUCCESS"}:
        return Accepted()
    if code in _NOT_TAKEN and message != _ALREADY_IN_POOL:
        return Rejected(code=code, message=message)
    return Unknown(code=code or None, message=message or "the node gave no result")


def merged(outcomes: Sequence[BroadcastResult]) -> BroadcastResult:
    """Return what several nodes made of the same bytes, as one.

    One that took it is enough. It is refused only if every node refused it; what one of them does not
    say plainly is unknown. Of refusals the one that is most likely to pass is told.
    """
    if any(isinstance(each, Accepted) for each in outcomes):
        return Accepted()
    for each in outcomes:
        if isinstance(each, Unknown):
            return each
    refusals = [each for each in outcomes if isinstance(each, Rejected)]
    if not refusals:
        return Unknown(code=None, message="no node could be asked")
    return min(refusals, key=lambda each: each.code in _NEVER_TAKEN)


def plain(message: object) -> str:
    """Return a node's message as text: some answers carry it in hexadecimal."""
    text = message if isinstance(message, str) else ""
    with contextlib.suppress(ValueError):
        text = bytes.fromhex(text).decode()
    return text[:_MAX_MESSAGE]

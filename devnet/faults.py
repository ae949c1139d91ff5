"""Failures that are armed by hand, each for a number of times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

BROADCAST_PATHS = frozenset({"/wallet/broadcasttransaction", "/wallet/broadcasthex"})


class Fault(StrEnum):
    """What can go wrong."""

    REPLY_LOST = "reply_lost"
    REQUEST_LOST = "request_lost"
    DROP_TRANSACTION = "drop_transaction"
    EMPTY_REPLY = "empty_reply"
    STATUS = "status"
    SLOW = "slow"


@dataclass(slots=True, kw_only=True)
class ArmedFault:
    """A fault that strikes `left` more times.

    Attributes:
        path: Strike only here; None means broadcasts for lost requests and replies, and
            every path for the others.
        txid: Drop only this transaction; None means the next ones.
        status: The HTTP status to answer with.
        body: The JSON to answer with instead of the suspension text.
        delay_ms: Real milliseconds to wait before a slow reply.
    """

    fault: Fault
    left: int
    path: str | None = None
    txid: str | None = None
    status: int = 429
    body: Any = None
    delay_ms: int = 1_000

    def strikes(self, path: str) -> bool:
        """True if the fault is meant for requests to a path."""
        if self.path is not None:
            return self.path == path
        return self.fault not in {Fault.REPLY_LOST, Fault.REQUEST_LOST} or path in BROADCAST_PATHS


class Faults:
    """The faults that are armed, oldest first.

    Attributes:
        watchers: Who hears of each strike, with the path or the transaction that it struck.
    """

    def __init__(self) -> None:
        self.watchers: list[Callable[[ArmedFault, str], None]] = []
        self._armed: list[ArmedFault] = []

    def arm(self, fault: ArmedFault) -> None:
        """Let a fault strike from now on."""
        self._armed.append(fault)

    def disarm(self) -> None:
        """Forget all of them."""
        self._armed = []

    def armed(self) -> list[ArmedFault]:
        """What is still to come."""
        return list(self._armed)

    def take(self, fault: Fault, path: str) -> ArmedFault | None:
        """The fault of a kind that strikes a request, if any; it is used up by one."""
        matching = (each for each in self._armed if each.fault is fault and each.strikes(path))
        return self._use(matching, path)

    def drops(self, txid: bytes, *, arriving: bool) -> bool:
        """True if a transaction shall be forgotten.

        A fault without a txid is meant for those that arrive, not for those that wait already.
        """
        wanted = {txid.hex(), None} if arriving else {txid.hex()}
        matching = (
            each
            for each in self._armed
            if each.fault is Fault.DROP_TRANSACTION and each.txid in wanted
        )
        return self._use(matching, txid.hex()) is not None

    def _use(self, matching: Iterator[ArmedFault], struck: str) -> ArmedFault | None:
        armed = next(matching, None)
        if armed is None:
            return None
        armed.left -= 1
        if armed.left <= 0:
            self._armed.remove(armed)
        for watch in self.watchers:
            watch(armed, struck)
        return armed

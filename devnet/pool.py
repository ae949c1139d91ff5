"""Transactions that were taken and wait for a block."""

from __future__ import annotations

from dataclasses import dataclass

from devnet.chain_pb2 import TransactionInfo
from devnet.items import Item

# java-tron's node.pendingTransactionTimeout and node.maxTransactionPendingSize.
PENDING_TIMEOUT_MS = 60_000
CAPACITY = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A waiting transaction.

    Attributes:
        arrived_ms: Chain time at which it came.
        info: Its result so far.
        doomed: True if a fault will forget it before a block can include it.
    """

    item: Item
    arrived_ms: int
    info: TransactionInfo
    doomed: bool = False


class Pool:
    """Waiting transactions in the order of their arrival."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, Pending] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """True when the node is too busy to take more."""
        return len(self._waiting) > CAPACITY

    def add(self, pending: Pending) -> None:
        """Put a transaction last."""
        self._waiting[pending.item.txid] = pending

    def get(self, txid: bytes) -> Pending | None:
        """A waiting transaction."""
        return self._waiting.get(txid)

    def remove(self, txid: bytes) -> bool:
        """Forget a transaction; False if it did not wait."""
        return self._waiting.pop(txid, None) is not None

    def txids(self) -> list[bytes]:
        """The ids of all that wait."""
        return list(self._waiting)

    def take_all(self, now_ms: int) -> list[Pending]:
        """Empty the pool; what has waited for a minute is forgotten."""
        waiting = [
            pending
            for pending in self._waiting.values()
            if now_ms - pending.arrived_ms < PENDING_TIMEOUT_MS
        ]
        self._waiting = {}
        return waiting

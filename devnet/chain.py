"""A chain of blocks as somebody sees it: who looks may stand at its head, behind it, or beside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from devnet.chain_pb2 import BlockRecord
from devnet.ledger import States
from devnet.moment import Moment

_REFERENCE_BYTES = 2
_REFERENCE_RANGE = 0x10000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """A block's number, id and time."""

    number: int
    block_id: bytes
    time_ms: int


class Chain(ABC):
    """Blocks from genesis to a head, the height up to which they are final, and both states."""

    @property
    @abstractmethod
    def head(self) -> Tip:
        """The newest block."""

    @property
    @abstractmethod
    def solid_number(self) -> int:
        """The number of the newest block that can no longer be taken back."""

    @property
    @abstractmethod
    def ledger(self) -> States:
        """What is true at the head and at the solid height."""

    @abstractmethod
    def block_id(self, number: int) -> bytes:
        """The id of a block that exists."""

    @abstractmethod
    def record(self, number: int) -> BlockRecord:
        """A block that exists, with its receipts."""

    @abstractmethod
    def height_of(self, txid: bytes) -> int | None:
        """The number of the block that includes a transaction."""

    def close(self) -> None:  # noqa: B027 (only the main chain holds something)
        """Give back what it holds, which is nothing unless somebody says otherwise."""

    @property
    def solid(self) -> Tip:
        """The newest block that can no longer be taken back."""
        return self.tip(self.solid_number)

    @property
    def moment(self) -> Moment:
        """Now, for transactions on top of the head."""
        return Moment(head_ms=self.head.time_ms)

    def tip(self, number: int) -> Tip:
        """The number, id and time of a block that exists."""
        head = self.head
        if number == head.number:
            return head
        time_ms = self.record(number).block.block_header.raw_data.timestamp
        return Tip(number=number, block_id=self.block_id(number), time_ms=time_ms)

    def knows_reference(self, reference_bytes: bytes, reference_hash: bytes) -> bool:
        """True if a transaction's reference block is among the last 65,536 (TAPOS)."""
        if len(reference_bytes) != _REFERENCE_BYTES:
            return False
        head = self.head.number
        number = head - (head - int.from_bytes(reference_bytes, "big")) % _REFERENCE_RANGE
        return number >= 0 and self.block_id(number)[8:16] == reference_hash

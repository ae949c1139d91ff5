"""When a transaction is executed: everything counts from the block before."""

from __future__ import annotations

from dataclasses import dataclass

from devnet.blocks import SLOT_MS, slot_of
from devnet.genesis import GENESIS_TIME_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The time of the head block, which is what java-tron's actuators call now."""

    head_ms: int

    @property
    def slot(self) -> int:
        """Slots since genesis, the unit in which resources come back."""
        return slot_of(self.head_ms, GENESIS_TIME_MS)

    @property
    def next_slot_ms(self) -> int:
        """The earliest time of the next block."""
        return self.head_ms + SLOT_MS

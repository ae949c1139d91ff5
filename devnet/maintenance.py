"""What a block does beside its transactions: pay, count turns, and end the cycle when it is due."""

from __future__ import annotations

from devnet import rewards, witnesses
from devnet.blocks import slot_of
from devnet.chain_pb2 import BlockHeader
from devnet.genesis import GENESIS_TIME_MS
from devnet.moment import Moment
from devnet.state import NEXT_MAINTENANCE, State

_FIRST_BLOCK = 1


def apply_block(state: State, raw: BlockHeader.raw, before: Moment) -> None:
    """Finish a block whose transactions are executed (Manager.processBlock, applyBlock).

    Args:
        state: The block's own layer.
        raw: The block's header.
        before: The moment of the block before.
    """
    rewards.pay_block(state, raw.witness_address)
    slot = slot_of(raw.timestamp, GENESIS_TIME_MS)
    gap = range(before.slot + 1, slot) if raw.number != _FIRST_BLOCK else range(0)
    witnesses.count_block(
        state, raw.witness_address, number=raw.number, slot=slot, slots_missed=gap
    )
    if next_time_ms(state) <= raw.timestamp:
        _maintain(state, raw)


def next_time_ms(state: State) -> int:
    """The first block from this time on ends the cycle."""
    return state.integer(NEXT_MAINTENANCE)


def _maintain(state: State, raw: BlockHeader.raw) -> None:
    """A block after a long gap ends one cycle only; the next time stays on the same grid."""
    if raw.number != _FIRST_BLOCK:
        rewards.end_cycle(state)
    interval_ms = state.parameter("getMaintenanceTimeInterval")
    due_ms = next_time_ms(state)
    rounds = (raw.timestamp - due_ms) // interval_ms + 1
    state.put_integer(NEXT_MAINTENANCE, b"", due_ms + rounds * interval_ms)

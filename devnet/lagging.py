"""The main chain as a node sees it that has not received its last blocks yet."""

from __future__ import annotations

from devnet.chain import Chain, Tip
from devnet.chain_pb2 import BlockRecord
from devnet.ledger import StatePair, States
from devnet.mainchain import HISTORY_BLOCKS, MainChain

MAX_LAG_BLOCKS = HISTORY_BLOCKS


class LaggingChain(Chain):
    """All blocks up to some distance from the head, and the solid height of that time.

    Args:
        source: The chain that is ahead.
        blocks: The distance.

    Raises:
        ValueError: So far back nobody remembers the state.
    """

    def __init__(self, source: MainChain, blocks: int) -> None:
        if not 0 <= blocks <= MAX_LAG_BLOCKS:
            raise ValueError(f"a node can lag by 0 to {MAX_LAG_BLOCKS} blocks")
        self._source = source
        self._blocks = blocks
        self._known: tuple[bytes, States] | None = None

    @property
    def lag_blocks(self) -> int:
        """The distance."""
        return self._blocks

    @property
    def _number(self) -> int:
        return max(0, self._source.head.number - self._blocks)

    @property
    def head(self) -> Tip:
        """The newest block that has arrived."""
        return self._source.tip(self._number)

    @property
    def solid_number(self) -> int:
        """The solid height when that block was the newest of all."""
        return self._source.solid_number_at(self._number)

    @property
    def ledger(self) -> States:
        """What was true at the head and at the solid height."""
        real_head = self._source.head
        if self._known is None or self._known[0] != real_head.block_id:
            past = self._source.ledger.past
            states = StatePair(
                head=past(real_head.number - self._number),
                solid=past(real_head.number - self.solid_number),
            )
            self._known = real_head.block_id, states
        return self._known[1]

    def block_id(self, number: int) -> bytes:
        """The id of a block that exists."""
        return self._source.block_id(number)

    def record(self, number: int) -> BlockRecord:
        """A block that exists, with its receipts."""
        return self._source.record(number)

    def height_of(self, txid: bytes) -> int | None:
        """The number of the block that includes a transaction."""
        height = self._source.height_of(txid)
        return height if height is not None and height <= self._number else None

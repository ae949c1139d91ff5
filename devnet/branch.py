"""Blocks that compete with the last ones of the main chain and may overtake them."""

from __future__ import annotations

from devnet import blockmaking
from devnet.blockmaking import Made
from devnet.chain import Chain, Tip
from devnet.chain_pb2 import BlockRecord
from devnet.finality import solid_number
from devnet.items import Item
from devnet.ledger import Ledger


class Branch(Chain):
    """A chain that shares all blocks up to a fork with the main one, and becomes solid by itself.

    It stays whole whatever becomes of the main chain, so that a node may show it for ever.

    Args:
        main: The chain it branches off from.
        number: The last block that both have, the newest solid one or a later one.
        ledger: Both states at that block, for the branch alone.
    """

    def __init__(self, *, main: Chain, number: int, ledger: Ledger) -> None:
        self._main = main
        self._ledger = ledger
        self._root = self._solid_number = main.solid_number
        self.fork = main.tip(number)
        self.blocks: list[Made] = []
        self._tips: list[Tip] = []
        self._records: list[BlockRecord] = []
        self._heights: dict[bytes, int] = {}
        for height in range(self._root + 1, number + 1):
            self._add(main.tip(height), main.record(height))

    @property
    def can_win(self) -> bool:
        """False once the main chain replaced the block it begins at, or has a later solid one."""
        main, fork = self._main, self.fork
        if not main.solid_number <= fork.number <= main.head.number:
            return False
        return main.block_id(fork.number) == fork.block_id

    @property
    def head(self) -> Tip:
        """The newest block."""
        return self._tips[-1] if self._tips else self.fork

    @property
    def solid_number(self) -> int:
        """The number of the newest block that 19 witnesses have built upon."""
        return self._solid_number

    @property
    def ledger(self) -> Ledger:
        """What is true at the head and at the solid height."""
        return self._ledger

    def block_id(self, number: int) -> bytes:
        """The id of a block that exists."""
        if number <= self._root:
            return self._main.block_id(number)
        return self._tips[number - self._root - 1].block_id

    def record(self, number: int) -> BlockRecord:
        """A block that exists, with its receipts."""
        if number <= self._root:
            return self._main.record(number)
        return self._records[number - self._root - 1]

    def height_of(self, txid: bytes) -> int | None:
        """The number of the block that includes a transaction."""
        own = self._heights.get(txid)
        if own is not None:
            return own
        shared = self._main.height_of(txid)
        return shared if shared is not None and shared <= self._root else None

    def produce(self, time_ms: int, items: list[Item]) -> Made:
        """Make the block of a slot from what can be included, and put it on top."""
        made = blockmaking.made(self, time_ms, items)
        self._ledger.apply(made.changes)
        self.blocks.append(made)
        self._add(made.tip, made.record)
        number = solid_number(self._ledger.head, self._solid_number)
        self._ledger.solidify(number - self._solid_number)
        self._ledger.forget(0)
        self._solid_number = number
        return made

    def _add(self, tip: Tip, record: BlockRecord) -> None:
        self._tips.append(tip)
        self._records.append(record)
        self._heights.update((info.id, tip.number) for info in record.infos)

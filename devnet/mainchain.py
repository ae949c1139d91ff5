"""The chain that counts: it grows, becomes solid, gives way to a longer branch, and is replayed."""

from __future__ import annotations

from array import array
from collections import OrderedDict

from devnet import blockmaking
from devnet.blocklog import BlockLog, StateFileError
from devnet.blockmaking import Made
from devnet.blocks import block_id_of
from devnet.branch import Branch
from devnet.chain import Chain, Tip
from devnet.chain_pb2 import BlockRecord, Transaction
from devnet.finality import solid_number
from devnet.genesis import GENESIS_TIME_MS, check_own, genesis_block, genesis_state
from devnet.items import Item
from devnet.ledger import Ledger
from devnet.txindex import TransactionIndex

_ID_BYTES = 32
_RECENT_RECORDS = 64
# How far behind the head its states are remembered, so that a node may lag.
HISTORY_BLOCKS = 64


class MainChain(Chain):
    """Blocks in a log, their ids and transactions by index, and the states they lead to.

    Args:
        log: Where blocks are kept; what it holds already is replayed.

    Raises:
        StateFileError: The log holds another chain, or one made under other rules.
        ForeignGenesisError: The first block is not the devnet's own.
    """

    def __init__(self, log: BlockLog) -> None:
        self._log = log
        self._ids = bytearray()
        self._offsets = array("Q")
        self._solid_numbers = array("Q")
        self._solid_number = 0
        self._index = TransactionIndex()
        self._recent: OrderedDict[int, BlockRecord] = OrderedDict()
        self._ledger = Ledger(genesis_state())
        self._head = Tip(number=-1, block_id=b"", time_ms=0)
        self.clock_ms = 0
        self._replay()

    @property
    def head(self) -> Tip:
        """The newest block."""
        return self._head

    @property
    def solid_number(self) -> int:
        """The number of the newest block that can no longer be taken back."""
        return self._solid_number

    @property
    def ledger(self) -> Ledger:
        """What is true at the head and at the solid height."""
        return self._ledger

    def solid_number_at(self, number: int) -> int:
        """The solid height when a block was the head."""
        return self._solid_numbers[number]

    def block_id(self, number: int) -> bytes:
        """The id of a block that exists."""
        return bytes(self._ids[number * _ID_BYTES : (number + 1) * _ID_BYTES])

    def record(self, number: int) -> BlockRecord:
        """A block that exists, with its receipts."""
        record = self._recent.get(number)
        if record is None:
            record = self._log.read(self._offsets[number])
            self._remember(number, record)
        return record

    def height_of(self, txid: bytes) -> int | None:
        """The number of the block that includes a transaction."""
        return self._index.height_of(txid)

    def produce(self, time_ms: int, items: list[Item]) -> Made:
        """Make the block of a slot from what can be included, and put it on top."""
        made = blockmaking.made(self, time_ms, items)
        self._extend(made, self._log.append(made.record))
        return made

    def fork(self, number: int) -> Branch:
        """Begin a branch that competes with the blocks above a number.

        Raises:
            ValueError: There is no such block, or a later one is solid.
        """
        if not self.solid_number <= number <= self._head.number:
            raise ValueError(f"only the blocks above {self.solid_number} can be replaced")
        ledger = self._ledger.branched(self._head.number - number)
        return Branch(main=self, number=number, ledger=ledger)

    def adopt(self, branch: Branch) -> list[Transaction]:
        """Let a branch replace the blocks it competes with, as the longest chain does.

        Returns:
            The transactions of the replaced blocks, in order.

        Raises:
            ValueError: It is not longer, or begins at a block that is no longer there or no
                longer the newest solid one or above.
        """
        if not branch.can_win:
            raise ValueError("the branch begins below the solid block")
        if branch.head.number <= self._head.number:
            raise ValueError("the branch is not longer than the chain")
        returned = self._rewind(branch.fork.number)
        for made in branch.blocks:
            self._extend(made, self._log.append(made.record))
        return returned

    def keep_clock(self, now_ms: int) -> None:
        """Remember how far the clock had come, for the next start."""
        self.clock_ms = now_ms
        self._log.append(BlockRecord(clock_ms=now_ms))

    def close(self) -> None:
        """Give the log back."""
        self._index.close()
        self._log.close()

    def _rewind(self, number: int) -> list[Transaction]:
        returned: list[Transaction] = []
        for height in range(number + 1, self._head.number + 1):
            record = self.record(height)
            returned.extend(record.block.transactions)
            self._index.remove(info.id for info in record.infos)
        for height in range(self._head.number, number, -1):
            self._ledger.undo()
            self._recent.pop(height, None)
        head = self.tip(number)
        del self._ids[(number + 1) * _ID_BYTES :]
        del self._offsets[number + 1 :]
        del self._solid_numbers[number + 1 :]
        self._head = head
        return returned

    def _replay(self) -> None:
        for offset, record in self._log.load():
            if record.HasField("block"):
                self._replay_block(offset, record)
            else:
                self.clock_ms = record.clock_ms
        if self._head.number < 0:
            record = BlockRecord(block=genesis_block())
            self._begin(record, self._log.append(record))

    def _replay_block(self, offset: int, record: BlockRecord) -> None:
        raw = record.block.block_header.raw_data
        if raw.number == 0:
            self._begin(record, offset)
            return
        if self.solid_number < raw.number <= self._head.number:
            self._rewind(raw.number - 1)
        if raw.parentHash != self._head.block_id:
            raise StateFileError(f"block {raw.number} does not follow {self._head.number}")
        made = blockmaking.made_again(self, record)
        if made.record != record:
            raise StateFileError(f"block {raw.number} was made under other rules")
        self._extend(made, offset)

    def _begin(self, record: BlockRecord, offset: int) -> None:
        block_id = block_id_of(record.block.block_header)
        check_own(block_id)
        self._ids.extend(block_id)
        self._offsets.append(offset)
        self._solid_numbers.append(0)
        self._head = Tip(number=0, block_id=block_id, time_ms=GENESIS_TIME_MS)

    def _extend(self, made: Made, offset: int) -> None:
        self._ledger.apply(made.changes)
        self._ids.extend(made.tip.block_id)
        self._offsets.append(offset)
        self._index.add((info.id for info in made.record.infos), made.tip.number)
        self._remember(made.tip.number, made.record)
        number = solid_number(self._ledger.head, self._solid_number)
        self._ledger.solidify(number - self._solid_number)
        self._solid_number = number
        self._solid_numbers.append(number)
        self._head = made.tip
        oldest_solid = self._solid_numbers[max(0, made.tip.number - HISTORY_BLOCKS)]
        self._ledger.forget(self._solid_number - oldest_solid)

    def _remember(self, number: int, record: BlockRecord) -> None:
        self._recent[number] = record
        if len(self._recent) > _RECENT_RECORDS:
            self._recent.popitem(last=False)

"""The chain of blocks: it grows, becomes solid, is taken back at the tip, and is replayed."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass

from devnet import execution
from devnet.blocklog import BlockLog, StateFileError
from devnet.blocks import block_id_of, sealed, slot_of
from devnet.chain_pb2 import BlockRecord, Transaction, TransactionInfo
from devnet.genesis import (
    GENESIS_TIME_MS,
    WITNESS_COUNT,
    WITNESSES,
    check_own,
    genesis_block,
    genesis_state,
)
from devnet.items import Item, opened
from devnet.ledger import Ledger
from devnet.moment import Moment
from devnet.rejection import RejectedError
from devnet.state import State

_ID_BYTES = 32
_LATEST = "witness_latest_block"
_SOLID_RANK = WITNESS_COUNT * 3 // 10
_RECENT_RECORDS = 64
_REFERENCE_RANGE = 0x10000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """A block's number, id and time."""

    number: int
    block_id: bytes
    time_ms: int


class Chain:
    """Blocks in a log, their ids and receipts by index, and the states they lead to.

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
        self._heights: dict[bytes, int] = {}
        self._recent: OrderedDict[int, BlockRecord] = OrderedDict()
        self.ledger = Ledger(genesis_state())
        self.solid_number = 0
        self.head = Tip(number=-1, block_id=b"", time_ms=0)
        self._replay()

    @property
    def solid(self) -> Tip:
        """The newest block that can no longer be taken back."""
        return self.tip(self.solid_number)

    @property
    def moment(self) -> Moment:
        """Now, for transactions on top of the head."""
        return Moment(head_ms=self.head.time_ms)

    def tip(self, number: int) -> Tip:
        """The number, id and time of a block."""
        if number == self.head.number:
            return self.head
        time_ms = self.record(number).block.block_header.raw_data.timestamp
        return Tip(number=number, block_id=self.block_id(number), time_ms=time_ms)

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
        return self._heights.get(txid)

    def knows_reference(self, reference_bytes: bytes, reference_hash: bytes) -> bool:
        """True if a transaction's reference block is among the last 65,536 (TAPOS)."""
        back = (self.head.number - int.from_bytes(reference_bytes, "big")) % _REFERENCE_RANGE
        number = self.head.number - back
        return number >= 0 and self.block_id(number)[8:16] == reference_hash

    def produce(self, time_ms: int, items: list[Item]) -> list[tuple[Item, RejectedError]]:
        """Make the block of a slot from what can be included; return what cannot."""
        state = self.ledger.overlay()
        included: list[tuple[Item, TransactionInfo]] = []
        refused: list[tuple[Item, RejectedError]] = []
        for item in items:
            try:
                included.append((item, execution.execute(state, item, self.moment)))
            except RejectedError as error:
                refused.append((item, error))
        block = sealed(
            key=WITNESSES[slot_of(time_ms, GENESIS_TIME_MS) % WITNESS_COUNT],
            parent_id=self.head.block_id,
            timestamp_ms=time_ms,
            included=[execution.with_ret(item.transaction, info) for item, info in included],
        )
        record = BlockRecord(block=block, infos=[info for _, info in included])
        _place(record)
        self._extend(record, state, self._log.append(record))
        return refused

    def rewind(self, number: int) -> list[Transaction]:
        """Take back all blocks above a number; return their transactions in order."""
        if number < self.solid_number:
            raise ValueError(f"block {self.solid_number} is solid")
        returned: list[Transaction] = []
        for height in range(number + 1, self.head.number + 1):
            record = self.record(height)
            returned.extend(record.block.transactions)
            for info in record.infos:
                del self._heights[info.id]
        for height in range(self.head.number, number, -1):
            self.ledger.undo()
            self._recent.pop(height, None)
        del self._ids[(number + 1) * _ID_BYTES :]
        del self._offsets[number + 1 :]
        time_ms = self.record(number).block.block_header.raw_data.timestamp
        self.head = Tip(number=number, block_id=self.block_id(number), time_ms=time_ms)
        return returned

    def close(self) -> None:
        """Give the log back."""
        self._log.close()

    def _replay(self) -> None:
        for offset, record in self._log.load():
            self._replay_record(offset, record)
        if self.head.number < 0:
            record = BlockRecord(block=genesis_block())
            self._begin(record, self._log.append(record))

    def _replay_record(self, offset: int, record: BlockRecord) -> None:
        raw = record.block.block_header.raw_data
        if raw.number == 0:
            self._begin(record, offset)
            return
        if 0 < raw.number <= self.head.number:
            self.rewind(raw.number - 1)
        if raw.parentHash != self.head.block_id:
            raise StateFileError(f"block {raw.number} does not follow {self.head.number}")
        state = self.ledger.overlay()
        again = BlockRecord(block=record.block)
        for transaction in record.block.transactions:
            again.infos.append(execution.execute(state, opened(transaction), self.moment))
        _place(again)
        if again != record:
            raise StateFileError(f"block {raw.number} was made under other rules")
        self._extend(record, state, offset)

    def _begin(self, record: BlockRecord, offset: int) -> None:
        block_id = block_id_of(record.block.block_header)
        check_own(block_id)
        self._ids.extend(block_id)
        self._offsets.append(offset)
        self.head = Tip(number=0, block_id=block_id, time_ms=GENESIS_TIME_MS)

    def _extend(self, record: BlockRecord, state: State, offset: int) -> None:
        raw = record.block.block_header.raw_data
        block_id = block_id_of(record.block.block_header)
        state.put_integer(_LATEST, raw.witness_address, raw.number)
        self.ledger.apply(state)
        self._ids.extend(block_id)
        self._offsets.append(offset)
        self._heights.update((info.id, raw.number) for info in record.infos)
        self._remember(raw.number, record)
        self.head = Tip(number=raw.number, block_id=block_id, time_ms=raw.timestamp)
        self._solidify()

    def _solidify(self) -> None:
        """Follow the 9th lowest of the witnesses' latest blocks (java-tron's DposService)."""
        state = self.ledger.head
        latest = sorted(state.integer(_LATEST, key.address) for key in WITNESSES)
        gained = latest[_SOLID_RANK] - self.solid_number
        if gained > 0:
            self.ledger.solidify(gained)
            self.solid_number += gained

    def _remember(self, number: int, record: BlockRecord) -> None:
        self._recent[number] = record
        if len(self._recent) > _RECENT_RECORDS:
            self._recent.popitem(last=False)


def _place(record: BlockRecord) -> None:
    """Write the block's number and time into its receipts."""
    raw = record.block.block_header.raw_data
    for info in record.infos:
        info.blockNumber = raw.number
        info.blockTimeStamp = raw.timestamp

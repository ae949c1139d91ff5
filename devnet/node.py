"""The node: it takes transactions, makes blocks when their slot comes, and knows two heights."""

from __future__ import annotations

from devnet import execution, permissions
from devnet.blocks import slot_of, slot_time_ms
from devnet.chain import Chain
from devnet.chain_pb2 import Transaction
from devnet.clock import ChainClock
from devnet.faults import Faults
from devnet.genesis import GENESIS_TIME_MS
from devnet.items import Item, opened
from devnet.pool import Pending, Pool
from devnet.rejection import Code, RejectedError

_DAY_MS = 86_400_000
_MAX_TRANSACTION_BYTES = 500 * 1024
_RESULT_BYTES = 128
_MAX_BLOCK_BYTES = 2_000_000


class Node:
    """A full node and the only block producer of its chain."""

    def __init__(self, *, chain: Chain, clock: ChainClock, faults: Faults) -> None:
        self.chain = chain
        self.clock = clock
        self.pool = Pool()
        self._faults = faults
        self.pending_state = chain.ledger.overlay()
        clock.advance_to(chain.head.time_ms)

    def broadcast(self, transaction: Transaction) -> Item:
        """Take a transaction into the pool.

        Raises:
            RejectedError: It is not taken.
        """
        if self.pool.is_full:
            raise RejectedError(Code.SERVER_BUSY, "Server busy.")
        item = opened(transaction)
        if item.transaction.raw_data.expiration < self.chain.moment.next_slot_ms:
            raise _expired()
        permissions.check_signatures(item)
        self._check_common(item)
        doomed = self._faults.drops(item.txid, arriving=True)
        self._admit(item, self.clock.now_ms(), doomed=doomed)
        return item

    def mine(self) -> None:
        """Make the next block: in the current slot, or in the one after the head's."""
        head_slot = slot_of(self.chain.head.time_ms, GENESIS_TIME_MS)
        now_slot = slot_of(self.clock.now_ms(), GENESIS_TIME_MS)
        self._make_block(slot_time_ms(max(head_slot + 1, now_slot), GENESIS_TIME_MS))

    def mine_if_due(self) -> bool:
        """Make the current slot's block unless it exists."""
        if self.clock.now_ms() < self.next_slot_ms():
            return False
        self.mine()
        return True

    def next_slot_ms(self) -> int:
        """When the next block is due."""
        head_slot = slot_of(self.chain.head.time_ms, GENESIS_TIME_MS)
        return slot_time_ms(head_slot + 1, GENESIS_TIME_MS)

    def reorganise(self, depth: int, *, drop: bool) -> list[bytes]:
        """Let a branch of empty blocks replace the last ones.

        The branch misses the first replaced slot, hence its other ids, and ends one slot after
        the old head, hence it wins.

        Returns:
            The ids of the transactions that were taken out; unless dropped, they wait again.

        Raises:
            ValueError: So many blocks are not there, or are solid.
        """
        if not 1 <= depth <= self.chain.head.number - self.chain.solid_number:
            raise ValueError(f"only the blocks above {self.chain.solid_number} can be replaced")
        fork_number = self.chain.head.number - depth
        first_slot = slot_of(self.chain.tip(fork_number + 1).time_ms, GENESIS_TIME_MS) + 1
        returned = [opened(each) for each in self.chain.rewind(fork_number)]
        for slot in range(first_slot, first_slot + depth):
            self.chain.produce(slot_time_ms(slot, GENESIS_TIME_MS), [])
        self.clock.advance_to(self.chain.head.time_ms)

        waiting = self.pool.take_all(self.clock.now_ms())
        self.pending_state = self.chain.ledger.overlay()
        if not drop:
            self._readmit(returned, self.clock.now_ms())
        for pending in waiting:
            self._readmit([pending.item], pending.arrived_ms)
        return [item.txid for item in returned]

    def _make_block(self, time_ms: int) -> None:
        self.clock.advance_to(time_ms)
        candidates: list[Item] = []
        later: list[Pending] = []
        room_bytes = _MAX_BLOCK_BYTES
        for pending in self.pool.take_all(time_ms):
            if pending.doomed or self._faults.drops(pending.item.txid, arriving=False):
                continue
            room_bytes -= pending.item.size_bytes
            if room_bytes < 0:
                later.append(pending)
            elif self._is_still_good(pending.item):
                candidates.append(pending.item)
        self.chain.produce(time_ms, candidates)
        self.pending_state = self.chain.ledger.overlay()
        for pending in later:
            self._readmit([pending.item], pending.arrived_ms)

    def _is_still_good(self, item: Item) -> bool:
        try:
            self._check_common(item)
        except RejectedError:
            return False
        return True

    def _readmit(self, items: list[Item], arrived_ms: int) -> None:
        """Put transactions back into the pool; what does not hold on the new head is lost."""
        for item in items:
            try:
                self._check_common(item)
                self._admit(item, arrived_ms)
            except RejectedError:
                continue

    def _admit(self, item: Item, arrived_ms: int, *, doomed: bool = False) -> None:
        info = execution.execute(self.pending_state, item, self.chain.moment)
        self.pool.add(Pending(item=item, arrived_ms=arrived_ms, info=info, doomed=doomed))

    def _check_common(self, item: Item) -> None:
        """What is asked of a transaction in the pool and again in a block."""
        raw = item.transaction.raw_data
        if not self.chain.knows_reference(raw.ref_block_bytes, raw.ref_block_hash):
            raise RejectedError(Code.TAPOS_ERROR, "Tapos check error.")
        if item.transaction.ByteSize() + _RESULT_BYTES > _MAX_TRANSACTION_BYTES:
            raise RejectedError(Code.TOO_BIG_TRANSACTION_ERROR, "Too big transaction error.")
        head_ms = self.chain.head.time_ms
        if not head_ms < raw.expiration <= head_ms + _DAY_MS:
            raise _expired()
        if self.chain.height_of(item.txid) is not None or self.pool.get(item.txid) is not None:
            raise RejectedError(Code.DUP_TRANSACTION_ERROR, "Dup transaction.")


def _expired() -> RejectedError:
    return RejectedError(Code.TRANSACTION_EXPIRATION_ERROR, "Transaction expired")

"""The node that makes blocks: it holds the keys of all witnesses and decides who fails to turn up."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from devnet import schedule
from devnet.blocks import slot_of, slot_time_ms
from devnet.branch import Branch
from devnet.chain import Tip
from devnet.chain_pb2 import Transaction, TransactionInfo
from devnet.clock import ChainClock
from devnet.faults import Faults
from devnet.forks import Fate, owner_call, plan
from devnet.genesis import GENESIS_TIME_MS, WITNESS_COUNT
from devnet.items import Item, opened
from devnet.mainchain import MainChain
from devnet.node import Node
from devnet.pool import Pending

_MAX_BLOCK_BYTES = 2_000_000
# Without so many of 27 witnesses nothing becomes solid: fewer than 19 turn up.
_ENOUGH_TO_STALL = 9


class WitnessNode(Node):
    """A full node and the only block producer of its chain.

    Attributes:
        main: The chain that it makes; `chain` may lag behind it.
        suppliers: Who has transactions for a block, besides those that wait; asked with its time.
        watchers: Who hears of every block that it makes.
    """

    def __init__(self, *, chain: MainChain, clock: ChainClock, faults: Faults) -> None:
        self.main = chain
        self.suppliers: list[Callable[[int], Iterable[Item]]] = []
        self.watchers: list[Callable[[Tip], None]] = []
        self._absent: frozenset[int] = frozenset()
        self._silent_until_slot = 0
        self._halted = False
        clock.advance_to(max(chain.head.time_ms, chain.clock_ms))
        super().__init__(chain=chain, clock=clock, faults=faults)

    def mine(self) -> None:
        """Make the next block: in the current slot or the one after the head's, or in a later one
        if nobody turns up for that. While no block can be made at all, one slot passes.
        """
        slot = self._productive_slot(self._first_slot())
        if slot is None:
            passed = slot_of(self.clock.now_ms(), GENESIS_TIME_MS) + 1
            self.clock.advance_to(slot_time_ms(passed, GENESIS_TIME_MS))
            return
        self._make_block(slot_time_ms(slot, GENESIS_TIME_MS))

    def mine_if_due(self) -> bool:
        """Make the current slot's block, unless it exists or its witness does not turn up."""
        due_ms = self.next_slot_ms()
        if due_ms is None or self.clock.now_ms() < due_ms:
            return False
        self._make_block(due_ms)
        return True

    def next_slot_ms(self) -> int | None:
        """When the next block is due; None while nobody makes any."""
        slot = self._productive_slot(self._first_slot())
        return None if slot is None else slot_time_ms(slot, GENESIS_TIME_MS)

    def jump(self, milliseconds: int) -> None:
        """Skip time forward, and remember it beyond a restart; the slots in between are missed."""
        self.clock.jump(milliseconds)
        self.main.keep_clock(self.clock.now_ms())

    @property
    def absent(self) -> frozenset[int]:
        """The places of the witnesses, from 0, that make no blocks."""
        return self._absent

    def set_absent(self, places: Iterable[int]) -> None:
        """Let these witnesses miss all their slots from now on, and no others.

        Raises:
            ValueError: There is no such place.
        """
        absent = frozenset(places)
        if not absent <= frozenset(range(WITNESS_COUNT)):
            raise ValueError(f"the witnesses have the places 0 to {WITNESS_COUNT - 1}")
        self._absent = absent

    def miss_slots(self, count: int) -> None:
        """Let the next slots pass without blocks, whoever's they are.

        Raises:
            ValueError: The count is negative.
        """
        if count < 0:
            raise ValueError("a number of slots is not negative")
        self._silent_until_slot = self._first_slot() + count

    def stall_solid(self) -> None:
        """Let blocks be made but none become solid: nine witnesses stay away."""
        self.set_absent(range(_ENOUGH_TO_STALL))

    def stall_head(self) -> None:
        """Make no blocks until resumed."""
        self._halted = True

    def resume(self) -> None:
        """Let all witnesses make blocks again."""
        self._halted = False
        self._absent = frozenset()
        self._silent_until_slot = 0

    def fork(self, depth: int) -> Branch:
        """Begin a branch below the last blocks; it overtakes once it is longer (see `extend`).

        Raises:
            ValueError: So many blocks are not there, or are solid.
        """
        head = self.main.head.number
        if not 1 <= depth <= head - self.main.solid_number:
            raise ValueError(f"only the blocks above {self.main.solid_number} can be replaced")
        return self.main.fork(head - depth)

    def extend(self, branch: Branch, transactions: Iterable[Transaction] = ()) -> bool:
        """Make the next block of a branch; True if the chain now follows it.

        The branch misses the first slot that the main chain used. Transactions that cannot be
        included are left out; those of replaced blocks wait in the pool again. A branch that can
        no longer win goes on by itself.

        Raises:
            ValueError: Nobody makes blocks.
            RejectedError: A transaction holds no contract that this chain knows.
        """
        branch.produce(self._branch_slot_ms(branch), [opened(each) for each in transactions])
        if not branch.can_win or branch.head.number <= self.main.head.number:
            return False
        self._switch_to(branch, forget=False)
        return True

    def reorganise(
        self, depth: int, *, fate: Fate, seed: int = 0, first: Iterable[Transaction] = ()
    ) -> list[bytes]:
        """Let a branch that is one block longer replace the last blocks.

        Args:
            depth: How many blocks are replaced.
            fate: What becomes of their transactions.
            seed: Decides the order where it is another one.
            first: What the branch includes before anything else, such as a conflicting transfer.

        Returns:
            The ids of the transactions that were in the replaced blocks.

        Raises:
            ValueError: So many blocks are not there, or are solid, or nobody makes blocks.
            RejectedError: A transaction holds no contract that this chain knows.
        """
        branch = self.fork(depth)
        replaced = [
            [opened(each) for each in self.main.record(number).block.transactions]
            for number in range(branch.head.number + 1, self.main.head.number + 1)
        ]
        blocks = plan(fate, replaced, seed=seed)
        blocks[0][:0] = [opened(each) for each in first]
        pause = owner_call(branch, "pause")
        if fate is Fate.FAIL:
            blocks[0].insert(0, pause)
        for number, items in enumerate(blocks):
            if number == len(replaced) and _succeeded(branch, pause.txid):
                items.append(owner_call(branch, "unpause"))
            branch.produce(self._branch_slot_ms(branch), items)
        self._switch_to(branch, forget=fate is Fate.DROP)
        return [item.txid for block in replaced for item in block]

    def close(self) -> None:
        """Remember the clock and give the state file back."""
        self.main.keep_clock(self.clock.now_ms())
        self.main.close()

    def _make_block(self, time_ms: int) -> None:
        self.clock.advance_to(time_ms)
        candidates: list[Item] = []
        later: dict[bytes, Pending] = {}
        room_bytes = _MAX_BLOCK_BYTES
        for pending in self.pool.take_all(self.clock.now_ms()):
            item = pending.item
            if pending.doomed or self._faults.drops(item.txid, arriving=False):
                continue
            later[item.txid] = pending
            if item.size_bytes <= room_bytes:
                room_bytes -= item.size_bytes
                candidates.append(item)

        for item in [each for supply in self.suppliers for each in supply(time_ms)]:
            if item.size_bytes <= room_bytes:
                room_bytes -= item.size_bytes
                candidates.append(item)
        made = self.main.produce(time_ms, candidates)
        waiting = {item.txid for item in made.postponed}
        for item in candidates:
            if item.txid not in waiting:
                later.pop(item.txid, None)
        for pending in later.values():
            self._pool.add(pending)
        for watch in self.watchers:
            watch(made.tip)

    def _switch_to(self, branch: Branch, *, forget: bool) -> None:
        """Follow a longer branch; what it lacks of the replaced blocks waits before all others."""
        returned = [opened(each) for each in self.main.adopt(branch)]
        if self.clock.is_manual:
            self.clock.advance_to(self.main.head.time_ms)
        now_ms = self.clock.now_ms()
        waiting = self._pool.take_all(now_ms)
        for item in [] if forget else returned:
            self._pool.add(Pending(item=item, arrived_ms=now_ms, info=TransactionInfo()))
        for pending in waiting:
            self._pool.add(pending)
        self._refresh()
        self._tell_peers(returned)

    def _tell_peers(self, returned: list[Item]) -> None:
        """Let the peers hold or forget the transactions of replaced blocks as this node does."""
        for item in returned:
            if self._pool.get(item.txid) is not None:
                self._pass_on(item)
                continue
            for peer in self.peers:
                peer.drop_transaction(item.txid)

    def _first_slot(self) -> int:
        head_slot = slot_of(self.main.head.time_ms, GENESIS_TIME_MS)
        now_slot = slot_of(self.clock.now_ms(), GENESIS_TIME_MS)
        return max(head_slot + 1, now_slot, self._silent_until_slot)

    def _branch_slot_ms(self, branch: Branch) -> int:
        before = branch.head
        if not branch.blocks and before.number < self.main.head.number:
            before = self.main.tip(before.number + 1)
        slot = self._productive_slot(slot_of(before.time_ms, GENESIS_TIME_MS) + 1)
        if slot is None:
            raise ValueError("nobody makes blocks")
        return slot_time_ms(slot, GENESIS_TIME_MS)

    def _productive_slot(self, first: int) -> int | None:
        """The first slot from one on whose witness makes a block; None if nobody makes any."""
        if self._halted:
            return None
        state = self.main.ledger.head
        for slot in range(first, first + WITNESS_COUNT):
            present = schedule.place_of(state, slot) not in self._absent
            if present and schedule.signer_of(state, slot) is not None:
                return slot
        return None


def _succeeded(branch: Branch, txid: bytes) -> bool:
    """True if a transaction is in a branch and did not fail."""
    height = branch.height_of(txid)
    if height is None:
        return False
    infos = branch.record(height).infos
    return any(info.id == txid and info.result == TransactionInfo.SUCESS for info in infos)

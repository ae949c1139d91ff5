"""A full node: it shows a chain, takes transactions and passes them on to its peers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from devnet import admission, execution
from devnet.chain import Chain
from devnet.chain_pb2 import Transaction
from devnet.clock import ChainClock
from devnet.faults import Faults
from devnet.items import Item, opened
from devnet.lagging import LaggingChain
from devnet.mainchain import MainChain
from devnet.permissions import check_signatures
from devnet.pool import Pending, Pool
from devnet.rejection import Code, RejectedError
from devnet.state import State

# With so many blocks that are not solid a node may stop taking transactions (TronNetDelegate).
_TOO_MANY_UNSOLID = 54


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What the next broadcast is told, whatever the transaction is like.

    Attributes:
        keeps: True if the transaction is taken all the same where it holds, as by a node that
            cannot reach its peers and says so.
    """

    error: RejectedError
    keeps: bool = False


class Node:
    """A node with a pool of its own over a chain that it may share with other nodes.

    Attributes:
        peers: Who hears of the transactions that are taken here.
        checks_solidity: True to refuse transactions while blocks do not become solid
            (node.unsolidifiedBlockCheck, off unless set).
        saves_internal: True to show the calls within contract calls in receipts
            (vm.saveInternalTx, off unless set).
        estimates_energy: True to answer estimateenergy (vm.estimateEnergy, off unless set).
    """

    def __init__(self, *, chain: Chain, clock: ChainClock, faults: Faults) -> None:
        self.clock = clock
        self.peers: list[Node] = []
        self.checks_solidity = False
        self.saves_internal = False
        self.estimates_energy = False
        self._faults = faults
        self._refusals: deque[Refusal] = deque()
        self._pool = Pool()
        self._source = chain
        self._sight = chain
        self._seen = b""
        self._pending = State()
        self._refresh()

    @property
    def chain(self) -> Chain:
        """The chain as this node shows it."""
        return self._sight

    @property
    def pool(self) -> Pool:
        """What was taken and waits for a block."""
        self._keep_up()
        return self._pool

    @property
    def pending_state(self) -> State:
        """What is true at the head, with the pool on top; a node that lags shows no pool."""
        if self._sight is not self._source:
            return self._sight.ledger.overlay()
        self._keep_up()
        return self._pending

    def follow(self, chain: Chain) -> None:
        """Show another chain from now on, a branch for example."""
        self._source = self._sight = chain
        self._refresh()

    def lag(self, blocks: int) -> None:
        """Show the main chain as it was some blocks ago; 0 catches up.

        A client sees the head go back by so many blocks, and forward when the node catches up.

        Raises:
            ValueError: The node does not follow the main chain, or nobody remembers that much.
        """
        if blocks == 0:
            self._sight = self._source
        elif isinstance(self._source, MainChain):
            self._sight = LaggingChain(self._source, blocks)
        else:
            raise ValueError("only a node on the main chain can lag")

    @property
    def lag_blocks(self) -> int:
        """How many blocks it shows the main chain behind."""
        return self._sight.lag_blocks if isinstance(self._sight, LaggingChain) else 0

    def refuse(self, refusal: Refusal, times: int = 1) -> None:
        """Let the next broadcasts be refused, after those that are to be refused already."""
        self._refusals.extend([refusal] * times)

    def withdraw(self, refusal: Refusal) -> None:
        """Forget a refusal that no broadcast has met."""
        self._refusals = deque(each for each in self._refusals if each is not refusal)

    def broadcast(self, transaction: Transaction) -> Item:
        """Take a transaction into the pool and tell the peers; the order of checks is the node's.

        Raises:
            RejectedError: It is not taken.
        """
        refusal = self._refusals.popleft() if self._refusals else None
        if refusal is not None and not refusal.keeps:
            raise refusal.error
        item = self._take(transaction)
        if refusal is not None:
            raise refusal.error
        return item

    def hear(self, item: Item) -> None:
        """Take a transaction that a peer passes on, if it holds here."""
        if self.pool.is_full:
            return
        try:
            check_signatures(self.pending_state, item)
            self._check(self.chain, item)
            self._admit(item, self.clock.now_ms())
        except RejectedError:
            return
        self._pass_on(item)

    def drop_transaction(self, txid: bytes) -> bool:
        """Forget a waiting transaction, as if it had never come; False if it did not wait."""
        if not self.pool.remove(txid):
            return False
        self._refresh()
        return True

    def _take(self, transaction: Transaction) -> Item:
        self._check_willing()
        item = opened(transaction)
        admission.check_life(self.chain, item)
        check_signatures(self.pending_state, item)
        self._check(self.chain, item)
        doomed = self._faults.drops(item.txid, arriving=True)
        self._admit(item, self.clock.now_ms(), doomed=doomed)
        if not doomed:
            self._pass_on(item)
        return item

    def _check_willing(self) -> None:
        """Ask whether the node takes anything now."""
        unsolid = self.chain.head.number - self.chain.solid_number
        if self.checks_solidity and unsolid >= _TOO_MANY_UNSOLID:
            raise RejectedError(Code.BLOCK_UNSOLIDIFIED, "Block unsolidified.")
        if self.pool.is_full:
            raise RejectedError(Code.SERVER_BUSY, "Server busy.")

    def _check(self, chain: Chain, item: Item) -> None:
        admission.check(chain, item)
        if self._pool.get(item.txid) is not None:
            raise admission.duplicate()

    def _admit(self, item: Item, arrived_ms: int, *, doomed: bool = False) -> None:
        self._keep_up()
        info = execution.execute(self._pending, item, self._source.moment)
        self._pool.add(Pending(item=item, arrived_ms=arrived_ms, info=info, doomed=doomed))

    def _pass_on(self, item: Item) -> None:
        for peer in self.peers:
            peer.hear(item)

    def _keep_up(self) -> None:
        """Look at the waiting transactions again after the head has changed."""
        if self._source.head.block_id != self._seen:
            self._refresh()

    def _refresh(self) -> None:
        """Execute on the head what waits; what was included, is too old or fails is forgotten."""
        self._seen = self._source.head.block_id
        self._pending = self._source.ledger.overlay()
        for pending in self._pool.take_all(self.clock.now_ms()):
            self._readmit(pending)

    def _readmit(self, pending: Pending) -> None:
        item = pending.item
        try:
            self._check(self._source, item)
            check_signatures(self._pending, item)
            self._admit(item, pending.arrived_ms, doomed=pending.doomed)
        except RejectedError:
            return

"""Follow the chain block by block from the durable cursor; nothing is ever skipped.

A block that is missing or does not fit stops the scan there, and is asked for again.
"""

from dataclasses import replace
from typing import Final

from prometheus_client import Gauge

from services.tron_client.domain.blocks import (
    Anchor,
    Block,
    Body,
    ForkBelowSolid,
    InconsistentBlock,
    movements,
)
from services.tron_client.domain.progress import HeldBlock, Progress, held
from services.tron_client.domain.transactions import Effect, Tracked, effect_of
from services.tron_client.domain.transfers import Transfer, seen
from services.tron_client.node.blocks import Chain, Tree, all_with_receipts
from services.tron_client.node.errors import NodeUnavailable
from services.tron_client.scanner.policy import ScanPolicy
from services.tron_client.scanner.solidity import Solidity
from services.tron_client.store import ALARM, RETRACTED, ChainStore, Step, Told, told
from services.tron_client.store.sight import Sight
from shared.clock import Clock
from shared.logs import get_logger
from shared.metrics import Metrics
from shared.models.tron_client import TransactionState, TransferState

log = get_logger(__name__)

_MOST_SKIPPED_ROUNDS: Final = 6


class Scanner:
    """Moves the head of the progress along the chain, and back at forks."""

    def __init__(
        self,
        *,
        chain: Chain,
        store: ChainStore,
        sight: Sight,
        clock: Clock,
        policy: ScanPolicy,
        metrics: Metrics,
    ) -> None:
        self._chain = chain
        self._store = store
        self._sight = sight
        self._clock = clock
        self._policy = policy
        self._solidity = Solidity(chain=chain, store=store, sight=sight, policy=policy)
        self._polled_height = -1
        self._skipped_rounds = 0
        heights = Gauge(
            "lucid_chain_height",
            "Blocks scanned, found solid, and solid at the node.",
            ("of",),
            registry=metrics.registry,
        )
        self._scanned, self._solid, self._nodes_solid = (
            heights.labels(of) for of in ("scanned", "solid", "node_solid")
        )

    async def scan(self) -> bool:
        """Go on by one batch and promote what became solid.

        Returns:
            True when there is more to do at once.
        """
        if self._sight.progress is None:
            await self._begin()
        if not self._is_due():
            return False
        count = await self._advance()
        await self._promote()
        self._show()
        return count > 0 and self._is_behind()

    async def _begin(self) -> None:
        """Store the block after which scanning begins: a solid one."""
        height = self._policy.start_height
        if height is None:
            anchor = await self._chain.solid_head()
        else:
            body = await self._chain.block(height - 1, tree=Tree.SOLID)
            anchor = None if body is None else body.anchor
        if anchor is None:
            raise NodeUnavailable("the node has no solid block to begin at", retry_after_s=5)
        first = HeldBlock(
            id=anchor.block_id,
            height=anchor.height,
            parent_id="",
            timestamp_ms=anchor.timestamp_ms,
            touches=0,
        )
        async with self._sight.lock:
            progress = Progress(start=anchor, head=anchor, solid=anchor)
            self._sight.progress = await self._store.take(Step(progress=progress, added=(first,)))
        log.info("scan.begun", height=anchor.height, block_id=anchor.block_id)

    def _is_due(self) -> bool:
        """Tell whether the next block can exist by now; a clock that stands still is not waited for."""
        if self._is_behind() or self._skipped_rounds >= _MOST_SKIPPED_ROUNDS:
            self._skipped_rounds = 0
            return True
        self._skipped_rounds += 1
        return False

    def _is_behind(self) -> bool:
        """Tell whether another block may be there already."""
        slot_ms, head = self._policy.slot_ms, self._sight.current().head
        return slot_ms == 0 or self._clock.now_ms() >= head.timestamp_ms + slot_ms

    async def _advance(self) -> int:
        """Scan what the node has, up to a batch; returns how many blocks that was."""
        count = 0
        while count < self._policy.batch_blocks and (count == 0 or self._is_behind()):
            bodies = await self._next_bodies()
            if not bodies:
                break
            if bodies[0].parent_id != self._sight.current().head.block_id:
                await self._rewind()
                return 1
            for block in await all_with_receipts(self._chain, bodies):
                await self._add(block)
            count += len(bodies)
        return count

    async def _next_bodies(self) -> list[Body]:
        height = self._sight.current().head.height + 1
        left = self._solidity.node_height - height
        if left > 1:
            return await self._chain.blocks(height, min(left, self._policy.batch_blocks))
        body = await self._chain.block(height)
        return [] if body is None else [body]

    async def _add(self, block: Block) -> None:
        async with self._sight.lock:
            progress = self._sight.current()
            if block.parent_id != progress.head.block_id:
                raise InconsistentBlock(f"block {block.anchor.height} does not follow its parent")
            transfers = await self._transfers(block)
            transactions = await self._transactions(block)
            step = Step(
                progress=progress.advanced(block.anchor),
                added=(held(block, touches=bool(transfers or transactions)),),
                transfers=tuple(transfers),
                transactions=tuple(transactions),
            )
            self._sight.progress = await self._store.take(step)

    async def _transfers(self, block: Block) -> list[Transfer]:
        found = [
            seen(movement, genesis=self._policy.genesis, block=block.anchor)
            for movement in movements(
                block, token=self._policy.token, is_watched=self._sight.watched.__contains__
            )
        ]
        known = await self._store.transfers([transfer.id for transfer in found])
        return [_again(transfer, known.get(transfer.id)) for transfer in found]

    async def _transactions(self, block: Block) -> list[Told]:
        ours = {
            executed.receipt.txid: executed.receipt
            for executed in block.executed
            if self._sight.follows(executed.receipt.txid)
        }
        known = await self._store.transactions(list(ours))
        return [
            _included(known[txid], block.anchor, effect_of(receipt))
            for txid, receipt in ours.items()
        ]

    async def _rewind(self) -> None:
        """Take back the blocks that the node's chain no longer holds, newest first."""
        head = self._sight.current().head
        fork_height = await self._fork_height()
        if fork_height == head.height:
            raise InconsistentBlock(f"the block after {head.height} does not follow it")
        log.warning("chain.forked", head=head.height, fork=fork_height)
        while self._sight.current().head.height > fork_height:
            await self._take_back()

    async def _fork_height(self) -> int:
        progress = self._sight.current()
        for height in range(progress.head.height, progress.solid.height - 1, -1):
            body = await self._chain.block(height)
            if body is None:
                raise InconsistentBlock(f"the node has no block {height} any more")
            known = await self._store.block_at(height)
            if known is not None and known.id == body.anchor.block_id:
                return height
        raise ForkBelowSolid(
            f"the node's chain leaves ours below the solid block {progress.solid.height}"
        )

    async def _take_back(self) -> None:
        async with self._sight.lock:
            progress = self._sight.current()
            block = await self._store.block_at(progress.head.height)
            parent = await self._store.block_at(progress.head.height - 1)
            if block is None or parent is None:
                raise ForkBelowSolid("a fork reaches below the blocks that are held")
            now_ms = self._clock.now_ms()
            step = Step(
                progress=progress.advanced(parent.anchor),
                dropped=(block,),
                transfers=tuple(
                    transfer.moved_to(TransferState.RETRACTED)
                    for transfer in await self._store.transfers_in(block.id)
                    if transfer.state is TransferState.SEEN
                ),
                transactions=tuple(
                    Told(transaction=each.retracted(next_broadcast_ms=now_ms), event=RETRACTED)
                    for each in await self._store.transactions_in(block.id)
                    if each.state is TransactionState.INCLUDED
                ),
            )
            self._sight.progress = await self._store.take(step)

    async def _promote(self) -> None:
        head_height = self._sight.current().head.height
        is_due = head_height - self._polled_height >= self._policy.solid_poll_blocks
        if self._polled_height >= 0 and head_height >= self._polled_height and not is_due:
            return
        if not await self._solidity.promote():
            await self._rewind()
        self._polled_height = self._sight.current().head.height

    def _show(self) -> None:
        progress = self._sight.current()
        self._scanned.set(progress.head.height)
        self._solid.set(progress.solid.height)
        self._nodes_solid.set(self._solidity.node_height)


def _again(transfer: Transfer, known: Transfer | None) -> Transfer:
    """Return a transfer as it is to be stored, be it new or seen again after a fork."""
    if known is None:
        return transfer
    if known.state is not TransferState.RETRACTED:
        raise InconsistentBlock(f"transfer {transfer.id} is in two blocks")
    known.moved_to(TransferState.SEEN)
    return replace(transfer, version=known.version)


def _included(known: Tracked, block: Anchor, effect: Effect) -> Told:
    if known.state is TransactionState.EXPIRED:
        log.error("transaction.haunts", txid=known.id, height=block.height)
        return Told(transaction=known.haunting(block, effect), event=ALARM)
    return told(known.included(block, effect))

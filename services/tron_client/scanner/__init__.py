"""Follow the chain block by block from the durable cursor; nothing is ever skipped.

A block that is missing or does not fit stops the scan there, and is asked for again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from prometheus_client import Gauge

from services.tron_client.domain.blocks import (
    Anchor,
    Block,
    Body,
    ForkBelowSolid,
    InconsistentBlock,
)
from services.tron_client.domain.effects import Effect, effect_of
from services.tron_client.domain.happenings import notices
from services.tron_client.domain.movements import movements, names_watched
from services.tron_client.domain.progress import HeldBlock, Progress, held
from services.tron_client.domain.transactions import Tracked
from services.tron_client.domain.transfers import Transfer, seen
from services.tron_client.domain.witnesses import Witness
from services.tron_client.node.blocks import Chain, FollowedChain, Tree, all_with_receipts
from services.tron_client.node.errors import NodeUnavailable
from services.tron_client.scanner.policy import ScanPolicy
from services.tron_client.scanner.solidity import Proofs, Solidity
from services.tron_client.scanner.stalls import Stall
from services.tron_client.store import ALARM, RETRACTED, ChainStore, Step, Told, told
from services.tron_client.store.sight import Sight
from shared.clock import Clock
from shared.logs import get_logger
from shared.metrics import Metrics
from shared.models.tron_client import TransferState
from shared.models.tron_transactions import TransactionState
from shared.storage import StorageError

log = get_logger(__name__)

_MOST_SKIPPED_ROUNDS: Final = 6
_TRANSACTIONS_AT_ONCE: Final = 2_000
"""In the blocks of one commit, more only when one block holds more."""


class Scanner:
    """Moves the head of the progress along the chain, and back at forks."""

    def __init__(
        self,
        *,
        chain: FollowedChain,
        store: ChainStore,
        sight: Sight,
        clock: Clock,
        policy: ScanPolicy,
        stall: Stall,
        proofs: Proofs,
        metrics: Metrics,
    ) -> None:
        self._chain = chain
        self._bulk = chain.for_catching_up()
        self._store = store
        self._sight = sight
        self._clock = clock
        self._policy = policy
        self._stall = stall
        self._witnesses = proofs.witnesses
        self._solidity = Solidity(
            chain=chain,
            store=store,
            sight=sight,
            policy=policy,
            proofs=proofs,
        )
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
        try:
            count = await self._go_on()
        except StorageError:
            self._sight.progress = None  # what was to be stored may be or not: loaded again
            raise
        if count is None:
            return False
        self._show()
        return count > 0 and self._is_behind()

    async def _go_on(self) -> int | None:
        """Scan and promote; returns how many blocks that was, None when none can be there yet."""
        if self._sight.progress is None:
            await self._load()
        if self._sight.progress is None:
            await self._begin()
        if not self._is_due():
            return None
        async with self._stall.watching(self._sight.current().head.height + 1):
            count = await self._advance()
            await self._promote()
        return count

    async def _load(self) -> None:
        async with self._sight.lock:
            self._sight.progress = await self._store.progress()

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
        await self._prove(anchor)
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

    async def _prove(self, anchor: Anchor) -> None:
        """Prove the block after which scanning begins; the genesis block is pinned."""
        if anchor.height:
            await self._witnesses.prove(
                anchor, chain=self._chain, batch_blocks=self._policy.batch_blocks
            )
        elif anchor.block_id != self._policy.genesis:
            raise InconsistentBlock("the node has another genesis block")

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
            head = self._sight.current().head
            if bodies[0].parent_id != head.block_id:
                await self._witnesses.signer(bodies[0])
                await self._rewind()
                return 1
            makers = await self._witnesses.check(bodies, parent=head)
            blocks = await all_with_receipts(self._source(), bodies)
            for part in _parts(list(zip(blocks, makers, strict=True))):
                await self._add(part)
            count += len(bodies)
        return count

    async def _next_bodies(self) -> list[Body]:
        height = self._sight.current().head.height + 1
        left = self._solidity.node_height - height
        if left > 1:
            return await self._source().blocks(height, min(left, self._policy.batch_blocks))
        body = await self._chain.block(height)
        return [] if body is None else [body]

    def _source(self) -> Chain:
        """Return the node to read from; what was missed must not keep anybody from new blocks (H22)."""
        behind = self._solidity.node_height - self._sight.current().head.height
        return self._bulk if behind > self._policy.batch_blocks else self._chain

    async def _add(self, part: Sequence[tuple[Block, Witness]]) -> None:
        """Store consecutive blocks with what they say in one commit: the disk syncs once for all."""
        added: list[HeldBlock] = []
        transfers: list[Transfer] = []
        transactions: list[Told] = []
        async with self._sight.lock:
            progress = self._sight.current()
            for block, maker in part:
                if block.parent_id != progress.head.block_id:
                    raise InconsistentBlock(
                        f"block {block.anchor.height} does not follow its parent"
                    )
                moved, ours = await self._transfers(block), await self._transactions(block)
                touches = bool(moved or ours) or self._is_noticed(block)
                added.append(held(block, touches=touches, witness=maker.address, signer=maker.key))
                transfers += moved
                transactions += ours
                progress = progress.advanced(block.anchor)
            step = Step(
                progress=progress,
                added=tuple(added),
                transfers=tuple(transfers),
                transactions=tuple(transactions),
            )
            self._sight.progress = await self._store.take(step)

    async def _transfers(self, block: Block) -> list[Transfer]:
        found = [
            seen(movement, genesis=self._policy.genesis, block=block.anchor)
            for movement in movements(
                block, tokens=self._policy.tokens, is_watched=self._sight.watched.__contains__
            )
        ]
        known = await self._store.transfers([transfer.id for transfer in found])
        return [_again(transfer, known.get(transfer.id)) for transfer in found]

    def _is_noticed(self, block: Block) -> bool:
        """Tell whether a block may concern somebody though it moved nothing of theirs that was seen.

        It is then read again when it is solid.
        """
        is_watched = self._sight.watched.__contains__
        return names_watched(block, is_watched=is_watched) or bool(
            notices(block, usdt=self._policy.tokens.usdt, is_watched=is_watched)
        )

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
            if txid in known  # else it was to be stored and was not
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
            if known is None:
                break
            if known.id == body.anchor.block_id:
                return height
            await self._witnesses.compare(body, known=known)
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


def _parts(
    blocks: Sequence[tuple[Block, Witness]],
) -> Iterator[Sequence[tuple[Block, Witness]]]:
    """Divide blocks so that what one commit holds stays within bounds."""
    first = count = 0
    for position, (block, _) in enumerate(blocks):
        if position > first and count + len(block.executed) > _TRANSACTIONS_AT_ONCE:
            yield blocks[first:position]
            first, count = position, 0
        count += len(block.executed)
    if blocks:
        yield blocks[first:]


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

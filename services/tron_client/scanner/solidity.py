"""Promote blocks that became solid: proved by signatures, by ids, read again from the solid tree.

A block is solid when enough known witnesses have signed it or blocks above it (H9), and the id on the
solid tree equals the one held at that height; its ancestors are solid by their parent hashes (H8).
"""

from dataclasses import dataclass, replace
from typing import Final

from services.tron_client.domain.blocks import Block, ForkBelowSolid, InconsistentBlock
from services.tron_client.domain.effects import Effect, effect_of
from services.tron_client.domain.happenings import notices
from services.tron_client.domain.movements import movements
from services.tron_client.domain.notices import Notice
from services.tron_client.domain.progress import HeldBlock
from services.tron_client.domain.transactions import Tracked
from services.tron_client.domain.transfers import Transfer, seen
from services.tron_client.domain.witnesses import solid_height
from services.tron_client.node.blocks import Chain, Tree, solid_block
from services.tron_client.scanner.agreement import Agreement
from services.tron_client.scanner.policy import ScanPolicy
from services.tron_client.scanner.witnesses import Witnesses
from services.tron_client.store import ChainStore, Step, Told, told
from services.tron_client.store.sight import Sight
from shared.models.tron_client import TransferState
from shared.models.tron_transactions import TransactionState
from shared.storage import MAX_ROWS

_PRUNED_EVERY_BLOCKS: Final = 50
_LONGEST_LIFE_BLOCKS: Final = 28_800
"""A day: of two pending transactions the one that expires first was stored this much later at most."""

_MOST_HELD_BLOCKS: Final = 1_000_000
"""A month, for the sake of a transaction that nobody can judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What makes a node's word more than that: who signed blocks, and what a second one says."""

    witnesses: Witnesses
    agreement: Agreement


class Solidity:
    """Moves the solid block of the progress up, with all verdicts that follow.

    Attributes:
        node_height: height of the node's solid head when it was last asked.
    """

    def __init__(
        self,
        *,
        chain: Chain,
        store: ChainStore,
        sight: Sight,
        policy: ScanPolicy,
        proofs: Proofs,
    ) -> None:
        self._chain = chain
        self._store = store
        self._sight = sight
        self._policy = policy
        self._witnesses = proofs.witnesses
        self._agreement = proofs.agreement
        self._pruned_height = 0
        self.node_height = 0

    async def promote(self) -> bool:
        """Ask for the solid head and promote as far as our scan reaches.

        Returns:
            False when our blocks are not those of the solid tree: they must be taken back.
        """
        head = await self._chain.solid_head()
        if head is None:
            return True
        self.node_height = head.height
        progress = self._sight.current()
        if head.height <= progress.solid.height:
            if head.height == progress.solid.height and head != progress.solid:
                raise ForkBelowSolid(f"the solid block {head.height} is another than it was")
            return True
        shared = min(head.height, progress.head.height)
        proof = head.block_id if shared == head.height else await self._solid_id(shared)
        if proof is None or shared == progress.solid.height:
            return True
        known = await self._store.block_at(shared)
        if known is None or known.id != proof:
            return False
        target = min(shared, await self._proved_height())
        while self._sight.current().solid.height < target:
            await self._promote_some(target)
        await self._prune()
        return True

    async def _proved_height(self) -> int:
        """Return up to where enough known witnesses have signed our chain; what is solid at least.

        The newest blocks are looked at first, as few of them as a chain without gaps needs.
        """
        progress = self._sight.current()
        known = await self._witnesses.current()
        length = 2 * known.count
        while True:
            first = max(progress.solid.height + 1, progress.head.height - length + 1)
            blocks = await self._store.blocks_between(first, progress.head.height)
            height = solid_height(blocks, known)
            if height is not None:
                return height
            if first == progress.solid.height + 1 or length >= MAX_ROWS:
                return progress.solid.height
            length = min(2 * length, MAX_ROWS)

    async def _solid_id(self, height: int) -> str | None:
        body = await self._chain.block(height, tree=Tree.SOLID)
        return None if body is None else body.anchor.block_id

    async def _promote_some(self, target: int) -> None:
        """Promote up to the next block that touches something, or to the target."""
        solid = self._sight.current().solid
        blocks = await self._store.blocks_between(solid.height + 1, target)
        parent_id = solid.block_id
        for block in blocks:
            if block.parent_id != parent_id:
                raise InconsistentBlock(f"the held block {block.height} does not follow its parent")
            parent_id = block.id
        await self._witnesses.vouch(blocks)
        touching = next((block for block in blocks if block.touches), None)
        last = touching or blocks[-1]
        if touching is None:
            async with self._sight.lock:
                progress = self._sight.current().solidified(last.anchor)
                self._sight.progress = await self._store.take(Step(progress=progress))
            return
        found = await solid_block(self._chain, touching.height)
        if found is None or found.anchor != touching.anchor:
            raise InconsistentBlock(f"the solid tree has another block {touching.height}, or none")
        await self._settle(touching, found)

    async def _settle(self, block: HeldBlock, found: Block) -> None:
        moved = self._moved(found)
        await self._agreement.require_gone(
            [
                each
                for each in await self._store.transfers_in(block.id)
                if each.state is TransferState.SEEN and each.id not in moved
            ]
        )
        words = await self._agreement.weigh(list(moved.values()), block_ms=block.timestamp_ms)
        async with self._sight.lock:
            confirmed, retracted = await self._compared(block, found)
            sifted = await self._agreement.sift(confirmed, words)
            transactions = await self._verdicts(found)
            step = Step(
                progress=self._sight.current().solidified(block.anchor),
                transfers=(*sifted.transfers, *retracted),
                transactions=tuple(transactions),
                notices=tuple(self._notices(found)),
                doubts=sifted.doubts,
                sums=sifted.sums,
            )
            self._sight.progress = await self._store.take(step)
            for each in transactions:
                self._sight.txids.discard(bytes.fromhex(each.transaction.id))

    def _notices(self, found: Block) -> list[Notice]:
        return notices(
            found,
            usdt=self._policy.tokens.usdt,
            is_watched=self._sight.watched.__contains__,
        )

    def _moved(self, found: Block) -> dict[str, Transfer]:
        """Return what a block moved from or to watched addresses, by name."""
        return {
            transfer.id: transfer
            for transfer in (
                seen(movement, genesis=self._policy.genesis, block=found.anchor)
                for movement in movements(
                    found, tokens=self._policy.tokens, is_watched=self._sight.watched.__contains__
                )
            )
        }

    async def _compared(
        self, block: HeldBlock, found: Block
    ) -> tuple[list[Transfer], list[Transfer]]:
        """Compare what was seen with what is solid: the solid tree is right.

        Returns:
            What is there, as confirmed, and what is not, as retracted.
        """
        solid = self._moved(found)
        stored = {each.id: each for each in await self._store.transfers_in(block.id)}
        waiting = {key: each for key, each in stored.items() if each.state is TransferState.SEEN}
        confirmed = [
            replace(truth.moved_to(TransferState.CONFIRMED), version=waiting[key].version)
            for key, truth in solid.items()
            if key in waiting
        ]
        missed = [
            truth
            for key, truth in solid.items()
            if key not in stored or stored[key].state is TransferState.RETRACTED
        ]
        retracted = [
            each.moved_to(TransferState.RETRACTED)
            for key, each in waiting.items()
            if key not in solid
        ]
        return confirmed + await self._owed(missed, height=block.height), retracted

    async def _owed(self, missed: list[Transfer], *, height: int) -> list[Transfer]:
        """Return those that had not been seen but were promised: a party was watched in time."""
        if not missed:
            return []
        parties = {party for each in missed for party in (each.sender, each.recipient)}
        births = await self._store.watches(sorted(parties))
        known = await self._store.transfers([each.id for each in missed])
        owed = [
            each
            for each in missed
            for watch in (births.get(each.sender), births.get(each.recipient))
            if watch is not None and watch.birth_height < height
        ]
        return [
            replace(
                each.moved_to(TransferState.CONFIRMED),
                version=known[each.id].version if each.id in known else 0,
            )
            for each in dict.fromkeys(owed)
        ]

    async def _verdicts(self, found: Block) -> list[Told]:
        ours = {
            executed.receipt.txid: executed.receipt
            for executed in found.executed
            if self._sight.follows(executed.receipt.txid)
        }
        known = await self._store.transactions(list(ours))
        return [
            told(_settled(known[txid], found, effect_of(receipt)))
            for txid, receipt in ours.items()
            if txid in known and known[txid].state is not TransactionState.EXPIRED
        ]

    async def _prune(self) -> None:
        """Let go of old blocks, but of none by which a pending transaction is still to be judged (H1)."""
        solid_height = self._sight.current().solid.height
        below = solid_height - self._policy.held_blocks
        if below - self._pruned_height < _PRUNED_EVERY_BLOCKS:
            return
        self._pruned_height = below
        for first in await self._store.pending(limit=1):
            needed = first.stored_height - _LONGEST_LIFE_BLOCKS
            below = min(below, max(needed, solid_height - _MOST_HELD_BLOCKS))
        await self._store.prune(below=below)


def _settled(known: Tracked, found: Block, effect: Effect) -> Tracked:
    """Return a transaction with its verdict; one that was stored after its block is included first."""
    if known.state is TransactionState.PENDING:
        known = known.included(found.anchor, effect)
    return known.settled(effect)

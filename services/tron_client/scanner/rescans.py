"""Scan ranges of the past once more, block by block of the solid chain, and tell what was missed.

Every block is proved by parent hashes to be an ancestor of one that is held, and read from the solid
tree; what is found there is confirmed, and told once by its id however often its block is scanned.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from services.tron_client.domain.blocks import Block, Body, InconsistentBlock
from services.tron_client.domain.happenings import notices
from services.tron_client.domain.movements import movements
from services.tron_client.domain.notices import USDT, Notice
from services.tron_client.domain.rescans import Milestone, Rescan, Span
from services.tron_client.domain.transfers import Transfer, seen
from services.tron_client.node.blocks import Chain, Tree, with_receipts
from services.tron_client.scanner.agreement import Agreement
from services.tron_client.scanner.policy import ScanPolicy
from services.tron_client.scanner.stalls import Stall
from services.tron_client.store.coverage import CoverageStore
from services.tron_client.store.sight import Sight
from shared.clock import Clock
from shared.logs import get_logger
from shared.models.tron_client import TransferState

log = get_logger(__name__)

_TOLD_AT_ONCE: Final = 2_000
"""Transfers in one commit, more only when one block holds more."""

_NEVER: Final = 2**63
"""Above every height."""

_MOST_ELSEWHERE: Final = 5
"""Other ranges that are tried in a round that failed, the newest first."""

_FEWEST_TO_PROVE: Final = 2
"""A block and the one below it, whatever the size of a batch."""


class Rescans:
    """Works off the ranges that wait, the lowest heights first.

    Ranges that overlap are scanned together: a block is read once for all of them that have come to
    its height.
    """

    def __init__(
        self,
        *,
        chain: Chain,
        store: CoverageStore,
        sight: Sight,
        clock: Clock,
        policy: ScanPolicy,
        stall: Stall,
        agreement: Agreement,
    ) -> None:
        self._chain = chain
        self._store = store
        self._sight = sight
        self._clock = clock
        self._policy = policy
        self._stall = stall
        self._agreement = agreement

    async def scan(self) -> bool:
        """Scan or prove one batch of blocks.

        Returns:
            True when there is more to do at once.
        """
        pending = await self._store.pending()
        if not pending:
            return await self._store.drop_milestones(now_ms=self._clock.now_ms())
        height = pending[0].next_height
        solid_height = self._sight.current().solid.height
        if height > solid_height:
            return False  # the last blocks before a watch are still becoming solid
        try:
            async with self._stall.watching(height):
                return await self._go_on(pending, height, solid_height)
        except InconsistentBlock:
            await self._go_on_elsewhere(pending, height, solid_height)
            raise

    async def _go_on_elsewhere(
        self, pending: Sequence[Rescan], stuck: int, solid_height: int
    ) -> None:
        """Scan a batch of another range: blocks that no node has any more hold up nobody else's past."""
        heights = {each.next_height for each in pending if stuck < each.next_height <= solid_height}
        for height in sorted(heights, reverse=True)[:_MOST_ELSEWHERE]:
            try:
                await self._go_on(pending, height, solid_height)
            except InconsistentBlock as error:
                log.warning("rescan.stuck", height=height, detail=error.detail)
            else:
                return

    async def _go_on(self, pending: Sequence[Rescan], height: int, solid_height: int) -> bool:
        last = max(each.last_height for each in pending if each.next_height == height)
        most = min(height + self._policy.batch_blocks - 1, last, solid_height)
        proof = await self._store.proof_from(most) or await self._lost(most)
        if proof[0] != most:
            proof = await self._store.proof_from(height) or proof
        if proof[0] - height >= self._policy.batch_blocks:
            await self._prove(height, *proof)
            return True
        bodies = await self._linked(height, *proof)
        blocks = await asyncio.gather(
            *(with_receipts(self._chain, body, tree=Tree.SOLID) for body in bodies)
        )
        for part in self._parts(blocks):
            await self._tell(part)
        return True

    async def _lost(self, height: int) -> tuple[int, str]:
        raise InconsistentBlock(f"no block is held at or above {height} to prove it by")

    async def _prove(self, height: int, known_height: int, known_id: str) -> None:
        """Follow parent hashes down from a block that is known, by one batch."""
        most = max(_FEWEST_TO_PROVE, self._policy.batch_blocks)
        first = max(height, known_height - most + 1)
        bodies = await self._linked(first, known_height, known_id)
        await self._store.add_milestone(Milestone(id=bodies[0].anchor.block_id, height=first))

    async def _linked(self, first: int, last: int, last_id: str) -> list[Body]:
        """Return the bodies up to a known block; raises InconsistentBlock when they do not lead there."""
        bodies = await self._chain.blocks(first, last - first + 1, tree=Tree.SOLID)
        if len(bodies) != last - first + 1:
            raise InconsistentBlock(
                f"the node has {len(bodies)} of the solid blocks from {first} to {last}"
            )
        for before, after in pairwise(bodies):
            if after.parent_id != before.anchor.block_id:
                raise InconsistentBlock(f"block {after.anchor.height} does not follow its parent")
        if bodies[-1].anchor.block_id != last_id:
            raise InconsistentBlock(f"the solid tree has another block {last} than is known")
        return bodies

    def _parts(self, blocks: Iterable[Block]) -> Iterable[list[Block]]:
        """Divide blocks so that what one commit tells stays within bounds."""
        part: list[Block] = []
        found = 0
        for block in blocks:
            count = len(self._movements(block))
            if part and found + count > _TOLD_AT_ONCE:
                yield part
                part, found = [], 0
            part.append(block)
            found += count
        if part:
            yield part

    def _movements(self, block: Block) -> list[Transfer]:
        found = movements(
            block, tokens=self._policy.tokens, is_watched=self._sight.watched.__contains__
        )
        return [seen(each, genesis=self._policy.genesis, block=block.anchor) for each in found]

    async def _tell(self, blocks: Sequence[Block]) -> None:
        """Tell what is owed of these blocks and note how far it came, in one commit.

        The watch list stands still meanwhile: a watch that comes later brings a rescan of its own.
        """
        found = [each for block in blocks for each in self._movements(block)]
        words = await self._agreement.weigh(found, block_ms=blocks[-1].anchor.timestamp_ms)
        async with self._sight.watching, self._sight.lock:
            owed = await self._owed([each for block in blocks for each in self._movements(block)])
            known = await self._store.transfers([each.id for each in owed])
            missed = [
                replace(
                    each.moved_to(TransferState.CONFIRMED),
                    version=known[each.id].version if each.id in known else 0,
                )
                for each in owed
                if each.id not in known or known[each.id].state is not TransferState.CONFIRMED
            ]
            sifted = await self._agreement.sift(missed, words)
            span = Span(first=blocks[0].anchor.height, last=blocks[-1].anchor.height)
            now_ms = self._clock.now_ms()
            pending = await self._store.pending()
            covered = [each.covered(span, told=len(missed), now_ms=now_ms) for each in pending]
            changed = [
                after for before, after in zip(pending, covered, strict=True) if after != before
            ]
            await self._store.rescanned(
                sifted.transfers,
                changed,
                notices=await self._noticed(blocks),
                doubts=sifted.doubts,
                sums=sifted.sums,
            )
        log.info("rescan.advanced", through=span.last, told=len(missed))

    async def _noticed(self, blocks: Sequence[Block]) -> list[Notice]:
        """Return what happened to addresses that were to be looked after at that height.

        What happened to USDT itself is left out: the past of a token is not its present.
        """
        found = [
            notice
            for block in blocks
            for notice in notices(
                block,
                usdt=self._policy.tokens.usdt,
                is_watched=self._sight.watched.__contains__,
            )
            if notice.subject != USDT
        ]
        births = await self._births({each.subject for each in found})
        return [each for each in found if births.get(each.subject, _NEVER) < (each.height or 0)]

    async def _births(self, addresses: Iterable[str]) -> dict[str, int]:
        watches = await self._store.watches(sorted(addresses))
        return {each.id: each.birth_height for each in watches.values()}

    async def _owed(self, found: Sequence[Transfer]) -> list[Transfer]:
        """Return the transfers of which a party was to be told at that height."""
        births = await self._births(
            {party for each in found for party in (each.sender, each.recipient)}
        )
        return [
            each
            for each in found
            if min(births.get(party, each.height) for party in (each.sender, each.recipient))
            < each.height
        ]

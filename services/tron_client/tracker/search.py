"""Search blocks that were scanned before a transaction came here, for the transaction (H1)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.tron_client.domain.blocks import Anchor, Body, InconsistentBlock
from services.tron_client.domain.progress import Progress
from services.tron_client.domain.submissions import reference_of
from services.tron_client.domain.transactions import Tracked, is_covered
from services.tron_client.node.blocks import Chain, Tree
from services.tron_client.store import ChainStore

_BLOCKS_AT_ONCE: Final = 20
_LONGEST_SEARCH_BLOCKS: Final = 30_000
"""A transaction lives a day at most: 28,800 blocks (java-tron MAXIMUM_TIME_UNTIL_EXPIRATION)."""
HASH_IN_ID: Final = slice(16, 32)
"""Where a block id holds what a transaction refers to (java-tron TransactionCapsule.setReference)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpan:
    """Heights to search for a transaction, from the first to the last.

    Attributes:
        reference_hash: what the block at the first height has to show; None when that is known.
    """

    txid: str
    first: int
    last: int
    reference_hash: str | None


@dataclass(slots=True, kw_only=True)
class Searched:
    """What a search came to.

    Attributes:
        found: the blocks of transactions that are there, by txid.
        strange: txids that name a reference block which is not on our chain.
    """

    found: dict[str, Anchor] = field(default_factory=dict)
    strange: set[str] = field(default_factory=set)


class _Links:
    """Blocks in ascending order of which each run must end in one that we hold."""

    def __init__(self) -> None:
        self._last: Anchor | None = None
        self._is_proved = True

    def add(self, body: Body, *, held_id: str | None) -> None:
        """Take the next block; raises InconsistentBlock when it does not fit."""
        follows = self._last is not None and self._last.height + 1 == body.anchor.height
        if not follows:
            self.require_proved()
        elif self._last is not None and body.parent_id != self._last.block_id:
            raise InconsistentBlock(
                f"the solid block {body.anchor.height} does not follow its parent"
            )
        if held_id is not None and held_id != body.anchor.block_id:
            raise InconsistentBlock(f"the solid block {body.anchor.height} is not the one held")
        self._last = body.anchor
        self._is_proved = held_id is not None

    def require_proved(self) -> None:
        """Raise InconsistentBlock when the last block is not one that we hold."""
        if not self._is_proved:
            raise InconsistentBlock("searched blocks do not lead to one that is held")


class Search:
    """Reads blocks from the reference of a transaction up to where the scan was when it came.

    From there on the scan itself has looked for it.
    """

    def __init__(self, store: ChainStore) -> None:
        self._store = store

    async def run(self, spans: Sequence[SearchSpan], node: Chain) -> Searched:
        """Search the blocks of all spans, each block once.

        Raises:
            InconsistentBlock: the node's solid blocks are not all there, or do not lead to those held.
        """
        heights: set[int] = set()
        for span in spans:
            heights.update(range(span.first, span.last + 1))
        wanted = {span.txid for span in spans}
        named = [span for span in spans if span.reference_hash is not None]
        searched = Searched()
        links = _Links()
        for start, end in _runs(sorted(heights)):
            for body in await self._solid_bodies(start, end, node, links):
                height = body.anchor.height
                searched.strange.update(
                    span.txid
                    for span in named
                    if span.first == height
                    and span.reference_hash != body.anchor.block_id[HASH_IN_ID]
                )
                for transaction in body.transactions:
                    if transaction.txid in wanted:
                        searched.found[transaction.txid] = body.anchor
        links.require_proved()
        return searched

    async def _solid_bodies(self, start: int, end: int, node: Chain, links: _Links) -> list[Body]:
        """Return blocks as the solid tree has them, each held by us or an ancestor of one that is."""
        bodies = await node.blocks(start, end - start, tree=Tree.SOLID)
        if [body.anchor.height for body in bodies] != list(range(start, end)):
            raise InconsistentBlock(f"blocks {start} to {end - 1} are not all there")
        known = {each.height: each for each in await self._store.blocks_between(start, end - 1)}
        for body in bodies:
            held = known.get(body.anchor.height)
            links.add(body, held_id=None if held is None else held.id)
        return bodies


def span_of(tracked: Tracked, progress: Progress) -> SearchSpan | None:
    """Return the heights that could hold a transaction and were not looked at for it.

    It cannot be in or before its own reference block. One from before the scan began is looked for
    from its reference block on, which has to be the one it names; None when it is not on our chain.
    """
    reference_hash = None
    if is_covered(tracked, start_height=progress.start.height):
        first = (tracked.reference_height or 0) + 1
    elif tracked.reference_height is None:
        reference = reference_of(tracked.raw_data, head_height=tracked.stored_height)
        if reference is None or reference[0] > progress.start.height:
            return None
        first, reference_hash = reference
    else:
        first = tracked.reference_height
    if tracked.stored_height - first > _LONGEST_SEARCH_BLOCKS:
        return None
    return SearchSpan(
        txid=tracked.id, first=first, last=tracked.stored_height, reference_hash=reference_hash
    )


def _runs(heights: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Divide ascending heights into runs without gaps, each from a first to before an end."""
    start = 0
    for position in range(1, len(heights) + 1):
        is_last = position == len(heights)
        if (
            is_last
            or heights[position] != heights[position - 1] + 1
            or position - start == _BLOCKS_AT_ONCE
        ):
            yield heights[start], heights[position - 1] + 1
            start = position

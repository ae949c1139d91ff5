"""Prove that a transaction can no longer come: nothing else may be called expired (H1).

Needed are a contiguous run of verified solid blocks from its reference block through one whose time is
at or past its expiration, none holding it; the local clock past it too; and its absence on the solid
tree of every operator that is asked, of two at least where two are configured, each with that very
block on its own solid tree. Whatever is missing makes it wait, at any amount.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from services.tron_client.domain.blocks import Anchor, Body, InconsistentBlock, Receipt
from services.tron_client.domain.progress import Progress
from services.tron_client.domain.transactions import (
    Tracked,
    effect_of,
    is_covered,
    reference_of,
)
from services.tron_client.node.blocks import Chain, Tree, solid_block
from services.tron_client.store import ChainStore, told
from services.tron_client.store.sight import Sight
from shared.clock import MS_PER_S, Clock
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.models.tron_client import TransactionState

log = get_logger(__name__)

UNPROVABLE: Final = "transaction_unprovable"
"""The alarm over a transaction of which neither presence nor absence can be shown."""

_AT_ONCE: Final = 100
_BLOCKS_AT_ONCE: Final = 20
_LONGEST_SEARCH_BLOCKS: Final = 30_000
"""A transaction lives a day at most: 28,800 blocks (java-tron MAXIMUM_TIME_UNTIL_EXPIRATION)."""
_OPERATORS_NEEDED: Final = 2
HASH_IN_ID: Final = slice(16, 32)
"""Where a block id holds what a transaction refers to (java-tron TransactionCapsule.setReference)."""
_RETRY_S: Final = 3
_LONG_RETRY_S: Final = 600

Judges = Callable[[], Mapping[str, Chain]]
"""Returns the nodes to ask, one of each operator; the first is the one that is followed."""


class Alarms(Protocol):
    """Tells people what needs them."""

    async def raise_alarm(self, kind: str, subject: str, *, detail: str) -> None:
        """Raise an alarm, or count it once more."""
        ...

    async def clear(self, kind: str, subject: str) -> None:
        """Say that it is over."""
        ...


@dataclass(slots=True, kw_only=True)
class _Hearing:
    """What the operators said of a batch.

    Attributes:
        absent: how many operators' solid trees reach past its expiration without it, by txid.
        found: where an operator has it: the height, and the node that says so.
    """

    absent: dict[str, int] = field(default_factory=dict)
    found: dict[str, tuple[int, Chain]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Heights to search for a transaction, from the first to the last.

    Attributes:
        reference_hash: what the block at the first height has to show; None when that is known.
    """

    txid: str
    first: int
    last: int
    reference_hash: str | None


@dataclass(slots=True, kw_only=True)
class _Searched:
    """What a search came to.

    Attributes:
        found: heights of transactions that are there, by txid.
        strange: txids that name a reference block which is not on our chain.
    """

    found: dict[str, int] = field(default_factory=dict)
    strange: set[str] = field(default_factory=set)


class Expiry:
    """Judges transactions whose time is over."""

    def __init__(
        self,
        *,
        store: ChainStore,
        sight: Sight,
        clock: Clock,
        judges: Judges,
        alarms: Alarms,
    ) -> None:
        self._store = store
        self._sight = sight
        self._clock = clock
        self._judges = judges
        self._alarms = alarms
        self._again_ms: dict[str, int] = {}

    async def run(self) -> bool:
        """Judge what is due; never more work at once.

        Raises:
            InconsistentBlock: a node contradicts the chain that is held; nothing was said expired.
        """
        progress = self._sight.progress
        if progress is None:
            return False
        now_ms = self._clock.now_ms()
        reached_ms = min(progress.solid.timestamp_ms, now_ms)
        self._again_ms = {txid: at for txid, at in self._again_ms.items() if at > now_ms}
        cursor = None
        while True:
            page = await self._store.past_expiry(at_ms=reached_ms, limit=_AT_ONCE, cursor=cursor)
            due = [each for each in page.items if each.id not in self._again_ms]
            if due:
                await self._judge(due, progress)
            cursor = page.next
            if cursor is None:
                return False

    async def _judge(self, due: Sequence[Tracked], progress: Progress) -> None:
        judges = self._judges()
        heard = await self._hear(due, judges, progress)
        for txid, (height, node) in heard.found.items():
            await self._adopt(txid, height, node)
        needed = min(_OPERATORS_NEEDED, len(judges))
        agreed = [each for each in due if heard.absent.get(each.id, 0) >= needed]
        spans = {each.id: _span_of(each, progress) for each in agreed}
        node = next(iter(judges.values()))
        searched = await self._search([each for each in spans.values() if each], node)
        for txid, height in searched.found.items():
            await self._adopt(txid, height, node)
        absent: dict[str, int] = {}
        for each in agreed:
            if spans[each.id] is None or each.id in searched.strange:
                await self._alarm(each)
            elif each.id not in searched.found:
                absent[each.id] = heard.absent[each.id]
        await self._say_expired(absent)
        for each in due:
            if each.id not in absent:
                self._put_off(each.id, _RETRY_S)

    async def _hear(
        self, due: Sequence[Tracked], judges: Mapping[str, Chain], progress: Progress
    ) -> _Hearing:
        heard = _Hearing()
        for operator, node in judges.items():
            try:
                reached = await self._reached(node, progress)
                if reached is None:
                    continue
                for each in due:
                    if each.expires_at_ms > reached.timestamp_ms:
                        continue
                    receipt = await node.solid_receipt(each.id)
                    if receipt is not None:
                        heard.found[each.id] = (receipt.height, node)
                    else:
                        heard.absent[each.id] = heard.absent.get(each.id, 0) + 1
            except InconsistentBlock:
                raise
            except Unavailable as error:
                log.warning("verdict.unheard", operator=operator, detail=error.detail)
        return heard

    async def _reached(self, node: Chain, progress: Progress) -> Anchor | None:
        """Return the highest block that is solid for the node and for us, by its id.

        Raises:
            InconsistentBlock: the node's solid chain is another one than ours.
        """
        head = await node.solid_head()
        if head is None:
            return None
        if head.height > progress.solid.height:
            body = await node.block(progress.solid.height, tree=Tree.SOLID)
            if body is None:
                return None
            head = body.anchor
        known = await self._store.block_at(head.height)
        if known is None:
            return None
        if known.anchor != head:
            raise InconsistentBlock(f"a node has another solid block {head.height} than ours")
        return head

    async def _search(self, spans: Sequence["_Span"], node: Chain) -> "_Searched":
        """Search the blocks from the references up to where the scan was at submission.

        From there on the scan itself has looked for them.
        """
        heights: set[int] = set()
        for span in spans:
            heights.update(range(span.first, span.last + 1))
        wanted = {span.txid for span in spans}
        named = [span for span in spans if span.reference_hash is not None]
        searched = _Searched()
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
                        searched.found[transaction.txid] = height
        links.require_proved()
        return searched

    async def _solid_bodies(self, start: int, end: int, node: Chain, links: "_Links") -> list[Body]:
        """Return blocks as the solid tree has them, each held by us or an ancestor of one that is."""
        bodies = await node.blocks(start, end - start, tree=Tree.SOLID)
        if [body.anchor.height for body in bodies] != list(range(start, end)):
            raise InconsistentBlock(f"blocks {start} to {end - 1} are not all there")
        known = {each.height: each for each in await self._store.blocks_between(start, end - 1)}
        for body in bodies:
            held = known.get(body.anchor.height)
            links.add(body, held_id=None if held is None else held.id)
        return bodies

    async def _adopt(self, txid: str, height: int, node: Chain) -> None:
        """Give the verdict of a solid block that was scanned before the transaction came here."""
        if height > self._sight.current().solid.height:
            return
        block = await solid_block(node, height)
        receipts: dict[str, Receipt] = (
            {} if block is None else {each.receipt.txid: each.receipt for each in block.executed}
        )
        if block is None or txid not in receipts:
            raise InconsistentBlock(f"the solid block {height} is to hold {txid} and does not")
        known = await self._store.block_at(height)
        if known is not None and known.anchor != block.anchor:
            raise InconsistentBlock(f"the solid tree has another block {height} than the one held")
        effect = effect_of(receipts[txid])
        async with self._sight.lock:
            current = await self._store.transaction(txid)
            if current is None or current.state is not TransactionState.PENDING:
                return
            settled = current.included(block.anchor, effect).settled(effect)
            await self._store.tell([told(settled)])
            self._sight.txids.discard(bytes.fromhex(txid))

    async def _say_expired(self, operators: Mapping[str, int]) -> None:
        async with self._sight.lock:
            current = await self._store.transactions(list(operators))
            await self._store.tell(
                told(each.expired(operators=operators[each.id]))
                for each in current.values()
                if each.state is TransactionState.PENDING
            )
        for txid in operators:
            await self._alarms.clear(UNPROVABLE, txid)

    async def _alarm(self, tracked: Tracked) -> None:
        self._put_off(tracked.id, _LONG_RETRY_S)
        log.error("transaction.unprovable", txid=tracked.id, send_key=tracked.send_key)
        await self._alarms.raise_alarm(
            UNPROVABLE,
            tracked.id,
            detail=f"the transaction of {tracked.send_key} refers to a block that is not on the"
            " chain that was scanned: neither its presence nor its absence can be shown",
        )

    def _put_off(self, txid: str, seconds: int) -> None:
        at_ms = self._clock.now_ms() + seconds * MS_PER_S
        self._again_ms[txid] = max(at_ms, self._again_ms.get(txid, 0))


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


def _span_of(tracked: Tracked, progress: Progress) -> _Span | None:
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
    return _Span(
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

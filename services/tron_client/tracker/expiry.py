"""Prove that a transaction can no longer come: nothing else may be called expired (H1).

Needed are a contiguous run of verified solid blocks from its reference block through one whose time is
at or past its expiration, none holding it; the local clock past it too; and its absence on the solid
tree of every operator that is asked, of two at least where two are configured, each with that very
block on its own solid tree. Whatever is missing makes it wait, at any amount.

Each node is asked by itself: what one has reached says nothing of another, though both are of one
operator.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from services.tron_client.domain.blocks import Anchor, InconsistentBlock, Receipt
from services.tron_client.domain.effects import effect_of
from services.tron_client.domain.progress import Progress
from services.tron_client.domain.submissions import reference_of
from services.tron_client.domain.transactions import Tracked
from services.tron_client.node.blocks import Chain, Tree, solid_block
from services.tron_client.store import ChainStore, told
from services.tron_client.store.sight import Sight
from services.tron_client.tracker.search import HASH_IN_ID, Search, SearchSpan, span_of
from shared.clock import MS_PER_S, Clock
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.models.tron_transactions import TransactionState

log = get_logger(__name__)

UNPROVABLE: Final = "transaction_unprovable"
"""The alarm over a transaction of which neither presence nor absence can be shown."""

_AT_ONCE: Final = 100
_OPERATORS_NEEDED: Final = 2
_RETRY_S: Final = 3
_LONG_RETRY_S: Final = 600

Judges = Callable[[], Mapping[str, Sequence[Chain]]]
"""Returns the nodes to ask by operator, each by itself and the best first."""


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
        absent: operators whose solid trees reach past its expiration without it, by txid.
        found: where an operator has it: the height, and the node that says so.
    """

    absent: dict[str, set[str]] = field(default_factory=dict)
    found: dict[str, tuple[int, Chain]] = field(default_factory=dict)

    def says(self, txid: str, operator: str) -> bool:
        """Tell whether it is known what an operator says of a transaction."""
        return txid in self.found or operator in self.absent.get(txid, ())


class Expiry:
    """Judges transactions whose time is over."""

    def __init__(
        self,
        *,
        node: Chain,
        store: ChainStore,
        sight: Sight,
        clock: Clock,
        judges: Judges,
        alarms: Alarms,
    ) -> None:
        self._node = node
        self._store = store
        self._sight = sight
        self._clock = clock
        self._judges = judges
        self._alarms = alarms
        self._search = Search(store)
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
            due = [
                each
                for each in page.items
                # one that was over when it came is searched for up to there, in solid blocks alone
                if each.id not in self._again_ms and each.stored_height <= progress.solid.height
            ]
            if due:
                await self._judge(due, progress)
            cursor = page.next
            if cursor is None:
                return False

    async def _judge(self, due: Sequence[Tracked], progress: Progress) -> None:
        judges = self._judges()
        heard = await self._hear(due, judges, progress)
        adopted = await self._adopt_held(heard, progress)
        needed = min(_OPERATORS_NEEDED, len(judges))
        agreed = [
            each
            for each in due
            if each.id not in adopted
            if each.id in heard.found or len(heard.absent.get(each.id, ())) >= needed
        ]
        spans = {each.id: await self._span(each, progress) for each in agreed}
        searched = await self._search.run([each for each in spans.values() if each], self._node)
        for txid, block in searched.found.items():
            await self._adopt(txid, block, self._node)
        absent: dict[str, int] = {}
        for each in agreed:
            if each.id in searched.found:
                continue
            if each.id in heard.found or spans[each.id] is None or each.id in searched.strange:
                await self._alarm(each)
            else:
                absent[each.id] = len(heard.absent[each.id])
        await self._say_expired(absent)
        for each in due:
            if each.id not in absent:
                self._put_off(each.id, _RETRY_S)

    async def _span(self, tracked: Tracked, progress: Progress) -> SearchSpan | None:
        """Return what is to be searched for a transaction, as ``span_of`` says.

        One that came while the scan was behind, as after a restore, may refer to a block above that:
        every block that could hold it was scanned for it since.
        """
        if tracked.reference_height is None:
            named = reference_of(tracked.raw_data, head_height=progress.solid.height)
            if named is not None and named[0] > tracked.stored_height:
                block = await self._store.block_at(named[0])
                if block is not None and block.id[HASH_IN_ID] == named[1]:
                    tracked = replace(tracked, reference_height=block.height)
        return span_of(tracked, progress)

    async def _hear(
        self, due: Sequence[Tracked], judges: Mapping[str, Sequence[Chain]], progress: Progress
    ) -> _Hearing:
        heard = _Hearing()
        for operator, nodes in judges.items():
            for node in nodes:
                left = [each for each in due if not heard.says(each.id, operator)]
                if not left:
                    break
                try:
                    await self._listen(left, node, progress, operator=operator, heard=heard)
                except InconsistentBlock:
                    raise
                except Unavailable as error:
                    log.warning("verdict.unheard", operator=operator, detail=error.detail)
        return heard

    async def _listen(
        self,
        due: Sequence[Tracked],
        node: Chain,
        progress: Progress,
        *,
        operator: str,
        heard: _Hearing,
    ) -> None:
        """Note what one node says of those whose expiration its own solid tree has passed."""
        reached = await self._reached(node, progress)
        if reached is None:
            return
        for each in due:
            if each.expires_at_ms > reached.timestamp_ms:
                continue
            receipt = await node.solid_receipt(each.id)
            if receipt is not None:
                heard.found[each.id] = (receipt.height, node)
            else:
                heard.absent.setdefault(each.id, set()).add(operator)

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

    async def _adopt_held(self, heard: _Hearing, progress: Progress) -> set[str]:
        """Give the verdicts of blocks that are held; returns on which transactions.

        What else an operator is said to have has to be found by the search.
        """
        adopted: set[str] = set()
        for txid, (height, node) in heard.found.items():
            known = await self._store.block_at(height)
            if known is None or height > progress.solid.height:
                continue
            try:
                await self._adopt(txid, known.anchor, node)
            except InconsistentBlock as error:
                log.warning("verdict.contradicted", txid=txid, detail=error.detail)
            else:
                adopted.add(txid)
        return adopted

    async def _adopt(self, txid: str, proved: Anchor, node: Chain) -> None:
        """Give the verdict of a solid block that was scanned before the transaction came here.

        Args:
            txid: the transaction.
            proved: its block, held or an ancestor of one that is: what a node says of its past is
                under no signature that anybody checks (H9).
            node: where to read the block.
        """
        block = await solid_block(node, proved.height)
        receipts: dict[str, Receipt] = (
            {} if block is None else {each.receipt.txid: each.receipt for each in block.executed}
        )
        if block is None or txid not in receipts:
            raise InconsistentBlock(
                f"the solid block {proved.height} is to hold {txid} and does not"
            )
        if block.anchor != proved:
            raise InconsistentBlock(f"the solid tree has another block {proved.height} than ours")
        effect = effect_of(receipts[txid])
        async with self._sight.lock:
            current = await self._store.transaction(txid)
            if current is None or current.state is not TransactionState.PENDING:
                return
            settled = current.included(block.anchor, effect).settled(effect)
            await self._store.tell([told(settled)])
            self._sight.txids.discard(bytes.fromhex(txid))
        await self._alarms.clear(UNPROVABLE, txid)

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
            detail=f"the transaction of {tracked.send_key} refers to a block, or is said to be in"
            " one, that is not on the chain that was scanned: neither its presence nor its absence"
            " can be shown",
        )

    def _put_off(self, txid: str, seconds: int) -> None:
        at_ms = self._clock.now_ms() + seconds * MS_PER_S
        self._again_ms[txid] = max(at_ms, self._again_ms.get(txid, 0))

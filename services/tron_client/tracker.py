"""Bring submitted transactions to the chain, the same bytes again and again, and prove those absent.

Stored before broadcast; included, confirmed and failed are learned from the scan alone. ``expired``
is said only of what every block that could hold it was searched for (H1).
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, assert_never

from services.tron_client.domain.blocks import Anchor, Body, InconsistentBlock, Receipt
from services.tron_client.domain.progress import HeldBlock, Progress
from services.tron_client.domain.transactions import (
    Outcome,
    SentAlready,
    Tracked,
    TransactionOfAnother,
    effect_of,
    is_covered,
    received,
    reference_of,
)
from services.tron_client.node.blocks import Chain, Tree, solid_block
from services.tron_client.node.outcomes import Accepted, BroadcastResult, Rejected, Unknown
from services.tron_client.store import ChainStore, told
from services.tron_client.store.sight import Sight
from shared.clock import MS_PER_S, Clock
from shared.logs import get_logger
from shared.models.tron_client import BroadcastOutcome, SignedTransaction, TransactionState

log = get_logger(__name__)

_AT_ONCE: Final = 100
_BLOCKS_AT_ONCE: Final = 20
_LONGEST_SEARCH_BLOCKS: Final = 30_000
_HASH_IN_ID: Final = slice(16, 32)
"""Where a block id holds what a transaction refers to (java-tron TransactionCapsule.setReference)."""


class Broadcaster(Chain, Protocol):
    """A node, as far as transactions need it."""

    async def broadcast(self, signed: bytes, *, txid: str) -> BroadcastResult:
        """Hand over a transaction, once."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackPolicy:
    """How transactions are brought to the chain.

    Attributes:
        rebroadcast_interval_s: chain seconds between two broadcasts of the same bytes.
        submit_timeout_s: real seconds after which a broadcast's outcome is unknown.
    """

    rebroadcast_interval_s: int
    submit_timeout_s: int


class Tracker:
    """Submitted transactions on their way."""

    def __init__(
        self,
        *,
        node: Broadcaster,
        store: ChainStore,
        sight: Sight,
        clock: Clock,
        policy: TrackPolicy,
    ) -> None:
        self._node = node
        self._store = store
        self._sight = sight
        self._clock = clock
        self._policy = policy
        self._unprovable: set[str] = set()

    async def submit(self, requests: Sequence[SignedTransaction]) -> list[Tracked]:
        """Store transactions, then broadcast those that are not in a block yet.

        Raises:
            NotATransaction: one is not what it is said to be; none was stored.
            TransactionOfAnother: one was submitted before for another send; none was stored.
            SentAlready: another one of its send is not proved absent; none was stored.
            NothingScanned: nothing could be followed yet.
        """
        async with self._sight.lock:
            given = await self._received(requests, self._sight.current())
            stored = await self._kept(given)
        pending = [each for each in stored.values() if each.state is TransactionState.PENDING]
        stored |= {each.id: each for each in await self._broadcast(pending)}
        return [stored[each.id] for each in given]

    async def rebroadcast(self) -> bool:
        """Send what is due again; returns True when there is more."""
        progress = self._sight.progress
        if progress is None:
            return False
        now_ms = self._clock.now_ms()
        due = await self._store.to_broadcast(now_ms=now_ms, limit=_AT_ONCE)
        late = [each for each in due if each.expires_at_ms <= progress.head.timestamp_ms]
        await self._give_up(late)
        await self._broadcast([each for each in due if each not in late])
        return len(due) == _AT_ONCE

    async def expire(self) -> bool:
        """Find transactions that can no longer come, and say so of those proved absent."""
        progress = self._sight.progress
        if progress is None:
            return False
        reached_ms = min(progress.solid.timestamp_ms, self._clock.now_ms())
        cursor = None
        while True:
            page = await self._store.past_expiry(at_ms=reached_ms, limit=_AT_ONCE, cursor=cursor)
            due = [each for each in page.items if each.id not in self._unprovable]
            if due:
                await self._judge(due, progress)
            cursor = page.next
            if cursor is None:
                return False

    async def _received(
        self, requests: Sequence[SignedTransaction], progress: Progress
    ) -> list[Tracked]:
        now_ms = self._clock.now_ms()
        references = [
            reference_of(request.raw_data, head_height=progress.head.height) for request in requests
        ]
        held = {
            height: await self._store.block_at(height)
            for height in {each[0] for each in references if each is not None}
        }
        return [
            received(
                request,
                head=progress.head,
                reference_height=_height_on(held, reference),
                now_ms=now_ms,
                next_broadcast_ms=self._next_ms(now_ms),
            )
            for request, reference in zip(requests, references, strict=True)
        ]

    async def _kept(self, given: Sequence[Tracked]) -> dict[str, Tracked]:
        """Store those that are new and return all as stored, by txid."""
        known = await self._store.transactions([each.id for each in given])
        fresh: dict[str, Tracked] = {}
        for each in given:
            before = known.get(each.id) or fresh.setdefault(each.id, each)
            if before.send_key != each.send_key:
                raise TransactionOfAnother(
                    f"{each.id} was submitted for {before.send_key}", txid=each.id
                )
        for each in fresh.values():
            await self._check_first(each, fresh)
        await self._store.save(fresh.values())
        self._sight.txids |= {bytes.fromhex(txid) for txid in fresh}
        return known | {txid: replace(each, version=1) for txid, each in fresh.items()}

    async def _check_first(self, new: Tracked, fresh: Mapping[str, Tracked]) -> None:
        """Refuse a second transaction of a send whose first may still pay, whoever forgot that one."""
        others = [*await self._store.transactions_for(new.send_key), *fresh.values()]
        for other in others:
            if other.send_key == new.send_key and other.id != new.id and not other.is_absent:
                log.error("transaction.second", txid=new.id, first=other.id, send_key=new.send_key)
                raise SentAlready(
                    f"{other.id} was submitted for {new.send_key} and is not proved absent",
                    txid=new.id,
                )

    async def _broadcast(self, transactions: Sequence[Tracked]) -> list[Tracked]:
        """Send bytes to the node, at once but in bounds, and store what came of it."""
        if not transactions:
            return []
        tasks = {
            each.id: asyncio.create_task(self._node.broadcast(each.signed_bytes(), txid=each.id))
            for each in transactions
        }
        try:
            await asyncio.wait(tasks.values(), timeout=self._policy.submit_timeout_s)
        finally:
            for task in tasks.values():
                task.cancel()
        outcomes = {txid: _outcome(task) for txid, task in tasks.items()}
        next_ms = self._next_ms(self._clock.now_ms())
        async with self._sight.lock:
            current = await self._store.transactions(list(tasks))
            sent = [
                each.broadcast(outcomes[each.id], next_broadcast_ms=next_ms)
                for each in current.values()
            ]
            await self._store.save(sent)
        return [replace(each, version=each.version + 1) for each in sent]

    def _next_ms(self, now_ms: int) -> int:
        return now_ms + self._policy.rebroadcast_interval_s * MS_PER_S

    async def _give_up(self, late: Sequence[Tracked]) -> None:
        async with self._sight.lock:
            current = await self._store.transactions([each.id for each in late])
            await self._store.save(
                replace(each, next_broadcast_ms=None) for each in current.values()
            )

    async def _judge(self, due: Sequence[Tracked], progress: Progress) -> None:
        """Look for transactions on the solid tree: absent, found after all, or not provable."""
        solid = await self._node.solid_head()
        if solid is None or solid.timestamp_ms < max(each.expires_at_ms for each in due):
            return
        found = {each.id: await self._node.solid_receipt(each.id) for each in due}
        absent = []
        for each in due:
            receipt = found[each.id]
            if receipt is not None:
                await self._adopt(each.id, receipt.height)
            elif (
                is_covered(each, start_height=progress.start.height)
                and len(_unsearched(each)) <= _LONGEST_SEARCH_BLOCKS
            ):
                absent.append(each)
            else:
                self._unprovable.add(each.id)
                log.error("transaction.unprovable", txid=each.id, send_key=each.send_key)
        searched = await self._search(absent)
        for txid, height in searched.items():
            await self._adopt(txid, height)
        await self._say_expired([each.id for each in absent if each.id not in searched])

    async def _search(self, absent: Sequence[Tracked]) -> dict[str, int]:
        """Search the blocks from the references up to where the scan was at submission.

        From there on the scan itself has looked for them.

        Returns:
            Heights of those that are there after all.
        """
        heights: set[int] = set()
        for each in absent:
            heights.update(_unsearched(each))
        wanted = {each.id for each in absent}
        found: dict[str, int] = {}
        for start, end in _runs(sorted(heights)):
            for body in await self._solid_bodies(start, end):
                for transaction in body.transactions:
                    if transaction.txid in wanted:
                        found[transaction.txid] = body.anchor.height
        return found

    async def _solid_bodies(self, start: int, end: int) -> list[Body]:
        """Return the blocks of heights that are held, as the solid tree has them."""
        bodies = await self._node.blocks(start, end - start, tree=Tree.SOLID)
        known = await self._store.blocks_between(start, end - 1)
        if [body.anchor for body in bodies] != [block.anchor for block in known] or (
            len(bodies) != end - start
        ):
            raise InconsistentBlock(f"blocks {start} to {end - 1} are not those that were scanned")
        return bodies

    async def _adopt(self, txid: str, height: int) -> None:
        """Give the verdict of a solid block that was scanned before the transaction came here."""
        if height > self._sight.current().solid.height:
            return
        block = await solid_block(self._node, height)
        receipts = (
            {} if block is None else {each.receipt.txid: each.receipt for each in block.executed}
        )
        if block is None or txid not in receipts:
            raise InconsistentBlock(f"the solid block {height} is to hold {txid} and does not")
        known = await self._store.block_at(height)
        if known is not None and known.anchor != block.anchor:
            raise InconsistentBlock(f"the solid tree has another block {height} than the one held")
        await self._settle(txid, block.anchor, receipts[txid])

    async def _settle(self, txid: str, anchor: Anchor, receipt: Receipt) -> None:
        effect = effect_of(receipt)
        async with self._sight.lock:
            current = await self._store.transaction(txid)
            if current is None or current.state is not TransactionState.PENDING:
                return
            await self._store.tell([told(current.included(anchor, effect).settled(effect))])
            self._sight.txids.discard(bytes.fromhex(txid))

    async def _say_expired(self, txids: Sequence[str]) -> None:
        async with self._sight.lock:
            current = await self._store.transactions(txids)
            await self._store.tell(
                told(each.expired())
                for each in current.values()
                if each.state is TransactionState.PENDING
            )


def _height_on(
    held: Mapping[int, HeldBlock | None], reference: tuple[int, str] | None
) -> int | None:
    """Return where a reference block is, if it is one that is held."""
    if reference is None:
        return None
    height, block_hash = reference
    block = held[height]
    return height if block is not None and block.id[_HASH_IN_ID] == block_hash else None


def _unsearched(tracked: Tracked) -> range:
    """Return the heights that could hold a transaction and were scanned before it came here."""
    return range((tracked.reference_height or 0) + 1, tracked.stored_height + 1)


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


def _outcome(task: "asyncio.Task[BroadcastResult]") -> Outcome:
    if not task.done() or task.cancelled():
        return Outcome(outcome=BroadcastOutcome.UNKNOWN, message="the node took too long")
    result = task.result()
    match result:
        case Accepted():
            return Outcome(outcome=BroadcastOutcome.ACCEPTED)
        case Rejected(code=code, message=message):
            return Outcome(outcome=BroadcastOutcome.REJECTED, code=code, message=message)
        case Unknown(code=code, message=message):
            return Outcome(outcome=BroadcastOutcome.UNKNOWN, code=code, message=message)
        case _:
            assert_never(result)

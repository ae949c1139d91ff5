"""Promises of money out: made once for each request, and read back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final
from weakref import WeakValueDictionary

from services.payout_router.domain import (
    Batch,
    Caller,
    Claim,
    Entry,
    Order,
    Payout,
    PayoutState,
    Policy,
    Total,
    charge,
    check,
    daily_caps,
    promise,
)
from services.payout_router.service.payer import Payer
from services.payout_router.store import FEED, PayoutStore, batch_view, payout_view
from shared.clock import Clock, utc_day
from shared.errors import Forbidden, KeyReused, NotFound, Problem, Unavailable
from shared.feeds import FeedSource
from shared.ids import NewId, fingerprint, identity, object_id
from shared.logs import get_logger
from shared.models.payout_router import (
    BatchItemResult,
    BatchView,
    ItemProblem,
    PayoutEvent,
    PayoutListView,
    PayoutStatus,
    PayoutView,
)
from shared.models.wire import FeedView
from shared.money import Currency
from shared.storage import DuplicateRecord, StaleRecord

log = get_logger(__name__)

CREATE_TRIES: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a request led to; ``replayed`` when an earlier one did."""

    view: PayoutView
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBatch:
    """What a request for a batch led to; ``replayed`` when an earlier one did."""

    view: BatchView
    replayed: bool


class Turns:
    """Lets callers in this process who would change the same records go one after the other.

    It only spares them repeats: the compare-and-set of the store is what holds.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, names: Iterable[str]) -> AsyncIterator[None]:
        """Wait until nobody else holds any of these names."""
        async with AsyncExitStack() as held:
            for name in sorted(set(names)):
                await held.enter_async_context(self._locks.setdefault(name, asyncio.Lock()))
            yield


class Promises:
    """Makes promises within the rules, and shows them to those who may see them."""

    def __init__(
        self, *, store: PayoutStore, payer: Payer, clock: Clock, new_id: NewId, policy: Policy
    ) -> None:
        self._store = store
        self._payer = payer
        self._clock = clock
        self._new_id = new_id
        self._policy = policy
        self._wake: Callable[[Currency], None] = _nobody
        self._turns = Turns()
        self._feed: FeedSource[PayoutEvent] = FeedSource(
            storage=store.storage, feed=FEED, view=PayoutEvent, clock=clock
        )

    def when_there_is_work(self, wake: Callable[[Currency], None]) -> None:
        """Say whom to wake when there is something new to hand over."""
        self._wake = wake

    async def create(self, order: Order, *, caller: Caller, key: str) -> Taken:
        """Promise a payout, or return the one that was promised under the key before.

        Raises:
            KeyReused: the key was used for something else.
            PayoutRefused: a rule speaks against it.
        """
        claim = Claim(
            identity=identity(caller.name, "payouts", key),
            fingerprint=fingerprint(order.meaning()),
            caller=caller,
        )
        day = utc_day(self._clock.now_ms())
        caps = daily_caps(order, caller=caller, limits=self._policy.limits[order.currency], day=day)
        async with self._turns.of([claim.identity, *(cap.total_id for cap in caps)]):
            for _ in range(CREATE_TRIES):
                known = await self._store.payout_under(claim.identity)
                if known is not None:
                    _same_request(known.fingerprint, claim.fingerprint)
                    return Taken(view=payout_view(known), replayed=True)
                try:
                    payout = await self._promise(order, claim, day)
                except (DuplicateRecord, StaleRecord):
                    continue
                self._wake(order.currency)
                return Taken(view=payout_view(payout), replayed=False)
        raise Unavailable(
            "too many payouts of this kind at once; nothing was stored", retry_after_s=1
        )

    async def create_batch(
        self, orders: Sequence[Order], *, caller: Caller, key: str
    ) -> TakenBatch:
        """Take payouts on together, each accepted or refused on its own, all stored at once.

        Raises:
            KeyReused: the key was used for something else.
        """
        claim = Claim(
            identity=identity(caller.name, "payout-batches", key),
            fingerprint=fingerprint([order.meaning() for order in orders]),
            caller=caller,
        )
        async with self._turns.of([claim.identity]):
            for _ in range(CREATE_TRIES):
                known = await self._store.batch_under(claim.identity)
                if known is not None:
                    _same_request(known.fingerprint, claim.fingerprint)
                    return TakenBatch(view=await self._batch_view(known), replayed=True)
                try:
                    batch = await self._promise_batch(orders, claim)
                except (DuplicateRecord, StaleRecord):
                    continue
                for currency in {order.currency for order in orders}:
                    self._wake(currency)
                return TakenBatch(view=await self._batch_view(batch), replayed=False)
        raise Unavailable(
            "too many payouts of this kind at once; nothing was stored", retry_after_s=1
        )

    async def payout(self, payout_id: str, *, caller: Caller) -> PayoutView:
        """Return a payout; raises NotFound where the caller may not see it."""
        payout = await self._store.payout(payout_id)
        if payout is None or not _sees(caller, payout.principal):
            raise NotFound("there is no such payout")
        return payout_view(payout)

    async def batch(self, batch_id: str, *, caller: Caller) -> BatchView:
        """Return a batch with its payouts; raises NotFound where the caller may not see it."""
        batch = await self._store.batch(batch_id)
        if batch is None or not _sees(caller, batch.principal):
            raise NotFound("there is no such batch")
        return await self._batch_view(batch)

    async def payouts(
        self, *, caller: Caller, status: PayoutStatus | None, cursor: str | None, limit: int
    ) -> PayoutListView:
        """Return the payouts that the caller may see, newest first."""
        if status in {PayoutStatus.CANCELLED, PayoutStatus.EXPIRED}:
            return PayoutListView(payouts=[])
        page = await self._store.page(
            principal=None if caller.is_trusted else caller.name,
            state=None if status is None else PayoutState(status.value),
            cursor=cursor,
            limit=limit,
        )
        return PayoutListView(
            payouts=[payout_view(payout) for payout in page.items], next=page.next
        )

    async def events(
        self, *, caller: Caller, after: str, limit: int, wait_s: int
    ) -> FeedView[PayoutEvent]:
        """Return what happened to all payouts after a cursor."""
        _may_follow(caller)
        return await self._feed.page(after=after, limit=limit, wait_s=wait_s)

    async def register(self, *, caller: Caller, consumer: str, cursor: str) -> None:
        """Note how far a consumer of the feed has come."""
        _may_follow(caller)
        await self._feed.acknowledge(consumer=consumer, cursor=cursor)

    async def counts(self) -> Mapping[str, int]:
        """Count payouts by state."""
        return await self._store.counts()

    async def _promise(self, order: Order, claim: Claim, day: str) -> Payout:
        payout, totals = self._judge(
            order, claim, day, await self._totals([order], claim.caller, day)
        )
        await self._store.add([payout], totals=totals.values(), at_ms=payout.created_at_ms)
        log.info("payout.created", payout_id=payout.id, currency=payout.currency)
        return payout

    async def _promise_batch(self, orders: Sequence[Order], claim: Claim) -> Batch:
        now_ms = self._clock.now_ms()
        day = utc_day(now_ms)
        batch_id = self._new_id("bat")
        known = await self._totals(orders, claim.caller, day)
        charged: dict[str, Total] = {}
        payouts: list[Payout] = []
        entries: list[Entry] = []
        for index, order in enumerate(orders):
            item = replace(
                claim,
                identity=identity(
                    claim.caller.name, "payout-batch-items", f"{claim.identity}:{index}"
                ),
                fingerprint=fingerprint(order.meaning()),
            )
            try:
                payout, totals = self._judge(order, item, day, known | charged)
            except Problem as problem:
                entries.append(_refusal(problem))
                continue
            charged |= totals
            payouts.append(replace(payout, batch_id=batch_id, batch_index=index))
            entries.append(Entry(payout_id=payout.id))
        batch = Batch(
            id=batch_id,
            identity=claim.identity,
            fingerprint=claim.fingerprint,
            principal=claim.caller.name,
            entries=tuple(entries),
            accepted=len(payouts),
            created_at_ms=now_ms,
        )
        await self._store.add(payouts, totals=charged.values(), at_ms=now_ms, batch=batch)
        log.info("batch.created", batch_id=batch_id, accepted=len(payouts), asked=len(orders))
        return batch

    async def _totals(self, orders: Sequence[Order], caller: Caller, day: str) -> dict[str, Total]:
        return await self._store.totals(
            cap.total_id
            for order in orders
            for cap in daily_caps(
                order, caller=caller, limits=self._policy.limits[order.currency], day=day
            )
        )

    def _judge(
        self, order: Order, claim: Claim, day: str, totals: Mapping[str, Total]
    ) -> tuple[Payout, dict[str, Total]]:
        limits = self._policy.limits[order.currency]
        own = {self._payer.wallet.address} if self._payer.wallet else set()
        check(order, caller=claim.caller, limits=limits, never_paid=self._policy.never_paid | own)
        caps = daily_caps(order, caller=claim.caller, limits=limits, day=day)
        charged = charge(order, caps, totals)
        payout = promise(
            order,
            payout_id=object_id("po", claim.identity),
            claim=claim,
            charges=tuple(charged),
            policy=self._policy,
            at_ms=self._clock.now_ms(),
        )
        return payout, charged

    async def _batch_view(self, batch: Batch) -> BatchView:
        ids = [entry.payout_id for entry in batch.entries if entry.payout_id]
        payouts = await self._store.payouts(ids)
        results = [
            BatchItemResult(index=index, payout=payout_view(payouts[entry.payout_id]))
            if entry.payout_id
            else BatchItemResult(
                index=index,
                problem=ItemProblem(status=entry.status, code=entry.code, detail=entry.detail),
            )
            for index, entry in enumerate(batch.entries)
        ]
        return batch_view(batch).model_copy(update={"payouts": results})


def _nobody(_: Currency) -> None:
    return None


def _same_request(known: str, asked: str) -> None:
    if known != asked:
        raise KeyReused("this idempotency key was used before with another body")


def _sees(caller: Caller, principal: str) -> bool:
    return caller.is_trusted or caller.name == principal


def _may_follow(caller: Caller) -> None:
    if not caller.is_trusted:
        raise Forbidden("the feed tells of everybody's payouts", rule="feed")


def _refusal(problem: Problem) -> Entry:
    return Entry(status=int(problem.status), code=problem.code, detail=problem.detail)

"""payout-router's use cases."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol
from weakref import WeakValueDictionary

from services.payout_router.domain import (
    NEVER_TAKEN_ON,
    SERVICE,
    Batch,
    Caller,
    Claim,
    Entry,
    Order,
    Payout,
    PayoutRefused,
    PayoutState,
    Policy,
    Report,
    Rule,
    Total,
    assign,
    charge,
    check,
    daily_caps,
    defer,
    fail,
    forget,
    hear,
    hold,
    promise,
)
from services.payout_router.store import FEED, PayoutStore, Step, batch_view, payout_view
from shared.clock import Clock, utc_day
from shared.errors import Forbidden, KeyReused, NotFound, Problem, Unavailable
from shared.feeds import FeedFollower, FeedSource
from shared.ids import NewId, fingerprint, identity, split_send_key
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
from shared.models.usdt_manager import (
    PlannedTransfer,
    PreflightRequest,
    PreflightView,
    TransferNeeds,
)
from shared.models.wallet_manager import (
    Intent,
    Origin,
    Purpose,
    SendKind,
    SendLookupView,
    SendParams,
    SendResult,
    SendView,
    WalletStatus,
    WalletView,
)
from shared.models.wire import FeedView
from shared.money import Currency
from shared.peers.http import PeerRefused, PeerUnavailable, absent
from shared.storage import DuplicateRecord, Lease, StaleRecord
from shared.tron.address import Address

log = get_logger(__name__)

CONSUMER: Final = "payout-router"
CREATE_TRIES: Final = 50
LOOKUP_ROWS: Final = 500
NO_WALLET_PAUSE_MS: Final = 5_000
MAX_PRINCIPAL_CHARACTERS: Final = 255


class Sender(Protocol):
    """Takes on intents and tells what became of them: wallet-manager."""

    async def send(self, intents: Sequence[Intent]) -> list[SendResult]:
        """Hand intents over."""
        ...

    async def lookup(
        self, *, send_keys: Sequence[str] = (), txids: Sequence[str] = ()
    ) -> SendLookupView:
        """Return sends by key."""
        ...

    async def sends(self, *, after: str, limit: int, wait_s: int) -> FeedView[SendView]:
        """Return the next changes of sends."""
        ...

    async def acknowledge(self, *, consumer: str, cursor: str) -> object:
        """Say how far the feed has been consumed."""
        ...

    async def treasury(self) -> WalletView:
        """Return the wallet that pays."""
        ...

    async def wallet(self, wallet_id: str) -> WalletView:
        """Return a wallet."""
        ...


class Token(Protocol):
    """Knows what USDT transfers need and hands them on: usdt-manager."""

    async def preflight(self, request: PreflightRequest) -> PreflightView:
        """Say what speaks against transfers."""
        ...

    async def transfer(self, intents: Sequence[Intent]) -> list[SendResult]:
        """Hand intents over."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast payouts are handed over.

    Attributes:
        batch: payouts handed over together.
        lease_ms: how long a claim lasts.
        silence_ms: after how long a payout is asked about of which nothing was heard.
    """

    batch: int
    lease_ms: int
    silence_ms: int


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


class PayoutRouter:
    """Promises money out and follows each promise to its end."""

    def __init__(
        self,
        *,
        store: PayoutStore,
        sender: Sender,
        token: Token,
        clock: Clock,
        new_id: NewId,
        policy: Policy,
        pace: Pace,
        contract: Address,
        wallet_id: str | None,
        owner: str,
    ) -> None:
        self._store = store
        self._sender = sender
        self._token = token
        self._clock = clock
        self._new_id = new_id
        self._policy = policy
        self._pace = pace
        self._contract = contract
        self._wallet_id = wallet_id
        self._wallet: WalletView | None = None
        self._turns = Turns()
        self._owner = owner
        self._wake: Callable[[Currency], None] = _nobody
        self.feed: FeedSource[PayoutEvent] = FeedSource(
            storage=store.storage, feed=FEED, view=PayoutEvent, clock=clock
        )
        self._sends: FeedFollower[SendView] = FeedFollower(
            pages=sender.sends,
            load_cursor=store.cursor,
            apply=self._apply,
            acknowledge=partial(self._acknowledge, CONSUMER),
            resync=self.resync,
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
        return await self.feed.page(after=after, limit=limit, wait_s=wait_s)

    async def register(self, *, caller: Caller, consumer: str, cursor: str) -> None:
        """Note how far a consumer of the feed has come."""
        _may_follow(caller)
        await self.feed.acknowledge(consumer=consumer, cursor=cursor)

    async def counts(self) -> Mapping[str, int]:
        """Count payouts by state."""
        return await self._store.counts()

    async def details(self) -> Mapping[str, object]:
        """Say what pays and how far sends have been heard."""
        wallet = self._wallet
        return {
            "paying_wallet": None if wallet is None else wallet.wallet_id,
            "sends_cursor": await self._store.cursor(),
        }

    async def find_wallet(self) -> bool:
        """Ask which wallet pays; it may come to be, change or be locked at any time."""
        try:
            wallet = (
                await self._sender.wallet(self._wallet_id)
                if self._wallet_id
                else await self._sender.treasury()
            )
        except PeerRefused as refusal:
            if not absent(refusal):
                raise
            self._wallet = None
            return False
        self._wallet = wallet if wallet.status is WalletStatus.ACTIVE else None
        return False

    async def dispatch(self, currency: Currency) -> bool:
        """Hand over payouts of one currency that are due; True when there may be more.

        What pays is committed before anything is handed over, and the send key never changes: a
        reply that is lost, or a death in between, leads to the same hand-over again.
        """
        now_ms = self._clock.now_ms()
        claimed = await self._store.claim_due(
            currency,
            owner=self._owner,
            now_ms=now_ms,
            lease_ms=self._pace.lease_ms,
            limit=self._pace.batch,
        )
        if not claimed:
            return False
        leases = [one.lease for one in claimed]
        try:
            payouts = [one.record for one in claimed]
            pending = [one for one in payouts if one.state is PayoutState.PENDING]
            ready = [one for one in payouts if one.state is PayoutState.PROCESSING]
            if pending:
                ready += await self._prepare(currency, pending, leases)
            await self._hand_over(currency, [one for one in ready if one.send_id is None])
        finally:
            await self._store.release(leases)
        return len(claimed) == self._pace.batch

    async def follow(self) -> bool:
        """Take in a page of what became of sends."""
        return await self._sends.follow()

    async def reconcile(self) -> bool:
        """Ask about payouts of which nothing was heard for a while; True when there may be more."""
        until_ms = self._clock.now_ms() - self._pace.silence_ms
        silent = await self._store.silent(until_ms=until_ms, limit=LOOKUP_ROWS)
        if silent:
            await self._ask_about(silent)
        return len(silent) == LOOKUP_ROWS

    async def resync(self) -> None:
        """Ask about every open payout, then follow the sends from the beginning of their feed."""
        for state in (PayoutState.PROCESSING, PayoutState.PENDING):
            cursor: str | None = None
            while True:
                page = await self._store.in_state(state, cursor=cursor)
                if page.items:
                    await self._ask_about(page.items)
                cursor = page.next
                if cursor is None:
                    break
        await self._store.change({}, at_ms=self._clock.now_ms(), cursor="")

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
                identity=identity(claim.caller.name, "payouts", f"{batch_id}:{index}"),
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
        own = {self._wallet.address} if self._wallet else set()
        check(order, caller=claim.caller, limits=limits, never_paid=self._policy.never_paid | own)
        caps = daily_caps(order, caller=claim.caller, limits=limits, day=day)
        charged = charge(order, caps, totals)
        payout = promise(
            order,
            payout_id=self._new_id("po"),
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

    async def _prepare(
        self, currency: Currency, pending: Sequence[Payout], leases: Sequence[Lease]
    ) -> list[Payout]:
        """Fix what pays for those that nothing speaks against; return these."""
        if self._wallet is None:
            await self.find_wallet()
        now_ms = self._clock.now_ms()
        wallet = self._wallet
        steps: dict[str, Step]
        if wallet is None:
            steps = {
                payout.id: partial(
                    hold,
                    detail="there is no wallet that pays yet",
                    at_ms=now_ms,
                    pause_ms=NO_WALLET_PAUSE_MS,
                )
                for payout in pending
            }
        else:
            needs = await self._needs(currency, pending, wallet)
            steps = {
                payout.id: self._considered(payout, wallet, needs.get(payout.id), now_ms)
                for payout in pending
            }
        ours = [lease for lease in leases if lease.record_id in steps]
        stored = await self._store.change(steps, at_ms=now_ms, leases=ours)
        return [payout for payout in stored.values() if payout.state is PayoutState.PROCESSING]

    async def _needs(
        self, currency: Currency, pending: Sequence[Payout], wallet: WalletView
    ) -> dict[str, TransferNeeds]:
        """Return what speaks against USDT transfers; a lack of balance does not, it is waited for."""
        if currency is not Currency.USDT:
            return {}
        transfers = [
            PlannedTransfer(recipient=one.recipient, amount_base_units=str(one.amount))
            for one in pending
        ]
        answer = await self._token.preflight(
            PreflightRequest(owner_address=wallet.address, transfers=transfers)
        )
        balance = int(answer.balance_base_units)
        return {
            payout.id: needs
            for payout, needs in zip(pending, answer.transfers, strict=True)
            if needs.refusal and not (needs.refusal == "would_revert" and balance < payout.amount)
        }

    def _considered(
        self, payout: Payout, wallet: WalletView, against: TransferNeeds | None, now_ms: int
    ) -> Step:
        """Decide about a payout that was never handed over."""
        if now_ms >= payout.not_after_ms:
            detail = "it could not be handed over before its deadline"
            return partial(fail, detail_state="expired", detail=detail, at_ms=now_ms)
        if payout.recipient == wallet.address:
            detail = f"{Rule.RECIPIENT}: the recipient is the wallet that pays"
            return partial(fail, detail_state="refused", detail=detail, at_ms=now_ms)
        if against is None:
            return partial(assign, wallet_id=wallet.wallet_id, at_ms=now_ms)
        detail = f"{against.refusal}: {against.detail or 'the contract says no'}"
        if against.refusal == "recipient_blacklisted":
            return partial(fail, detail_state="refused", detail=detail, at_ms=now_ms)
        return partial(hold, detail=detail, at_ms=now_ms)

    async def _hand_over(self, currency: Currency, payouts: Sequence[Payout]) -> None:
        """Hand intents over; whatever is not a clear answer is asked again under the same key."""
        if not payouts:
            return
        intents = [self._intent(payout) for payout in payouts]
        hand = self._token.transfer if currency is Currency.USDT else self._sender.send
        try:
            results = await hand(intents)
        except PeerUnavailable as error:
            await self._defer(payouts, error)
            raise
        except PeerRefused as error:
            if len(payouts) == 1:
                await self._defer(payouts, error)
                return
            for payout in payouts:  # one that is not understood must not hold the others up
                await self._hand_over(currency, [payout])
            return
        await self._note(payouts, results)

    async def _defer(self, payouts: Sequence[Payout], error: Problem) -> None:
        now_ms = self._clock.now_ms()
        await self._store.change(
            {one.id: partial(defer, detail=error.detail, at_ms=now_ms) for one in payouts},
            at_ms=now_ms,
        )

    async def _note(self, payouts: Sequence[Payout], results: Sequence[SendResult]) -> None:
        now_ms = self._clock.now_ms()
        by_key = {result.send_key: result for result in results}
        refused = [
            key
            for key, one in by_key.items()
            if one.send is None and one.problem and one.problem.status in NEVER_TAKEN_ON
        ]
        taken_on = await self._sends_under(refused)
        steps: dict[str, Step] = {}
        for payout in payouts:
            result = by_key.get(payout.send_key)
            send = taken_on.get(payout.send_key) or (result.send if result else None)
            if send is not None:
                steps[payout.id] = partial(hear, report=_report(send), at_ms=now_ms)
            elif result is None or result.problem is None:
                steps[payout.id] = partial(defer, detail="no answer for this send", at_ms=now_ms)
            elif payout.send_key in refused:
                rule = result.problem.facts.get("rule", result.problem.code)
                detail = f"{rule}: {result.problem.detail}"
                steps[payout.id] = partial(
                    fail, detail_state="refused", detail=detail, at_ms=now_ms
                )
            else:
                steps[payout.id] = partial(defer, detail=result.problem.detail, at_ms=now_ms)
        await self._store.change(steps, at_ms=now_ms)

    def _intent(self, payout: Payout) -> Intent:
        """Write a payout as an intent; every value was fixed when it was promised or assigned."""
        if payout.wallet_id is None:
            raise AssertionError(f"{payout.id} is handed over before it is known what pays")
        usdt = payout.currency is Currency.USDT
        return Intent(
            send_key=payout.send_key,
            origin=Origin(service=SERVICE, principal=payout.principal[:MAX_PRINCIPAL_CHARACTERS]),
            purpose=Purpose.PAYOUT,
            wallet_id=payout.wallet_id,
            kind=SendKind.TRC20_TRANSFER if usdt else SendKind.TRX_TRANSFER,
            params=SendParams(
                amount_base_units=str(payout.amount),
                recipient=payout.recipient,
                contract_address=self._contract if usdt else None,
            ),
            max_fee_sun=str(payout.max_fee_sun),
            not_after=payout.not_after_ms,
        )

    async def _apply(self, page: FeedView[SendView]) -> None:
        """Store what a page says together with its cursor; the last word on a send counts."""
        now_ms = self._clock.now_ms()
        steps: dict[str, Step] = {}
        for item in page.items:
            payout_id = _payout_of(item.object.send_key)
            if payout_id is not None:
                earlier = steps.get(payout_id)
                steps[payout_id] = _after(
                    earlier, partial(hear, report=_report(item.object), at_ms=now_ms)
                )
        await self._store.change(steps, at_ms=now_ms, cursor=page.next)

    async def _acknowledge(self, consumer: str, cursor: str) -> object:
        return await self._sender.acknowledge(consumer=consumer, cursor=cursor)

    async def _ask_about(self, payouts: Sequence[Payout]) -> None:
        """Look up sends; one that wallet-manager does not know is handed over again."""
        sends = await self._sends_under([payout.send_key for payout in payouts])
        now_ms = self._clock.now_ms()
        steps: dict[str, Step] = {}
        for payout in payouts:
            send = sends.get(payout.send_key)
            if send is None:
                steps[payout.id] = partial(forget, at_ms=now_ms)
            else:
                heard = partial(hear, report=_report(send), at_ms=now_ms)
                steps[payout.id] = _after(heard, partial(replace, checked_at_ms=now_ms))
        await self._store.change(steps, at_ms=now_ms)

    async def _sends_under(self, send_keys: Sequence[str]) -> dict[str, SendView]:
        if not send_keys:
            return {}
        answer = await self._sender.lookup(send_keys=send_keys)
        return {send.send_key: send for send in answer.sends}


def _nobody(_: Currency) -> None:
    return None


def _after(first: Step | None, second: Step) -> Step:
    return second if first is None else lambda payout: second(first(payout))


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


def _payout_of(key: str) -> str | None:
    """Return the payout that a send key names, or None for the send of somebody else."""
    try:
        origin, payout_id, _ = split_send_key(key)
    except ValueError:
        return None
    return payout_id if origin == SERVICE else None


def _report(send: SendView) -> Report:
    detail = send.waiting_for
    if send.refusal is not None:
        detail = f"{send.refusal.rule}: {send.refusal.detail}"
    return Report(
        send_id=send.send_id,
        wallet_id=send.wallet_id,
        state=send.state,
        updated_at=send.updated_at,
        detail=detail,
        txid=send.txid,
        fee_sun=None if send.fee_sun is None else int(send.fee_sun),
        block_height=send.block_height,
    )

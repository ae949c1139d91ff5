"""trx-staking's use cases."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from services.trx_staking.domain import (
    NEVER_TAKEN_ON,
    SERVICE,
    Claim,
    Order,
    Policy,
    Report,
    Stake,
    begin,
    defer,
    forget,
    hear,
    refuse,
    take_on,
)
from services.trx_staking.store import StakeStore, Step, stake_view
from shared.clock import Clock
from shared.errors import KeyReused, NotFound
from shared.feeds import FeedFollower
from shared.ids import fingerprint, identity, object_id, split_send_key
from shared.logs import get_logger
from shared.models.tron_client import AccountView
from shared.models.trx_staking import (
    AccountResourcesView,
    StakeAction,
    StakeListView,
    StakeState,
    StakeView,
    StakingStatusView,
)
from shared.models.wallet_manager import WalletView
from shared.models.wallet_sends import (
    Intent,
    Origin,
    Purpose,
    SendKind,
    SendLookupView,
    SendParams,
    SendResult,
    SendState,
    SendView,
)
from shared.models.wire import FeedView
from shared.peers.caller import PeerRefused, PeerUnavailable, absent
from shared.storage import DuplicateRecord
from shared.tron.address import Address

log = get_logger(__name__)

CONSUMER: Final = "trx-staking"
CREATE_TRIES: Final = 3
BATCH: Final = 50
LEASE_MS: Final = 60_000
LOOKUP_ROWS: Final = 500
MAX_PRINCIPAL_CHARACTERS: Final = 255

KINDS: Final[Mapping[StakeAction, SendKind]] = {
    StakeAction.FREEZE: SendKind.FREEZE_BALANCE,
    StakeAction.UNFREEZE: SendKind.UNFREEZE_BALANCE,
}


class Chain(Protocol):
    """Reads accounts: tron-client."""

    async def account(self, address: Address) -> AccountView:
        """Return an account as a node tells it."""
        ...


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

    async def wallet(self, wallet_id: str) -> WalletView:
        """Return a wallet."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a request led to; ``replayed`` when an earlier one did."""

    view: StakeView
    replayed: bool


class TrxStaking:
    """Takes stake orders on, follows them, and reads what is staked."""

    def __init__(
        self,
        *,
        store: StakeStore,
        chain: Chain,
        sender: Sender,
        clock: Clock,
        policy: Policy,
        owner: str,
        silence_ms: int,
    ) -> None:
        self._store = store
        self._chain = chain
        self._sender = sender
        self._clock = clock
        self._policy = policy
        self._owner = owner
        self._silence_ms = silence_ms
        self._wake: Callable[[], None] = _nobody
        self._feed: FeedFollower[SendView] = FeedFollower(
            pages=sender.sends,
            load_cursor=store.cursor,
            apply=self._apply,
            acknowledge=self._acknowledge,
            resync=self.resync,
        )

    def when_there_is_work(self, wake: Callable[[], None]) -> None:
        """Say whom to wake when there is a new order."""
        self._wake = wake

    async def create(self, order: Order, *, principal: str, key: str) -> Taken:
        """Take an order on, or return the one that was taken on under the key before.

        Raises:
            KeyReused: the key was used for something else.
            StakeRefused: a rule speaks against it.
            NotFound: there is no such wallet.
        """
        claim = Claim(
            identity=identity(principal, "staking", key),
            fingerprint=fingerprint(order.meaning()),
            principal=principal,
        )
        for _ in range(CREATE_TRIES):
            known = await self._store.stake_under(claim.identity)
            if known is not None:
                if known.fingerprint != claim.fingerprint:
                    raise KeyReused("this idempotency key was used before with another body")
                return Taken(view=stake_view(known), replayed=True)
            try:
                stake = await self._take_on(order, claim)
            except DuplicateRecord:
                continue
            self._wake()
            return Taken(view=stake_view(stake), replayed=False)
        raise AssertionError("an identity that is taken belongs to an order")

    async def order(self, stake_id: str) -> StakeView:
        """Return an order; raises NotFound."""
        stake = await self._store.stake(stake_id)
        if stake is None:
            raise NotFound("there is no such stake order")
        return stake_view(stake)

    async def orders(self, *, cursor: str | None, limit: int) -> StakeListView:
        """Return orders, newest first."""
        page = await self._store.page(cursor=cursor, limit=limit)
        return StakeListView(orders=[stake_view(stake) for stake in page.items], next=page.next)

    async def status(self, address: Address) -> StakingStatusView:
        """Return what an address has staked and what is thawing, as a node tells it."""
        account = await self._chain.account(address)
        return StakingStatusView(
            address=address,
            staking_status=_status(account),
            frozen=account.frozen,
            unfreezing=account.unfreezing,
            resources=account.resources,
        )

    async def resources(self, address: Address) -> AccountResourcesView:
        """Return the energy and bandwidth that an address can use now."""
        has = (await self._chain.account(address)).resources
        free = has.free_bandwidth_limit - has.free_bandwidth_used
        staked = has.staked_bandwidth_limit - has.staked_bandwidth_used
        return AccountResourcesView(
            address=address,
            energy_available=max(0, has.energy_limit - has.energy_used),
            bandwidth_available=max(0, free) + max(0, staked),
            resources=has,
        )

    async def counts(self) -> Mapping[str, int]:
        """Count orders by state."""
        return await self._store.counts()

    async def details(self) -> Mapping[str, object]:
        """Say how far sends have been heard."""
        return {"sends_cursor": await self._store.cursor()}

    async def dispatch(self) -> bool:
        """Hand over orders that are due; True when there may be more."""
        now_ms = self._clock.now_ms()
        claimed = await self._store.claim_due(
            owner=self._owner, now_ms=now_ms, lease_ms=LEASE_MS, limit=BATCH
        )
        if not claimed:
            return False
        leases = [one.lease for one in claimed]
        try:
            steps: dict[str, Step] = {
                one.record.id: partial(begin, at_ms=now_ms) for one in claimed
            }
            begun = await self._store.change(steps, at_ms=now_ms, leases=leases)
            await self._hand_over(
                [
                    stake
                    for stake in begun.values()
                    if stake.state is StakeState.PROCESSING and stake.send_id is None
                ]
            )
        finally:
            await self._store.release(leases)
        return len(claimed) == BATCH

    async def follow(self) -> bool:
        """Take in a page of what became of sends."""
        return await self._feed.follow()

    async def reconcile(self) -> bool:
        """Ask about orders of which nothing was heard for a while; True when there may be more."""
        until_ms = self._clock.now_ms() - self._silence_ms
        silent = await self._store.silent(until_ms=until_ms, limit=LOOKUP_ROWS)
        if silent:
            await self._ask_about(silent)
        return len(silent) == LOOKUP_ROWS

    async def resync(self) -> None:
        """Ask about every open order, then follow the sends from the beginning of their feed."""
        for state in (StakeState.PROCESSING, StakeState.PENDING):
            cursor: str | None = None
            while True:
                page = await self._store.in_state(state, cursor=cursor)
                if page.items:
                    await self._ask_about(page.items)
                cursor = page.next
                if cursor is None:
                    break
        await self._store.change({}, at_ms=self._clock.now_ms(), cursor="")

    async def _take_on(self, order: Order, claim: Claim) -> Stake:
        self._policy.check(order)
        try:
            await self._sender.wallet(order.wallet_id)
        except PeerRefused as refusal:
            if absent(refusal):
                raise NotFound("there is no such wallet", wallet_id=order.wallet_id) from None
            raise
        stake = take_on(
            order,
            stake_id=object_id("stk", claim.identity),
            claim=claim,
            policy=self._policy,
            at_ms=self._clock.now_ms(),
        )
        await self._store.add(stake)
        log.info("stake.created", stake_id=stake.id, action=stake.action)
        return stake

    async def _hand_over(self, stakes: Sequence[Stake]) -> None:
        """Hand intents over; whatever is not a clear answer is asked again under the same key."""
        if not stakes:
            return
        try:
            results = await self._sender.send([_intent(stake) for stake in stakes])
        except (PeerUnavailable, PeerRefused) as error:
            now_ms = self._clock.now_ms()
            later: Step = partial(defer, detail=error.detail, at_ms=now_ms)
            await self._store.change({stake.id: later for stake in stakes}, at_ms=now_ms)
            raise
        await self._note(stakes, results)

    async def _note(self, stakes: Sequence[Stake], results: Sequence[SendResult]) -> None:
        now_ms = self._clock.now_ms()
        by_key = {result.send_key: result for result in results}
        refused = [
            key
            for key, one in by_key.items()
            if one.send is None and one.problem and one.problem.status in NEVER_TAKEN_ON
        ]
        taken_on = await self._known_sends(refused)
        steps: dict[str, Step] = {}
        for stake in stakes:
            result = by_key.get(stake.send_key)
            send = taken_on.get(stake.send_key) or (result.send if result else None)
            if send is not None:
                steps[stake.id] = partial(hear, report=_report(send), at_ms=now_ms)
            elif result is None or result.problem is None:
                steps[stake.id] = partial(defer, detail="no answer for this send", at_ms=now_ms)
            else:
                decide = refuse if stake.send_key in refused else defer
                steps[stake.id] = partial(decide, detail=result.problem.detail, at_ms=now_ms)
        await self._store.change(steps, at_ms=now_ms)

    async def _apply(self, page: FeedView[SendView]) -> None:
        now_ms = self._clock.now_ms()
        steps: dict[str, Step] = {}
        for item in page.items:
            stake_id = _stake_of(item.object.send_key)
            if stake_id is not None:
                heard = partial(hear, report=_report(item.object), at_ms=now_ms)
                steps[stake_id] = _after(steps.get(stake_id), heard)
        await self._store.change(steps, at_ms=now_ms, cursor=page.next)

    async def _acknowledge(self, cursor: str) -> object:
        return await self._sender.acknowledge(consumer=CONSUMER, cursor=cursor)

    async def _ask_about(self, stakes: Sequence[Stake]) -> None:
        """Look up sends; one that is unknown or queued is handed over again (H5)."""
        sends = await self._known_sends([stake.send_key for stake in stakes])
        now_ms = self._clock.now_ms()
        steps: dict[str, Step] = {}
        for stake in stakes:
            send = sends.get(stake.send_key)
            if send is None:
                steps[stake.id] = partial(forget, at_ms=now_ms)
            else:
                heard = partial(hear, report=_report(send), at_ms=now_ms)
                asked: Step = partial(replace, checked_at_ms=now_ms)
                if send.state is SendState.QUEUED:
                    asked = partial(forget, at_ms=now_ms)
                steps[stake.id] = _after(heard, asked)
        await self._store.change(steps, at_ms=now_ms)

    async def _known_sends(self, send_keys: Sequence[str]) -> dict[str, SendView]:
        if not send_keys:
            return {}
        answer = await self._sender.lookup(send_keys=send_keys)
        return {send.send_key: send for send in answer.sends}


def _nobody() -> None:
    return None


def _after(first: Step | None, second: Step) -> Step:
    return second if first is None else lambda stake: second(first(stake))


def _status(account: AccountView) -> str:
    if any(int(one.amount_sun) for one in account.frozen):
        return "active"
    return "unfreezing" if account.unfreezing else "none"


def _intent(stake: Stake) -> Intent:
    return Intent(
        send_key=stake.send_key,
        origin=Origin(service=SERVICE, principal=stake.principal[:MAX_PRINCIPAL_CHARACTERS]),
        purpose=Purpose.STAKE,
        wallet_id=stake.wallet_id,
        kind=KINDS[stake.action],
        params=SendParams(amount_base_units=str(stake.amount_sun), resource=stake.resource.value),
        max_fee_sun=str(stake.max_fee_sun),
        not_after=stake.not_after_ms,
    )


def _stake_of(key: str) -> str | None:
    """Return the order that a send key names, or None for the send of somebody else."""
    try:
        origin, stake_id, _ = split_send_key(key)
    except ValueError:
        return None
    return stake_id if origin == SERVICE else None


def _report(send: SendView) -> Report:
    detail = send.waiting_for
    if send.refusal is not None:
        detail = f"{send.refusal.rule}: {send.refusal.detail}"
    return Report(
        send_id=send.send_id,
        state=send.state,
        updated_at=send.updated_at,
        detail=detail,
        txid=send.txid,
    )

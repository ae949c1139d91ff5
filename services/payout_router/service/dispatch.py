"""Hands payouts over to be sent, again and again under the same key, until that is acknowledged."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from services.payout_router.domain import (
    NEVER_TAKEN_ON,
    SERVICE,
    Payout,
    PayoutState,
    Rule,
    assign,
    defer,
    fail,
    hear,
    hold,
)
from services.payout_router.service.payer import Payer
from services.payout_router.service.reports import report_of
from services.payout_router.store import PayoutStore, Step
from shared.clock import Clock
from shared.errors import Problem
from shared.models.usdt_manager import (
    PlannedTransfer,
    PreflightRequest,
    PreflightView,
    TransferNeeds,
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
    SendView,
)
from shared.money import Currency
from shared.peers.caller import PeerRefused, PeerUnavailable
from shared.storage import Lease
from shared.tron.address import Address

NO_WALLET_PAUSE_MS: Final = 5_000
MAX_PRINCIPAL_CHARACTERS: Final = 255


class Sender(Protocol):
    """Takes on intents: wallet-manager."""

    async def send(self, intents: Sequence[Intent]) -> list[SendResult]:
        """Hand intents over."""
        ...

    async def lookup(
        self, *, send_keys: Sequence[str] = (), txids: Sequence[str] = ()
    ) -> SendLookupView:
        """Return sends by key."""
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
    """How payouts are claimed to be handed over.

    Attributes:
        owner: names this process among those that claim.
        batch: payouts handed over together.
        lease_ms: how long a claim lasts.
    """

    owner: str
    batch: int
    lease_ms: int


class Dispatcher:
    """Hands over what is due."""

    def __init__(
        self,
        *,
        store: PayoutStore,
        payer: Payer,
        sender: Sender,
        token: Token,
        clock: Clock,
        pace: Pace,
        contract: Address,
    ) -> None:
        self._store = store
        self._payer = payer
        self._sender = sender
        self._token = token
        self._clock = clock
        self._pace = pace
        self._contract = contract

    async def dispatch(self, currency: Currency) -> bool:
        """Hand over payouts of one currency that are due; True when there may be more.

        What pays is committed before anything is handed over, and the send key never changes: a
        reply that is lost, or a death in between, leads to the same hand-over again.
        """
        now_ms = self._clock.now_ms()
        claimed = await self._store.claim_due(
            currency,
            owner=self._pace.owner,
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

    async def _prepare(
        self, currency: Currency, pending: Sequence[Payout], leases: Sequence[Lease]
    ) -> list[Payout]:
        """Fix what pays for those that nothing speaks against; return these."""
        if self._payer.wallet is None:
            await self._payer.find()
        now_ms = self._clock.now_ms()
        wallet = self._payer.wallet
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
        taken_on = await self._known_sends(refused)
        steps: dict[str, Step] = {}
        for payout in payouts:
            result = by_key.get(payout.send_key)
            send = taken_on.get(payout.send_key) or (result.send if result else None)
            if send is not None:
                steps[payout.id] = partial(hear, report=report_of(send), at_ms=now_ms)
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

    async def _known_sends(self, send_keys: Sequence[str]) -> dict[str, SendView]:
        """Return the sends that wallet-manager has stored under these keys, by key."""
        if not send_keys:
            return {}
        answer = await self._sender.lookup(send_keys=send_keys)
        return {send.send_key: send for send in answer.sends}

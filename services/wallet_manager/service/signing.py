"""From queued to signed: hold, attempt and state in one commit, and only then do bytes leave."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Protocol

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.books import position_id
from services.wallet_manager.domain.fees import (
    MAX_SIGNATURES,
    AbsurdPrices,
    FeePlan,
    Prices,
    hold_for,
)
from services.wallet_manager.domain.lanes import turn_of
from services.wallet_manager.domain.sends import STAMP_FLOOR_MS, Attempt, Rule, Send
from services.wallet_manager.domain.wallets import Wallet
from services.wallet_manager.service.audit import decided
from services.wallet_manager.service.guard import Guard, Objection
from services.wallet_manager.service.planning import Planner, Round, Simulator
from services.wallet_manager.service.rules import SigningRules
from services.wallet_manager.service.views import prices_of, send_view
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import ATTEMPTS, SENDS
from services.wallet_manager.vault import SignatureRefused, Signed, Vault, VaultLocked
from shared.clock import MS_PER_S, Clock, rfc3339
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.models.tron_client import CallView, SigningContextView
from shared.models.wallet_manager import WalletStatus
from shared.models.wallet_sends import SendState
from shared.money import Currency
from shared.storage import DuplicateRecord, Leased
from shared.tron.address import Address
from shared.tron.decoding import IntentMismatch, UnexpectedBytes
from shared.tron.meant import meant_raw_data
from shared.tron.operation import InvalidOperation, ReferenceBlock
from shared.tron.transaction import txid

log = get_logger(__name__)

MAX_REFERENCE_AGE: Final = 65_535
"""Blocks after which nodes have forgotten a reference (java-tron TAPOS keeps 65,536)."""


class Quarantine(Protocol):
    """Knows whether a record may be missing (hazard H5)."""

    def reason(self) -> str | None:
        """Say why nothing is signed, or None."""
        ...

    def forgot_ms(self) -> int:
        """Return up to when bytes may have left for a signature of which no record is here."""
        ...

    def is_asked_for(self, send: Send) -> bool:
        """False while only a copy says that a send is wanted."""
        ...

    async def settle(self, leased: Sequence[Leased[Send]]) -> list[Leased[Send]]:
        """Give sends the transactions that turn out to be theirs; return those that may be signed."""
        ...


class Surroundings(Simulator, Protocol):
    """Says what is needed to build a transaction now: tron-client."""

    async def signing_context(self) -> SigningContextView:
        """Return a solid reference block, the head and the prices."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a transaction says besides what it does."""

    reference: ReferenceBlock
    expiration_ms: int
    timestamp_ms: int
    fee_limit_sun: int
    permission_id: int
    memo: bytes


class Signing:
    """Signs queued sends in batches."""

    def __init__(
        self,
        *,
        store: WalletStore,
        vault: Vault,
        chain: Surroundings,
        clock: Clock,
        rules: SigningRules,
        quarantine: Quarantine,
        guards: Sequence[Guard],
        books_lock: asyncio.Lock,
    ) -> None:
        self._store = store
        self._vault = vault
        self._chain = chain
        self._planner = Planner(chain=chain, rules=rules)
        self._clock = clock
        self._rules = rules
        self._quarantine = quarantine
        self._guards = guards
        self._books_lock = books_lock

    def unready_reason(self) -> str | None:
        """Say why nothing can be signed, or None."""
        if not self._rules.enabled:
            return "signing is off: MAINNET_SIGNING_ENABLED is the second switch that mainnet needs"
        reasons = (guard.reason() for guard in self._guards)
        return next((reason for reason in reasons if reason is not None), None)

    async def sign_due(self) -> bool:
        """Sign a batch of queued sends that are due; True when there may be more."""
        if self.unready_reason() is not None or self._quarantine.reason() is not None:
            return False
        now_ms = self._clock.now_ms()
        leased = await self._store.claim_queued(now_ms=now_ms, limit=self._rules.batch)
        if not leased:
            return False
        try:
            await self._sign(leased, now_ms)
        except BaseException:
            await self._store.storage.release(SENDS, [one.lease for one in leased])
            raise
        return len(leased) == self._rules.batch

    async def _sign(self, leased: Sequence[Leased[Send]], now_ms: int) -> None:
        leased = await self._quarantine.settle(leased)
        context = await self._context(now_ms)
        sends = [one.record for one in leased]
        simulations = await self._planner.simulate(sends)
        async with self._books_lock:
            round_ = await self._round(sends, simulations, context, now_ms)
            try:
                await self._sign_round(leased, round_)
            except (
                DuplicateRecord
            ) as taken:  # the mark after a used one was used: nothing was stored
                if taken.index != "stamp":
                    raise
                again = await self._round(sends, simulations, context, now_ms)
                await self._sign_round(leased, replace(again, looks_up_stamps=True))

    async def _sign_round(self, leased: Sequence[Leased[Send]], round_: Round) -> None:
        change = Change()
        for one in leased:
            change.lease(one.lease)
            await self._sign_one(one.record, round_, change)
        for desk in round_.desks:
            desk.write(change)
        await self._store.commit(change)

    async def _round(
        self,
        sends: Sequence[Send],
        simulations: Mapping[str, CallView],
        context: SigningContextView,
        now_ms: int,
    ) -> Round:
        pairs = [(send.owner, currency) for send in sends for currency in Currency]
        wallets = {
            id_: wallet
            for id_ in {send.wallet_id for send in sends}
            if (wallet := await self._store.wallet(id_))
        }
        after = [send.after_key for send in sends if send.after_key is not None]
        return Round(
            now_ms=now_ms,
            context=context,
            prices=_believed(context),
            wallets=wallets,
            simulations=simulations,
            positions=await self._store.positions(pairs),
            lanes=await self._store.lanes(send.lane for send in sends if send.lane is not None),
            predecessors=await self._store.sends_by_key(after) if after else {},
            desks=[await guard.open(sends, now_ms=now_ms) for guard in self._guards],
            stamps=await self._taken_stamps(sends, context),
        )

    async def _context(self, now_ms: int) -> SigningContextView:
        context = await self._chain.signing_context()
        if context.genesis_block_id != self._rules.genesis_block_id:
            raise Unavailable("the chain is another one than this installation signs for")
        if context.paused is not None:
            raise Unavailable(f"tron-client says to sign nothing: {context.paused}")
        clocks = [now_ms, context.head.timestamp_ms]
        if context.second_head_timestamp_ms is not None:
            clocks.append(context.second_head_timestamp_ms)
        skew_ms = max(clocks) - min(clocks)
        if skew_ms > self._rules.max_skew_ms:
            raise Unavailable(
                f"the chain's heads and the clock differ by {skew_ms // MS_PER_S} s; nothing is signed"
            )
        heights = (context.reference.height, context.solid.height, context.head.height)
        if sorted(heights) != list(heights) or heights[2] - heights[0] > MAX_REFERENCE_AGE:
            raise Unavailable(f"tron-client names blocks that cannot be: heights {heights}")
        try:
            _reference(context)
        except InvalidOperation as error:
            raise Unavailable(f"tron-client names no reference that can be: {error}") from None
        return context

    async def _sign_one(self, send: Send, round_: Round, change: Change) -> None:
        objection = self._may_be_out(send, round_) or self._objection(send, round_)
        if objection is not None:
            self._object(send, objection, round_, change)
            return
        signatures = 1 if self._signs_alone(send, round_) else MAX_SIGNATURES
        try:
            plan = self._planner.plan(send, round_, signatures=signatures)
        except InvalidOperation as error:
            self._refuse(send, error, round_, change)
            return
        if isinstance(plan, Objection):
            self._object(send, plan, round_, change)
            return
        await self._sign_planned(send, plan, round_, change)

    def _objection(self, send: Send, round_: Round) -> Objection | None:
        """Say why a send is not to be signed, whatever it would cost, or None."""
        if round_.now_ms > send.not_after_ms:
            told = _reason_of(send, "its time is over")
            return Objection(rule=Rule.NOT_AFTER, detail=told, is_final=True)
        if send.attempt >= self._rules.max_attempts:
            told = "all attempts expired unseen"
            return Objection(rule=Rule.ATTEMPTS, detail=told, is_final=True)
        if not self._quarantine.is_asked_for(send):
            told = (
                "its caller to ask for it again: it may have been cancelled after the restored copy"
            )
            return Objection(rule="restored", detail=told)
        if (status := round_.wallets[send.wallet_id].status) is not WalletStatus.ACTIVE:
            return Objection(rule="wallet", detail=f"its wallet, which is {status}")
        turn = turn_of(send, round_.lanes, round_.predecessors)
        if turn is not None:
            return Objection(rule=turn.rule, detail=turn.detail, is_final=turn.ends)
        return None

    def _may_be_out(self, send: Send, round_: Round) -> Objection | None:
        """Object as long as bytes that a copy forgot may still be completed elsewhere (H5, H7).

        Nothing ends such a send before, not even its time.
        """
        until_ms = self._quarantine.forgot_ms() + self._rules.offline_lifetime_ms
        if self._signs_alone(send, round_) or round_.now_ms > until_ms:
            return None
        told = (
            f"bytes that left before the restore, which may be completed until {rfc3339(until_ms)}"
        )
        return Objection(rule="restored", detail=told)

    def _object(self, send: Send, objection: Objection, round_: Round, change: Change) -> None:
        if not objection.is_final:
            self._put_off(send, objection.detail, round_, change)
            return
        ended = send.given_up(objection.rule, objection.detail, at_ms=round_.now_ms)
        change.send(ended, send_view(ended))
        change.decide(
            decided(
                Act.SEND_ENDED,
                send.id,
                at_ms=round_.now_ms,
                why=objection.rule,
                state=ended.state.value,
                detail=objection.detail,
            )
        )

    async def _sign_planned(self, send: Send, plan: FeePlan, round_: Round, change: Change) -> None:
        signs_alone = self._signs_alone(send, round_)
        head_ms = round_.context.head.timestamp_ms
        lifetime_ms = self._rules.lifetime_ms if signs_alone else self._rules.offline_lifetime_ms
        terms = Terms(
            reference=_reference(round_.context),
            expiration_ms=head_ms + lifetime_ms,
            timestamp_ms=await self._stamp(send, round_),
            fee_limit_sun=plan.fee_limit_sun,
            permission_id=send.permission_id,
            memo=send.memo.encode(),
        )
        try:
            signed = self._made(
                send, terms, round_.wallets[send.wallet_id], signs_alone=signs_alone
            )
        except (SignatureRefused, IntentMismatch, UnexpectedBytes, InvalidOperation) as error:
            self._refuse(send, error, round_, change)
            return
        self._record(send, plan, round_, change, signed=signed, terms=terms)

    def _made(self, send: Send, terms: Terms, wallet: Wallet, *, signs_alone: bool) -> Signed:
        operation = send.operation()
        if signs_alone:
            return self._vault.sign(operation, leaf=wallet.key_of(send.leaf), **_said(terms))
        raw_data = meant_raw_data(operation, **_said(terms))
        return Signed(txid=txid(raw_data), raw_data=raw_data, signature=b"")

    def _signs_alone(self, send: Send, round_: Round) -> bool:
        """True when one signature of the key kept here is all it takes."""
        return round_.wallets[send.wallet_id].signs_alone and not send.permission_id

    def _record(
        self,
        send: Send,
        plan: FeePlan,
        round_: Round,
        change: Change,
        *,
        signed: Signed,
        terms: Terms,
    ) -> None:
        hold = hold_for(send, plan)
        for currency in Currency:
            if amount := hold.of(currency):
                id_ = position_id(send.owner, currency)
                round_.positions[id_] = round_.positions[id_].hold(amount)
                change.position(round_.positions[id_])
        for desk in round_.desks:
            desk.take(send, hold)
        change.attempt(
            Attempt(
                id=signed.txid,
                send_id=send.id,
                number=send.attempt + 1,
                owner=send.owner,
                stamp_ms=terms.timestamp_ms,
                raw_data=signed.raw_data.hex(),
                signature=signed.signature.hex(),
                expires_at_ms=terms.expiration_ms,
                reference_height=terms.reference.height,
                created_at_ms=round_.now_ms,
            )
        )
        state = SendState.SIGNED if signed.signature else SendState.AWAITING_SIGNATURE
        after = replace(
            send.moved(state, at_ms=round_.now_ms),
            attempt=send.attempt + 1,
            txid=signed.txid,
            expires_at_ms=terms.expiration_ms,
            fee_limit_sun=plan.fee_limit_sun,
            hold=hold,
            due_ms=round_.now_ms,
            waiting_for=None if signed.signature else "signatures that are made elsewhere",
        )
        change.send(after, send_view(after))

    def _refuse(self, send: Send, error: Exception, round_: Round, change: Change) -> None:
        """Put off what cannot be signed, so that the others of its round are."""
        log.error("send.unsignable", send_id=send.id, error=type(error).__name__)
        self._put_off(send, f"signing was refused: {type(error).__name__}", round_, change)

    def _put_off(self, send: Send, reason: str, round_: Round, change: Change) -> None:
        due_ms = round_.now_ms + self._rules.retry_ms
        later = send.waiting(reason, due_ms=due_ms, at_ms=round_.now_ms)
        news = send_view(later) if reason != send.waiting_for else None
        change.send(later, news)

    async def _taken_stamps(
        self, sends: Sequence[Send], context: SigningContextView
    ) -> set[tuple[Address, int]]:
        """Return which of the marks that these attempts begin at were used, of 600,000 in a window."""
        with contextlib.suppress(VaultLocked):  # locked meanwhile: its guard keeps all of them back
            marks = {(send.owner, self._first_stamp(send, context)) for send in sends}
            stored = await asyncio.gather(*(self._is_stored(*mark) for mark in marks))
            return {mark for mark, is_stored in zip(marks, stored, strict=True) if is_stored}
        return set()

    def _first_stamp(self, send: Send, context: SigningContextView) -> int:
        floor_ms = context.head.timestamp_ms - STAMP_FLOOR_MS
        return self._vault.stamp_ms(send.send_key, send.attempt + 1, floor_of_ms=floor_ms)

    async def _stamp(self, send: Send, round_: Round) -> int:
        stamp_ms = self._first_stamp(send, round_.context)
        while await self._is_taken(send.owner, stamp_ms, round_):
            stamp_ms += 1
        round_.stamps.add((send.owner, stamp_ms))
        return stamp_ms

    async def _is_taken(self, owner: Address, stamp_ms: int, round_: Round) -> bool:
        if (owner, stamp_ms) in round_.stamps:
            return True
        return round_.looks_up_stamps and await self._is_stored(owner, stamp_ms)

    async def _is_stored(self, owner: Address, stamp_ms: int) -> bool:
        return await self._store.storage.find(ATTEMPTS, "stamp", owner, stamp_ms) is not None


def _reference(context: SigningContextView) -> ReferenceBlock:
    told = context.reference
    return ReferenceBlock(height=told.height, block_id=told.block_id)


def _said(terms: Terms) -> dict[str, Any]:
    return {field.name: getattr(terms, field.name) for field in fields(terms)}


def _believed(context: SigningContextView) -> Prices:
    try:
        return prices_of(context)
    except AbsurdPrices as error:
        raise Unavailable(str(error)) from None


def _reason_of(send: Send, otherwise: str) -> str:
    return f"{otherwise}; it waited for: {send.waiting_for}" if send.waiting_for else otherwise

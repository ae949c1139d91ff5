"""The send engine: intents in, signed attempts out, each send on chain at most once.

An intent is stored before anything else happens. Signing and the hold on the money are one commit;
only then do bytes leave. TRON has no nonce, so sends never wait for one another.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from services.wallet_manager.domain import policy
from services.wallet_manager.domain.books import (
    FeePlan,
    Position,
    Prices,
    fee_plan,
    hold_for,
    position_id,
)
from services.wallet_manager.domain.sends import (
    STAMP_FLOOR_MS,
    Attempt,
    ImpossibleSend,
    OrdinalTooEarly,
    Rule,
    Send,
    SendKeyReused,
    require_fitting,
    state_after_broadcast,
    whole_units,
)
from services.wallet_manager.domain.wallets import UnknownWallet, Wallet
from services.wallet_manager.service.views import send_view
from services.wallet_manager.store import ATTEMPTS, SENDS, Change, WalletStore
from services.wallet_manager.vault import Leaf, SignatureRefused, Signed, Vault
from shared.clock import MS_PER_S, Clock
from shared.errors import Forbidden, Problem, Unavailable
from shared.ids import NewId, send_key, split_send_key
from shared.logs import get_logger
from shared.models.tron_client import (
    CallRequest,
    CallView,
    SignedTransaction,
    SigningContextView,
    SubmittedView,
)
from shared.models.wallet_manager import (
    NEGATIVE_SEND_STATES,
    Intent,
    SendKind,
    SendProblem,
    SendResult,
    SendState,
    WalletStatus,
)
from shared.money import Currency, format_base_units
from shared.peers.caller import PeerRefused
from shared.storage import Leased, StorageError
from shared.tron import abi
from shared.tron.address import EVM_LENGTH, Address, address_from_bytes
from shared.tron.decoding import IntentMismatch
from shared.tron.operation import InvalidOperation, ReferenceBlock, Resource

log = get_logger(__name__)


class Chain(Protocol):
    """Reads the chain and takes over signed bytes: tron-client."""

    async def signing_context(self) -> SigningContextView:
        """Return a solid reference block, the head and the prices."""
        ...

    async def call_contracts(self, calls: Sequence[CallRequest]) -> list[CallView]:
        """Run constant calls."""
        ...

    async def submit(self, transactions: Sequence[SignedTransaction]) -> list[SubmittedView]:
        """Take signed transactions over."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRules:
    """What limits every signature.

    Attributes:
        genesis_block_id: of the one chain that is signed for.
        usdt_contract: the one token contract that is signed for.
        enabled: False on mainnet until the operator's second switch is on.
        lifetime_ms: from the head block's time to the expiration.
        max_skew_ms: largest difference between head time and the clock.
        max_attempts: signed transactions for one send.
        batch: sends signed and submitted together.
        retry_ms: pause before a waiting send is looked at again.
        margin_percent: what a fee limit adds to the simulated energy.
    """

    genesis_block_id: str
    usdt_contract: Address
    enabled: bool
    lifetime_ms: int
    max_skew_ms: int
    max_attempts: int
    batch: int
    retry_ms: int
    margin_percent: int


@dataclass(slots=True, kw_only=True)
class _Round:
    """What one signing round works with; positions change as sends are signed."""

    now_ms: int
    context: SigningContextView
    wallets: dict[str, Wallet]
    simulations: dict[Address, CallView]
    positions: dict[str, Position]
    stamps: set[tuple[Address, int]]


class Sender:
    """Takes intents on and brings them to the chain."""

    def __init__(
        self,
        *,
        store: WalletStore,
        vault: Vault,
        chain: Chain,
        clock: Clock,
        new_id: NewId,
        rules: SigningRules,
        books_lock: asyncio.Lock,
    ) -> None:
        self._store = store
        self._vault = vault
        self._chain = chain
        self._clock = clock
        self._new_id = new_id
        self._rules = rules
        self._books_lock = books_lock
        self._wake_signing: Callable[[], None] = _nothing
        self._wake_submitting: Callable[[], None] = _nothing

    def when_there_is_work(self, *, sign: Callable[[], None], submit: Callable[[], None]) -> None:
        """Say whom to wake when there is something to sign or to submit."""
        self._wake_signing = sign
        self._wake_submitting = submit

    def unready_reason(self) -> str | None:
        """Say why nothing can be signed, or None."""
        if self._rules.enabled:
            return None
        return "signing is off: MAINNET_SIGNING_ENABLED is the second switch that mainnet needs"

    async def accept(self, intents: Sequence[Intent], *, caller: str | None) -> list[SendResult]:
        """Take intents on, each on its own; a repeated key returns the stored send.

        Args:
            intents: what the stack means to do.
            caller: the service that asks.

        Returns:
            One result for each intent, in order: the stored send, or why nothing was stored.

        Raises:
            Forbidden: the caller is no service.
        """
        if caller is None:
            raise Forbidden(
                "sends are asked for by services; people go through payouts", rule="caller"
            )
        known = await self._store.sends_by_key([intent.send_key for intent in intents])
        results: dict[int, SendResult] = {}
        fresh: dict[int, Send] = {}
        for position, intent in enumerate(intents):
            try:
                policy.check(intent, caller=caller)
                stored = known.get(intent.send_key) or _same_key(intent, fresh)
                if stored is None:
                    await self._check_ordinal(intent.send_key)
                    fresh[position] = await self._new_send(intent)
                else:
                    results[position] = _replay(intent, stored)
            except Problem as problem:
                results[position] = _problem(intent.send_key, problem)
        results |= await self._add(fresh, intents)
        if fresh:
            self._wake_signing()
        return [results[position] for position in range(len(intents))]

    async def sign_due(self) -> bool:
        """Sign a batch of queued sends that are due; True when there may be more."""
        if not self._rules.enabled:
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
        self._wake_submitting()
        return len(leased) == self._rules.batch

    async def submit_signed(self) -> bool:
        """Hand signed bytes to tron-client until it has them; True when there may be more."""
        now_ms = self._clock.now_ms()
        sends = await self._store.due_to_submit(now_ms=now_ms, limit=self._rules.batch)
        if not sends:
            return False
        answers, refused = await self._submitted(await self._signed_bytes(sends))
        await self._note_submitted(answers, refused)
        return len(sends) == self._rules.batch

    async def hand_over_again(self) -> None:
        """Give tron-client every transaction under way once more, since it lost what it knew (H5).

        Repeats are harmless; what became of them comes back through the feed.
        """
        for state in (SendState.SUBMITTED, SendState.UNKNOWN, SendState.SEEN):
            cursor: str | None = None
            while True:
                page = await self._store.in_state(state, limit=self._rules.batch, cursor=cursor)
                if page.items:
                    await self._submitted(await self._signed_bytes(page.items))
                cursor = page.next
                if cursor is None:
                    break

    async def _signed_bytes(self, sends: Sequence[Send]) -> list[SignedTransaction]:
        attempts = await self._store.attempts([send.txid for send in sends if send.txid])
        return [
            SignedTransaction(
                send_key=send.send_key,
                raw_data=attempts[send.txid].raw_data,
                signatures=[attempts[send.txid].signature],
                expires_at_ms=attempts[send.txid].expires_at_ms,
            )
            for send in sends
            if send.txid
        ]

    async def send(self, send_id: str) -> Send | None:
        """Return a send by id."""
        return await self._store.send(send_id)

    async def lookup(
        self, *, send_keys: Sequence[str], txids: Sequence[str]
    ) -> tuple[list[Send], dict[str, str]]:
        """Return sends by key or transaction, and the send id of every transaction that is ours."""
        by_key = await self._store.sends_by_key(send_keys) if send_keys else {}
        attempts = await self._store.attempts(txids) if txids else {}
        by_id = await self._store.sends(attempt.send_id for attempt in attempts.values())
        sends = {send.id: send for send in (*by_key.values(), *by_id.values())}
        return list(sends.values()), {txid: one.send_id for txid, one in attempts.items()}

    async def _new_send(self, intent: Intent) -> Send:
        require_fitting(intent)
        wallet = await self._store.wallet(intent.wallet_id)
        if wallet is None:
            raise UnknownWallet("there is no such wallet", wallet_id=intent.wallet_id)
        if intent.params.contract_address not in {None, self._rules.usdt_contract}:
            raise policy.PolicyRefusal("only the configured token is signed for", rule="contract")
        now_ms = self._clock.now_ms()
        resource = intent.params.resource
        send = Send(
            id=self._new_id("snd"),
            send_key=intent.send_key,
            origin_service=intent.origin.service,
            origin_principal=intent.origin.principal,
            purpose=intent.purpose,
            wallet_id=wallet.id,
            owner=wallet.address,
            kind=intent.kind,
            recipient=intent.params.recipient,
            contract=intent.params.contract_address,
            amount=whole_units(intent.params.amount_base_units, field="amount_base_units"),
            resource=Resource(resource) if resource else None,
            max_fee_sun=whole_units(intent.max_fee_sun, field="max_fee_sun"),
            not_after_ms=intent.not_after,
            due_ms=now_ms,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        try:
            send.operation()
        except InvalidOperation as error:
            raise ImpossibleSend(str(error), field=error.field) from None
        return send

    async def _check_ordinal(self, key: str) -> None:
        origin, object_id, ordinal = split_send_key(key)
        if ordinal == 0:
            return
        before_key = send_key(origin, object_id, ordinal - 1)
        before = (await self._store.sends_by_key([before_key])).get(before_key)
        if before is None or before.state not in NEGATIVE_SEND_STATES:
            raise OrdinalTooEarly(
                "the ordinal before has no final negative answer", send_key=before_key
            )

    async def _add(
        self, fresh: dict[int, Send], intents: Sequence[Intent]
    ) -> dict[int, SendResult]:
        if not fresh:
            return {}
        outcomes = await self._store.add_sends([(send, send_view(send)) for send in fresh.values()])
        results: dict[int, SendResult] = {}
        for (position, send), outcome in zip(fresh.items(), outcomes, strict=True):
            match outcome:
                case True:
                    results[position] = SendResult(send_key=send.send_key, send=send_view(send))
                case False:
                    stored = (await self._store.sends_by_key([send.send_key]))[send.send_key]
                    results[position] = _replayed_or_problem(intents[position], stored)
                case StorageError():
                    raise outcome
        return results

    async def _sign(self, leased: Sequence[Leased[Send]], now_ms: int) -> None:
        context = await self._context(now_ms)
        sends = [one.record for one in leased]
        simulations = await self._simulate(sends)
        wallets = {
            id_: wallet
            for id_ in {send.wallet_id for send in sends}
            if (wallet := await self._store.wallet(id_))
        }
        async with self._books_lock:
            pairs = [(send.owner, currency) for send in sends for currency in Currency]
            round_ = _Round(
                now_ms=now_ms,
                context=context,
                wallets=wallets,
                simulations=simulations,
                positions=await self._store.positions(pairs),
                stamps=set(),
            )
            change = Change()
            for one in leased:
                change.lease(one.lease)
                await self._sign_one(one.record, round_, change)
            await self._store.commit(change)

    async def _context(self, now_ms: int) -> SigningContextView:
        context = await self._chain.signing_context()
        if context.genesis_block_id != self._rules.genesis_block_id:
            raise Unavailable("the chain is another one than this installation signs for")
        skew_ms = abs(context.head.timestamp_ms - now_ms)
        if skew_ms > self._rules.max_skew_ms:
            raise Unavailable(
                f"the chain's head and the clock differ by {skew_ms // MS_PER_S} s; nothing is signed"
            )
        return context

    async def _simulate(self, sends: Sequence[Send]) -> dict[Address, CallView]:
        """Simulate, once for each owner, the dearest token transfer there is.

        It goes to an address that nobody ever paid: a recipient may spend its balance before the
        block, so every fee limit has to cover that price (an attempt that runs out of energy costs
        its whole limit and pays nobody).
        """
        owners = sorted({send.owner for send in sends if send.kind is SendKind.TRC20_TRANSFER})
        nobody = address_from_bytes(os.urandom(EVM_LENGTH))
        calls = [
            CallRequest(
                owner_address=owner,
                contract_address=self._rules.usdt_contract,
                data=abi.encode_transfer(nobody, 1).hex(),
            )
            for owner in owners
        ]
        answers = await self._chain.call_contracts(calls) if calls else []
        return dict(zip(owners, answers, strict=True))

    async def _sign_one(self, send: Send, round_: _Round, change: Change) -> None:
        now_ms = round_.now_ms
        if now_ms > send.not_after_ms:
            ended = send.given_up(
                Rule.NOT_AFTER, _reason_of(send, "its time is over"), at_ms=now_ms
            )
            change.send(ended, send_view(ended))
            return
        if send.attempt >= self._rules.max_attempts:
            ended = send.given_up(Rule.ATTEMPTS, "all attempts expired unseen", at_ms=now_ms)
            change.send(ended, send_view(ended))
            return
        if (status := round_.wallets[send.wallet_id].status) is not WalletStatus.ACTIVE:
            self._put_off(send, f"its wallet, which is {status}", round_, change)
            return
        plan = self._plan(send, round_)
        obstacle = plan if isinstance(plan, str) else self._obstacle(send, plan, round_)
        if isinstance(plan, str) or obstacle is not None:
            self._put_off(send, obstacle or "", round_, change)
            return
        await self._sign_planned(send, plan, round_, change)

    def _plan(self, send: Send, round_: _Round) -> FeePlan | str:
        energy = 0
        if send.kind is SendKind.TRC20_TRANSFER:
            simulation = round_.simulations[send.owner]
            currency = position_id(send.owner, Currency.USDT)
            funded = round_.positions[currency].available >= send.amount
            if simulation.reverted and funded:
                return f"the contract would revert: {simulation.revert_reason or 'no reason given'}"
            energy = simulation.energy_used
        parameters = round_.context.parameters
        prices = Prices(
            energy_fee_sun=parameters.energy_fee_sun,
            bandwidth_fee_sun=parameters.bandwidth_fee_sun,
            activation_fee_sun=parameters.activation_fee_sun,
            activation_bandwidth_fee_sun=parameters.activation_bandwidth_fee_sun,
            max_fee_limit_sun=parameters.max_fee_limit_sun,
        )
        return fee_plan(
            send.kind, energy=energy, margin_percent=self._rules.margin_percent, prices=prices
        )

    def _obstacle(self, send: Send, plan: FeePlan, round_: _Round) -> str | None:
        if plan.worst_sun > send.max_fee_sun:
            return f"a fee of up to {plan.worst_sun} sun is above the ceiling of {send.max_fee_sun} sun"
        hold = hold_for(send, plan)
        for currency in Currency:
            available = round_.positions[position_id(send.owner, currency)].available
            if hold.of(currency) > available:
                return (
                    f"insufficient funds: {format_base_units(hold.of(currency))} {currency} needed,"
                    f" {format_base_units(max(available, 0))} {currency} available"
                )
        return None

    async def _sign_planned(
        self, send: Send, plan: FeePlan, round_: _Round, change: Change
    ) -> None:
        number = send.attempt + 1
        stamp_ms = await self._stamp(send, number, round_)
        expires_ms = round_.context.head.timestamp_ms + self._rules.lifetime_ms
        try:
            signed = self._vault.sign(
                send.operation(),
                leaf=Leaf(account=round_.wallets[send.wallet_id].account, index=0),
                reference=ReferenceBlock(
                    height=round_.context.reference.height,
                    block_id=round_.context.reference.block_id,
                ),
                expiration_ms=expires_ms,
                timestamp_ms=stamp_ms,
                fee_limit_sun=plan.fee_limit_sun,
            )
        except (SignatureRefused, IntentMismatch, InvalidOperation) as error:
            log.error("send.unsignable", send_id=send.id, error=type(error).__name__)  # noqa: TRY400
            self._put_off(send, f"signing was refused: {type(error).__name__}", round_, change)
            return
        self._record(send, plan, signed, round_, change, stamp_ms=stamp_ms, expires_ms=expires_ms)

    def _record(
        self,
        send: Send,
        plan: FeePlan,
        signed: Signed,
        round_: _Round,
        change: Change,
        *,
        stamp_ms: int,
        expires_ms: int,
    ) -> None:
        hold = hold_for(send, plan)
        for currency in Currency:
            if amount := hold.of(currency):
                id_ = position_id(send.owner, currency)
                round_.positions[id_] = round_.positions[id_].hold(amount)
                change.position(round_.positions[id_])
        change.attempt(
            Attempt(
                id=signed.txid,
                send_id=send.id,
                number=send.attempt + 1,
                owner=send.owner,
                stamp_ms=stamp_ms,
                raw_data=signed.raw_data.hex(),
                signature=signed.signature.hex(),
                expires_at_ms=expires_ms,
                reference_height=round_.context.reference.height,
                created_at_ms=round_.now_ms,
            )
        )
        after = replace(
            send.moved(SendState.SIGNED, at_ms=round_.now_ms),
            attempt=send.attempt + 1,
            txid=signed.txid,
            expires_at_ms=expires_ms,
            fee_limit_sun=plan.fee_limit_sun,
            hold=hold,
            due_ms=round_.now_ms,
        )
        change.send(after, send_view(after))

    def _put_off(self, send: Send, reason: str, round_: _Round, change: Change) -> None:
        due_ms = round_.now_ms + self._rules.retry_ms
        later = send.waiting(reason, due_ms=due_ms, at_ms=round_.now_ms)
        news = send_view(later) if reason != send.waiting_for else None
        change.send(later, news)

    async def _stamp(self, send: Send, number: int, round_: _Round) -> int:
        floor_ms = round_.context.head.timestamp_ms - STAMP_FLOOR_MS
        stamp_ms = self._vault.stamp_ms(send.send_key, number, floor_of_ms=floor_ms)
        while (send.owner, stamp_ms) in round_.stamps or await self._store.storage.find(
            ATTEMPTS, "stamp", send.owner, stamp_ms
        ):
            stamp_ms += 1
        round_.stamps.add((send.owner, stamp_ms))
        return stamp_ms

    async def _submitted(
        self, transactions: Sequence[SignedTransaction]
    ) -> tuple[list[SubmittedView], dict[str, str]]:
        """Return the answers, and by send key why tron-client did not take a transaction."""
        try:
            return await self._chain.submit(transactions), {}
        except PeerRefused as refusal:
            if len(transactions) == 1:
                key = transactions[0].send_key
                log.warning("send.submission_refused", send_key=key, detail=refusal.detail)
                return [], {key: refusal.detail}
        answers: list[SubmittedView] = []
        refused: dict[str, str] = {}
        for transaction in transactions:  # one bad one must not hold up the rest
            taken, not_taken = await self._submitted([transaction])
            answers += taken
            refused |= not_taken
        return answers, refused

    async def _note_submitted(
        self, answers: Sequence[SubmittedView], refused: Mapping[str, str]
    ) -> None:
        now_ms = self._clock.now_ms()
        async with self._books_lock:
            attempts = await self._store.attempts([answer.txid for answer in answers])
            sends = await self._store.sends(attempt.send_id for attempt in attempts.values())
            change = Change()
            for answer in answers:
                send = sends[attempts[answer.txid].send_id]
                if send.state is not SendState.SIGNED or send.txid != answer.txid:
                    continue  # the feed was quicker
                state = state_after_broadcast(answer.outcome)
                after = send.moved(state, at_ms=now_ms)
                if state is SendState.UNKNOWN:
                    told = answer.message or answer.code or "the node gave no answer"
                    after = replace(after, waiting_for=f"a verdict: {told}"[:300])
                change.send(after, send_view(after))
            for key, send in (await self._store.sends_by_key(list(refused))).items():
                if send.state is SendState.SIGNED:  # behind the others from now on
                    reason = f"tron-client, which refused it: {refused[key]}"[:300]
                    due_ms = now_ms + self._rules.retry_ms
                    later = send.waiting(reason, due_ms=due_ms, at_ms=now_ms)
                    change.send(later, send_view(later) if reason != send.waiting_for else None)
            if not change.is_empty():
                await self._store.commit(change)


def _nothing() -> None:
    return None


def _same_key(intent: Intent, fresh: dict[int, Send]) -> Send | None:
    return next((send for send in fresh.values() if send.send_key == intent.send_key), None)


def _replay(intent: Intent, stored: Send) -> SendResult:
    if not stored.is_meant_by(intent):
        raise SendKeyReused(
            "this send key names another transfer", send_key=intent.send_key, send_id=stored.id
        )
    return SendResult(send_key=intent.send_key, replayed=True, send=send_view(stored))


def _replayed_or_problem(intent: Intent, stored: Send) -> SendResult:
    try:
        return _replay(intent, stored)
    except SendKeyReused as problem:
        return _problem(intent.send_key, problem)


def _problem(key: str, problem: Problem) -> SendResult:
    return SendResult(
        send_key=key,
        problem=SendProblem(
            status=int(problem.status),
            code=problem.code,
            detail=problem.detail,
            facts=dict(problem.facts),
        ),
    )


def _reason_of(send: Send, otherwise: str) -> str:
    return f"{otherwise}; it waited for: {send.waiting_for}" if send.waiting_for else otherwise

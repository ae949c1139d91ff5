"""Taking intents on: each at most once per key, each stored before anything else happens."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.wallet_manager.domain import policy
from services.wallet_manager.domain.fees import MAX_SIGNATURES, bandwidth_needed
from services.wallet_manager.domain.meaning import (
    ImpossibleSend,
    details_of,
    lane_of,
    require_fitting,
)
from services.wallet_manager.domain.sends import (
    OrdinalTooEarly,
    Send,
    SendKeyReused,
    whole_units,
)
from services.wallet_manager.domain.wallets import DepositAddress, UnknownWallet, Wallet
from services.wallet_manager.service.guard import Door, Gate
from services.wallet_manager.service.rules import SigningRules
from services.wallet_manager.service.views import send_view
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import ADDRESSES
from shared.clock import Clock
from shared.errors import Forbidden, Problem, Unavailable
from shared.ids import NewId, send_key, split_send_key
from shared.models.wallet_sends import (
    Intent,
    SendKind,
    SendProblem,
    SendResult,
    SendState,
)
from shared.storage import StaleRecord, StorageError
from shared.tron.operation import InvalidOperation, Resource

TRIES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Payers:
    """Who may pay the sends of a batch, and who decides on it.

    Attributes:
        wallets: by id, those that exist.
        leaves: deposit addresses of ours that are named, by address.
        doors: asked in this order.
    """

    wallets: Mapping[str, Wallet]
    leaves: Mapping[str, DepositAddress]
    doors: Sequence[Door]


class Intake:
    """Takes intents on and finds what became of them."""

    def __init__(
        self,
        *,
        store: WalletStore,
        clock: Clock,
        new_id: NewId,
        rules: SigningRules,
        gates: Sequence[Gate],
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._rules = rules
        self._gates = gates

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
        payers = await self._payers(intents)
        results: dict[int, SendResult] = {}
        fresh: dict[int, Send] = {}
        twins: dict[int, int] = {}
        changes: dict[int, Change] = {}
        for position, intent in enumerate(intents):
            try:
                policy.check(intent, caller=caller)
                stored = known.get(intent.send_key)
                twin = _same_key(intent, fresh)
                if twin is not None:
                    _replay(intent, fresh[twin])
                    twins[position] = twin
                elif stored is None:
                    await self._check_ordinal(intent.send_key)
                    changes[position] = Change()
                    fresh[position] = await self._admitted(
                        intent, payers, caller=caller, change=changes[position]
                    )
                else:
                    results[position] = _replay(intent, stored)
                    await self._note_asked(stored)
            except Problem as problem:
                results[position] = _problem(intent.send_key, problem)
        results |= await self._add(fresh, changes, intents)
        for position, twin in twins.items():
            results[position] = results[twin].model_copy(update={"replayed": True})
        return [results[position] for position in range(len(intents))]

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

    async def _payers(self, intents: Sequence[Intent]) -> Payers:
        wallets = await self._store.wallets_by_id(intent.wallet_id for intent in intents)
        from_ = [intent.from_address for intent in intents if intent.from_address is not None]
        return Payers(
            wallets=wallets,
            leaves=await self._store.storage.get_many(ADDRESSES, list(dict.fromkeys(from_))),
            doors=[await gate.open(wallets) for gate in self._gates],
        )

    async def _admitted(
        self, intent: Intent, payers: Payers, *, caller: str, change: Change
    ) -> Send:
        require_fitting(intent.kind, intent.params)
        wallet = payers.wallets.get(intent.wallet_id)
        if wallet is None:
            raise UnknownWallet("there is no such wallet", wallet_id=intent.wallet_id)
        wallet.require_sends()
        await self._check_ends(intent)
        send = await self._in_order(
            self._new_send(intent, wallet, leaf=_leaf(intent, wallet, payers))
        )
        for door in payers.doors:
            await door.admit(send, caller=caller, change=change)
        change.send(send, send_view(send))
        return send

    async def _in_order(self, send: Send) -> Send:
        """Return a send as newer than every other of its lane, also after a clock was set back (H16)."""
        if send.lane is None:
            return send
        others = (await self._store.lanes([send.lane]))[send.lane]
        newest_ms = max((other.created_at_ms for other in others), default=-1)
        return replace(send, created_at_ms=max(send.created_at_ms, newest_ms + 1))

    async def _check_ends(self, intent: Intent) -> None:
        recipient = intent.params.recipient
        if intent.purpose not in policy.TO_OURS:
            recipient = None  # it may go to anybody, so that nobody looks
        ours = await self._store.owned([recipient]) if recipient else set()
        own = await self._store.wallet_by_address(recipient) if recipient in ours else None
        is_to_own_wallet = own is not None and own.takes_sweeps_of(intent.wallet_id)
        policy.check_ends(intent, is_to_own_wallet=is_to_own_wallet, is_to_ours=bool(ours))

    async def _note_asked(self, stored: Send) -> None:
        """Note that a queued send of a restored copy is still wanted, so that it may be signed (H5)."""
        incarnation = self._store.storage.incarnation
        for _ in range(TRIES):
            if stored.state is not SendState.QUEUED or stored.was_asked_in(incarnation):
                return
            change = Change()
            change.send(stored.asked_again(incarnation, at_ms=self._clock.now_ms()), None)
            with contextlib.suppress(StaleRecord):
                await self._store.commit(change)
                return
            stored = (await self._store.sends_by_key([stored.send_key]))[stored.send_key]
        raise Unavailable("the send is being changed; try again", retry_after_s=1)

    def _new_send(self, intent: Intent, wallet: Wallet, *, leaf: int) -> Send:
        self._check_contract(intent)
        now_ms = self._clock.now_ms()
        resource = intent.params.resource
        send = Send(
            id=self._new_id("snd"),
            send_key=intent.send_key,
            origin_service=intent.origin.service,
            origin_principal=intent.origin.principal,
            purpose=intent.purpose,
            wallet_id=wallet.id,
            owner=(intent.from_address if leaf else None) or wallet.address,
            leaf=leaf,
            kind=intent.kind,
            recipient=intent.params.recipient,
            contract=intent.params.contract_address,
            amount=whole_units(intent.params.amount_base_units, field="amount_base_units"),
            resource=Resource(resource) if resource else None,
            details=details_of(intent.params),
            memo=intent.memo or "",
            permission_id=intent.permission_id,
            after_key=intent.after,
            lease_id=intent.reservation.lease_id if intent.reservation else None,
            reserved_energy=intent.reservation.energy if intent.reservation else 0,
            max_fee_sun=whole_units(intent.max_fee_sun, field="max_fee_sun"),
            asked_in=self._store.storage.incarnation,
            not_after_ms=intent.not_after,
            due_ms=now_ms,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        try:
            bandwidth_needed(send, MAX_SIGNATURES)  # what makes no bytes would fail a whole round
        except InvalidOperation as error:
            raise ImpossibleSend(str(error), field=error.field) from None
        return replace(send, lane=lane_of(send.meaning))

    def _check_contract(self, intent: Intent) -> None:
        """Refuse other tokens than the configured one, and free calls to that; the rest is policy's."""
        contract = intent.params.contract_address
        if intent.kind is SendKind.CONTRACT_CALL:
            if contract == self._rules.usdt_contract:
                raise policy.PolicyRefusal("the token is never called freely", rule="contract")
        elif contract not in {None, self._rules.usdt_contract}:
            raise policy.PolicyRefusal("only the configured token is signed for", rule="contract")

    async def _check_ordinal(self, key: str) -> None:
        origin, object_id, ordinal = split_send_key(key)
        if ordinal == 0:
            return
        before_key = send_key(origin, object_id, ordinal - 1)
        before = (await self._store.sends_by_key([before_key])).get(before_key)
        if before is None or not before.may_follow:
            raise OrdinalTooEarly(
                "the ordinal before has no final negative answer", send_key=before_key
            )

    async def _add(
        self, fresh: dict[int, Send], changes: dict[int, Change], intents: Sequence[Intent]
    ) -> dict[int, SendResult]:
        if not fresh:
            return {}
        outcomes = await self._store.add_sends([changes[position] for position in fresh])
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


def _leaf(intent: Intent, wallet: Wallet, payers: Payers) -> int:
    """Return which address of the wallet pays, 0 for its own; raises ImpossibleSend."""
    if intent.from_address in {None, wallet.address}:
        return 0
    found = payers.leaves.get(intent.from_address)
    if found is None or found.wallet_id != wallet.id:
        raise ImpossibleSend("it is no deposit address of this wallet", field="from_address")
    return found.index


def _same_key(intent: Intent, fresh: dict[int, Send]) -> int | None:
    """Return where an intent of the same key stands earlier in the same request, or None."""
    return next(
        (position for position, send in fresh.items() if send.send_key == intent.send_key), None
    )


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

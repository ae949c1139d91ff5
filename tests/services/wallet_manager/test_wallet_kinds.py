"""Every kind of intent: signed as it was meant, one after the other where order matters."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from services.wallet_manager.domain.meaning import ImpossibleSend
from services.wallet_manager.domain.sends import NotCancellable, SendKeyReused
from services.wallet_manager.domain.wallets import Wallet
from services.wallet_manager.store.schema import SENDS
from shared.errors import NotFound, Unavailable
from shared.models.tron_transactions import TransactionState
from shared.models.wallet_manager import WalletRequest, WalletType
from shared.models.wallet_sends import (
    Intent,
    KeyParam,
    Origin,
    PermissionParam,
    PermissionsParam,
    Purpose,
    Reservation,
    SendKind,
    SendParams,
    SendState,
    VoteParam,
)
from shared.money import Currency
from shared.storage import Unit
from shared.tron.decoding import decode_raw_data
from shared.tron.operation import (
    ApproveTrc20,
    CallContract,
    CancelUnfreezes,
    ClaimRewards,
    CreateAccount,
    DelegateResource,
    Operation,
    Permission,
    Resource,
    UndelegateResource,
    UpdatePermissions,
    Votes,
    VoteWitnesses,
    WeightedKey,
    WithdrawUnfrozen,
)
from tests.services.wallet_manager.till import (
    CUSTOMER,
    ENERGY,
    ENERGY_SUN,
    FEE_LIMIT_SUN,
    RETRY_MS,
    STRANGER,
    TRX,
    USDT,
    Till,
    fate,
    intent,
)
from tests.support import START_MS, address

STAKES = ("trx-staking", Purpose.STAKE)
CARE = ("payout-router", Purpose.MAINTENANCE)
ALLOWANCE = ("usdt-manager", Purpose.ALLOWANCE)
GATEWAY = ("payment-gateway", Purpose.ACTIVATION)
OPERATIONS = "02" + "00" * 31
RIGHTS = PermissionsParam(
    owner=PermissionParam(name="owner", threshold=1, keys=[KeyParam(address=CUSTOMER, weight=1)]),
    actives=[
        PermissionParam(
            name="pay",
            threshold=1,
            keys=[KeyParam(address=STRANGER, weight=1)],
            operations=OPERATIONS,
        )
    ],
)

KINDS: dict[SendKind, tuple[tuple[str, Purpose], dict[str, Any]]] = {
    SendKind.TRC20_APPROVE: (
        ALLOWANCE,
        {"amount_base_units": "7", "recipient": CUSTOMER, "contract_address": USDT},
    ),
    SendKind.CANCEL_UNFREEZE: (STAKES, {}),
    SendKind.WITHDRAW_UNFROZEN: (STAKES, {}),
    SendKind.CLAIM_REWARDS: (STAKES, {}),
    SendKind.DELEGATE: (
        STAKES,
        {
            "amount_base_units": str(5 * TRX),
            "recipient": CUSTOMER,
            "resource": "energy",
            "lock_blocks": 100,
        },
    ),
    SendKind.UNDELEGATE: (
        STAKES,
        {"amount_base_units": str(5 * TRX), "recipient": CUSTOMER, "resource": "bandwidth"},
    ),
    SendKind.VOTE: (STAKES, {"votes": [VoteParam(witness=STRANGER, count=3)]}),
    SendKind.ACCOUNT_ACTIVATE: (GATEWAY, {"recipient": CUSTOMER}),
    SendKind.PERMISSION_UPDATE: (CARE, {"permissions": RIGHTS}),
    SendKind.CONTRACT_CALL: (CARE, {"contract_address": STRANGER, "data": "d0e30db0"}),
}


def asked(kind: SendKind, name: str | None = None, **changes: Any) -> Intent:
    (service, purpose), params = KINDS[kind]
    fields: dict[str, Any] = {
        "send_key": f"{service}:{name or kind.value}:0",
        "origin": Origin(service=service, principal="ada"),
        "purpose": purpose,
        "wallet_id": "wal_000001",
        "kind": kind,
        "params": SendParams(**(params | changes.pop("params", {}))),
        "max_fee_sun": str(300 * TRX),
        "not_after": START_MS + 86_400_000,
    }
    return Intent(**(fields | changes))


def meant(kind: SendKind, owner: Any) -> Operation:
    lent = {"owner": owner, "to": CUSTOMER, "amount_sun": 5 * TRX}
    rights = UpdatePermissions(
        owner=owner,
        owner_permission=Permission(
            name="owner", threshold=1, keys=(WeightedKey(address=CUSTOMER, weight=1),)
        ),
        actives=(
            Permission(
                name="pay",
                threshold=1,
                keys=(WeightedKey(address=STRANGER, weight=1),),
                operations=bytes.fromhex(OPERATIONS),
            ),
        ),
    )
    call = CallContract(owner=owner, contract=STRANGER, data=bytes.fromhex("d0e30db0"))
    operations: dict[SendKind, Operation] = {
        SendKind.TRC20_APPROVE: ApproveTrc20(
            owner=owner, contract=USDT, spender=CUSTOMER, amount=7
        ),
        SendKind.CANCEL_UNFREEZE: CancelUnfreezes(owner=owner),
        SendKind.WITHDRAW_UNFROZEN: WithdrawUnfrozen(owner=owner),
        SendKind.CLAIM_REWARDS: ClaimRewards(owner=owner),
        SendKind.DELEGATE: DelegateResource(
            **lent, resource=Resource.ENERGY, is_locked=True, lock_blocks=100
        ),
        SendKind.UNDELEGATE: UndelegateResource(**lent, resource=Resource.BANDWIDTH),
        SendKind.VOTE: VoteWitnesses(owner=owner, votes=(Votes(witness=STRANGER, count=3),)),
        SendKind.ACCOUNT_ACTIVATE: CreateAccount(owner=owner, account=CUSTOMER),
        SendKind.PERMISSION_UPDATE: rights,
        SendKind.CONTRACT_CALL: call,
    }
    return operations[kind]


async def treasury_and_other(till: Till) -> Wallet:
    """Make the treasury, and the customer's address one of ours, as an activation asks for."""
    treasury = await till.treasury()
    body = WalletRequest(user_id="ada", wallet_type=WalletType.WATCH_ONLY, address=CUSTOMER)
    await till.wallets.create(body, principal="op", key="other")
    return treasury


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_is_signed_as_it_was_meant(till: Till, kind: SendKind) -> None:
    treasury = await treasury_and_other(till)
    send = await till.signed(asked(kind))
    (attempt,) = await till.attempts(send)

    assert send.state is SendState.SIGNED
    said = decode_raw_data(bytes.fromhex(attempt.raw_data))
    assert said.operation == meant(kind, treasury.address)
    assert (said.memo, said.permission_id) == (b"", 0)
    assert (await till.position(treasury.address, Currency.TRX)).held == send.hold.trx_sun > 0


@pytest.mark.parametrize("kind", KINDS)
async def test_h4_a_repeat_of_any_kind_is_the_same_send(till: Till, kind: SendKind) -> None:
    await treasury_and_other(till)
    first = await till.taken(asked(kind))
    caller = first.origin_service

    (again,) = await till.accept(asked(kind), caller=caller)
    assert again.replayed
    (other,) = await till.accept(asked(kind, memo="another one"), caller=caller)
    assert other.problem is not None
    assert other.problem.code == SendKeyReused.code


@pytest.mark.parametrize("kind", KINDS)
async def test_what_says_nothing_for_a_kind_is_refused(till: Till, kind: SendKind) -> None:
    await till.treasury()
    (service, _), params = KINDS[kind]
    strange: dict[str, Any] = {
        "recipient": CUSTOMER,
        "resource": "energy",
        "data": "00",
        "lock_blocks": 1,
        "votes": [VoteParam(witness=STRANGER, count=3)],
        "permissions": RIGHTS,
        "amount_base_units": "1",
    }
    for number, (field, value) in enumerate(strange.items()):
        if field in params or (field == "lock_blocks" and kind is SendKind.DELEGATE):
            continue
        wanted = asked(kind, f"n{number}", params={field: value})
        (result,) = await till.accept(wanted, caller=service)
        assert result.problem is not None
        assert result.problem.code == ImpossibleSend.code


async def test_a_memo_is_paid_for_and_written(till: Till) -> None:
    await till.treasury()
    plain = await till.signed(intent("plain", kind=SendKind.TRX_TRANSFER))
    wanted = intent("told", kind=SendKind.TRX_TRANSFER).model_copy(update={"memo": "rent"})
    told = await till.signed(wanted)

    (attempt,) = await till.attempts(told)
    assert decode_raw_data(bytes.fromhex(attempt.raw_data)).memo == b"rent"
    assert told.hold.trx_sun - plain.hold.trx_sun == 1_000_000 + 6 * 1_000


async def test_a_memo_that_is_too_long_in_bytes_is_refused_and_holds_up_nothing(till: Till) -> None:
    await till.treasury()
    wanted = intent("long", kind=SendKind.TRX_TRANSFER).model_copy(update={"memo": "付" * 86})
    (result,) = await till.accept(wanted)
    assert result.problem is not None
    assert result.problem.code == ImpossibleSend.code
    assert result.problem.facts == {"field": "memo"}

    fits = intent("fits", kind=SendKind.TRX_TRANSFER).model_copy(update={"memo": "付" * 85})
    send = await till.taken(fits)
    unit = Unit().update(SENDS, replace(send, memo="付" * 86))  # as an earlier version took it on
    await till.storage.commit(unit)
    assert (await till.signed(intent("other"))).state is SendState.SIGNED
    told = (await till.read(send.send_key)).waiting_for
    assert told == "signing was refused: InvalidOperation"


async def test_calls_are_simulated_with_their_own_arguments(till: Till) -> None:
    await till.treasury()
    await till.signed(asked(SendKind.CONTRACT_CALL))
    await till.signed(asked(SendKind.TRC20_APPROVE))

    assert [(call.contract_address, call.data[:8]) for call in till.chain.calls] == [
        (STRANGER, "d0e30db0"),
        (USDT, "095ea7b3"),
    ]


async def test_h18_the_token_is_never_called_freely_whatever_policy_lists(till: Till) -> None:
    await till.treasury()
    transfer = {"contract_address": USDT, "data": "a9059cbb" + "00" * 64}
    wanted = asked(SendKind.CONTRACT_CALL, params=transfer)
    (result,) = await till.accept(wanted, caller=wanted.origin.service)
    assert result.problem is not None
    assert result.problem.facts == {"rule": "contract"}


async def test_a_batch_to_many_is_simulated_once(till: Till) -> None:
    await till.treasury()
    await till.accept(
        *(intent(f"n{n}", amount=1, recipient=address(0x1000 + n)) for n in range(50))
    )
    await till.sender.sign_due()

    assert await till.store.count(SendState.SIGNED) == 50
    assert len(till.chain.calls) == 1


async def test_a_fee_limit_is_never_cut_down_to_what_the_chain_allows(till: Till) -> None:
    """H15: a call that runs out of energy costs its whole limit and does nothing."""
    await till.treasury(trx=100_000 * TRX)
    till.chain.prices_say = {"max_fee_limit_sun": 1_000 * TRX}
    till.chain.energy = 9_000_000
    send = await till.signed(intent(max_fee_sun=50_000 * TRX))

    assert send.state is SendState.QUEUED
    assert "is needed, and the chain allows 1000000000 sun" in (send.waiting_for or "")


async def test_a_fee_limit_covers_a_step_of_dynamic_energy(till: Till) -> None:
    """A maintenance between simulation and block raises the factor by a fifth at most (TIP-491)."""
    await till.treasury()
    send = await till.signed(intent())

    assert send.fee_limit_sun >= ENERGY * 12 // 10 * ENERGY_SUN


async def test_h15_energy_lent_for_a_send_lowers_its_hold_and_nothing_else(till: Till) -> None:
    await till.treasury()
    plain = await till.signed(intent("plain"))
    lease = Reservation(lease_id="lse_1", energy=ENERGY)
    lent = await till.signed(intent("lent").model_copy(update={"reservation": lease}))
    vast = Reservation(lease_id="lse_2", energy=2**50)
    free = await till.signed(intent("free").model_copy(update={"reservation": vast}))

    assert plain.hold.trx_sun - lent.hold.trx_sun == ENERGY * ENERGY_SUN
    assert plain.hold.trx_sun - free.hold.trx_sun == FEE_LIMIT_SUN
    assert lent.fee_limit_sun == plain.fee_limit_sun == free.fee_limit_sun
    assert lent.hold.usdt_micro == plain.hold.usdt_micro


async def later(till: Till, *keys: str) -> list[SendState]:
    till.clock.advance(milliseconds=RETRY_MS)
    await till.sender.sign_due()
    return [(await till.read(key)).state for key in keys]


async def test_h16_a_newer_vote_ends_an_older_one_that_was_never_signed(till: Till) -> None:
    await till.treasury(trx=0)
    older, newer = asked(SendKind.VOTE, "older"), asked(SendKind.VOTE, "newer")
    await till.taken(older)
    till.clock.advance(milliseconds=1)
    await till.taken(newer)
    treasury = await till.store.treasury()
    assert treasury is not None
    await till.deposit(treasury.address, 100 * TRX, Currency.TRX)

    await later(till)
    assert await later(till, older.send_key, newer.send_key) == [
        SendState.REFUSED,
        SendState.SIGNED,
    ]
    assert (await till.read(older.send_key)).refusal_rule == "superseded"


async def test_h16_a_revoked_allowance_does_not_return_with_a_late_retry(till: Till) -> None:
    await till.treasury()
    grant = asked(SendKind.TRC20_APPROVE, "grant")
    revoke = asked(SendKind.TRC20_APPROVE, "revoke", params={"amount_base_units": "0"})
    first = await till.submitted(grant)
    till.clock.advance(milliseconds=1)
    await till.taken(revoke)

    assert await later(till, revoke.send_key) == [SendState.QUEUED]  # grant may still land
    await till.verdicts(fate(first, TransactionState.EXPIRED))
    await later(till)
    assert await later(till, grant.send_key, revoke.send_key) == [
        SendState.EXPIRED,
        SendState.SIGNED,
    ]
    assert len(await till.attempts(await till.read(grant.send_key))) == 1


async def test_h2_h16_a_revocation_is_the_newer_one_although_the_clock_was_set_back(
    till: Till,
) -> None:
    await till.treasury()
    grant = asked(SendKind.TRC20_APPROVE, "grant")
    revoke = asked(SendKind.TRC20_APPROVE, "revoke", params={"amount_base_units": "0"})
    await till.taken(grant)
    till.clock.advance(seconds=-30)
    await till.taken(revoke)
    till.clock.advance(seconds=30)

    await later(till)
    assert await later(till, grant.send_key, revoke.send_key) == [
        SendState.REFUSED,
        SendState.SIGNED,
    ]


async def test_h16_a_revocation_waits_until_no_fork_can_put_the_allowance_behind_it(
    till: Till,
) -> None:
    await till.treasury()
    revoke = asked(SendKind.TRC20_APPROVE, "revoke", params={"amount_base_units": "0"})
    grant = await till.submitted(asked(SendKind.TRC20_APPROVE, "grant"))
    till.clock.advance(milliseconds=1)
    await till.taken(revoke)

    await till.verdicts(fate(grant, TransactionState.INCLUDED))
    assert await later(till, revoke.send_key) == [SendState.QUEUED]
    await till.verdicts(fate(grant, TransactionState.CONFIRMED))
    assert await later(till, revoke.send_key) == [SendState.SIGNED]


async def test_h16_a_loan_and_another_wait_for_one_another_and_both_happen(till: Till) -> None:
    await till.treasury()
    one, two = asked(SendKind.DELEGATE, "one"), asked(SendKind.DELEGATE, "two")
    first = await till.submitted(one)
    till.clock.advance(milliseconds=1)
    await till.taken(two)
    assert await later(till, two.send_key) == [SendState.QUEUED]

    await till.verdicts(fate(first, TransactionState.INCLUDED))
    assert await later(till, one.send_key, two.send_key) == [SendState.SEEN, SendState.SIGNED]


async def test_h16_other_objects_and_transfers_do_not_wait(till: Till) -> None:
    await till.treasury()
    await till.submitted(asked(SendKind.DELEGATE, "one"))
    other = asked(SendKind.DELEGATE, "two", params={"recipient": STRANGER})

    assert (await till.signed(other)).state is SendState.SIGNED
    assert (await till.signed(intent())).state is SendState.SIGNED


async def test_h16_a_dependent_send_is_signed_once_its_predecessor_is_in_a_block(
    till: Till,
) -> None:
    await till.treasury()
    first = await till.submitted(intent("first"))
    after = intent("second").model_copy(update={"after": first.send_key})
    assert (await till.signed(after)).state is SendState.QUEUED

    await till.verdicts(fate(first, TransactionState.INCLUDED))
    assert await later(till, after.send_key) == [SendState.SIGNED]


async def test_h16_a_dependent_send_ends_with_a_predecessor_that_failed(till: Till) -> None:
    await till.treasury()
    first = await till.submitted(intent("first"))
    after = intent("second").model_copy(update={"after": first.send_key})
    await till.taken(after)
    await till.verdicts(fate(first, TransactionState.FAILED))

    assert await later(till, after.send_key) == [SendState.REFUSED]
    assert (await till.read(after.send_key)).refusal_rule == "predecessor"


LIES: list[dict[str, Any]] = [
    {"context_says": {"genesis_block_id": "0" * 64}},
    {"context_says": {"second_head_timestamp_ms": START_MS + 60_001}},
    {"context_says": {"second_head_timestamp_ms": START_MS - 60_001}},
    {"context_says": {"paused": "a verdict could not be paid for"}},
    {"prices_say": {"energy_fee_sun": 1}},
    {"prices_say": {"energy_fee_sun": 1_000_000}},
    {"prices_say": {"bandwidth_fee_sun": 0}},
    {"prices_say": {"activation_fee_sun": 10**12}},
    {"prices_say": {"max_fee_limit_sun": 1}},
]


@pytest.mark.parametrize("lie", LIES, ids=itertools.count())
async def test_h2_h9_no_lie_of_tron_client_gets_a_signature(
    till: Till, lie: dict[str, dict[str, object]]
) -> None:
    await till.treasury()
    await till.taken(intent())
    till.chain.context_says = lie.get("context_says", {})
    till.chain.prices_say = lie.get("prices_say", {})

    with pytest.raises(Unavailable):
        await till.sender.sign_due()

    assert await till.store.count(SendState.SIGNED) == 0
    till.chain.context_says, till.chain.prices_say = {}, {}
    await till.sender.sign_due()
    assert await till.store.count(SendState.SIGNED) == 1


@pytest.mark.parametrize("reference", [0, 1_000_000])
async def test_h9_a_reference_that_no_node_knows_gets_no_signature(
    till: Till, reference: int
) -> None:
    await till.treasury()
    context = await till.chain.signing_context()
    far = context.head.model_copy(update={"height": reference, "block_id": f"{reference:064x}"})
    head = context.head.model_copy(update={"height": 100_000})
    solid = context.solid.model_copy(update={"height": 99_980})
    till.chain.context_says = {"reference": far, "head": head, "solid": solid}
    await till.taken(intent())

    with pytest.raises(Unavailable, match="cannot be"):
        await till.sender.sign_due()


@pytest.mark.parametrize("energy", [-1, 0, 1, 4_999, 10_000_001, 2**62])
async def test_an_absurd_energy_gets_no_signature(till: Till, energy: int) -> None:
    await till.treasury()
    till.chain.energy = energy

    assert (await till.signed(intent())).state is SendState.QUEUED


async def test_a_queued_send_is_cancelled_and_nothing_else(till: Till) -> None:
    await till.treasury(usdt=0)
    queued = await till.signed(intent("queued"))
    ended = await till.oversight.cancel(queued.id, reason="wrong invoice", by="ada")
    again = await till.oversight.cancel(queued.id, reason="once more", by="bob")

    assert (ended.state, ended.refusal_rule) == (SendState.REFUSED, "cancelled")
    assert again.refusal_detail == "ada: wrong invoice"
    signed = await till.signed(intent("coins", kind=SendKind.TRX_TRANSFER))
    with pytest.raises(NotCancellable):
        await till.oversight.cancel(signed.id, reason="too late", by="ada")
    with pytest.raises(NotFound):
        await till.oversight.cancel("snd_none", reason="nobody", by="ada")


async def test_stuck_sends_say_why_and_what_to_do(till: Till) -> None:
    await till.treasury(usdt=0)
    await till.signed(intent("poor"))
    await till.submitted(intent("coins", kind=SendKind.TRX_TRANSFER))
    assert await till.oversight.stuck(None, cursor=None, limit=10) == ([], None)
    till.clock.advance(milliseconds=60_000)

    found, further = await till.oversight.stuck(None, cursor=None, limit=10)
    assert [one.send_key for one, _ in found] == ["payout-router:poor:0"]
    assert found[0][1].reason.startswith("insufficient funds")
    assert "cancel" in found[0][1].advice
    assert further is None

    till.clock.advance(milliseconds=240_000)
    first, further = await till.oversight.stuck(None, cursor=None, limit=1)
    rest, _ = await till.oversight.stuck(None, cursor=further, limit=10)
    assert [one.state for one, _ in (*first, *rest)] == [SendState.QUEUED, SendState.SUBMITTED]

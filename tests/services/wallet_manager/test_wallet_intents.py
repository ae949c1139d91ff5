"""Taking intents on: once per key, and only what makes sense."""

import asyncio
import itertools

import pytest

from services.wallet_manager.domain.meaning import ImpossibleSend
from services.wallet_manager.domain.policy import PolicyRefusal
from services.wallet_manager.domain.sends import OrdinalTooEarly, SendKeyReused
from services.wallet_manager.domain.wallets import UnknownWallet
from shared.errors import Forbidden, Problem
from shared.models.tron_transactions import TransactionState
from shared.models.wallet_sends import (
    NEGATIVE_SEND_STATES,
    Intent,
    Purpose,
    SendKind,
    SendParams,
    SendProblem,
    SendState,
)
from shared.tron.address import Address
from tests.services.wallet_manager.till import CUSTOMER, STRANGER, TRX, USDT, Till, fate, intent


async def refused(till: Till, wanted: Intent) -> SendProblem:
    (result,) = await till.accept(wanted, caller=wanted.origin.service)
    assert result.send is None
    assert result.problem is not None
    return result.problem


async def test_an_intent_is_stored_and_told_of(till: Till) -> None:
    await till.treasury()
    (result,) = await till.accept(intent())

    assert result.send is not None
    assert result.send.state is SendState.QUEUED
    assert result.replayed is False
    assert await till.events() == ["send.queued"]


async def test_people_ask_for_no_sends(till: Till) -> None:
    with pytest.raises(Forbidden):
        await till.sender.accept([intent()], caller=None)


async def test_a_repeat_returns_the_stored_send(till: Till) -> None:
    await till.treasury()
    first = await till.taken(intent())
    (again,) = await till.accept(intent())

    assert again.replayed
    assert again.send is not None
    assert again.send.send_id == first.id
    assert await till.events() == ["send.queued"]


async def test_h4_wallet_ceiling_and_plan_stay_as_first_stored(till: Till) -> None:
    await till.treasury()
    first = await till.taken(intent())
    for other in (
        intent(wallet_id="wal_gone"),
        intent(max_fee_sun=1),
        intent(not_after=1),
    ):
        (again,) = await till.accept(other)
        assert again.replayed
        assert again.send is not None
        assert again.send.send_id == first.id
    assert await till.read(first.send_key) == first


@pytest.mark.parametrize(
    "other",
    [
        intent(amount=1),
        intent(recipient=STRANGER),
        intent(kind=SendKind.TRX_TRANSFER),
        intent(contract=STRANGER),
    ],
)
async def test_h4_a_key_names_one_transfer_for_ever(till: Till, other: Intent) -> None:
    await till.treasury()
    first = await till.taken(intent())

    assert (await refused(till, other)).code == SendKeyReused.code
    assert await till.read(first.send_key) == first


async def test_a_memo_longer_than_the_chain_takes_is_refused_and_holds_nobody_up(
    till: Till,
) -> None:
    await till.treasury()
    long, longest = (intent(one).model_copy(update={"memo": "€" * 86}) for one in "ab")
    longest = longest.model_copy(update={"memo": "€" * 85})
    assert (await refused(till, long)).code == ImpossibleSend.code

    assert (await till.signed(longest)).state is SendState.SIGNED


async def test_the_same_key_twice_in_one_request_is_one_send(till: Till) -> None:
    await till.treasury()
    first, second, third = await till.accept(intent(), intent(), intent(amount=1))

    assert first.send is not None
    assert second.send is not None
    assert first.send.send_id == second.send.send_id
    assert second.replayed
    assert third.problem is not None


async def test_the_same_key_at_once_is_one_send(till: Till) -> None:
    await till.treasury()
    results = await asyncio.gather(*(till.accept(intent()) for _ in range(6)))

    assert len({one.send.send_id for (one,) in results if one.send}) == 1
    assert [one.replayed for (one,) in results].count(False) == 1


async def test_of_two_requests_at_once_that_name_a_key_twice_each_names_the_stored_send(
    till: Till,
) -> None:
    await till.treasury()
    told = await asyncio.gather(*(till.accept(intent(), intent()) for _ in range(3)))

    results = [one for results in told for one in results]
    stored = await till.read(intent().send_key)
    assert {one.send.send_id for one in results if one.send} == {stored.id}
    assert [one.replayed for one in results].count(False) == 1


async def test_two_transfers_under_one_key_at_once_are_one_send_and_a_conflict(till: Till) -> None:
    await till.treasury()
    (one,), (other,) = await asyncio.gather(till.accept(intent()), till.accept(intent(amount=1)))

    assert [one.problem is None, other.problem is None].count(True) == 1


async def test_each_intent_stands_for_itself(till: Till) -> None:
    await till.treasury()
    results = await till.accept(
        intent("a"), intent("b", wallet_id="wal_nobody"), intent("c", amount=0), intent("d")
    )

    assert [one.problem.code if one.problem else None for one in results] == [
        None,
        UnknownWallet.code,
        ImpossibleSend.code,
        None,
    ]
    assert [one.send_key for one in results] == [f"payout-router:{name}:0" for name in "abcd"]


async def test_h4_the_next_ordinal_waits_for_a_final_negative_answer(till: Till) -> None:
    await till.treasury()
    assert (await refused(till, intent(ordinal=1))).code == OrdinalTooEarly.code
    first = await till.submitted(intent())

    for state in (TransactionState.PENDING, TransactionState.INCLUDED):
        await till.verdicts(fate(first, state))
        assert (await refused(till, intent(ordinal=1))).code == OrdinalTooEarly.code
    await till.verdicts(fate(first, TransactionState.FAILED))

    assert (await till.taken(intent(ordinal=1))).state is SendState.QUEUED
    assert (await refused(till, intent(ordinal=3))).code == OrdinalTooEarly.code


async def test_h4_after_a_confirmed_send_there_is_no_next_ordinal(till: Till) -> None:
    await till.treasury()
    first = await till.submitted(intent())
    await till.verdicts(fate(first, TransactionState.CONFIRMED))

    assert (await refused(till, intent(ordinal=1))).code == OrdinalTooEarly.code


async def test_h4_a_settled_send_that_moved_something_else_has_no_next_ordinal(till: Till) -> None:
    await till.treasury()
    first = await till.submitted(intent())
    await till.verdicts(fate(first, TransactionState.CONFIRMED, logs=[]))

    assert (await till.read(first.send_key)).state is SendState.SETTLED_DIFFERENTLY
    assert (await refused(till, intent(ordinal=1))).code == OrdinalTooEarly.code


def test_negative_answers_are_exactly_these() -> None:
    assert {SendState.FAILED, SendState.EXPIRED, SendState.REFUSED} == NEGATIVE_SEND_STATES


def changed(wanted: Intent, **params: object) -> Intent:
    return wanted.model_copy(update={"params": wanted.params.model_copy(update=params)})


FREEZE = intent(
    origin="trx-staking", purpose=Purpose.STAKE, kind=SendKind.FREEZE_BALANCE, amount=5 * TRX
)


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (intent(amount=0), ImpossibleSend),
        (intent(amount=2**63), ImpossibleSend),
        (changed(intent(), amount_base_units="9" * 78), ImpossibleSend),
        (intent().model_copy(update={"max_fee_sun": "9" * 78}), ImpossibleSend),
        (intent(recipient=None), ImpossibleSend),
        (intent(recipient=USDT), ImpossibleSend),
        (intent(contract=None), ImpossibleSend),
        (intent(contract=CUSTOMER), PolicyRefusal),
        (changed(intent(kind=SendKind.TRX_TRANSFER), contract_address=USDT), ImpossibleSend),
        (changed(intent(kind=SendKind.TRX_TRANSFER), resource="energy"), ImpossibleSend),
        (changed(FREEZE, recipient=CUSTOMER), ImpossibleSend),
        (changed(FREEZE, resource=None), ImpossibleSend),
        (changed(FREEZE, amount_base_units="999999"), ImpossibleSend),
        (intent().model_copy(update={"send_key": "payout-router:po:01"}), ImpossibleSend),
        (intent(purpose=Purpose.REFUND), PolicyRefusal),
    ],
    ids=itertools.count(),
)
async def test_what_makes_no_sense_is_not_stored(
    till: Till, wanted: Intent, problem: type[Problem]
) -> None:
    await till.treasury()

    assert (await refused(till, wanted)).code == problem.code
    assert await till.events() == []


async def test_nothing_is_sent_to_the_wallet_itself(till: Till) -> None:
    treasury = await till.treasury()

    found = await refused(till, intent(recipient=Address(treasury.address)))

    assert found.code == ImpossibleSend.code


async def test_usdt_manager_carries_token_transfers_and_nothing_else(till: Till) -> None:
    await till.treasury()
    token, coin = await till.accept(
        intent("a"), intent("b", kind=SendKind.TRX_TRANSFER), caller="usdt-manager"
    )

    assert token.problem is None
    assert coin.problem is not None
    assert coin.problem.code == PolicyRefusal.code


async def test_sends_are_found_by_key_and_by_any_transaction(till: Till) -> None:
    await till.treasury()
    first = await till.submitted(intent("a"))
    second = await till.taken(intent("b"))
    assert first.txid is not None

    sends, by_txid = await till.sender.lookup(
        send_keys=[second.send_key, "payout-router:nobody:0"], txids=[first.txid, "0" * 64]
    )

    assert {send.id for send in sends} == {first.id, second.id}
    assert by_txid == {first.txid: first.id}


def test_params_of_an_intent_know_no_other_fields() -> None:
    with pytest.raises(ValueError, match="memo"):
        SendParams.model_validate({"amount_base_units": "1", "memo": "x"})

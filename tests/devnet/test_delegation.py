from __future__ import annotations

from typing import Any

import pytest

from devnet.api.builders import unsigned
from devnet.chain_pb2 import (
    BANDWIDTH,
    ENERGY,
    TRON_POWER,
    DelegateResourceContract,
    FreezeBalanceV2Contract,
    UnDelegateResourceContract,
    UnfreezeBalanceV2Contract,
)
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.delegation import available_sun
from devnet.genesis import CUSTOMERS, FAUCET
from devnet.lending import Loan, Pair, borrowers, lenders
from devnet.limits import energy_limit
from devnet.parameters import numbered
from devnet.resources import SUN_PER_TRX
from devnet.state import ENERGY_WEIGHT

LENDER = FAUCET.key
MILLION = 10**6 * SUN_PER_TRX
DAY_MS = 86_400_000
FIRST = CUSTOMERS[0].key.address


def freeze(amount_sun: int, resource: Any = ENERGY) -> Any:
    return FreezeBalanceV2Contract(
        owner_address=LENDER.address, frozen_balance=amount_sun, resource=resource
    )


def lend(amount_sun: int, resource: Any = ENERGY, **fields: Any) -> Any:
    fields.setdefault("receiver_address", FIRST)
    return DelegateResourceContract(
        owner_address=LENDER.address, balance=amount_sun, resource=resource, **fields
    )


def take_back(amount_sun: int, resource: Any = ENERGY, receiver: bytes = FIRST) -> Any:
    return UnDelegateResourceContract(
        owner_address=LENDER.address,
        balance=amount_sun,
        resource=resource,
        receiver_address=receiver,
    )


def staked(world: Any, amount_sun: int = MILLION, resource: Any = ENERGY) -> None:
    world.carried_out(freeze(amount_sun, resource), by=LENDER)


@pytest.mark.parametrize(
    ("amount_sun", "resource", "fields", "message"),
    [
        (
            999_999,
            ENERGY,
            {},
            "delegateBalance must be greater than or equal to 1 TRX",
        ),
        (
            MILLION + 1,
            ENERGY,
            {},
            "delegateBalance must be less than or equal to available FreezeEnergyV2 balance",
        ),
        (
            MILLION,
            BANDWIDTH,
            {},
            "delegateBalance must be less than or equal to available FreezeBandwidthV2 balance",
        ),
        (
            MILLION,
            TRON_POWER,
            {},
            "ResourceCode error, valid ResourceCode[BANDWIDTH、ENERGY]",
        ),
        (MILLION, ENERGY, {"receiver_address": b"A"}, "Invalid receiverAddress"),
        (
            MILLION,
            ENERGY,
            {"receiver_address": LENDER.address},
            "receiverAddress must not be the same as ownerAddress",
        ),
        (
            MILLION,
            ENERGY,
            {"receiver_address": b"A" + bytes(20)},
            f"Account[41{'00' * 20}] not exists",
        ),
        (
            MILLION,
            ENERGY,
            {"receiver_address": USDT_CONTRACT_ADDRESS},
            "Do not allow delegate resources to contract addresses",
        ),
        (
            MILLION,
            ENERGY,
            {"lock": True, "lock_period": 864_001},
            "The lock period of delegate resource cannot be less than 0 and cannot exceed 864000!",
        ),
        (
            MILLION,
            ENERGY,
            {"lock": True, "lock_period": -1},
            "The lock period of delegate resource cannot be less than 0 and cannot exceed 864000!",
        ),
    ],
)
def test_a_loan_is_refused_in_the_node_s_words(
    world: Any, amount_sun: int, resource: Any, fields: dict[str, Any], message: str
) -> None:
    staked(world)

    assert world.refusal(lend(amount_sun, resource, **fields), by=LENDER) == message


def test_taking_back_is_refused_in_the_node_s_words(world: Any) -> None:
    staked(world)
    missing = world.refusal(take_back(1), by=LENDER)
    invalid = world.refusal(take_back(1, receiver=b""), by=LENDER)
    itself = world.refusal(take_back(1, receiver=LENDER.address), by=LENDER)
    world.carried_out(lend(5 * SUN_PER_TRX), by=LENDER)

    assert missing == "delegated Resource does not exist"
    assert invalid == "Invalid receiverAddress"
    assert itself == "receiverAddress must not be the same as ownerAddress"
    assert world.refusal(take_back(0), by=LENDER) == ("unDelegateBalance must be more than 0 TRX")
    assert world.refusal(take_back(5_000_001), by=LENDER) == (
        "insufficient delegateFrozenBalance(Energy), request=5000001, unlock_balance=5000000"
    )
    assert world.refusal(take_back(7, BANDWIDTH), by=LENDER) == (
        "insufficient delegatedFrozenBalance(BANDWIDTH), request=7, unlock_balance=0"
    )
    assert world.refusal(take_back(7, TRON_POWER), by=LENDER) == (
        "ResourceCode error.valid ResourceCode[BANDWIDTH、Energy]"
    )


def test_lent_energy_pays_for_the_borrower_and_leaves_the_weight_alone(world: Any) -> None:
    staked(world)
    weight = world.node.pending_state.integer(ENERGY_WEIGHT)

    world.carried_out(lend(MILLION), by=LENDER)
    info = world.confirmed(world.usdt("transfer", world.payee.address, 1))

    state = world.node.pending_state
    lender, borrower = world.account(LENDER.address), world.account(FIRST)
    assert (info.receipt.energy_usage, info.receipt.energy_fee) == (64_285, 0)
    assert (lender.frozen_energy_sun, lender.delegated_energy_sun) == (0, MILLION)
    assert borrower.acquired_energy_sun == MILLION
    assert lender.tron_power_sun == MILLION
    assert borrower.tron_power_sun == 0
    assert energy_limit(state, lender) == 0
    assert energy_limit(state, borrower) == int(1e6 * (180e9 / weight)) == 9_423_590
    assert state.integer(ENERGY_WEIGHT) == weight == 19_101_000_000


def test_what_the_borrower_used_moves_back_in_proportion(world: Any) -> None:
    """After one slot 64,282 of 64,285 are left; two fifths of the stake take 25,712 along."""
    staked(world)
    world.carried_out(lend(MILLION), by=LENDER)
    world.confirmed(world.usdt("transfer", world.payee.address, 1))

    world.carried_out(take_back(400_000 * SUN_PER_TRX), by=LENDER)

    lender, borrower = world.account(LENDER.address), world.account(FIRST)
    assert borrower.energy.amount == 64_282 - 25_712
    assert lender.energy.amount == 25_712
    assert lender.energy.window == borrower.energy.window == 28_799_000
    assert lender.energy.slot == borrower.energy.slot
    assert lender.frozen_energy_sun == 400_000 * SUN_PER_TRX
    assert lender.delegated_energy_sun == borrower.acquired_energy_sun == 600_000 * SUN_PER_TRX


def test_no_more_moves_back_than_the_returned_stake_is_worth(world: Any) -> None:
    """The chain's energy shrinks to a thousandth: the stake is worth 9,423, 64,280 are in use."""
    staked(world)
    world.carried_out(lend(MILLION), by=LENDER)
    world.confirmed(world.usdt("transfer", world.payee.address, 1))
    world.devnet.teller.set_parameters(numbered({"getTotalEnergyCurrentLimit": 180_000_000}))
    world.mine()

    world.carried_out(take_back(MILLION), by=LENDER)

    assert world.account(LENDER.address).energy.amount == 9_423
    assert world.account(FIRST).energy.amount == 64_280 - 9_423
    assert world.account(FIRST).acquired_energy_sun == 0


def test_energy_in_use_cannot_be_lent_until_it_is_back(world: Any) -> None:
    staked(world, 10_000 * SUN_PER_TRX)
    world.confirmed(world.usdt("transfer", FIRST, 1, by=LENDER))
    in_use_sun = int(64_282 * 1e6 * (19_100_010_000 / 180e9))
    most_sun = 10_000 * SUN_PER_TRX - in_use_sun
    state, moment = world.node.pending_state, world.node.chain.moment

    assert available_sun(state, world.account(LENDER.address), ENERGY, moment) == most_sun
    assert "available FreezeEnergyV2" in world.refusal(lend(most_sun + 1), by=LENDER)
    world.node.broadcast(world.signed(unsigned(world.node, lend(most_sun)), LENDER))
    world.wait(DAY_MS)
    state, moment = world.node.pending_state, world.node.chain.moment
    lender = world.account(LENDER.address)
    assert available_sun(state, lender, ENERGY, moment) == lender.frozen_energy_sun


def test_stake_lent_to_the_owner_stands_for_his_use_first(world: Any) -> None:
    staked(world)
    world.carried_out(lend(MILLION), by=LENDER)
    own = FreezeBalanceV2Contract(
        owner_address=FIRST, frozen_balance=100 * SUN_PER_TRX, resource=ENERGY
    )
    world.carried_out(own)
    world.confirmed(world.usdt("transfer", world.payee.address, 1))
    state, moment = world.node.pending_state, world.node.chain.moment

    most_sun = available_sun(state, world.account(FIRST), ENERGY, moment)

    assert most_sun == 100 * SUN_PER_TRX


def test_lent_stake_cannot_be_unfrozen(world: Any) -> None:
    staked(world)
    world.carried_out(lend(MILLION - 5), by=LENDER)
    unfreeze = UnfreezeBalanceV2Contract(
        owner_address=LENDER.address, unfreeze_balance=6, resource=ENERGY
    )

    assert world.refusal(unfreeze, by=LENDER) == "Invalid unfreeze_balance, [6] is error"


def test_a_lock_of_no_length_lasts_three_days(world: Any) -> None:
    staked(world)
    head_ms = world.node.chain.head.time_ms

    world.carried_out(lend(SUN_PER_TRX, lock=True), by=LENDER)

    locked = Pair(lender=LENDER.address, borrower=FIRST).loan(world.node.pending_state, locked=True)
    assert locked == Loan(energy_sun=SUN_PER_TRX, energy_expires_ms=head_ms + 3 * DAY_MS)


def test_locked_and_unlocked_loans_are_separate_until_the_lock_has_ended(world: Any) -> None:
    pair = Pair(lender=LENDER.address, borrower=FIRST)
    staked(world)
    world.carried_out(lend(7 * SUN_PER_TRX), by=LENDER)
    head_ms = world.node.chain.head.time_ms
    world.carried_out(lend(5 * SUN_PER_TRX, lock=True, lock_period=100), by=LENDER)
    expires_ms = head_ms + 300_000
    state = world.node.pending_state
    assert pair.loan(state, locked=False) == Loan(energy_sun=7 * SUN_PER_TRX)
    assert pair.loan(state, locked=True) == Loan(
        energy_sun=5 * SUN_PER_TRX, energy_expires_ms=expires_ms
    )
    too_much = take_back(12 * SUN_PER_TRX)
    assert "unlock_balance=7000000" in world.refusal(too_much, by=LENDER)

    world.wait(expires_ms - world.node.chain.head.time_ms)
    assert world.node.chain.head.time_ms == expires_ms
    assert "unlock_balance=7000000" in world.refusal(too_much, by=LENDER)
    world.mine()
    world.carried_out(lend(1 * SUN_PER_TRX), by=LENDER)

    state = world.node.pending_state
    assert pair.loan(state, locked=True) is None
    assert pair.loan(state, locked=False) == Loan(energy_sun=13 * SUN_PER_TRX)
    world.carried_out(take_back(13 * SUN_PER_TRX), by=LENDER)
    assert pair.loan(world.node.pending_state, locked=False) is None


def test_a_later_lock_may_not_end_before_an_earlier_one(world: Any) -> None:
    staked(world)
    world.carried_out(lend(SUN_PER_TRX, lock=True, lock_period=100), by=LENDER)
    shorter = lend(SUN_PER_TRX, lock=True, lock_period=98)
    assert world.refusal(shorter, by=LENDER) == (
        "The lock period for ENERGY this time cannot be less than the remaining "
        "time[297000ms] of the last lock period for ENERGY!"
    )

    head_ms = world.node.chain.head.time_ms
    world.carried_out(lend(SUN_PER_TRX, lock=True, lock_period=99), by=LENDER)

    locked = Pair(lender=LENDER.address, borrower=FIRST).loan(world.node.pending_state, locked=True)
    assert locked == Loan(energy_sun=2 * SUN_PER_TRX, energy_expires_ms=head_ms + 297_000)


def test_both_sides_are_listed_while_anything_is_lent(world: Any) -> None:
    second = CUSTOMERS[1].key.address
    staked(world)
    staked(world, resource=BANDWIDTH)
    world.carried_out(lend(SUN_PER_TRX), by=LENDER)
    world.carried_out(lend(SUN_PER_TRX, receiver_address=second), by=LENDER)
    world.carried_out(lend(SUN_PER_TRX, BANDWIDTH), by=LENDER)
    state = world.node.pending_state
    assert borrowers(state, LENDER.address) == (second, FIRST)
    assert lenders(state, FIRST) == (LENDER.address,)

    world.carried_out(take_back(SUN_PER_TRX), by=LENDER)
    assert lenders(world.node.pending_state, FIRST) == (LENDER.address,)
    world.carried_out(take_back(SUN_PER_TRX, BANDWIDTH), by=LENDER)

    state = world.node.pending_state
    assert borrowers(state, LENDER.address) == (second,)
    assert lenders(state, FIRST) == ()

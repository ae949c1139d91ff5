from __future__ import annotations

from dataclasses import replace

import pytest

from devnet import energy
from devnet.accounts import Account
from devnet.chain_pb2 import TransactionInfo
from devnet.energy import Budget, Terms
from devnet.genesis import GENESIS_TIME_MS
from devnet.moment import Moment
from devnet.resources import SUN_PER_TRX, Usage
from devnet.state import BURNED_SUN, ENERGY_WEIGHT, State

CALLER, ORIGIN = b"A" + bytes(20), b"A" + b"\1" * 20
NOW = Moment(head_ms=GENESIS_TIME_MS + 3_000_000)
LATER = Moment(head_ms=NOW.head_ms + 3_000 * 7_200)


def state_with(*, caller_trx: int = 100, caller_staked: int = 0, origin_staked: int = 0) -> State:
    """One TRX of stake is worth ten energy."""
    state = State()
    state.put_integer(ENERGY_WEIGHT, b"", 18_000_000_000)
    for address, balance_sun, staked_trx in (
        (CALLER, caller_trx * SUN_PER_TRX, caller_staked),
        (ORIGIN, 0, origin_staked),
    ):
        state.put_account(
            Account(
                address=address,
                balance_sun=balance_sun,
                frozen_energy_sun=staked_trx * SUN_PER_TRX,
            )
        )
    return state


def granted(state: State, terms: Terms, fee_limit_trx: int = 15, value_sun: int = 0) -> Budget:
    return energy.budget(
        state,
        terms,
        fee_limit_sun=fee_limit_trx * SUN_PER_TRX,
        call_value_sun=value_sun,
        moment=NOW,
    )


def charged(
    state: State, terms: Terms, spent: int, *, moment: Moment = NOW, succeeded: bool = True
) -> TransactionInfo:
    info = TransactionInfo()
    energy.charge(
        state,
        terms,
        granted(state, terms),
        spent,
        succeeded=succeeded,
        moment=moment,
        info=info,
    )
    return info


def test_the_fee_limit_caps_stake_and_balance_together() -> None:
    state = state_with(caller_trx=100, caller_staked=20_000)
    terms = Terms(caller=CALLER)

    assert granted(state, terms, fee_limit_trx=15).caller == 150_000
    assert granted(state, terms, fee_limit_trx=1_000).caller == 200_000 + 1_000_000
    assert granted(state, terms, 1_000, value_sun=99 * SUN_PER_TRX).caller == 210_000
    assert granted(state, terms, 1_000, value_sun=200 * SUN_PER_TRX).caller == 200_000
    assert granted(state, Terms(caller=b"A" + b"\7" * 20)).total == 0


@pytest.mark.parametrize(
    ("percent", "limit", "origin_staked", "adds"),
    [
        (100, 10**9, 10**6, 0),
        (60, 10**9, 10**6, 100_000),
        (60, 30_000, 10**6, 30_000),
        (60, 10**9, 2_000, 20_000),
        (0, 10**9, 2_000, 20_000),
        (0, 7, 2_000, 7),
    ],
)
def test_the_contract_s_owner_adds_his_share_of_the_caller_s(
    percent: int, limit: int, origin_staked: int, adds: int
) -> None:
    """The caller has 150,000; at 60 % his, the owner adds 40/60 of that, stake and limit allowing."""
    state = state_with(origin_staked=origin_staked)
    terms = Terms(caller=CALLER, origin=ORIGIN, caller_percent=percent, origin_limit=limit)

    assert (granted(state, terms).caller, granted(state, terms).origin) == (150_000, adds)


def test_the_owner_pays_from_stake_alone_and_the_caller_the_rest() -> None:
    state = state_with(caller_staked=1_000, origin_staked=2_000)
    terms = Terms(caller=CALLER, origin=ORIGIN, caller_percent=70, origin_limit=10**6)

    info = charged(state, terms, 100_000)

    assert info.receipt.origin_energy_usage == 20_000
    assert info.receipt.energy_usage == 10_000
    assert info.receipt.energy_fee == 70_000 * 100 == info.fee == state.integer(BURNED_SUN)
    assert info.receipt.energy_usage_total == 100_000
    caller, origin = state.account(CALLER), state.account(ORIGIN)
    assert caller is not None
    assert origin is not None
    assert (caller.energy.amount, origin.energy.amount) == (10_000, 20_000)
    assert caller.balance_sun == 100 * SUN_PER_TRX - 7_000_000


def test_an_owner_who_calls_his_own_contract_pays_as_a_caller() -> None:
    state = state_with(caller_staked=1_000)
    terms = Terms(caller=CALLER, origin=CALLER, caller_percent=0, origin_limit=10**6)

    info = charged(state, terms, 30_000)

    assert info.receipt.origin_energy_usage == 0
    assert (info.receipt.energy_usage, info.receipt.energy_fee) == (10_000, 2_000_000)


@pytest.mark.parametrize(
    ("succeeded", "usage"),
    [
        (True, Usage(amount=93_193, slot=8_200, window=23_882_244)),
        (False, Usage(amount=93_194, slot=8_200, window=23_881_988)),
    ],
)
def test_usage_fades_in_a_step_of_its_own_before_a_call_that_succeeds(
    *, succeeded: bool, usage: Usage
) -> None:
    """43,193.9757 points are left: rounded down before 50,000 are added, or after."""
    state = state_with(caller_staked=20_000)
    caller = state.account(CALLER)
    assert caller is not None
    before = Usage(amount=60_292, slot=1_000, window=25_389_474)
    state.put_account(replace(caller, energy=before))

    charged(state, Terms(caller=CALLER), 50_000, moment=LATER, succeeded=succeeded)

    after = state.account(CALLER)
    assert after is not None
    assert after.energy == usage


def test_energy_that_is_priced_at_nothing_has_the_oldest_price() -> None:
    state = state_with()
    state.put(("parameter", b"getEnergyFee"), 0)

    assert energy.price_sun(state) == 100

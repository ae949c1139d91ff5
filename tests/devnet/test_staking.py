from __future__ import annotations

from typing import Any

import pytest

from devnet.chain_pb2 import (
    BANDWIDTH,
    ENERGY,
    TRON_POWER,
    CancelAllUnfreezeV2Contract,
    FreezeBalanceV2Contract,
    Transaction,
    UnfreezeBalanceV2Contract,
    WithdrawExpireUnfreezeContract,
)
from devnet.execution import validate
from devnet.items import opened, wrapped
from devnet.rejection import RejectedError
from devnet.resources import SUN_PER_TRX
from devnet.state import ENERGY_WEIGHT, NET_WEIGHT

DAY_MS = 86_400_000


def freeze(world: Any, amount_sun: int, resource: Any = ENERGY, owner: bytes = b"") -> Any:
    owner = owner or world.payer.address
    return FreezeBalanceV2Contract(
        owner_address=owner, frozen_balance=amount_sun, resource=resource
    )


def unfreeze(world: Any, amount_sun: int, resource: Any = ENERGY, owner: bytes = b"") -> Any:
    owner = owner or world.payer.address
    return UnfreezeBalanceV2Contract(
        owner_address=owner, unfreeze_balance=amount_sun, resource=resource
    )


def withdraw(world: Any) -> Any:
    return WithdrawExpireUnfreezeContract(owner_address=world.payer.address)


def cancel(world: Any) -> Any:
    return CancelAllUnfreezeV2Contract(owner_address=world.payer.address)


@pytest.mark.parametrize(
    ("amount_sun", "resource", "message"),
    [
        (0, ENERGY, "frozenBalance must be positive"),
        (-5, ENERGY, "frozenBalance must be positive"),
        (999_999, ENERGY, "frozenBalance must be greater than or equal to 1 TRX"),
        (10**15, ENERGY, "frozenBalance must be less than or equal to accountBalance"),
        (10**6, TRON_POWER, "ResourceCode error, valid ResourceCode[BANDWIDTH、ENERGY]"),
        (10**6, 7, "ResourceCode error, valid ResourceCode[BANDWIDTH、ENERGY]"),
    ],
)
def test_a_freeze_is_refused_in_the_node_s_words(
    world: Any, amount_sun: int, resource: Any, message: str
) -> None:
    assert world.refusal(freeze(world, amount_sun, resource)) == message


@pytest.mark.parametrize(
    ("amount_sun", "resource", "message"),
    [
        (1, BANDWIDTH, "no frozenBalance(BANDWIDTH)"),
        (0, ENERGY, "Invalid unfreeze_balance, [0] is error"),
        (-1, ENERGY, "Invalid unfreeze_balance, [-1] is error"),
        (5_000_001, ENERGY, "Invalid unfreeze_balance, [5000001] is error"),
        (1, TRON_POWER, "ResourceCode error.valid ResourceCode[BANDWIDTH、Energy]"),
    ],
)
def test_an_unfreeze_is_refused_in_the_node_s_words(
    world: Any, amount_sun: int, resource: Any, message: str
) -> None:
    world.carried_out(freeze(world, 5_000_000))

    assert world.refusal(unfreeze(world, amount_sun, resource)) == message


def test_accounts_that_are_missing_are_named_in_hex(world: Any) -> None:
    """The builders ask before anybody signs; a broadcast fails at the bandwidth already."""
    stranger = world.stranger.address
    said = []
    for message in (
        freeze(world, 10**6, owner=stranger),
        unfreeze(world, 10**6, owner=stranger),
    ):
        item = opened(Transaction(raw_data=Transaction.raw(contract=[wrapped(message)])))
        with pytest.raises(RejectedError) as caught:
            validate(world.node.pending_state, item, world.node.chain.moment)
        said.append(caught.value.detail)

    assert said == [
        f"Account[{stranger.hex()}] not exists",
        f"Account[{stranger.hex()}] does not exist",
    ]


def test_the_chain_s_weight_counts_whole_trx_of_each_account(world: Any) -> None:
    state = world.node.pending_state
    before = state.integer(ENERGY_WEIGHT), state.integer(NET_WEIGHT)

    def gained() -> tuple[int, int]:
        state = world.node.pending_state
        now = state.integer(ENERGY_WEIGHT), state.integer(NET_WEIGHT)
        return now[0] - before[0], now[1] - before[1]

    world.carried_out(freeze(world, 1_999_999))
    assert gained() == (1, 0)
    world.carried_out(freeze(world, 1_000_001))
    assert gained() == (3, 0)
    world.carried_out(freeze(world, 2_500_000, BANDWIDTH))
    assert gained() == (3, 2)
    world.carried_out(unfreeze(world, 1))
    assert gained() == (2, 2)
    world.carried_out(cancel(world))
    assert gained() == (3, 2)


def test_stake_matures_after_14_days_of_head_time_to_the_millisecond(world: Any) -> None:
    world.carried_out(freeze(world, 5 * SUN_PER_TRX))
    begun_ms = world.node.chain.head.time_ms
    world.carried_out(unfreeze(world, 5 * SUN_PER_TRX))
    entry = world.account(world.payer.address).unfreezing[0]
    assert entry.expires_ms == begun_ms + 14 * DAY_MS

    world.wait(14 * DAY_MS - 6_000)
    assert world.node.chain.head.time_ms == entry.expires_ms - 3_000
    assert world.refusal(withdraw(world)) == "no unFreeze balance to withdraw "
    world.mine()
    info = world.carried_out(withdraw(world))

    assert info.withdraw_expire_amount == 5 * SUN_PER_TRX
    assert world.account(world.payer.address).unfreezing == ()


def test_an_unfreeze_pays_out_what_has_matured_before(world: Any) -> None:
    world.carried_out(freeze(world, 9 * SUN_PER_TRX))
    world.carried_out(unfreeze(world, 4 * SUN_PER_TRX))
    world.wait(15 * DAY_MS)
    before_sun = world.balance_sun(world.payer.address)

    info = world.carried_out(unfreeze(world, 2 * SUN_PER_TRX))

    account = world.account(world.payer.address)
    assert info.withdraw_expire_amount == 4 * SUN_PER_TRX
    assert account.balance_sun == before_sun + 4 * SUN_PER_TRX
    assert [each.amount_sun for each in account.unfreezing] == [2 * SUN_PER_TRX]
    assert account.frozen_energy_sun == 3 * SUN_PER_TRX


def test_matured_entries_do_not_count_among_the_32(world: Any) -> None:
    world.carried_out(freeze(world, 100 * SUN_PER_TRX))
    for amount_sun in range(1, 33):
        world.carried_out(unfreeze(world, amount_sun))
    over = "Invalid unfreeze operation, unfreezing times is over limit"
    assert world.refusal(unfreeze(world, 33)) == over

    world.wait(14 * DAY_MS)

    assert world.carried_out(unfreeze(world, 34)).withdraw_expire_amount == sum(range(1, 33))


def test_cancelling_freezes_again_what_waits_and_pays_what_has_matured(world: Any) -> None:
    assert world.refusal(cancel(world)) == "No unfreezeV2 list to cancel"
    world.carried_out(freeze(world, 10 * SUN_PER_TRX))
    world.carried_out(freeze(world, 10 * SUN_PER_TRX, BANDWIDTH))
    world.carried_out(unfreeze(world, 1 * SUN_PER_TRX))
    world.wait(14 * DAY_MS)
    world.carried_out(freeze(world, 10 * SUN_PER_TRX))
    matured = world.account(world.payer.address).unfreezing
    world.use_up_free_bandwidth()
    before_sun = world.balance_sun(world.payer.address)

    info = world.carried_out(cancel(world))

    account = world.account(world.payer.address)
    assert [each.amount_sun for each in matured] == [SUN_PER_TRX]
    assert info.withdraw_expire_amount == SUN_PER_TRX
    assert dict(info.cancel_unfreezeV2_amount) == {"BANDWIDTH": 0, "ENERGY": 0, "TRON_POWER": 0}
    assert account.balance_sun == before_sun - info.fee + SUN_PER_TRX


def test_cancelling_returns_each_amount_to_its_own_resource(world: Any) -> None:
    world.carried_out(freeze(world, 10 * SUN_PER_TRX))
    world.carried_out(freeze(world, 10 * SUN_PER_TRX, BANDWIDTH))
    world.carried_out(unfreeze(world, 3 * SUN_PER_TRX))
    world.carried_out(unfreeze(world, 4 * SUN_PER_TRX))
    world.carried_out(unfreeze(world, 5 * SUN_PER_TRX, BANDWIDTH))

    info = world.carried_out(cancel(world))

    account = world.account(world.payer.address)
    assert dict(info.cancel_unfreezeV2_amount) == {
        "BANDWIDTH": 5 * SUN_PER_TRX,
        "ENERGY": 7 * SUN_PER_TRX,
        "TRON_POWER": 0,
    }
    assert info.withdraw_expire_amount == 0
    assert account.unfreezing == ()
    assert (account.frozen_energy_sun, account.frozen_net_sun) == (
        10 * SUN_PER_TRX,
        10 * SUN_PER_TRX,
    )

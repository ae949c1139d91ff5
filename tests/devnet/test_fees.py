from __future__ import annotations

from typing import Any

import pytest

from devnet import resources
from devnet.api.builders import unsigned
from devnet.chain_pb2 import (
    ENERGY,
    FreezeBalanceV2Contract,
    Transaction,
    TransactionInfo,
    UnfreezeBalanceV2Contract,
    WithdrawExpireUnfreezeContract,
)
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.genesis import FAUCET
from devnet.keys import Key
from devnet.rejection import RejectedError
from devnet.resources import SUN_PER_TRX, Usage

Result = Transaction.Result


def test_free_bandwidth_pays_until_it_is_used_up(world: Any) -> None:
    first = world.confirmed(world.transfer(world.payee.address, 1))
    second = world.confirmed(world.transfer(world.payee.address, SUN_PER_TRX))
    third = world.confirmed(world.transfer(world.payee.address, 100 * SUN_PER_TRX))

    assert (first.receipt.net_usage, first.fee) == (265, 0)
    assert (second.receipt.net_usage, second.fee) == (267, 0)
    assert (third.receipt.net_usage, third.receipt.net_fee, third.fee) == (0, 268_000, 268_000)
    assert not third.receipt.result
    assert list(third.contractResult) == [b""]


@pytest.mark.parametrize(
    ("holds", "energy", "penalty", "fee_sun"),
    [(True, 64_285, 49_635, 6_773_500), (False, 130_285, 100_635, 13_373_500)],
)
def test_a_usdt_transfer_costs_what_it_costs_on_mainnet(
    world: Any, *, holds: bool, energy: int, penalty: int, fee_sun: int
) -> None:
    world.use_up_free_bandwidth()
    recipient = world.payee.address if holds else world.stranger.address
    before_sun = world.balance_sun(world.payer.address)

    info = world.confirmed(world.usdt("transfer", recipient, 5_000_000))

    assert info.receipt.energy_usage_total == energy
    assert info.receipt.energy_penalty_total == penalty
    assert info.receipt.net_fee == 345_000
    assert info.fee == fee_sun == before_sun - world.balance_sun(world.payer.address)
    assert info.receipt.result == Result.SUCCESS
    assert list(info.contractResult) == [bytes(32)]
    assert info.log[0].address == USDT_CONTRACT_ADDRESS[1:]
    assert int.from_bytes(info.log[0].data, "big") == 5_000_000


def test_activating_an_account_costs_1_1_trx_and_the_recipient_gets_all(world: Any) -> None:
    info = world.confirmed(world.transfer(world.stranger.address, 5 * SUN_PER_TRX))

    assert (info.fee, info.receipt.net_fee, info.receipt.net_usage) == (1_100_000, 100_000, 0)
    assert world.balance_sun(world.stranger.address) == 5 * SUN_PER_TRX


def test_a_memo_costs_one_trx(world: Any) -> None:
    transaction = world.transfer(world.payee.address, 1)
    transaction.raw_data.data = b"hello"

    info = world.confirmed(world.signed(transaction, world.payer))

    assert info.fee == 1_000_000
    assert info.receipt.net_usage == 272


def test_running_out_of_energy_burns_the_whole_limit(world: Any) -> None:
    before_micro = world.usdt_micro(world.payer.address)

    info = world.confirmed(world.usdt("transfer", world.payee.address, 1, fee_limit_sun=5_000_000))

    assert info.receipt.result == Result.OUT_OF_ENERGY
    assert info.result == TransactionInfo.FAILED
    assert info.receipt.energy_usage_total == 50_000
    assert info.receipt.energy_fee == 5_000_000
    assert info.resMessage.startswith(b"Not enough energy for 'SSTORE' operation executing")
    assert not info.log
    assert world.usdt_micro(world.payer.address) == before_micro


def test_a_revert_is_included_and_charged_for_what_it_used(world: Any) -> None:
    info = world.confirmed(world.usdt("transfer", world.payee.address, 10**15))

    assert info.receipt.result == Result.REVERT
    assert info.resMessage == b"REVERT opcode executed"
    assert list(info.contractResult) == [b""]
    assert 0 < info.receipt.energy_fee < 2_000_000
    assert not info.log


def test_the_fee_limit_caps_staked_energy_too(world: Any) -> None:
    freeze = FreezeBalanceV2Contract(
        owner_address=FAUCET.key.address, frozen_balance=10**15, resource=ENERGY
    )
    world.confirmed(world.signed(unsigned(world.node, freeze), FAUCET.key))

    enough = world.confirmed(world.usdt("transfer", world.payee.address, 1, by=FAUCET.key))
    short = world.confirmed(
        world.usdt("transfer", world.payee.address, 1, by=FAUCET.key, fee_limit_sun=1_000_000)
    )

    assert (enough.receipt.energy_usage, enough.receipt.energy_fee) == (64_285, 0)
    assert short.receipt.result == Result.OUT_OF_ENERGY
    assert (short.receipt.energy_usage, short.receipt.energy_fee) == (10_000, 0)


def test_energy_comes_from_stake_first_and_the_rest_is_burned(world: Any) -> None:
    freeze = FreezeBalanceV2Contract(
        owner_address=world.payer.address, frozen_balance=1_000 * SUN_PER_TRX, resource=ENERGY
    )
    world.confirmed(world.signed(unsigned(world.node, freeze), world.payer))

    info = world.confirmed(world.usdt("transfer", world.payee.address, 1))

    assert 9_000 < info.receipt.energy_usage < 10_000
    assert info.receipt.energy_fee == (64_285 - info.receipt.energy_usage) * 100
    assert info.receipt.energy_usage_total == 64_285


def test_usdt_to_an_address_without_account_does_not_activate_it(world: Any) -> None:
    world.confirmed(world.usdt("transfer", world.stranger.address, 7))

    assert world.usdt_micro(world.stranger.address) == 7
    with pytest.raises(RejectedError, match="does not exist"):
        world.node.broadcast(world.transfer(world.payee.address, 1, by=world.stranger))


def test_the_guards_of_the_contract_revert_without_a_message(world: Any) -> None:
    world.confirmed(world.usdt("addBlackList", world.payer.address, by=FAUCET.key))
    listed = world.confirmed(world.usdt("transfer", world.payee.address, 1))
    received = world.confirmed(world.usdt("transfer", world.payer.address, 1, by=world.payee))
    world.confirmed(world.usdt("removeBlackList", world.payer.address, by=FAUCET.key))
    world.confirmed(world.usdt("pause", by=FAUCET.key))
    paused = world.confirmed(world.usdt("transfer", world.payee.address, 1))
    not_owner = world.confirmed(world.usdt("unpause"))

    assert listed.receipt.result == paused.receipt.result == Result.REVERT
    assert not_owner.receipt.result == Result.REVERT
    assert received.receipt.result == Result.SUCCESS


def test_the_fee_hook_takes_a_share_and_logs_it(world: Any) -> None:
    world.confirmed(world.usdt("setParams", 10, 40, by=FAUCET.key))

    info = world.confirmed(world.usdt("transfer", world.payee.address, 1_000_000))

    assert [int.from_bytes(log.data, "big") for log in info.log] == [999_000, 1_000]


def test_an_allowance_is_used_up(world: Any) -> None:
    world.confirmed(world.usdt("approve", world.payee.address, 10))
    payer, payee = world.payer.address, world.payee.address

    spent = world.confirmed(world.usdt("transferFrom", payer, payee, 8, by=world.payee))
    beyond = world.confirmed(world.usdt("transferFrom", payer, payee, 8, by=world.payee))

    assert spent.receipt.result == Result.SUCCESS
    assert int.from_bytes(spent.contractResult[0], "big") == 1
    assert beyond.receipt.result == Result.REVERT


def test_a_stake_gives_resources_at_once_and_comes_back_after_14_days(world: Any) -> None:
    owner = world.payer

    def stake(message: Any) -> TransactionInfo:
        info: TransactionInfo = world.confirmed(world.signed(unsigned(world.node, message), owner))
        return info

    stake(FreezeBalanceV2Contract(owner_address=owner.address, frozen_balance=10**9))
    moved = world.confirmed(world.transfer(world.payee.address, 1))
    before_sun = world.balance_sun(owner.address)
    stake(UnfreezeBalanceV2Contract(owner_address=owner.address, unfreeze_balance=10**9))
    withdraw = WithdrawExpireUnfreezeContract(owner_address=owner.address)
    with pytest.raises(RejectedError, match="no unFreeze balance to withdraw "):
        world.node.broadcast(world.signed(unsigned(world.node, withdraw), owner))
    world.node.clock.jump(14 * 86_400_000)
    world.mine()
    paid = stake(withdraw)

    assert moved.receipt.net_usage == 265
    assert paid.withdraw_expire_amount == 10**9
    assert world.balance_sun(owner.address) == before_sun + 10**9


def test_the_33rd_unfreezing_is_refused(world: Any) -> None:
    owner = FAUCET.key
    freeze = FreezeBalanceV2Contract(owner_address=owner.address, frozen_balance=10**9)
    world.confirmed(world.signed(unsigned(world.node, freeze), owner))
    for amount_sun in range(1, 33):
        unfreeze = UnfreezeBalanceV2Contract(
            owner_address=owner.address, unfreeze_balance=amount_sun
        )
        world.node.broadcast(world.signed(unsigned(world.node, unfreeze), owner))
    one_more = UnfreezeBalanceV2Contract(owner_address=owner.address, unfreeze_balance=99)

    with pytest.raises(RejectedError, match="unfreezing times is over limit"):
        world.node.broadcast(world.signed(unsigned(world.node, one_more), owner))


def test_who_cannot_pay_for_bytes_is_refused(world: Any) -> None:
    poor = Key(name="poor")
    world.confirmed(world.transfer(poor.address, 1_000))
    world.use_up_free_bandwidth(by=poor)

    with pytest.raises(RejectedError, match="Account resource insufficient error"):
        world.node.broadcast(world.transfer(world.payee.address, 1, by=poor))


def test_usage_fades_linearly_over_a_day() -> None:
    usage = resources.consumed_free(Usage(), 600, 1_000)

    faded = [resources.remaining(usage, 1_000 + hours * 1_200) for hours in (0, 6, 12, 18, 24)]

    assert faded == [600, 450, 300, 150, 0]


def test_a_merged_window_is_shorter_than_a_day_and_ends_no_earlier_than_the_rest() -> None:
    first = resources.consumed(Usage(), 10_000, 0)
    second = resources.consumed(first, 10_000, 14_400)

    assert 14_990 <= second.amount <= 15_010
    assert 14_400_000 < second.window < 28_800_000
    assert resources.remaining(second, 14_400 + second.window_slots) == 0

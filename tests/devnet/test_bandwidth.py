from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from devnet.api.builders import unsigned
from devnet.bandwidth import PUBLIC_NET_LIMIT
from devnet.blocks import txid_of
from devnet.chain_pb2 import (
    BANDWIDTH,
    AccountCreateContract,
    FreezeBalanceV2Contract,
    VoteWitnessContract,
)
from devnet.genesis import FAUCET, WITNESSES
from devnet.items import opened
from devnet.keys import Key
from devnet.rejection import Code, RejectedError
from devnet.resources import SUN_PER_TRX, Usage
from devnet.state import BURNED_SUN


@pytest.mark.parametrize(
    ("amount_sun", "points"),
    [
        (1, 265),
        (SUN_PER_TRX, 267),
        (100 * SUN_PER_TRX, 268),
        (1_000 * SUN_PER_TRX, 269),
        (40_000 * SUN_PER_TRX, 270),
    ],
)
def test_a_transfer_s_size_grows_with_its_amount(world: Any, amount_sun: int, points: int) -> None:
    transaction = world.transfer(world.payee.address, amount_sun, by=FAUCET.key)

    assert opened(transaction).size_bytes == points
    assert world.confirmed(transaction).receipt.net_usage == points


def test_a_freeze_takes_251_points_and_a_vote_270(world: Any) -> None:
    owner = world.payer.address
    freeze = FreezeBalanceV2Contract(
        owner_address=owner, frozen_balance=10 * SUN_PER_TRX, resource=BANDWIDTH
    )
    vote = VoteWitnessContract(
        owner_address=owner,
        votes=[VoteWitnessContract.Vote(vote_address=WITNESSES[0].address, vote_count=1)],
    )

    frozen, voted = world.carried_out(freeze), world.carried_out(vote)

    assert (frozen.receipt.net_usage, voted.receipt.net_usage) == (251, 270)
    assert frozen.fee == voted.fee == 0
    assert not frozen.receipt.result


def test_each_further_signature_takes_67_points(world: Any) -> None:
    transaction = world.transfer(world.payee.address, 1)
    transaction.signature.append(bytes(65))

    assert opened(transaction).size_bytes == 265 + 67


def staked_for_bandwidth(world: Any, *, points: int) -> None:
    """Freeze what gives the payer at least so much staked bandwidth."""
    sun = points * SUN_PER_TRX * 26_800_000_000 // 43_200_000_000 + SUN_PER_TRX
    world.carried_out(
        FreezeBalanceV2Contract(owner_address=world.payer.address, frozen_balance=sun)
    )


def test_staked_bandwidth_goes_first_and_pools_never_mix(world: Any) -> None:
    """600 free points; 252 used by the freeze, so one pool alone must hold all of a transfer."""
    staked_for_bandwidth(world, points=500)
    receipts = [world.confirmed(world.transfer(world.payee.address, n)).receipt for n in (1, 2, 3)]
    account = world.account(world.payer.address)

    assert [(each.net_usage, each.net_fee) for each in receipts] == [
        (265, 0),
        (265, 0),
        (0, 265_000),
    ]
    assert account.net.amount == 265
    assert account.free_net.amount == 252 + 264


def test_free_bandwidth_needs_room_in_the_pool_of_all(world: Any) -> None:
    slot = world.node.chain.moment.slot
    nearly_all = Usage(amount=PUBLIC_NET_LIMIT - 264, slot=slot)
    world.node.chain.ledger.head.put(("public_net", b""), nearly_all)

    info = world.confirmed(world.transfer(world.payee.address, 1))

    assert (info.receipt.net_usage, info.receipt.net_fee) == (0, 265_000)


def test_an_account_is_activated_from_stake_where_there_is_any(world: Any) -> None:
    staked_for_bandwidth(world, points=500)

    info = world.confirmed(world.transfer(world.stranger.address, SUN_PER_TRX))

    assert (info.receipt.net_usage, info.receipt.net_fee, info.fee) == (267, 0, 1_000_000)


def test_an_account_is_created_for_the_same_fees(world: Any) -> None:
    creation = AccountCreateContract(
        owner_address=world.payer.address, account_address=world.stranger.address
    )

    info = world.carried_out(creation)

    assert (info.fee, info.receipt.net_fee) == (1_100_000, 100_000)
    assert world.account(world.stranger.address).balance_sun == 0


@pytest.mark.parametrize("excess", [0, 1])
def test_a_transaction_that_activates_has_at_most_1000_bytes_without_signatures(
    world: Any, excess: int
) -> None:
    transaction = world.transfer(world.stranger.address, 1)
    transaction.raw_data.data = bytes(790)
    missing = 1_000 - (transaction.ByteSize() - 65) + excess
    transaction.raw_data.data = bytes(790 + missing)
    world.signed(transaction, world.payer)
    assert transaction.ByteSize() - 65 == 1_000 + excess

    if not excess:
        assert world.confirmed(transaction).fee == 2_100_000
        return
    with pytest.raises(RejectedError) as caught:
        world.node.broadcast(transaction)
    assert caught.value.code is Code.TOO_BIG_TRANSACTION_ERROR
    assert caught.value.message == (
        f"Too big new account transaction, TxId {txid_of(transaction).hex()}, "
        "the size is 1001 bytes, maxTxSize 1000"
    )


def test_all_fees_are_burned(world: Any) -> None:
    before_sun = world.node.pending_state.integer(BURNED_SUN)
    world.use_up_free_bandwidth()
    memo = world.transfer(world.payee.address, 1)
    memo.raw_data.data = b"x"

    infos = [
        world.confirmed(world.signed(memo, world.payer)),
        world.confirmed(world.transfer(world.stranger.address, SUN_PER_TRX)),
        world.confirmed(world.usdt("transfer", world.payee.address, 5)),
    ]

    fees_sun = [info.fee for info in infos]
    assert fees_sun == [1_268_000, 1_100_000, 6_773_500]
    assert world.node.pending_state.integer(BURNED_SUN) == before_sun + sum(fees_sun)


def test_a_fee_that_cannot_be_paid_after_the_bytes_rejects_all(world: Any) -> None:
    """Bytes come first, then the memo fee; nothing is kept of a transaction that is not taken."""
    poor = Key(name="poor")
    world.confirmed(world.transfer(poor.address, 999_999))
    memo = world.transfer(world.payee.address, 1, by=poor)
    memo.raw_data.data = b"x"
    before = world.account(poor.address)

    with pytest.raises(RejectedError, match="Account resource insufficient error"):
        world.node.broadcast(world.signed(memo, poor))

    assert world.account(poor.address) == before


def test_sending_everything_fails_where_the_bytes_must_be_burned(world: Any) -> None:
    world.use_up_free_bandwidth()
    everything_sun = world.balance_sun(world.payer.address)
    too_much = world.transfer(world.payee.address, everything_sun)

    with pytest.raises(RejectedError, match="balance is not sufficient"):
        world.node.broadcast(too_much)
    world.confirmed(world.transfer(world.payee.address, everything_sun - 269_000))

    assert world.balance_sun(world.payer.address) == 0


def test_an_account_in_debt_of_bandwidth_uses_its_free_pool(world: Any) -> None:
    staked_for_bandwidth(world, points=300)
    account = world.account(world.payer.address)
    used_up = replace(account, net=Usage(amount=10**6, slot=world.node.chain.moment.slot))
    world.node.chain.ledger.head.put_account(used_up)
    world.mine()

    info = world.carried_out(
        FreezeBalanceV2Contract(owner_address=world.payer.address, frozen_balance=SUN_PER_TRX)
    )

    assert info.receipt.net_usage == 250
    assert world.account(world.payer.address).free_net.amount > 250


def test_a_builder_s_transaction_is_what_is_charged(world: Any) -> None:
    transaction = unsigned(
        world.node,
        FreezeBalanceV2Contract(owner_address=world.payer.address, frozen_balance=SUN_PER_TRX),
    )
    signed = world.signed(transaction, world.payer)

    assert world.confirmed(signed).receipt.net_usage == signed.ByteSize() + 64

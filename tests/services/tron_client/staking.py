"""What a staker does on the devnet, and how time passes for it."""

from __future__ import annotations

from typing import Any

from devnet import rewards
from devnet.chain_pb2 import (
    ENERGY,
    CancelAllUnfreezeV2Contract,
    FreezeBalanceV2Contract,
    Transaction,
    UnfreezeBalanceV2Contract,
    VoteWitnessContract,
    WithdrawBalanceContract,
    WithdrawExpireUnfreezeContract,
)
from devnet.genesis import WITNESSES
from devnet.maintenance import next_time_ms
from tests.services.tron_client.bench import World

SUN_PER_TRX = 1_000_000
DAY_MS = 86_400_000
UNFREEZING_MS = 14 * DAY_MS


def freeze(world: World, amount_sun: int) -> Transaction:
    return world.wrapped(
        FreezeBalanceV2Contract(
            owner_address=world.payer.address, frozen_balance=amount_sun, resource=ENERGY
        )
    )


def unfreeze(world: World, amount_sun: int) -> Transaction:
    return world.wrapped(
        UnfreezeBalanceV2Contract(
            owner_address=world.payer.address, unfreeze_balance=amount_sun, resource=ENERGY
        )
    )


def vote(world: World, count: int) -> Transaction:
    votes = [VoteWitnessContract.Vote(vote_address=WITNESSES[0].address, vote_count=count)]
    return world.wrapped(VoteWitnessContract(owner_address=world.payer.address, votes=votes))


def claim(world: World) -> Transaction:
    return world.wrapped(WithdrawBalanceContract(owner_address=world.payer.address))


def withdraw(world: World) -> Transaction:
    return world.wrapped(WithdrawExpireUnfreezeContract(owner_address=world.payer.address))


def cancel(world: World) -> Transaction:
    return world.wrapped(CancelAllUnfreezeV2Contract(owner_address=world.payer.address))


def carry_out(world: World, transaction: Transaction) -> str:
    txid = world.devnet.node.broadcast(transaction).txid.hex()
    world.mine()
    return txid


def wait(world: World, milliseconds: int) -> None:
    """Let chain time pass, and make a block in it."""
    node: Any = world.devnet.node
    node.clock.advance_to(node.chain.head.time_ms + milliseconds)
    node.mine()


def to_next_cycle(world: World) -> None:
    """Make the block that counts the votes."""
    chain = world.devnet.node.chain
    wait(world, next_time_ms(chain.ledger.head) - chain.head.time_ms)


def earn(world: World) -> None:
    """Stake, vote, and let a reward come due."""
    to_next_cycle(world)
    carry_out(world, freeze(world, 9_000 * SUN_PER_TRX))
    carry_out(world, vote(world, 9_000))
    to_next_cycle(world)
    world.mine(30)
    to_next_cycle(world)


def reward_sun(world: World) -> int:
    return rewards.reward_sun(world.devnet.node.pending_state, world.payer.address)

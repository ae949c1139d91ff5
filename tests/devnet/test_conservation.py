from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devnet.accounts import Account
from devnet.api.builders import unsigned
from devnet.chain_pb2 import (
    FreezeBalanceV2Contract,
    UnfreezeBalanceV2Contract,
    WithdrawExpireUnfreezeContract,
)
from devnet.genesis import CUSTOMERS, FAUCET, HOLDERS
from devnet.keys import Key
from devnet.rejection import RejectedError
from devnet.state import BURNED_SUN, State

PEOPLE = [CUSTOMERS[0].key, CUSTOMERS[1].key, FAUCET.key, Key(name="stranger")]
PERSON = st.sampled_from(PEOPLE)
AMOUNT = st.integers(min_value=0, max_value=12_000_000_000)
STEP = st.one_of(
    st.tuples(st.just("trx"), PERSON, PERSON, AMOUNT),
    st.tuples(st.just("usdt"), PERSON, PERSON, AMOUNT),
    st.tuples(st.just("freeze"), PERSON, st.integers(0, 1), AMOUNT),
    st.tuples(st.just("unfreeze"), PERSON, st.integers(0, 1), AMOUNT),
    st.tuples(st.just("withdraw"), PERSON),
    st.tuples(st.just("mine"), st.integers(1, 12)),
    st.tuples(st.just("jump"), st.integers(1, 15 * 86_400)),
    st.tuples(st.just("reorg"), st.integers(1, 4), st.booleans()),
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEP, max_size=25))
def test_money_is_only_moved_or_burned_and_a_replay_agrees(
    open_world: Callable[[Path], Any], steps: list[tuple[Any, ...]]
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chain.blocks"
        world = open_world(path)
        world.mine()
        for step in steps:
            take(world, step)
            for state in (world.node.pending_state, world.node.chain.ledger.solid):
                assert trx_in(state) == sum(holder.trx_sun for holder in HOLDERS)
                assert usdt_in(state) == state.integer("usdt.supply")
        world.mine(20)
        head = dict(world.node.chain.ledger.head.changes)
        solid = dict(world.node.chain.ledger.solid.changes)
        world.node.chain.close()

        again = open_world(path)
        assert again.node.chain.ledger.head.changes == head
        assert again.node.chain.ledger.solid.changes == solid
        again.node.chain.close()


def take(world: Any, step: tuple[Any, ...]) -> None:
    try:
        match step:
            case ("trx", sender, recipient, amount):
                world.node.broadcast(world.transfer(recipient.address, amount, by=sender))
            case ("usdt", sender, recipient, amount):
                world.node.broadcast(world.usdt("transfer", recipient.address, amount, by=sender))
            case ("freeze", owner, resource, amount):
                message: Any = FreezeBalanceV2Contract(
                    owner_address=owner.address, frozen_balance=amount, resource=resource
                )
                world.node.broadcast(world.signed(unsigned(world.node, message), owner))
            case ("unfreeze", owner, resource, amount):
                message = UnfreezeBalanceV2Contract(
                    owner_address=owner.address, unfreeze_balance=amount, resource=resource
                )
                world.node.broadcast(world.signed(unsigned(world.node, message), owner))
            case ("withdraw", owner):
                message = WithdrawExpireUnfreezeContract(owner_address=owner.address)
                world.node.broadcast(world.signed(unsigned(world.node, message), owner))
            case ("mine", blocks):
                world.mine(blocks)
            case ("jump", seconds):
                world.node.clock.jump(seconds * 1_000)
            case ("reorg", depth, drop):
                possible = world.node.chain.head.number - world.node.chain.solid_number
                world.node.reorganise(min(depth, possible), drop=drop)
    except RejectedError:
        return


def trx_in(state: State) -> int:
    total_sun = state.integer(BURNED_SUN)
    for key in [holder.key for holder in HOLDERS] + PEOPLE[3:]:
        account = state.account(key.address) or Account(address=key.address)
        staked_sun = account.frozen_net_sun + account.frozen_energy_sun
        unfreezing_sun = sum(each.amount_sun for each in account.unfreezing)
        total_sun += account.balance_sun + staked_sun + unfreezing_sun
    return total_sun


def usdt_in(state: State) -> int:
    keys = [holder.key for holder in HOLDERS] + PEOPLE[3:]
    return sum(state.integer("usdt.balance", key.address) for key in keys)

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devnet import rewards
from devnet.accounts import Account
from devnet.api.builders import unsigned
from devnet.chain_pb2 import (
    BANDWIDTH,
    ENERGY,
    AccountCreateContract,
    CancelAllUnfreezeV2Contract,
    DelegateResourceContract,
    FreezeBalanceV2Contract,
    TransactionInfo,
    UnDelegateResourceContract,
    UnfreezeBalanceV2Contract,
    VoteWitnessContract,
    WithdrawBalanceContract,
    WithdrawExpireUnfreezeContract,
)
from devnet.contracts.storage import read_slot
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.forks import Fate
from devnet.genesis import (
    CUSTOMERS,
    FAUCET,
    HOLDERS,
    OTHERS_ENERGY_WEIGHT,
    OTHERS_NET_WEIGHT,
    OTHERS_VOTES,
    WITNESSES,
)
from devnet.keys import Key
from devnet.lending import Loan, Pair, borrowers, lenders
from devnet.parameters import numbered
from devnet.rejection import RejectedError
from devnet.resources import SUN_PER_TRX
from devnet.state import BURNED_SUN, ENERGY_WEIGHT, NET_WEIGHT, State

STRANGER = Key(name="stranger")
PEOPLE = [CUSTOMERS[0].key, CUSTOMERS[1].key, FAUCET.key, STRANGER]
EVERYBODY = [
    *(holder.key.address for holder in HOLDERS),
    STRANGER.address,
    *(key.address for key in WITNESSES),
    USDT_CONTRACT_ADDRESS,
]
GENESIS_SUN = sum(holder.trx_sun for holder in HOLDERS)
MOST_PAID_IN_A_BLOCK_SUN = 136 * SUN_PER_TRX

PERSON = st.sampled_from(PEOPLE)
RESOURCE = st.sampled_from([BANDWIDTH, ENERGY])
AMOUNT = st.integers(min_value=0, max_value=12_000_000_000)
VOTES = st.lists(st.tuples(st.integers(0, 26), st.integers(0, 20_000)), max_size=3)
STEP = st.one_of(
    st.tuples(st.just("trx"), PERSON, PERSON, AMOUNT),
    st.tuples(st.just("usdt"), PERSON, PERSON, AMOUNT),
    st.tuples(st.just("call"), PERSON, st.integers(0, 5 * SUN_PER_TRX)),
    st.tuples(st.just("create"), PERSON),
    st.tuples(st.just("freeze"), PERSON, RESOURCE, AMOUNT),
    st.tuples(st.just("unfreeze"), PERSON, RESOURCE, AMOUNT),
    st.tuples(st.just("lend"), PERSON, PERSON, RESOURCE, AMOUNT, st.sampled_from([None, 0, 9])),
    st.tuples(st.just("take back"), PERSON, PERSON, RESOURCE, AMOUNT),
    st.tuples(st.just("withdraw"), PERSON),
    st.tuples(st.just("cancel"), PERSON),
    st.tuples(st.just("vote"), PERSON, VOTES),
    st.tuples(st.just("reward"), PERSON),
    st.tuples(st.just("price"), st.integers(0, 500)),
    st.tuples(st.just("mine"), st.integers(1, 12)),
    st.tuples(st.just("jump"), st.integers(1, 15 * 86_400)),
    st.tuples(st.just("reorg"), st.integers(1, 4), st.sampled_from(Fate)),
)
_SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(_SETTINGS, max_examples=30)
@given(steps=st.lists(STEP, max_size=25))
def test_money_is_only_moved_burned_or_earned_and_a_replay_agrees(
    open_world: Callable[[Path], Any], steps: list[tuple[Any, ...]]
) -> None:
    play(open_world, steps)


@pytest.mark.property
@settings(_SETTINGS, max_examples=1_000)
@given(steps=st.lists(STEP, min_size=10, max_size=80))
def test_long_histories_conserve_money_too(
    open_world: Callable[[Path], Any], steps: list[tuple[Any, ...]]
) -> None:
    play(open_world, steps)


def test_a_history_of_every_kind_is_not_refused(world: Any) -> None:
    """The random steps above are worth nothing if the node takes none of them."""
    first, second = CUSTOMERS[0].key, CUSTOMERS[1].key
    million = SUN_PER_TRX * 1_000
    steps: list[tuple[Any, ...]] = [
        ("create", first),
        ("freeze", first, ENERGY, million),
        ("lend", first, second, ENERGY, 10 * SUN_PER_TRX, None),
        ("lend", first, second, ENERGY, 10 * SUN_PER_TRX, 9),
        ("mine", 1),
        ("usdt", second, first, 5),
        ("take back", first, second, ENERGY, 10 * SUN_PER_TRX),
        ("vote", first, [(0, 100), (5, 200)]),
        ("unfreeze", first, ENERGY, 900 * SUN_PER_TRX),
        ("cancel", first),
        ("unfreeze", first, ENERGY, 5),
        ("mine", 1),
        ("jump", 15 * 86_400),
        ("mine", 1),
        ("withdraw", first),
        ("mine", 5),
        ("jump", 7 * 3_600),
        ("mine", 1),
        ("reward", first),
        ("reorg", 1, Fate.REINCLUDE),
        ("price", 210),
        ("trx", first, second, 7),
    ]
    for step in steps:
        carry_out(world, step)
        audit(world)


def play(open_world: Callable[[Path], Any], steps: Iterable[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "chain.blocks"
        world = open_world(path)
        world.mine()
        for step in steps:
            with suppress(RejectedError):
                carry_out(world, step)
            audit(world)
        world.mine(20)
        head = dict(world.node.chain.ledger.head.changes)
        solid = dict(world.node.chain.ledger.solid.changes)
        world.node.close()

        again = open_world(path)
        assert again.node.chain.ledger.head.changes == head
        assert again.node.chain.ledger.solid.changes == solid
        again.node.close()


def carry_out(world: Any, step: tuple[Any, ...]) -> None:
    match step:
        case ("trx", sender, recipient, amount):
            world.node.broadcast(world.transfer(recipient.address, amount, by=sender))
        case ("usdt", sender, recipient, amount):
            world.node.broadcast(world.usdt("transfer", recipient.address, amount, by=sender))
        case ("call", caller, fee_limit_sun):
            approval = world.usdt("approve", FAUCET.key.address, 5, by=caller)
            approval.raw_data.fee_limit = fee_limit_sun
            world.node.broadcast(world.signed(approval, caller))
        case ("price", price_sun):
            values = {"getEnergyFee": price_sun, "getFreeNetLimit": price_sun}
            world.devnet.teller.set_parameters(numbered(values))
        case ("mine", blocks):
            world.mine(blocks)
        case ("jump", seconds):
            world.node.clock.jump(seconds * 1_000)
        case ("reorg", depth, fate):
            possible = world.node.chain.head.number - world.node.chain.solid_number
            world.node.reorganise(min(depth, possible), fate=fate)
        case _:
            message, signer = contract_of(step)
            world.node.broadcast(world.signed(unsigned(world.node, message), signer))


def contract_of(step: tuple[Any, ...]) -> tuple[Any, Key]:
    kind, owner, *fields = step
    build, names = CONTRACTS[kind]
    return build(owner_address=owner.address, **dict(zip(names, fields, strict=True))), owner


def lending(*, receiver: Key, lock: int | None, **fields: Any) -> DelegateResourceContract:
    return DelegateResourceContract(
        receiver_address=receiver.address, lock=lock is not None, lock_period=lock or 0, **fields
    )


def taking_back(*, receiver: Key, **fields: Any) -> UnDelegateResourceContract:
    return UnDelegateResourceContract(receiver_address=receiver.address, **fields)


def creation(**fields: Any) -> AccountCreateContract:
    return AccountCreateContract(account_address=STRANGER.address, **fields)


def voting(*, chosen: list[tuple[int, int]], **fields: Any) -> VoteWitnessContract:
    votes = [
        VoteWitnessContract.Vote(vote_address=WITNESSES[at].address, vote_count=count)
        for at, count in chosen
    ]
    return VoteWitnessContract(votes=votes, **fields)


CONTRACTS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "create": (creation, ()),
    "freeze": (FreezeBalanceV2Contract, ("resource", "frozen_balance")),
    "unfreeze": (UnfreezeBalanceV2Contract, ("resource", "unfreeze_balance")),
    "lend": (lending, ("receiver", "resource", "balance", "lock")),
    "take back": (taking_back, ("receiver", "resource", "balance")),
    "withdraw": (WithdrawExpireUnfreezeContract, ()),
    "cancel": (CancelAllUnfreezeV2Contract, ()),
    "vote": (voting, ("chosen",)),
    "reward": (WithdrawBalanceContract, ()),
}


def audit(world: Any) -> None:
    """Check the books at the solid height, at the head, and with the pool on top."""
    chain = world.node.chain
    included = [
        info for number in range(1, chain.head.number + 1) for info in chain.record(number).infos
    ]
    solid = [info for info in included if info.blockNumber <= chain.solid_number]
    waiting = [world.node.pool.get(txid).info for txid in world.node.pool.txids()]
    check(chain.ledger.solid, solid, blocks=chain.solid_number)
    check(chain.ledger.head, included, blocks=chain.head.number)
    check(world.node.pending_state, included + waiting, blocks=chain.head.number)


def check(state: State, infos: list[TransactionInfo], *, blocks: int) -> None:
    accounts = [each for each in map(state.account, EVERYBODY) if each is not None]
    earned_sun = sum(info.withdraw_amount for info in infos)

    held_sun = sum(account.balance_sun + stake_sun(account) for account in accounts)
    assert held_sun + state.integer(BURNED_SUN) == GENESIS_SUN + earned_sun
    assert state.integer(BURNED_SUN) == sum(info.fee for info in infos)
    running = rewards.cycle(state)
    due_sun = sum(rewards.reward_sun(state, account.address) for account in accounts)
    assert earned_sun + due_sun + sum(running.voters_sun) <= blocks * MOST_PAID_IN_A_BLOCK_SUN

    usdt = USDT_CONTRACT_ADDRESS
    usdt_micro = sum(read_slot(state, usdt, "balance", address) for address in EVERYBODY)
    assert usdt_micro == read_slot(state, usdt, "supply")
    check_weights(state, accounts)
    check_loans(state, accounts)
    check_votes(state, accounts)


def stake_sun(account: Account) -> int:
    return account.tron_power_sun + sum(each.amount_sun for each in account.unfreezing)


def check_weights(state: State, accounts: list[Account]) -> None:
    net = [each.frozen_net_sun + each.delegated_net_sun for each in accounts]
    energy = [each.frozen_energy_sun + each.delegated_energy_sun for each in accounts]
    for others, kind, stakes in (
        (OTHERS_NET_WEIGHT, NET_WEIGHT, net),
        (OTHERS_ENERGY_WEIGHT, ENERGY_WEIGHT, energy),
    ):
        assert state.integer(kind) == others + sum(sun // SUN_PER_TRX for sun in stakes)


def check_loans(state: State, accounts: list[Account]) -> None:
    """What each has lent and borrowed is the sum of the loans in the lists of both."""
    lent: Counter[tuple[bytes, int]] = Counter()
    borrowed: Counter[tuple[bytes, int]] = Counter()
    for account in accounts:
        for borrower in borrowers(state, account.address):
            assert account.address in lenders(state, borrower)
            pair = Pair(lender=account.address, borrower=borrower)
            loans = [pair.loan(state, locked=locked) or Loan() for locked in (False, True)]
            assert any(loan != Loan() for loan in loans)
            for resource in (BANDWIDTH, ENERGY):
                amount_sun = sum(loan.amount_sun(resource) for loan in loans)
                lent[account.address, resource] += amount_sun
                borrowed[borrower, resource] += amount_sun
    for account in accounts:
        address = account.address
        assert account.delegated_net_sun == lent[address, BANDWIDTH]
        assert account.delegated_energy_sun == lent[address, ENERGY]
        assert account.acquired_net_sun == borrowed[address, BANDWIDTH]
        assert account.acquired_energy_sun == borrowed[address, ENERGY]


def check_votes(state: State, accounts: list[Account]) -> None:
    """Nobody votes beyond his power, and all votes are counted or about to be."""
    running = rewards.cycle(state)
    given_votes: Counter[bytes] = Counter()
    for account in accounts:
        assert account.vote_count * SUN_PER_TRX <= account.tron_power_sun
        for vote in account.votes:
            given_votes[vote.witness] += vote.count
    for at, key in enumerate(WITNESSES):
        counted = running.votes[at] + running.vote_changes[at]
        assert counted == OTHERS_VOTES[at] + given_votes[key.address]

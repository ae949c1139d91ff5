from __future__ import annotations

from typing import Any

import pytest

from devnet import rewards, witnesses
from devnet.accounts import Vote
from devnet.chain_pb2 import (
    ENERGY,
    DelegateResourceContract,
    FreezeBalanceV2Contract,
    UnfreezeBalanceV2Contract,
    VoteWitnessContract,
    WithdrawBalanceContract,
)
from devnet.forks import Fate
from devnet.genesis import FAUCET, GENESIS_TIME_MS, OTHERS_VOTES, WITNESSES
from devnet.maintenance import next_time_ms
from devnet.resources import SUN_PER_TRX

FIRST, LAST = WITNESSES[0].address, WITNESSES[-1].address
SIX_HOURS_MS = 21_600_000
DAY_MS = 86_400_000


def vote(world: Any, *votes: tuple[bytes, int], owner: bytes = b"") -> Any:
    return VoteWitnessContract(
        owner_address=owner or world.payer.address,
        votes=[
            VoteWitnessContract.Vote(vote_address=address, vote_count=count)
            for address, count in votes
        ],
    )


def withdraw(owner: bytes) -> Any:
    return WithdrawBalanceContract(owner_address=owner)


def staked(world: Any, amount_sun: int, *, by: Any = None) -> None:
    by = by or world.payer
    freeze = FreezeBalanceV2Contract(
        owner_address=by.address, frozen_balance=amount_sun, resource=ENERGY
    )
    world.carried_out(freeze, by=by)


def to_next_cycle(world: Any) -> None:
    """Make the block that counts the votes."""
    number = cycle_number(world)
    due_ms = next_time_ms(world.node.chain.ledger.head)
    world.wait(due_ms - world.node.chain.head.time_ms)
    assert cycle_number(world) == number + 1


@pytest.fixture(autouse=True)
def early_in_a_cycle(world: Any) -> None:
    """So that no maintenance comes between a test's blocks unless it asks for one."""
    to_next_cycle(world)


def cycle_number(world: Any) -> int:
    return rewards.cycle(world.node.chain.ledger.head).number


def reward_sun(world: Any, address: bytes) -> int:
    return rewards.reward_sun(world.node.pending_state, address)


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ([], "VoteNumber must more than 0"),
        ([(FIRST, 1)] * 31, "VoteNumber more than maxVoteNumber 30"),
        ([(b"A", 1)], "Invalid vote address!"),
        ([(FIRST, 0)], "vote count must be greater than 0"),
        ([(b"A" + bytes(20), 1)], f"Account[41{'00' * 20}] not exists"),
        ([(FAUCET.key.address, 1)], f"Witness[{FAUCET.key.address.hex()}] not exists"),
        (
            [(FIRST, 10), (LAST, 1)],
            "The total number of votes[11000000] is greater than the tronPower[10999999]",
        ),
        (
            [(FIRST, 2**62), (LAST, 2**62)],
            "overflow: checkedAdd(4611686018427387904, 4611686018427387904)",
        ),
        ([(FIRST, 2**62)], "overflow: checkedMultiply(4611686018427387904, 1000000)"),
    ],
)
def test_a_vote_is_refused_in_the_node_s_words(
    world: Any, votes: list[tuple[bytes, int]], message: str
) -> None:
    staked(world, 10_999_999)

    assert world.refusal(vote(world, *votes)) == message


def test_votes_are_counted_at_the_next_maintenance_and_replace_each_other(world: Any) -> None:
    staked(world, 100 * SUN_PER_TRX)
    world.carried_out(vote(world, (FIRST, 60), (LAST, 40)))
    world.carried_out(vote(world, (LAST, 30)))

    before = rewards.cycle(world.node.chain.ledger.head).votes
    to_next_cycle(world)
    counted = rewards.cycle(world.node.chain.ledger.head).votes
    world.carried_out(vote(world, (FIRST, 5)))
    to_next_cycle(world)
    later = rewards.cycle(world.node.chain.ledger.head).votes

    assert before == OTHERS_VOTES
    assert (counted[0], counted[-1]) == (OTHERS_VOTES[0], OTHERS_VOTES[-1] + 30)
    assert (later[0], later[-1]) == (OTHERS_VOTES[0] + 5, OTHERS_VOTES[-1])


def test_maintenance_is_due_every_six_hours_on_a_grid_from_genesis(world: Any) -> None:
    head = world.node.chain.ledger.head
    due_ms = next_time_ms(head)
    assert (due_ms - GENESIS_TIME_MS) % SIX_HOURS_MS == 0
    assert 0 < due_ms - world.node.chain.head.time_ms <= SIX_HOURS_MS

    to_next_cycle(world)
    assert next_time_ms(head) == due_ms + SIX_HOURS_MS

    number = cycle_number(world)
    world.wait(10 * SIX_HOURS_MS)
    assert cycle_number(world) == number + 1
    assert 0 < next_time_ms(head) - world.node.chain.head.time_ms <= SIX_HOURS_MS


def test_an_undone_block_takes_its_maintenance_with_it(world: Any) -> None:
    world.mine(30)
    head = world.node.chain.ledger.head
    due_ms, number = next_time_ms(head), cycle_number(world)
    world.wait(due_ms - world.node.chain.head.time_ms - 6_000)
    world.mine()
    assert cycle_number(world) == number
    world.mine()
    assert cycle_number(world) == number + 1

    world.node.reorganise(2, fate=Fate.DROP)

    assert cycle_number(world) == number + 1
    assert next_time_ms(head) == due_ms + SIX_HOURS_MS
    assert head.get(("witness", FIRST)) is not None


def test_a_block_pays_its_witness_and_all_by_their_votes(world: Any) -> None:
    """8 TRX and 128 TRX a block, of which witnesses keep 20 %: 6.4 and a share of 102.4."""
    world.mine(27)

    running = rewards.cycle(world.node.chain.ledger.head)

    standby = [int(votes * (128_000_000 / 39_690_000_000)) for votes in OTHERS_VOTES]
    assert standby[0] == 5_159_989
    assert running.voters_sun[0] == 27 * (5_159_989 - 1_031_997) + 6_400_000
    assert running.brokerage_sun[0] == 27 * 1_031_997 + 1_600_000
    paid = sum(running.voters_sun) + sum(running.brokerage_sun)
    assert 27 * 136_000_000 - 27 * 27 <= paid <= 27 * 136_000_000


def test_a_vote_earns_from_the_cycle_after_it_is_counted(world: Any) -> None:
    """10,000 of 1,340,010,000 votes for the last witness, in a cycle of 28 blocks."""
    staked(world, 9_999 * SUN_PER_TRX)
    world.carried_out(vote(world, (LAST, 9_990)))
    to_next_cycle(world)
    assert reward_sun(world, world.payer.address) == 0
    world.mine(27)
    earned = rewards.cycle(world.node.chain.ledger.head)
    assert reward_sun(world, world.payer.address) == 0

    to_next_cycle(world)

    votes = OTHERS_VOTES[-1] + 9_990
    assert earned.votes[-1] == votes
    standby = int(votes * (128_000_000 / (39_690_000_000 + 9_990)))
    for_voters = standby - int(0.2 * standby)
    assert earned.voters_sun[-1] == 27 * for_voters + 6_400_000
    whole = earned.voters_sun[-1] + for_voters + (6_400_000 if last_made_the_block(world) else 0)
    assert reward_sun(world, world.payer.address) == whole * 10**18 // votes * 9_990 // 10**18


def last_made_the_block(world: Any) -> bool:
    head = world.node.chain.record(world.node.chain.head.number).block
    return bool(head.block_header.raw_data.witness_address == LAST)


def test_settling_often_gains_and_loses_nothing_but_the_rounding(world: Any) -> None:
    for by in (world.payer, world.payee):
        staked(world, 9_000 * SUN_PER_TRX, by=by)
        world.carried_out(vote(world, (FIRST, 5_000), (LAST, 4_000), owner=by.address), by=by)
    for _ in range(6):
        to_next_cycle(world)
        world.mine(5)
        world.carried_out(vote(world, (FIRST, 5_000), (LAST, 4_000)))
    to_next_cycle(world)

    often, once = reward_sun(world, world.payer.address), reward_sun(world, world.payee.address)

    assert once > 600
    assert once - 12 <= often <= once
    assert world.account(world.payee.address).allowance_sun == 0
    assert 0 < world.account(world.payer.address).allowance_sun < often


def test_a_cycle_is_paid_for_the_votes_it_began_with(world: Any) -> None:
    """The payer changes his mind in the middle of the first cycle that pays him."""
    for by in (world.payer, world.payee):
        staked(world, 9_000 * SUN_PER_TRX, by=by)
        world.carried_out(vote(world, (FIRST, 9_000), owner=by.address), by=by)
    to_next_cycle(world)
    world.carried_out(vote(world, (LAST, 1)))
    world.mine(26)
    to_next_cycle(world)

    assert reward_sun(world, world.payer.address) == reward_sun(world, world.payee.address) > 0


def test_unfreezing_keeps_what_was_earned(world: Any) -> None:
    payer = world.payer.address
    staked(world, 9_000 * SUN_PER_TRX)
    world.carried_out(vote(world, (FIRST, 9_000)))
    to_next_cycle(world)
    world.mine(5)
    to_next_cycle(world)
    earned_sun, before_sun = reward_sun(world, payer), world.balance_sun(payer)
    unfreeze = UnfreezeBalanceV2Contract(
        owner_address=payer, unfreeze_balance=9_000 * SUN_PER_TRX, resource=ENERGY
    )

    info = world.carried_out(unfreeze)

    account = world.account(payer)
    assert account.votes == ()
    assert account.allowance_sun == earned_sun == reward_sun(world, payer) > 0
    assert account.balance_sun == before_sun - info.fee


def test_rewards_are_settled_into_the_allowance_and_withdrawn_once_a_day(world: Any) -> None:
    payer = world.payer.address
    staked(world, 9_000 * SUN_PER_TRX)
    none = world.refusal(withdraw(payer))
    world.carried_out(vote(world, (FIRST, 9_000)))
    to_next_cycle(world)
    world.mine(30)
    to_next_cycle(world)
    due_sun, before_sun = reward_sun(world, payer), world.balance_sun(payer)
    assert due_sun > 0

    world.use_up_free_bandwidth()
    before_sun = world.balance_sun(payer)
    head_ms = world.node.chain.head.time_ms
    info = world.carried_out(withdraw(payer))

    assert none == "witnessAccount does not have any reward"
    assert info.withdraw_amount == due_sun
    assert world.balance_sun(payer) == before_sun + due_sun - info.fee
    assert reward_sun(world, payer) == 0
    to_next_cycle(world)
    assert reward_sun(world, payer) > 0
    assert world.refusal(withdraw(payer)) == (
        f"The last withdraw time is {head_ms}, less than 24 hours"
    )
    world.wait(head_ms + DAY_MS - world.node.chain.head.time_ms)
    assert world.carried_out(withdraw(payer)).withdraw_amount > 0


def test_a_genesis_witness_may_not_withdraw(world: Any) -> None:
    witness = WITNESSES[0]
    world.confirmed(world.transfer(witness.address, 5 * SUN_PER_TRX))

    assert world.refusal(withdraw(witness.address), by=witness) == (
        f"Account[{witness.address.hex()}] is a guard representative "
        "and is not allowed to withdraw Balance"
    )


def test_brokerage_is_the_witness_s_own_reward(world: Any) -> None:
    world.mine(27)
    running = rewards.cycle(world.node.chain.ledger.head)
    kept_sun = world.account(FIRST).allowance_sun

    before_sun = reward_sun(world, FIRST)
    to_next_cycle(world)

    assert before_sun == kept_sun + running.brokerage_sun[0]
    assert world.account(FIRST).allowance_sun >= before_sun > kept_sun > 0


@pytest.mark.parametrize(
    ("counts", "taken_trx", "left"),
    [
        ((6, 4), 5, (3, 2)),
        ((9, 1), 5, (4,)),
        ((3, 3), 4, (3, 3)),
        ((6, 4), 10, ()),
        ((7, 3), 1, (6, 2)),
    ],
)
def test_votes_shrink_with_the_stake_in_proportion(
    world: Any, counts: tuple[int, ...], taken_trx: int, left: tuple[int, ...]
) -> None:
    """Each is cut to int(count / total x power): what is cut to nothing is gone."""
    staked(world, 10 * SUN_PER_TRX)
    chosen = [key.address for key in WITNESSES[: len(counts)]]
    world.carried_out(vote(world, *zip(chosen, counts, strict=True)))
    unfreeze = UnfreezeBalanceV2Contract(
        owner_address=world.payer.address,
        unfreeze_balance=taken_trx * SUN_PER_TRX,
        resource=ENERGY,
    )

    world.carried_out(unfreeze)
    to_next_cycle(world)

    expected = tuple(
        Vote(witness=address, count=count) for address, count in zip(chosen, left, strict=False)
    )
    counted = rewards.cycle(world.node.chain.ledger.head).votes
    assert world.account(world.payer.address).votes == expected
    for place, count in enumerate((*left, 0)[: len(counts)]):
        assert counted[place] == OTHERS_VOTES[place] + count


def test_what_is_lent_still_votes(world: Any) -> None:
    staked(world, 10 * SUN_PER_TRX)
    lend = DelegateResourceContract(
        owner_address=world.payer.address,
        receiver_address=world.payee.address,
        balance=10 * SUN_PER_TRX,
        resource=ENERGY,
    )
    world.carried_out(lend)

    world.carried_out(vote(world, (FIRST, 10)))

    assert world.account(world.payer.address).vote_count == 10


def test_missed_turns_are_counted_for_those_who_missed_them(world: Any) -> None:
    state = world.node.chain.ledger.head
    order = witnesses.turns(state)
    slot = world.node.chain.moment.slot
    before = {each: witnesses.witness(state, each) for each in order}
    made = before[order[slot % 27]]
    assert (made.latest_block, made.latest_slot) == (2, slot)
    assert made.produced >= 1

    world.wait(3_000 * (27 * 2 + 3))

    after = {each: witnesses.witness(state, each) for each in order}
    missed = {each: after[each].missed - before[each].missed for each in order}
    assert sum(missed.values()) == 27 * 2 + 2
    assert [missed[order[(slot + turn) % 27]] for turn in (1, 2, 3)] == [3, 3, 2]

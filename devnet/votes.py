"""Votes for witnesses: one for each whole staked TRX (java-tron's VoteWitnessActuator)."""

from __future__ import annotations

from dataclasses import replace

from devnet import rewards
from devnet.accounts import Account, Vote
from devnet.actuators import Actuator, account_missing, owner_of
from devnet.address import is_valid
from devnet.chain_pb2 import TransactionInfo, VoteWitnessContract
from devnet.moment import Moment
from devnet.rejection import RejectedError
from devnet.resources import SUN_PER_TRX
from devnet.state import State
from devnet.witnesses import turns

VOTE_MAX_COUNT = 30
_LONG_MAX = 2**63 - 1


def reduced(owner: Account) -> tuple[Vote, ...]:
    """The votes that are left when stake is taken back (UnfreezeBalanceV2Actuator.updateVote).

    All are cut in proportion when together they are more than the power that is left; a vote
    that is cut to nothing is gone.
    """
    total = owner.vote_count
    if owner.tron_power_sun >= total * SUN_PER_TRX:
        return owner.votes
    cut = (
        Vote(
            witness=vote.witness,
            count=int(vote.count / total * owner.tron_power_sun / SUN_PER_TRX),
        )
        for vote in owner.votes
    )
    return tuple(vote for vote in cut if vote.count > 0)


def _validate(state: State, contract: VoteWitnessContract, _moment: Moment) -> None:
    if not is_valid(contract.owner_address):
        raise RejectedError.invalid("Invalid address")
    if not contract.votes:
        raise RejectedError.invalid("VoteNumber must more than 0")
    if len(contract.votes) > VOTE_MAX_COUNT:
        raise RejectedError.invalid(f"VoteNumber more than maxVoteNumber {VOTE_MAX_COUNT}")
    total = 0
    for vote in contract.votes:
        _check_candidate(state, vote)
        if total + vote.vote_count > _LONG_MAX:
            raise RejectedError.invalid(f"overflow: checkedAdd({total}, {vote.vote_count})")
        total += vote.vote_count
    _check_power(owner_of(state, contract.owner_address), total)


def _check_candidate(state: State, vote: VoteWitnessContract.Vote) -> None:
    if not is_valid(vote.vote_address):
        raise RejectedError.invalid("Invalid vote address!")
    if vote.vote_count <= 0:
        raise RejectedError.invalid("vote count must be greater than 0")
    if state.account(vote.vote_address) is None:
        raise account_missing(vote.vote_address)
    if vote.vote_address not in turns(state):
        raise RejectedError.invalid(f"Witness[{vote.vote_address.hex()}] not exists")


def _check_power(owner: Account, total: int) -> None:
    total_sun = total * SUN_PER_TRX
    if total_sun > _LONG_MAX:
        raise RejectedError.invalid(f"overflow: checkedMultiply({total}, {SUN_PER_TRX})")
    if total_sun > owner.tron_power_sun:
        raise RejectedError.invalid(
            f"The total number of votes[{total_sun}] is greater than "
            f"the tronPower[{owner.tron_power_sun}]"
        )


def _execute(
    state: State, contract: VoteWitnessContract, _moment: Moment, _info: TransactionInfo
) -> None:
    rewards.settle(state, contract.owner_address)
    owner = owner_of(state, contract.owner_address)
    votes = tuple(Vote(witness=vote.vote_address, count=vote.vote_count) for vote in contract.votes)
    rewards.change_votes(state, owner.votes, votes)
    state.put_account(replace(owner, votes=votes))


VOTE_ACTUATORS = {"VoteWitnessContract": Actuator(validate=_validate, execute=_execute)}

"""What blocks pay, to whom, and how voters come by their share (java-tron's MortgageService).

A block pays its witness, and all witnesses with votes by their votes. A witness keeps a fifth
(the brokerage); the rest belongs to its voters and is divided when the cycle ends. What voters
earned is worked out when somebody asks or when their votes change, from a sum over all cycles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import add

from devnet.accounts import Account, Vote
from devnet.state import State
from devnet.witnesses import turns

BROKERAGE_PERCENT = 20
_CYCLE = ("cycle", b"")
_CLAIM = "claim"
_PER_VOTE = "reward_per_vote"
_PER_VOTE_PRECISION = 10**18
_CYCLE_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """The time from one maintenance to the next; each tuple has a place for every witness.

    Attributes:
        votes: Counted at the last maintenance.
        vote_changes: To be counted at the next one.
        voters_sun: Earned for the voters so far.
        brokerage_sun: Kept by the witnesses so far; it becomes allowance when the cycle ends.
    """

    number: int
    votes: tuple[int, ...]
    vote_changes: tuple[int, ...]
    voters_sun: tuple[int, ...]
    brokerage_sun: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """From which cycle on an account's votes are still to be rewarded (DelegationStore).

    Attributes:
        begin: The first such cycle.
        end: One after the cycle in which `votes` were seen.
        seen: The cycle in which `votes` were seen, -1 for none.
    """

    begin: int = 0
    end: int = -1
    seen: int = -1
    votes: tuple[Vote, ...] = ()


def begin(state: State, votes: tuple[int, ...]) -> None:
    """Open cycle 0, at genesis."""
    state.put(_CYCLE, _opened(0, votes))


def cycle(state: State) -> Cycle:
    """The running cycle."""
    running: Cycle = state.get(_CYCLE)
    return running


def pay_block(state: State, producer: bytes) -> None:
    """Pay for one block: its witness, and every witness by its votes (Manager.payReward)."""
    running = cycle(state)
    pays = _standby_pays(state, running)
    voters, brokerage = [], []
    for pay in pays:
        kept = _brokerage(pay)
        voters.append(pay - kept)
        brokerage.append(kept)
    at = turns(state).index(producer)
    block_sun = state.parameter("getWitnessPayPerBlock")
    voters[at] += block_sun - _brokerage(block_sun)
    brokerage[at] += _brokerage(block_sun)
    state.put(
        _CYCLE,
        replace(
            running,
            voters_sun=tuple(map(add, running.voters_sun, voters)),
            brokerage_sun=tuple(map(add, running.brokerage_sun, brokerage)),
        ),
    )


def end_cycle(state: State) -> None:
    """Divide the voters' share, hand out the brokerage, count the votes (doMaintenance)."""
    running = cycle(state)
    so_far = _per_vote(state, running.number - 1)
    earned = zip(so_far, running.voters_sun, running.votes, strict=True)
    state.put(
        (_PER_VOTE, _key(running.number)),
        tuple(
            before + (sun * _PER_VOTE_PRECISION // votes if votes else 0)
            for before, sun, votes in earned
        ),
    )
    for address, kept_sun in zip(turns(state), running.brokerage_sun, strict=True):
        _add_allowance(state, address, kept_sun)
    votes = tuple(map(add, running.votes, running.vote_changes))
    state.put(_CYCLE, _opened(running.number + 1, votes))


def change_votes(state: State, before: tuple[Vote, ...], after: tuple[Vote, ...]) -> None:
    """Let the next maintenance count other votes (VotesStore)."""
    running = cycle(state)
    changes = list(running.vote_changes)
    order = turns(state)
    for vote in before:
        changes[order.index(vote.witness)] -= vote.count
    for vote in after:
        changes[order.index(vote.witness)] += vote.count
    state.put(_CYCLE, replace(running, vote_changes=tuple(changes)))


def settle(state: State, address: bytes) -> None:
    """Move an account's rewards so far into its allowance (withdrawReward)."""
    account, claim, now = state.account(address), _claim(state, address), cycle(state).number
    if account is None or claim.begin > now or claim.begin == now == claim.seen:
        return
    _add_allowance(state, address, _reward(state, account, claim, now))
    if account.votes:
        claim = Claim(begin=now, end=now + 1, seen=now, votes=account.votes)
    else:
        claim = replace(claim, begin=now + 1)
    state.put((_CLAIM, address), claim)


def allowance_sun(state: State, account: Account) -> int:
    """What an account was given and did not withdraw; a witness's brokerage counts at once."""
    order = turns(state)
    if account.address not in order:
        return account.allowance_sun
    return account.allowance_sun + cycle(state).brokerage_sun[order.index(account.address)]


def reward_sun(state: State, address: bytes) -> int:
    """Allowance and all that is not settled yet (queryReward)."""
    account = state.account(address)
    if account is None:
        return 0
    claim, now = _claim(state, address), cycle(state).number
    settled_sun = allowance_sun(state, account)
    if claim.begin > now:
        return settled_sun
    return settled_sun + _reward(state, account, claim, now)


def _reward(state: State, account: Account, claim: Claim, now: int) -> int:
    """The last seen votes count for the cycle they were seen in, the present ones since then."""
    first, reward = claim.begin, 0
    if claim.begin + 1 == claim.end and claim.begin < now:
        if claim.seen == claim.begin:
            reward = _reward_between(state, claim.begin, claim.end, claim.votes)
        first += 1
    return reward + _reward_between(state, first, now, account.votes)


def _reward_between(state: State, first: int, end: int, votes: tuple[Vote, ...]) -> int:
    """For the cycles from the first up to but without the end (computeReward)."""
    if first >= end or not votes:
        return 0
    order = turns(state)
    before, after = _per_vote(state, first - 1), _per_vote(state, end - 1)
    return sum(
        (after[at] - before[at]) * vote.count // _PER_VOTE_PRECISION
        for vote in votes
        for at in (order.index(vote.witness),)
    )


def _standby_pays(state: State, running: Cycle) -> tuple[int, ...]:
    total_votes = sum(running.votes)
    if total_votes < 1:
        return (0,) * len(running.votes)
    per_vote = state.parameter("getWitness127PayPerBlock") / total_votes
    return tuple(int(votes * per_vote) for votes in running.votes)


def _brokerage(pay_sun: int) -> int:
    return int(BROKERAGE_PERCENT / 100 * pay_sun)


def _add_allowance(state: State, address: bytes, amount_sun: int) -> None:
    account = state.account(address)
    if account is not None and amount_sun > 0:
        state.put_account(replace(account, allowance_sun=account.allowance_sun + amount_sun))


def _claim(state: State, address: bytes) -> Claim:
    return state.get((_CLAIM, address)) or Claim()


def _per_vote(state: State, number: int) -> tuple[int, ...]:
    """What one vote had earned by the end of a cycle, since genesis and in 10^-18 sun."""
    known: tuple[int, ...] | None = state.get((_PER_VOTE, _key(number))) if number >= 0 else None
    return (0,) * len(turns(state)) if known is None else known


def _key(number: int) -> bytes:
    return number.to_bytes(_CYCLE_BYTES, "big")


def _opened(number: int, votes: tuple[int, ...]) -> Cycle:
    nothing = (0,) * len(votes)
    return Cycle(
        number=number,
        votes=votes,
        vote_changes=nothing,
        voters_sun=nothing,
        brokerage_sun=nothing,
    )

"""What a stake order is, which rules it must meet, and how it moves."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from shared.errors import Conflict, Forbidden
from shared.ids import send_key
from shared.models.trx_staking import StakeAction, StakeState
from shared.models.wallet_sends import NEGATIVE_SEND_STATES, SendState
from shared.money import Sun, format_base_units
from shared.tron.operation import Resource

SERVICE: Final = "trx-staking"

FIRST_PAUSE_MS: Final = 2_000
MAX_DOUBLINGS: Final = 7

NEVER_TAKEN_ON: Final = frozenset({400, 403})
"""Statuses of an answer to one intent that say: a rule refuses it.

Only these, and only while wallet-manager knows no send under the key, mean that nothing was ever
signed. A conflict or an absence says no such thing and keeps the order on its way (hazard H4).
"""


class StakeRefused(Forbidden):
    """A rule speaks against the order; ``rule`` names it."""

    code = "LUCID_ERR_9501"
    title = "Stake order refused"


class IllegalMove(Conflict):
    """An order was to move from a state to one that does not follow it."""

    code = "LUCID_ERR_9502"
    title = "Stake order cannot move there"


class Rule(StrEnum):
    """What a refusal names."""

    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    TWO_APPROVERS = "two_approvers"


OPEN: Final = frozenset({StakeState.PENDING, StakeState.PROCESSING})

ALLOWED: Final[Mapping[StakeState, frozenset[StakeState]]] = {
    StakeState.PENDING: frozenset(
        # completed: this side was restored from a backup, wallet-manager remembers more
        {StakeState.PROCESSING, StakeState.COMPLETED, StakeState.FAILED}
    ),
    StakeState.PROCESSING: frozenset({StakeState.COMPLETED, StakeState.FAILED}),
    StakeState.COMPLETED: frozenset(),
    StakeState.FAILED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants staked, or taken out of staking."""

    action: StakeAction
    wallet_id: str
    resource: Resource
    amount_sun: Sun

    def meaning(self) -> dict[str, str]:
        """Return what has to be the same for two requests to be one."""
        return {
            "action": self.action.value,
            "wallet_id": self.wallet_id,
            "resource": self.resource.value,
            "amount_sun": str(self.amount_sun),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules in force.

    Attributes:
        minimum_sun: smallest order.
        maximum_sun: largest order.
        two_approvers_from_sun: from here on two people have to approve.
        max_fee_sun: ceiling of the fees of one order.
        deadline_ms: how long after its creation an order may still be signed.
    """

    minimum_sun: Sun
    maximum_sun: Sun
    two_approvers_from_sun: Sun
    max_fee_sun: Sun
    deadline_ms: int

    def check(self, order: Order) -> None:
        """Hold an order against the rules; raises StakeRefused."""
        amount = format_base_units(order.amount_sun)
        if order.amount_sun < self.minimum_sun:
            bound = format_base_units(self.minimum_sun)
            raise StakeRefused(
                f"{amount} TRX is less than the minimum of {bound} TRX",
                rule=Rule.MINIMUM,
                amount=amount,
                min=bound,
            )
        if order.amount_sun > self.maximum_sun:
            bound = format_base_units(self.maximum_sun)
            raise StakeRefused(
                f"{amount} TRX is more than the maximum of {bound} TRX",
                rule=Rule.MAXIMUM,
                amount=amount,
                max=bound,
            )
        if order.amount_sun >= self.two_approvers_from_sun:
            bound = format_base_units(self.two_approvers_from_sun)
            raise StakeRefused(
                f"orders of {bound} TRX or more need two approvers, who cannot be collected here",
                rule=Rule.TWO_APPROVERS,
                amount=amount,
                limit=bound,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """A stake order.

    Attributes:
        identity: hash of who asked under which key.
        fingerprint: of what was asked.
        principal: who asked.
        send_key: names its one send, for ever.
        not_after_ms: nothing is signed for it later than this.
        detail_state: the state of its send, once there is one.
        detail: why it waits, or why it failed.
        send_updated_at: when wallet-manager last changed what we know of the send.
        due_at_ms: when it has to be handed over next; None when it has not.
        tries: how often in a row that led to no clear answer.
        checked_at_ms: when we last made sure of the state of its send.
    """

    id: str
    version: int = 0
    identity: str
    fingerprint: str
    principal: str
    action: StakeAction
    wallet_id: str
    resource: Resource
    amount_sun: Sun
    send_key: str
    not_after_ms: int
    max_fee_sun: Sun
    state: StakeState
    detail_state: str
    detail: str | None = None
    send_id: str | None = None
    send_updated_at: str = ""
    txid: str | None = None
    due_at_ms: int | None
    tries: int = 0
    checked_at_ms: int
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What wallet-manager says of a send."""

    send_id: str
    state: SendState
    updated_at: str
    detail: str | None
    txid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who asked for something, under which identity, and the fingerprint of what."""

    identity: str
    fingerprint: str
    principal: str


def take_on(order: Order, *, stake_id: str, claim: Claim, policy: Policy, at_ms: int) -> Stake:
    """Return a new order, due at once; its send key is fixed here and never changes."""
    policy.check(order)
    return Stake(
        id=stake_id,
        identity=claim.identity,
        fingerprint=claim.fingerprint,
        principal=claim.principal,
        action=order.action,
        wallet_id=order.wallet_id,
        resource=order.resource,
        amount_sun=order.amount_sun,
        send_key=send_key(SERVICE, stake_id, 0),
        not_after_ms=at_ms + policy.deadline_ms,
        max_fee_sun=policy.max_fee_sun,
        state=StakeState.PENDING,
        detail_state=StakeState.PENDING,
        due_at_ms=at_ms,
        checked_at_ms=at_ms,
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
    )


def transition(stake: Stake, target: StakeState, *, at_ms: int) -> Stake:
    """Move an order to another state.

    Raises:
        IllegalMove: that state does not follow its own.
    """
    if target not in ALLOWED[stake.state]:
        raise IllegalMove(f"a stake order does not go from {stake.state} to {target}")
    return replace(
        stake,
        state=target,
        due_at_ms=None if target not in OPEN else stake.due_at_ms,
        updated_at_ms=at_ms,
    )


def begin(stake: Stake, *, at_ms: int) -> Stake:
    """Note that the order is about to be handed over."""
    if stake.state is not StakeState.PENDING:
        return stake
    moved = transition(stake, StakeState.PROCESSING, at_ms=at_ms)
    return replace(moved, detail_state=StakeState.PROCESSING, checked_at_ms=at_ms)


def defer(stake: Stake, *, detail: str, at_ms: int) -> Stake:
    """Hand an order over again later, under the same key."""
    if stake.state not in OPEN or stake.send_id is not None:
        return stake
    return replace(
        stake,
        detail=detail,
        tries=stake.tries + 1,
        due_at_ms=at_ms + (FIRST_PAUSE_MS << min(stake.tries, MAX_DOUBLINGS)),
        updated_at_ms=at_ms,
    )


def refuse(stake: Stake, *, detail: str, at_ms: int) -> Stake:
    """End an order of which it is sure that nothing was or will be signed."""
    if stake.state not in OPEN or stake.send_id is not None:
        return stake
    moved = transition(stake, StakeState.FAILED, at_ms=at_ms)
    return replace(moved, detail_state=SendState.REFUSED, detail=detail)


def forget(stake: Stake, *, at_ms: int) -> Stake:
    """Hand an order over again whose send wallet-manager does not know, under the same key."""
    if stake.state is not StakeState.PROCESSING:
        return stake
    return replace(
        stake,
        send_id=None,
        send_updated_at="",
        due_at_ms=stake.due_at_ms or at_ms,
        checked_at_ms=at_ms,
    )


def hear(stake: Stake, report: Report, *, at_ms: int) -> Stake:
    """Take in what wallet-manager says of the send.

    Repeats, and news older than what is known, change nothing; an order at its end never moves.
    """
    target = _target(report.state)
    stale = target is StakeState.PROCESSING and report.updated_at < stake.send_updated_at
    if stake.state not in OPEN or stale:
        return stake
    moved = stake if target is stake.state else transition(stake, target, at_ms=at_ms)
    heard = replace(
        moved,
        detail_state=report.state,
        detail=report.detail,
        send_id=report.send_id,
        send_updated_at=report.updated_at,
        txid=report.txid,
        due_at_ms=None,
        tries=0,
    )
    if replace(heard, updated_at_ms=stake.updated_at_ms) == stake:
        return stake
    return replace(heard, updated_at_ms=at_ms, checked_at_ms=at_ms)


def _target(state: SendState) -> StakeState:
    if state is SendState.CONFIRMED:
        return StakeState.COMPLETED
    return StakeState.FAILED if state in NEGATIVE_SEND_STATES else StakeState.PROCESSING

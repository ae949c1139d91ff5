"""What a payout is, which rules it must meet, and how it moves from promise to outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from shared.access import Role
from shared.errors import Conflict, Forbidden
from shared.ids import send_key
from shared.models.payout_router import PayoutRouterName
from shared.models.wallet_sends import NEGATIVE_SEND_STATES, SendState
from shared.money import Currency, Sun, format_base_units
from shared.tron.address import ZERO_EVM_ADDRESS, Address, evm_bytes

SERVICE: Final = "payout-router"

FIRST_PAUSE_MS: Final = 2_000
MAX_DOUBLINGS: Final = 7

NEVER_TAKEN_ON: Final = frozenset({400, 403})
"""Statuses of an answer to one intent that say: a rule refuses it.

Only these, and only while wallet-manager knows no send under the key, mean that nothing was ever
signed. A conflict or an absence says no such thing and keeps the payout on its way (hazard H4).
"""


class PayoutRefused(Forbidden):
    """A rule speaks against the payout; ``rule`` names it."""

    code = "LUCID_ERR_9201"
    title = "Payout refused"


class IllegalMove(Conflict):
    """A payout was to move from a state to one that does not follow it."""

    code = "LUCID_ERR_9202"
    title = "Payout cannot move there"


class Rule(StrEnum):
    """What a refusal names."""

    ROUTER = "router"
    RECIPIENT = "recipient"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    ROLE_MAXIMUM = "role_maximum"
    RECIPIENT_DAILY = "recipient_daily"
    ROLE_DAILY = "role_daily"


class PayoutState(StrEnum):
    """Where a payout is; the last two are final."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


OPEN: Final = frozenset({PayoutState.PENDING, PayoutState.PROCESSING})

ALLOWED: Final[Mapping[PayoutState, frozenset[PayoutState]]] = {
    PayoutState.PENDING: frozenset(
        # completed: this side was restored from a backup, wallet-manager remembers more
        {PayoutState.PROCESSING, PayoutState.COMPLETED, PayoutState.FAILED}
    ),
    PayoutState.PROCESSING: frozenset({PayoutState.COMPLETED, PayoutState.FAILED}),
    PayoutState.COMPLETED: frozenset(),
    PayoutState.FAILED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks.

    Attributes:
        name: stable and unique over all issuers.
        role: of a person; None for a service.
    """

    name: str
    role: Role | None

    @property
    def is_trusted(self) -> bool:
        """True for services and administrators, who see every payout and may pay directly."""
        return self.role in {None, Role.ADMIN, Role.SUPER_ADMIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants paid; ``amount`` in base units of the currency."""

    user_id: str
    amount: int
    currency: Currency
    recipient: Address
    description: str
    router: PayoutRouterName
    request_id: str | None = None

    def meaning(self) -> dict[str, str]:
        """Return what has to be the same for two requests to be one, under whichever key they come."""
        return {
            "user_id": self.user_id,
            "amount": str(self.amount),
            "currency": self.currency.value,
            "recipient": self.recipient,
            "description": self.description,
            "router": self.router.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be paid in one currency, in its base units.

    Attributes:
        minimum: smallest payout.
        maximum: largest payout.
        recipient_daily: most that one recipient gets in a UTC day.
        role_maximum: largest payout by role, for roles that have one.
        role_daily: most that one person of a role pays out in a UTC day.
    """

    minimum: int
    maximum: int
    recipient_daily: int
    role_maximum: Mapping[Role, int]
    role_daily: Mapping[Role, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules in force.

    Attributes:
        limits: by currency.
        never_paid: addresses that are no recipients, such as the token contract.
        max_fee_sun: ceiling of the fees of one send, by currency.
        deadline_ms: how long after its creation a payout may still be signed.
    """

    limits: Mapping[Currency, Limits]
    never_paid: frozenset[Address]
    max_fee_sun: Mapping[Currency, Sun]
    deadline_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What has been promised to a recipient, or by a person, in one currency on one UTC day.

    One versioned record for each: whoever adds to it read it first, so that no two promises can
    pass the same limit beside each other (hazard H14).
    """

    id: str
    version: int = 0
    spent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """A daily limit that a payout counts against."""

    total_id: str
    rule: Rule
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """A promise of money out.

    Attributes:
        id: ours.
        version: of the record.
        identity: hash of who asked under which key.
        fingerprint: of what was asked.
        principal: who asked.
        batch_id: the batch it came in.
        batch_index: its place there.
        charges: ids of the totals its amount was added to.
        send_key: names its one send, for ever.
        not_after_ms: nothing is signed for it later than this.
        detail_state: the finer state that callers see beside the status.
        detail: why it waits, or why it failed.
        needs_attention: a person has to look at it.
        wallet_id: what pays, fixed before the send is first handed over.
        send_id: wallet-manager's id of the send, once it is known to have taken it on.
        send_updated_at: when wallet-manager last changed what we know of the send.
        due_at_ms: when the dispatcher has to look at it next; None when it has not.
        tries: how often in a row it had to wait.
        checked_at_ms: when we last made sure of the state of its send.
    """

    id: str
    version: int = 0
    identity: str
    fingerprint: str
    principal: str
    batch_id: str | None = None
    batch_index: int | None = None
    request_id: str | None
    user_id: str
    amount: int
    currency: Currency
    recipient: Address
    description: str
    router: PayoutRouterName
    charges: tuple[str, ...]
    send_key: str
    not_after_ms: int
    max_fee_sun: Sun
    state: PayoutState
    detail_state: str
    detail: str | None = None
    needs_attention: bool = False
    wallet_id: str | None = None
    send_id: str | None = None
    send_updated_at: str = ""
    txid: str | None = None
    fee_sun: int | None = None
    block_height: int | None = None
    due_at_ms: int | None
    tries: int = 0
    checked_at_ms: int
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one item of a batch when it was asked for: a payout, or a problem."""

    payout_id: str | None = None
    status: int = 0
    code: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Payouts that were asked for together."""

    id: str
    version: int = 0
    identity: str
    fingerprint: str
    principal: str
    entries: tuple[Entry, ...]
    accepted: int
    completed: int = 0
    failed: int = 0
    created_at_ms: int

    @property
    def is_done(self) -> bool:
        """True when each of its payouts has come to an end."""
        return self.completed + self.failed == self.accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What wallet-manager says of a send."""

    send_id: str
    wallet_id: str
    state: SendState
    updated_at: str
    detail: str | None
    txid: str | None
    fee_sun: int | None
    block_height: int | None


def check(order: Order, *, caller: Caller, limits: Limits, never_paid: frozenset[Address]) -> None:
    """Hold an order against every rule that needs no totals; raises PayoutRefused."""
    if order.router is PayoutRouterName.DIRECT and not caller.is_trusted:
        raise PayoutRefused("the direct router is for administrators", rule=Rule.ROUTER)
    if order.recipient in never_paid or evm_bytes(order.recipient) == ZERO_EVM_ADDRESS:
        raise PayoutRefused(
            "money sent to this address would be ours already, or lost", rule=Rule.RECIPIENT
        )
    if order.amount < limits.minimum:
        raise _beyond(Rule.MINIMUM, order, "is less than the minimum of", min=limits.minimum)
    maxima = [(limits.maximum, Rule.MAXIMUM)]
    if caller.role is not None and caller.role in limits.role_maximum:
        maxima.append((limits.role_maximum[caller.role], Rule.ROLE_MAXIMUM))
    maximum, rule = min(maxima)
    if order.amount > maximum:
        raise _beyond(rule, order, "is more than the maximum of", max=maximum)


def daily_caps(order: Order, *, caller: Caller, limits: Limits, day: str) -> tuple[Cap, ...]:
    """Return the daily limits that an order counts against."""
    about = f"{order.currency}|{day}"
    caps = [
        Cap(
            total_id=f"recipient|{order.recipient}|{about}",
            rule=Rule.RECIPIENT_DAILY,
            limit=limits.recipient_daily,
        )
    ]
    if caller.role is not None and caller.role in limits.role_daily:
        caps.append(
            Cap(
                total_id=f"principal|{caller.name}|{about}",
                rule=Rule.ROLE_DAILY,
                limit=limits.role_daily[caller.role],
            )
        )
    return tuple(caps)


def charge(order: Order, caps: tuple[Cap, ...], totals: Mapping[str, Total]) -> dict[str, Total]:
    """Add an order to its totals; the tightest limit decides and is named.

    Returns:
        Those totals as they are with the order.

    Raises:
        PayoutRefused: the tightest limit would be passed.
    """
    current = {
        cap.total_id: totals.get(cap.total_id, Total(id=cap.total_id, spent=0)) for cap in caps
    }
    tightest = min(caps, key=lambda cap: cap.limit - current[cap.total_id].spent)
    spent = current[tightest.total_id].spent
    if order.amount > tightest.limit - spent:
        phrase = f"with {format_base_units(spent)} already promised today would pass the limit of"
        raise _beyond(tightest.rule, order, phrase, limit=tightest.limit, spent=spent)
    return {
        total_id: replace(total, spent=total.spent + order.amount)
        for total_id, total in current.items()
    }


def _beyond(rule: Rule, order: Order, phrase: str, **amounts: int) -> PayoutRefused:
    bounds = {name: format_base_units(value) for name, value in amounts.items()}
    bound = next(iter(bounds.values()))
    amount = format_base_units(order.amount)
    facts: dict[str, object] = {"amount": amount, "currency": order.currency, **bounds}
    detail = f"{amount} {order.currency} {phrase} {bound} {order.currency}"
    return PayoutRefused(detail, retry_after_s=None, rule=rule, **facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who asked for something, under which identity, and the fingerprint of what."""

    identity: str
    fingerprint: str
    caller: Caller


def promise(
    order: Order,
    *,
    payout_id: str,
    claim: Claim,
    charges: tuple[str, ...],
    policy: Policy,
    at_ms: int,
) -> Payout:
    """Return a new payout, due at once; its send key is fixed here and never changes."""
    return Payout(
        id=payout_id,
        identity=claim.identity,
        fingerprint=claim.fingerprint,
        principal=claim.caller.name,
        request_id=order.request_id,
        user_id=order.user_id,
        amount=order.amount,
        currency=order.currency,
        recipient=order.recipient,
        description=order.description,
        router=order.router,
        charges=charges,
        send_key=send_key(SERVICE, payout_id, 0),
        not_after_ms=at_ms + policy.deadline_ms,
        max_fee_sun=policy.max_fee_sun[order.currency],
        state=PayoutState.PENDING,
        detail_state=PayoutState.PENDING,
        due_at_ms=at_ms,
        checked_at_ms=at_ms,
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
    )


def transition(payout: Payout, target: PayoutState, *, at_ms: int) -> Payout:
    """Move a payout to another state.

    Raises:
        IllegalMove: that state does not follow its own.
    """
    if target not in ALLOWED[payout.state]:
        raise IllegalMove(f"a payout does not go from {payout.state} to {target}")
    return replace(
        payout,
        state=target,
        due_at_ms=None if target not in OPEN else payout.due_at_ms,
        updated_at_ms=at_ms,
    )


def assign(payout: Payout, *, wallet_id: str, at_ms: int) -> Payout:
    """Fix what pays, the last step before the send is handed over for the first time."""
    if payout.state is not PayoutState.PENDING:
        return payout
    moved = transition(payout, PayoutState.PROCESSING, at_ms=at_ms)
    return replace(
        moved,
        wallet_id=wallet_id,
        detail_state=PayoutState.PROCESSING,
        detail=None,
        tries=0,
        due_at_ms=at_ms,
        checked_at_ms=at_ms,
    )


def hold(payout: Payout, *, detail: str, at_ms: int, pause_ms: int | None = None) -> Payout:
    """Let a payout that was never handed over wait; with back-off unless a pause is given."""
    if payout.state is not PayoutState.PENDING:
        return payout
    return replace(
        defer(payout, detail=detail, at_ms=at_ms, pause_ms=pause_ms), detail_state="held"
    )


def defer(payout: Payout, *, detail: str, at_ms: int, pause_ms: int | None = None) -> Payout:
    """Look at an open payout again later, under the same key."""
    if payout.state not in OPEN or payout.send_id is not None:
        return payout
    backoff_ms = FIRST_PAUSE_MS << min(payout.tries, MAX_DOUBLINGS)
    return replace(
        payout,
        detail=detail,
        tries=payout.tries + 1,
        due_at_ms=at_ms + (backoff_ms if pause_ms is None else pause_ms),
        updated_at_ms=payout.updated_at_ms if payout.detail == detail else at_ms,
    )


def fail(payout: Payout, *, detail_state: str, detail: str, at_ms: int) -> Payout:
    """End a payout of which it is sure that nothing was or will be signed."""
    if payout.state not in OPEN or payout.send_id is not None:
        return payout
    moved = transition(payout, PayoutState.FAILED, at_ms=at_ms)
    return replace(moved, detail_state=detail_state, detail=detail)


def forget(payout: Payout, *, at_ms: int) -> Payout:
    """Hand a payout over again whose send wallet-manager does not know, under the same key."""
    if payout.state is not PayoutState.PROCESSING:
        return payout
    return replace(
        payout,
        send_id=None,
        send_updated_at="",
        due_at_ms=payout.due_at_ms or at_ms,
        checked_at_ms=at_ms,
    )


def hear(payout: Payout, report: Report, *, at_ms: int) -> Payout:
    """Take in what wallet-manager says of the send.

    Repeats change nothing. What is older than what is known changes nothing either, unless it is
    final; and a final payout never moves: contradicting news only calls a person.
    """
    target = _target(report.state)
    if payout.state not in OPEN:
        return _contradicted(payout, report, target, at_ms=at_ms)
    if target is PayoutState.PROCESSING and report.updated_at < payout.send_updated_at:
        return payout
    moved = payout if target is payout.state else transition(payout, target, at_ms=at_ms)
    heard = replace(
        moved,
        detail_state=report.state,
        detail=report.detail,
        needs_attention=report.state is SendState.SETTLED_DIFFERENTLY,
        wallet_id=payout.wallet_id or report.wallet_id,
        send_id=report.send_id,
        send_updated_at=report.updated_at,
        txid=report.txid,
        fee_sun=report.fee_sun,
        block_height=report.block_height,
        due_at_ms=None,
        tries=0,
    )
    if replace(heard, updated_at_ms=payout.updated_at_ms) == payout:
        return payout
    return replace(heard, updated_at_ms=at_ms, checked_at_ms=at_ms)


def _target(state: SendState) -> PayoutState:
    if state is SendState.CONFIRMED:
        return PayoutState.COMPLETED
    return PayoutState.FAILED if state in NEGATIVE_SEND_STATES else PayoutState.PROCESSING


def _contradicted(payout: Payout, report: Report, target: PayoutState, *, at_ms: int) -> Payout:
    """Call a person when a payout that counts as failed is said to have moved money after all."""
    moved_money = report.state is SendState.SETTLED_DIFFERENTLY or target is PayoutState.COMPLETED
    if payout.state is PayoutState.COMPLETED or not moved_money or payout.needs_attention:
        return payout
    return replace(
        payout,
        needs_attention=True,
        detail=f"failed here, yet its send is {report.state}",
        txid=report.txid or payout.txid,
        updated_at_ms=at_ms,
    )


def events_of(before: Payout, after: Payout) -> tuple[str, ...]:
    """Name what a change is to those who follow the feed."""
    events = [f"payout.{after.state}"] if after.state is not before.state else []
    if after.needs_attention and not before.needs_attention:
        events.append("payout.needs_attention")
    return tuple(events)


def gives_back(before: Payout, after: Payout) -> bool:
    """True when a change ends a payout without money having moved."""
    return after.state is PayoutState.FAILED and before.state is not PayoutState.FAILED


def count_end(batch: Batch, after: Payout) -> Batch:
    """Note in a batch that one of its payouts has come to its end."""
    if after.state is PayoutState.COMPLETED:
        return replace(batch, completed=batch.completed + 1)
    return replace(batch, failed=batch.failed + 1)

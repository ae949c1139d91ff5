"""What a payment service keeps, in the size and with the indexes of payout-router."""

import hashlib
from dataclasses import dataclass

from shared.ids import new_id, object_id
from shared.storage import Collection, Feed, Index, Schema, Stamp, Tally, Unit, tallies

START_MS = 1_795_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
RECIPIENTS = 10
"""Payouts per recipient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """A promise of money out."""

    id: str
    version: int = 0
    identity: str
    fingerprint: str
    principal: str
    user_id: str
    amount: int
    currency: str
    recipient: str
    description: str
    send_key: str
    not_after_ms: int
    state: str
    detail_state: str
    due_at_ms: int | None
    checked_at_ms: int
    created_at_ms: int
    updated_at_ms: int


PAYOUTS = Collection(
    "payouts",
    Payout,
    (
        Index("identity", ("identity",), unique=True),
        Index("newest", ("created_at_ms",)),
        Index("state", ("state", "created_at_ms")),
        Index("principal", ("principal", "created_at_ms")),
        Index("due", ("currency", "due_at_ms"), where=(("state", ("pending", "processing")),)),
    ),
    leased=True,
)
SPENT = tallies("spent")
EVENTS = Feed("payouts")
SCHEMA = Schema("bench", 1, (PAYOUTS, SPENT), (EVENTS,))
STAMP = Stamp("devnet", "TContract")


def payout(number: int) -> Payout:
    """Make the payout of a number; its id follows from who asked and under which key."""
    identity = hashlib.sha256(str(number).encode()).hexdigest()
    at_ms = START_MS + number
    return Payout(
        id=object_id("po", identity),
        identity=identity,
        fingerprint=identity[::-1],
        principal="operator/ada",
        user_id=f"user-{number % 100}",
        amount=1_000_000 + number,
        currency="USDT",
        recipient=f"T{identity[:33]}",
        description=f"invoice {number}",
        send_key=f"payout-router:{object_id('po', identity)}:0",
        not_after_ms=at_ms + DAY_MS,
        state="pending",
        detail_state="queued",
        due_at_ms=at_ms,
        checked_at_ms=at_ms,
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
    )


def unit(number: int) -> Unit:
    """Promise a payout: the record under its unique identity, and its event."""
    made = payout(number)
    return (
        Unit()
        .insert(PAYOUTS, made)
        .publish(
            EVENTS,
            id=new_id("evt"),
            type="payout.created",
            at_ms=made.created_at_ms,
            object=made,
        )
    )


def subject(number: int) -> str:
    """Name the recipient that a payout of this number counts against."""
    return f"recipient-{number // RECIPIENTS}"


def spent_today(number: int) -> Tally:
    """Make the tally of a recipient whose every hour of the last day has seen something."""
    tally = Tally.begin(subject(number), width_ms=HOUR_MS, kept=25)
    for hour in range(25):
        tally = tally.add(1_000_000 + number, at_ms=START_MS - DAY_MS + hour * HOUR_MS)
    return tally

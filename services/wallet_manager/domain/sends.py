"""A send: from intent over signed attempts to a verdict that cannot be taken back."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from services.wallet_manager.domain.meaning import (
    ImpossibleSend,
    Meaning,
    details_of,
    operation_of,
)
from shared.errors import BadRequest, Conflict
from shared.models.tron_transactions import (
    BroadcastOutcome,
    LogView,
    TransactionState,
    TransactionView,
)
from shared.models.wallet_sends import (
    FINAL_SEND_STATES,
    NEGATIVE_SEND_STATES,
    Intent,
    Purpose,
    SendKind,
    SendState,
)
from shared.money import Currency
from shared.tron.address import Address
from shared.tron.operation import INT64_MAX, Operation, Resource

STAMP_FLOOR_MS: Final = 600_000
"""Timestamps of raw data are a ten-minute floor plus a mark below this (hazard H6)."""

ALLOWED: Final[Mapping[SendState, frozenset[SendState]]] = {
    SendState.QUEUED: frozenset(
        {
            SendState.AWAITING_SIGNATURE,
            SendState.SIGNED,
            SendState.REFUSED,
            SendState.EXPIRED,
            SendState.UNKNOWN,
        }
    ),
    SendState.AWAITING_SIGNATURE: frozenset(
        {
            SendState.SIGNED,
            SendState.SEEN,
            SendState.CONFIRMED,
            SendState.FAILED,
            SendState.SETTLED_DIFFERENTLY,
            SendState.QUEUED,
            SendState.EXPIRED,
        }
    ),
    SendState.SIGNED: frozenset(
        {
            SendState.SUBMITTED,
            SendState.UNKNOWN,
            SendState.SEEN,
            SendState.CONFIRMED,
            SendState.FAILED,
            SendState.SETTLED_DIFFERENTLY,
            SendState.QUEUED,
            SendState.EXPIRED,
        }
    ),
    SendState.SUBMITTED: frozenset(
        {
            SendState.UNKNOWN,
            SendState.SEEN,
            SendState.CONFIRMED,
            SendState.FAILED,
            SendState.SETTLED_DIFFERENTLY,
            SendState.QUEUED,
            SendState.EXPIRED,
        }
    ),
    SendState.UNKNOWN: frozenset(
        {
            SendState.SUBMITTED,
            SendState.SEEN,
            SendState.CONFIRMED,
            SendState.FAILED,
            SendState.SETTLED_DIFFERENTLY,
            SendState.QUEUED,
            SendState.EXPIRED,
        }
    ),
    SendState.SEEN: frozenset(
        {
            SendState.SUBMITTED,
            SendState.CONFIRMED,
            SendState.FAILED,
            SendState.SETTLED_DIFFERENTLY,
            SendState.QUEUED,
            SendState.EXPIRED,
        }
    ),
    SendState.CONFIRMED: frozenset(),
    SendState.FAILED: frozenset(),
    SendState.EXPIRED: frozenset(),
    SendState.SETTLED_DIFFERENTLY: frozenset(),
    SendState.REFUSED: frozenset(),
}
"""Where a send may go from each state.

Back to queued only after an attempt was proved absent; from there to unknown if it came back after all.
"""


ENDED: Final = FINAL_SEND_STATES | {SendState.SETTLED_DIFFERENTLY}
"""States in which nothing of a send is under way any more."""


class SendKeyReused(Conflict):
    """The send key names another transfer already."""

    code = "LUCID_ERR_9301"
    title = "Send key reused"


class OrdinalTooEarly(Conflict):
    """The ordinal before has no final negative answer yet."""

    code = "LUCID_ERR_9302"
    title = "The ordinal before is not settled"


class NotCancellable(Conflict):
    """Bytes of this send may be on their way, so only a verdict ends it (hazard H7)."""

    code = "LUCID_ERR_9330"
    title = "Too late to cancel"


class NotAwaitingSignature(Conflict):
    """No transaction of this send waits for a signature."""

    code = "LUCID_ERR_9331"
    title = "Nothing to sign"


class ForeignSignature(BadRequest):
    """A signature that no key of the permission made over exactly these bytes."""

    code = "LUCID_ERR_9332"
    title = "Signature of nobody who may sign"


class IllegalTransition(Exception):
    """A send was to move where the table does not allow it."""


class Rule(StrEnum):
    """Why a send was refused, or given up without having moved anything."""

    NOT_AFTER = "not_after"
    ATTEMPTS = "attempts"
    FEE_CEILING = "fee_ceiling"
    SUPERSEDED = "superseded"
    PREDECESSOR = "predecessor"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What a signed attempt may take at worst, kept aside until its verdict (hazard H15).

    Attributes:
        trx_sun: amount if TRX, plus full fee limit, bandwidth at burn price and activation.
        usdt_micro: amount if USDT.
    """

    trx_sun: int = 0
    usdt_micro: int = 0

    def of(self, currency: Currency) -> int:
        """Return the part in one currency."""
        return self.trx_sun if currency is Currency.TRX else self.usdt_micro


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One send as stored.

    Attributes:
        send_key: names it for ever, unique.
        owner: the address it is paid from.
        leaf: which address of the wallet that is: 0 its own, others deposit addresses.
        due_ms: when the signing loop looks at it next.
        attempt: number of the attempt under way, 0 before the first.
        txid: of that attempt.
        waiting_for: what a queued send waits for.
        details: the rarer parameters of its kind, as one text.
        lane: the state it changes, while it is under way; sends of one lane go one by one (H16).
        after_key: send key of the send that has to be in a block first.
        reserved_energy: lent to the owner for this send alone, by the lease of ``lease_id``.
        asked_in: incarnation of the database in which it was asked for last (hazard H5).
        is_haunted: an earlier attempt, proved absent, is on chain after all: it may be paid by that, so
            that no answer about another attempt is a negative one (hazard H1).
    """

    id: str
    version: int = 0
    send_key: str
    origin_service: str
    origin_principal: str
    purpose: Purpose
    wallet_id: str
    owner: Address
    leaf: int = 0
    kind: SendKind
    recipient: Address | None
    contract: Address | None
    amount: int
    resource: Resource | None
    max_fee_sun: int
    not_after_ms: int
    state: SendState = SendState.QUEUED
    due_ms: int
    attempt: int = 0
    txid: str | None = None
    expires_at_ms: int | None = None
    fee_limit_sun: int = 0
    hold: Hold = Hold()
    fee_sun: int | None = None
    block_height: int | None = None
    waiting_for: str | None = None
    refusal_rule: str | None = None
    refusal_detail: str | None = None
    details: str = ""
    memo: str = ""
    permission_id: int = 0
    lane: str | None = None
    after_key: str | None = None
    lease_id: str | None = None
    reserved_energy: int = 0
    asked_in: str = ""
    is_haunted: bool = False
    created_at_ms: int
    updated_at_ms: int

    def is_meant_by(self, intent: Intent) -> bool:
        """True when the intent asks for this transfer: wallet, ceiling and plan may differ (H4)."""
        params = intent.params
        return (
            self.kind,
            self.contract,
            self.recipient,
            str(self.amount),
            self.resource,
            self.details,
            self.memo,
        ) == (
            intent.kind,
            params.contract_address,
            params.recipient,
            params.amount_base_units,
            params.resource,
            details_of(params),
            intent.memo or "",
        )

    @property
    def may_follow(self) -> bool:
        """True when nothing moved but fees for certain, so that the next ordinal may be paid (H4)."""
        return self.state in NEGATIVE_SEND_STATES and not self.is_haunted

    def ended_by(self, verdict: SendState) -> SendState:
        """Return the state that a final verdict on its last attempt leads to."""
        if self.is_haunted and verdict in NEGATIVE_SEND_STATES:
            return SendState.SETTLED_DIFFERENTLY
        return verdict

    @property
    def meaning(self) -> Meaning:
        """What it does."""
        return Meaning(
            kind=self.kind,
            owner=self.owner,
            recipient=self.recipient,
            contract=self.contract,
            amount=self.amount,
            resource=self.resource,
            details=self.details,
        )

    def operation(self) -> Operation:
        """Return what is to be signed; raises InvalidOperation if that makes no sense."""
        return operation_of(self.meaning)

    def moved(self, state: SendState, *, at_ms: int) -> "Send":
        """Return the send in another state; raises IllegalTransition."""
        if state not in ALLOWED[self.state]:
            raise IllegalTransition(f"{self.id}: {self.state} does not become {state}")
        lane = None if state in ENDED else self.lane
        return replace(self, state=state, updated_at_ms=at_ms, waiting_for=None, lane=lane)

    def was_asked_in(self, incarnation: str) -> bool:
        """True unless it is only known from a copy: it may have been cancelled after that was made."""
        return self.asked_in in {"", incarnation}

    def asked_again(self, incarnation: str, *, at_ms: int) -> "Send":
        """Return the send after its caller asked for it once more."""
        return replace(self, asked_in=incarnation, due_ms=at_ms, updated_at_ms=at_ms)

    def waiting(self, reason: str, *, due_ms: int, at_ms: int) -> "Send":
        """Return the send put off, with what it waits for."""
        return replace(self, waiting_for=reason, due_ms=due_ms, updated_at_ms=at_ms)

    def given_up(self, rule: str, detail: str, *, at_ms: int) -> "Send":
        """End a queued send that nothing is under way for: refused if never signed, else expired."""
        state = SendState.EXPIRED if self.attempt else SendState.REFUSED
        ended = self.moved(state, at_ms=at_ms)
        return replace(ended, refusal_rule=str(rule), refusal_detail=detail, hold=Hold())


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One signed transaction for a send; followed by its txid for ever.

    Attributes:
        id: the txid, unique.
        stamp_ms: raw data's timestamp, unique for the owner (hazard H6).
        counted_ms: when it was counted under the caps, on the ledger's clock.
        signature: of the key kept here, in hex; empty if it was to be signed elsewhere (H7).
        collected: signatures that were made elsewhere, in hex.
    """

    id: str
    version: int = 0
    send_id: str
    number: int
    owner: Address
    stamp_ms: int
    raw_data: str
    signature: str
    expires_at_ms: int
    reference_height: int
    counted_ms: int = 0
    collected: tuple[str, ...] = ()
    created_at_ms: int

    @property
    def signatures(self) -> list[str]:
        """All that are there, in hex."""
        return [one for one in (self.signature, *self.collected) if one]


def first_stamp_ms(mark_key: bytes, send_key: str, attempt: int, *, floor_of_ms: int) -> int:
    """Return the timestamp to try first: a ten-minute floor plus a mark of (send key, attempt).

    Two equal payments then never share a txid, and the mark says on chain which send it was.
    """
    digest = hmac.digest(mark_key, f"{send_key}#{attempt}".encode(), hashlib.sha256)
    mark = int.from_bytes(digest[:8], "big") % STAMP_FLOOR_MS
    return floor_of_ms - floor_of_ms % STAMP_FLOOR_MS + mark


def state_after_broadcast(outcome: BroadcastOutcome) -> SendState:
    """Return the state after a node's word; a rejection is no verdict (hazard H4)."""
    match outcome:
        case BroadcastOutcome.ACCEPTED:
            return SendState.SUBMITTED
        case BroadcastOutcome.REJECTED | BroadcastOutcome.UNKNOWN:
            return SendState.UNKNOWN


def whole_units(text: str, *, field: str) -> int:
    """Read base units that the chain can carry; raises ImpossibleSend."""
    if len(text) > len(str(INT64_MAX)) or int(text) > INT64_MAX:
        raise ImpossibleSend(f"{field} is larger than the chain can carry", field=field)
    return int(text)


def came_back(send: Send, attempt: Attempt, fate: TransactionView) -> bool:
    """True when an attempt that was proved absent is on chain after all (hazard H1)."""
    match fate.state:
        case TransactionState.EXPIRED:
            return fate.block is not None
        case TransactionState.CONFIRMED | TransactionState.FAILED:
            given_up = send.state in {SendState.QUEUED, SendState.EXPIRED}
            return given_up or attempt.number != send.attempt
        case _:
            return False


def was_given_up(send: Send, attempt: Attempt) -> bool:
    """True of an attempt that was proved absent: another one followed, or the send ended by that."""
    return attempt.number < send.attempt or send.state is SendState.EXPIRED


def paid_as_meant(send: Send, transfers: list[LogView]) -> bool:
    """True when the receipt shows what the send meant: for tokens, its exact Transfer log (H10)."""
    if send.kind is not SendKind.TRC20_TRANSFER:
        return True
    return any(
        (log.contract_address, log.sender, log.recipient, int(log.amount_base_units))
        == (send.contract, send.owner, send.recipient, send.amount)
        for log in transfers
    )

"""An invoice: money asked for at an address of its own, and judged by what is confirmed there."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self

from shared.clock import MS_PER_S
from shared.errors import BadRequest, Conflict, Forbidden, NotFound
from shared.models.payment_gateway import InvoiceState
from shared.money import Currency, format_base_units
from shared.tron.address import Address

_ANY_PAID: Final = frozenset({InvoiceState.PAID, InvoiceState.OVERPAID, InvoiceState.PAID_LATE})

ALLOWED: Final[Mapping[InvoiceState, frozenset[InvoiceState]]] = {
    InvoiceState.PENDING: _ANY_PAID
    | {InvoiceState.SEEN, InvoiceState.UNDERPAID, InvoiceState.EXPIRED},
    InvoiceState.SEEN: _ANY_PAID
    | {InvoiceState.PENDING, InvoiceState.UNDERPAID, InvoiceState.EXPIRED},
    InvoiceState.UNDERPAID: _ANY_PAID,
    InvoiceState.EXPIRED: _ANY_PAID | {InvoiceState.UNDERPAID},
    InvoiceState.PAID_LATE: frozenset({InvoiceState.OVERPAID}),
    InvoiceState.PAID: frozenset({InvoiceState.OVERPAID}),
    InvoiceState.OVERPAID: frozenset(),
}
"""Where an invoice may go from each state; confirmed money is never taken back."""

OPEN_STATES: Final = (InvoiceState.PENDING, InvoiceState.SEEN)
"""Nothing confirmed yet: only these can expire."""


class UnknownInvoice(NotFound):
    """There is no such invoice, or none that this caller may see."""

    code = "LUCID_ERR_9601"
    title = "Unknown invoice"


class InvoiceTooSmall(BadRequest):
    """The amount is below the smallest invoice in its currency."""

    code = "LUCID_ERR_9602"
    title = "Invoice too small"


class OwnInvoicesOnly(Forbidden):
    """The feed tells of everybody's invoices, and this caller sees its own alone."""

    code = "LUCID_ERR_9603"
    title = "Own invoices only"


class IllegalTransition(Conflict):
    """The table of states does not allow this step."""

    code = "LUCID_ERR_9604"
    title = "Illegal transition"


class Stage(StrEnum):
    """Whether an invoice may be shown: only once its address is being watched (hazard H11)."""

    PREPARING = "preparing"
    SHOWN = "shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What came to an invoice's address and counts, in base units.

    Attributes:
        on_time: confirmed in blocks up to the deadline.
        late: confirmed in later blocks.
        seen: in blocks that are not final, for display alone.
    """

    on_time: int = 0
    late: int = 0
    seen: int = 0

    def __post_init__(self) -> None:
        if min(self.on_time, self.late, self.seen) < 0:
            raise ValueError("sums are never negative")

    @property
    def paid(self) -> int:
        """Return everything that is confirmed."""
        return self.on_time + self.late

    def exchanged(self, before: "Sums", after: "Sums") -> "Sums":
        """Return these sums with one transfer's earlier share replaced by its present one."""
        return Sums(
            on_time=self.on_time - before.on_time + after.on_time,
            late=self.late - before.late + after.late,
            seen=self.seen - before.seen + after.seen,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """Money asked for.

    Attributes:
        id: ours.
        identity: hash of who asked and under which key, unique (hazard H3).
        fingerprint: hash of the body that came with the key.
        owner: the principal who asked.
        wallet_id: the wallet whose address it gets.
        address: unique, and watched when it is set.
        amount: asked for, in base units.
        deadline_ms: the last block time that pays it in time, grace included.
        expired: whether a solid block after the deadline was reached without it.
    """

    id: str
    version: int = 0
    identity: str
    fingerprint: str
    owner: str
    stage: Stage = Stage.PREPARING
    state: InvoiceState = InvoiceState.PENDING
    currency: Currency
    amount: int
    wallet_id: str
    address: Address | None = None
    description: str = ""
    order_id: str | None = None
    lifetime_s: int
    sums: Sums = field(default_factory=Sums)
    expired: bool = False
    expires_at_ms: int = 0
    deadline_ms: int = 0
    created_at_ms: int
    updated_at_ms: int

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise ValueError("an invoice asks for more than zero")
        if (self.stage is Stage.SHOWN) != (self.address is not None):
            raise ValueError("an invoice is shown exactly when it has an address")

    @property
    def pay_to(self) -> Address:
        """Return the address of a shown invoice; raises ValueError before."""
        if self.address is None:
            raise ValueError(f"{self.id} has no address yet")
        return self.address

    def shown(self, address: Address, *, now_ms: int, grace_s: int) -> Self:
        """Return it with its watched address; its time begins now."""
        expires_at_ms = now_ms + self.lifetime_s * MS_PER_S
        return replace(
            self,
            stage=Stage.SHOWN,
            address=address,
            expires_at_ms=expires_at_ms,
            deadline_ms=expires_at_ms + grace_s * MS_PER_S,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )

    def with_sums(self, sums: Sums, *, now_ms: int) -> Self:
        """Return it with other sums and the state that follows from them."""
        return self._judged(replace(self, sums=sums, updated_at_ms=now_ms))

    def past_deadline(self, *, now_ms: int) -> Self:
        """Return it after the chain has passed its deadline (hazard H19)."""
        return self._judged(replace(self, expired=True, updated_at_ms=now_ms))

    def _judged(self, changed: Self) -> Self:
        return replace(changed, state=transition(self.state, judge(changed)))


def judge(invoice: Invoice) -> InvoiceState:
    """Return the state that an invoice's sums and deadline amount to; seen money decides nothing."""
    sums, amount = invoice.sums, invoice.amount
    if sums.on_time >= amount:
        return InvoiceState.PAID if sums.paid == amount else InvoiceState.OVERPAID
    if sums.paid >= amount:
        return InvoiceState.PAID_LATE
    if sums.on_time > 0:
        return InvoiceState.UNDERPAID
    if invoice.expired:
        return InvoiceState.EXPIRED
    if sums.paid + sums.seen >= amount:
        return InvoiceState.SEEN
    return InvoiceState.PENDING


def transition(state: InvoiceState, to: InvoiceState) -> InvoiceState:
    """Return the new state; raises IllegalTransition unless it is the same or allowed."""
    if to is not state and to not in ALLOWED[state]:
        raise IllegalTransition(f"an invoice does not go from {state} to {to}", state=state, to=to)
    return to


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRules:
    """What the operator has set.

    Attributes:
        minimum: smallest invoice by currency, in base units.
        dust: smaller transfers are not counted, by currency, in base units.
        grace_s: how long after its end a block still pays an invoice in time.
        contract: the USDT contract.
    """

    minimum: Mapping[Currency, int]
    dust: Mapping[Currency, int]
    grace_s: int
    contract: Address

    def check_amount(self, amount: int, currency: Currency) -> None:
        """Raise InvoiceTooSmall below the smallest invoice (hazard H20)."""
        least = self.minimum[currency]
        if amount < least:
            raise InvoiceTooSmall(
                f"invoices are for at least {format_base_units(least)} {currency}",
                minimum=format_base_units(least),
                currency=currency.value,
            )

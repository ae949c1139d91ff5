"""A transfer to an invoice's address: whether it counts, and for how much."""

from dataclasses import dataclass, replace
from enum import StrEnum

from services.payment_gateway.domain.invoices import Invoice, InvoiceRules, Sums
from shared.models.tron_client import TransferState, TransferView
from shared.money import Currency
from shared.tron.address import Address


class Reason(StrEnum):
    """Why a transfer is not counted, or is counted in a special way."""

    WRONG_CURRENCY = "wrong_currency"
    OTHER_CONTRACT = "other_contract"
    ZERO = "zero"
    DUST = "dust"
    INTERNAL = "internal"
    LATE = "late"


NOT_COUNTED = frozenset(Reason) - {Reason.LATE}


class Alarm(StrEnum):
    """What must never happen and did: a person has to look."""

    RETRACTED_AFTER_CONFIRMATION = "retracted_after_confirmation"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceTransfer:
    """One transfer to an invoice's address, kept once under the id that the chain's reader gave it.

    Attributes:
        id: ``transfer_id`` of the feed.
        invoice_id: whose address it went to.
        state: how sure it is.
        reason: why it is not counted, or that it came late.
        at_ms: timestamp of its block.
        alarm: set when its confirmed block was taken back.
    """

    id: str
    version: int = 0
    invoice_id: str
    txid: str
    state: TransferState
    reason: Reason | None
    sender: Address
    currency: Currency
    contract_address: Address | None
    amount: int
    block_height: int
    block_id: str
    at_ms: int
    alarm: Alarm | None = None

    @property
    def counted(self) -> bool:
        """Return whether it counts towards the invoice once it is confirmed."""
        return self.reason not in NOT_COUNTED

    def share(self) -> Sums:
        """Return what it contributes to the invoice's sums as it stands."""
        if not self.counted:
            return Sums()
        match self.state:
            case TransferState.SEEN:
                return Sums(seen=self.amount)
            case TransferState.CONFIRMED:
                late = self.reason is Reason.LATE
                return Sums(late=self.amount) if late else Sums(on_time=self.amount)
            case TransferState.RETRACTED:
                return Sums()


def told(
    transfer: TransferView, invoice: Invoice, *, internal: bool, rules: InvoiceRules
) -> InvoiceTransfer:
    """Return a transfer of the feed as it concerns an invoice."""
    return InvoiceTransfer(
        id=transfer.transfer_id,
        invoice_id=invoice.id,
        txid=transfer.txid,
        state=transfer.state,
        reason=_reason(transfer, invoice, internal=internal, rules=rules),
        sender=transfer.sender,
        currency=transfer.currency,
        contract_address=Address(transfer.contract_address) if transfer.contract_address else None,
        amount=int(transfer.amount_base_units),
        block_height=transfer.block.height,
        block_id=transfer.block.block_id,
        at_ms=transfer.block.timestamp_ms,
    )


def _reason(
    transfer: TransferView, invoice: Invoice, *, internal: bool, rules: InvoiceRules
) -> Reason | None:
    amount = int(transfer.amount_base_units)
    if internal:
        return Reason.INTERNAL
    if transfer.currency is not invoice.currency:
        return Reason.WRONG_CURRENCY
    if transfer.contract_address != (rules.contract if invoice.currency is Currency.USDT else None):
        return Reason.OTHER_CONTRACT
    if amount == 0:
        return Reason.ZERO
    if amount < rules.dust[invoice.currency]:
        return Reason.DUST
    return Reason.LATE if transfer.block.timestamp_ms > invoice.deadline_ms else None


def merged(known: InvoiceTransfer | None, news: InvoiceTransfer) -> InvoiceTransfer:
    """Return what is known of a transfer after news of it, which may be old or a repeat.

    Confirmed is final. A retraction concerns the block it names: one of another block is the past of
    a transfer that has come back since. A retraction of the confirmed block itself is an alarm, and
    the credit stays until a person decides.
    """
    if known is None:
        return news
    is_retraction = news.state is TransferState.RETRACTED
    if is_retraction and news.block_id != known.block_id:
        return known
    if known.state is TransferState.CONFIRMED:
        return replace(known, alarm=Alarm.RETRACTED_AFTER_CONFIRMATION) if is_retraction else known
    return replace(news, version=known.version)


def absorb(
    invoice: Invoice, known: InvoiceTransfer | None, news: InvoiceTransfer, *, now_ms: int
) -> tuple[Invoice, InvoiceTransfer]:
    """Return an invoice and one of its transfers after news; both unchanged by a repeat."""
    transfer = merged(known, news)
    before = known.share() if known else Sums()
    after = transfer.share()
    if before == after:
        return invoice, transfer
    sums = invoice.sums.exchanged(before, after)
    return invoice.with_sums(sums, now_ms=now_ms), transfer

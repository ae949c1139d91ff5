"""What payment-gateway publishes: invoices, and the webhooks that tell of them."""

from enum import StrEnum
from typing import Annotated

from pydantic import AnyHttpUrl, Field

from shared.models.wire import (
    AddressText,
    AmountText,
    BaseUnitsText,
    DecimalText,
    NaturalId,
    NoteText,
    Request,
    TimeText,
    TxidText,
    View,
)
from shared.money import Currency


class InvoiceState(StrEnum):
    """Where an invoice is.

    ``seen`` is a courtesy: enough money is in blocks that are not yet final. Every other change
    follows solid blocks alone.
    """

    PENDING = "pending"
    SEEN = "seen"
    UNDERPAID = "underpaid"
    PAID = "paid"
    OVERPAID = "overpaid"
    EXPIRED = "expired"
    PAID_LATE = "paid_late"


class InvoiceRequest(Request):
    """Money to ask for."""

    amount: AmountText
    currency: Currency = Currency.USDT
    description: NoteText = ""
    order_id: NaturalId | None = None
    expires_in_s: Annotated[int, Field(ge=60, le=604_800)] = 3_600


class InvoiceTransferView(View):
    """One transfer to an invoice's address."""

    transfer_id: str
    txid: TxidText
    state: str
    counted: bool
    reason: str | None
    sender: AddressText
    currency: Currency
    amount: DecimalText
    amount_base_units: BaseUnitsText
    block_height: int
    at: TimeText


class InvoiceView(View):
    """An invoice as it stands."""

    invoice_id: str
    state: InvoiceState
    amount: DecimalText
    amount_base_units: BaseUnitsText
    currency: Currency
    pay_to_address: AddressText
    paid: DecimalText
    paid_base_units: BaseUnitsText
    seen: DecimalText
    seen_base_units: BaseUnitsText
    description: str
    order_id: str | None
    network: str
    transfers: list[InvoiceTransferView]
    expires_at: TimeText
    created_at: TimeText
    updated_at: TimeText


class InvoiceListView(View):
    """A page of invoices, newest first."""

    invoices: list[InvoiceView]
    next: str | None = None


class WebhookRequest(Request):
    """Where events are to be sent."""

    url: AnyHttpUrl
    events: Annotated[list[Annotated[str, Field(max_length=60)]], Field(max_length=50)] = Field(
        default=["*"]
    )
    request_id: NaturalId | None = None


class WebhookView(View):
    """A webhook endpoint; ``secret`` is told once, when it is made."""

    webhook_id: str
    url: str
    events: list[str]
    active: bool
    secret: str | None = None
    created_at: TimeText


class WebhookListView(View):
    """The endpoints."""

    webhooks: list[WebhookView]


class DeliveryView(View):
    """One event on its way to one endpoint."""

    delivery_id: str
    webhook_id: str
    event_id: str
    event_type: str
    state: str
    attempts: int
    last_status: int | None
    last_error: str | None
    next_attempt_at: TimeText | None
    created_at: TimeText


class DeliveryListView(View):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryView]
    next: str | None = None

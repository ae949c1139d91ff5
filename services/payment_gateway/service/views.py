"""Translates what the gateway keeps into what it publishes."""

from collections.abc import Iterable

from services.payment_gateway.domain.deliveries import (
    Delivery,
    DeliveryState,
    Webhook,
    WebhookState,
)
from services.payment_gateway.domain.invoices import Invoice
from services.payment_gateway.domain.transfers import InvoiceTransfer
from shared.clock import rfc3339
from shared.models.payment_gateway import (
    DeliveryView,
    InvoiceTransferView,
    InvoiceView,
    WebhookView,
)
from shared.money import format_base_units


def invoice_view(
    invoice: Invoice, transfers: Iterable[InvoiceTransfer], *, network: str
) -> InvoiceView:
    """Return a shown invoice with its transfers, oldest first."""
    sums = invoice.sums
    return InvoiceView(
        invoice_id=invoice.id,
        state=invoice.state,
        amount=format_base_units(invoice.amount),
        amount_base_units=str(invoice.amount),
        currency=invoice.currency,
        pay_to_address=invoice.pay_to,
        paid=format_base_units(sums.paid),
        paid_base_units=str(sums.paid),
        seen=format_base_units(sums.seen),
        seen_base_units=str(sums.seen),
        description=invoice.description,
        order_id=invoice.order_id,
        network=network,
        transfers=[
            transfer_view(each) for each in sorted(transfers, key=lambda one: (one.at_ms, one.id))
        ],
        expires_at=rfc3339(invoice.expires_at_ms),
        created_at=rfc3339(invoice.created_at_ms),
        updated_at=rfc3339(invoice.updated_at_ms),
    )


def transfer_view(transfer: InvoiceTransfer) -> InvoiceTransferView:
    """Return one transfer of an invoice."""
    return InvoiceTransferView(
        transfer_id=transfer.id,
        txid=transfer.txid,
        state=transfer.state.value,
        counted=transfer.counted,
        reason=transfer.alarm or transfer.reason,
        sender=transfer.sender,
        currency=transfer.currency,
        amount=format_base_units(transfer.amount),
        amount_base_units=str(transfer.amount),
        block_height=transfer.block_height,
        at=rfc3339(transfer.at_ms),
    )


def webhook_view(webhook: Webhook, *, secret: str | None = None) -> WebhookView:
    """Return an endpoint, with its secret only when it has just been made."""
    return WebhookView(
        webhook_id=webhook.id,
        url=webhook.url,
        events=list(webhook.events),
        active=webhook.state is WebhookState.ACTIVE,
        secret=secret,
        created_at=rfc3339(webhook.created_at_ms),
    )


def delivery_view(delivery: Delivery) -> DeliveryView:
    """Return a delivery without its body."""
    is_pending = delivery.state is DeliveryState.PENDING
    return DeliveryView(
        delivery_id=delivery.id,
        webhook_id=delivery.webhook_id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        state=delivery.state.value,
        attempts=delivery.attempts,
        last_status=delivery.last_status,
        last_error=delivery.last_error,
        next_attempt_at=rfc3339(delivery.due_at_ms) if is_pending else None,
        created_at=rfc3339(delivery.created_at_ms),
    )

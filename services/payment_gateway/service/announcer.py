"""Makes the events that go out with a change, and wakes those who wait for one."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from services.payment_gateway.domain.deliveries import Delivery, Webhook
from services.payment_gateway.domain.invoices import Invoice
from services.payment_gateway.domain.transfers import InvoiceTransfer
from services.payment_gateway.service.views import invoice_view
from services.payment_gateway.store import Announcement
from shared.clock import rfc3339
from shared.ids import NewId


class Bell:
    """Rings when invoices have changed."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def ring(self) -> None:
        """Wake everybody who waits."""
        self._next.set()
        self._next = asyncio.Event()

    def next_ring(self) -> asyncio.Event:
        """Return what the next ring sets; take it before looking, so that none is missed."""
        return self._next


class Announcer:
    """Makes one event and its deliveries for each endpoint that wants it."""

    def __init__(self, *, new_id: NewId, network: str) -> None:
        self._new_id = new_id
        self.network = network

    def announce(
        self,
        event_type: str,
        invoice: Invoice,
        transfers: Iterable[InvoiceTransfer],
        *,
        endpoints: Sequence[Webhook],
        at_ms: int,
    ) -> Announcement:
        """Return the event that tells of an invoice as it stands now."""
        view = invoice_view(invoice, transfers, network=self.network).model_dump(mode="json")
        event_id = self._new_id("evt")
        body = _body(event_type, view, at_ms)
        return Announcement(
            id=event_id,
            type=event_type,
            at_ms=at_ms,
            object=view,
            deliveries=tuple(
                Delivery(
                    id=self._new_id("dlv"),
                    webhook_id=endpoint.id,
                    event_id=event_id,
                    event_type=event_type,
                    body=body,
                    due_at_ms=at_ms,
                    created_at_ms=at_ms,
                )
                for endpoint in endpoints
                if endpoint.wants(event_type)
            ),
        )


def _body(event_type: str, view: dict[str, Any], at_ms: int) -> str:
    document = {"type": event_type, "timestamp": rfc3339(at_ms), "data": view}
    return msgspec.json.encode(document).decode()

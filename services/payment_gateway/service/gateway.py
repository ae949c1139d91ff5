"""payment-gateway as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.payment_gateway.domain.deliveries import DeliveryState
from services.payment_gateway.service.deposits import Deposits
from services.payment_gateway.service.hooks import Webhooks
from services.payment_gateway.service.invoices import Invoices
from services.payment_gateway.service.peers import Siblings
from services.payment_gateway.store import GatewayStore
from shared.models.payment_gateway import InvoiceState


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentGateway:
    """Everything that routes and loops call.

    Attributes:
        invoices: money asked for.
        deposits: money that came.
        webhooks: who is told.
        siblings: whose answers are passed on.
    """

    store: GatewayStore
    invoices: Invoices
    deposits: Deposits
    webhooks: Webhooks
    siblings: Siblings

    async def counts(self) -> Mapping[str, Any]:
        """Count invoices by state, deliveries by state, and alarms."""
        invoices = {state.value: await self.store.count_invoices(state) for state in InvoiceState}
        deliveries = {
            state.value: await self.store.count_deliveries(state)
            for state in (DeliveryState.PENDING, DeliveryState.FAILED)
        }
        return {
            "invoices": invoices,
            "deliveries": deliveries,
            "alarms": await self.store.count_alarms(),
        }

    async def details(self) -> Mapping[str, Any]:
        """Say how far the transfers have been taken in."""
        as_of = self.deposits.as_of
        return {
            **await self.counts(),
            "transfers_cursor": (await self.store.cursor()).cursor,
            "as_of_height": as_of.height if as_of else None,
        }

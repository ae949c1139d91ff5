"""What payment-gateway keeps: invoices with their transfers, a cursor, webhooks and deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.payment_gateway.domain.deliveries import (
    Delivery,
    DeliveryState,
    Webhook,
    WebhookState,
)
from services.payment_gateway.domain.invoices import OPEN_STATES, Invoice, Stage
from services.payment_gateway.domain.transfers import Alarm, InvoiceTransfer
from shared.clock import Clock
from shared.feeds import FeedSource
from shared.models.payment_gateway import InvoiceState, InvoiceView
from shared.storage import (
    Collection,
    Feed,
    Index,
    Lease,
    Leased,
    Page,
    Schema,
    Storage,
    Unit,
)
from shared.storage.schema import R

TRANSFER_CURSOR: Final = "transfers"
SHOWN_TRANSFERS: Final = 100
MAX_ENDPOINTS_READ: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedCursor:
    """How far a sibling's feed has been taken in.

    Attributes:
        id: name of the feed.
        cursor: incarnation and number; empty at the very beginning.
    """

    id: str
    version: int = 0
    cursor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An event as it goes to the feed, with the deliveries it makes.

    Attributes:
        object: the invoice as it stood then, as JSON.
    """

    id: str
    type: str
    at_ms: int
    object: dict[str, Any]
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Everything that one round changes, stored together or not at all."""

    invoices: Sequence[Invoice] = ()
    transfers: Sequence[InvoiceTransfer] = ()
    announcements: Sequence[Announcement] = ()
    cursor: FeedCursor | None = None


_SHOWN: Final = (("stage", (Stage.SHOWN,)),)

INVOICES: Final = Collection(
    name="invoices",
    record=Invoice,
    indexes=(
        Index("identity", ("identity",), unique=True),
        Index("address", ("address",), unique=True),
        Index("newest", ("stage", "created_at_ms")),
        Index("state", ("stage", "state", "created_at_ms")),
        Index("owner", ("stage", "owner", "created_at_ms")),
        Index("owner_state", ("stage", "owner", "state", "created_at_ms")),
        Index("deadline", ("deadline_ms",), where=(*_SHOWN, ("state", OPEN_STATES))),
    ),
)
TRANSFERS: Final = Collection(
    name="transfers",
    record=InvoiceTransfer,
    indexes=(Index("invoice", ("invoice_id", "at_ms")), Index("alarm", ("alarm",))),
)
CURSORS: Final = Collection(name="cursors", record=FeedCursor)
WEBHOOKS: Final = Collection(
    name="webhooks",
    record=Webhook,
    indexes=(Index("identity", ("identity",), unique=True), Index("state", ("state",))),
)
DELIVERIES: Final = Collection(
    name="deliveries",
    record=Delivery,
    indexes=(
        Index("due", ("due_at_ms",), where=(("state", (DeliveryState.PENDING,)),)),
        Index("webhook", ("webhook_id",)),
        Index("state", ("state",)),
    ),
    leased=True,
)
INVOICE_FEED: Final = Feed("invoices")

SCHEMA: Final = Schema(
    service="payment-gateway",
    version=1,
    collections=(INVOICES, TRANSFERS, CURSORS, WEBHOOKS, DELIVERIES),
    feeds=(INVOICE_FEED,),
)


class GatewayStore:
    """payment-gateway's records."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def feed(self, clock: Clock) -> FeedSource[InvoiceView]:
        """Return the feed of invoices."""
        return FeedSource(storage=self._storage, feed=INVOICE_FEED, view=InvoiceView, clock=clock)

    async def invoice(self, invoice_id: str) -> Invoice | None:
        """Return an invoice, whatever its stage."""
        return await self._storage.get(INVOICES, invoice_id)

    async def invoice_by_identity(self, identity: str) -> Invoice | None:
        """Return the invoice that a key made."""
        return await self._storage.find(INVOICES, "identity", identity)

    async def invoices_at(self, addresses: Sequence[str]) -> dict[str, Invoice]:
        """Return the invoices that own some of these addresses, by address."""
        found = await self._storage.find_many(INVOICES, "address", addresses) if addresses else []
        return {invoice.pay_to: invoice for invoice in found}

    async def invoices(
        self, *, owner: str | None, state: InvoiceState | None, limit: int, cursor: str | None
    ) -> Page[Invoice]:
        """Return a page of shown invoices, newest first."""
        name = {
            (False, False): "newest",
            (False, True): "state",
            (True, False): "owner",
            (True, True): "owner_state",
        }[owner is not None, state is not None]
        equals = [value for value in (owner, state) if value is not None]
        return await self._storage.list(
            INVOICES, name, Stage.SHOWN, *equals, limit=limit, cursor=cursor, descending=True
        )

    async def overdue(self, *, before_ms: int, limit: int) -> list[Invoice]:
        """Return invoices without confirmed money whose deadline was before a time."""
        page = await self._storage.list(INVOICES, "deadline", at_most=before_ms - 1, limit=limit)
        return page.items

    async def count_invoices(self, state: InvoiceState) -> int:
        """Count the shown invoices in a state."""
        return await self._storage.count(INVOICES, "state", Stage.SHOWN, state)

    async def transfers(self, transfer_ids: Sequence[str]) -> dict[str, InvoiceTransfer]:
        """Return the transfers that are known among these."""
        return await self._storage.get_many(TRANSFERS, transfer_ids) if transfer_ids else {}

    async def transfers_of(self, invoice_id: str) -> list[InvoiceTransfer]:
        """Return the latest transfers to an invoice."""
        page = await self._storage.list(
            TRANSFERS, "invoice", invoice_id, limit=SHOWN_TRANSFERS, descending=True
        )
        return page.items

    async def count_alarms(self) -> int:
        """Count the transfers that a person has to look at."""
        return await self._storage.count(TRANSFERS, "alarm", Alarm.RETRACTED_AFTER_CONFIRMATION)

    async def cursor(self) -> FeedCursor:
        """Return how far the transfers have been taken in."""
        found = await self._storage.get(CURSORS, TRANSFER_CURSOR)
        return found or FeedCursor(id=TRANSFER_CURSOR)

    async def save(self, changes: Changes) -> None:
        """Store one round's changes; raises GuardFailed when something changed meanwhile."""
        unit = Unit()
        for invoice in changes.invoices:
            _put(unit, INVOICES, invoice)
        for transfer in changes.transfers:
            _put(unit, TRANSFERS, transfer)
        if changes.cursor is not None:
            _put(unit, CURSORS, changes.cursor)
        for told in changes.announcements:
            unit.publish(
                INVOICE_FEED, id=told.id, type=told.type, at_ms=told.at_ms, object=told.object
            )
            for delivery in told.deliveries:
                unit.insert(DELIVERIES, delivery)
        await self._storage.commit(unit)

    async def webhook(self, webhook_id: str) -> Webhook | None:
        """Return a webhook."""
        return await self._storage.get(WEBHOOKS, webhook_id)

    async def webhook_by_identity(self, identity: str) -> Webhook | None:
        """Return the webhook that a key made."""
        return await self._storage.find(WEBHOOKS, "identity", identity)

    async def webhooks(self) -> list[Webhook]:
        """Return every webhook, the latest first."""
        newest = []
        for state in WebhookState:
            page = await self._storage.list(
                WEBHOOKS, "state", state, limit=MAX_ENDPOINTS_READ, descending=True
            )
            newest += page.items
        return sorted(newest, key=lambda webhook: webhook.id, reverse=True)

    async def active_webhooks(self) -> list[Webhook]:
        """Return the webhooks that events are sent to."""
        page = await self._storage.list(
            WEBHOOKS, "state", WebhookState.ACTIVE, limit=MAX_ENDPOINTS_READ
        )
        return page.items

    async def save_webhook(self, webhook: Webhook) -> None:
        """Store a webhook; raises GuardFailed."""
        unit = Unit()
        _put(unit, WEBHOOKS, webhook)
        await self._storage.commit(unit)

    async def delivery(self, delivery_id: str) -> Delivery | None:
        """Return a delivery."""
        return await self._storage.get(DELIVERIES, delivery_id)

    async def deliveries(
        self, webhook_id: str, *, limit: int, cursor: str | None
    ) -> Page[Delivery]:
        """Return a page of an endpoint's deliveries, newest first."""
        return await self._storage.list(
            DELIVERIES, "webhook", webhook_id, limit=limit, cursor=cursor, descending=True
        )

    async def count_deliveries(self, state: DeliveryState) -> int:
        """Count the deliveries in a state."""
        return await self._storage.count(DELIVERIES, "state", state)

    async def claim_due(
        self, *, owner: str, now_ms: int, lease_ms: int, limit: int
    ) -> list[Leased[Delivery]]:
        """Lease deliveries that are due."""
        return await self._storage.claim(
            DELIVERIES,
            "due",
            at_most=now_ms,
            limit=limit,
            owner=owner,
            now_ms=now_ms,
            lease_ms=lease_ms,
        )

    async def settle_delivery(
        self, delivery: Delivery, lease: Lease, *, webhook: Webhook | None = None
    ) -> None:
        """Store what a try came to, and its endpoint if that changed; raises GuardFailed."""
        unit = Unit().fence(DELIVERIES, lease).update(DELIVERIES, delivery)
        if webhook is not None:
            unit.update(WEBHOOKS, webhook)
        await self._storage.commit(unit.release(DELIVERIES, lease))

    async def save_delivery(self, delivery: Delivery) -> None:
        """Store a delivery that was changed outside a try; raises GuardFailed."""
        await self._storage.commit(Unit().update(DELIVERIES, delivery))


def _put(unit: Unit, collection: Collection[R], record: R) -> None:
    if record.version:
        unit.update(collection, record)
    else:
        unit.insert(collection, record)

"""Webhooks: endpoints, and events brought to them from the outbox until they are taken."""

import asyncio
from collections.abc import Sequence
from typing import Final

from services.payment_gateway.domain.deliveries import (
    MAX_ENDPOINTS,
    BadTarget,
    Delivery,
    DeliveryState,
    Gone,
    TooManyWebhooks,
    UnknownDelivery,
    UnknownWebhook,
    Webhook,
    WebhookInactive,
    WebhookState,
    check_events,
)
from services.payment_gateway.service.views import delivery_view, webhook_view
from services.payment_gateway.store import GatewayStore
from services.payment_gateway.webhooks import WebhookSender
from shared.auth import Principal
from shared.clock import Clock
from shared.errors import KeyReused
from shared.ids import NewId, fingerprint, identity
from shared.logs import get_logger
from shared.models.payment_gateway import (
    DeliveryListView,
    DeliveryView,
    WebhookListView,
    WebhookRequest,
    WebhookView,
)
from shared.outbound import OutboundFailed, OutboundRefused
from shared.storage import DuplicateRecord, GuardFailed, Leased

log = get_logger(__name__)

ROUTE_FAMILY: Final = "webhooks"
AT_ONCE: Final = 20
LEASE_MS: Final = 120_000
"""Longer than any try; after a crash a delivery waits for the rest of it."""


class Webhooks:
    """Keeps endpoints and empties the outbox."""

    def __init__(
        self,
        *,
        store: GatewayStore,
        sender: WebhookSender,
        clock: Clock,
        new_id: NewId,
        ladder_s: Sequence[int],
        owner: str,
    ) -> None:
        self._store = store
        self._sender = sender
        self._clock = clock
        self._new_id = new_id
        self._ladder_s = tuple(ladder_s)
        self._owner = owner

    async def create(
        self, request: WebhookRequest, *, caller: Principal, key: str | None
    ) -> tuple[WebhookView, bool]:
        """Make an endpoint; its secret is told in this answer alone.

        Returns:
            The endpoint, and whether its key had made it before (then without the secret).
        """
        name = identity(caller.name, ROUTE_FAMILY, key) if key else None
        known = await self._store.webhook_by_identity(name) if name else None
        if known is None:
            await self._check_target(str(request.url))
            webhook = await self._new(request, name)
            try:
                await self._store.save_webhook(webhook)
            except DuplicateRecord:  # the same request arrived twice at once
                known = await self._store.webhook_by_identity(name or "")
            else:
                return webhook_view(webhook, secret=self._sender.secret(webhook.id)), False
        if known is None or known.fingerprint != fingerprint(request.model_dump(mode="json")):
            raise KeyReused("this key was used for another webhook")
        return webhook_view(known), True

    async def all(self) -> WebhookListView:
        """Return every endpoint, the latest first."""
        return WebhookListView(
            webhooks=[webhook_view(webhook) for webhook in await self._store.webhooks()]
        )

    async def deactivate(self, webhook_id: str) -> WebhookView:
        """Switch an endpoint off; what waits for it is cancelled when it is due."""
        webhook = await self._webhook(webhook_id)
        if webhook.state is WebhookState.ACTIVE:
            webhook = webhook.deactivated()
            await self._store.save_webhook(webhook)
        return webhook_view(webhook)

    async def deliveries(
        self, webhook_id: str, *, limit: int, cursor: str | None
    ) -> DeliveryListView:
        """Return a page of an endpoint's deliveries, newest first."""
        await self._webhook(webhook_id)
        page = await self._store.deliveries(webhook_id, limit=limit, cursor=cursor)
        return DeliveryListView(
            deliveries=[delivery_view(one) for one in page.items], next=page.next
        )

    async def redeliver(self, webhook_id: str, delivery_id: str) -> DeliveryView:
        """Have a delivery tried again from now on, whatever became of it."""
        webhook = await self._webhook(webhook_id)
        if webhook.state is not WebhookState.ACTIVE:
            raise WebhookInactive("nothing is sent to an inactive webhook", webhook_id=webhook_id)
        delivery = await self._store.delivery(delivery_id)
        if delivery is None or delivery.webhook_id != webhook_id:
            raise UnknownDelivery("there is no such delivery", delivery_id=delivery_id)
        again = delivery.again(now_ms=self._clock.now_ms())
        await self._store.save_delivery(again)
        return delivery_view(again)

    async def deliver_due(self) -> bool:
        """Try every delivery that is due, up to a limit; returns whether there may be more."""
        leased = await self._store.claim_due(
            owner=self._owner, now_ms=self._clock.now_ms(), lease_ms=LEASE_MS, limit=AT_ONCE
        )
        async with asyncio.TaskGroup() as group:
            for one in leased:
                group.create_task(self._deliver(one))
        return len(leased) == AT_ONCE

    async def _deliver(self, leased: Leased[Delivery]) -> None:
        try:
            await self._try(leased)
        except GuardFailed as error:  # tried again after the lease: endpoints see an event id twice
            log.warning("delivery.overtaken", delivery_id=leased.record.id, error=str(error))

    async def _try(self, leased: Leased[Delivery]) -> None:
        delivery = leased.record
        webhook = await self._store.webhook(delivery.webhook_id)
        if webhook is None or webhook.state is not WebhookState.ACTIVE:
            await self._store.settle_delivery(delivery.cancelled(), leased.lease)
            return
        outcome = await self._sender.deliver(webhook, delivery)
        now_ms = self._clock.now_ms()
        after = delivery.after(outcome, now_ms=now_ms, ladder_s=self._ladder_s)
        gone = webhook.deactivated() if isinstance(outcome, Gone) else None
        await self._store.settle_delivery(after, leased.lease, webhook=gone)
        if after.state is not DeliveryState.DELIVERED:
            log.warning(
                "delivery.missed",
                delivery_id=after.id,
                attempts=after.attempts,
                status=after.last_status,
                error=after.last_error,
            )

    async def _check_target(self, url: str) -> None:
        try:
            await self._sender.check(url)
        except (OutboundRefused, OutboundFailed) as error:
            raise BadTarget(f"webhooks are not sent there: {error.reason}") from None

    async def _new(self, request: WebhookRequest, name: str | None) -> Webhook:
        events = check_events(request.events)
        if len(await self._store.active_webhooks()) >= MAX_ENDPOINTS:
            raise TooManyWebhooks(
                f"there are {MAX_ENDPOINTS} active webhooks already", limit=MAX_ENDPOINTS
            )
        return Webhook(
            id=self._new_id("whk"),
            identity=name,
            fingerprint=fingerprint(request.model_dump(mode="json")),
            url=str(request.url),
            events=events,
            created_at_ms=self._clock.now_ms(),
        )

    async def _webhook(self, webhook_id: str) -> Webhook:
        webhook = await self._store.webhook(webhook_id)
        if webhook is None:
            raise UnknownWebhook("there is no such webhook", webhook_id=webhook_id)
        return webhook

"""Webhooks over HTTP."""

from fastapi import APIRouter, Response

from services.payment_gateway.domain.deliveries import (
    BadTarget,
    TooManyWebhooks,
    UnknownDelivery,
    UnknownEvent,
    UnknownWebhook,
    WebhookInactive,
)
from services.payment_gateway.routes.callers import Admin, Cursor, Key, Limit, Service
from shared.errors import BadCursor, KeyReused
from shared.models.payment_gateway import (
    DeliveryListView,
    DeliveryView,
    WebhookListView,
    WebhookRequest,
    WebhookView,
)
from shared.web.problems import declares
from shared.web.security import REPLAYED_HEADER

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])


@router.post(
    "", status_code=201, responses=declares(BadTarget, UnknownEvent, KeyReused, TooManyWebhooks)
)
async def create(
    service: Service, caller: Admin, body: WebhookRequest, response: Response, key: Key = None
) -> WebhookView:
    """Have events sent to a URL; the secret in this answer is told once."""
    name = key or body.request_id
    webhook, replayed = await service.webhooks.create(body, caller=caller, key=name)
    if replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return webhook


@router.get("")
async def listing(service: Service, _: Admin) -> WebhookListView:
    """Return every webhook, the latest first."""
    return await service.webhooks.all()


@router.delete("/{webhook_id}", responses=declares(UnknownWebhook))
async def deactivate(service: Service, _: Admin, webhook_id: str) -> WebhookView:
    """Switch a webhook off."""
    return await service.webhooks.deactivate(webhook_id)


@router.get("/{webhook_id}/deliveries", responses=declares(UnknownWebhook, BadCursor))
async def deliveries(
    service: Service, _: Admin, webhook_id: str, cursor: Cursor = None, limit: Limit = 50
) -> DeliveryListView:
    """Return what was sent to a webhook and what is waiting, newest first."""
    return await service.webhooks.deliveries(webhook_id, limit=limit, cursor=cursor)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    responses=declares(UnknownWebhook, UnknownDelivery, WebhookInactive),
)
async def redeliver(service: Service, _: Admin, webhook_id: str, delivery_id: str) -> DeliveryView:
    """Have one delivery tried again from now on."""
    return await service.webhooks.redeliver(webhook_id, delivery_id)

"""Invoices over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from services.payment_gateway.domain.invoices import (
    InvoiceTooSmall,
    OwnInvoicesOnly,
    UnknownInvoice,
)
from services.payment_gateway.routes.callers import (
    Creator,
    Cursor,
    Key,
    Limit,
    Reader,
    Service,
)
from shared.errors import BadCursor, Forbidden, KeyRequired, KeyReused, Unavailable
from shared.feeds import MAX_PAGE, MAX_WAIT_S, FeedLost, FeedReset
from shared.models.payment_gateway import (
    InvoiceListView,
    InvoiceRequest,
    InvoiceState,
    InvoiceView,
)
from shared.models.wire import ConsumerRequest, ConsumerView, FeedView
from shared.web.problems import declares
from shared.web.security import REPLAYED_HEADER, idempotency_key, require_own_name

Wait = Annotated[int, Query(ge=0, le=MAX_WAIT_S)]

router = APIRouter(prefix="/api/v1/invoices", tags=["invoices"])


@router.post(
    "", status_code=201, responses=declares(InvoiceTooSmall, KeyRequired, KeyReused, Unavailable)
)
async def create(
    service: Service, caller: Creator, body: InvoiceRequest, response: Response, key: Key = None
) -> InvoiceView:
    """Ask for money at an address of its own; a repeat with the same key returns the same invoice."""
    name = idempotency_key(key, order_id=body.order_id)
    invoice, replayed = await service.invoices.create(body, caller=caller, key=name)
    if replayed:
        response.headers[REPLAYED_HEADER] = "true"
    return invoice


@router.get("", responses=declares(BadCursor))
async def page(
    service: Service,
    caller: Reader,
    state: InvoiceState | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> InvoiceListView:
    """Return invoices, newest first; people without a wider role see their own."""
    return await service.invoices.page(caller=caller, state=state, limit=limit, cursor=cursor)


@router.get("/feed", responses=declares(BadCursor, OwnInvoicesOnly, FeedReset, FeedLost))
async def feed(
    service: Service,
    caller: Reader,
    after: Annotated[str, Query(max_length=255)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    wait_s: Wait = 0,
) -> FeedView[InvoiceView]:
    """Return what happened to invoices after a cursor, waiting for news if there is none."""
    source = service.invoices.feed(caller=caller)
    return await source.page(after=after, limit=limit, wait_s=wait_s)


@router.put(
    "/feed/consumers/{name}",
    responses=declares(BadCursor, Forbidden, OwnInvoicesOnly, FeedReset, FeedLost),
)
async def acknowledge(
    service: Service,
    caller: Reader,
    name: Annotated[str, Path(pattern=r"^[a-z0-9_-]{1,64}$")],
    body: ConsumerRequest,
) -> ConsumerView:
    """Register how far a consumer has durably come."""
    require_own_name(caller, name)
    source = service.invoices.feed(caller=caller)
    await source.acknowledge(consumer=name, cursor=body.cursor)
    return ConsumerView(name=name, cursor=body.cursor)


@router.get("/{invoice_id}", responses=declares(UnknownInvoice))
async def get(service: Service, caller: Reader, invoice_id: str, wait_s: Wait = 0) -> InvoiceView:
    """Return an invoice; with ``wait_s``, as soon as it changes or that time is over."""
    return await service.invoices.get(invoice_id, caller=caller, wait_s=wait_s)

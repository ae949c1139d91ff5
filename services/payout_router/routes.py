"""payout-router's routes."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from services.payout_router.domain import Caller, Order, PayoutRefused
from services.payout_router.service import PayoutRouter, Promises
from shared.access import Scope
from shared.auth import Principal
from shared.errors import (
    BadCursor,
    Forbidden,
    InvalidFields,
    KeyRequired,
    KeyReused,
    NotFound,
    Unavailable,
)
from shared.feeds import MAX_PAGE, MAX_WAIT_S, FeedLost, FeedReset
from shared.models.payout_router import (
    BatchItem,
    BatchRequest,
    BatchView,
    PayoutEvent,
    PayoutListView,
    PayoutRequest,
    PayoutRouterName,
    PayoutStatus,
    PayoutView,
    TransferRequest,
)
from shared.models.wire import ConsumerRequest, ConsumerView, FeedView
from shared.money import parse_base_units
from shared.web.application import service_of
from shared.web.problems import declares
from shared.web.security import (
    KEY_HEADER,
    MAX_KEY_CHARACTERS,
    REPLAYED_HEADER,
    idempotency_key,
    require_own_name,
    requires,
)


def _service(request: Request) -> Promises:
    return service_of(request, PayoutRouter).promises


Service = Annotated[Promises, Depends(_service)]
Creator = Annotated[Principal, requires(Scope.PAYOUTS_CREATE)]
Reader = Annotated[Principal, requires(Scope.PAYOUTS_READ)]
KeyHeader = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        max_length=MAX_KEY_CHARACTERS,
        description="Names this request; a repeat under the same key returns the first answer.",
    ),
]
Cursor = Annotated[str | None, Query(max_length=2_048)]
Limit = Annotated[int, Query(ge=1, le=100)]

CREATE_PROBLEMS = declares(InvalidFields, KeyRequired, PayoutRefused, KeyReused, Unavailable)
READ_PROBLEMS = declares(NotFound, Unavailable)
LIST_PROBLEMS = declares(BadCursor, Unavailable)
FEED_PROBLEMS = declares(BadCursor, Forbidden, FeedReset, FeedLost, Unavailable)

router = APIRouter(tags=["payouts"])


@router.post("/api/v1/payouts", status_code=HTTPStatus.CREATED, responses=CREATE_PROBLEMS)
@router.post("/api/v1/payouts/initiate", status_code=HTTPStatus.CREATED, responses=CREATE_PROBLEMS)
async def create(
    service: Service, who: Creator, body: PayoutRequest, response: Response, key: KeyHeader = None
) -> PayoutView:
    """Promise a payout; the same key returns the first promise."""
    named = idempotency_key(key, request_id=body.request_id)
    taken = await service.create(_order(body), caller=_caller(who), key=named)
    _mark(response, replayed=taken.replayed)
    return taken.view


@router.post("/transfer", status_code=HTTPStatus.CREATED, responses=CREATE_PROBLEMS)
async def transfer(
    service: Service, who: Creator, body: TransferRequest, response: Response, key: KeyHeader = None
) -> PayoutView:
    """Promise a payout by the direct router; an older name kept for the API gateway."""
    named = idempotency_key(key, request_id=body.request_id)
    taken = await service.create(_direct_order(body), caller=_caller(who), key=named)
    _mark(response, replayed=taken.replayed)
    return taken.view


@router.post("/api/v1/payouts/batch", status_code=HTTPStatus.CREATED, responses=CREATE_PROBLEMS)
async def create_batch(
    service: Service, who: Creator, body: BatchRequest, response: Response, key: KeyHeader = None
) -> BatchView:
    """Promise payouts together; each is accepted or refused on its own, and all are stored at once."""
    named = idempotency_key(key, request_id=body.request_id)
    orders = [_item_order(item) for item in body.payouts]
    taken = await service.create_batch(orders, caller=_caller(who), key=named)
    _mark(response, replayed=taken.replayed)
    return taken.view


@router.get("/api/v1/payouts", responses=LIST_PROBLEMS)
@router.get("/api/v1/payouts/history", responses=LIST_PROBLEMS)
async def payouts(
    service: Service,
    who: Reader,
    status: PayoutStatus | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> PayoutListView:
    """List payouts, newest first: everybody's for administrators and services, else one's own."""
    return await service.payouts(caller=_caller(who), status=status, cursor=cursor, limit=limit)


@router.get("/api/v1/payouts/feed", responses=FEED_PROBLEMS)
async def feed(
    service: Service,
    who: Reader,
    after: Annotated[str, Query(max_length=128)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    wait_s: Annotated[int, Query(ge=0, le=MAX_WAIT_S)] = 0,
) -> FeedView[PayoutEvent]:
    """Return what happened to payouts after a cursor, waiting for news if asked to."""
    return await service.events(caller=_caller(who), after=after, limit=limit, wait_s=wait_s)


@router.put("/api/v1/payouts/feed/consumers/{name}", responses=FEED_PROBLEMS)
async def consumer(service: Service, who: Reader, name: str, body: ConsumerRequest) -> ConsumerView:
    """Register a consumer of the feed with how far it has durably come."""
    require_own_name(who, name)
    await service.register(caller=_caller(who), consumer=name, cursor=body.cursor)
    return ConsumerView(name=name, cursor=body.cursor)


@router.get("/api/v1/payouts/batch/{batch_id}", responses=READ_PROBLEMS)
async def batch(service: Service, who: Reader, batch_id: str) -> BatchView:
    """Return a batch with its payouts as they stand."""
    return await service.batch(batch_id, caller=_caller(who))


@router.get("/api/v1/payouts/{payout_id}", responses=READ_PROBLEMS)
async def payout(service: Service, who: Reader, payout_id: str) -> PayoutView:
    """Return a payout as it stands."""
    return await service.payout(payout_id, caller=_caller(who))


def _caller(principal: Principal) -> Caller:
    return Caller(name=principal.name, role=principal.role)


def _mark(response: Response, *, replayed: bool) -> None:
    if replayed:
        response.headers[REPLAYED_HEADER] = "true"


def _order(body: PayoutRequest) -> Order:
    return Order(
        user_id=body.user_id,
        amount=parse_base_units(body.amount),
        currency=body.currency,
        recipient=body.recipient_address,
        description=body.description,
        router=body.router,
        request_id=body.request_id,
    )


def _item_order(body: BatchItem) -> Order:
    return Order(
        user_id=body.user_id,
        amount=parse_base_units(body.amount),
        currency=body.currency,
        recipient=body.recipient_address,
        description=body.description,
        router=PayoutRouterName.V0,
    )


def _direct_order(body: TransferRequest) -> Order:
    return Order(
        user_id=body.user_id,
        amount=parse_base_units(body.amount),
        currency=body.currency,
        recipient=body.to_address,
        description=body.description,
        router=PayoutRouterName.DIRECT,
        request_id=body.request_id,
    )

"""Routes of sends: intents in, what became of them, and what an operator may do about them."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.wallet_manager.domain.policy import PolicyRefusal
from services.wallet_manager.domain.sends import (
    ForeignSignature,
    NotAwaitingSignature,
    NotCancellable,
)
from services.wallet_manager.domain.stops import SigningStopped
from services.wallet_manager.domain.wallets import CannotSign
from services.wallet_manager.routes.callers import Admin, Limit, Reader, SenderService, Service
from services.wallet_manager.service.views import send_view, stuck_view, unsigned_view
from shared.errors import BadCursor, Forbidden, InvalidFields, NotFound, Unavailable
from shared.feeds import MAX_PAGE, MAX_WAIT_S, FeedLost, FeedReset
from shared.models.wallet_sends import (
    CancelRequest,
    SendListView,
    SendLookupRequest,
    SendLookupView,
    SendsRequest,
    SendState,
    SendsView,
    SendView,
    SignaturesRequest,
    StuckSendsView,
    UnsignedView,
)
from shared.models.wire import ConsumerRequest, ConsumerView, FeedView
from shared.web.problems import declares
from shared.web.security import require_own_name

router = APIRouter(prefix="/api/v1", tags=["sends"])


@router.post("/sends", responses=declares(InvalidFields, PolicyRefusal, Unavailable))
async def send(service: Service, caller: SenderService, body: SendsRequest) -> SendsView:
    """Take intents on, each on its own and each at most once; only services may ask."""
    return SendsView(results=await service.sender.accept(body.intents, caller=caller.service))


@router.post("/sends/lookup", responses=declares(InvalidFields))
async def lookup(service: Service, _: Reader, body: SendLookupRequest) -> SendLookupView:
    """Find sends by their keys or by any of their transactions."""
    sends, by_txid = await service.sender.lookup(send_keys=body.send_keys, txids=body.txids)
    return SendLookupView(sends=[send_view(one) for one in sends], by_txid=by_txid)


@router.get("/sends/feed", responses=declares(FeedReset, FeedLost))
async def send_feed(
    service: Service,
    _: Reader,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    wait_s: Annotated[int, Query(ge=0, le=MAX_WAIT_S)] = 0,
) -> FeedView[SendView]:
    """Return changes of sends after a cursor, waiting for the first if there is none."""
    return await service.feed.page(after=after, limit=limit, wait_s=wait_s)


@router.put("/sends/feed/consumers/{name}", responses=declares(Forbidden, FeedReset, FeedLost))
async def acknowledge(
    service: Service, caller: Reader, name: str, body: ConsumerRequest
) -> ConsumerView:
    """Say how far a consumer of the feed has durably come."""
    require_own_name(caller, name)
    await service.feed.acknowledge(consumer=name, cursor=body.cursor)
    return ConsumerView(name=name, cursor=body.cursor)


@router.get("/sends", responses=declares(InvalidFields, BadCursor))
async def list_sends(
    service: Service, _: Reader, state: SendState, cursor: str | None = None, limit: Limit = 20
) -> SendListView:
    """List the sends in a state, longest due first."""
    page = await service.oversight.page(state, cursor=cursor, limit=limit)
    return SendListView(sends=[send_view(one) for one in page.items], next=page.next)


@router.get("/sends/stuck", responses=declares(InvalidFields, BadCursor))
async def stuck_sends(
    service: Service,
    _: Reader,
    state: SendState | None = None,
    cursor: str | None = None,
    limit: Limit = 20,
) -> StuckSendsView:
    """List sends that do not come on by themselves, why, and what can be done about each."""
    found, further = await service.oversight.stuck(state, cursor=cursor, limit=limit)
    return StuckSendsView(sends=[stuck_view(*one) for one in found], next=further)


@router.get("/sends/{send_id}", responses=declares(NotFound))
async def one_send(service: Service, _: Reader, send_id: str) -> SendView:
    """Return one send."""
    found = await service.sender.send(send_id)
    if found is None:
        raise NotFound("there is no such send")
    return send_view(found)


@router.post("/sends/{send_id}/cancel", responses=declares(InvalidFields, NotFound, NotCancellable))
async def cancel(service: Service, caller: Admin, send_id: str, body: CancelRequest) -> SendView:
    """End a send of which nothing was signed."""
    return send_view(await service.oversight.cancel(send_id, reason=body.reason, by=caller.name))


@router.get(
    "/sends/{send_id}/unsigned",
    responses=declares(NotFound, NotAwaitingSignature, CannotSign, SigningStopped, Unavailable),
)
async def unsigned(service: Service, caller: Admin, send_id: str) -> UnsignedView:
    """Export a transaction to be signed elsewhere."""
    return unsigned_view(await service.offline.unsigned(send_id, by=caller.name))


@router.post(
    "/sends/{send_id}/signatures",
    responses=declares(
        InvalidFields,
        NotFound,
        NotAwaitingSignature,
        ForeignSignature,
        CannotSign,
        SigningStopped,
        Unavailable,
    ),
)
async def add_signatures(
    service: Service, caller: Admin, send_id: str, body: SignaturesRequest
) -> UnsignedView:
    """Take signatures in that were made elsewhere; with enough of them it goes on its way."""
    return unsigned_view(await service.offline.add(send_id, body.signatures, by=caller.name))

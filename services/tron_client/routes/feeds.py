"""The feeds over HTTP: transfers of watched addresses, and verdicts on submitted transactions."""

from typing import Annotated

from fastapi import APIRouter, Header, Request

from services.tron_client.routes.callers import Consumer, Limit, Reader, Service, Wait
from shared.errors import BadCursor, Forbidden, Overloaded
from shared.feeds import FeedLost, FeedReset
from shared.models.tron_client import NoticeView, TokenTransferView, TransferView
from shared.models.tron_transactions import TransactionView
from shared.models.wire import ConsumerRequest, ConsumerView, FeedView
from shared.web.problems import declares
from shared.web.security import require_own_name
from shared.web.streams import FeedStream, streams_of

LastEventId = Annotated[str | None, Header(max_length=64)]
"""The cursor that a client of a stream has come to, sent by itself when it comes back."""

router = APIRouter(prefix="/api/v1", tags=["feeds"])


@router.get("/transfers/feed", responses=declares(BadCursor, FeedReset, FeedLost))
async def transfers(
    service: Service, _: Reader, after: str = "", limit: Limit = 100, wait_s: Wait = 0
) -> FeedView[TransferView]:
    """Return transfers of watched addresses after a cursor, waiting for one if there is none."""
    return await service.transfers.page(after=after, limit=limit, wait_s=wait_s)


@router.get(
    "/transfers/stream",
    status_code=200,
    response_class=FeedStream,
    responses=declares(BadCursor, FeedReset, FeedLost, Overloaded),
)
async def transfer_stream(
    request: Request,
    service: Service,
    _: Reader,
    last_event_id: LastEventId = None,
    after: str = "",
) -> FeedStream:
    """Stream transfers of watched addresses after a cursor, as Server-Sent Events."""
    streams = streams_of(request.app)
    return await streams.open(service.transfers, after=last_event_id or after)


@router.put(
    "/transfers/feed/consumers/{name}",
    responses=declares(BadCursor, Forbidden, FeedReset, FeedLost),
)
async def acknowledge_transfers(
    service: Service, caller: Reader, name: Consumer, body: ConsumerRequest
) -> ConsumerView:
    """Note how far a consumer of transfers has durably come."""
    require_own_name(caller, name)
    await service.transfers.acknowledge(consumer=name, cursor=body.cursor)
    return ConsumerView(name=name, cursor=body.cursor)


@router.get("/token-transfers/feed", responses=declares(BadCursor, FeedReset, FeedLost))
async def token_transfers(
    service: Service, _: Reader, after: str = "", limit: Limit = 100, wait_s: Wait = 0
) -> FeedView[TokenTransferView]:
    """Return transfers of the other configured tokens after a cursor."""
    return await service.token_transfers.page(after=after, limit=limit, wait_s=wait_s)


@router.put(
    "/token-transfers/feed/consumers/{name}",
    responses=declares(BadCursor, Forbidden, FeedReset, FeedLost),
)
async def acknowledge_token_transfers(
    service: Service, caller: Reader, name: Consumer, body: ConsumerRequest
) -> ConsumerView:
    """Note how far a consumer of other tokens' transfers has durably come."""
    require_own_name(caller, name)
    await service.token_transfers.acknowledge(consumer=name, cursor=body.cursor)
    return ConsumerView(name=name, cursor=body.cursor)


@router.get("/transactions/feed", responses=declares(BadCursor, FeedReset, FeedLost))
async def verdicts(
    service: Service, _: Reader, after: str = "", limit: Limit = 100, wait_s: Wait = 0
) -> FeedView[TransactionView]:
    """Return what became of submitted transactions after a cursor."""
    return await service.verdicts.page(after=after, limit=limit, wait_s=wait_s)


@router.put(
    "/transactions/feed/consumers/{name}",
    responses=declares(BadCursor, Forbidden, FeedReset, FeedLost),
)
async def acknowledge_verdicts(
    service: Service, caller: Reader, name: Consumer, body: ConsumerRequest
) -> ConsumerView:
    """Note how far a consumer of verdicts has durably come."""
    require_own_name(caller, name)
    await service.verdicts.acknowledge(consumer=name, cursor=body.cursor)
    return ConsumerView(name=name, cursor=body.cursor)


@router.get("/chain/notices/feed", responses=declares(BadCursor, FeedReset, FeedLost))
async def notices(
    service: Service, _: Reader, after: str = "", limit: Limit = 100, wait_s: Wait = 0
) -> FeedView[NoticeView]:
    """Return what happened to watched addresses, USDT and the chain's parameters after a cursor."""
    return await service.notices.page(after=after, limit=limit, wait_s=wait_s)


@router.put(
    "/chain/notices/feed/consumers/{name}",
    responses=declares(BadCursor, Forbidden, FeedReset, FeedLost),
)
async def acknowledge_notices(
    service: Service, caller: Reader, name: Consumer, body: ConsumerRequest
) -> ConsumerView:
    """Note how far a consumer of notices has durably come."""
    require_own_name(caller, name)
    await service.notices.acknowledge(consumer=name, cursor=body.cursor)
    return ConsumerView(name=name, cursor=body.cursor)

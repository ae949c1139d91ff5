"""Blocks that are read once more, over HTTP: rescans, and who sent what."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.tron_client.domain.blocks import InconsistentBlock, block_ref
from services.tron_client.domain.progress import NothingScanned
from services.tron_client.domain.rescans import ImpossibleRange, TooManyRescans, rescan_view
from services.tron_client.routes.callers import Operator, Reader, Service
from shared.errors import BadCursor, Unavailable
from shared.models.tron_client import RescanRequest, RescansView, RescanView
from shared.models.tron_transactions import OutgoingRequest, OutgoingTransactionView, OutgoingView
from shared.web.problems import declares

Rescans = Annotated[int, Query(ge=1, le=100)]

router = APIRouter(prefix="/api/v1/chain", tags=["chain"])


@router.post("/rescans", responses=declares(ImpossibleRange, TooManyRescans, NothingScanned))
async def rescan(service: Service, _: Operator, body: RescanRequest) -> RescanView:
    """Scan a range once more; one that waits already is returned, and no transfer is told twice."""
    return rescan_view(await service.coverage.rescan(body.first_height, body.last_height))


@router.get("/rescans", responses=declares(BadCursor))
async def rescans(
    service: Service, _: Operator, cursor: str | None = None, limit: Rescans = 100
) -> RescansView:
    """Return a page of the rescans with how far each has come, newest first."""
    page = await service.coverage.rescans(cursor=cursor, limit=limit)
    return RescansView(rescans=[rescan_view(each) for each in page.items], next=page.next)


@router.post(
    "/outgoing",
    responses=declares(ImpossibleRange, NothingScanned, InconsistentBlock, Unavailable),
)
async def outgoing(service: Service, _: Reader, body: OutgoingRequest) -> OutgoingView:
    """Find transactions of some owners in up to a hundred solid blocks, whoever submitted them."""
    found = await service.outgoing.find(
        body.owners, first_height=body.first_height, last_height=body.last_height
    )
    return OutgoingView(
        first_height=found.first_height,
        last_height=found.last_height,
        transactions=[
            OutgoingTransactionView(
                txid=each.txid,
                owner=each.owner,
                raw_data=each.raw_data.hex(),
                signatures=list(each.signatures),
                succeeded=each.succeeded,
                block=block_ref(each.block),
            )
            for each in found.transactions
        ],
    )

"""Routes of the quarantine: how far it is, and transactions that wait for a person (hazard H5)."""

from fastapi import APIRouter

from services.wallet_manager.domain.recovery import ClaimState, NotClaimable
from services.wallet_manager.routes.callers import Admin, Limit, Reader, Service
from services.wallet_manager.service.views import unclaimed_view
from shared.errors import BadCursor, InvalidFields, NotFound, Unavailable
from shared.models.wallet_books import (
    DecisionRequest,
    RecoveryView,
    UnclaimedListView,
    UnclaimedView,
)
from shared.web.problems import declares

router = APIRouter(prefix="/api/v1/recovery", tags=["recovery"])


@router.get("")
async def recovery(service: Service, _: Reader) -> RecoveryView:
    """Say whether keys may be used, and if not, how far the quarantine is."""
    return RecoveryView(reason=service.recovery.reason(), **service.recovery.standing())


@router.get("/transactions", responses=declares(InvalidFields, BadCursor))
async def transactions(
    service: Service,
    _: Reader,
    state: ClaimState = ClaimState.OPEN,
    cursor: str | None = None,
    limit: Limit = 20,
) -> UnclaimedListView:
    """List transactions of ours that no record explained when they were found."""
    page = await service.claims.page(state, cursor=cursor, limit=limit)
    return UnclaimedListView(
        transactions=[unclaimed_view(one) for one in page.items], next=page.next
    )


@router.post(
    "/transactions/{txid}/decision",
    responses=declares(InvalidFields, NotFound, NotClaimable, Unavailable),
)
async def decide(
    service: Service, caller: Admin, txid: str, body: DecisionRequest
) -> UnclaimedView:
    """Say which send a transaction was for, or that it was for none, so that others may be signed."""
    return unclaimed_view(
        await service.claims.decide(txid, send_id=body.send_id, note=body.note, by=caller.name)
    )

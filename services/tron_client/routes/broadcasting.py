"""The switch that holds signed bytes back, over HTTP (hazard H23)."""

from fastapi import APIRouter

from services.tron_client.domain.broadcasting import broadcasting_view
from services.tron_client.domain.transactions import may_land_view
from services.tron_client.routes.callers import Service, Submitter
from services.tron_client.tracker import HeldBack
from shared.models.tron_transactions import BroadcastingRequest, BroadcastingView

router = APIRouter(prefix="/api/v1/broadcasting", tags=["transactions"])


@router.get("")
async def broadcasting(service: Service, _: Submitter) -> BroadcastingView:
    """Return whose bytes are held back, and what may still land although they are."""
    return _view(await service.transactions.held_back())


@router.put("")
async def set_broadcasting(
    service: Service, caller: Submitter, body: BroadcastingRequest
) -> BroadcastingView:
    """Hold signed bytes back, or let them go again; without owners those of everybody.

    Once it is answered, nothing that is held back goes out. What a node was given before may land.
    """
    held = await service.transactions.set_broadcasting(
        body.owners, stopped=body.stopped, reason=body.reason, by=caller.name
    )
    return _view(held)


def _view(held: HeldBack) -> BroadcastingView:
    return broadcasting_view(
        held.state,
        stopped_for_all=held.is_shut,
        may_land=(may_land_view(each) for each in held.may_land),
    )

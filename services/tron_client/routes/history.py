"""The past of an address over HTTP, as a gateway tells it."""

from typing import Annotated

from fastapi import APIRouter, Query

from services.tron_client.domain.history import (
    ImpossibleSpan,
    InconsistentHistory,
    NoHistory,
    history_extent_view,
    past_token_move_view,
    past_transaction_view,
)
from services.tron_client.routes.callers import Reader, Service
from shared.errors import Unavailable
from shared.models.tron_reads import PastTokenMovesView, PastTransactionsView
from shared.models.wire import AddressText
from shared.web.problems import declares

LAST_MOMENT_MS = 253_402_300_799_999
"""The last millisecond that has a date of four digits."""

Moment = Annotated[int, Query(ge=0, le=LAST_MOMENT_MS)]

router = APIRouter(prefix="/api/v1/accounts", tags=["history"])


@router.get(
    "/{address}/history/transactions",
    responses=declares(ImpossibleSpan, NoHistory, InconsistentHistory, Unavailable),
)
async def transactions(
    service: Service,
    _: Reader,
    address: AddressText,
    since_ms: Moment = 0,
    until_ms: Moment | None = None,
    *,
    only_solid: bool = True,
) -> PastTransactionsView:
    """Return the transactions that name an address, newest first; nothing may be credited by them."""
    found = await service.histories.transactions(
        address, since_ms=since_ms, until_ms=until_ms, only_solid=only_solid
    )
    return PastTransactionsView(
        extent=history_extent_view(found),
        transactions=[past_transaction_view(each) for each in found.items],
    )


@router.get(
    "/{address}/history/token-transfers",
    responses=declares(ImpossibleSpan, NoHistory, InconsistentHistory, Unavailable),
)
async def token_transfers(
    service: Service,
    _: Reader,
    address: AddressText,
    token: AddressText | None = None,
    since_ms: Moment = 0,
    until_ms: Moment | None = None,
    *,
    only_solid: bool = True,
) -> PastTokenMovesView:
    """Return a gateway's list of token transfers and approvals, newest first, of any token or of one."""
    found = await service.histories.token_moves(
        address, token=token, since_ms=since_ms, until_ms=until_ms, only_solid=only_solid
    )
    return PastTokenMovesView(
        extent=history_extent_view(found),
        token_transfers=[
            past_token_move_view(each, usdt=service.histories.usdt) for each in found.items
        ],
    )

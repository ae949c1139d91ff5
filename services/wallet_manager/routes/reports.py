"""Routes of the books: the journal as a file, reconciliation with the chain, balances computed again."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from services.wallet_manager.domain.reconciliation import NotBookable
from services.wallet_manager.domain.wallets import UnknownWallet
from services.wallet_manager.routes.callers import Admin, Reader, Service
from services.wallet_manager.service.exports import FOREVER_MS
from services.wallet_manager.service.views import finding_view, holdings_view, recomputed_view
from shared.errors import InvalidFields, Unavailable
from shared.models.wallet_books import CorrectionRequest, RecomputedView, ReconciliationView
from shared.models.wallet_manager import HoldingsView
from shared.web.problems import declares

router = APIRouter(prefix="/api/v1", tags=["books"])

Moment = Annotated[
    int, Query(ge=0, le=FOREVER_MS, description="Milliseconds since the epoch, by block time.")
]


@router.get(
    "/wallets/{wallet_id}/journal.csv",
    response_class=StreamingResponse,
    responses=declares(InvalidFields, UnknownWallet),
)
async def journal_csv(
    service: Service,
    _: Reader,
    wallet_id: str,
    since_ms: Moment = 0,
    until_ms: Moment = FOREVER_MS,
) -> StreamingResponse:
    """Write down what moved through a wallet or one of its addresses, ``until_ms`` left out."""
    owner = await service.wallets.address_of(wallet_id)
    rows = service.exports.journal(owner, since_ms=since_ms, until_ms=until_ms)
    named = {"Content-Disposition": f'attachment; filename="journal-{owner}.csv"'}
    return StreamingResponse(rows, media_type="text/csv", headers=named)


@router.get("/wallets/{wallet_id}/holdings", responses=declares(UnknownWallet, Unavailable))
async def holdings(service: Service, _: Reader, wallet_id: str) -> HoldingsView:
    """Say what a wallet or one of its addresses holds now: on chain and in the books, and its resources."""
    found_id, owner = await service.wallets.owner_of(wallet_id)
    return holdings_view(found_id, await service.beholder.look(owner))


@router.get("/wallets/{wallet_id}/reconciliation", responses=declares(UnknownWallet))
async def reconciliation(service: Service, _: Reader, wallet_id: str) -> ReconciliationView:
    """Say how the accounts of a wallet or of one of its addresses compare with the chain."""
    owner = await service.wallets.address_of(wallet_id)
    findings = await service.reconciliation.report(owner)
    return ReconciliationView(
        address=owner,
        in_order=all(one.is_explained for one in findings),
        accounts=[finding_view(one) for one in findings],
    )


@router.post(
    "/wallets/{wallet_id}/reconciliation",
    responses=declares(InvalidFields, UnknownWallet, NotBookable),
)
async def correct(
    service: Service, caller: Admin, wallet_id: str, body: CorrectionRequest
) -> ReconciliationView:
    """Book a difference that the last looks found and a person can explain; a repeat is refused."""
    owner = await service.wallets.address_of(wallet_id)
    await service.reconciliation.book(
        owner,
        body.account,
        body.currency,
        int(body.difference_base_units),
        by=caller.name,
        why=body.note,
    )
    return await reconciliation(service, caller, wallet_id)


@router.post("/books/recompute")
async def recompute(service: Service, _: Admin) -> RecomputedView:
    """Compute every balance again from the journal and the sends under way; changes nothing."""
    return recomputed_view(await service.recompute.all())

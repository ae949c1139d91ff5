"""Submitted transactions over HTTP."""

from fastapi import APIRouter

from services.tron_client.domain.progress import NothingScanned
from services.tron_client.domain.submissions import (
    NotATransaction,
    SentAlready,
    TransactionOfAnother,
)
from services.tron_client.domain.transactions import (
    UnknownTransaction,
    stored_view,
    transaction_view,
)
from services.tron_client.routes.callers import Limit, Reader, Service, Submitter, Wait
from shared.errors import BadCursor
from shared.models.tron_transactions import (
    LookupRequest,
    LookupView,
    StoredTransactionsView,
    SubmitRequest,
    SubmittedView,
    SubmitView,
    TransactionView,
)
from shared.models.wire import AddressText, TxidText
from shared.web.problems import declares

router = APIRouter(prefix="/api/v1/transactions", tags=["transactions"])


@router.post(
    "",
    responses=declares(NotATransaction, TransactionOfAnother, SentAlready, NothingScanned),
)
async def submit(service: Service, _: Submitter, body: SubmitRequest) -> SubmitView:
    """Store signed transactions and bring them to the chain; repeats are harmless."""
    taken = await service.transactions.submit(body.transactions)
    return SubmitView(
        transactions=[
            SubmittedView(
                txid=each.id,
                outcome=each.outcome,
                code=each.outcome_code,
                message=each.outcome_message,
            )
            for each in taken
        ]
    )


@router.get("", responses=declares(BadCursor))
async def stored_transactions(
    service: Service,
    _: Submitter,
    owner: AddressText,
    cursor: str | None = None,
    limit: Limit = 100,
) -> StoredTransactionsView:
    """Return what was submitted for an owner, oldest first, with its bytes (for recovery)."""
    page = await service.transactions.owned(owner, cursor=cursor, limit=limit)
    return StoredTransactionsView(
        transactions=[stored_view(each) for each in page.items], next=page.next
    )


@router.post("/lookup")
async def lookup(service: Service, _: Reader, body: LookupRequest) -> LookupView:
    """Return those of up to a thousand transactions that were submitted here."""
    found = await service.transactions.lookup(body.txids)
    return LookupView(transactions=[transaction_view(each) for each in found])


@router.get("/{txid}", responses=declares(UnknownTransaction))
async def transaction(
    service: Service, _: Reader, txid: TxidText, wait_s: Wait = 0
) -> TransactionView:
    """Return a submitted transaction, waiting for its verdict if asked to."""
    return transaction_view(await service.transactions.transaction(txid, wait_s=wait_s))

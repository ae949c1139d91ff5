"""Blocks and transactions of anybody over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import StringConstraints

from services.tron_client.domain.blocks import InconsistentBlock, block_ref
from services.tron_client.domain.effects import receipt_view
from services.tron_client.routes.callers import Reader, Service
from services.tron_client.service.explorer import (
    FoundBlock,
    FoundTransaction,
    NotOnChain,
    UnknownBlock,
)
from shared.errors import Unavailable
from shared.models.tron_reads import ChainBlockView, ChainTransactionView
from shared.models.wire import TxidText
from shared.web.problems import declares

Height = Annotated[int, Path(ge=0, le=2**62)]
BlockIdText = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

router = APIRouter(prefix="/api/v1/chain", tags=["chain"])


@router.get(
    "/blocks/by-id/{block_id}", responses=declares(UnknownBlock, InconsistentBlock, Unavailable)
)
async def block(service: Service, _: Reader, block_id: BlockIdText) -> ChainBlockView:
    """Return a block of the main chain by its id, and whether it is proved here."""
    return _block_view(await service.explorer.block(block_id))


@router.get("/blocks/{height}", responses=declares(UnknownBlock, InconsistentBlock, Unavailable))
async def block_at(service: Service, _: Reader, height: Height) -> ChainBlockView:
    """Return the block at a height, and whether it is proved here."""
    return _block_view(await service.explorer.block_at(height))


@router.get("/transactions/{txid}", responses=declares(NotOnChain, InconsistentBlock, Unavailable))
async def transaction(service: Service, _: Reader, txid: TxidText) -> ChainTransactionView:
    """Return a transaction of anybody from the chain, and whether its block is proved here."""
    return _transaction_view(await service.explorer.transaction(txid))


def _block_view(found: FoundBlock) -> ChainBlockView:
    transactions = found.body.transactions
    return ChainBlockView(
        block=block_ref(found.body.anchor),
        parent_id=found.body.parent_id,
        solid=found.is_solid,
        verified=found.is_verified,
        transaction_count=len(transactions),
        txids=[each.txid for each in transactions],
    )


def _transaction_view(found: FoundTransaction) -> ChainTransactionView:
    return ChainTransactionView(
        txid=found.txid,
        block=block_ref(found.block),
        solid=found.is_solid,
        verified=found.is_verified,
        contract_type=found.contract_type,
        owner_address=found.owner,
        raw_data=found.raw_data.hex(),
        receipt=receipt_view(found.effect),
    )

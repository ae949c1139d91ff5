"""The state of the chain over HTTP."""

from fastapi import APIRouter

from services.tron_client.domain.blocks import block_ref
from services.tron_client.domain.parameters import fees_view, parameters_view
from services.tron_client.domain.progress import NothingScanned
from services.tron_client.routes.callers import Reader, Service
from services.tron_client.service.chain import Stale
from shared.clock import rfc3339
from shared.models.tron_client import (
    NetworkFeesView,
    NetworkInfoView,
    NetworkStatusView,
    SigningContextView,
)
from shared.models.tron_reads import ChainParameterView, NetworkParametersView
from shared.web.problems import declares

router = APIRouter(prefix="/api/v1", tags=["chain"])


@router.get("/tron/network/status")
async def network_status(service: Service, _: Reader) -> NetworkStatusView:
    """Say how the chain looks from here."""
    status = service.chain.status()
    return NetworkStatusView(
        network_status=status.word,
        block_height=status.block_height,
        solid_height=status.solid_height,
        scanned_height=status.scanned_height,
        head_age_s=status.head_age_s,
        network=service.chain.facts.network,
    )


@router.get("/tron/network/info")
async def network_info(service: Service, _: Reader) -> NetworkInfoView:
    """Say which chain this is."""
    facts = service.chain.facts
    return NetworkInfoView(
        network_id=facts.network,
        chain_id=facts.chain_id,
        genesis_block_id=facts.genesis_block_id,
        node_url=service.chain.node_url,
        usdt_contract_address=facts.token,
    )


@router.get("/tron/network/fees", responses=declares(Stale))
async def network_fees(service: Service, _: Reader) -> NetworkFeesView:
    """Say what the chain charges now."""
    return fees_view(service.chain.parameters())


@router.get("/tron/network/parameters", responses=declares(Stale))
async def network_parameters(service: Service, _: Reader) -> NetworkParametersView:
    """Return all chain parameters by their names on chain, with their age."""
    values, read_at_ms = service.chain.all_parameters()
    return NetworkParametersView(
        parameters=[
            ChainParameterView(name=name, value=str(value))
            for name, value in sorted(values.items())
        ],
        as_of=rfc3339(read_at_ms),
        age_ms=service.chain.age_ms(read_at_ms),
    )


@router.get("/chain/signing-context", responses=declares(Stale, NothingScanned))
async def signing_context(service: Service, _: Reader) -> SigningContextView:
    """Return a solid reference block, the head and the prices."""
    context = service.chain.signing_context()
    return SigningContextView(
        network=service.chain.facts.network,
        genesis_block_id=service.chain.facts.genesis_block_id,
        reference=block_ref(context.progress.solid),
        head=block_ref(context.progress.head),
        solid=block_ref(context.progress.solid),
        parameters=parameters_view(context.parameters),
        operators=context.operators,
        second_head_timestamp_ms=context.second_head_timestamp_ms,
        paused=context.paused,
    )

"""usdt-manager's routes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from services.usdt_manager.domain import NotUsdt
from services.usdt_manager.service import UsdtManager
from shared.access import Scope
from shared.auth import Principal
from shared.errors import Forbidden, Unavailable
from shared.models.usdt_manager import (
    PreflightRequest,
    PreflightView,
    TokenView,
    TransferNeeds,
    UsdtBalanceView,
    UsdtTransfersRequest,
)
from shared.models.wallet_sends import SendsView
from shared.models.wire import AddressText
from shared.money import format_base_units
from shared.web.application import service_of
from shared.web.problems import declares
from shared.web.security import requires


def _service(request: Request) -> UsdtManager:
    return service_of(request, UsdtManager)


Service = Annotated[UsdtManager, Depends(_service)]
Reader = Annotated[Principal, requires(Scope.USDT_READ)]
Sender = Annotated[Principal, requires(Scope.USDT_SEND)]

router = APIRouter(prefix="/api/v1/usdt", tags=["usdt"])


@router.get("/balance/{address}", responses=declares(Unavailable))
async def balance(service: Service, _: Reader, address: AddressText) -> UsdtBalanceView:
    """Return the USDT balance of an address as the contract tells it now."""
    amount = await service.balance(address)
    return UsdtBalanceView(
        address=address,
        balance=format_base_units(amount),
        balance_base_units=str(amount),
        contract_address=service.contract,
    )


@router.get("/token", responses=declares(Unavailable))
async def token(service: Service, _: Reader) -> TokenView:
    """Return the token as its contract describes itself."""
    found = await service.token()
    return TokenView(
        contract_address=found.id, symbol=found.symbol, decimals=found.decimals, verified=True
    )


@router.post("/preflight", responses=declares(Unavailable))
async def preflight(service: Service, _: Reader, body: PreflightRequest) -> PreflightView:
    """Say what transfers would need and whether anything speaks against them; changes nothing."""
    held, needs = await service.preflight(body)
    wanted = sum(int(transfer.amount_base_units) for transfer in body.transfers)
    transfers = [
        TransferNeeds(
            recipient=transfer.recipient,
            amount_base_units=transfer.amount_base_units,
            energy=need.energy,
            bandwidth=need.bandwidth,
            fee_limit_sun=str(need.fee_limit_sun),
            refusal=need.refusal,
            detail=need.detail,
        )
        for transfer, need in zip(body.transfers, needs, strict=True)
    ]
    return PreflightView(
        balance_base_units=str(held), sufficient=held >= wanted, transfers=transfers
    )


@router.post("/transfers", responses=declares(NotUsdt, Forbidden, Unavailable))
async def transfers(service: Service, caller: Sender, body: UsdtTransfersRequest) -> SendsView:
    """Hand USDT intents on to wallet-manager; repeats return the stored sends."""
    return SendsView(results=await service.transfer(body.intents, caller=caller.service))

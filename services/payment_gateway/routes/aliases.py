"""What siblings answer, for callers who reach this service alone (hazard H24)."""

from typing import Annotated

from fastapi import APIRouter, Path

from services.payment_gateway.routes.callers import (
    ChainReader,
    Cursor,
    Limit,
    Service,
    StakingReader,
    UsdtReader,
    WalletReader,
)
from shared.errors import NotFound, Unavailable
from shared.models.tron_client import NetworkFeesView, NetworkInfoView, NetworkStatusView
from shared.models.trx_staking import StakingStatusView
from shared.models.usdt_manager import UsdtBalanceView
from shared.models.wallet_books import TransactionsView
from shared.models.wallet_manager import BalanceView, WalletListView, WalletView
from shared.models.wire import AddressText
from shared.money import Currency
from shared.web.problems import declares

WalletName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_]{1,64}$")]
"""A wallet's id or address."""

router = APIRouter(tags=["aliases"], responses=declares(NotFound, Unavailable))


@router.get("/api/v1/wallets")
@router.get("/wallets", name="wallets, short")
async def wallets(
    service: Service, _: WalletReader, cursor: Cursor = None, limit: Limit = 100
) -> WalletListView:
    """Return a page of wallets, as wallet-manager does."""
    return await service.siblings.wallets.wallets(cursor=cursor, limit=limit)


@router.get("/api/v1/wallets/{wallet_id}")
async def wallet(service: Service, _: WalletReader, wallet_id: WalletName) -> WalletView:
    """Return one wallet by id or address, as wallet-manager does."""
    return await service.siblings.wallets.wallet(wallet_id)


@router.get("/api/v1/wallets/{wallet_id}/balance")
@router.get("/balance/{wallet_id}", name="balance, short")
async def balance(
    service: Service, _: WalletReader, wallet_id: WalletName, currency: Currency = Currency.USDT
) -> BalanceView:
    """Return a wallet's balance, as wallet-manager does."""
    return await service.siblings.wallets.balance(wallet_id, currency)


@router.get("/api/v1/wallets/{wallet_id}/transactions")
async def transactions(
    service: Service, _: WalletReader, wallet_id: WalletName
) -> TransactionsView:
    """Return what moved through a wallet or address, as wallet-manager does."""
    return await service.siblings.wallets.transactions(wallet_id)


@router.get("/api/v1/usdt/balance/{address}")
async def usdt_balance(service: Service, _: UsdtReader, address: AddressText) -> UsdtBalanceView:
    """Return an address's USDT balance, as usdt-manager does."""
    return await service.siblings.token.balance(address)


@router.get("/api/v1/staking/status/{address}")
async def staking_status(
    service: Service, _: StakingReader, address: AddressText
) -> StakingStatusView:
    """Return what an address has staked, as trx-staking does."""
    return await service.siblings.stakes.status(address)


@router.get("/api/v1/tron/network/status")
async def network_status(service: Service, _: ChainReader) -> NetworkStatusView:
    """Return how the chain looks, as tron-client does."""
    return await service.siblings.network.network_status()


@router.get("/api/v1/tron/network/info")
async def network_info(service: Service, _: ChainReader) -> NetworkInfoView:
    """Return which chain this is, as tron-client does."""
    return await service.siblings.network.network_info()


@router.get("/api/v1/tron/network/fees")
async def network_fees(service: Service, _: ChainReader) -> NetworkFeesView:
    """Return what the chain charges, as tron-client does."""
    return await service.siblings.network.network_fees()

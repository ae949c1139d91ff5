"""Routes of wallets and their addresses."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.wallet_manager.domain.approvals import ApprovalNeeded
from services.wallet_manager.domain.wallets import (
    AddressTaken,
    IllegalStatus,
    NoAddresses,
    TreasuryExists,
    UnknownWallet,
    WalletFilter,
    WalletNotEmpty,
)
from services.wallet_manager.routes.callers import (
    Admin,
    Creator,
    Key,
    Limit,
    Reader,
    Service,
)
from services.wallet_manager.service.views import (
    address_view,
    balance_view,
    journal_line,
    wallet_view,
)
from shared.errors import BadCursor, InvalidFields, KeyRequired, KeyReused, Unavailable
from shared.models.wallet_books import TransactionsView
from shared.models.wallet_manager import (
    AddressesRequest,
    AddressesView,
    AddressRequest,
    AddressView,
    BalanceView,
    LockRequest,
    WalletChange,
    WalletListView,
    WalletRequest,
    WalletsQuery,
    WalletView,
)
from shared.money import Currency
from shared.web.problems import declares
from shared.web.security import REPLAYED_HEADER, idempotency_key

Reason = Annotated[str, Query(min_length=3, max_length=500)]

router = APIRouter(prefix="/api/v1", tags=["wallets"])


@router.post(
    "/wallets",
    status_code=201,
    responses=declares(
        InvalidFields, KeyRequired, KeyReused, TreasuryExists, AddressTaken, Unavailable
    ),
)
async def create_wallet(
    service: Service, caller: Creator, body: WalletRequest, response: Response, key: Key = None
) -> WalletView:
    """Make a wallet: the next account of the seed, or one of others; watched before it is shown."""
    key = idempotency_key(key, request_id=body.request_id)
    wallet, replayed = await service.wallets.create(body, principal=caller.name, key=key)
    response.headers[REPLAYED_HEADER] = str(replayed).lower()
    return wallet_view(wallet)


@router.get("/wallets", responses=declares(InvalidFields, BadCursor))
async def list_wallets(
    service: Service,
    _: Reader,
    wanted: Annotated[WalletsQuery, Query()],
) -> WalletListView:
    """List wallets, oldest first; a filtered page may be short although there is a next one."""
    chosen = WalletFilter(status=wanted.status, user_id=wanted.user_id, type=wanted.wallet_type)
    page = await service.wallets.page(cursor=wanted.cursor, limit=wanted.limit, wanted=chosen)
    return WalletListView(wallets=[wallet_view(one) for one in page.items], next=page.next)


@router.get("/wallets/treasury", responses=declares(UnknownWallet, Unavailable))
async def treasury(service: Service, _: Reader) -> WalletView:
    """Return the wallet that pays."""
    return wallet_view(await service.wallets.treasury())


@router.get("/wallets/{wallet_id}", responses=declares(UnknownWallet, Unavailable))
async def wallet(service: Service, _: Reader, wallet_id: str) -> WalletView:
    """Return a wallet by its id or address."""
    return wallet_view(await service.wallets.find(wallet_id))


@router.put(
    "/wallets/{wallet_id}/lock",
    responses=declares(InvalidFields, UnknownWallet, ApprovalNeeded, Unavailable),
)
async def lock(service: Service, caller: Admin, wallet_id: str, body: LockRequest) -> WalletView:
    """Stop a wallet from signing, or let it sign again once a person has looked."""
    found = await service.wallets.find(wallet_id)
    changed = await service.guards.set_lock(
        found, is_locked=body.locked, reason=body.reason, by=caller.name
    )
    return wallet_view(changed)


@router.patch(
    "/wallets/{wallet_id}",
    responses=declares(InvalidFields, UnknownWallet, IllegalStatus, Unavailable),
)
async def change_wallet(
    service: Service, caller: Admin, wallet_id: str, body: WalletChange
) -> WalletView:
    """Give a wallet another label or owner, or put it out of use and back."""
    found = await service.wallets.find(wallet_id)
    return wallet_view(await service.custody.change(found, body, by=caller.name))


@router.delete(
    "/wallets/{wallet_id}",
    responses=declares(InvalidFields, UnknownWallet, IllegalStatus, WalletNotEmpty, Unavailable),
)
async def archive_wallet(
    service: Service, caller: Admin, wallet_id: str, reason: Reason = "deleted"
) -> WalletView:
    """Archive an empty wallet: its keys are kept and its addresses stay watched."""
    found = await service.wallets.find(wallet_id)
    return wallet_view(await service.custody.archive(found, by=caller.name, reason=reason))


@router.get(
    "/wallets/{wallet_id}/balance", responses=declares(InvalidFields, UnknownWallet, Unavailable)
)
async def balance(
    service: Service, _: Reader, wallet_id: str, currency: Currency = Currency.USDT
) -> BalanceView:
    """Return what the journal says of a wallet or of one of its addresses."""
    return balance_view(*await service.wallets.balance(wallet_id, currency))


@router.get(
    "/wallets/{wallet_id}/transactions",
    responses=declares(InvalidFields, BadCursor, UnknownWallet, Unavailable),
)
async def transactions(
    service: Service, _: Reader, wallet_id: str, cursor: str | None = None, limit: Limit = 20
) -> TransactionsView:
    """Return the journal of a wallet or of one of its addresses, newest first."""
    address, page = await service.wallets.journal(wallet_id, cursor=cursor, limit=limit)
    lines = [journal_line(line) for line in page.items]
    return TransactionsView(address=address, transactions=lines, next=page.next)


@router.post(
    "/wallets/{wallet_id}/addresses",
    responses=declares(InvalidFields, UnknownWallet, NoAddresses, Unavailable),
)
async def derive_address(
    service: Service, _: Creator, wallet_id: str, body: AddressRequest
) -> AddressView:
    """Derive a deposit address; the same request id gives the same one, always already watched."""
    address, birth_height = await service.wallets.derive(wallet_id, body)
    return address_view(address, birth_height=birth_height)


@router.post(
    "/wallets/{wallet_id}/addresses/bulk",
    responses=declares(InvalidFields, UnknownWallet, NoAddresses, Unavailable),
)
async def derive_addresses(
    service: Service, _: Creator, wallet_id: str, body: AddressesRequest
) -> AddressesView:
    """Derive many deposit addresses, all watched with one call before any is returned."""
    found = await service.wallets.derive_many(wallet_id, body.requests)
    views = [address_view(one, birth_height=one.birth_height or 0) for one in found]
    return AddressesView(addresses=views)

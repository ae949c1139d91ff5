"""wallet-manager's routes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from services.wallet_manager.domain.policy import PolicyRefusal
from services.wallet_manager.domain.wallets import TreasuryExists, UnknownWallet
from services.wallet_manager.service import WalletManager
from services.wallet_manager.service.views import (
    address_view,
    balance_view,
    journal_line,
    send_view,
    wallet_view,
)
from shared.access import Scope
from shared.auth import Principal
from shared.errors import InvalidFields, KeyRequired, KeyReused, NotFound, Unavailable
from shared.feeds import MAX_PAGE, MAX_WAIT_S, FeedLost, FeedReset
from shared.models.wallet_manager import (
    AddressRequest,
    AddressView,
    BalanceView,
    LockRequest,
    SendLookupRequest,
    SendLookupView,
    SendsRequest,
    SendsView,
    SendView,
    TransactionsView,
    WalletListView,
    WalletRequest,
    WalletView,
)
from shared.models.wire import ConsumerRequest, ConsumerView, FeedView
from shared.money import Currency
from shared.web.application import service_of
from shared.web.problems import declares
from shared.web.security import (
    KEY_HEADER,
    MAX_KEY_CHARACTERS,
    REPLAYED_HEADER,
    idempotency_key,
    requires,
)


def _service(request: Request) -> WalletManager:
    return service_of(request, WalletManager)


Service = Annotated[WalletManager, Depends(_service)]
Reader = Annotated[Principal, requires(Scope.WALLETS_READ)]
Creator = Annotated[Principal, requires(Scope.WALLETS_CREATE)]
Admin = Annotated[Principal, requires(Scope.WALLETS_ADMIN)]
SenderService = Annotated[Principal, requires(Scope.WALLETS_SEND)]
Key = Annotated[str | None, Header(alias=KEY_HEADER, min_length=1, max_length=MAX_KEY_CHARACTERS)]
Limit = Annotated[int, Query(ge=1, le=100)]

router = APIRouter(prefix="/api/v1", tags=["wallets"])


@router.post(
    "/wallets",
    status_code=201,
    responses=declares(InvalidFields, KeyRequired, KeyReused, TreasuryExists, Unavailable),
)
async def create_wallet(
    service: Service, caller: Creator, body: WalletRequest, response: Response, key: Key = None
) -> WalletView:
    """Make a wallet: the next account under the operator's seed, watched before it is shown."""
    key = idempotency_key(key, request_id=body.request_id)
    wallet, replayed = await service.wallets.create(body, principal=caller.name, key=key)
    response.headers[REPLAYED_HEADER] = str(replayed).lower()
    return wallet_view(wallet)


@router.get("/wallets", responses=declares(InvalidFields))
async def list_wallets(
    service: Service, _: Reader, cursor: str | None = None, limit: Limit = 20
) -> WalletListView:
    """List wallets, oldest first."""
    page = await service.wallets.page(cursor=cursor, limit=limit)
    return WalletListView(wallets=[wallet_view(one) for one in page.items], next=page.next)


@router.get("/wallets/treasury", responses=declares(UnknownWallet, Unavailable))
async def treasury(service: Service, _: Reader) -> WalletView:
    """Return the wallet that pays."""
    return wallet_view(await service.wallets.treasury())


@router.get("/wallets/{wallet_id}", responses=declares(UnknownWallet, Unavailable))
async def wallet(service: Service, _: Reader, wallet_id: str) -> WalletView:
    """Return a wallet by its id or address."""
    return wallet_view(await service.wallets.find(wallet_id))


@router.put("/wallets/{wallet_id}/lock", responses=declares(InvalidFields, UnknownWallet))
async def lock(service: Service, caller: Admin, wallet_id: str, body: LockRequest) -> WalletView:
    """Stop a wallet from signing, or let it sign again once a person has looked."""
    changed = await service.wallets.set_lock(
        wallet_id, is_locked=body.locked, reason=body.reason, by=caller.name
    )
    return wallet_view(changed)


@router.get("/wallets/{wallet_id}/balance", responses=declares(UnknownWallet))
async def balance(
    service: Service, _: Reader, wallet_id: str, currency: Currency = Currency.USDT
) -> BalanceView:
    """Return what the journal says of a wallet or of one of its addresses."""
    return balance_view(*await service.wallets.balance(wallet_id, currency))


@router.get("/wallets/{wallet_id}/transactions", responses=declares(UnknownWallet))
async def transactions(
    service: Service, _: Reader, wallet_id: str, cursor: str | None = None, limit: Limit = 20
) -> TransactionsView:
    """Return the journal of a wallet or of one of its addresses, newest first."""
    address, page = await service.wallets.journal(wallet_id, cursor=cursor, limit=limit)
    lines = [journal_line(line) for line in page.items]
    return TransactionsView(address=address, transactions=lines, next=page.next)


@router.post("/wallets/{wallet_id}/addresses", responses=declares(UnknownWallet, Unavailable))
async def derive_address(
    service: Service, _: Creator, wallet_id: str, body: AddressRequest
) -> AddressView:
    """Derive a deposit address; the same request id gives the same one, always already watched."""
    address, birth_height = await service.wallets.derive(wallet_id, body)
    return address_view(address, birth_height=birth_height)


@router.post("/sends", responses=declares(InvalidFields, PolicyRefusal, Unavailable))
async def send(service: Service, caller: SenderService, body: SendsRequest) -> SendsView:
    """Take intents on, each on its own and each at most once; only services may ask."""
    return SendsView(results=await service.sender.accept(body.intents, caller=caller.service))


@router.post("/sends/lookup", responses=declares(InvalidFields))
async def lookup(service: Service, _: Reader, body: SendLookupRequest) -> SendLookupView:
    """Find sends by their keys or by any of their transactions."""
    sends, by_txid = await service.sender.lookup(send_keys=body.send_keys, txids=body.txids)
    return SendLookupView(sends=[send_view(one) for one in sends], by_txid=by_txid)


@router.get("/sends/feed", responses=declares(FeedReset, FeedLost))
async def send_feed(
    service: Service,
    _: Reader,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    wait_s: Annotated[int, Query(ge=0, le=MAX_WAIT_S)] = 0,
) -> FeedView[SendView]:
    """Return changes of sends after a cursor, waiting for the first if there is none."""
    return await service.feed.page(after=after, limit=limit, wait_s=wait_s)


@router.put("/sends/feed/consumers/{name}", responses=declares(FeedReset, FeedLost))
async def acknowledge(
    service: Service, _: Reader, name: str, body: ConsumerRequest
) -> ConsumerView:
    """Say how far a consumer of the feed has durably come."""
    await service.feed.acknowledge(consumer=name, cursor=body.cursor)
    return ConsumerView(name=name, cursor=body.cursor)


@router.get("/sends/{send_id}", responses=declares(NotFound))
async def one_send(service: Service, _: Reader, send_id: str) -> SendView:
    """Return one send."""
    found = await service.sender.send(send_id)
    if found is None:
        raise NotFound("there is no such send")
    return send_view(found)

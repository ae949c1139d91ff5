"""The typed client of wallet-manager."""

from collections.abc import Sequence

from shared.access import Scope
from shared.models.wallet_books import TransactionsView
from shared.models.wallet_manager import (
    AddressRequest,
    AddressView,
    BalanceView,
    WalletListView,
    WalletView,
)
from shared.models.wallet_sends import (
    Intent,
    SendLookupRequest,
    SendLookupView,
    SendResult,
    SendsRequest,
    SendsView,
    SendView,
)
from shared.models.wire import ConsumerRequest, ConsumerView, FeedView
from shared.money import Currency
from shared.peers.caller import PeerHttp


class WalletManagerPeer:
    """Calls wallet-manager; raises PeerRefused or PeerUnavailable."""

    def __init__(self, http: PeerHttp) -> None:
        self._http = http

    async def send(self, intents: Sequence[Intent]) -> list[SendResult]:
        """Hand over intents; each send key is taken on once, and repeats return the stored send."""
        body = SendsRequest(intents=list(intents))
        answer = await self._http.post_keyed(
            "/api/v1/sends", body, SendsView, scope=Scope.WALLETS_SEND
        )
        return answer.results

    async def lookup(
        self, *, send_keys: Sequence[str] = (), txids: Sequence[str] = ()
    ) -> SendLookupView:
        """Return sends by key or by transaction."""
        body = SendLookupRequest(send_keys=list(send_keys), txids=list(txids))
        return await self._http.post_keyed(
            "/api/v1/sends/lookup", body, SendLookupView, scope=Scope.WALLETS_READ
        )

    async def sends(self, *, after: str, limit: int, wait_s: int) -> FeedView[SendView]:
        """Return the next changes of sends, waiting for one if there is none."""
        return await self._http.get(
            "/api/v1/sends/feed",
            FeedView[SendView],
            scope=Scope.WALLETS_READ,
            params={"after": after, "limit": limit, "wait_s": wait_s},
            wait_s=wait_s,
        )

    async def acknowledge(self, *, consumer: str, cursor: str) -> ConsumerView:
        """Say how far the feed of sends has been durably consumed."""
        return await self._http.put(
            f"/api/v1/sends/feed/consumers/{consumer}",
            ConsumerRequest(cursor=cursor),
            ConsumerView,
            scope=Scope.WALLETS_READ,
        )

    async def derive_address(self, wallet_id: str, request: AddressRequest) -> AddressView:
        """Derive a deposit address that is already being watched when it is returned."""
        return await self._http.post_keyed(
            f"/api/v1/wallets/{self._http.segment(wallet_id)}/addresses",
            request,
            AddressView,
            scope=Scope.WALLETS_CREATE,
        )

    async def treasury(self) -> WalletView:
        """Return the wallet that pays; raises PeerRefused with 404 while there is none."""
        return await self._http.get(
            "/api/v1/wallets/treasury", WalletView, scope=Scope.WALLETS_READ
        )

    async def wallet(self, wallet_id: str) -> WalletView:
        """Return one wallet by id or address."""
        return await self._http.get(
            f"/api/v1/wallets/{self._http.segment(wallet_id)}", WalletView, scope=Scope.WALLETS_READ
        )

    async def wallets(self, *, cursor: str | None = None, limit: int = 100) -> WalletListView:
        """Return a page of wallets."""
        params: dict[str, str | int] = {"limit": limit}
        if cursor is not None:
            params["cursor"] = cursor
        return await self._http.get(
            "/api/v1/wallets", WalletListView, scope=Scope.WALLETS_READ, params=params
        )

    async def balance(self, wallet_id: str, currency: Currency) -> BalanceView:
        """Return the balance of a wallet in one currency."""
        return await self._http.get(
            f"/api/v1/wallets/{self._http.segment(wallet_id)}/balance",
            BalanceView,
            scope=Scope.WALLETS_READ,
            params={"currency": currency.value},
        )

    async def transactions(self, address: str) -> TransactionsView:
        """Return what moved through an address, newest first."""
        return await self._http.get(
            f"/api/v1/wallets/{self._http.segment(address)}/transactions",
            TransactionsView,
            scope=Scope.WALLETS_READ,
        )

"""The typed client of tron-client."""

from collections.abc import Sequence

from shared.access import Scope
from shared.models.tron_client import (
    AccountView,
    CallRequest,
    CallsRequest,
    CallsView,
    CallView,
    NetworkFeesView,
    NetworkInfoView,
    NetworkStatusView,
    SigningContextView,
    TransferView,
    WatchDigestView,
    WatchListView,
    WatchRequest,
    WatchView,
)
from shared.models.tron_transactions import (
    BroadcastingRequest,
    BroadcastingView,
    LookupRequest,
    LookupView,
    OutgoingRequest,
    OutgoingView,
    SignedTransaction,
    StoredTransactionsView,
    SubmitRequest,
    SubmittedView,
    SubmitView,
    TransactionView,
)
from shared.models.wire import ConsumerRequest, ConsumerView, FeedView
from shared.peers.caller import PeerHttp
from shared.tron.address import Address


class TronClientPeer:
    """Calls tron-client; raises PeerRefused or PeerUnavailable."""

    def __init__(self, http: PeerHttp) -> None:
        self._http = http

    async def network_status(self) -> NetworkStatusView:
        """Return how the chain looks."""
        return await self._http.get(
            "/api/v1/tron/network/status", NetworkStatusView, scope=Scope.CHAIN_READ
        )

    async def network_info(self) -> NetworkInfoView:
        """Return which chain this is."""
        return await self._http.get(
            "/api/v1/tron/network/info", NetworkInfoView, scope=Scope.CHAIN_READ
        )

    async def network_fees(self) -> NetworkFeesView:
        """Return what the chain charges."""
        return await self._http.get(
            "/api/v1/tron/network/fees", NetworkFeesView, scope=Scope.CHAIN_READ
        )

    async def signing_context(self) -> SigningContextView:
        """Return a solid reference block, the head and the prices."""
        return await self._http.get(
            "/api/v1/chain/signing-context", SigningContextView, scope=Scope.CHAIN_READ
        )

    async def account(self, address: Address) -> AccountView:
        """Return an account as a node tells it."""
        return await self._http.get(
            f"/api/v1/accounts/{address}", AccountView, scope=Scope.CHAIN_READ
        )

    async def call_contracts(self, calls: Sequence[CallRequest]) -> list[CallView]:
        """Run constant calls; the answers are in the order of the calls."""
        body = CallsRequest(calls=list(calls))
        answer = await self._http.post_keyed(
            "/api/v1/contracts/calls", body, CallsView, scope=Scope.CHAIN_READ
        )
        return answer.calls

    async def watch(
        self, addresses: Sequence[Address], *, birth_height: int | None = None
    ) -> WatchView:
        """Have addresses watched, from a height or from now on; returns once that is durable."""
        body = WatchRequest(addresses=list(addresses), birth_height=birth_height)
        return await self._http.put("/api/v1/watches", body, WatchView, scope=Scope.CHAIN_WATCH)

    async def watch_digest(self) -> WatchDigestView:
        """Return the count and digest of the watch list."""
        return await self._http.get(
            "/api/v1/watches/digest", WatchDigestView, scope=Scope.CHAIN_WATCH
        )

    async def watch_list(self, *, cursor: str | None, limit: int) -> WatchListView:
        """Return a page of the watch list, ordered by address."""
        params: dict[str, str | int] = {"limit": limit}
        if cursor is not None:
            params["cursor"] = cursor
        return await self._http.get(
            "/api/v1/watches", WatchListView, scope=Scope.CHAIN_WATCH, params=params
        )

    async def stored_transactions(
        self, owner: Address, *, cursor: str | None, limit: int
    ) -> StoredTransactionsView:
        """Return a page of what was submitted for an owner, with its bytes."""
        params: dict[str, str | int] = {"owner": owner, "limit": limit}
        if cursor is not None:
            params["cursor"] = cursor
        return await self._http.get(
            "/api/v1/transactions",
            StoredTransactionsView,
            scope=Scope.CHAIN_SUBMIT,
            params=params,
        )

    async def outgoing(
        self, owners: Sequence[Address], *, first_height: int, last_height: int
    ) -> OutgoingView:
        """Return transactions of owners in solid blocks; ask on from ``last_height`` of the answer."""
        body = OutgoingRequest(
            owners=list(owners), first_height=first_height, last_height=last_height
        )
        return await self._http.post_keyed(
            "/api/v1/chain/outgoing", body, OutgoingView, scope=Scope.CHAIN_READ
        )

    async def broadcasting(self) -> BroadcastingView:
        """Return whose bytes are held back."""
        return await self._http.get(
            "/api/v1/broadcasting", BroadcastingView, scope=Scope.CHAIN_SUBMIT
        )

    async def set_broadcasting(
        self, *, stopped: bool, reason: str, owners: Sequence[Address] = ()
    ) -> BroadcastingView:
        """Hold back signed bytes, or let them go again."""
        body = BroadcastingRequest(stopped=stopped, reason=reason, owners=list(owners))
        return await self._http.put(
            "/api/v1/broadcasting", body, BroadcastingView, scope=Scope.CHAIN_SUBMIT
        )

    async def submit(self, transactions: Sequence[SignedTransaction]) -> list[SubmittedView]:
        """Hand over signed transactions; repeats are harmless."""
        body = SubmitRequest(transactions=list(transactions))
        answer = await self._http.post_keyed(
            "/api/v1/transactions", body, SubmitView, scope=Scope.CHAIN_SUBMIT
        )
        return answer.transactions

    async def lookup(self, txids: Sequence[str]) -> list[TransactionView]:
        """Return what is known of transactions."""
        body = LookupRequest(txids=list(txids))
        answer = await self._http.post_keyed(
            "/api/v1/transactions/lookup", body, LookupView, scope=Scope.CHAIN_READ
        )
        return answer.transactions

    async def transfers(self, *, after: str, limit: int, wait_s: int) -> FeedView[TransferView]:
        """Return the next transfers of watched addresses, waiting for one if there is none."""
        return await self._http.get(
            "/api/v1/transfers/feed",
            FeedView[TransferView],
            scope=Scope.CHAIN_READ,
            params={"after": after, "limit": limit, "wait_s": wait_s},
            wait_s=wait_s,
        )

    async def verdicts(self, *, after: str, limit: int, wait_s: int) -> FeedView[TransactionView]:
        """Return what became of submitted transactions, waiting for news if there is none."""
        return await self._http.get(
            "/api/v1/transactions/feed",
            FeedView[TransactionView],
            scope=Scope.CHAIN_READ,
            params={"after": after, "limit": limit, "wait_s": wait_s},
            wait_s=wait_s,
        )

    async def acknowledge(self, feed: str, *, consumer: str, cursor: str) -> ConsumerView:
        """Say how far a feed (``transfers`` or ``transactions``) has been durably consumed."""
        return await self._http.put(
            f"/api/v1/{feed}/feed/consumers/{consumer}",
            ConsumerRequest(cursor=cursor),
            ConsumerView,
            scope=Scope.CHAIN_READ,
        )

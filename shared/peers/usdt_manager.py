"""The typed client of usdt-manager."""

from collections.abc import Sequence

from shared.access import Scope
from shared.models.usdt_manager import (
    PreflightRequest,
    PreflightView,
    UsdtBalanceView,
    UsdtTransfersRequest,
)
from shared.models.wallet_sends import Intent, SendResult, SendsView
from shared.peers.caller import PeerHttp
from shared.tron.address import Address


class UsdtManagerPeer:
    """Calls usdt-manager; raises PeerRefused or PeerUnavailable."""

    def __init__(self, http: PeerHttp) -> None:
        self._http = http

    async def balance(self, address: Address) -> UsdtBalanceView:
        """Return what the contract says an address holds."""
        return await self._http.get(
            f"/api/v1/usdt/balance/{address}", UsdtBalanceView, scope=Scope.USDT_READ
        )

    async def preflight(self, request: PreflightRequest) -> PreflightView:
        """Return what transfers would need and whether anything speaks against them."""
        return await self._http.post_keyed(
            "/api/v1/usdt/preflight", request, PreflightView, scope=Scope.USDT_READ
        )

    async def transfer(self, intents: Sequence[Intent]) -> list[SendResult]:
        """Hand over intents; each send key is taken on once, and repeats return the stored send."""
        body = UsdtTransfersRequest(intents=list(intents))
        answer = await self._http.post_keyed(
            "/api/v1/usdt/transfers", body, SendsView, scope=Scope.USDT_SEND
        )
        return answer.results

"""The typed client of payout-router."""

from shared.access import Scope
from shared.models.payout_router import PayoutRequest, PayoutView
from shared.peers.caller import PeerHttp


class PayoutRouterPeer:
    """Calls payout-router; raises PeerRefused or PeerUnavailable."""

    def __init__(self, http: PeerHttp) -> None:
        self._http = http

    async def create(self, request: PayoutRequest, *, key: str) -> PayoutView:
        """Promise a payout; the same key makes it once."""
        return await self._http.post_keyed(
            "/api/v1/payouts", request, PayoutView, scope=Scope.PAYOUTS_CREATE, key=key
        )

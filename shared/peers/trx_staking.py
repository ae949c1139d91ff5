"""The typed client of trx-staking."""

from shared.access import Scope
from shared.models.trx_staking import StakingStatusView
from shared.peers.caller import PeerHttp
from shared.tron.address import Address


class TrxStakingPeer:
    """Calls trx-staking; raises PeerRefused or PeerUnavailable."""

    def __init__(self, http: PeerHttp) -> None:
        self._http = http

    async def status(self, address: Address) -> StakingStatusView:
        """Return what an address has staked."""
        return await self._http.get(
            f"/api/v1/staking/status/{address}", StakingStatusView, scope=Scope.STAKING_READ
        )

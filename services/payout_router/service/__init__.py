"""payout-router's use cases: promises made and read, handed over, and followed to their end."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.payout_router.service.dispatch import Dispatcher, Pace
from services.payout_router.service.follow import Follower
from services.payout_router.service.payer import Payer
from services.payout_router.service.promises import Promises
from services.payout_router.store import PayoutStore

__all__ = ["Dispatcher", "Follower", "Pace", "Payer", "PayoutRouter", "Promises"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRouter:
    """Everything that payout-router does."""

    store: PayoutStore
    payer: Payer
    promises: Promises
    dispatcher: Dispatcher
    follower: Follower

    async def details(self) -> Mapping[str, object]:
        """Say what pays and how far sends have been heard."""
        wallet = self.payer.wallet
        return {
            "paying_wallet": None if wallet is None else wallet.wallet_id,
            "sends_cursor": await self.store.cursor(),
        }

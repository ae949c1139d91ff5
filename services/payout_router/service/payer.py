"""The wallet that pays."""

from typing import Protocol

from shared.models.wallet_manager import WalletStatus, WalletView
from shared.peers.caller import PeerRefused, absent


class Wallets(Protocol):
    """Knows the wallets: wallet-manager."""

    async def treasury(self) -> WalletView:
        """Return the wallet that pays."""
        ...

    async def wallet(self, wallet_id: str) -> WalletView:
        """Return a wallet."""
        ...


class Payer:
    """Remembers which wallet pays.

    Args:
        wallets: whom to ask.
        wallet_id: the wallet to pay from; None for the treasury.

    Attributes:
        wallet: the wallet that pays, or None while there is none that may be used.
    """

    def __init__(self, *, wallets: Wallets, wallet_id: str | None) -> None:
        self._wallets = wallets
        self._wallet_id = wallet_id
        self.wallet: WalletView | None = None

    async def find(self) -> bool:
        """Ask which wallet pays; it may come to be, change or be locked at any time."""
        try:
            wallet = (
                await self._wallets.wallet(self._wallet_id)
                if self._wallet_id
                else await self._wallets.treasury()
            )
        except PeerRefused as refusal:
            if not absent(refusal):
                raise
            self.wallet = None
            return False
        self.wallet = wallet if wallet.status is WalletStatus.ACTIVE else None
        return False

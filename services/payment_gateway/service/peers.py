"""What payment-gateway asks of its siblings, in its own words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.models.tron_client import (
    NetworkFeesView,
    NetworkInfoView,
    NetworkStatusView,
    TransferView,
)
from shared.models.trx_staking import StakingStatusView
from shared.models.usdt_manager import UsdtBalanceView
from shared.models.wallet_books import TransactionsView
from shared.models.wallet_manager import (
    AddressRequest,
    AddressView,
    BalanceView,
    WalletListView,
    WalletView,
)
from shared.models.wallet_sends import SendLookupView
from shared.models.wire import ConsumerView, FeedView
from shared.money import Currency
from shared.tron.address import Address


class Deriver(Protocol):
    """Derives watched deposit addresses: wallet-manager."""

    async def treasury(self) -> WalletView:
        """Return the wallet that deposits belong to."""
        ...

    async def derive_address(self, wallet_id: str, request: AddressRequest) -> AddressView:
        """Derive an address that is watched when it is returned."""
        ...


class OwnSends(Protocol):
    """Knows which transactions are our own: wallet-manager."""

    async def lookup(
        self, *, send_keys: Sequence[str] = (), txids: Sequence[str] = ()
    ) -> SendLookupView:
        """Return the sends of transactions."""
        ...


class TransferFeed(Protocol):
    """Tells of transfers to watched addresses: tron-client."""

    async def transfers(self, *, after: str, limit: int, wait_s: int) -> FeedView[TransferView]:
        """Return the next transfers."""
        ...

    async def acknowledge(self, feed: str, *, consumer: str, cursor: str) -> ConsumerView:
        """Say how far the feed has been durably consumed."""
        ...


class Network(Protocol):
    """Says how the chain is: tron-client."""

    async def network_status(self) -> NetworkStatusView:
        """Return how the chain looks."""
        ...

    async def network_info(self) -> NetworkInfoView:
        """Return which chain this is."""
        ...

    async def network_fees(self) -> NetworkFeesView:
        """Return what the chain charges."""
        ...


class Wallets(Protocol):
    """Says what wallets there are and what they hold: wallet-manager."""

    async def wallets(self, *, cursor: str | None = None, limit: int = 100) -> WalletListView:
        """Return a page of wallets."""
        ...

    async def wallet(self, wallet_id: str) -> WalletView:
        """Return one wallet by id or address."""
        ...

    async def balance(self, wallet_id: str, currency: Currency) -> BalanceView:
        """Return a wallet's balance."""
        ...

    async def transactions(self, address: str) -> TransactionsView:
        """Return what moved through a wallet or address."""
        ...


class Token(Protocol):
    """Says what an address holds: usdt-manager."""

    async def balance(self, address: Address) -> UsdtBalanceView:
        """Return a USDT balance."""
        ...


class Stakes(Protocol):
    """Says what an address has staked: trx-staking."""

    async def status(self, address: Address) -> StakingStatusView:
        """Return stake and resources."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Siblings:
    """Whose answers are passed on to callers who reach this service alone (hazard H24)."""

    network: Network
    wallets: Wallets
    token: Token
    stakes: Stakes

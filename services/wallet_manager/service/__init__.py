"""wallet-manager's use cases: wallets, sends, books."""

from dataclasses import dataclass

from services.wallet_manager.service.books import Books
from services.wallet_manager.service.sender import Sender
from services.wallet_manager.service.wallets import Wallets
from shared.feeds import FeedFollower, FeedSource
from shared.models.tron_client import TransactionView, TransferView
from shared.models.wallet_manager import SendView


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletManager:
    """The three parts of the service and the feeds between it and its siblings."""

    wallets: Wallets
    sender: Sender
    books: Books
    feed: FeedSource[SendView]
    verdicts: FeedFollower[TransactionView]
    transfers: FeedFollower[TransferView]


__all__ = ["Books", "Sender", "WalletManager", "Wallets"]

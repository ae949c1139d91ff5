"""wallet-manager's use cases: wallets, sends, books."""

from dataclasses import dataclass

from services.wallet_manager.service.books import Books
from services.wallet_manager.service.claims import Claims
from services.wallet_manager.service.custody import Custody
from services.wallet_manager.service.exports import Exports
from services.wallet_manager.service.guards import Guards
from services.wallet_manager.service.holdings import Beholder
from services.wallet_manager.service.keeper import Keeper
from services.wallet_manager.service.messages import Messages
from services.wallet_manager.service.offline import Offline
from services.wallet_manager.service.oversight import Oversight
from services.wallet_manager.service.private_keys import PrivateKeys
from services.wallet_manager.service.recompute import Recompute
from services.wallet_manager.service.reconciliation import Reconciliation
from services.wallet_manager.service.recovery import Recovery
from services.wallet_manager.service.sender import Sender
from services.wallet_manager.service.wallets import Wallets
from services.wallet_manager.service.watches import Watches
from shared.alarms import Alarms
from shared.feeds import FeedFollower, FeedSource
from shared.models.tron_client import TransferView
from shared.models.tron_transactions import TransactionView
from shared.models.wallet_sends import SendView


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletManager:
    """The parts of the service and the feeds between it and its siblings."""

    wallets: Wallets
    custody: Custody
    messages: Messages
    sender: Sender
    oversight: Oversight
    offline: Offline
    books: Books
    recovery: Recovery
    claims: Claims
    watches: Watches
    reconciliation: Reconciliation
    recompute: Recompute
    beholder: Beholder
    exports: Exports
    alarms: Alarms
    guards: Guards
    keeper: Keeper
    private_keys: PrivateKeys
    feed: FeedSource[SendView]
    verdicts: FeedFollower[TransactionView]
    transfers: FeedFollower[TransferView]


__all__ = ["Books", "Claims", "Recovery", "Sender", "WalletManager", "Wallets"]

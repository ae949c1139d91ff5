"""tron-client's use cases: the state of the chain, reads, the watch list, transactions, feeds."""

from dataclasses import dataclass

from services.tron_client.scanner.coverage import Coverage
from services.tron_client.scanner.outgoing import Outgoing
from services.tron_client.service.chain import ChainFacts, Outlook
from services.tron_client.service.dials import Dials
from services.tron_client.service.endpoints import Endpoints
from services.tron_client.service.explorer import Explorer
from services.tron_client.service.history import Histories
from services.tron_client.service.notices import Announcer
from services.tron_client.service.operators import Operators
from services.tron_client.service.reads import Reads
from services.tron_client.service.transactions import Transactions
from services.tron_client.service.vigil import Vigil
from shared.alarms import Alarms
from shared.feed_keeping import FeedKeeper
from shared.feeds import FeedSource
from shared.models.tron_client import NoticeView, TokenTransferView, TransferView
from shared.models.tron_transactions import TransactionView


@dataclass(frozen=True, slots=True, kw_only=True)
class TronClient:
    """The parts of the service and the feeds that its siblings follow."""

    chain: Outlook
    reads: Reads
    explorer: Explorer
    histories: Histories
    coverage: Coverage
    outgoing: Outgoing
    transactions: Transactions
    transfers: FeedSource[TransferView]
    token_transfers: FeedSource[TokenTransferView]
    verdicts: FeedSource[TransactionView]
    notices: FeedSource[NoticeView]
    feeds: FeedKeeper
    alarms: Alarms
    announcer: Announcer
    vigil: Vigil
    operators: Operators
    dials: Dials
    endpoints: Endpoints


__all__ = [
    "Announcer",
    "ChainFacts",
    "Dials",
    "Endpoints",
    "Explorer",
    "Histories",
    "Operators",
    "Outlook",
    "Reads",
    "Transactions",
    "TronClient",
    "Vigil",
]

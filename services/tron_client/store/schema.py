"""The collections and feeds that tron-client keeps."""

from typing import Final

from services.tron_client.domain.balances import Balance
from services.tron_client.domain.broadcasting import Broadcasting
from services.tron_client.domain.budgets import Usage
from services.tron_client.domain.credits import Doubt
from services.tron_client.domain.notices import Notice
from services.tron_client.domain.parameters import Reading
from services.tron_client.domain.progress import HeldBlock, Progress, Watch
from services.tron_client.domain.rescans import Milestone, Rescan
from services.tron_client.domain.transactions import Tracked
from services.tron_client.domain.transfers import Transfer
from services.tron_client.domain.witnesses import WitnessSet
from shared.alarms import ALARM_COLLECTIONS, ALARM_FEEDS
from shared.ledger_clock import LEDGER_TIMES
from shared.storage import (
    Collection,
    Feed,
    Index,
    Schema,
)
from shared.storage.tally import tallies

PROGRESS: Final = Collection(name="progress", record=Progress)
BLOCKS: Final = Collection(
    name="blocks",
    record=HeldBlock,
    indexes=(Index(name="height", fields=("height",), unique=True),),
)
WATCHES: Final = Collection(
    name="watches",
    record=Watch,
    indexes=(Index(name="address", fields=("id",), unique=True),),
)
TRANSFERS: Final = Collection(
    name="transfers",
    record=Transfer,
    indexes=(
        Index(name="block", fields=("block_id",)),
        Index(name="sender", fields=("sender",)),
        Index(name="recipient", fields=("recipient",)),
    ),
)
RESCANS: Final = Collection(
    name="rescans",
    record=Rescan,
    indexes=(
        Index(name="state", fields=("state", "next_height")),
        Index(name="created", fields=("created_at_ms",)),
    ),
)
MILESTONES: Final = Collection(
    name="milestones",
    record=Milestone,
    indexes=(Index(name="height", fields=("height",), unique=True),),
)
BALANCES: Final = Collection(name="balances", record=Balance)
TRANSACTIONS: Final = Collection(
    name="tron_receipts",
    record=Tracked,
    indexes=(
        Index(name="send_key", fields=("send_key",)),
        Index(name="broadcast", fields=("state", "next_broadcast_ms")),
        Index(name="expiry", fields=("state", "expires_at_ms")),
        Index(name="block", fields=("block_id",)),
        Index(name="owner", fields=("owner", "stored_height")),
    ),
)
BROADCASTING: Final = Collection(name="broadcasting", record=Broadcasting)
NOTICES: Final = Collection(
    name="notices",
    record=Notice,
    indexes=(Index(name="announced", fields=("is_announced", "at_ms")),),
)
DOUBTS: Final = Collection(
    name="credit_doubts", record=Doubt, indexes=(Index(name="next", fields=("next_ms",)),)
)
ONE_WORD_SUMS: Final = tallies("one_word_sums")
USAGES: Final = Collection(name="node_usages", record=Usage)
WITNESSES: Final = Collection(name="witnesses", record=WitnessSet)
READINGS: Final = Collection(name="parameters", record=Reading)
NOTICE_FEED: Final = Feed(name="notices")
TRANSFER_FEED: Final = Feed(name="transfers")
TOKEN_FEED: Final = Feed(name="token_transfers")
TRANSACTION_FEED: Final = Feed(name="transactions")
SCHEMA: Final = Schema(
    service="tron-client",
    version=1,
    collections=(
        PROGRESS,
        BLOCKS,
        WATCHES,
        TRANSFERS,
        RESCANS,
        MILESTONES,
        BALANCES,
        TRANSACTIONS,
        BROADCASTING,
        NOTICES,
        READINGS,
        WITNESSES,
        DOUBTS,
        ONE_WORD_SUMS,
        LEDGER_TIMES,
        USAGES,
        *ALARM_COLLECTIONS,
    ),
    feeds=(TRANSFER_FEED, TOKEN_FEED, TRANSACTION_FEED, NOTICE_FEED, *ALARM_FEEDS),
)

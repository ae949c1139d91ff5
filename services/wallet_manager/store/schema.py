"""The collections and feeds of wallet-manager."""

from dataclasses import dataclass
from typing import Any, Final

from services.wallet_manager.domain.approvals import Approval
from services.wallet_manager.domain.audit import AuditHead, AuditPage
from services.wallet_manager.domain.books import (
    JournalEntryLine,
    Position,
)
from services.wallet_manager.domain.reconciliation import Finding
from services.wallet_manager.domain.recovery import Run, Unclaimed
from services.wallet_manager.domain.rulebook import Policy
from services.wallet_manager.domain.sends import Attempt, Send
from services.wallet_manager.domain.stops import Stop
from services.wallet_manager.domain.unlocking import Tries
from services.wallet_manager.domain.wallets import DepositAddress, Wallet
from services.wallet_manager.vault import (
    KeyRing,
    SealedSecret,
    SealedSeed,
)
from shared.alarms import ALARM_COLLECTIONS, ALARM_FEEDS
from shared.ledger_clock import LEDGER_TIMES
from shared.models.wallet_manager import WalletRole
from shared.storage import (
    Collection,
    Feed,
    Index,
    Schema,
    tallies,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a feed has been applied."""

    id: str
    version: int = 0
    cursor: str = ""


WALLET_KEYS: Final = Collection(name="wallet_keys", record=SealedSeed)
SECRETS: Final = Collection(
    name="sealed_secrets",
    record=SealedSecret,
    indexes=(Index(name="generation", fields=("generation",)),),
)
KEY_RINGS: Final = Collection(name="key_rings", record=KeyRing)
UNLOCK_TRIES: Final = Collection(name="unlock_tries", record=Tries)
VAULT: Final[tuple[Collection[Any], ...]] = (WALLET_KEYS, SECRETS, KEY_RINGS, UNLOCK_TRIES)
"""The keys; the first of them holds the seed of an older installation until it is resealed."""

WALLETS: Final = Collection(
    name="wallets",
    record=Wallet,
    indexes=(
        Index(name="identity", fields=("identity",), unique=True),
        Index(name="account", fields=("account",), unique=True),
        Index(name="address", fields=("address",), unique=True),
        Index(
            name="treasury",
            fields=("role",),
            unique=True,
            where=(("role", (WalletRole.TREASURY.value,)),),
        ),
        Index(name="created", fields=("created_at_ms",)),
    ),
)
ADDRESSES: Final = Collection(
    name="addresses",
    record=DepositAddress,
    indexes=(
        Index(name="identity", fields=("identity",), unique=True),
        Index(name="wallet", fields=("wallet_id", "index"), unique=True),
        Index(name="stock", fields=("wallet_id", "index"), where=(("purpose", ("",)),)),
    ),
)
SENDS: Final = Collection(
    name="sends",
    record=Send,
    indexes=(
        Index(name="send_key", fields=("send_key",), unique=True),
        Index(name="state", fields=("state", "due_ms")),
        Index(name="wallet", fields=("wallet_id", "created_at_ms")),
        Index(name="lane", fields=("lane", "created_at_ms")),
    ),
    leased=True,
)
ATTEMPTS: Final = Collection(
    name="attempts",
    record=Attempt,
    indexes=(
        Index(name="stamp", fields=("owner", "stamp_ms"), unique=True),
        Index(name="send", fields=("send_id", "number"), unique=True),
    ),
)
POSITIONS: Final = Collection(
    name="positions",
    record=Position,
    indexes=(Index(name="address", fields=("address",)),),
)
JOURNAL: Final = Collection(
    name="journal",
    record=JournalEntryLine,
    indexes=(
        Index(name="account", fields=("account", "order")),
        Index(name="txid", fields=("txid",)),
    ),
)
CURSORS: Final = Collection(name="cursors", record=Cursor)
RUNS: Final = Collection(name="runs", record=Run)
FINDINGS: Final = Collection(name="findings", record=Finding)
UNCLAIMED: Final = Collection(
    name="unclaimed",
    record=Unclaimed,
    indexes=(
        Index(name="state", fields=("state", "found_ms")),
        Index(name="facts", fields=("facts", "state")),
    ),
)
SEND_FEED: Final = Feed(name="sends")

POLICIES: Final = Collection(name="policies", record=Policy)
SPENT: Final = tallies("spent")
APPROVALS: Final = Collection(
    name="approvals",
    record=Approval,
    indexes=(
        Index(name="asked", fields=("asked_ms",)),
        Index(name="content", fields=("kind", "content", "asked_ms")),
    ),
)
STOPS: Final = Collection(
    name="stops", record=Stop, indexes=(Index(name="made", fields=("at_ms",)),)
)
AUDIT_PAGES: Final = Collection(
    name="audit_pages",
    record=AuditPage,
    indexes=(Index(name="first", fields=("first",), unique=True),),
)
AUDIT_HEADS: Final = Collection(name="audit_heads", record=AuditHead)
GUARDS: Final[tuple[Collection[Any], ...]] = (
    POLICIES,
    SPENT,
    APPROVALS,
    STOPS,
    AUDIT_PAGES,
    AUDIT_HEADS,
    LEDGER_TIMES,
)
"""Policy, what was spent under it, who agreed, who stopped what, and the record of all that."""

SCHEMA: Final = Schema(
    service="wallet-manager",
    version=1,
    collections=(
        *VAULT,
        WALLETS,
        ADDRESSES,
        SENDS,
        ATTEMPTS,
        POSITIONS,
        JOURNAL,
        CURSORS,
        RUNS,
        UNCLAIMED,
        FINDINGS,
        *GUARDS,
        *ALARM_COLLECTIONS,
    ),
    feeds=(SEND_FEED, *ALARM_FEEDS),
)

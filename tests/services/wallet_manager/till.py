"""wallet-manager's use cases with everything around them played."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from services.wallet_manager.domain.books import JournalEntryLine, Position
from services.wallet_manager.domain.sends import Attempt, Send
from services.wallet_manager.domain.wallets import Wallet
from services.wallet_manager.service import Books, Sender, Wallets
from services.wallet_manager.service.assembly import Site, assemble
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.claims import Claims
from services.wallet_manager.service.guard import Gate, Guard
from services.wallet_manager.service.imports import Imports
from services.wallet_manager.service.offline import Offline
from services.wallet_manager.service.oversight import Oversight
from services.wallet_manager.service.recovery import Recovery
from services.wallet_manager.service.rules import SigningRules
from services.wallet_manager.service.timekeeping import Timekeeper
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import ATTEMPTS, JOURNAL, SCHEMA, SEND_FEED
from services.wallet_manager.vault import Vault, new_seed
from shared.alarms import Alarms
from shared.clock import HeldClock, rfc3339
from shared.ids import send_key
from shared.ledger_clock import LedgerClock
from shared.metrics import Metrics
from shared.models.tron_client import (
    AccountView,
    CallRequest,
    CallView,
    ChainParametersView,
    FrozenView,
    PermissionsView,
    ResourcesView,
    SigningContextView,
    TransferSource,
    TransferState,
    TransferView,
    UnfreezingView,
    VoteView,
    WatchDigestView,
    WatchListView,
    WatchView,
)
from shared.models.tron_transactions import (
    BroadcastOutcome,
    LogView,
    OutgoingTransactionView,
    OutgoingView,
    ReceiptView,
    SignedTransaction,
    StoredTransactionsView,
    StoredTransactionView,
    SubmittedView,
    TransactionState,
    TransactionView,
)
from shared.models.wallet_manager import WalletRequest, WalletRole
from shared.models.wallet_sends import Intent, Origin, Purpose, SendKind, SendParams, SendResult
from shared.models.wire import BlockRef, FeedItem, FeedView
from shared.money import Currency, format_base_units
from shared.peers.caller import PeerRefused, PeerUnavailable
from shared.storage import SqliteStorage, Stamp, Storage
from shared.tron.address import Address, evm_bytes
from shared.tron.decoding import decode_raw_data
from shared.tron.networks import FACTS, Network
from shared.watching import digest_text, watch_digest
from tests.support import START_MS, address

FACTS_HERE = FACTS[Network.DEVNET]
USDT = FACTS_HERE.usdt_contract
MASTER_KEY = bytes(range(32))
CUSTOMER = address(0xC0)
STRANGER = address(0x57)

TRX = 1_000_000
ENERGY = 65_000
ENERGY_SUN = 100
BANDWIDTH_SUN = 1_000
FEE_LIMIT_SUN = ENERGY * ENERGY_SUN * 120 // 100
TOKEN_POINTS = 352
TRX_POINTS = 270
WORST_TOKEN_FEE_SUN = FEE_LIMIT_SUN + TOKEN_POINTS * BANDWIDTH_SUN
WORST_TRX_FEE_SUN = TRX_POINTS * BANDWIDTH_SUN + 1_100_000
LIFETIME_MS = 300_000
RETRY_MS = 3_000
MAX_ATTEMPTS = 3


def block(height: int, at_ms: int | None = None) -> BlockRef:
    at_ms = START_MS + 3_000 * (height - 100) if at_ms is None else at_ms
    digest = sha256(str(height).encode()).hexdigest()[:48]
    return BlockRef(height=height, block_id=f"{height:016x}{digest}", timestamp_ms=at_ms)


class Chain:
    """Plays tron-client.

    Attributes:
        away: True while no call gets through.
        loses_replies: how many submissions are stored while their answer is lost.
        refuses: send keys that it will not take.
        outcome: what the node says to a broadcast.
        head_lag_ms: how far the head's time is behind the clock.
        reverts: True while the contract would revert.
        permissions: of every account, as are ``unfreezing``, ``votes`` and ``rewards_sun``.
        context_says: what it tells instead of the truth; ``prices_say`` the same of prices.
        calls: what it was asked to simulate.
        received: everything that ever arrived, repeats included.
        watched: what it has promised to watch; ``births`` says from which height, and how many.
        stored: what it remembers of what it was given.
        tells_at_once: accounts that it tells before its head moves on; 0 for all.
        holdings: what a node says of balances, by account of the journal.
        on_chain: what solid blocks hold of ours; ``blocks_at_once`` it looks through at most.
    """

    def __init__(self, clock: HeldClock) -> None:
        self.clock = clock
        self.away = False
        self.loses_replies = 0
        self.refuses: set[str] = set()
        self.outcome = BroadcastOutcome.ACCEPTED
        self.head_lag_ms = 0
        self.genesis = FACTS_HERE.genesis_block_id
        self.reverts = False
        self.energy = ENERGY
        self.permissions: PermissionsView | None = None
        self.context_says: dict[str, object] = {}
        self.prices_say: dict[str, object] = {}
        self.calls: list[CallRequest] = []
        self.received: list[SignedTransaction] = []
        self.submissions = 0
        self.watched: set[Address] = set()
        self.births: list[tuple[int | None, int]] = []
        self.stored: dict[str, StoredTransactionView] = {}
        self.on_chain: list[OutgoingTransactionView] = []
        self.looked_at: list[tuple[int, int]] = []
        self.blocks_at_once = 1_000
        self.solid_height = 81
        self.head_height = 100
        self.holdings: dict[tuple[str, Currency], int] = {}
        self.asked_accounts: list[Address] = []
        self.tells_at_once = 0
        self.unfreezing: list[UnfreezingView] = []
        self.votes: list[VoteView] = []
        self.rewards_sun = 0

    async def account(self, address: Address) -> AccountView:
        self._reach()
        self.asked_accounts.append(address)
        if self.tells_at_once and len(self.asked_accounts) % self.tells_at_once == 0:
            self.head_height += 1
        coins = self.holdings.get((address, Currency.TRX), 0)
        staked = self.holdings.get((f"staked:{address}", Currency.TRX), 0)
        return AccountView(
            address=address,
            activated=True,
            is_contract=False,
            balance=format_base_units(coins),
            balance_sun=str(coins),
            resources=ResourcesView(
                free_bandwidth_limit=600,
                free_bandwidth_used=0,
                staked_bandwidth_limit=0,
                staked_bandwidth_used=0,
                energy_limit=0,
                energy_used=0,
            ),
            frozen=[FrozenView(resource="energy", amount_sun=str(staked))] if staked else [],
            unfreezing=self.unfreezing,
            delegated=[],
            received=[],
            votes=self.votes,
            rewards_sun=str(self.rewards_sun),
            permissions=self.permissions,
        )

    async def signing_context(self) -> SigningContextView:
        self._reach()
        head_ms = self.clock.now_ms() - self.head_lag_ms
        told = SigningContextView(
            network="devnet",
            genesis_block_id=self.genesis,
            reference=block(80, head_ms - 60_000),
            head=block(max(self.head_height, self.solid_height + 19), head_ms),
            solid=block(self.solid_height, head_ms - 57_000),
            parameters=ChainParametersView(
                energy_fee_sun=ENERGY_SUN,
                bandwidth_fee_sun=BANDWIDTH_SUN,
                activation_fee_sun=1_000_000,
                activation_bandwidth_fee_sun=100_000,
                memo_fee_sun=1_000_000,
                multi_sign_fee_sun=1_000_000,
                permission_update_fee_sun=100 * TRX,
                max_fee_limit_sun=15_000_000_000,
                free_bandwidth=600,
            ),
            operators=2,
            second_head_timestamp_ms=head_ms,
            paused=None,
        )
        prices = told.parameters.model_copy(update=self.prices_say)
        return told.model_copy(update={"parameters": prices} | self.context_says)

    async def call_contracts(self, calls: Sequence[CallRequest]) -> list[CallView]:
        self._reach()
        self.calls += calls
        return [
            CallView(
                result=f"{self.holdings.get((call.owner_address, Currency.USDT), 0):064x}",
                energy_used=self.energy,
                energy_penalty=0,
                reverted=self.reverts,
                revert_reason="blacklisted" if self.reverts else None,
            )
            for call in calls
        ]

    async def submit(self, transactions: Sequence[SignedTransaction]) -> list[SubmittedView]:
        self._reach()
        self.submissions += 1
        if any(one.send_key in self.refuses for one in transactions):
            raise PeerRefused(peer="tron-client", status=400, document={"detail": "no good"})
        self.received += transactions
        for one in transactions:
            self.stored.setdefault(txid_of(one), stored_view(one))
        if self.loses_replies:
            self.loses_replies -= 1
            raise PeerUnavailable("the reply was lost")
        return [
            SubmittedView(txid=txid_of(one), outcome=self.outcome, message="said the node")
            for one in transactions
        ]

    async def watch(
        self, addresses: Sequence[Address], *, birth_height: int | None = None
    ) -> WatchView:
        self._reach()
        self.watched |= set(addresses)
        self.births += [(birth_height, len(addresses))]
        return WatchView(watched=len(self.watched), birth_height=birth_height or 100)

    async def watch_digest(self) -> WatchDigestView:
        self._reach()
        digest = watch_digest(evm_bytes(one) for one in self.watched)
        return WatchDigestView(
            count=len(self.watched), digest=digest_text(digest), rescans_pending=0
        )

    async def watch_list(self, *, cursor: str | None, limit: int) -> WatchListView:
        self._reach()
        start = int(cursor or 0)
        found = sorted(self.watched)[start : start + limit]
        end = start + limit
        more = str(end) if end < len(self.watched) else None
        return WatchListView(addresses=found, count=len(self.watched), next=more)

    async def stored_transactions(
        self, owner: Address, *, cursor: str | None, limit: int
    ) -> StoredTransactionsView:
        self._reach()
        start = int(cursor or 0)
        mine = [one for one in self.stored.values() if one.owner == owner]
        more = str(start + limit) if start + limit < len(mine) else None
        return StoredTransactionsView(transactions=mine[start : start + limit], next=more)

    async def outgoing(
        self, owners: Sequence[Address], *, first_height: int, last_height: int
    ) -> OutgoingView:
        self._reach()
        self.looked_at.append((first_height, last_height))
        last = min(last_height, first_height + self.blocks_at_once - 1)
        found = [
            one
            for one in self.on_chain
            if one.owner in owners and first_height <= one.block.height <= last
        ]
        return OutgoingView(first_height=first_height, last_height=last, transactions=found)

    def lands(self, given: SignedTransaction, *, height: int, succeeded: bool = True) -> None:
        """Put a transaction into a solid block, where anybody can find it."""
        raw_data = bytes.fromhex(given.raw_data)
        self.on_chain.append(
            OutgoingTransactionView(
                txid=txid_of(given),
                owner=decode_raw_data(raw_data).operation.owner,
                raw_data=given.raw_data,
                signatures=given.signatures,
                succeeded=succeeded,
                block=block(height),
            )
        )

    def _reach(self) -> None:
        if self.away:
            raise PeerUnavailable("tron-client did not answer")


def stored_view(given: SignedTransaction, **changes: object) -> StoredTransactionView:
    """Return what tron-client remembers of a transaction that it was just given."""
    fields: dict[str, object] = {
        "txid": txid_of(given),
        "send_key": given.send_key,
        "state": TransactionState.PENDING,
        "outcome": BroadcastOutcome.ACCEPTED,
        "outcome_message": None,
        "broadcasts": 1,
        "expires_at_ms": given.expires_at_ms,
        "block": None,
        "receipt": None,
        "operators": 0,
        "owner": decode_raw_data(bytes.fromhex(given.raw_data)).operation.owner,
        "raw_data": given.raw_data,
        "signatures": given.signatures,
    }
    return StoredTransactionView.model_validate(fields | changes)


def txid_of(transaction: SignedTransaction) -> str:
    return sha256(bytes.fromhex(transaction.raw_data)).hexdigest()


@dataclass(slots=True, kw_only=True)
class Till:
    """wallet-manager on one database."""

    storage: Storage
    clock: HeldClock
    chain: Chain
    vault: Vault
    store: WalletStore
    wallets: Wallets
    sender: Sender
    oversight: Oversight
    offline: Offline
    books: Books
    imports: Imports
    claims: Claims
    recovery: Recovery
    alarms: Alarms
    timekeeper: Timekeeper
    books_lock: asyncio.Lock
    pages: "itertools.count[int]" = field(default_factory=itertools.count)

    def alarm_kinds(self) -> set[str]:
        return {alarm.kind for alarm in self.alarms.open()}

    async def begins(self) -> None:
        """Open the database as a process does that comes after another."""
        await self.recovery.begin()
        while await self.recovery.work():
            pass

    async def treasury(self, *, trx: int = 1_000 * TRX, usdt: int = 1_000 * TRX) -> Wallet:
        """Make the treasury and book what it holds."""
        request = WalletRequest(user_id="operator", role=WalletRole.TREASURY)
        wallet, _ = await self.wallets.create(request, principal="op", key="treasury")
        await self.deposit(wallet.address, trx, Currency.TRX)
        await self.deposit(wallet.address, usdt, Currency.USDT)
        return wallet

    async def deposit(self, to: Address, amount: int, currency: Currency) -> None:
        if amount:
            await self.transfers(transfer(amount, currency, recipient=to))

    async def transfers(self, *transfers: TransferView) -> None:
        await self.books.apply_transfers(page(transfers, next_=f"a.{next(self.pages)}"))

    async def verdicts(self, *fates: TransactionView) -> None:
        """Tell of fates, of an expiry not before its time."""
        over_ms = (one.expires_at_ms for one in fates if one.state is TransactionState.EXPIRED)
        self.clock.advance(milliseconds=max(0, max(over_ms, default=0) - self.clock.now_ms()))
        await self.books.apply_verdicts(page(fates, next_=f"a.{next(self.pages)}"))

    async def accept(self, *intents: Intent, caller: str = "payout-router") -> list[SendResult]:
        return await self.sender.accept(intents, caller=caller)

    async def taken(self, wanted: Intent) -> Send:
        (result,) = await self.accept(wanted, caller=wanted.origin.service)
        assert result.problem is None, result.problem
        return await self.read(wanted.send_key)

    async def signed(self, wanted: Intent) -> Send:
        await self.taken(wanted)
        await self.sender.sign_due()
        return await self.read(wanted.send_key)

    async def submitted_by_treasury(self) -> Send:
        await self.treasury()
        return await self.submitted(intent())

    async def submitted(self, wanted: Intent) -> Send:
        await self.signed(wanted)
        await self.sender.submit_signed()
        return await self.read(wanted.send_key)

    async def read(self, key: str) -> Send:
        return (await self.store.sends_by_key([key]))[key]

    async def attempts(self, send: Send) -> list[Attempt]:
        page_ = await self.storage.list(ATTEMPTS, "send", send.id, limit=100)
        return page_.items

    async def position(self, owner: Address, currency: Currency) -> Position:
        (found,) = (await self.store.positions([(owner, currency)])).values()
        return found

    async def journal(self) -> list[JournalEntryLine]:
        lines: list[JournalEntryLine] = []
        cursor = None
        while True:
            page_ = await self.storage.list(JOURNAL, "account", limit=1_000, cursor=cursor)
            lines += page_.items
            cursor = page_.next
            if cursor is None:
                return lines

    async def events(self) -> list[str]:
        feed = await self.storage.read_feed(SEND_FEED, after=0, limit=1_000)
        return [event.type for event in feed.events]


def intent(
    name: str = "one",
    *,
    ordinal: int = 0,
    amount: int = 25 * TRX,
    wallet_id: str = "wal_000001",
    kind: SendKind = SendKind.TRC20_TRANSFER,
    origin: str = "payout-router",
    purpose: Purpose = Purpose.PAYOUT,
    recipient: Address | None = CUSTOMER,
    contract: Address | None = USDT,
    resource: str | None = None,
    max_fee_sun: int = 100 * TRX,
    not_after: int = START_MS + 86_400_000,
) -> Intent:
    """Make an intent; what does not belong to its kind is left out."""
    stakes = kind in {SendKind.FREEZE_BALANCE, SendKind.UNFREEZE_BALANCE}
    return Intent(
        send_key=send_key(origin, name, ordinal),
        origin=Origin(service=origin, principal="ada"),
        purpose=purpose,
        wallet_id=wallet_id,
        kind=kind,
        params=SendParams(
            amount_base_units=str(amount),
            recipient=None if stakes else recipient,
            contract_address=contract if kind is SendKind.TRC20_TRANSFER else None,
            resource=resource or ("energy" if stakes else None),
        ),
        max_fee_sun=str(max_fee_sun),
        not_after=not_after,
    )


def log_of(send: Send, **changes: object) -> LogView:
    fields: dict[str, object] = {
        "position": 0,
        "contract_address": send.contract,
        "sender": send.owner,
        "recipient": send.recipient,
        "amount_base_units": str(send.amount),
    }
    return LogView.model_validate(fields | changes)


def fate(
    send: Send,
    state: TransactionState,
    *,
    txid: str | None = None,
    fee_sun: int = 345_000,
    logs: Sequence[LogView] | None = None,
    height: int = 120,
    in_block: bool | None = None,
    operators: int | None = None,
) -> TransactionView:
    """Say what became of a send's transaction; as meant unless other logs are given."""
    settled = state in {TransactionState.CONFIRMED, TransactionState.FAILED}
    is_verdict = settled or state is TransactionState.EXPIRED
    if in_block is None:
        in_block = settled or state is TransactionState.INCLUDED
    if logs is None:
        token = send.kind is SendKind.TRC20_TRANSFER and state is TransactionState.CONFIRMED
        logs = [log_of(send)] if token else []
    receipt = ReceiptView(
        result="SUCCESS" if state is TransactionState.CONFIRMED else "REVERT",
        fee_sun=str(fee_sun),
        energy_used=0,
        energy_fee_sun="0",
        bandwidth_used=345,
        bandwidth_fee_sun=str(fee_sun),
        transfers=list(logs),
    )
    return TransactionView(
        txid=txid or send.txid or "",
        send_key=send.send_key,
        state=state,
        outcome=BroadcastOutcome.ACCEPTED,
        outcome_message=None,
        broadcasts=1,
        expires_at_ms=send.expires_at_ms or 1,
        block=block(height) if in_block else None,
        receipt=receipt if settled else None,
        operators=(2 if is_verdict else 0) if operators is None else operators,
    )


_transfer_numbers = itertools.count(1)


def transfer(
    amount: int,
    currency: Currency,
    *,
    sender: Address = STRANGER,
    recipient: Address,
    txid: str | None = None,
    state: TransferState = TransferState.CONFIRMED,
) -> TransferView:
    txid = txid or f"{next(_transfer_numbers):064x}"
    return TransferView(
        transfer_id=f"genesis:{txid}:log:0",
        state=state,
        txid=txid,
        source=TransferSource.LOG if currency is Currency.USDT else TransferSource.NATIVE,
        position=0,
        block=block(110),
        currency=currency,
        contract_address=USDT if currency is Currency.USDT else None,
        sender=sender,
        recipient=recipient,
        amount=format_base_units(amount),
        amount_base_units=str(amount),
    )


V = TypeVar("V", bound=BaseModel)


def page(objects: Sequence[V], *, next_: str) -> FeedView[V]:
    """Make a page of a feed."""
    items = [
        FeedItem[Any](seq=number, id=f"evt_{number}", type="x", at=rfc3339(START_MS), object=one)
        for number, one in enumerate(objects, start=1)
    ]
    return FeedView[Any](items=items, next=next_, incarnation="a")


def rules(**changes: object) -> SigningRules:
    fields: dict[str, object] = {
        "genesis_block_id": FACTS_HERE.genesis_block_id,
        "usdt_contract": USDT,
        "enabled": True,
        "lifetime_ms": LIFETIME_MS,
        "offline_lifetime_ms": 23 * 3_600_000,
        "max_skew_ms": 60_000,
        "max_attempts": MAX_ATTEMPTS,
        "batch": 100,
        "retry_ms": RETRY_MS,
        "margin_percent": 20,
    }
    return SigningRules(**(fields | changes))  # type: ignore[arg-type]


def vault() -> Vault:
    """Open a fresh vault."""
    founding, _ = new_seed(MASTER_KEY, network="devnet", at_ms=START_MS)
    opened = Vault(network="devnet", coin_type=FACTS_HERE.coin_type)
    opened.open(MASTER_KEY, founding.secrets)
    return opened


def till_on(
    storage: Storage,
    *,
    clock: HeldClock,
    chain: Chain,
    vault: Vault,
    ids: "itertools.count[int]",
    rules: SigningRules,
    gates: Sequence[Gate] = (),
    guards: Sequence[Guard] = (),
    ledger: LedgerClock | None = None,
    held_back: Callable[[str], str | None] = lambda _: None,
) -> Till:
    def new_id(prefix: str) -> str:
        return f"{prefix}_{next(ids):06d}"

    alarm_ids = itertools.count(1)
    store, lock = WalletStore(storage), asyncio.Lock()
    alarms = Alarms(
        storage=storage,
        clock=clock,
        new_id=lambda prefix: f"{prefix}_{storage.incarnation}_{next(alarm_ids)}",
        metrics=Metrics(),
    )
    ledger = ledger or LedgerClock(storage, clock)
    timekeeper = Timekeeper(chain=chain, ledger=ledger, clock=clock, max_skew_ms=rules.max_skew_ms)
    parts = assemble(
        Site(
            store=store,
            vault=vault,
            chain=chain,
            clock=clock,
            clocks=timekeeper,
            ledger=ledger,
            new_id=new_id,
            network=Network.DEVNET,
            rules=rules,
            audit=Audit(store=store, clock=clock),
            alarms=alarms,
            gates=gates,
            guards=guards,
            held_back=held_back,
            books_lock=lock,
        )
    )
    return Till(
        storage=storage,
        clock=clock,
        chain=chain,
        vault=vault,
        store=store,
        wallets=parts.wallets,
        sender=parts.sender,
        oversight=parts.oversight,
        offline=parts.offline,
        books=parts.books,
        imports=parts.imports,
        claims=parts.claims,
        recovery=parts.recovery,
        alarms=alarms,
        timekeeper=timekeeper,
        books_lock=lock,
    )


async def open_storage(root: Path) -> SqliteStorage:
    stamp = Stamp(network="devnet", contract=USDT)
    return await SqliteStorage.open(root / "wallets.sqlite3", SCHEMA, stamp)

"""What wallet-manager keeps: the sealed seed, wallets, addresses, sends, attempts and the books."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.wallet_manager.domain.books import (
    JournalEntryLine,
    Position,
    empty_position,
    position_id,
)
from services.wallet_manager.domain.sends import Attempt, Send
from services.wallet_manager.domain.wallets import DepositAddress, Wallet
from services.wallet_manager.vault import SEED_ID, SealedSeed
from shared.models.wallet_manager import SendState, SendView, WalletRole
from shared.money import Currency
from shared.storage import (
    Collection,
    DuplicateRecord,
    Feed,
    Index,
    Lease,
    Leased,
    Page,
    Schema,
    Storage,
    StorageError,
    Unit,
)
from shared.tron.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a feed has been applied."""

    id: str
    version: int = 0
    cursor: str = ""


WALLET_KEYS: Final = Collection(name="wallet_keys", record=SealedSeed)
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
    ),
)
SENDS: Final = Collection(
    name="sends",
    record=Send,
    indexes=(
        Index(name="send_key", fields=("send_key",), unique=True),
        Index(name="state", fields=("state", "due_ms")),
        Index(name="wallet", fields=("wallet_id", "created_at_ms")),
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
POSITIONS: Final = Collection(name="positions", record=Position)
JOURNAL: Final = Collection(
    name="journal",
    record=JournalEntryLine,
    indexes=(Index(name="account", fields=("account", "order")),),
)
CURSORS: Final = Collection(name="cursors", record=Cursor)
SEND_FEED: Final = Feed(name="sends")

SCHEMA: Final = Schema(
    service="wallet-manager",
    version=1,
    collections=(WALLET_KEYS, WALLETS, ADDRESSES, SENDS, ATTEMPTS, POSITIONS, JOURNAL, CURSORS),
    feeds=(SEND_FEED,),
)

LEASE_MS: Final = 60_000


class WalletStore:
    """wallet-manager's records."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    async def seed(self) -> SealedSeed | None:
        """Return the sealed seed, or None before one was made."""
        return await self.storage.get(WALLET_KEYS, SEED_ID)

    async def save_seed(self, seed: SealedSeed) -> None:
        """Store the one seed; raises DuplicateRecord if there is one already."""
        await self.storage.commit(Unit().insert(WALLET_KEYS, seed))

    async def wallet(self, wallet_id: str) -> Wallet | None:
        """Return a wallet by id."""
        return await self.storage.get(WALLETS, wallet_id)

    async def wallet_by_address(self, address: Address) -> Wallet | None:
        """Return the wallet whose own address this is."""
        return await self.storage.find(WALLETS, "address", address)

    async def wallet_by_identity(self, identity: str) -> Wallet | None:
        """Return the wallet that a request made before."""
        return await self.storage.find(WALLETS, "identity", identity)

    async def treasury(self) -> Wallet | None:
        """Return the wallet that pays."""
        return await self.storage.find(WALLETS, "treasury", WalletRole.TREASURY.value)

    async def wallets(self, *, cursor: str | None, limit: int) -> Page[Wallet]:
        """Return a page of wallets, oldest first."""
        return await self.storage.list(WALLETS, "created", limit=limit, cursor=cursor)

    async def next_account(self) -> int:
        """Return the number after the highest account."""
        page = await self.storage.list(WALLETS, "account", limit=1, descending=True)
        return page.items[0].account + 1 if page.items else 0

    async def add_wallet(self, wallet: Wallet) -> None:
        """Store a new wallet; raises DuplicateRecord naming what is taken."""
        await self.storage.commit(Unit().insert(WALLETS, wallet))

    async def save_wallet(self, wallet: Wallet) -> None:
        """Store a changed wallet."""
        await self.storage.commit(Unit().update(WALLETS, wallet))

    async def address(self, address: Address) -> DepositAddress | None:
        """Return a deposit address."""
        return await self.storage.get(ADDRESSES, address)

    async def address_by_identity(self, identity: str) -> DepositAddress | None:
        """Return the address that a request was given before."""
        return await self.storage.find(ADDRESSES, "identity", identity)

    async def add_address(self, wallet: Wallet, address: DepositAddress) -> None:
        """Take a leaf of the wallet and store its address, both or neither."""
        unit = Unit().update(WALLETS, wallet.with_next_index()).insert(ADDRESSES, address)
        await self.storage.commit(unit)

    async def save_address(self, address: DepositAddress) -> None:
        """Store a changed address."""
        await self.storage.commit(Unit().update(ADDRESSES, address))

    async def owned(self, addresses: Iterable[Address]) -> set[Address]:
        """Return which of these addresses are ours."""
        wanted = sorted(set(addresses))
        if not wanted:
            return set()
        deposit = await self.storage.get_many(ADDRESSES, wanted)
        own = await self.storage.find_many(WALLETS, "address", wanted)
        return {Address(address) for address in deposit} | {wallet.address for wallet in own}

    async def send(self, send_id: str) -> Send | None:
        """Return a send by id."""
        return await self.storage.get(SENDS, send_id)

    async def sends_by_key(self, keys: Sequence[str]) -> dict[str, Send]:
        """Return sends by their keys."""
        found = await self.storage.find_many(SENDS, "send_key", list(dict.fromkeys(keys)))
        return {send.send_key: send for send in found}

    async def attempts(self, txids: Sequence[str]) -> dict[str, Attempt]:
        """Return attempts by their txids."""
        return await self.storage.get_many(ATTEMPTS, list(dict.fromkeys(txids)))

    async def attempt(self, txid: str) -> Attempt | None:
        """Return one attempt."""
        return await self.storage.get(ATTEMPTS, txid)

    async def sends(self, ids: Iterable[str]) -> dict[str, Send]:
        """Return sends by id."""
        return await self.storage.get_many(SENDS, sorted(set(ids)))

    async def add_sends(self, sends: Sequence[tuple[Send, SendView]]) -> list[bool | StorageError]:
        """Store new sends, each on its own; True, False where the key is taken, or the error."""
        units = [_announce(Unit().insert(SENDS, send), send, view) for send, view in sends]
        outcomes = await self.storage.commit_all(units)
        return [_inserted(outcome) for outcome in outcomes]

    async def claim_queued(self, *, now_ms: int, limit: int) -> list[Leased[Send]]:
        """Lease queued sends that are due."""
        return await self.storage.claim(
            SENDS,
            "state",
            SendState.QUEUED.value,
            at_most=now_ms,
            limit=limit,
            owner="signer",
            now_ms=now_ms,
            lease_ms=LEASE_MS,
        )

    async def due_to_submit(self, *, now_ms: int, limit: int) -> list[Send]:
        """Return signed sends that tron-client has not durably taken over."""
        page = await self.storage.list(
            SENDS, "state", SendState.SIGNED.value, limit=limit, at_most=now_ms
        )
        return page.items

    async def in_state(
        self, state: SendState, *, limit: int, cursor: str | None = None
    ) -> Page[Send]:
        """Return a page of the sends in a state, longest due first."""
        return await self.storage.list(SENDS, "state", state.value, limit=limit, cursor=cursor)

    async def count(self, state: SendState) -> int:
        """Count the sends in a state."""
        return await self.storage.count(SENDS, "state", state.value)

    async def positions(self, wanted: Iterable[tuple[Address, Currency]]) -> dict[str, Position]:
        """Return positions by id, empty ones included."""
        pairs = {
            position_id(address, currency): (address, currency) for address, currency in wanted
        }
        found = await self.storage.get_many(POSITIONS, sorted(pairs)) if pairs else {}
        return {id_: found.get(id_) or empty_position(*pair) for id_, pair in pairs.items()}

    async def journal(
        self, account: str, *, cursor: str | None, limit: int
    ) -> Page[JournalEntryLine]:
        """Return the lines of an account, newest first."""
        return await self.storage.list(
            JOURNAL, "account", account, limit=limit, cursor=cursor, descending=True
        )

    async def cursor(self, feed: str) -> Cursor:
        """Return how far a feed has been applied."""
        return await self.storage.get(CURSORS, feed) or Cursor(id=feed)

    async def commit(self, change: "Change") -> None:
        """Carry out a change of sends and books, all or nothing."""
        await self.storage.commit(change.unit())


class Change:
    """A change of sends and books that happens as one: built up, then committed."""

    def __init__(self) -> None:
        self._sends: dict[str, tuple[Send, SendView | None]] = {}
        self._attempts: list[Attempt] = []
        self._positions: dict[str, Position] = {}
        self._wallets: dict[str, Wallet] = {}
        self._lines: dict[str, JournalEntryLine] = {}
        self._cursor: Cursor | None = None
        self._leases: list[Lease] = []

    def send(self, send: Send, view: SendView | None) -> None:
        """Store a send as changed; with a view, tell the feed."""
        self._sends[send.id] = (send, view)

    def lease(self, lease: Lease) -> None:
        """Insist that a lease is still ours and give it up."""
        self._leases.append(lease)

    def attempt(self, attempt: Attempt) -> None:
        """Store a signed attempt."""
        self._attempts.append(attempt)

    def position(self, position: Position) -> None:
        """Store a position as changed."""
        self._positions[position.id] = position

    def wallet(self, wallet: Wallet) -> None:
        """Store a wallet as changed."""
        self._wallets[wallet.id] = wallet

    def journal(self, lines: Iterable[JournalEntryLine]) -> None:
        """Add lines to the journal."""
        self._lines.update({line.id: line for line in lines})

    def cursor(self, cursor: Cursor, text: str) -> None:
        """Move a feed's cursor."""
        if cursor.cursor != text:
            self._cursor = replace(cursor, cursor=text)

    def is_empty(self) -> bool:
        """True when there is nothing to commit."""
        changed = (self._sends, self._attempts, self._lines, self._wallets, self._cursor)
        return not any(changed)

    def unit(self) -> Unit:
        """Return the unit of work."""
        unit = Unit()
        for lease in self._leases:
            unit.release(SENDS, lease)
        for position in self._positions.values():
            (unit.update if position.version else unit.insert)(POSITIONS, position)
        for attempt in self._attempts:
            unit.insert(ATTEMPTS, attempt)
        for line in self._lines.values():
            unit.insert(JOURNAL, line)
        for wallet in self._wallets.values():
            unit.update(WALLETS, wallet)
        for send, view in self._sends.values():
            unit.update(SENDS, send)
            if view is not None:
                _announce(unit, send, view)
        if self._cursor is not None:
            (unit.update if self._cursor.version else unit.insert)(CURSORS, self._cursor)
        return unit


def _announce(unit: Unit, send: Send, view: SendView) -> Unit:
    return unit.publish(
        SEND_FEED,
        id=f"{send.id}.{send.version + 1}",
        type=f"send.{send.state.value}",
        at_ms=send.updated_at_ms,
        object=view.model_dump(mode="json"),
    )


def _inserted(outcome: object) -> bool | StorageError:
    match outcome:
        case DuplicateRecord(index="send_key"):
            return False
        case StorageError():
            return outcome
        case _:
            return True

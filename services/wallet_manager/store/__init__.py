"""What wallet-manager keeps: the sealed seed, wallets, addresses, sends, attempts and the books."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from services.wallet_manager.domain.audit import HEAD_ID, AuditHead, Decision
from services.wallet_manager.domain.books import (
    JournalEntryLine,
    Position,
    empty_position,
    order_at,
    position_id,
)
from services.wallet_manager.domain.reconciliation import Finding
from services.wallet_manager.domain.recovery import RUN_ID, ClaimState, Run, Unclaimed
from services.wallet_manager.domain.sends import Attempt, Send
from services.wallet_manager.domain.unlocking import TRIES_ID, Tries
from services.wallet_manager.domain.wallets import DepositAddress, Wallet
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import (
    ADDRESSES,
    ATTEMPTS,
    AUDIT_HEADS,
    AUDIT_PAGES,
    CURSORS,
    FINDINGS,
    JOURNAL,
    KEY_RINGS,
    POSITIONS,
    RUNS,
    SCHEMA,
    SECRETS,
    SENDS,
    UNCLAIMED,
    UNLOCK_TRIES,
    WALLET_KEYS,
    WALLETS,
    Cursor,
)
from services.wallet_manager.vault import (
    RING_ID,
    SEED_ID,
    Founding,
    KeyRing,
    SealedSecret,
    SealedSeed,
)
from shared.models.wallet_manager import WalletRole
from shared.models.wallet_sends import FINAL_SEND_STATES, SendState
from shared.money import Currency
from shared.storage import (
    MAX_ROWS,
    Collection,
    DuplicateRecord,
    Leased,
    Page,
    Storage,
    StorageError,
    Unit,
    written,
)
from shared.storage.schema import R
from shared.tron.address import Address

__all__ = ["SCHEMA", "UNDER_WAY", "WalletStore"]

UNDER_WAY: Final = (
    SendState.AWAITING_SIGNATURE,
    SendState.SIGNED,
    SendState.SUBMITTED,
    SendState.SEEN,
    SendState.UNKNOWN,
)
"""States of sends whose transaction has no verdict and keeps its hold."""

LEASE_MS: Final = 60_000


class WalletStore:
    """wallet-manager's records."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._audit_head: AuditHead | None = None
        self._auditing = asyncio.Lock()

    async def first_seed(self) -> SealedSeed | None:
        """Return the seed as the first format stored it, or None."""
        return await self.storage.get(WALLET_KEYS, SEED_ID)

    async def key_ring(self) -> KeyRing | None:
        """Return which master keys are in use, or None before there is a seed in this format."""
        return await self.storage.get(KEY_RINGS, RING_ID)

    async def sealed_secrets(self, *, up_to: int | None = None) -> list[SealedSecret]:
        """Return a page of sealed secrets, the oldest generation first.

        Args:
            up_to: the newest generation to return.
        """
        page = await self.storage.list(SECRETS, "generation", limit=MAX_ROWS, at_most=up_to)
        return list(page.items)

    async def tries(self) -> Tries:
        """Return how often the passphrase was tried without success."""
        return await self.storage.get(UNLOCK_TRIES, TRIES_ID) or Tries()

    async def found(self, founding: Founding, *, replaces: SealedSeed | None = None) -> None:
        """Store the one seed, in place of one of the first format if there is one; all or nothing.

        Raises:
            DuplicateRecord: there is one already.
        """
        unit = Unit().insert(KEY_RINGS, founding.ring)
        for secret in founding.secrets:
            unit.insert(SECRETS, secret)
        if replaces is not None:
            unit.delete(WALLET_KEYS, replaces)
        await self.storage.commit(unit)

    async def wallet(self, wallet_id: str) -> Wallet | None:
        """Return a wallet by id."""
        return await self.storage.get(WALLETS, wallet_id)

    async def wallets_by_id(self, ids: Iterable[str]) -> dict[str, Wallet]:
        """Return those wallets that exist, by id."""
        return await self.storage.get_many(WALLETS, sorted(set(ids)))

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
        """Return the number after the highest account, and after those that a copy may have forgotten."""
        page = await self.storage.list(WALLETS, "account", limit=1, descending=True)
        highest = page.items[0].account if page.items else None
        run = await self.run()
        return max(0 if highest is None else highest + 1, run.next_account if run else 0)

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

    async def attempt_numbers(self, send_id: str) -> set[int]:
        """Return the numbers of a send's attempts."""
        page = await self.storage.list(ATTEMPTS, "send", send_id, limit=MAX_ROWS)
        return {attempt.number for attempt in page.items}

    async def sends(self, ids: Iterable[str]) -> dict[str, Send]:
        """Return sends by id."""
        return await self.storage.get_many(SENDS, sorted(set(ids)))

    async def add_sends(self, changes: Sequence[Change]) -> list[bool | StorageError]:
        """Store new sends, each on its own; True, False where the key is taken, or the error."""
        return [_inserted(outcome) for outcome in await self.commit_each(changes)]

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

    async def lanes(self, lanes: Iterable[str]) -> dict[str, list[Send]]:
        """Return the sends under way in each lane, oldest first (hazard H16)."""
        found = {}
        for lane in sorted(set(lanes)):
            page = await self.storage.list(SENDS, "lane", lane, limit=MAX_ROWS)
            found[lane] = page.items
        return found

    async def count(self, state: SendState) -> int:
        """Count the sends in a state."""
        return await self.storage.count(SENDS, "state", state.value)

    async def positions(self, wanted: Iterable[tuple[str, Currency]]) -> dict[str, Position]:
        """Return positions by id, empty ones included."""
        pairs = {
            position_id(account, currency): (account, currency) for account, currency in wanted
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

    async def all_positions(self, *, cursor: str | None, limit: int) -> Page[Position]:
        """Return a page of positions, by address."""
        return await self.storage.list(POSITIONS, "address", limit=limit, cursor=cursor)

    async def journal_between(
        self, account: str, *, since_ms: int, until_ms: int, cursor: str | None, limit: int
    ) -> Page[JournalEntryLine]:
        """Return a page of an account's lines of a period, its beginning included, oldest first."""
        return await self.storage.list(
            JOURNAL,
            "account",
            account,
            at_least=order_at(since_ms),
            at_most=order_at(until_ms),
            limit=limit,
            cursor=cursor,
        )

    async def journal_after(
        self, account: str, *, after_ms: int, cursor: str | None, limit: int
    ) -> Page[JournalEntryLine]:
        """Return a page of an account's lines of later moments, oldest first."""
        return await self.storage.list(
            JOURNAL, "account", account, at_least=order_at(after_ms + 1), limit=limit, cursor=cursor
        )

    async def findings(self, ids: Sequence[str]) -> dict[str, Finding]:
        """Return how accounts compared with the chain, by their positions' ids."""
        return await self.storage.get_many(FINDINGS, list(dict.fromkeys(ids)))

    async def save_finding(self, finding: Finding) -> None:
        """Store how an account compared."""
        await self._put(FINDINGS, finding)

    async def save_position(self, position: Position) -> None:
        """Store a changed position by itself."""
        await self._put(POSITIONS, position)

    async def under_way(self, owner: Address) -> list[Send]:
        """Return the sends of an owner that were signed and have no final answer."""
        found: list[Send] = []
        for state in UNDER_WAY:
            cursor: str | None = None
            while True:
                page = await self.in_state(state, limit=MAX_ROWS, cursor=cursor)
                found += [send for send in page.items if send.owner == owner]
                cursor = page.next
                if cursor is None:
                    break
        return found

    async def journal_of(self, txids: Sequence[str]) -> list[JournalEntryLine]:
        """Return the lines that transactions made."""
        return await self.storage.find_many(JOURNAL, "txid", list(dict.fromkeys(txids)))

    async def cursor(self, feed: str) -> Cursor:
        """Return how far a feed has been applied."""
        return await self.storage.get(CURSORS, feed) or Cursor(id=feed)

    async def save_cursor(self, before: Cursor, text: str) -> None:
        """Store how far something was followed."""
        after = replace(before, cursor=text)
        await self._put(CURSORS, after)

    async def run(self) -> Run | None:
        """Return the mark of the process that opened this database last."""
        return await self.storage.get(RUNS, RUN_ID)

    async def save_run(self, run: Run) -> Run:
        """Store the mark and return it as stored."""
        await self._put(RUNS, run)
        return written(run)

    async def unclaimed(self, txids: Sequence[str]) -> dict[str, Unclaimed]:
        """Return transactions that no record explained when they were found, by txid."""
        return await self.storage.get_many(UNCLAIMED, list(dict.fromkeys(txids)))

    async def open_claims(self, facts: str) -> list[Unclaimed]:
        """Return the transactions that do just this and are still unexplained."""
        page = await self.storage.list(
            UNCLAIMED, "facts", facts, ClaimState.OPEN.value, limit=MAX_ROWS
        )
        return page.items

    async def unclaimed_page(
        self, state: ClaimState, *, cursor: str | None, limit: int
    ) -> Page[Unclaimed]:
        """Return a page of such transactions, oldest find first."""
        return await self.storage.list(UNCLAIMED, "state", state.value, limit=limit, cursor=cursor)

    async def open_claims_of(self, owner: Address) -> list[Unclaimed]:
        """Return the transactions of an owner that are still unexplained."""
        found: list[Unclaimed] = []
        cursor: str | None = None
        while True:
            page = await self.unclaimed_page(ClaimState.OPEN, cursor=cursor, limit=MAX_ROWS)
            found += [one for one in page.items if one.owner == owner]
            cursor = page.next
            if cursor is None:
                return found

    async def count_open_claims(self) -> int:
        """Count the transactions that are still unexplained."""
        return await self.storage.count(UNCLAIMED, "state", ClaimState.OPEN.value)

    async def wallet_id_of(self, owner: Address) -> str | None:
        """Return the id of the wallet that an address of ours belongs to."""
        leaf = await self.address(owner)
        if leaf is not None:
            return leaf.wallet_id
        wallet = await self.wallet_by_address(owner)
        return wallet.id if wallet else None

    async def addresses(self, *, cursor: str | None, limit: int) -> Page[DepositAddress]:
        """Return a page of deposit addresses, by wallet and leaf."""
        return await self.storage.list(ADDRESSES, "wallet", limit=limit, cursor=cursor)

    async def add_leaves(self, wallet: Wallet, leaves: Sequence[DepositAddress]) -> None:
        """Store addresses of a wallet with the wallet moved past them, all or nothing."""
        unit = Unit().update(WALLETS, wallet)
        for leaf in leaves:
            unit.insert(ADDRESSES, leaf)
        await self.storage.commit(unit)

    async def owners_under_way(self) -> set[Address]:
        """Return the addresses that sends without a final answer are paid from."""
        found: set[Address] = set()
        for state in SendState:
            if state in FINAL_SEND_STATES:
                continue
            cursor: str | None = None
            while True:
                page = await self.in_state(state, limit=MAX_ROWS, cursor=cursor)
                found |= {send.owner for send in page.items}
                cursor = page.next
                if cursor is None:
                    break
        return found

    async def _put(self, collection: Collection[R], record: R) -> None:
        unit = Unit()
        (unit.update if record.version else unit.insert)(collection, record)
        await self.storage.commit(unit)

    async def commit(self, change: Change) -> None:
        """Carry out a change of sends and books with the decisions in it, all or nothing."""
        await self.record(change.unit(), change.decisions)

    async def commit_each(self, changes: Sequence[Change]) -> list[StorageError | None]:
        """Carry out changes, each all or nothing; returns for each None or why it was not.

        They go into one unit as long as nothing stands in the way of any of them.
        """
        if not changes:
            return []
        try:
            whole = Unit()
            for change in changes:
                change.unit(whole)
            await self.record(whole, [one for change in changes for one in change.decisions])
        except StorageError as error:
            if len(changes) == 1:
                return [error]
            return [(await self.commit_each([change]))[0] for change in changes]
        return [None] * len(changes)

    async def record(self, unit: Unit, decisions: Sequence[Decision]) -> None:
        """Carry out a unit together with the decisions that it carries out, all or nothing.

        Raises:
            StorageError: nothing was stored, neither the unit nor the decisions.
        """
        if not decisions:
            await self.storage.commit(unit)
            return
        async with self._auditing:
            head = self._audit_head or await self.audit_head()
            page, after = head.after(decisions)
            unit.insert(AUDIT_PAGES, page)
            (unit.update if after.version else unit.insert)(AUDIT_HEADS, after)
            self._audit_head = None
            await self.storage.commit(unit)
            self._audit_head = written(after)

    async def audit_head(self) -> AuditHead:
        """Return where the chain of decisions ends."""
        return await self.storage.get(AUDIT_HEADS, HEAD_ID) or AuditHead()


def _inserted(outcome: object) -> bool | StorageError:
    match outcome:
        case DuplicateRecord(index="send_key"):
            return False
        case StorageError():
            return outcome
        case _:
            return True

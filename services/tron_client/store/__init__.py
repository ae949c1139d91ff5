"""What tron-client keeps: its progress, held blocks, watches, transfers and submitted transactions.

Whatever moves the progress is committed with everything that follows from it, feed events included.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from services.tron_client.domain.broadcasting import BROADCASTING_ID, Broadcasting
from services.tron_client.domain.credits import Doubt
from services.tron_client.domain.notices import Notice, haunting_notice, notice_view
from services.tron_client.domain.progress import PROGRESS_ID, HeldBlock, Progress, Watch
from services.tron_client.domain.transactions import FOLLOWED, Tracked, transaction_view
from services.tron_client.domain.transfers import Transfer, token_transfer_view, transfer_view
from services.tron_client.store.addresses import AddressSet, packed
from services.tron_client.store.schema import (
    BLOCKS,
    BROADCASTING,
    DOUBTS,
    NOTICE_FEED,
    NOTICES,
    ONE_WORD_SUMS,
    PROGRESS,
    SCHEMA,
    TOKEN_FEED,
    TRANSACTION_FEED,
    TRANSACTIONS,
    TRANSFER_FEED,
    TRANSFERS,
    WATCHES,
)
from shared.clock import Clock
from shared.ids import NewId
from shared.models.tron_transactions import TransactionState
from shared.storage import MAX_ROWS, Collection, Page, Record, Storage, Unit, written
from shared.storage.tally import Tally
from shared.tron.address import Address

__all__ = ["SCHEMA", "ChainStore", "Told", "told"]

R = TypeVar("R", bound=Record)


RETRACTED: Final = "transaction.retracted"
ALARM: Final = "alarm.expired_transaction_on_chain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A transaction as it is to be stored, with the event that tells of it."""

    transaction: Tracked
    event: str


def told(transaction: Tracked) -> Told:
    """Return a transaction with the event named after its state."""
    return Told(transaction=transaction, event=f"transaction.{transaction.state}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One move of the progress and everything that follows from it, committed together."""

    progress: Progress
    added: tuple[HeldBlock, ...] = ()
    dropped: tuple[HeldBlock, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    transactions: tuple[Told, ...] = ()
    notices: tuple[Notice, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    sums: tuple[Tally, ...] = ()


class ChainStore:
    """tron-client's records."""

    def __init__(self, storage: Storage, *, clock: Clock, new_id: NewId) -> None:
        self.storage = storage
        self._clock = clock
        self._new_id = new_id
        self._news = asyncio.Event()

    async def progress(self) -> Progress | None:
        """Return how far the chain has been followed, or None before the first block."""
        return await self.storage.get(PROGRESS, PROGRESS_ID)

    async def take(self, step: Step) -> Progress:
        """Commit a step and return the progress as stored."""
        unit = Unit()
        for block in step.dropped:
            unit.delete(BLOCKS, block)
        for block in step.added:
            unit.insert(BLOCKS, block)
        for transfer in step.transfers:
            self.put_transfer(unit, transfer)
        for each in step.transactions:
            self.put(unit, TRANSACTIONS, each.transaction)
            self._tell_transaction(unit, each)
        for notice in await self._new_notices(step):
            self.put_notice(unit, notice)
        self.put_doubts(unit, step.doubts, step.sums)
        self.put(unit, PROGRESS, step.progress)
        await self.storage.commit(unit)
        if step.transactions:
            self._ring()
        return written(step.progress)

    async def _new_notices(self, step: Step) -> list[Notice]:
        """Return what a step must tell of; a block that comes back after a fork tells it once."""
        haunting = [
            haunting_notice(each.transaction) for each in step.transactions if each.event == ALARM
        ]
        known = await self.many(NOTICES, [each.id for each in haunting])
        return [*step.notices, *(each for each in haunting if each.id not in known)]

    async def block_at(self, height: int) -> HeldBlock | None:
        """Return the block that is held at a height."""
        return await self.storage.find(BLOCKS, "height", height)

    async def lowest_block(self, above: int) -> HeldBlock | None:
        """Return the lowest block that is held above a height."""
        page = await self.storage.list(BLOCKS, "height", at_least=above + 1, limit=1)
        return next(iter(page.items), None)

    async def blocks_between(self, first: int, last: int) -> list[HeldBlock]:
        """Return the held blocks of up to a thousand heights, lowest first."""
        page = await self.storage.list(
            BLOCKS, "height", at_least=first, at_most=last, limit=MAX_ROWS
        )
        return page.items

    async def prune(self, *, below: int) -> int:
        """Let go of held blocks below a height; returns how many, a page at most."""
        page = await self.storage.list(BLOCKS, "height", at_most=below - 1, limit=MAX_ROWS)
        if page.items:
            unit = Unit()
            for block in page.items:
                unit.delete(BLOCKS, block)
            await self.storage.commit(unit)
        return len(page.items)

    async def watches(self, addresses: Sequence[str]) -> dict[str, Watch]:
        """Return those of any number of addresses that are watched."""
        return await self.many(WATCHES, addresses)

    async def transfers(self, ids: Sequence[str]) -> dict[str, Transfer]:
        """Return the transfers that are stored among these ids."""
        return await self.many(TRANSFERS, ids)

    async def transfers_in(self, block_id: str) -> list[Transfer]:
        """Return the transfers last seen in a block."""
        return await self._all(TRANSFERS, "block", block_id)

    async def transfer_count(self) -> int:
        """Count the transfers."""
        return await self.storage.count(TRANSFERS, "block")

    async def transaction(self, txid: str) -> Tracked | None:
        """Return a submitted transaction."""
        return await self.storage.get(TRANSACTIONS, txid)

    async def transactions(self, txids: Sequence[str]) -> dict[str, Tracked]:
        """Return those of any number of txids that were submitted."""
        return await self.many(TRANSACTIONS, txids)

    async def transactions_for(self, send_key: str) -> list[Tracked]:
        """Return the transactions that were submitted for a send."""
        return await self._all(TRANSACTIONS, "send_key", send_key)

    async def transactions_in(self, block_id: str) -> list[Tracked]:
        """Return the submitted transactions that a block holds."""
        return await self._all(TRANSACTIONS, "block", block_id)

    async def to_broadcast(self, *, now_ms: int, limit: int) -> list[Tracked]:
        """Return pending transactions whose bytes are due to be sent again."""
        page = await self.storage.list(
            TRANSACTIONS, "broadcast", TransactionState.PENDING, at_most=now_ms, limit=limit
        )
        return page.items

    async def pending(self, *, limit: int) -> list[Tracked]:
        """Return transactions that no block is known to hold, up to a limit, first to expire first."""
        found: list[Tracked] = []
        cursor = None
        while len(found) < limit:
            page = await self.storage.list(
                TRANSACTIONS,
                "expiry",
                TransactionState.PENDING,
                limit=min(MAX_ROWS, limit - len(found)),
                cursor=cursor,
            )
            found += page.items
            cursor = page.next
            if cursor is None:
                break
        return found

    async def owned(self, owner: Address, *, cursor: str | None, limit: int) -> Page[Tracked]:
        """Return a page of what was submitted for an owner, oldest first."""
        return await self.storage.list(TRANSACTIONS, "owner", owner, limit=limit, cursor=cursor)

    async def broadcasting(self) -> Broadcasting | None:
        """Return the switch that holds bytes back, None if it was never touched."""
        return await self.storage.get(BROADCASTING, BROADCASTING_ID)

    async def save_broadcasting(self, state: Broadcasting) -> None:
        """Store the switch."""
        unit = Unit()
        self.put(unit, BROADCASTING, state)
        await self.storage.commit(unit)

    async def past_expiry(self, *, at_ms: int, limit: int, cursor: str | None) -> Page[Tracked]:
        """Return pending transactions that a block of that time can no longer hold."""
        return await self.storage.list(
            TRANSACTIONS,
            "expiry",
            TransactionState.PENDING,
            at_most=at_ms,
            limit=limit,
            cursor=cursor,
        )

    async def followed(self) -> set[bytes]:
        """Return every txid that is looked for in blocks."""
        txids: set[bytes] = set()
        for state in FOLLOWED:
            txids |= {
                bytes.fromhex(each.id) for each in await self._all(TRANSACTIONS, "expiry", state)
            }
        return txids

    async def watched(self) -> AddressSet:
        """Return every watched address as the 20 bytes that contracts see."""
        found, cursor = AddressSet(), None
        while True:
            page = await self.storage.list(WATCHES, "address", limit=MAX_ROWS, cursor=cursor)
            found.update(packed(each.id) for each in page.items)
            cursor = page.next
            if cursor is None:
                return found

    async def transaction_count(self) -> int:
        """Count the submitted transactions."""
        return await self.storage.count(TRANSACTIONS, "expiry")

    async def count_in(self, state: TransactionState) -> int:
        """Count the submitted transactions in a state."""
        return await self.storage.count(TRANSACTIONS, "expiry", state)

    async def save(self, transactions: Iterable[Tracked]) -> None:
        """Store transactions without telling anybody, together."""
        unit = Unit()
        for transaction in transactions:
            self.put(unit, TRANSACTIONS, transaction)
        if unit.operations:
            await self.storage.commit(unit)

    async def tell(self, changes: Iterable[Told]) -> None:
        """Store transactions and tell of them, together."""
        unit = Unit()
        for each in changes:
            self.put(unit, TRANSACTIONS, each.transaction)
            self._tell_transaction(unit, each)
        if unit.operations:
            await self.storage.commit(unit)
            self._ring()

    def news(self) -> asyncio.Event:
        """Return what is set when the next event of a transaction is stored."""
        return self._news

    def _ring(self) -> None:
        rung, self._news = self._news, asyncio.Event()
        rung.set()

    async def many(self, collection: Collection[R], ids: Sequence[str]) -> dict[str, R]:
        """Return those of any number of ids that a collection holds."""
        found: dict[str, R] = {}
        for start in range(0, len(ids), MAX_ROWS):
            found |= await self.storage.get_many(collection, ids[start : start + MAX_ROWS])
        return found

    async def _all(self, collection: Collection[R], index: str, *equals: str) -> list[R]:
        found: list[R] = []
        cursor = None
        while True:
            page = await self.storage.list(
                collection, index, *equals, limit=MAX_ROWS, cursor=cursor
            )
            found += page.items
            cursor = page.next
            if cursor is None:
                return found

    def put(self, unit: Unit, collection: Collection[Any], record: Any) -> None:
        """Insert a record that was never stored, update another."""
        if record.version:
            unit.update(collection, record)
        else:
            unit.insert(collection, record)

    def put_transfer(self, unit: Unit, transfer: Transfer) -> None:
        """Store a transfer and tell of it; other tokens than USDT have a feed of their own."""
        self.put(unit, TRANSFERS, transfer)
        token = transfer.token
        view = token_transfer_view(transfer, token) if token else transfer_view(transfer)
        unit.publish(
            TOKEN_FEED if token else TRANSFER_FEED,
            id=self._new_id("evt"),
            type=f"transfer.{transfer.state}",
            at_ms=self._clock.now_ms(),
            object=view.model_dump(mode="json"),
        )

    def put_doubts(self, unit: Unit, doubts: Iterable[Doubt], sums: Iterable[Tally]) -> None:
        """Store credits that wait, and what was credited on one operator's word."""
        for doubt in doubts:
            unit.insert(DOUBTS, doubt)
        for tally in sums:
            tally.put(unit, ONE_WORD_SUMS)

    def put_notice(self, unit: Unit, notice: Notice) -> None:
        """Store a notice and tell of it."""
        unit.insert(NOTICES, notice)
        unit.publish(
            NOTICE_FEED,
            id=self._new_id("evt"),
            type=f"chain.{notice.kind}",
            at_ms=self._clock.now_ms(),
            object=notice_view(notice).model_dump(mode="json"),
        )

    def _tell_transaction(self, unit: Unit, change: Told) -> None:
        unit.publish(
            TRANSACTION_FEED,
            id=self._new_id("evt"),
            type=change.event,
            at_ms=self._clock.now_ms(),
            object=transaction_view(change.transaction).model_dump(mode="json"),
        )

"""What tron-client keeps: its progress, held blocks, watches, transfers and submitted transactions.

Whatever moves the progress is committed with everything that follows from it, feed events included.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from services.tron_client.domain.progress import PROGRESS_ID, HeldBlock, Progress, Watch
from services.tron_client.domain.transactions import FOLLOWED, Tracked, transaction_view
from services.tron_client.domain.transfers import Transfer, transfer_view
from shared.clock import Clock
from shared.ids import NewId
from shared.models.tron_client import TransactionState
from shared.storage import (
    MAX_ROWS,
    Collection,
    Feed,
    Index,
    Page,
    Record,
    Schema,
    Storage,
    Unit,
    written,
)
from shared.tron.address import Address, evm_bytes

R = TypeVar("R", bound=Record)

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
    indexes=(Index(name="block", fields=("block_id",)),),
)
TRANSACTIONS: Final = Collection(
    name="tron_receipts",
    record=Tracked,
    indexes=(
        Index(name="send_key", fields=("send_key",)),
        Index(name="broadcast", fields=("state", "next_broadcast_ms")),
        Index(name="expiry", fields=("state", "expires_at_ms")),
        Index(name="block", fields=("block_id",)),
        Index(name="alarm", fields=("is_alarm",)),
    ),
)
TRANSFER_FEED: Final = Feed(name="transfers")
TRANSACTION_FEED: Final = Feed(name="transactions")

SCHEMA: Final = Schema(
    service="tron-client",
    version=1,
    collections=(PROGRESS, BLOCKS, WATCHES, TRANSFERS, TRANSACTIONS),
    feeds=(TRANSFER_FEED, TRANSACTION_FEED),
)

RETRACTED: Final = "transaction.retracted"
ALARM: Final = "alarm.expired_transaction_on_chain"

_COMMIT_AT_ONCE: Final = 2_000


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
            self._put(unit, TRANSFERS, transfer)
            self._tell_transfer(unit, transfer)
        for each in step.transactions:
            self._put(unit, TRANSACTIONS, each.transaction)
            self._tell_transaction(unit, each)
        self._put(unit, PROGRESS, step.progress)
        await self.storage.commit(unit)
        if step.transactions:
            self._ring()
        return written(step.progress)

    async def block_at(self, height: int) -> HeldBlock | None:
        """Return the block that is held at a height."""
        return await self.storage.find(BLOCKS, "height", height)

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
        return await self._many(WATCHES, addresses)

    async def add_watches(self, watches: Sequence[Watch]) -> None:
        """Store new watches; returns once they are durable."""
        for start in range(0, len(watches), _COMMIT_AT_ONCE):
            unit = Unit()
            for watch in watches[start : start + _COMMIT_AT_ONCE]:
                unit.insert(WATCHES, watch)
            await self.storage.commit(unit)

    async def watch_page(self, *, cursor: str | None, limit: int) -> Page[Watch]:
        """Return a page of the watch list, ordered by address."""
        return await self.storage.list(WATCHES, "address", limit=limit, cursor=cursor)

    async def transfers(self, ids: Sequence[str]) -> dict[str, Transfer]:
        """Return the transfers that are stored among these ids."""
        return await self._many(TRANSFERS, ids)

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
        return await self._many(TRANSACTIONS, txids)

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

    async def watched(self) -> set[bytes]:
        """Return every watched address as the 20 bytes that contracts see."""
        return {evm_bytes(Address(watch.id)) for watch in await self._all(WATCHES, "address")}

    async def transaction_count(self) -> int:
        """Count the submitted transactions."""
        return await self.storage.count(TRANSACTIONS, "expiry")

    async def count_in(self, state: TransactionState) -> int:
        """Count the submitted transactions in a state."""
        return await self.storage.count(TRANSACTIONS, "expiry", state)

    async def alarm_count(self) -> int:
        """Count the transactions that appeared on chain after they had been found expired."""
        return await self.storage.count(TRANSACTIONS, "alarm", 1)

    async def save(self, transactions: Iterable[Tracked]) -> None:
        """Store transactions without telling anybody, together."""
        unit = Unit()
        for transaction in transactions:
            self._put(unit, TRANSACTIONS, transaction)
        if unit.operations:
            await self.storage.commit(unit)

    async def tell(self, changes: Iterable[Told]) -> None:
        """Store transactions and tell of them, together."""
        unit = Unit()
        for each in changes:
            self._put(unit, TRANSACTIONS, each.transaction)
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

    async def _many(self, collection: Collection[R], ids: Sequence[str]) -> dict[str, R]:
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

    def _put(self, unit: Unit, collection: Collection[Any], record: Any) -> None:
        if record.version:
            unit.update(collection, record)
        else:
            unit.insert(collection, record)

    def _tell_transfer(self, unit: Unit, transfer: Transfer) -> None:
        unit.publish(
            TRANSFER_FEED,
            id=self._new_id("evt"),
            type=f"transfer.{transfer.state}",
            at_ms=self._clock.now_ms(),
            object=transfer_view(transfer).model_dump(mode="json"),
        )

    def _tell_transaction(self, unit: Unit, change: Told) -> None:
        unit.publish(
            TRANSACTION_FEED,
            id=self._new_id("evt"),
            type=change.event,
            at_ms=self._clock.now_ms(),
            object=transaction_view(change.transaction).model_dump(mode="json"),
        )

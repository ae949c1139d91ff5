"""tron-client's use cases."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from services.tron_client.domain.accounts import Account, read_account
from services.tron_client.domain.parameters import Parameters, read_parameters
from services.tron_client.domain.progress import Progress, Watch
from services.tron_client.domain.transactions import (
    VERDICTS,
    Tracked,
    UnknownTransaction,
    block_ref,
)
from services.tron_client.node.client import CallAnswer
from services.tron_client.store import TRANSACTION_FEED, TRANSFER_FEED, ChainStore
from services.tron_client.store.sight import Sight
from shared.clock import MS_PER_S, Clock
from shared.errors import Unavailable
from shared.feeds import FeedSource
from shared.models.tron_client import (
    CallRequest,
    SignedTransaction,
    TransactionState,
    TransactionView,
    TransferView,
)
from shared.models.wire import BlockRef
from shared.storage import Page
from shared.tron.address import Address, evm_bytes

_NETWORK_IS_SYNCED: Final = "synced"
_NETWORK_LAGS: Final = "lagging"
_NETWORK_UNSEEN: Final = "unreachable"


class Stale(Unavailable):
    """What is known of the chain is too old to act on."""

    code = "LUCID_ERR_9110"
    title = "The chain is out of sight"


class Node(Protocol):
    """A node, as far as callers' questions need it."""

    @property
    def url(self) -> str:
        """Where it is, without anything secret."""
        ...

    def reason(self) -> str | None:
        """Say what is wrong with it."""
        ...

    async def parameters(self) -> Mapping[str, int]:
        """Return the chain parameters."""
        ...

    async def account(self, address: Address) -> Mapping[str, Any]:
        """Return an account as printed."""
        ...

    async def resources(self, address: Address) -> Mapping[str, Any]:
        """Return its resources as printed."""
        ...

    async def call(self, *, owner: Address, contract: Address, data: str) -> CallAnswer:
        """Run a constant call."""
        ...


class Submitter(Protocol):
    """Takes transactions: the tracker."""

    async def submit(self, requests: Sequence[SignedTransaction]) -> list[Tracked]:
        """Store and broadcast."""
        ...


class AbiReader(Protocol):
    """Reads contracts by the ABI they have on chain."""

    async def read(self, contract: Address, function: str, arguments: Sequence[Any]) -> Any:
        """Return what a view function returns."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFacts:
    """Which chain this is, and which token counts on it."""

    network: str
    chain_id: int
    genesis_block_id: str
    token: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the chain looks from here."""

    word: str
    block_height: int
    solid_height: int
    scanned_height: int | None
    head_age_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningContext:
    """What a signer needs now."""

    progress: Progress
    parameters: Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was promised: how many are watched in all, and from which height on these are told."""

    count: int
    birth_height: int


class TronClient:
    """Answers for the chain on one network.

    Attributes:
        facts: which chain it is.
        transfers: the feed of transfers.
        verdicts: the feed of submitted transactions.
    """

    def __init__(
        self,
        *,
        store: ChainStore,
        sight: Sight,
        node: Node,
        tracker: Submitter,
        abi_reader: AbiReader,
        clock: Clock,
        facts: ChainFacts,
        max_head_age_s: int,
    ) -> None:
        self._store = store
        self._sight = sight
        self._node = node
        self._tracker = tracker
        self._abi_reader = abi_reader
        self._clock = clock
        self._max_head_age_s = max_head_age_s
        self.facts = facts
        self._parameters: Parameters | None = None
        self._alarms = 0
        self.transfers = FeedSource(
            storage=store.storage,
            feed=TRANSFER_FEED,
            view=TransferView,
            clock=clock,
            as_of=self._solid,
        )
        self.verdicts = FeedSource(
            storage=store.storage,
            feed=TRANSACTION_FEED,
            view=TransactionView,
            clock=clock,
            as_of=self._solid,
        )

    @property
    def node_url(self) -> str:
        """Where the node is, without anything secret."""
        return self._node.url

    async def refresh_parameters(self) -> bool:
        """Read the chain parameters again; never more work at once."""
        found = await self._node.parameters()
        self._parameters = read_parameters(found, now_ms=self._clock.now_ms())
        return False

    async def count_alarms(self) -> bool:
        """Count expired transactions that came on chain after all; never more work at once."""
        self._alarms = await self._store.alarm_count()
        return False

    def reason(self) -> str | None:
        """Say why callers should not rely on what is known here, or None."""
        if self._alarms:
            return f"{self._alarms} transactions appeared on chain after they had expired"
        age_s = self._head_age_s()
        if age_s is None:
            return self._node.reason() or "no block has been scanned yet"
        if age_s > self._max_head_age_s:
            return self._node.reason() or f"the last block that was scanned is {age_s} s old"
        return None

    def status(self) -> Status:
        """Say how the chain looks."""
        progress, age_s = self._sight.progress, self._head_age_s()
        if progress is None or age_s is None:
            word = _NETWORK_UNSEEN
        else:
            word = _NETWORK_IS_SYNCED if age_s <= self._max_head_age_s else _NETWORK_LAGS
        return Status(
            word=word,
            block_height=progress.head.height if progress else 0,
            solid_height=progress.solid.height if progress else 0,
            scanned_height=progress.head.height if progress else None,
            head_age_s=age_s or 0,
        )

    def parameters(self) -> Parameters:
        """Return the chain parameters as last read; raises Stale before the first time."""
        if self._parameters is None:
            raise Stale("the chain parameters have not been read yet", retry_after_s=2)
        return self._parameters

    def signing_context(self) -> SigningContext:
        """Return what a signer needs; raises Stale when the head is out of sight."""
        progress = self._sight.current()
        age_s = self._head_age_s() or 0
        if age_s > self._max_head_age_s:
            raise Stale(f"the last block that was scanned is {age_s} s old", retry_after_s=3)
        return SigningContext(progress=progress, parameters=self.parameters())

    async def account(self, address: Address) -> Account:
        """Return an account as the node tells it now."""
        account, resources = await asyncio.gather(
            self._node.account(address), self._node.resources(address)
        )
        return read_account(address, account, resources)

    async def call(self, calls: Sequence[CallRequest]) -> list[CallAnswer]:
        """Run constant calls at once, as many as the node's lane takes."""
        return await asyncio.gather(
            *(
                self._node.call(
                    owner=call.owner_address, contract=call.contract_address, data=call.data
                )
                for call in calls
            )
        )

    async def read_contract(
        self, contract: Address, function: str, arguments: Sequence[Any]
    ) -> Any:
        """Return what a view function of a contract returns, by its ABI on chain."""
        return await self._abi_reader.read(contract, function, arguments)

    async def watch(self, addresses: Sequence[Address]) -> Watched:
        """Watch addresses; returns once that is durable (H11)."""
        async with self._sight.lock:
            head = self._sight.current().head
            wanted = list(dict.fromkeys(addresses))
            known = await self._store.watches(wanted)
            fresh = [
                Watch(id=address, birth_height=head.height)
                for address in wanted
                if address not in known
            ]
            await self._store.add_watches(fresh)
            self._sight.watched |= {evm_bytes(Address(watch.id)) for watch in fresh}
        births = [watch.birth_height for watch in (*known.values(), *fresh)]
        return Watched(count=len(self._sight.watched), birth_height=max(births))

    async def watch_page(self, *, cursor: str | None, limit: int) -> Page[Watch]:
        """Return a page of the watch list."""
        return await self._store.watch_page(cursor=cursor, limit=limit)

    def watch_count(self) -> int:
        """Count what is watched."""
        return len(self._sight.watched)

    async def submit(self, requests: Sequence[SignedTransaction]) -> list[Tracked]:
        """Take transactions on their way to the chain."""
        return await self._tracker.submit(requests)

    async def transaction(self, txid: str, *, wait_s: int) -> Tracked:
        """Return a submitted transaction, waiting for its verdict; raises UnknownTransaction."""
        until_s = asyncio.get_running_loop().time() + wait_s
        while True:
            news = self._store.news()  # before the look: what is told after it is not missed
            found = await self._store.transaction(txid)
            if found is None or found.state in VERDICTS or not await _within(news, until_s):
                break
        if found is None:
            raise UnknownTransaction(f"{txid} was never submitted here")
        return found

    async def lookup(self, txids: Sequence[str]) -> list[Tracked]:
        """Return those that are known, in the order they were asked for."""
        known = await self._store.transactions(txids)
        return [known[txid] for txid in dict.fromkeys(txids) if txid in known]

    async def details(self) -> Mapping[str, Any]:
        """Describe the state for operators."""
        progress = self._sight.progress
        return {
            "node_url": self._node.url,
            "node": self._node.reason() or "answers",
            "scanned_height": progress.head.height if progress else None,
            "solid_height": progress.solid.height if progress else None,
            "scanned_from": progress.start.height if progress else None,
            "head_age_s": self._head_age_s(),
            "pending_transactions": await self._store.count_in(TransactionState.PENDING),
            "alarms": self._alarms,
        }

    async def counts(self) -> Mapping[str, Any]:
        """Count what is kept."""
        return {
            "watched": len(self._sight.watched),
            "transfers": await self._store.transfer_count(),
            "transactions": await self._store.transaction_count(),
        }

    async def _solid(self) -> BlockRef | None:
        progress = await self._store.progress()
        return None if progress is None else block_ref(progress.solid)

    def _head_age_s(self) -> int | None:
        if self._sight.progress is None:
            return None
        age_ms = self._clock.now_ms() - self._sight.progress.head.timestamp_ms
        return max(0, age_ms // MS_PER_S)


async def _within(news: asyncio.Event, until_s: float) -> bool:
    """Wait for news; False when the time is over."""
    try:
        async with asyncio.timeout_at(until_s):
            await news.wait()
    except TimeoutError:
        return False
    return True

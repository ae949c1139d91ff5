"""Transactions that were submitted here."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from services.tron_client.domain.transactions import VERDICTS, Tracked, UnknownTransaction
from services.tron_client.store import ChainStore
from services.tron_client.tracker import HeldBack
from shared.models.tron_transactions import SignedTransaction
from shared.storage import Page
from shared.tron.address import Address


class Carrier(Protocol):
    """Brings transactions to the chain: the tracker."""

    async def submit(self, requests: Sequence[SignedTransaction]) -> list[Tracked]:
        """Store and broadcast."""
        ...

    async def stop(self, owners: Sequence[Address], *, reason: str, by: str) -> HeldBack:
        """Hold bytes back."""
        ...

    async def release(self, owners: Sequence[Address], *, reason: str, by: str) -> HeldBack:
        """Let bytes go again."""
        ...

    async def held_back(self) -> HeldBack:
        """Return the switch as it stands."""
        ...


class Transactions:
    """Takes transactions in and says what became of them."""

    def __init__(self, *, store: ChainStore, tracker: Carrier) -> None:
        self._store = store
        self._tracker = tracker

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

    async def owned(self, owner: Address, *, cursor: str | None, limit: int) -> Page[Tracked]:
        """Return a page of what was submitted for an owner, oldest first; raises InvalidCursor."""
        return await self._store.owned(owner, cursor=cursor, limit=limit)

    async def set_broadcasting(
        self, owners: Sequence[Address], *, stopped: bool, reason: str, by: str
    ) -> HeldBack:
        """Hold bytes back, or let them go again (H23); without owners those of everybody."""
        change = self._tracker.stop if stopped else self._tracker.release
        return await change(owners, reason=reason, by=by)

    async def held_back(self) -> HeldBack:
        """Return whose bytes are held back, and what may land all the same."""
        return await self._tracker.held_back()


async def _within(news: asyncio.Event, until_s: float) -> bool:
    """Wait for news; False when the time is over."""
    try:
        async with asyncio.timeout_at(until_s):
            await news.wait()
    except TimeoutError:
        return False
    return True

"""The balances that were last explained."""

from collections.abc import Sequence
from typing import Final

from services.tron_client.domain.balances import Balance
from services.tron_client.domain.progress import Watch
from services.tron_client.domain.transfers import Transfer
from services.tron_client.store import ChainStore
from services.tron_client.store.schema import BALANCES, TRANSFER_FEED, TRANSFERS, WATCHES
from shared.storage import FeedTrimmed, InvalidCursor, Page, Unit

MAX_TRANSFERS: Final = 500
"""An address with more in or out is left to those who keep books of it."""

_EVENTS: Final = 200


class BalanceStore:
    """What reconciliation reads and keeps."""

    def __init__(self, chain: ChainStore) -> None:
        self._chain = chain
        self._storage = chain.storage

    async def balances(self, addresses: Sequence[str]) -> dict[str, Balance]:
        """Return the balances that are kept of up to a thousand addresses."""
        return await self._storage.get_many(BALANCES, addresses)

    async def save(self, balance: Balance) -> None:
        """Keep a balance."""
        unit = Unit()
        self._chain.put(unit, BALANCES, balance)
        await self._storage.commit(unit)

    async def transfers_of(self, address: str) -> list[Transfer] | None:
        """Return the transfers from and to an address; None when they are too many."""
        found: dict[str, Transfer] = {}
        for index in ("sender", "recipient"):
            page = await self._storage.list(TRANSFERS, index, address, limit=MAX_TRANSFERS)
            if page.next is not None:
                return None
            found |= {each.id: each for each in page.items}
        return list(found.values())

    async def watch_page(self, *, cursor: str | None, limit: int) -> Page[Watch]:
        """Return a page of the watch list, ordered by address."""
        return await self._storage.list(WATCHES, "address", limit=limit, cursor=cursor)

    async def watched_among(self, addresses: Sequence[str]) -> list[str]:
        """Return those of some addresses that are watched."""
        return list(await self._chain.watches(addresses))

    async def feed_end(self) -> int:
        """Return the number of the newest transfer event."""
        try:
            page = await self._storage.read_feed(TRANSFER_FEED, after=0, limit=1)
        except FeedTrimmed as trimmed:
            page = await self._storage.read_feed(TRANSFER_FEED, after=trimmed.start - 1, limit=1)
        return page.end

    async def moved_after(self, number: int) -> tuple[list[str], int]:
        """Return who was paid or paid in confirmed transfers after an event, and the last event read."""
        try:
            page = await self._storage.read_feed(TRANSFER_FEED, after=number, limit=_EVENTS)
        except FeedTrimmed as trimmed:
            return [], trimmed.start - 1
        except InvalidCursor:
            return [], 0
        parties = [
            event.object[party]
            for event in page.events
            if event.type == "transfer.confirmed"
            for party in ("recipient", "sender")
        ]
        return list(dict.fromkeys(parties)), page.events[-1].seq if page.events else number

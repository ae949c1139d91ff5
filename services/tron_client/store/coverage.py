"""The watch list and the ranges that are scanned once more for it."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from services.tron_client.domain.credits import Doubt
from services.tron_client.domain.notices import Notice
from services.tron_client.domain.progress import Watch
from services.tron_client.domain.rescans import Milestone, Rescan
from services.tron_client.domain.transfers import Transfer
from services.tron_client.store import ChainStore
from services.tron_client.store.schema import (
    BLOCKS,
    MILESTONES,
    NOTICES,
    RESCANS,
    TRANSFERS,
    WATCHES,
)
from shared.models.tron_client import RescanState
from shared.storage import MAX_ROWS, LimitExceeded, Page, Unit
from shared.storage.tally import Tally

_COMMIT_AT_ONCE: Final = 2_000
_ASKED_AT_ONCE: Final = 250
_HIGHEST: Final = 2**62


class CoverageStore:
    """What is promised to be told, and what is still to be scanned for it."""

    def __init__(self, chain: ChainStore) -> None:
        self._chain = chain
        self._storage = chain.storage

    async def save_watches(self, watches: Sequence[Watch], *, rescan: Rescan | None) -> None:
        """Store watches, new or changed, and first of all the rescan that they need.

        Returns once all of it is durable. What was stored when this fails half way holds, and the
        rest comes with the repeat of the request.
        """
        if rescan is not None:
            unit = Unit()
            self._chain.put(unit, RESCANS, rescan)
            await self._storage.commit(unit)
        for start in range(0, len(watches), _COMMIT_AT_ONCE):
            unit = Unit()
            for watch in watches[start : start + _COMMIT_AT_ONCE]:
                self._chain.put(unit, WATCHES, watch)
            await self._storage.commit(unit)

    async def watches(self, addresses: Sequence[str]) -> dict[str, Watch]:
        """Return those of any number of addresses that are watched."""
        return await self._chain.watches(addresses)

    async def transfers(self, ids: Sequence[str]) -> dict[str, Transfer]:
        """Return the transfers that are stored among these ids."""
        return await self._chain.transfers(ids)

    async def forget(self, watches: Sequence[Watch]) -> None:
        """Remove watches, two thousand at a time."""
        for start in range(0, len(watches), _COMMIT_AT_ONCE):
            unit = Unit()
            for watch in watches[start : start + _COMMIT_AT_ONCE]:
                unit.delete(WATCHES, watch)
            await self._storage.commit(unit)

    async def watch_page(self, *, cursor: str | None, limit: int) -> Page[Watch]:
        """Return a page of the watch list, ordered by address."""
        return await self._storage.list(WATCHES, "address", limit=limit, cursor=cursor)

    async def moved(self, addresses: Sequence[str]) -> AsyncIterator[str]:
        """Yield those addresses that a stored transfer names."""
        for start in range(0, len(addresses), _ASKED_AT_ONCE):
            part = addresses[start : start + _ASKED_AT_ONCE]
            for index in ("sender", "recipient"):
                for address in await self._named(index, part):
                    yield address

    async def _named(self, index: str, addresses: Sequence[str]) -> list[str]:
        try:
            found = await self._storage.find_many(TRANSFERS, index, addresses)
        except LimitExceeded:  # so many transfers that each address is asked for by itself
            return [each for each in addresses if await self._is_named(index, each)]
        wanted = set(addresses)
        return sorted({party for each in found for party in (each.sender, each.recipient)} & wanted)

    async def _is_named(self, index: str, address: str) -> bool:
        page = await self._storage.list(TRANSFERS, index, address, limit=1)
        return bool(page.items)

    async def pending(self) -> list[Rescan]:
        """Return the rescans that are under way, the one with the lowest next height first."""
        page = await self._storage.list(RESCANS, "state", RescanState.PENDING, limit=MAX_ROWS)
        return page.items

    async def pending_count(self) -> int:
        """Count the rescans that are under way."""
        return await self._storage.count(RESCANS, "state", RescanState.PENDING)

    async def rescan_page(self, *, cursor: str | None, limit: int) -> Page[Rescan]:
        """Return a page of the rescans, newest first."""
        return await self._storage.list(
            RESCANS, "created", limit=limit, cursor=cursor, descending=True
        )

    async def save_rescan(self, rescan: Rescan) -> None:
        """Store a rescan."""
        unit = Unit()
        self._chain.put(unit, RESCANS, rescan)
        await self._storage.commit(unit)

    async def rescanned(
        self,
        transfers: Iterable[Transfer],
        rescans: Iterable[Rescan],
        *,
        notices: Sequence[Notice] = (),
        doubts: Iterable[Doubt] = (),
        sums: Iterable[Tally] = (),
    ) -> None:
        """Store and tell what a rescan found, with how far that has come; a notice only once."""
        known = await self._chain.many(NOTICES, [each.id for each in notices])
        unit = Unit()
        for notice in notices:
            if notice.id not in known:
                self._chain.put_notice(unit, notice)
        for transfer in transfers:
            self._chain.put_transfer(unit, transfer)
        for rescan in rescans:
            self._chain.put(unit, RESCANS, rescan)
        self._chain.put_doubts(unit, doubts, sums)
        await self._storage.commit(unit)

    async def proof_from(self, height: int) -> tuple[int, str] | None:
        """Return the lowest block at or above a height of which the id is known, None above all."""
        milestone = await self._storage.list(MILESTONES, "height", at_least=height, limit=1)
        block = await self._storage.list(BLOCKS, "height", at_least=height, limit=1)
        known = [(each.height, each.id) for each in milestone.items]
        known += [(each.height, each.id) for each in block.items]
        return min(known, default=None)

    async def add_milestone(self, milestone: Milestone) -> None:
        """Store the id of a block that was proved."""
        unit = Unit()
        unit.insert(MILESTONES, milestone)
        await self._storage.commit(unit)

    async def drop_milestones(self, *, now_ms: int) -> bool:
        """Let go of milestones; True when there may be more."""
        gone = await self._storage.prune(
            MILESTONES, "height", at_most=_HIGHEST, limit=MAX_ROWS, now_ms=now_ms
        )
        return gone == MAX_ROWS

"""Our addresses compared with tron-client's watch list, and watched again where one was lost (H11)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from services.wallet_manager.store import WalletStore
from shared.alarms import Alarms
from shared.logs import get_logger
from shared.models.tron_client import WatchDigestView, WatchListView, WatchView
from shared.tron.address import Address, evm_bytes
from shared.watching import digest_text, watch_digest

log = get_logger(__name__)

PAGE: Final = 500
CHUNK: Final = 10_000
"""Addresses watched with one call."""

PATIENCE: Final = 3
"""Looks in a row that find a watch missing, although it was renewed, before a person is called."""

ALARM: Final = "watch_list"


class WatchList(Protocol):
    """Watches addresses: tron-client."""

    async def watch(
        self, addresses: Sequence[Address], *, birth_height: int | None = None
    ) -> WatchView:
        """Return once the promise is durable."""
        ...

    async def watch_digest(self) -> WatchDigestView:
        """Return count and digest of the list."""
        ...

    async def watch_list(self, *, cursor: str | None, limit: int) -> WatchListView:
        """Return a page of the list."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """An address that was shown, with the height from which its transfers were promised."""

    address: Address
    birth_height: int


class Watches:
    """Sees to it that every address that ever was shown stays watched."""

    def __init__(self, *, store: WalletStore, watcher: WatchList, alarms: Alarms) -> None:
        self._store = store
        self._watcher = watcher
        self._alarms = alarms
        self._looks = 0

    async def compare(self) -> bool:
        """Compare count and digest, and where they differ the lists; renew what is missing."""
        ours = await self._promises()
        told = await self._watcher.watch_digest()
        if await asyncio.to_thread(_digest, ours) == (told.count, told.digest):
            await self._in_order()
            return False
        watched = await self._watched()
        missing = [one for one in ours if one.address not in watched]
        if not missing:  # somebody else's are watched too, or one was shown this very moment
            await self._in_order()
            return False
        self._looks += 1
        log.error("watch.missing", count=len(missing), first=missing[0].address, look=self._looks)
        await self._renew(missing)
        if self._looks >= PATIENCE:
            told_ = f"{len(missing)} shown addresses were not watched, {self._looks} times in a row"
            await self._alarms.raise_alarm(ALARM, "all", detail=told_)
        return False

    async def renew_all(self) -> None:
        """Have every address watched that ever was shown, whatever tron-client remembers."""
        await self._renew(await self._promises())

    async def _in_order(self) -> None:
        self._looks = 0
        await self._alarms.clear(ALARM, "all")

    async def _renew(self, promises: Sequence[Promise]) -> None:
        """Watch again, each group from the lowest height that was promised to one of it."""
        ordered = sorted(promises, key=lambda one: one.birth_height)
        for start in range(0, len(ordered), CHUNK):
            chunk = ordered[start : start + CHUNK]
            await self._watcher.watch(
                [one.address for one in chunk], birth_height=chunk[0].birth_height
            )

    async def _promises(self) -> list[Promise]:
        return [one async for one in self._each()]

    async def _each(self) -> AsyncIterator[Promise]:
        cursor: str | None = None
        while True:
            wallets = await self._store.wallets(cursor=cursor, limit=PAGE)
            for wallet in wallets.items:
                if wallet.birth_height is not None:
                    yield Promise(address=wallet.address, birth_height=wallet.birth_height)
            cursor = wallets.next
            if cursor is None:
                break
        while True:
            leaves = await self._store.addresses(cursor=cursor, limit=PAGE)
            for leaf in leaves.items:
                if leaf.birth_height is not None:
                    yield Promise(address=leaf.id, birth_height=leaf.birth_height)
            cursor = leaves.next
            if cursor is None:
                return

    async def _watched(self) -> set[Address]:
        found: set[Address] = set()
        cursor: str | None = None
        while True:
            page = await self._watcher.watch_list(cursor=cursor, limit=PAGE)
            found |= set(page.addresses)
            cursor = page.next
            if cursor is None:
                return found


def _digest(promises: Sequence[Promise]) -> tuple[int, str]:
    digest = watch_digest(evm_bytes(one.address) for one in promises)
    return len(promises), digest_text(digest)

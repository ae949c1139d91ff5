"""Leaves that were shown and are forgotten here: found again in tron-client's watch list (H5, H11)."""

import asyncio
from collections.abc import Collection as AnyOf
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Protocol

from services.wallet_manager.domain.recovery import INDEX_GAP
from services.wallet_manager.domain.wallets import DepositAddress, Wallet
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import ADDRESSES
from services.wallet_manager.vault import leaf_address
from shared.clock import Clock
from shared.ids import identity
from shared.logs import get_logger
from shared.models.tron_client import WatchListView
from shared.storage import Unit
from shared.tron.address import Address
from shared.tron.hd import AccountPublicKey

log = get_logger(__name__)

PAGE: Final = 500
RECOVERED: Final = "recovered"


class WatchList(Protocol):
    """Knows every address that ever was shown: tron-client."""

    async def watch_list(self, *, cursor: str | None, limit: int) -> WatchListView:
        """Return a page of what is watched."""
        ...


class Indexes:
    """Moves every wallet past the leaves that somebody may have been shown."""

    def __init__(self, *, store: WalletStore, watcher: WatchList, clock: Clock) -> None:
        self._store = store
        self._watcher = watcher
        self._clock = clock

    async def strangers(self) -> set[Address]:
        """Return watched addresses that no record here explains."""
        found: set[Address] = set()
        cursor: str | None = None
        while True:
            page = await self._watcher.watch_list(cursor=cursor, limit=PAGE)
            found |= set(page.addresses) - await self._store.owned(page.addresses)
            cursor = page.next
            if cursor is None:
                return found

    async def move_on(self) -> list[Address]:
        """Record leaves that are watched and forgotten, and skip a gap besides.

        The gap is for leaves that others know and tron-client forgot as well: none is shown twice.

        Returns:
            Watched addresses that belong to no wallet known here.
        """
        strangers = await self.strangers()
        cursor: str | None = None
        while True:
            page = await self._store.wallets(cursor=cursor, limit=PAGE)
            for wallet in page.items:
                if not wallet.branch:
                    continue
                found = await asyncio.to_thread(_leaves_among, wallet, strangers)
                await self._record(wallet, found)
                strangers -= set(found)
            cursor = page.next
            if cursor is None:
                return sorted(strangers)

    async def _record(self, wallet: Wallet, found: dict[Address, int]) -> None:
        now_ms = self._clock.now_ms()
        leaves = [
            DepositAddress(
                id=address,
                identity=identity(wallet.id, RECOVERED, address),
                wallet_id=wallet.id,
                index=index,
                path=wallet.path_of(index),
                purpose=RECOVERED,
                birth_height=wallet.birth_height,
                created_at_ms=now_ms,
            )
            for address, index in found.items()
        ]
        next_index = max((wallet.next_index - 1, *found.values())) + 1 + INDEX_GAP
        await self._store.add_leaves(replace(wallet, next_index=next_index), leaves)
        await self._void_stock(wallet)
        if leaves:
            log.warning("recovery.leaves", wallet_id=wallet.id, count=len(leaves))

    async def _void_stock(self, wallet: Wallet) -> None:
        """Give out no leaf that was taken ahead: since then somebody may have been shown it."""
        while True:
            page = await self._store.storage.list(ADDRESSES, "stock", wallet.id, limit=PAGE)
            if not page.items:
                return
            unit = Unit()
            for leaf in page.items:
                birth_height = leaf.birth_height or wallet.birth_height
                unit.update(ADDRESSES, replace(leaf, purpose=RECOVERED, birth_height=birth_height))
            await self._store.storage.commit(unit)


def _leaves_among(wallet: Wallet, strangers: AnyOf[Address]) -> dict[Address, int]:
    """Return which leaves of a wallet, from its next on, are among some addresses.

    Ends after a gap without any; where there are none to look for, nothing is derived.
    """
    found: dict[Address, int] = {}
    last = wallet.next_index - 1
    for index, address in _derived(wallet, wallet.next_index):
        if len(found) == len(strangers) or index > last + INDEX_GAP:
            break
        if address in strangers:
            found[address] = last = index
    return found


def _derived(wallet: Wallet, first: int) -> Iterator[tuple[int, Address]]:
    branch = AccountPublicKey.from_bytes(bytes.fromhex(wallet.branch))
    index = first
    while True:
        yield index, leaf_address(branch, index)
        index += 1

"""Deposit addresses: leaves taken for requests one by one or many at once, or ahead as a stock (H11)."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from services.wallet_manager.domain.wallets import DepositAddress, UnknownWallet, Wallet
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import ADDRESSES, WALLETS
from services.wallet_manager.vault import leaf_address
from shared.clock import Clock
from shared.errors import Unavailable
from shared.ids import identity
from shared.models.tron_client import WatchView
from shared.models.wallet_manager import AddressRequest, WalletRole, WalletStatus
from shared.storage import MAX_ROWS, DuplicateRecord, StaleRecord, Unit, written
from shared.tron.address import Address
from shared.tron.hd import AccountPublicKey

TRIES: Final = 20
RETRY_AFTER_S: Final = 5
STOCK: Final = ""
"""Purpose of a leaf that was taken ahead and shown to nobody."""


class Watcher(Protocol):
    """Promises to tell of every transfer to an address: tron-client."""

    async def watch(self, addresses: Sequence[Address]) -> WatchView:
        """Return once the promise is durable."""
        ...


class Leaves:
    """Takes leaves: first the record, then the watch, and only then is the address shown."""

    def __init__(
        self,
        *,
        store: WalletStore,
        watcher: Watcher,
        clock: Clock,
        require_clear: Callable[[], None],
    ) -> None:
        self._store = store
        self._watcher = watcher
        self._clock = clock
        self._require_clear = require_clear
        self._taking = asyncio.Lock()

    async def one(self, wallet: Wallet, request: AddressRequest) -> DepositAddress:
        """Return the address of a request, from the stock where there is one.

        Raises:
            NoAddresses: the wallet hands out none.
            PeerUnavailable: tron-client has not promised to watch it; a repeat finishes it.
        """
        name = identity(wallet.id, "addresses", request.request_id)
        async with self._taking:
            address = await self._store.address_by_identity(name)
            if address is None:
                address = await self._from_stock(wallet, request, name)
            if address is None:
                (address,) = await self._take(wallet.id, [(name, request.purpose)])
        (watched,) = await self._watched([address])
        return watched

    async def many(
        self, wallet: Wallet, requests: Sequence[AddressRequest]
    ) -> list[DepositAddress]:
        """Return the addresses of up to 1,000 requests in their order, watched with one call.

        Raises:
            NoAddresses: the wallet hands out none.
            PeerUnavailable: tron-client has not promised to watch them; a repeat finishes them.
        """
        wanted = {identity(wallet.id, "addresses", one.request_id): one.purpose for one in requests}
        async with self._taking:
            known = await self._store.storage.find_many(ADDRESSES, "identity", list(wanted))
            found = {one.identity: one for one in known}
            missing = [(name, wanted[name]) for name in wanted if name not in found]
            if missing:
                taken = await self._take(wallet.id, missing)
                found |= {one.identity: one for one in taken}
        watched = {one.identity: one for one in await self._watched(list(found.values()))}
        return [watched[identity(wallet.id, "addresses", one.request_id)] for one in requests]

    async def refill(self, size: int) -> bool:
        """Take leaves ahead for each wallet that hands out addresses, and have them watched.

        Args:
            size: leaves that each of them should have in stock; 0 keeps none.

        Raises:
            PeerUnavailable: tron-client has not promised to watch them; the next round goes on.
        """
        cursor: str | None = None
        while size:
            page = await self._store.wallets(cursor=cursor, limit=MAX_ROWS)
            for wallet in page.items:
                if _keeps_stock(wallet):
                    await self._fill(wallet, size)
            cursor = page.next
            if cursor is None:
                break
        return False

    async def _fill(self, wallet: Wallet, size: int) -> None:
        async with self._taking:
            there = await self._store.storage.count(ADDRESSES, "stock", wallet.id)
            if there < size:
                await self._take(wallet.id, [(None, STOCK)] * (size - there))
        stock = await self._store.storage.list(ADDRESSES, "stock", wallet.id, limit=MAX_ROWS)
        await self._watched(stock.items)

    async def _from_stock(
        self, wallet: Wallet, request: AddressRequest, name: str
    ) -> DepositAddress | None:
        self._require_clear()
        wallet.require_addresses()
        for _ in range(TRIES):
            page = await self._store.storage.list(ADDRESSES, "stock", wallet.id, limit=1)
            if not page.items:
                return None
            given = replace(
                page.items[0],
                identity=name,
                purpose=request.purpose,
                created_at_ms=self._clock.now_ms(),
            )
            with contextlib.suppress(StaleRecord):  # its watch was noted meanwhile: look again
                await self._store.save_address(given)
                return written(given)
        return None

    async def _take(
        self, wallet_id: str, wanted: Sequence[tuple[str | None, str]]
    ) -> list[DepositAddress]:
        """Take new leaves for pairs of an identity, or None for the stock, and a purpose."""
        self._require_clear()
        for _ in range(TRIES):
            wallet = await self._store.wallet(wallet_id)
            if wallet is None:
                raise UnknownWallet("there is no such wallet")
            wallet.require_addresses()
            free = await self._free(wallet, len(wanted))
            leaves = [
                DepositAddress(
                    id=address,
                    identity=name or identity(wallet.id, "stock", str(index)),
                    wallet_id=wallet.id,
                    index=index,
                    path=wallet.path_of(index),
                    purpose=purpose,
                    created_at_ms=self._clock.now_ms(),
                )
                for (index, address), (name, purpose) in zip(free, wanted, strict=True)
            ]
            moved = replace(wallet, next_index=leaves[-1].index + 1)
            with contextlib.suppress(StaleRecord, DuplicateRecord):  # changed meanwhile: look again
                await self._store.add_leaves(moved, leaves)
                return [written(leaf) for leaf in leaves]
        raise Unavailable("the wallet is being changed; try again", retry_after_s=1)

    async def _free(self, wallet: Wallet, count: int) -> list[tuple[int, Address]]:
        """Return the next leaves with their indexes, without those that are watched as wallets."""
        branch = AccountPublicKey.from_bytes(bytes.fromhex(wallet.branch))
        free: list[tuple[int, Address]] = []
        first = wallet.next_index
        while len(free) < count:
            span = range(first, first + count - len(free))
            derived = await asyncio.to_thread(_derive, branch, span)
            own = await self._store.storage.find_many(WALLETS, "address", list(derived))
            taken = {one.address for one in own}
            free += [(index, one) for one, index in derived.items() if one not in taken]
            first = span.stop
        return free

    async def _watched(self, leaves: Sequence[DepositAddress]) -> list[DepositAddress]:
        """Return leaves once each is watched, with the height from which."""
        fresh = [leaf for leaf in leaves if leaf.birth_height is None]
        if not fresh:
            return list(leaves)
        try:
            promise = await self._watcher.watch([leaf.id for leaf in fresh])
        except Unavailable as away:
            away.retry_after_s = away.retry_after_s or RETRY_AFTER_S
            raise
        promised = [replace(leaf, birth_height=promise.birth_height) for leaf in fresh]
        unit = Unit()
        for leaf in promised:
            unit.update(ADDRESSES, leaf)
        try:
            await self._store.storage.commit(unit)
        except StaleRecord:  # a repeat was quicker with some: the promise is the same
            for leaf in promised:
                with contextlib.suppress(StaleRecord):
                    await self._store.save_address(leaf)
        known = {leaf.id: leaf for leaf in promised}
        return [known.get(leaf.id, leaf) for leaf in leaves]


def _derive(branch: AccountPublicKey, span: range) -> dict[Address, int]:
    return {leaf_address(branch, index): index for index in span}


def _keeps_stock(wallet: Wallet) -> bool:
    hands_out = wallet.role is WalletRole.TREASURY or wallet.next_index > 1
    is_ready = wallet.status is WalletStatus.ACTIVE and wallet.birth_height is not None
    return bool(wallet.branch) and hands_out and is_ready

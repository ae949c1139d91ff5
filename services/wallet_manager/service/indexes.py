"""Wallets and leaves that were shown and are forgotten here: found again in the watch list (H5, H11)."""

import asyncio
from collections.abc import Collection as AnyOf
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Final, Protocol

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.recovery import INDEX_GAP
from services.wallet_manager.domain.wallets import DepositAddress, Wallet
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import ADDRESSES, WALLETS
from services.wallet_manager.vault import leaf_address
from shared.clock import Clock
from shared.ids import NewId, fingerprint, identity
from shared.logs import get_logger
from shared.models.tron_client import WatchListView
from shared.models.wallet_manager import WalletRole, WalletStatus, WalletType
from shared.storage import Unit, written
from shared.tron.address import Address
from shared.tron.hd import AccountPublicKey
from shared.tron.networks import FACTS, Network

log = get_logger(__name__)

PAGE: Final = 500
RECOVERED: Final = "recovered"


class WatchList(Protocol):
    """Knows every address that ever was shown: tron-client."""

    async def watch_list(self, *, cursor: str | None, limit: int) -> WatchListView:
        """Return a page of what is watched."""
        ...


class Accounts(Protocol):
    """Knows the public half of every account of the seed: the vault."""

    def branch(self, account: int) -> AccountPublicKey:
        """Return that of one account; raises VaultLocked."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedOn:
    """What was found when indexes were moved on.

    Attributes:
        wallets: that were forgotten and are here again, out of use.
        strangers: watched addresses that belong to no wallet known here.
    """

    wallets: tuple[Wallet, ...]
    strangers: tuple[Address, ...]


class Indexes:
    """Moves on past the accounts and the leaves that somebody may have been shown."""

    def __init__(
        self,
        *,
        store: WalletStore,
        watcher: WatchList,
        accounts: Accounts,
        audit: Audit,
        clock: Clock,
        new_id: NewId,
        network: Network,
    ) -> None:
        self._store = store
        self._watcher = watcher
        self._accounts = accounts
        self._audit = audit
        self._clock = clock
        self._new_id = new_id
        self._network = network

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

    async def move_on(self) -> MovedOn:
        """Record leaves and wallets that are watched and forgotten, and skip a gap of leaves besides.

        The gap is for leaves that others know and tron-client forgot as well: none is shown twice.

        Raises:
            VaultLocked: a watched address may be that of an account, which only the vault can tell.
        """
        strangers = await self.strangers()
        cursor: str | None = None
        while True:
            page = await self._store.wallets(cursor=cursor, limit=PAGE)
            for wallet in page.items:
                if wallet.branch:
                    await self._move(wallet, strangers)
            cursor = page.next
            if cursor is None:
                break
        wallets = await self._forgotten(strangers) if strangers else []
        return MovedOn(wallets=tuple(wallets), strangers=tuple(sorted(strangers)))

    async def _move(self, wallet: Wallet, strangers: set[Address]) -> None:
        """Move one wallet past its leaves among some addresses, which are then no strangers."""
        found = await asyncio.to_thread(_leaves_among, wallet, strangers)
        await self._record(wallet, found)
        strangers -= set(found)

    async def _forgotten(self, strangers: set[Address]) -> list[Wallet]:
        """Record the wallets whose own addresses are among some, out of use: nobody knows whose."""
        first = await self._store.next_account()
        found = await asyncio.to_thread(_accounts_among, self._accounts, first, strangers)
        wallets = [self._wallet(account, branch) for account, branch in found.items()]
        for wallet in wallets:
            decision = self._audit.decision(
                Act.WALLET_MADE, wallet.id, why=RECOVERED, address=wallet.address
            )
            await self._store.record(Unit().insert(WALLETS, wallet), [decision])
            strangers.discard(wallet.address)
            await self._move(written(wallet), strangers)
        return wallets

    def _wallet(self, account: int, branch: AccountPublicKey) -> Wallet:
        address = leaf_address(branch, 0)
        return Wallet(
            id=self._new_id("wal"),
            identity=identity(RECOVERED, "wallets", address),
            fingerprint=fingerprint({RECOVERED: address}),
            user_id=RECOVERED,
            role=WalletRole.PLAIN,
            type=WalletType.HOT,
            status=WalletStatus.INACTIVE,
            label="",
            network=self._network.value,
            coin_type=FACTS[self._network].coin_type,
            account=account,
            address=address,
            branch=branch.to_bytes().hex(),
            created_at_ms=self._clock.now_ms(),
        )

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

    Ends after a gap without any; where there are none to look for, nothing is derived. The leaf behind
    the gap is looked at too: an earlier restore of the same copy went on there.
    """
    found: dict[Address, int] = {}
    last = wallet.next_index - 1
    for index, address in _derived(wallet, wallet.next_index):
        if len(found) == len(strangers) or index > last + INDEX_GAP + 1:
            break
        if address in strangers:
            found[address] = last = index
    return found


def _accounts_among(
    accounts: Accounts, first: int, strangers: AnyOf[Address]
) -> dict[int, AccountPublicKey]:
    """Return which accounts, from one on, have their own address among some; ends as with leaves."""
    found: dict[int, AccountPublicKey] = {}
    last = first - 1
    for account in count(first):
        if len(found) == len(strangers) or account > last + INDEX_GAP + 1:
            break
        branch = accounts.branch(account)
        if leaf_address(branch, 0) in strangers:
            found[account] = branch
            last = account
    return found


def _derived(wallet: Wallet, first: int) -> Iterator[tuple[int, Address]]:
    branch = AccountPublicKey.from_bytes(bytes.fromhex(wallet.branch))
    for index in count(first):
        yield index, leaf_address(branch, index)

"""Wallets and addresses: nothing is shown before it is watched."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

from services.wallet_manager.domain.books import JournalEntryLine, Position
from services.wallet_manager.domain.wallets import (
    DepositAddress,
    TreasuryExists,
    UnknownWallet,
    Wallet,
)
from services.wallet_manager.store import WalletStore
from services.wallet_manager.vault import Vault, leaf_address
from shared.clock import Clock
from shared.errors import KeyReused, Unavailable
from shared.ids import NewId, fingerprint, identity
from shared.logs import get_logger
from shared.models.tron_client import WatchView
from shared.models.wallet_manager import AddressRequest, WalletRequest, WalletStatus
from shared.money import Currency
from shared.storage import DuplicateRecord, Page, StaleRecord, written
from shared.tron.address import Address, InvalidAddress, parse_address
from shared.tron.hd import AccountPublicKey

log = get_logger(__name__)

TRIES: Final = 20
WATCH_CHUNK: Final = 1_000


class Watcher(Protocol):
    """Promises to tell of every transfer to an address: tron-client."""

    async def watch(self, addresses: Sequence[Address]) -> WatchView:
        """Return once the promise is durable."""
        ...


class Wallets:
    """Makes wallets and addresses, and says what they hold."""

    def __init__(
        self,
        *,
        store: WalletStore,
        vault: Vault,
        watcher: Watcher,
        clock: Clock,
        new_id: NewId,
        network: str,
        coin_type: int,
    ) -> None:
        self._store = store
        self._vault = vault
        self._watcher = watcher
        self._clock = clock
        self._new_id = new_id
        self._network = network
        self._coin_type = coin_type
        self._leaves = asyncio.Lock()

    async def create(
        self, request: WalletRequest, *, principal: str, key: str
    ) -> tuple[Wallet, bool]:
        """Make the next account of the tree, once per key; returns it and whether it was there.

        Raises:
            KeyReused: the key made another wallet.
            TreasuryExists: there is a treasury already.
            PeerUnavailable: tron-client has not promised to watch it; a repeat finishes the wallet.
        """
        name = identity(principal, "wallets", key)
        meaning = fingerprint(request.model_dump(mode="json", exclude={"request_id"}))
        known = await self._store.wallet_by_identity(name)
        wallet = known or await self._add(request, name, meaning)
        if wallet.fingerprint != meaning:
            raise KeyReused("this key made another wallet")
        return await self._watched(wallet), known is not None

    async def derive(self, wallet_id: str, request: AddressRequest) -> tuple[DepositAddress, int]:
        """Return the deposit address of a request, with the height from which it is watched.

        Raises:
            UnknownWallet: there is no such wallet.
            PeerUnavailable: tron-client has not promised to watch it; a repeat finishes it.
        """
        wallet = await self.find(wallet_id)
        name = identity(wallet.id, "addresses", request.request_id)
        async with self._leaves:
            address = await self._store.address_by_identity(name)
            for _ in range(TRIES):
                if address is None:
                    address = await self._take_leaf(wallet.id, request, name)
        if address is None:
            raise Unavailable("the wallet is being changed; try again", retry_after_s=1)
        if address.birth_height is not None:
            return address, address.birth_height
        promise = await self._watcher.watch([address.id])
        with contextlib.suppress(StaleRecord):  # a repeat was quicker: the promise is the same
            await self._store.save_address(replace(address, birth_height=promise.birth_height))
        return address, promise.birth_height

    async def find(self, id_or_address: str) -> Wallet:
        """Return a wallet by its id or by its own address, watched before it is shown.

        Raises:
            UnknownWallet: there is no such wallet.
            PeerUnavailable: tron-client has not promised to watch it.
        """
        wallet = await self._store.wallet(id_or_address)
        if wallet is None:
            address = _address_or_none(id_or_address)
            wallet = await self._store.wallet_by_address(address) if address else None
        if wallet is None:
            raise UnknownWallet("there is no such wallet")
        return await self._watched(wallet)

    async def treasury(self) -> Wallet:
        """Return the wallet that pays; raises UnknownWallet, and PeerUnavailable as ``find``."""
        wallet = await self._store.treasury()
        if wallet is None:
            raise UnknownWallet(
                'there is no treasury yet: create a wallet with the role "treasury"'
            )
        return await self._watched(wallet)

    async def page(self, *, cursor: str | None, limit: int) -> Page[Wallet]:
        """Return a page of wallets, without those that are not watched yet (hazard H11)."""
        page = await self._store.wallets(cursor=cursor, limit=limit)
        return replace(page, items=[one for one in page.items if one.birth_height is not None])

    async def balance(self, id_or_address: str, currency: Currency) -> tuple[str, Position]:
        """Return the id of the wallet and the position of the address asked about."""
        wallet_id, address = await self._owner(id_or_address)
        positions = await self._store.positions([(address, currency)])
        return wallet_id, next(iter(positions.values()))

    async def journal(
        self, id_or_address: str, *, cursor: str | None, limit: int
    ) -> tuple[Address, Page[JournalEntryLine]]:
        """Return the address asked about and its journal, newest first."""
        _, address = await self._owner(id_or_address)
        return address, await self._store.journal(address, cursor=cursor, limit=limit)

    async def set_lock(
        self, id_or_address: str, *, is_locked: bool, reason: str, by: str
    ) -> Wallet:
        """Stop a wallet from signing, or let it sign again; what was signed before is not touched.

        Raises:
            UnknownWallet: there is no such wallet.
        """
        wallet = await self.find(id_or_address)
        changed = wallet.locked() if is_locked else wallet.unlocked()
        if changed.status is not wallet.status:
            await self._store.save_wallet(changed)
            log.warning(
                "wallet.relocked", wallet_id=wallet.id, locked=is_locked, by=by, reason=reason
            )
        return changed

    async def renew_watches(self) -> bool:
        """Have every address watched that ever was shown, whatever tron-client remembers (H11)."""
        cursor: str | None = None
        while True:
            page = await self._store.wallets(cursor=cursor, limit=WATCH_CHUNK)
            addresses = [wallet.address for wallet in page.items]
            for wallet in page.items:
                branch = AccountPublicKey.from_bytes(bytes.fromhex(wallet.branch))
                addresses += [leaf_address(branch, leaf) for leaf in range(1, wallet.next_index)]
            for start in range(0, len(addresses), WATCH_CHUNK):
                await self._watcher.watch(addresses[start : start + WATCH_CHUNK])
            cursor = page.next
            if cursor is None:
                return False

    async def _owner(self, id_or_address: str) -> tuple[str, Address]:
        address = _address_or_none(id_or_address)
        deposit = await self._store.address(address) if address else None
        if deposit is not None:
            return deposit.wallet_id, deposit.id
        wallet = await self.find(id_or_address)
        return wallet.id, wallet.address

    async def _add(self, request: WalletRequest, name: str, meaning: str) -> Wallet:
        for _ in range(TRIES):
            account = await self._store.next_account()
            branch = self._vault.branch(account)
            wallet = Wallet(
                id=self._new_id("wal"),
                identity=name,
                fingerprint=meaning,
                user_id=request.user_id,
                role=request.role,
                status=WalletStatus.ACTIVE,
                label=request.label,
                network=self._network,
                coin_type=self._coin_type,
                account=account,
                address=leaf_address(branch, 0),
                branch=branch.to_bytes().hex(),
                created_at_ms=self._clock.now_ms(),
            )
            try:
                await self._store.add_wallet(wallet)
            except DuplicateRecord as taken:
                if made := await self._store.wallet_by_identity(name):
                    return made
                if taken.index == "treasury":
                    raise TreasuryExists("there is a treasury already") from None
                continue
            return replace(wallet, version=1)
        raise Unavailable("too many wallets are being made at once", retry_after_s=1)

    async def _watched(self, wallet: Wallet) -> Wallet:
        if wallet.birth_height is not None:
            return wallet
        promise = await self._watcher.watch([wallet.address])
        watched = replace(wallet, birth_height=promise.birth_height)
        try:
            await self._store.save_wallet(watched)
        except StaleRecord:  # another request was quicker: the promise is the same
            return watched
        return written(watched)

    async def _take_leaf(
        self, wallet_id: str, request: AddressRequest, name: str
    ) -> DepositAddress | None:
        wallet = await self._store.wallet(wallet_id)
        if wallet is None:
            return None
        branch = AccountPublicKey.from_bytes(bytes.fromhex(wallet.branch))
        address = DepositAddress(
            id=leaf_address(branch, wallet.next_index),
            identity=name,
            wallet_id=wallet.id,
            index=wallet.next_index,
            path=f"m/44'/{wallet.coin_type}'/{wallet.account}'/0/{wallet.next_index}",
            purpose=request.purpose,
            created_at_ms=self._clock.now_ms(),
        )
        try:
            await self._store.add_address(wallet, address)
        except (StaleRecord, DuplicateRecord):
            return None  # the wallet was changed meanwhile: look again
        return replace(address, version=1)


def _address_or_none(text: str) -> Address | None:
    try:
        return parse_address(text)
    except InvalidAddress:
        return None

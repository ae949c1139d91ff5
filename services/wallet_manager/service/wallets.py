"""Wallets and addresses: nothing is shown before it is watched."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from services.wallet_manager.domain.audit import Act, Decision
from services.wallet_manager.domain.books import JournalEntryLine, Position
from services.wallet_manager.domain.branches import InvalidBranch, branch_from_xpub
from services.wallet_manager.domain.wallets import (
    MADE_HERE,
    AddressTaken,
    DepositAddress,
    TreasuryExists,
    UnknownWallet,
    Wallet,
    WalletFilter,
)
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.leaves import Leaves, Watcher
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import WALLETS
from services.wallet_manager.vault import Vault, leaf_address
from shared.clock import Clock
from shared.errors import InvalidFields, KeyReused, Unavailable
from shared.ids import NewId, fingerprint, identity
from shared.models.wallet_manager import AddressRequest, WalletRequest, WalletStatus, WalletType
from shared.money import Currency
from shared.storage import DuplicateRecord, Page, StaleRecord, Unit, written
from shared.tron.address import Address, InvalidAddress, parse_address
from shared.tron.hd import AccountPublicKey
from shared.tron.networks import FACTS, Network

TRIES: Final = 20
PAGES_LOOKED_THROUGH: Final = 20
EVERY: Final = WalletFilter()


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
        network: Network,
        require_clear: Callable[[], None],
        audit: Audit,
    ) -> None:
        self._store = store
        self._vault = vault
        self._watcher = watcher
        self._clock = clock
        self._new_id = new_id
        self._network = network
        self._require_clear = require_clear
        self._audit = audit
        self.leaves = Leaves(store=store, watcher=watcher, clock=clock, require_clear=require_clear)

    async def create(
        self, request: WalletRequest, *, principal: str, key: str
    ) -> tuple[Wallet, bool]:
        """Make a wallet, once per key; returns it and whether it was there.

        Raises:
            InvalidFields: the account public key is none, or the address does not belong to it.
            KeyReused: the key made another wallet.
            AddressTaken: the address is that of another wallet, or a deposit address.
            TreasuryExists: there is a treasury already.
            PeerUnavailable: tron-client has not promised to watch it; a repeat finishes the wallet.
        """
        name = identity(principal, "wallets", key)
        meaning = fingerprint(
            request.model_dump(mode="json", exclude={"request_id"}, exclude_none=True)
        )
        known = await self._store.wallet_by_identity(name)
        wallet = known or await self._add(request, name, meaning, principal)
        if wallet.fingerprint != meaning:
            raise KeyReused("this key made another wallet")
        return await self._watched(wallet), known is not None

    async def derive(self, wallet_id: str, request: AddressRequest) -> tuple[DepositAddress, int]:
        """Return the deposit address of a request, with the height from which it is watched.

        Raises:
            UnknownWallet: there is no such wallet.
            NoAddresses: it hands out none.
            PeerUnavailable: tron-client has not promised to watch it; a repeat finishes it.
        """
        address = await self.leaves.one(await self.find(wallet_id), request)
        return address, address.birth_height or 0

    async def derive_many(
        self, wallet_id: str, requests: Sequence[AddressRequest]
    ) -> list[DepositAddress]:
        """Return the deposit addresses of requests, in their order; raises as ``derive`` does."""
        return await self.leaves.many(await self.find(wallet_id), requests)

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

    async def page(
        self, *, cursor: str | None, limit: int, wanted: WalletFilter = EVERY
    ) -> Page[Wallet]:
        """Return a page of wallets, without those that are not watched yet (hazard H11).

        A page of filtered wallets may be short although there are more: so much is looked through.
        """
        found: list[Wallet] = []
        for _ in range(PAGES_LOOKED_THROUGH):
            page = await self._store.wallets(cursor=cursor, limit=limit - len(found))
            found += [
                one for one in page.items if one.birth_height is not None and wanted.takes(one)
            ]
            cursor = page.next
            if cursor is None or len(found) == limit:
                break
        return Page(items=found, next=cursor)

    async def balance(self, id_or_address: str, currency: Currency) -> tuple[str, Position]:
        """Return the id of the wallet and the position of the address asked about."""
        wallet_id, address = await self.owner_of(id_or_address)
        positions = await self._store.positions([(address, currency)])
        return wallet_id, next(iter(positions.values()))

    async def journal(
        self, id_or_address: str, *, cursor: str | None, limit: int
    ) -> tuple[Address, Page[JournalEntryLine]]:
        """Return the address asked about and its journal, newest first."""
        _, address = await self.owner_of(id_or_address)
        return address, await self._store.journal(address, cursor=cursor, limit=limit)

    async def address_of(self, id_or_address: str) -> Address:
        """Return the address of a wallet, or a deposit address itself; raises UnknownWallet."""
        _, address = await self.owner_of(id_or_address)
        return address

    async def owner_of(self, id_or_address: str) -> tuple[str, Address]:
        """Return a wallet's id, and its own or the given deposit address; raises UnknownWallet."""
        address = _address_or_none(id_or_address)
        deposit = await self._store.address(address) if address else None
        if deposit is not None:
            return deposit.wallet_id, deposit.id
        wallet = await self.find(id_or_address)
        return wallet.id, wallet.address

    async def _add(self, request: WalletRequest, name: str, meaning: str, principal: str) -> Wallet:
        self._require_clear()
        skipped = 0
        for _ in range(TRIES):
            wallet = await self._new(request, name, meaning, skipped=skipped)
            try:
                await self._store.record(
                    Unit().insert(WALLETS, wallet), [self._made(wallet, principal)]
                )
            except DuplicateRecord as taken:
                if made := await self._store.wallet_by_identity(name):
                    return made
                if taken.index == "treasury":
                    raise TreasuryExists("there is a treasury already") from None
                if not wallet.signs_alone:
                    raise AddressTaken("there is a wallet with this address") from None
                skipped += await self._is_watched_only(wallet.address)
                continue
            return replace(wallet, version=1)
        raise Unavailable("too many wallets are being made at once", retry_after_s=1)

    async def _is_watched_only(self, address: Address) -> bool:
        """True where somebody already watches, as a wallet of others, what an account would be."""
        known = await self._store.wallet_by_address(address)
        return known is not None and not known.signs_alone

    def _made(self, wallet: Wallet, principal: str) -> Decision:
        return self._audit.decision(
            Act.WALLET_MADE,
            wallet.id,
            who=principal,
            type=wallet.type.value,
            address=wallet.address,
            owner=wallet.user_id,
        )

    async def _new(
        self, request: WalletRequest, name: str, meaning: str, *, skipped: int
    ) -> Wallet:
        account: int | None = None
        if request.wallet_type in MADE_HERE:
            account = await self._store.next_account() + skipped
            branch: AccountPublicKey | None = self._vault.branch(account)
        else:
            branch = _branch_of(request)
        address = leaf_address(branch, 0) if branch else request.address
        if address is None or request.address not in {None, address}:
            raise _wrong("address", "it is not the first address of this account")
        if await self._store.address(address) is not None:
            raise AddressTaken("this is a deposit address of a wallet")
        return Wallet(
            id=self._new_id("wal"),
            identity=name,
            fingerprint=meaning,
            user_id=request.user_id,
            role=request.role,
            type=WalletType.HOT if request.wallet_type in MADE_HERE else request.wallet_type,
            status=WalletStatus.ACTIVE,
            label=request.label,
            network=self._network.value,
            coin_type=FACTS[self._network].coin_type,
            account=account,
            address=address,
            branch=branch.to_bytes().hex() if branch else "",
            created_at_ms=self._clock.now_ms(),
        )

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


def _address_or_none(text: str) -> Address | None:
    try:
        return parse_address(text)
    except InvalidAddress:
        return None


def _branch_of(request: WalletRequest) -> AccountPublicKey | None:
    if request.account_public_key is None:
        return None
    try:
        return branch_from_xpub(request.account_public_key)
    except InvalidBranch as error:
        raise _wrong("account_public_key", str(error)) from None


def _wrong(field: str, message: str) -> InvalidFields:
    return InvalidFields([{"field": field, "message": message}])

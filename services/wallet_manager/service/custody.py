"""What becomes of a wallet: named, put out of use, archived when empty; and all that it holds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.books import Position, staked, unfreezing
from services.wallet_manager.domain.wallets import (
    IllegalStatus,
    Wallet,
    WalletNotEmpty,
)
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.holdings import Holdings
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import ADDRESSES
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.models.wallet_manager import WalletChange, WalletRole, WalletStatus
from shared.money import Currency
from shared.peers.caller import PeerRefused
from shared.storage import StaleRecord, written
from shared.tron.address import Address

log = get_logger(__name__)

ADDRESSES_AT_ONCE: Final = 200
MAX_REASONS: Final = 10
MAX_LOOKS: Final = 200
"""Addresses of one wallet that are looked at on chain to find it empty; each is three calls of a node."""


class Custody:
    """Changes wallets; keys and watches stay whatever becomes of one (hazard H11).

    Args:
        look: returns what an address holds on chain.
        books_lock: a signing round that saw the wallet as it was is over before it is another.
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        audit: Audit,
        look: Callable[[Address], Awaitable[Holdings]],
        books_lock: asyncio.Lock,
    ) -> None:
        self._store = store
        self._audit = audit
        self._look = look
        self._books_lock = books_lock

    async def change(self, wallet: Wallet, wanted: WalletChange, *, by: str) -> Wallet:
        """Give a wallet another label, owner or status; what is the same already is left.

        Raises:
            IllegalStatus: it cannot get there; a locked one only by an unlock.
            Unavailable: the wallet was changed meanwhile.
        """
        after = wallet.renamed(label=wanted.label, user_id=wanted.user_id)
        if wanted.status is not None and wanted.status is not wallet.status:
            if wallet.status is WalletStatus.LOCKED:
                raise IllegalStatus(
                    "it is locked: unlock it first", wallet_status=wallet.status.value
                )
            after = after.moved(WalletStatus(wanted.status))
        if after == wallet:
            return wallet
        return await self._store_changed(wallet, after, by=by, reason=wanted.reason)

    async def archive(self, wallet: Wallet, *, by: str, reason: str) -> Wallet:
        """Put an empty wallet out of use for good; its addresses stay watched, its keys stay.

        Raises:
            IllegalStatus: it pays for the stack, or it is locked.
            WalletNotEmpty: it or one of its addresses holds something, or a send is under way.
            Unavailable: the wallet was changed meanwhile, or the chain cannot be seen.
        """
        if wallet.status is WalletStatus.ARCHIVED:
            return wallet
        if wallet.role is WalletRole.TREASURY:
            raise IllegalStatus("it is the treasury, which pays", wallet_status=wallet.status.value)
        after = wallet.moved(WalletStatus.ARCHIVED)
        if reasons := await self._contents(wallet) or await self._on_chain(wallet):
            raise WalletNotEmpty("it is not empty", wallet_id=wallet.id, reasons=reasons)
        return await self._store_changed(wallet, after, by=by, reason=reason)

    async def _store_changed(
        self, before: Wallet, after: Wallet, *, by: str, reason: str
    ) -> Wallet:
        change = Change()
        change.wallet(after)
        decision = self._audit.decision(
            Act.WALLET_CHANGED,
            after.id,
            who=by,
            why=reason,
            status=f"{before.status} → {after.status}",
            label=after.label,
            owner=f"{before.user_id} → {after.user_id}",
        )
        change.decide(decision)
        try:
            async with self._books_lock:
                await self._store.commit(change)
        except StaleRecord:
            raise Unavailable("it was changed meanwhile; try again", retry_after_s=1) from None
        log.info("wallet.changed", wallet_id=after.id, status=after.status.value, by=by)
        return written(after)

    async def _contents(self, wallet: Wallet) -> list[str]:
        under_way = await self._store.owners_under_way()
        reasons = []
        async for addresses in self._addresses(wallet):
            for id_, position in (await self._positions(addresses)).items():
                if position.settled or position.held:
                    reasons.append(f"{id_}: {position.settled}, of it held {position.held}")
            reasons += [f"{one}: a send is under way" for one in addresses if one in under_way]
            if len(reasons) >= MAX_REASONS:
                break
        return reasons[:MAX_REASONS]

    async def _on_chain(self, wallet: Wallet) -> list[str]:
        """Return what its addresses have that the books do not know yet: it may still be on its way."""
        looks = 0
        async for addresses in self._addresses(wallet):
            looks += len(addresses)
            if looks > MAX_LOOKS:
                return [f"it has more than {MAX_LOOKS} addresses to look at: make it inactive"]
            for address in addresses:
                if reasons := _contents_of(await self._seen(address)):
                    return reasons
        return []

    async def _seen(self, address: Address) -> Holdings:
        try:
            return await self._look(address)
        except PeerRefused as refused:
            told = f"tron-client does not say what is on chain: {refused.detail}"
            raise Unavailable(told) from refused

    async def _addresses(self, wallet: Wallet) -> AsyncIterator[list[Address]]:
        yield [wallet.address]
        cursor: str | None = None
        while True:
            page = await self._store.storage.list(
                ADDRESSES, "wallet", wallet.id, limit=ADDRESSES_AT_ONCE, cursor=cursor
            )
            yield [leaf.id for leaf in page.items]
            cursor = page.next
            if cursor is None:
                return

    async def _positions(self, addresses: Sequence[Address]) -> Mapping[str, Position]:
        pairs = [(address, currency) for address in addresses for currency in Currency]
        for address in addresses:
            pairs += [
                (Address(account), Currency.TRX)
                for account in (staked(address), unfreezing(address))
            ]
        return await self._store.positions(pairs)


def _contents_of(seen: Holdings) -> list[str]:
    """Say what is on chain at an address; raises Unavailable when its USDT could not be read."""
    address, told = seen.address, seen.told
    if (address, Currency.USDT) not in told.amounts:
        raise Unavailable(f"the contract does not say how much USDT {address} has")
    reasons = [
        f"{account}: {amount} base units of {currency} at block {told.head.height}"
        for (account, currency), amount in told.amounts.items()
        if amount
    ]
    if told.account.votes:
        reasons.append(f"{address}: it votes, so rewards may be unclaimed")
    if rewards_sun := int(told.account.rewards_sun):
        reasons.append(f"{address}: {rewards_sun} sun of rewards are unclaimed")
    return reasons

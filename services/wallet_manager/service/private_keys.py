"""Single keys, brought in and given away by the owner on the machine itself, never over HTTP."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.wallet_manager.domain.approvals import ApprovalKind
from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.stops import SigningStopped
from services.wallet_manager.domain.unlocking import require_strong
from services.wallet_manager.domain.wallets import AddressTaken, CannotSign, Wallet
from services.wallet_manager.service.approvals import Approvals
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.keeper import Keeper
from services.wallet_manager.service.wallets import Wallets
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import SECRETS, WALLETS
from services.wallet_manager.vault import NoKey, SignatureRefused, Vault, key_address
from services.wallet_manager.vault.keystore import Keystore
from services.wallet_manager.vault.wrapping import seal_secret
from shared.clock import Clock
from shared.errors import Conflict, InvalidFields, Unavailable
from shared.ids import NewId, fingerprint, identity
from shared.logs import get_logger
from shared.models.wallet_manager import WalletRole, WalletStatus, WalletType
from shared.storage import MAX_ROWS, DuplicateRecord, StaleRecord, Unit
from shared.tron.address import Address
from shared.tron.networks import FACTS, Network

log = get_logger(__name__)

OWN_SECRETS: Final = 2
"""The seed and the key of the marks."""

MAX_IMPORTED: Final = min(500, MAX_ROWS - OWN_SECRETS)


class Importing:
    """Takes a key in under a data key of its own.

    Args:
        require_clear: raises while it is not sure that no record is missing (hazard H5).
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        keeper: Keeper,
        wallets: Wallets,
        audit: Audit,
        clock: Clock,
        new_id: NewId,
        network: Network,
        require_clear: Callable[[], None],
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._wallets = wallets
        self._audit = audit
        self._clock = clock
        self._new_id = new_id
        self._network = network
        self._require_clear = require_clear

    async def bring_in(
        self,
        secret: bytearray,
        *,
        passphrase: bytearray | None,
        user_id: str,
        label: str,
        by: str,
        why: str,
    ) -> Wallet:
        """Keep a private key as a wallet of its own; it is watched before it is listed.

        Args:
            secret: 32 bytes; the caller wipes them.
            passphrase: that of the vault, if it has one.
            user_id: whose wallet it is.
            label: for people.
            by: who asks.
            why: for the record.

        Raises:
            InvalidFields: it is no private key.
            NeedsPassphrase: so TriedTooOften and WrongPassphrase.
            AddressTaken: the address is here already.
            Conflict: there is no room.
            Unavailable: it is not sure yet that no record is missing.
        """
        self._require_clear()
        async with self._keeper.master_key(passphrase, by=by) as (ring, key):
            wallet = await self._new_wallet(_address_of(secret), user_id, label)
            sealed = seal_secret(
                key,
                secret,
                id=wallet.id,
                network=self._network.value,
                generation=ring.current.number,
                at_ms=wallet.created_at_ms,
            )
            decision = self._audit.decision(
                Act.WALLET_IMPORTED, wallet.id, who=by, why=why, address=wallet.address
            )
            unit = Unit().insert(WALLETS, wallet).insert(SECRETS, sealed)
            try:
                await self._store.record(unit, [decision])
            except DuplicateRecord:
                raise AddressTaken("there is a wallet with this address") from None
            await self._keeper.take_up(key)
        log.warning("wallet.imported", wallet_id=wallet.id, by=by)
        with contextlib.suppress(Unavailable):  # whoever asks for it next has it watched
            return await self._wallets.find(wallet.id)
        return wallet

    async def _new_wallet(self, address: Address, user_id: str, label: str) -> Wallet:
        if len(await self._store.sealed_secrets()) >= MAX_IMPORTED + OWN_SECRETS:
            raise Conflict(f"{MAX_IMPORTED} imported keys are kept at most")
        is_leaf = await self._store.address(address) is not None
        if is_leaf or await self._store.wallet_by_address(address) is not None:
            raise AddressTaken("this address is a wallet's or a deposit address already")
        return Wallet(
            id=self._new_id("wal"),
            identity=identity("owner", "wallets", f"imported:{address}"),
            fingerprint=fingerprint({"imported": address}),
            user_id=user_id,
            role=WalletRole.PLAIN,
            type=WalletType.IMPORTED,
            status=WalletStatus.ACTIVE,
            label=label,
            network=self._network.value,
            coin_type=FACTS[self._network].coin_type,
            account=None,
            address=address,
            branch="",
            created_at_ms=self._clock.now_ms(),
        )


class Exporting:
    """Seals a key for another program, once people agreed to it.

    Args:
        held_back: says why nothing is signed for a wallet, or None.
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        vault: Vault,
        keeper: Keeper,
        wallets: Wallets,
        audit: Audit,
        approvals: Approvals,
        held_back: Callable[[str], str | None],
    ) -> None:
        self._store = store
        self._vault = vault
        self._keeper = keeper
        self._wallets = wallets
        self._audit = audit
        self._approvals = approvals
        self._held_back = held_back

    async def give(
        self,
        wallet_id: str,
        file_passphrase: bytearray,
        *,
        passphrase: bytearray | None,
        by: str,
        why: str,
    ) -> Keystore:
        """Return the key of a wallet's own address as an encrypted file.

        Written down, and the agreement of people used up, before anything is returned.

        Args:
            wallet_id: which.
            file_passphrase: opens the file; the caller wipes it.
            passphrase: that of the vault, if it has one.
            by: who asks.
            why: for the record.

        Raises:
            UnknownWallet: there is no such wallet.
            CannotSign: its key is not kept here.
            WeakPassphrase: that of the file is too short.
            SigningStopped: somebody or something stopped what is done with its key.
            ApprovalNeeded: people have to agree first.
            NeedsPassphrase: so TriedTooOften and WrongPassphrase.
            VaultLocked: it is locked.
        """
        require_strong(file_passphrase)
        wallet = await self._wallets.find(wallet_id)
        name = wallet.own_key()
        self._require_going(wallet)
        async with self._keeper.master_key(passphrase, by=by):
            change = await self._agreed(wallet, by=by, why=why)
            try:
                sealed = await asyncio.to_thread(
                    self._vault.keystore, name, owner=wallet.address, passphrase=file_passphrase
                )
            except SignatureRefused as refused:
                raise CannotSign(str(refused), wallet_id=wallet.id) from None
            self._require_going(wallet)  # a stop may have come while the owner or the file kept us
            try:
                await self._store.commit(change)
            except StaleRecord:
                raise Unavailable("it was asked for twice at once", retry_after_s=1) from None
        log.warning("wallet.exported", wallet_id=wallet.id, by=by)
        return sealed

    def _require_going(self, wallet: Wallet) -> None:
        if (reason := self._held_back(wallet.id)) is not None:
            raise SigningStopped(reason, scope=wallet.id)

    async def _agreed(self, wallet: Wallet, *, by: str, why: str) -> Change:
        change = Change()
        await self._approvals.require(
            change,
            ApprovalKind.EXPORT,
            wallet.id,
            content=fingerprint({"export": wallet.id, "address": wallet.address}),
            reason=why,
            by=by,
        )
        change.decide(
            self._audit.decision(
                Act.WALLET_EXPORTED, wallet.id, who=by, why=why, address=wallet.address
            )
        )
        return change


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateKeys:
    """Both ways."""

    importing: Importing
    exporting: Exporting


def _address_of(secret: bytearray) -> Address:
    try:
        return key_address(secret)
    except NoKey as error:
        raise InvalidFields([{"field": "private_key", "message": str(error)}]) from None

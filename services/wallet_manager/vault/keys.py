"""The opened keys: the only place where anything is signed.

Bytes are built here from an operation, read back by an independent decoder, compared field by field,
and only then signed. While the vault is locked it holds no key at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, final

from services.wallet_manager.domain.keys import Imported, KeyName
from services.wallet_manager.domain.sends import first_stamp_ms
from services.wallet_manager.vault.keystore import Keystore, sealed_keystore
from services.wallet_manager.vault.phrases import seed_of
from services.wallet_manager.vault.records import MARK_ID, SEED_ID, SealedSecret
from services.wallet_manager.vault.sealing import WrongMasterKey, wipe
from services.wallet_manager.vault.wrapping import by_id, open_secret
from shared.errors import Unavailable
from shared.tron.address import Address
from shared.tron.hd import AccountPublicKey, PrivateNode
from shared.tron.meant import meant_raw_data
from shared.tron.operation import Operation, ReferenceBlock
from shared.tron.signing import InvalidKey, SigningKey, message_digest, recover_address
from shared.tron.transaction import txid

_CACHED_KEYS: Final = 1_024


class VaultLocked(Unavailable):
    """The vault is locked; its owner unlocks it on its machine."""

    code = "LUCID_ERR_9340"
    title = "Vault locked"


class NoKey(ValueError):
    """Bytes that are no private key."""


class SignatureRefused(Exception):
    """What would be signed is not what was meant, or the key is not the owner's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Signed bytes and their identity."""

    txid: str
    raw_data: bytes
    signature: bytes


class _Opened:
    """The keys in memory; dropped as one."""

    __slots__ = ("imported", "in_time", "mark_key", "root", "signing_key")

    def __init__(
        self,
        root: PrivateNode,
        mark_key: bytearray,
        imported: dict[str, SigningKey],
        *,
        coin_type: int,
        in_time: Callable[[], bool],
    ) -> None:
        self.root = root
        self.mark_key = mark_key
        self.imported = imported
        self.in_time = in_time

        def named(name: KeyName) -> SigningKey:
            if isinstance(name, Imported):
                if name.wallet_id not in imported:
                    raise SignatureRefused("the key of this wallet is not stored")
                return imported[name.wallet_id]
            account = root.account(coin_type=coin_type, account=name.account)
            return account.derive(0, name.index).signing_key()

        self.signing_key = lru_cache(maxsize=_CACHED_KEYS)(named)

    def drop(self) -> None:
        self.signing_key.cache_clear()
        self.imported.clear()
        wipe(self.mark_key)


@final
class Vault:
    """The keys of one installation, locked at first. Nothing of it is printed, returned or logged."""

    __slots__ = ("__weakref__", "_coin_type", "_network", "_opened")

    def __init__(self, *, network: str, coin_type: int) -> None:
        self._network = network
        self._coin_type = coin_type
        self._opened: _Opened | None = None

    def __repr__(self) -> str:
        return f"Vault({'open' if self.is_open else 'locked'})"

    def __reduce__(self) -> str:
        raise TypeError("a vault is neither pickled nor copied")

    @property
    def is_open(self) -> bool:
        """True while it can sign; one whose time is over locks."""
        if self._opened is not None and not self._opened.in_time():
            self.lock()
        return self._opened is not None

    def open(
        self,
        master_key: bytes | bytearray,
        secrets: Sequence[SealedSecret],
        *,
        in_time: Callable[[], bool] = lambda: True,
    ) -> None:
        """Open the seed, the key of the marks and every imported key.

        Args:
            master_key: of the generation that each secret is under.
            secrets: all that are stored.
            in_time: asked before each use; once it says no, every key is dropped.

        Raises:
            WrongMasterKey: one of them does not open or is missing; the vault is as it was.
        """
        known = by_id(secrets)
        if not {SEED_ID, MARK_ID} <= known.keys():
            raise WrongMasterKey("the seed or the key of the marks is not stored")
        opened = {
            id_: open_secret(master_key, record, network=self._network)
            for id_, record in known.items()
        }
        material, mark_key = opened.pop(SEED_ID), opened.pop(MARK_ID)
        imported = {id_: SigningKey(bytes(secret)) for id_, secret in opened.items()}
        root = PrivateNode.from_seed(seed_of(material))
        wipe(material, *opened.values())
        self.lock()
        self._opened = _Opened(root, mark_key, imported, coin_type=self._coin_type, in_time=in_time)

    def lock(self) -> None:
        """Drop every key, the derived ones too.

        The key of the marks is overwritten; of the others the last reference goes.
        """
        if self._opened is not None:
            self._opened.drop()
            self._opened = None

    def branch(self, account: int) -> AccountPublicKey:
        """Return the public half of an account, from which its addresses derive; raises VaultLocked."""
        root = self._keys().root
        return root.account(coin_type=self._coin_type, account=account).public()

    def stamp_ms(self, send_key: str, attempt: int, *, floor_of_ms: int) -> int:
        """Return the timestamp that marks an attempt on chain (hazard H6); raises VaultLocked."""
        mark_key = bytes(self._keys().mark_key)
        return first_stamp_ms(mark_key, send_key, attempt, floor_of_ms=floor_of_ms)

    def sign(
        self,
        operation: Operation,
        *,
        leaf: KeyName,
        reference: ReferenceBlock,
        expiration_ms: int,
        timestamp_ms: int,
        fee_limit_sun: int,
        permission_id: int = 0,
        memo: bytes = b"",
    ) -> Signed:
        """Build, read back, compare and sign one transaction.

        Raises:
            VaultLocked: it is locked.
            SignatureRefused: the leaf's key does not own what the operation spends.
            IntentMismatch: the bytes read back are not the operation.
        """
        key = self._keys().signing_key(leaf)
        if key.address != operation.owner:
            raise SignatureRefused("the key at this leaf does not belong to the owner")
        raw_data = meant_raw_data(
            operation,
            reference=reference,
            expiration_ms=expiration_ms,
            timestamp_ms=timestamp_ms,
            fee_limit_sun=fee_limit_sun,
            permission_id=permission_id,
            memo=memo,
        )
        digest = sha256(raw_data).digest()
        signature = key.sign(digest)
        if recover_address(digest, signature) != operation.owner:
            raise SignatureRefused("the signature does not recover to the owner")
        return Signed(txid=txid(raw_data), raw_data=raw_data, signature=signature)

    def sign_message(self, message: bytes, *, leaf: KeyName) -> bytes:
        """Sign a message (TIP-191), which can never be a transaction.

        Raises:
            VaultLocked: it is locked.
            SignatureRefused: there is no such key.
        """
        return self._keys().signing_key(leaf).sign(message_digest(message))

    def keystore(self, name: KeyName, *, owner: Address, passphrase: bytearray) -> Keystore:
        """Seal one key under a passphrase of its own, for another program; about half a second.

        Raises:
            VaultLocked: it is locked.
            SignatureRefused: the key is not stored, or not the owner's.
        """
        key = self._keys().signing_key(name)
        if key.address != owner:
            raise SignatureRefused("the key of this name does not belong to the owner")
        return key.handed_to(lambda secret: sealed_keystore(secret, passphrase, address=owner))

    def _keys(self) -> _Opened:
        if not self.is_open or self._opened is None:
            raise VaultLocked("the vault is locked: its owner unlocks it with 'vault unlock'")
        return self._opened


def leaf_address(branch: AccountPublicKey, index: int) -> Address:
    """Return the address of a leaf from the account's public half alone."""
    return branch.address(index)


def key_address(secret: bytearray) -> Address:
    """Return the address of a private key; raises NoKey, which does not repeat it."""
    try:
        return SigningKey(bytes(secret)).address
    except InvalidKey as error:
        raise NoKey(str(error)) from None

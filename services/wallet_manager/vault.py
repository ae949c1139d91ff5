"""The keys: one encrypted seed, and the only place where anything is signed.

A master key from a secret file wraps a random data key, which encrypts the seed's entropy; network
and record name are bound into both (AEAD). Bytes are built here from an operation, read back by an
independent decoder, compared field by field, and only then signed.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.wallet_manager.domain.sends import first_stamp_ms
from shared.config import ConfigurationMissing
from shared.tron.address import Address
from shared.tron.decoding import assert_matches
from shared.tron.hd import AccountPublicKey, PrivateNode, phrase_from_entropy, seed_from_phrase
from shared.tron.operation import Operation, ReferenceBlock
from shared.tron.signing import SigningKey, recover_address
from shared.tron.transaction import build_raw_data, txid

MASTER_KEY_BYTES: Final = 32
ENTROPY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SEED_ID: Final = "seed"

_CACHED_KEYS: Final = 1_024


class WrongMasterKey(ConfigurationMissing):
    """The seed does not open under this master key, or the record was altered."""


class SignatureRefused(Exception):
    """What would be signed is not what was meant, or the key is not the owner's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSeed:
    """The encrypted seed as stored; all texts are hex.

    Attributes:
        wrapped_key: nonce and data key, under the master key.
        sealed: nonce and entropy, under the data key.
    """

    id: str = SEED_ID
    version: int = 0
    network: str
    wrapped_key: str
    sealed: str
    created_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Signed bytes and their identity."""

    txid: str
    raw_data: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """Where a key sits in the tree: m/44'/coin'/account'/0/index."""

    account: int
    index: int


def parse_master_key(secret: bytes) -> bytes:
    """Read the master key: 64 hex digits.

    Raises:
        ConfigurationMissing: it is anything else; the message does not repeat it.
    """
    try:
        key = bytes.fromhex(secret.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise ConfigurationMissing("the master key must be 64 hex digits")
    return key


def new_seed(master_key: bytes, *, network: str, at_ms: int) -> tuple[SealedSeed, str]:
    """Make a fresh seed; returns it sealed, and its 24 words, which are to be shown once."""
    entropy = os.urandom(ENTROPY_BYTES)
    data_key = os.urandom(MASTER_KEY_BYTES)
    sealed = SealedSeed(
        network=network,
        wrapped_key=_seal(master_key, data_key, _label(network, "data-key")),
        sealed=_seal(data_key, entropy, _label(network, "entropy")),
        created_at_ms=at_ms,
    )
    return sealed, phrase_from_entropy(entropy)


@final
class Vault:
    """An opened seed. Nothing of it is printed, returned or logged.

    Raises:
        WrongMasterKey: the sealed seed does not open.
    """

    __slots__ = ("__weakref__", "_coin_type", "_mark_key", "_root", "_signing_key")

    def __init__(
        self, master_key: bytes, sealed: SealedSeed, *, network: str, coin_type: int
    ) -> None:
        data_key = _open(master_key, sealed.wrapped_key, _label(network, "data-key"))
        entropy = _open(data_key, sealed.sealed, _label(network, "entropy"))
        self._root = PrivateNode.from_seed(seed_from_phrase(phrase_from_entropy(entropy)))
        self._coin_type = coin_type
        self._mark_key = HKDF(
            algorithm=SHA256(), length=MASTER_KEY_BYTES, salt=None, info=b"lucid send mark"
        ).derive(master_key)
        self._signing_key = lru_cache(maxsize=_CACHED_KEYS)(self._derive)

    def __repr__(self) -> str:
        return "Vault(open)"

    def branch(self, account: int) -> AccountPublicKey:
        """Return the public half of an account, from which its addresses derive."""
        return self._root.account(coin_type=self._coin_type, account=account).public()

    def stamp_ms(self, send_key: str, attempt: int, *, floor_of_ms: int) -> int:
        """Return the timestamp that marks an attempt on chain (hazard H6)."""
        return first_stamp_ms(self._mark_key, send_key, attempt, floor_of_ms=floor_of_ms)

    def sign(
        self,
        operation: Operation,
        *,
        leaf: Leaf,
        reference: ReferenceBlock,
        expiration_ms: int,
        timestamp_ms: int,
        fee_limit_sun: int,
    ) -> Signed:
        """Build, read back, compare and sign one transaction.

        Raises:
            SignatureRefused: the leaf's key does not own what the operation spends.
            IntentMismatch: the bytes read back are not the operation.
        """
        key = self._signing_key(leaf)
        if key.address != operation.owner:
            raise SignatureRefused("the key at this leaf does not belong to the owner")
        envelope = {"expiration_ms": expiration_ms, "timestamp_ms": timestamp_ms}
        raw_data = build_raw_data(
            operation, reference=reference, fee_limit_sun=fee_limit_sun, **envelope
        )
        assert_matches(
            raw_data, operation, reference=reference, fee_limit_sun=fee_limit_sun, **envelope
        )
        digest = sha256(raw_data).digest()
        signature = key.sign(digest)
        if recover_address(digest, signature) != operation.owner:
            raise SignatureRefused("the signature does not recover to the owner")
        return Signed(txid=txid(raw_data), raw_data=raw_data, signature=signature)

    def _derive(self, leaf: Leaf) -> SigningKey:
        account = self._root.account(coin_type=self._coin_type, account=leaf.account)
        return account.derive(0, leaf.index).signing_key()


def leaf_address(branch: AccountPublicKey, index: int) -> Address:
    """Return the address of a leaf from the account's public half alone."""
    return branch.address(index)


def _label(network: str, what: str) -> bytes:
    return f"lucid-tron/v1/{network}/{SEED_ID}/{what}".encode()


def _seal(key: bytes, plain: bytes, label: bytes) -> str:
    nonce = os.urandom(NONCE_BYTES)
    return (nonce + ChaCha20Poly1305(key).encrypt(nonce, plain, label)).hex()


def _open(key: bytes, sealed: str, label: bytes) -> bytes:
    try:
        raw = bytes.fromhex(sealed)
        return ChaCha20Poly1305(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], label)
    except (InvalidTag, ValueError):
        raise WrongMasterKey(
            "the seed does not open under this master key: it belongs to another installation or network"
        ) from None

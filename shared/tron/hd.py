"""Keys from one phrase: BIP-39 to a seed, BIP-32 to a tree, BIP-44 to addresses.

Private nodes stay in the vault. An ``AccountPublicKey`` derives the same addresses without them;
it must still be kept, for together with any one child's private key it yields the whole account.
"""

import hmac
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NoReturn, Self, SupportsIndex, final

from coincurve import PrivateKey, PublicKey
from mnemonic import Mnemonic

from shared.tron.address import Address, address_from_public_key
from shared.tron.signing import SECRET_LENGTH, InvalidKey, SigningKey

HARDENED: Final = 2**31
PURPOSE: Final = 44
CHAIN_CODE_LENGTH: Final = 32
PUBLIC_KEY_LENGTH: Final = 33

_ENGLISH: Final = Mnemonic("english")
_ENTROPY_LENGTHS: Final = frozenset({16, 20, 24, 28, 32})
_SEED_LENGTHS: Final = range(16, 65)
_COMPRESSED: Final = (2, 3)
_CACHED_NODES: Final = 1024


class InvalidPhrase(ValueError):
    """Words that are no BIP-39 phrase; they are never repeated in the message."""

    def __init__(self) -> None:
        super().__init__("not a valid BIP-39 phrase of 12, 15, 18, 21 or 24 English words")


class InvalidDerivation(ValueError):
    """A seed, index or serialised node from which nothing can be derived.

    Attributes:
        reason: what is wrong, without the material itself.
    """

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def phrase_from_entropy(entropy: bytes) -> str:
    """Spell 16, 20, 24, 28 or 32 random bytes as 12 to 24 English words (BIP-39).

    Raises:
        InvalidDerivation: another number of bytes.
    """
    if len(entropy) not in _ENTROPY_LENGTHS:
        raise InvalidDerivation(reason="entropy is not 16, 20, 24, 28 or 32 bytes")
    return str(_ENGLISH.to_mnemonic(entropy))


def seed_from_phrase(phrase: str, passphrase: str = "") -> bytes:
    """Check an English phrase and stretch it into its 64-byte seed (BIP-39; about 1 ms).

    Words may be separated by any white space.

    Raises:
        InvalidPhrase: a word outside the list, a wrong count or a wrong checksum.
    """
    words = " ".join(unicodedata.normalize("NFKD", phrase).split())
    if not _ENGLISH.check(words):
        raise InvalidPhrase
    return Mnemonic.to_seed(words, passphrase)


@final
class PrivateNode:
    """A private node of a BIP-32 tree; it shows nothing and can be neither pickled nor copied."""

    __slots__ = ("_chain_code", "_key")

    def __init__(self, secret: bytes, chain_code: bytes) -> None:
        if len(secret) != SECRET_LENGTH or len(chain_code) != CHAIN_CODE_LENGTH:
            raise InvalidDerivation(reason="a private node is twice 32 bytes")
        try:
            self._key = PrivateKey(secret)
        except ValueError:
            raise InvalidKey from None
        self._chain_code = chain_code

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Return the master node of a seed of 16 to 64 bytes.

        Raises:
            InvalidDerivation: another length.
            InvalidKey: a seed without a master key, which has a chance of 2^-127.

        Source: BIP-32, master key generation.
        """
        if len(seed) not in _SEED_LENGTHS:
            raise InvalidDerivation(reason="a seed is 16 to 64 bytes")
        digest = hmac.digest(b"Bitcoin seed", seed, "sha512")
        return cls(digest[:SECRET_LENGTH], digest[SECRET_LENGTH:])

    def child(self, index: int) -> "PrivateNode":
        """Derive one child; indexes from 2^31 on are hardened.

        Raises:
            InvalidDerivation: an index outside 0..2^32-1, or (2^-127) one without a key.

        Source: BIP-32, CKDpriv.
        """
        if type(index) is not int or not 0 <= index < 2 * HARDENED:
            raise InvalidDerivation(reason="an index is 0 to 2^32-1")
        if index >= HARDENED:
            material = b"\0" + self._key.secret
        else:
            material = self._key.public_key.format(compressed=True)
        digest = hmac.digest(self._chain_code, material + index.to_bytes(4, "big"), "sha512")
        try:
            key = self._key.add(digest[:SECRET_LENGTH])
        except ValueError:
            raise InvalidDerivation(reason="this index has no key; use the next") from None
        return PrivateNode(key.secret, digest[SECRET_LENGTH:])

    def derive(self, *path: int) -> "PrivateNode":
        """Derive along a path of indexes; none returns this very node.

        Raises:
            InvalidDerivation: as ``child`` does.
        """
        node = self
        for index in path:
            node = node.child(index)
        return node

    def account(self, *, coin_type: int, account: int) -> "PrivateNode":
        """Derive m/44'/coin_type'/account' from a master node (BIP-44).

        Args:
            coin_type: 195 for TRON, 1 for every test network (SLIP-44).
            account: counted from 0.

        Raises:
            InvalidDerivation: a number outside 0..2^31-1.
        """
        for number in (coin_type, account):
            _require_plain(number)
        return self.derive(PURPOSE + HARDENED, coin_type + HARDENED, account + HARDENED)

    def signing_key(self) -> SigningKey:
        """Return the key of this node itself."""
        return SigningKey(self._key.secret)

    def public(self) -> "AccountPublicKey":
        """Return the public half of this node, meant for account nodes (BIP-32, N)."""
        return AccountPublicKey(
            public_key=self._key.public_key.format(compressed=True), chain_code=self._chain_code
        )

    def __repr__(self) -> str:
        return "PrivateNode(…)"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a private node stays where it is")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPublicKey:
    """The public half of an account node, from which all its addresses follow.

    ``public_key`` is 33 bytes, compressed; ``chain_code`` 32 bytes, left out of ``repr``.

    Raises:
        InvalidDerivation: other lengths, or a point off the curve.
    """

    public_key: bytes
    chain_code: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.chain_code) != CHAIN_CODE_LENGTH or len(self.public_key) != PUBLIC_KEY_LENGTH:
            raise InvalidDerivation(reason="an account public key is 33 and 32 bytes")
        if self.public_key[0] not in _COMPRESSED:
            raise InvalidDerivation(reason="the public key is not compressed")
        _point(self.public_key)

    def to_bytes(self) -> bytes:
        """Serialise as 65 bytes: public key, then chain code."""
        return self.public_key + self.chain_code

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what ``to_bytes`` wrote.

        Raises:
            InvalidDerivation: another length, or a point off the curve.
        """
        return cls(public_key=data[:PUBLIC_KEY_LENGTH], chain_code=data[PUBLIC_KEY_LENGTH:])

    def child(self, index: int) -> "AccountPublicKey":
        """Derive one child without any private key.

        Raises:
            InvalidDerivation: an index outside 0..2^31-1, or (2^-127) one without a key.

        Source: BIP-32, CKDpub.
        """
        point, chain_code = _child(_point(self.public_key), self.chain_code, index)
        return AccountPublicKey(public_key=point.format(compressed=True), chain_code=chain_code)

    def address(self, index: int, *, change: int = 0) -> Address:
        """Return the address at change/index below the account (BIP-44).

        Raises:
            InvalidDerivation: as ``child`` does.
        """
        branch, chain_code = _change_node(self, change)
        point, _ = _child(branch, chain_code, index)
        return address_from_public_key(point.format(compressed=False))


@lru_cache(maxsize=_CACHED_NODES)
def _change_node(account: AccountPublicKey, change: int) -> tuple[PublicKey, bytes]:
    return _child(_point(account.public_key), account.chain_code, change)


def _child(parent: PublicKey, chain_code: bytes, index: int) -> tuple[PublicKey, bytes]:
    _require_plain(index)
    material = parent.format(compressed=True) + index.to_bytes(4, "big")
    digest = hmac.digest(chain_code, material, "sha512")
    try:
        return parent.add(digest[:SECRET_LENGTH]), digest[SECRET_LENGTH:]
    except ValueError:
        raise InvalidDerivation(reason="this index has no key; use the next") from None


def _point(public_key: bytes) -> PublicKey:
    try:
        return PublicKey(public_key)
    except ValueError:
        raise InvalidDerivation(reason="the public key is not on the curve") from None


def _require_plain(index: int) -> None:
    if type(index) is not int or not 0 <= index < HARDENED:
        raise InvalidDerivation(reason="a plain index is 0 to 2^31-1")

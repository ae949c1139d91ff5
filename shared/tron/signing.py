"""secp256k1 keys and signatures; a key shows its address and nothing else."""

from collections.abc import Callable
from typing import Final, NoReturn, SupportsIndex, TypeVar, final

from coincurve import PrivateKey, PublicKey

from shared.tron.address import Address, address_from_public_key
from shared.tron.keccak import keccak256

T = TypeVar("T")

SECRET_LENGTH: Final = 32
DIGEST_LENGTH: Final = 32
SIGNATURE_LENGTH: Final = 65

_FIRST_V: Final = 27
_RECOVERY_IDS: Final = range(4)
_MESSAGE_PREFIX: Final = b"\x19TRON Signed Message:\n"


class InvalidKey(ValueError):
    """Bytes that are no private key; they are never repeated in the message."""

    def __init__(self) -> None:
        super().__init__("not a secp256k1 private key")


class InvalidSignature(ValueError):
    """A signature or digest of a wrong shape, or one that no key could have made.

    Attributes:
        reason: what is wrong with it.
    """

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@final
class SigningKey:
    """A private key that signs digests.

    Its ``repr``, ``str`` and format are its address; it can be neither pickled nor copied.

    Args:
        secret: 32 bytes.

    Raises:
        InvalidKey: another length, zero, or not below the order of the curve.
    """

    __slots__ = ("_key", "address")

    def __init__(self, secret: bytes) -> None:
        self._key = _private_key(secret)
        self.address: Final[Address] = address_from_public_key(
            self._key.public_key.format(compressed=False)
        )

    def sign(self, digest: bytes) -> bytes:
        """Sign a 32-byte digest: r, s (low), v of 27 or 28; 65 bytes, deterministic (RFC 6979).

        Raises:
            InvalidSignature: the digest is not 32 bytes.

        Source: java-tron ECKey.signatureToAddress, which accepts v from 27 to 34.
        """
        _require_digest(digest)
        signature = self._key.sign_recoverable(digest, hasher=None)
        return signature[:-1] + bytes([signature[-1] + _FIRST_V])

    def handed_to(self, seal: Callable[[bytes], T]) -> T:
        """Hand the 32 secret bytes to a function that seals them, and return what it made."""
        return seal(self._key.secret)

    def __repr__(self) -> str:
        return f"SigningKey({self.address})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a signing key stays where it is")


def recover_address(digest: bytes, signature: bytes) -> Address:
    """Return the address whose key signed a 32-byte digest.

    ``v`` may be 0 to 3 or 27 to 30, as nodes take it (java-tron TransactionCapsule.checkWeight).

    Raises:
        InvalidSignature: wrong lengths, another ``v``, or no key to recover.
    """
    _require_digest(digest)
    if len(signature) != SIGNATURE_LENGTH:
        raise InvalidSignature(reason="a signature is 65 bytes")
    v = signature[-1]
    recovery_id = v - _FIRST_V if v >= _FIRST_V else v
    if recovery_id not in _RECOVERY_IDS:
        raise InvalidSignature(reason="v is neither 0 to 3 nor 27 to 30")
    try:
        key = PublicKey.from_signature_and_message(
            signature[:-1] + bytes([recovery_id]), digest, hasher=None
        )
    except ValueError as error:
        raise InvalidSignature(reason="no key has made this signature") from error
    return address_from_public_key(key.format(compressed=False))


def verify_signature(address: Address, digest: bytes, signature: bytes) -> bool:
    """True when the key of ``address`` signed the digest; malformed signatures are False."""
    try:
        return recover_address(digest, signature) == address
    except InvalidSignature:
        return False


def message_digest(message: bytes) -> bytes:
    """Return the 32 bytes to sign for a message, which can never be those of a transaction.

    Source: TIP-191; TronWeb signMessageV2: prefix, length in decimal, message, through keccak256.
    """
    return keccak256(_MESSAGE_PREFIX + str(len(message)).encode() + message)


def _private_key(secret: bytes) -> PrivateKey:
    if len(secret) == SECRET_LENGTH:
        try:
            return PrivateKey(secret)
        except ValueError:
            raise InvalidKey from None
    raise InvalidKey


def _require_digest(digest: bytes) -> None:
    if len(digest) != DIGEST_LENGTH:
        raise InvalidSignature(reason="a digest is 32 bytes")

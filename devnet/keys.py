"""Deterministic keys, signing and signature recovery over secp256k1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256

import coincurve

from devnet import address

SIGNATURE_BYTES = range(65, 69)
_FIRST_HEADER = 27
_FIRST_COMPRESSED_HEADER = 31
_LAST_HEADER = 34
_NO_KEY = "Could not recover public key from signature"


class SignatureSizeError(ValueError):
    """Bytes that are too few or too many for a signature; its text is the node's."""


class RecoveryError(ValueError):
    """A signature that no key can have made; its text is the node's."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A named key of the development chain; its secret follows from its name."""

    name: str

    @cached_property
    def secret(self) -> bytes:
        """The 32 bytes of the private key."""
        return sha256(b"lucid devnet key " + self.name.encode()).digest()

    @cached_property
    def address(self) -> bytes:
        """The 21 bytes of its address."""
        return address.of_public_key(self._private.public_key)

    @cached_property
    def _private(self) -> coincurve.PrivateKey:
        return coincurve.PrivateKey(self.secret)

    def sign(self, digest: bytes) -> bytes:
        """Sign a 32-byte digest: 65 bytes r, s, v with v 0 or 1."""
        return self._private.sign_recoverable(digest, hasher=None)


@lru_cache(maxsize=8192)
def recover(digest: bytes, signature: bytes) -> bytes:
    """Return the address whose key made the signature over a 32-byte digest.

    The 65th byte may be 0..7 or a header 27..34, of which those from 31 on mean what they mean
    without 4 (java-tron's ECKey.signatureToKeyBytes); up to three bytes may follow and are
    ignored.

    Raises:
        SignatureSizeError: It does not have 65 to 68 bytes.
        RecoveryError: No key can have made it.
    """
    if len(signature) not in SIGNATURE_BYTES:
        raise SignatureSizeError(f"Signature size is {len(signature)}")
    header = int.from_bytes(signature[64:65], "big", signed=True)
    header += _FIRST_HEADER if header < _FIRST_HEADER else 0
    if not _FIRST_HEADER <= header <= _LAST_HEADER:
        raise RecoveryError(f"Header byte out of range: {header}")
    if header >= _FIRST_COMPRESSED_HEADER:
        header -= 4
    compact = signature[:64] + bytes([header - _FIRST_HEADER])
    try:
        public = coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as error:  # coincurve raises a bare Exception for an impossible signature
        raise RecoveryError(_NO_KEY) from error
    return address.of_public_key(public)

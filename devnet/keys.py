"""Deterministic keys, signing and signature recovery over secp256k1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import coincurve

from devnet import address

_SIGNATURE_BYTES = 65
_FIRST_HEADER = 27
_FIRST_COMPRESSED_HEADER = 31
_LAST_HEADER = 34


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


def recover(digest: bytes, signature: bytes) -> bytes:
    """Return the address whose key made the signature over a 32-byte digest.

    The last byte may be 0..3 or a header 27..34 (java-tron's ECKey.signatureToKeyBytes); bytes
    beyond the 65th are ignored as java-tron does.

    Raises:
        ValueError: No key can have made it.
    """
    if len(signature) < _SIGNATURE_BYTES:
        raise ValueError(f"signature is too short: {len(signature)} bytes")
    header = signature[64] if signature[64] >= _FIRST_HEADER else signature[64] + _FIRST_HEADER
    if header > _LAST_HEADER:
        raise ValueError(f"signature header is out of range: {header}")
    if header >= _FIRST_COMPRESSED_HEADER:
        header -= 4
    compact = signature[:64] + bytes([header - _FIRST_HEADER])
    try:
        public = coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except Exception as error:  # coincurve raises a bare Exception for an impossible signature
        raise ValueError("no key made this signature") from error
    return address.of_public_key(public)

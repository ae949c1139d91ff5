"""Keccak-256, the hash of TRON's addresses, selectors and messages."""

from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte Keccak-256 digest, the padding from before SHA-3 (java-tron Hash.java)."""
    return keccak.new(digest_bits=256, data=data).digest()

"""Sealing under a key: ChaCha20-Poly1305 with what the text belongs to as associated data."""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from shared.config import ConfigurationMissing

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


class WrongMasterKey(ConfigurationMissing):
    """A record does not open under this master key, or was altered."""


def label(network: str, record_id: str, *parts: object) -> bytes:
    """Name what a sealed text belongs to; the same bytes open it."""
    return "/".join(("lucid-tron/v2", network, record_id, *map(str, parts))).encode()


def first_label(network: str, record_id: str, what: str) -> bytes:
    """Name a sealed text as the first format did."""
    return f"lucid-tron/v1/{network}/{record_id}/{what}".encode()


def seal(key: bytes | bytearray, plain: bytes | bytearray, belongs_to: bytes) -> str:
    """Return nonce and ciphertext in hex."""
    nonce = os.urandom(NONCE_BYTES)
    return (nonce + ChaCha20Poly1305(key).encrypt(nonce, plain, belongs_to)).hex()


def unseal(key: bytes | bytearray, sealed: str, belongs_to: bytes) -> bytearray:
    """Return the plain bytes, which the caller wipes; raises WrongMasterKey."""
    try:
        raw = bytes.fromhex(sealed)
        plain = ChaCha20Poly1305(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], belongs_to)
    except (InvalidTag, ValueError):
        raise WrongMasterKey(
            "the seed does not open under this master key: it belongs to another installation or network"
        ) from None
    return bytearray(plain)


def wipe(*secrets: bytearray) -> None:
    """Overwrite secrets with zeros.

    Copies that cannot be overwritten remain until their memory is used again: Python's ``bytes``,
    the words, and what libsecp256k1 and OpenSSL hold.
    """
    for secret in secrets:
        secret[:] = bytes(len(secret))

"""TRON addresses: 0x41 and the last 20 bytes of the public key's keccak, in hex or base58check."""

from __future__ import annotations

from functools import lru_cache

import base58
import coincurve
from Crypto.Hash import keccak

PREFIX = b"\x41"
ADDRESS_BYTES = 21
ZERO = PREFIX + bytes(20)


def keccak256(data: bytes) -> bytes:
    """Ethereum's keccak, which is not SHA3-256."""
    return keccak.new(digest_bits=256, data=data).digest()


def of_public_key(public: coincurve.PublicKey) -> bytes:
    """The 21 bytes of the address that a public key owns."""
    return PREFIX + keccak256(public.format(compressed=False)[1:])[12:]


@lru_cache(maxsize=8192)
def to_base58(address: bytes) -> str:
    """Write 21 bytes as base58check, 34 characters that begin with T."""
    return base58.b58encode_check(address).decode()


def from_base58(text: str) -> bytes:
    """Read base58check.

    Raises:
        ValueError: The alphabet, the checksum, the length or the prefix is wrong.
    """
    return checked(base58.b58decode_check(text))


def parse(text: str) -> bytes:
    """Read either form: 42 hex digits or base58check.

    Raises:
        ValueError: It is neither.
    """
    if len(text) == ADDRESS_BYTES * 2:
        return checked(bytes.fromhex(text))
    return from_base58(text)


def checked(address: bytes) -> bytes:
    """Return the address if its length and prefix are right.

    Raises:
        ValueError: They are not.
    """
    if not is_valid(address):
        raise ValueError(f"not an address: {address.hex()}")
    return address


def is_valid(address: bytes) -> bool:
    """True for 21 bytes that begin with 0x41 (java-tron's DecodeUtil.addressValid)."""
    return len(address) == ADDRESS_BYTES and address.startswith(PREFIX)

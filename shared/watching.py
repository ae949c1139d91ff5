"""One digest for a set of watched addresses, so that two lists can be compared without sending them."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

DIGEST_BYTES: Final = 32


def watch_digest(addresses: Iterable[bytes]) -> int:
    """Return the digest of a set of addresses, each as the 20 bytes that contracts see.

    It is the exclusive or of their SHA-256 hashes: the order does not matter, and the digest of a
    set with one address more or less is that of the set, exclusive or, that of the address.
    """
    digest = 0
    for address in addresses:
        digest ^= int.from_bytes(sha256(address).digest(), "big")
    return digest


def digest_text(digest: int) -> str:
    """Write a digest as hexadecimal digits."""
    return digest.to_bytes(DIGEST_BYTES, "big").hex()

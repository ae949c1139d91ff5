"""Addresses: base58check text at the edges, 21 bytes on the wire, 20 bytes inside contracts.

To JSON, pydantic and msgspec a checked address is a plain ``str``; only functions here make one.
"""

import re
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Final, NewType

import base58

from shared.tron.keccak import keccak256

Address = NewType("Address", str)
"""Base58check text of a TRON address that has been checked: 34 characters, beginning with T."""

ADDRESS_PREFIX: Final = b"\x41"
ADDRESS_LENGTH: Final = 21
EVM_LENGTH: Final = 20
ZERO_EVM_ADDRESS: Final = bytes(EVM_LENGTH)

_TEXT_LENGTH: Final = 34
_CHECKSUM_LENGTH: Final = 4
_PUBLIC_KEY_LENGTH: Final = 65
_UNCOMPRESSED: Final = 0x04
_ALPHABET: Final = frozenset(base58.BITCOIN_ALPHABET.decode())
_HEX: Final = re.compile(r"(?:41)?([0-9a-fA-F]{40})")
_CACHED: Final = 65_536


class AddressFault(StrEnum):
    """What keeps a text from being an address."""

    LENGTH = "length"
    CHARACTER = "character"
    CHECKSUM = "checksum"
    PREFIX = "prefix"


class InvalidAddress(ValueError):
    """A text or byte string that is no TRON address; the input is never repeated in the message.

    Attributes:
        reason: the first check that failed.
    """

    def __init__(self, reason: AddressFault) -> None:
        super().__init__(f"not a TRON address: wrong {reason}")
        self.reason = reason


def parse_address(text: str) -> Address:
    """Check base58check text and return it as an address; hexadecimal is refused.

    Raises:
        InvalidAddress: wrong length, a character outside base58 (spaces and look-alikes included),
            a checksum that does not fit, or a prefix of another chain.

    Source: java-tron Commons.decode58Check and DecodeUtil.addressValid.
    """
    _decoded(text)
    return Address(text)


def address_from_hex(text: str) -> Address:
    """Read 42 hexadecimal digits beginning with 41, or the 40 digits a contract sees.

    Raises:
        InvalidAddress: anything else, a ``0x`` prefix included.
    """
    match = _HEX.fullmatch(text)
    if match is None:
        fault = AddressFault.LENGTH if len(text) not in {40, 42} else AddressFault.CHARACTER
        raise InvalidAddress(fault)
    return address_from_bytes(ADDRESS_PREFIX + bytes.fromhex(match[1]))


@lru_cache(maxsize=_CACHED)
def address_from_bytes(raw: bytes) -> Address:
    """Encode 21 bytes beginning with 0x41, or the 20 bytes a contract sees.

    Raises:
        InvalidAddress: another length or prefix.
    """
    if len(raw) == EVM_LENGTH:
        raw = ADDRESS_PREFIX + raw
    if len(raw) != ADDRESS_LENGTH:
        raise InvalidAddress(AddressFault.LENGTH)
    if raw[:1] != ADDRESS_PREFIX:
        raise InvalidAddress(AddressFault.PREFIX)
    return Address(base58.b58encode(raw + _checksum(raw)).decode())


def address_from_public_key(public_key: bytes) -> Address:
    """Hash an uncompressed secp256k1 public key (65 bytes, 0x04 first) into its address.

    Raises:
        InvalidAddress: the key is not 65 bytes or not uncompressed.

    Source: java-tron Hash.sha3omit12.
    """
    if len(public_key) != _PUBLIC_KEY_LENGTH:
        raise InvalidAddress(AddressFault.LENGTH)
    if public_key[0] != _UNCOMPRESSED:
        raise InvalidAddress(AddressFault.PREFIX)
    return address_from_bytes(ADDRESS_PREFIX + keccak256(public_key[1:])[-EVM_LENGTH:])


def address_bytes(address: Address) -> bytes:
    """Return the 21 bytes that protobuf messages carry.

    Raises:
        InvalidAddress: the text was never checked and is no address.
    """
    return _decoded(address)


def evm_bytes(address: Address) -> bytes:
    """Return the 20 bytes that contracts and their logs carry.

    Raises:
        InvalidAddress: the text was never checked and is no address.
    """
    return _decoded(address)[1:]


@lru_cache(maxsize=_CACHED)
def _decoded(text: str) -> bytes:
    if len(text) != _TEXT_LENGTH:
        raise InvalidAddress(AddressFault.LENGTH)
    if not _ALPHABET.issuperset(text):
        raise InvalidAddress(AddressFault.CHARACTER)
    decoded = base58.b58decode(text)
    if len(decoded) != ADDRESS_LENGTH + _CHECKSUM_LENGTH:
        raise InvalidAddress(AddressFault.LENGTH)
    raw, checksum = decoded[:ADDRESS_LENGTH], decoded[ADDRESS_LENGTH:]
    if checksum != _checksum(raw):
        raise InvalidAddress(AddressFault.CHECKSUM)
    if raw[:1] != ADDRESS_PREFIX:
        raise InvalidAddress(AddressFault.PREFIX)
    return raw


def _checksum(raw: bytes) -> bytes:
    return sha256(sha256(raw).digest()).digest()[:_CHECKSUM_LENGTH]

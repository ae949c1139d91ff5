"""The little of the contract ABI that TRC-20 needs: calls, strict results, logs, revert reasons.

Selectors are the first four bytes of keccak256 of the signature (Solidity ABI specification).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.tron.address import Address, address_from_bytes, address_from_hex, evm_bytes

UINT256_MAX: Final = 2**256 - 1
TRANSFER_TOPIC: Final = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRANSFER_SELECTOR: Final = bytes.fromhex("a9059cbb")

_APPROVE: Final = bytes.fromhex("095ea7b3")
_BALANCE_OF: Final = bytes.fromhex("70a08231")
_ALLOWANCE: Final = bytes.fromhex("dd62ed3e")
_IS_BLACK_LISTED: Final = bytes.fromhex("e47d6060")
_PAUSED: Final = bytes.fromhex("5c975abb")
_DECIMALS: Final = bytes.fromhex("313ce567")
_SYMBOL: Final = bytes.fromhex("95d89b41")
_ERROR: Final = bytes.fromhex("08c379a0")
_PANIC: Final = bytes.fromhex("4e487b71")

_WORD: Final = 32
_TRANSFER_TOPICS: Final = 3
_MAX_STRING_BYTES: Final = 1024
_WORD_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


class InvalidAbi(ValueError):
    """Bytes that are not the ABI encoding they should be, or a number that has none.

    Attributes:
        what: the first thing that is wrong.
    """

    def __init__(self, *, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferLog:
    """One ``Transfer`` event: value in base units of the contract's token, 0 included."""

    contract: Address
    sender: Address
    recipient: Address
    value: int


def encode_transfer(to: Address, amount: int) -> bytes:
    """Encode ``transfer(address,uint256)``: 68 bytes, ``amount`` in base units."""
    return TRANSFER_SELECTOR + _address_word(to) + _uint_word(amount)


def encode_approve(spender: Address, amount: int) -> bytes:
    """Encode ``approve(address,uint256)``: 68 bytes, ``amount`` in base units."""
    return _APPROVE + _address_word(spender) + _uint_word(amount)


def encode_balance_of(owner: Address) -> bytes:
    """Encode ``balanceOf(address)``: 36 bytes."""
    return _BALANCE_OF + _address_word(owner)


def encode_allowance(owner: Address, spender: Address) -> bytes:
    """Encode ``allowance(address,address)``: 68 bytes."""
    return _ALLOWANCE + _address_word(owner) + _address_word(spender)


def encode_is_black_listed(account: Address) -> bytes:
    """Encode Tether's ``isBlackListed(address)``: 36 bytes."""
    return _IS_BLACK_LISTED + _address_word(account)


def encode_paused() -> bytes:
    """Encode ``paused()``: 4 bytes."""
    return _PAUSED


def encode_decimals() -> bytes:
    """Encode ``decimals()``: 4 bytes."""
    return _DECIMALS


def encode_symbol() -> bytes:
    """Encode ``symbol()``: 4 bytes."""
    return _SYMBOL


def decode_uint256(data: bytes) -> int:
    """Read exactly one 32-byte unsigned integer.

    Raises:
        InvalidAbi: any other length; an empty answer means there is no such function.
    """
    if len(data) != _WORD:
        raise InvalidAbi(what=f"{len(data)} bytes where one word belongs")
    return int.from_bytes(data, "big")


def decode_bool(data: bytes) -> bool:
    """Read exactly one word that is 0 or 1.

    Raises:
        InvalidAbi: another length or value.
    """
    number = decode_uint256(data)
    if number not in {0, 1}:
        raise InvalidAbi(what="a boolean that is neither 0 nor 1")
    return number == 1


def decode_string(data: bytes) -> str:
    """Read a single dynamic string of at most 1,024 bytes, zero padded to whole words.

    Raises:
        InvalidAbi: another offset, length or padding, or text that is not UTF-8.
    """
    if len(data) < 2 * _WORD or decode_uint256(data[:_WORD]) != _WORD:
        raise InvalidAbi(what="a string without its offset and length")
    length = decode_uint256(data[_WORD : 2 * _WORD])
    padded = data[2 * _WORD :]
    if length > _MAX_STRING_BYTES or len(padded) != -(-length // _WORD) * _WORD:
        raise InvalidAbi(what="a string of another length than it says")
    if any(padded[length:]):
        raise InvalidAbi(what="a string with padding that is not zero")
    try:
        return padded[:length].decode()
    except UnicodeDecodeError:
        raise InvalidAbi(what="a string that is not UTF-8") from None


def decode_transfer_log(address: str, topics: Sequence[str], data: str) -> TransferLog | None:
    """Read a log as a node prints it; None when it is no TRC-20 ``Transfer``.

    Addresses are the last 20 bytes of their topics, for the virtual machine masks the rest.

    Args:
        address: the contract, 40 hexadecimal digits (42 with the prefix 41).
        topics: up to four words of 64 hexadecimal digits.
        data: hexadecimal; one word for a transfer with indexed parties.

    Raises:
        InvalidAddress: the contract is not hexadecimal of that length.
    """
    if len(topics) != _TRANSFER_TOPICS or topics[0].lower() != TRANSFER_TOPIC:
        return None
    words = (topics[1], topics[2], data)
    if not all(_WORD_HEX.fullmatch(word) for word in words):
        return None
    return TransferLog(
        contract=address_from_hex(address),
        sender=address_from_bytes(bytes.fromhex(topics[1])[12:]),
        recipient=address_from_bytes(bytes.fromhex(topics[2])[12:]),
        value=int(data, 16),
    )


def decode_revert_reason(data: bytes) -> str | None:
    """Return the text of ``Error(string)`` or ``panic 0x…`` of ``Panic(uint256)``.

    None when the contract gave no reason or one of another shape. The text is the contract's own
    and not to be trusted.
    """
    selector, body = data[:4], data[4:]
    try:
        if selector == _ERROR:
            return decode_string(body)
        if selector == _PANIC:
            return f"panic {decode_uint256(body):#04x}"
    except InvalidAbi:
        return None
    return None


def _address_word(address: Address) -> bytes:
    return evm_bytes(address).rjust(_WORD, b"\0")


def _uint_word(number: int) -> bytes:
    if type(number) is not int or not 0 <= number <= UINT256_MAX:
        raise InvalidAbi(what="a number that is not an unsigned 256-bit integer")
    return number.to_bytes(_WORD, "big")

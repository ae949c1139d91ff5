"""Hex, base58check, numbers and flags outside of messages."""

from __future__ import annotations

from typing import Any

import base58

from devnet.address import is_valid
from devnet.json_format.errors import JavaError, ParseError, null_pointer

NOT_HEX = "exception decoding Hex string: invalid characters encountered in Hex string"
_DECODER_EXCEPTION = "org.bouncycastle.util.encoders.DecoderException"
_ALPHABET = frozenset(base58.BITCOIN_ALPHABET.decode())


def decoded_hex(text: str) -> bytes:
    """Read hex, with or without 0x; an odd digit gets a 0 in front (ByteArray.fromHexString).

    Raises:
        ValueError: It is not hex.
    """
    digits = text.removeprefix("0x")
    return bytes.fromhex(digits if len(digits) % 2 == 0 else f"0{digits}")


def hex_bytes(value: Any, *, field: str | None = None) -> bytes:
    """Read a field that holds hex.

    Raises:
        JavaError: It is not a text, or not hex.
    """
    if not isinstance(value, str):
        raise ParseError("Expected string.", field=field)
    try:
        return decoded_hex(value)
    except ValueError as error:
        raise ParseError("INVALID hex String", field=field) from error


def plain_hex(text: str) -> bytes:
    """Read hex where java-tron reads it without its JsonFormat.

    Raises:
        JavaError: It is not hex.
    """
    try:
        return decoded_hex(text)
    except ValueError as error:
        raise JavaError(_DECODER_EXCEPTION, NOT_HEX) from error


def address_bytes(value: Any, *, visible: bool, field: str | None = None) -> bytes:
    """Read an address in the form that goes with `visible`.

    A text of base58 digits that is no address is a null pointer in java-tron.

    Raises:
        JavaError: It is in neither or the other form.
    """
    if not visible:
        return hex_bytes(value, field=field)
    if not isinstance(value, str):
        raise ParseError("Expected string.", field=field)
    foreign = foreign_digit(value)
    if foreign is not None:
        raise ParseError(f"INVALID base58 String, {foreign}", field=field)
    try:
        address = base58.b58decode_check(value)
    except ValueError as error:
        raise null_pointer() from error
    if not is_valid(address):
        raise null_pointer()
    return address


def foreign_digit(text: str) -> str | None:
    """What java-tron's Base58 says of the first character that is none of its own, if any."""
    for at, digit in enumerate(text):
        if digit not in _ALPHABET:
            return f"Illegal character {digit} at {at}"
    return None


def integer(value: Any) -> int:
    """Read a number or the decimal text of one, as a query or a getter does.

    Raises:
        JavaError: It is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(value) if isinstance(value, str) else int(str(value))
    except ValueError as error:
        reason = f'For input string: "{value}"'
        raise JavaError("java.lang.NumberFormatException", reason) from error


def is_true(value: Any) -> bool:
    """A flag as a boolean or as its text."""
    return value is True or (isinstance(value, str) and value.lower() == "true")

"""Texts that are addresses, and texts that are not (ValidateAddressServlet)."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from typing import Any

import base58

from devnet.address import is_valid
from devnet.api.request import Request
from devnet.api.view import View
from devnet.json_format.scalars import NOT_HEX, decoded_hex, foreign_digit

_HEX_LENGTH = 42
_BASE58_LENGTH = 34
_BASE64_LENGTH = 28
_BASE64_FOREIGN = re.compile(r"[^A-Za-z0-9+/]")


def validate_address(_view: View, request: Request) -> Any:
    """In which form a text is an address, or why it is none."""
    text = request.document.get("address")
    if text is None:
        return {"result": False}
    form, address, refusal = _read(str(text))
    if refusal is not None:
        return {"result": False, "message": refusal}
    if not is_valid(address):
        return {"result": False, "message": "Invalid address"}
    return {"result": True, "message": form}


def _read(text: str) -> tuple[str, bytes, str | None]:
    """The form of a text, its bytes, and what a decoder has against it."""
    match len(text):
        case n if n == _HEX_LENGTH:
            return ("Hex string format", *_from_hex(text))
        case n if n == _BASE58_LENGTH:
            return ("Base58check format", *_from_base58(text))
        case n if n == _BASE64_LENGTH:
            return ("Base64 format", *_from_base64(text))
        case _:
            return "", b"", "Length error"


def _from_hex(text: str) -> tuple[bytes, str | None]:
    try:
        return decoded_hex(text), None
    except ValueError:
        return b"", NOT_HEX


def _from_base58(text: str) -> tuple[bytes, str | None]:
    foreign = foreign_digit(text)
    if foreign is not None:
        return b"", foreign
    try:
        return base58.b58decode_check(text), None
    except ValueError:
        return b"", None


def _from_base64(text: str) -> tuple[bytes, str | None]:
    foreign = _BASE64_FOREIGN.search(text.rstrip("="))
    if foreign is not None:
        return b"", f"Illegal base64 character {ord(foreign[0]):x}"
    try:
        return b64decode(text, validate=True), None
    except binascii.Error:
        return b"", "Input byte array has wrong 4-byte ending unit"

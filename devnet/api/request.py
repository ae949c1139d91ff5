"""What a handler is asked with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from devnet.json_format import JavaError, address_bytes, hex_bytes, integer, is_true


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The parameters of a GET's query or a POST's body.

    Attributes:
        visible: Addresses are base58check, in and out.
        visible_in_query: The same, where the node looks at the query alone.
    """

    params: dict[str, Any]
    visible: bool
    visible_in_query: bool

    def integer(self, name: str) -> int:
        """A number, 0 unless given."""
        return integer(self.params.get(name) or 0)

    def text(self, name: str) -> str:
        """A text, empty unless given."""
        value = self.params.get(name)
        return "" if value is None else str(value)

    def hex(self, name: str) -> bytes:
        """Bytes written in hex, empty unless given."""
        return hex_bytes(self.text(name))

    def address(self, name: str) -> bytes:
        """An address in the form that goes with `visible`, empty unless given."""
        text = self.text(name)
        return address_bytes(text, visible=self.visible) if text else b""


def parsed_request(*, is_get: bool, query: bytes, body: bytes) -> Request:
    """Read a request.

    Raises:
        JavaError: The body is not a JSON object.
    """
    in_query = dict(parse_qsl(query.decode("latin-1")))
    params: dict[str, Any] = in_query if is_get else _object(body)
    return Request(
        params=params,
        visible=is_true(params.get("visible")),
        visible_in_query=is_true(in_query.get("visible")),
    )


def _object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JavaError("org.tron.json.JSONException", str(error)) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise JavaError("org.tron.json.JSONException", "not a JSON object")
    return document

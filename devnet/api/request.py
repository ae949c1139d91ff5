"""What a handler is asked with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import base58
import msgspec
from google.protobuf.message import Message

from devnet.address import is_valid
from devnet.json_format import (
    JavaError,
    ParseError,
    address_bytes,
    hex_bytes,
    integer,
    is_true,
    parsed,
)
from devnet.json_format.scalars import foreign_digit, plain_hex

_FORM = "application/x-www-form-urlencoded"
_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The parameters of a GET's query or a POST's body.

    Attributes:
        visible: Addresses are base58check, in and out.
        visible_in_query: The same, where the node looks at the query alone.
        is_get: The parameters come from the query, where everything is text.
        has_body: False for a POST without a body, which most servlets cannot read.
    """

    params: dict[str, Any]
    visible: bool
    visible_in_query: bool
    is_get: bool = False
    has_body: bool = True

    @property
    def document(self) -> dict[str, Any]:
        """All parameters.

        Raises:
            JavaError: There is no body that could hold any.
        """
        if not self.has_body and not self.is_get:
            raise ParseError('Expected "{".')
        return self.params

    def message(self, kind: type[_M]) -> _M:
        """The parameters as a message.

        Raises:
            JavaError: One of them does not fit its field.
        """
        return parsed(kind, self.document, visible=self.visible)

    def integer(self, name: str) -> int:
        """A number or its text, 0 unless given."""
        return integer(self.document.get(name) or 0)

    def number(self, name: str) -> int:
        """A number as strictly as the node reads it: a body may leave it out, a query may not.

        Raises:
            JavaError: It is none.
        """
        value = self.document.get(name)
        if self.is_get:
            if value is None:
                raise JavaError("java.lang.NumberFormatException", "null")
            return integer(value)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int):
            shown = f'"{value}"' if isinstance(value, str) else value
            reason = f'Couldn\'t parse integer: For input string: "{shown}"'
            raise ParseError(reason, field=name)
        return value

    def flag(self, name: str) -> bool:
        """A flag, false unless given."""
        return is_true(self.params.get(name))

    def text(self, name: str) -> str:
        """A text, empty unless given."""
        value = self.document.get(name)
        return "" if value is None else str(value)

    def hex(self, name: str) -> bytes:
        """Bytes written in hex, empty unless given.

        Raises:
            JavaError: It is not hex.
        """
        value = self.document.get(name)
        if value is None:
            return b""
        if self.is_get:
            return plain_hex(str(value))
        return hex_bytes(value, field=name)

    def address(self, name: str) -> bytes:
        """An address in the form that goes with `visible`, empty unless given.

        Raises:
            JavaError: It is in the other form, or in none.
        """
        value = self.document.get(name)
        return address_bytes(value, visible=self.visible, field=name) if value else b""

    def plain_address(self, name: str) -> bytes:
        """An address read without java-tron's JsonFormat: a bad checksum is just nobody.

        Raises:
            JavaError: It holds digits of the other form.
        """
        text = self.text(name)
        if not self.visible:
            return plain_hex(text)
        foreign = foreign_digit(text)
        if foreign is not None:
            raise JavaError("java.lang.IllegalArgumentException", foreign)
        try:
            address = base58.b58decode_check(text)
        except ValueError:
            return b""
        return address if is_valid(address) else b""


def parsed_request(*, is_get: bool, query: bytes, body: bytes, content_type: str = "") -> Request:
    """Read a request.

    Raises:
        JavaError: The body is not a JSON object.
    """
    in_query = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    params: dict[str, Any] = in_query if is_get else _object(body, content_type)
    return Request(
        params=params,
        visible=is_true(params.get("visible")),
        visible_in_query=is_true(in_query.get("visible")),
        is_get=is_get,
        has_body=bool(body.strip()),
    )


def _object(body: bytes, content_type: str) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if content_type.partition(";")[0].strip().lower() == _FORM:
            return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        raise JavaError("org.tron.json.JSONException", str(error)) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise JavaError("org.tron.json.JSONException", "not a JSON object")
    return document

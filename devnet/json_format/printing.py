"""Messages as JSON."""

from __future__ import annotations

from functools import cache
from typing import Any

import base58
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from devnet.address import ADDRESS_BYTES, PREFIX, to_base58
from devnet.json_format.fields import is_address, is_log_address, is_map, is_text


def printed(message: Message, *, visible: bool) -> dict[str, Any]:
    """A message as JSON."""
    return {
        field.name: printed_field(field, value, visible=visible)
        for field, value in message.ListFields()
    }


def printed_address(address: bytes, *, visible: bool) -> str:
    """21 bytes in the form that was asked for."""
    return to_base58(address) if visible else address.hex()


def printed_field(field: FieldDescriptor, value: Any, *, visible: bool) -> Any:
    """One field that is set."""
    if is_map(field):
        return [{"key": key, "value": each} for key, each in value.items()]
    if field.is_repeated:
        return [_printed_value(field, each, visible=visible) for each in value]
    return _printed_value(field, value, visible=visible)


def _printed_value(field: FieldDescriptor, value: Any, *, visible: bool) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_MESSAGE:
            return printed(value, visible=visible)
        case FieldDescriptor.TYPE_BYTES:
            return _printed_bytes(field, value, visible=visible)
        case FieldDescriptor.TYPE_ENUM:
            return enum_names(field).get(value, value)
        case _:
            return value


def _printed_bytes(field: FieldDescriptor, value: bytes, *, visible: bool) -> str:
    if not visible:
        return value.hex()
    if is_address(field):
        return to_base58(value) if len(value) == ADDRESS_BYTES else _base58_of(value)
    if is_log_address(field):
        return to_base58(PREFIX + value)
    if is_text(field):
        return _text_of(value)
    return value.hex()


def _base58_of(value: bytes) -> str:
    return base58.b58encode_check(value).decode()


def _text_of(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


@cache
def enum_names(field: FieldDescriptor) -> dict[int, str]:
    """The names of an enum's numbers."""
    values = field.enum_type.values if field.enum_type is not None else []
    return {each.number: each.name for each in values}

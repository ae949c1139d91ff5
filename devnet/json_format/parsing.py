"""Messages from JSON, as strictly as java-tron reads it."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from devnet.json_format.errors import ParseError
from devnet.json_format.fields import is_address, is_map, is_text, protocol_name
from devnet.json_format.printing import enum_names
from devnet.json_format.scalars import address_bytes, hex_bytes

_M = TypeVar("_M", bound=Message)
_SHORT_INTEGERS = frozenset({FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32})
_LONG_BITS = 63
_SHORT_BITS = 31


def parsed(kind: type[_M], document: dict[str, Any], *, visible: bool) -> _M:
    """Read a message; unknown and null fields are ignored.

    Raises:
        JavaError: A value does not fit its field.
    """
    message = kind()
    merge(message, document, visible=visible)
    return message


def merge(message: Message, document: dict[str, Any], *, visible: bool) -> None:
    """Read fields into a message; one value may stand for a list of one.

    Raises:
        JavaError: A value does not fit its field.
    """
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in document.items():
        field = fields.get(name)
        if value is None or not isinstance(field, FieldDescriptor):
            continue
        if not field.is_repeated:
            _set(message, field, value, visible=visible)
            continue
        values = [each for each in _listed(value) if each is not None]
        if is_map(field):
            _put_entries(message, field, values, visible=visible)
        else:
            _extend(message, field, values, visible=visible)


def _set(message: Message, field: FieldDescriptor, value: Any, *, visible: bool) -> None:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        child = getattr(message, field.name)
        child.SetInParent()
        merge(child, _object(field, value), visible=visible)
    else:
        setattr(message, field.name, _scalar(field, value, visible=visible))


def _extend(message: Message, field: FieldDescriptor, values: list[Any], *, visible: bool) -> None:
    target = getattr(message, field.name)
    for value in values:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            merge(target.add(), _object(field, value), visible=visible)
        else:
            target.append(_scalar(field, value, visible=visible))


def _put_entries(
    message: Message, field: FieldDescriptor, values: list[Any], *, visible: bool
) -> None:
    """Maps come as java-tron prints them, a list of `{"key": …, "value": …}`."""
    target = getattr(message, field.name)
    entry = field.message_type.fields_by_name if field.message_type is not None else {}
    for value in values:
        document = _object(field, value)
        key = _scalar(entry["key"], document.get("key", 0), visible=visible)
        target[key] = _scalar(entry["value"], document.get("value", 0), visible=visible)


def _scalar(field: FieldDescriptor, value: Any, *, visible: bool) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_BYTES:
            return _bytes(field, value, visible=visible)
        case FieldDescriptor.TYPE_STRING:
            return _text(field, value)
        case FieldDescriptor.TYPE_ENUM:
            return _enum(field, value)
        case FieldDescriptor.TYPE_BOOL:
            return _flag(field, value)
        case _:
            return _number(field, value)


def _bytes(field: FieldDescriptor, value: Any, *, visible: bool) -> bytes:
    if visible and is_address(field):
        return address_bytes(value, visible=True, field=field.name)
    if visible and is_text(field):
        return _text(field, value).encode()
    return hex_bytes(value, field=field.name)


def _text(field: FieldDescriptor, value: Any) -> str:
    if not isinstance(value, str):
        raise ParseError("Expected string.", field=field.name)
    return value


def _flag(field: FieldDescriptor, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ParseError('Expected "true" or "false".', field=field.name)
    return value


def _number(field: FieldDescriptor, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        reason = f'Couldn\'t parse integer: For input string: "{_token(value)}"'
        raise ParseError(reason, field=field.name)
    bits = _SHORT_BITS if field.type in _SHORT_INTEGERS else _LONG_BITS
    if not -(1 << bits) <= value < 1 << bits:
        reason = f"Number out of range for {bits + 1}-bit signed integer: {value}"
        raise ParseError(f"Couldn't parse integer: {reason}", field=field.name)
    return value


def _enum(field: FieldDescriptor, value: Any) -> int:
    names = enum_names(field)
    kind = protocol_name(field.enum_type.full_name) if field.enum_type is not None else ""
    if isinstance(value, int) and not isinstance(value, bool):
        if value not in names:
            reason = f'Enum type "{kind}" has no value with number {value}.'
            raise ParseError(reason, field=field.name)
        return value
    name = _token(value).strip('"')
    if name.isalpha() and name.islower():
        name = name.capitalize()
    for number, known in names.items():
        if known == name:
            return number
    raise ParseError(f'Enum type "{kind}" has no value named "{name}".', field=field.name)


def _object(field: FieldDescriptor, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ParseError('Expected "{".', field=field.name)
    return value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _token(value: Any) -> str:
    """A value as it stands in the text, where java-tron reads it."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case dict():
            return "{"
        case _:
            return str(value)

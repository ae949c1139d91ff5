"""Read protobuf's wire format by hand, accepting canonical proto3 and nothing else.

Canonical means: known fields only, each at most once, in ascending order, with its own wire type,
varints as short as they can be, no default value written out, no byte left over. For such bytes
equal contents imply equal bytes, and so an equal transaction id.

Source: protobuf encoding specification; java-tron re-serialises what it receives in this form.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

VARINT: Final = 0
BYTES: Final = 2

_VARINT_BYTES: Final = 9
_CONTINUES: Final = 0x80


class UnexpectedBytes(ValueError):
    """Bytes that are not exactly what was looked for.

    Attributes:
        what: the first thing that is wrong.
    """

    def __init__(self, *, what: str) -> None:
        super().__init__(f"unexpected bytes: {what}")
        self.what = what


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field a message may have: its name, its wire type, whether it may repeat."""

    name: str
    wire_type: int
    repeated: bool = False


def number(name: str) -> Field:
    """Describe a field that is an integer."""
    return Field(name=name, wire_type=VARINT)


def blob(name: str, *, repeated: bool = False) -> Field:
    """Describe a field that is bytes, text or another message."""
    return Field(name=name, wire_type=BYTES, repeated=repeated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The fields found in one message, by name; what is absent has its default."""

    numbers: dict[str, int] = field(default_factory=dict)
    blobs: dict[str, list[bytes]] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """Return a varint field, 0 when absent."""
        return self.numbers.get(name, 0)

    def blob(self, name: str) -> bytes:
        """Return a length-delimited field, empty when absent."""
        return self.blobs.get(name, [b""])[0]

    def all(self, name: str) -> list[bytes]:
        """Return every occurrence of a repeated field."""
        return self.blobs.get(name, [])


def read_message(data: bytes, fields: Mapping[int, Field], *, within: str) -> Message:
    """Split one message into its fields.

    Args:
        data: the serialised message.
        fields: what may occur, by field number.
        within: the message's name, for errors.

    Raises:
        UnexpectedBytes: anything that is not canonical, or not among ``fields``.
    """
    message = Message()
    for number, wire_type, value in _split(data, within):
        known = fields.get(number)
        if known is None:
            raise UnexpectedBytes(what=f"unknown field {number} in {within}")
        if wire_type != known.wire_type:
            raise UnexpectedBytes(what=f"wire type {wire_type} of {within}.{known.name}")
        if isinstance(value, int):
            _keep_number(message, known, value, within)
        else:
            _keep_blob(message, known, value, within)
    return message


def read_blob(data: bytes, number: int, *, within: str) -> bytes:
    """Pick one length-delimited field from a message whose other fields do not matter.

    Returns:
        The first occurrence, empty when there is none.

    Raises:
        UnexpectedBytes: the message does not divide into fields in ascending order.
    """
    found = [value for field_number, _, value in _split(data, within) if field_number == number]
    return found[0] if found and isinstance(found[0], bytes) else b""


def _keep_number(message: Message, known: Field, value: int, within: str) -> None:
    if known.name in message.numbers:
        raise UnexpectedBytes(what=f"more than one {within}.{known.name}")
    if value == 0:
        raise UnexpectedBytes(what=f"a default written out in {within}.{known.name}")
    message.numbers[known.name] = value


def _keep_blob(message: Message, known: Field, value: bytes, within: str) -> None:
    found = message.blobs.setdefault(known.name, [])
    if found and not known.repeated:
        raise UnexpectedBytes(what=f"more than one {within}.{known.name}")
    if not value:
        raise UnexpectedBytes(what=f"an empty {within}.{known.name}")
    found.append(value)


def _split(data: bytes, within: str) -> Iterator[tuple[int, int, int | bytes]]:
    position = previous = 0
    while position < len(data):
        key, position = _varint(data, position, within)
        number, wire_type = key >> 3, key & 7
        if number == 0 or number < previous:
            raise UnexpectedBytes(what=f"field {number} out of order in {within}")
        previous = number
        value, position = _varint(data, position, within)
        if wire_type == VARINT:
            yield number, wire_type, value
        elif wire_type == BYTES:
            end = position + value
            if end > len(data):
                raise UnexpectedBytes(what=f"field {number} of {within} runs past the end")
            yield number, wire_type, data[position:end]
            position = end
        else:
            raise UnexpectedBytes(what=f"wire type {wire_type} in {within}")


def _varint(data: bytes, position: int, within: str) -> tuple[int, int]:
    number = 0
    for index, byte in enumerate(data[position : position + _VARINT_BYTES]):
        number |= (byte & ~_CONTINUES) << (7 * index)
        if byte < _CONTINUES:
            if byte == 0 and index:
                raise UnexpectedBytes(what=f"a varint longer than needed in {within}")
            return number, position + index + 1
    raise UnexpectedBytes(what=f"a truncated, negative or too large varint in {within}")

"""Contract ABI: words of call data, and what a contract declares to be callable and logged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from devnet.address import PREFIX, keccak256
from devnet.chain_pb2 import SmartContract

WORD_BYTES = 32
SELECTOR_BYTES = 4
_Entry = SmartContract.ABI.Entry
_DECLARATION = re.compile(
    r"(?:(?P<kind>view|pure|payable|event|constructor)\b *)?(?P<name>\w*)"
    r"\((?P<inputs>[^)]*)\)(?: -> \((?P<outputs>[^)]*)\))?"
)
_MUTABILITY = {
    "view": _Entry.View,
    "pure": _Entry.Pure,
    "payable": _Entry.Payable,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An argument, a result or a field of an event; many have no name."""

    kind: str
    name: str = ""
    indexed: bool = False

    @classmethod
    def parsed(cls, text: str) -> Parameter:
        """Read `address`, `address _to` or `address indexed from`."""
        kind, *rest = text.split()
        indexed = "indexed" in rest
        names = [each for each in rest if each != "indexed"]
        return cls(kind=kind, name=names[0] if names else "", indexed=indexed)

    def entry(self) -> SmartContract.ABI.Entry.Param:
        """The parameter as getcontract prints it."""
        return _Entry.Param(indexed=self.indexed, name=self.name, type=self.kind)


@dataclass(frozen=True, kw_only=True)
class Method:
    """One declaration: a method, an event or a constructor.

    Attributes:
        kind: `view`, `pure`, `payable`, `event`, `constructor`, or empty for a plain method.
    """

    kind: str
    name: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]

    @classmethod
    def parsed(cls, text: str) -> Method:
        """Read a line such as `view balanceOf(address who) -> (uint256)`.

        Raises:
            ValueError: It is no declaration.
        """
        match = _DECLARATION.fullmatch(text)
        if match is None:
            raise ValueError(f"not a declaration: {text}")
        return cls(
            kind=match["kind"] or "",
            name=match["name"],
            inputs=_parameters(match["inputs"]),
            outputs=_parameters(match["outputs"] or ""),
        )

    @cached_property
    def signature(self) -> str:
        """The name and the types of the arguments."""
        return f"{self.name}({','.join(each.kind for each in self.inputs)})"

    @cached_property
    def topic(self) -> bytes:
        """The first topic of an event."""
        return keccak256(self.signature.encode())

    @cached_property
    def selector(self) -> bytes:
        """The first 4 bytes of a method's call data."""
        return self.topic[:SELECTOR_BYTES]

    @property
    def is_payable(self) -> bool:
        """True if TRX may be sent along."""
        return self.kind == "payable"

    def entry(self) -> SmartContract.ABI.Entry:
        """The declaration as getcontract prints it."""
        entry = _Entry(
            name=self.name,
            inputs=[each.entry() for each in self.inputs],
            outputs=[each.entry() for each in self.outputs],
        )
        match self.kind:
            case "event":
                entry.type = _Entry.Event
            case "constructor":
                entry.type = _Entry.Constructor
                entry.stateMutability = _Entry.Nonpayable
            case _:
                entry.type = _Entry.Function
                entry.constant = self.kind in {"view", "pure"}
                entry.payable = self.is_payable
                entry.stateMutability = _MUTABILITY.get(self.kind, _Entry.Nonpayable)
        return entry


class Interface:
    """All that a contract declares, one declaration on each line."""

    def __init__(self, declarations: str) -> None:
        self._all = [Method.parsed(line.strip()) for line in declarations.strip().splitlines()]
        self._methods = {
            each.selector: each for each in self._all if each.kind not in {"event", "constructor"}
        }
        self._events = {each.name: each.topic for each in self._all if each.kind == "event"}

    def method(self, selector: bytes) -> Method | None:
        """The method that a selector calls."""
        return self._methods.get(selector)

    def named(self, name: str) -> Method:
        """The method of that name."""
        return next(each for each in self._methods.values() if each.name == name)

    def topic(self, event: str) -> bytes:
        """The first topic of an event."""
        return self._events[event]

    @cached_property
    def abi(self) -> bytes:
        """The ABI as the chain stores it, serialised."""
        entries = [each.entry() for each in self._all]
        return SmartContract.ABI(entrys=entries).SerializeToString(deterministic=True)


class Arguments:
    """Call data without its selector; what is missing reads as 0."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self, position: int) -> int:
        """The unsigned integer at a position."""
        return integer_in(self._word(position * WORD_BYTES))

    def address(self, position: int) -> bytes:
        """The address at a position."""
        return address_in(self._word(position * WORD_BYTES))

    def numbers(self, position: int) -> list[int]:
        """The array of integers that the word at a position points to."""
        return [integer_in(word) for word in self._array(position)]

    def addresses(self, position: int) -> list[bytes]:
        """The array of addresses that the word at a position points to."""
        return [address_in(word) for word in self._array(position)]

    def text(self, position: int) -> str:
        """The string that the word at a position points to."""
        start = self.number(position)
        length = integer_in(self._word(start))
        begin = start + WORD_BYTES
        return self._data[begin : begin + length].decode("utf-8", "replace")

    def _array(self, position: int) -> list[bytes]:
        """The words of an array, no more of them than there is call data for."""
        start = self.number(position)
        begin = start + WORD_BYTES
        most = max(0, len(self._data) - begin) // WORD_BYTES
        count = min(integer_in(self._word(start)), most)
        return [self._word(begin + number * WORD_BYTES) for number in range(count)]

    def _word(self, start: int) -> bytes:
        if start >= len(self._data):
            return bytes(WORD_BYTES)
        return self._data[start : start + WORD_BYTES].ljust(WORD_BYTES, b"\0")


def selector_of(signature: str) -> bytes:
    """The first 4 bytes of a signature's keccak."""
    return keccak256(signature.encode())[:SELECTOR_BYTES]


def topic_of(signature: str) -> bytes:
    """The first topic of an event."""
    return keccak256(signature.encode())


def address_in(word: bytes) -> bytes:
    """The address in a word: its last 20 bytes, whatever stands before them."""
    return PREFIX + word[-20:]


def address_word(address: bytes) -> bytes:
    """An address as a word, without the 0x41."""
    return bytes(12) + address[-20:]


def integer_in(word: bytes) -> int:
    """An unsigned integer in a word."""
    return int.from_bytes(word, "big")


def integer_word(value: int) -> bytes:
    """An unsigned integer as a word."""
    return value.to_bytes(WORD_BYTES, "big")


def text_words(text: str) -> bytes:
    """A string as a contract returns it: offset, length, padded bytes."""
    return integer_word(WORD_BYTES) + text_tail(text)


def text_tail(text: str) -> bytes:
    """A string where an offset points to: length, padded bytes."""
    data = text.encode()
    return integer_word(len(data)) + data + bytes(-len(data) % WORD_BYTES)


def array_tail(words: list[bytes]) -> bytes:
    """An array where an offset points to: length, words."""
    return integer_word(len(words)) + b"".join(words)


def _parameters(listed: str) -> tuple[Parameter, ...]:
    return tuple(Parameter.parsed(each.strip()) for each in listed.split(",") if each.strip())

"""Contract ABI: a method's signature, its selector, its words, and its entry in getcontract."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from devnet.address import PREFIX, keccak256

WORD_BYTES = 32
SELECTOR_BYTES = 4
_SIGNATURE = re.compile(r"(?P<name>\w+)\((?P<inputs>[\w,]*)\)(?: -> (?P<outputs>[\w,]+))?")


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method as Solidity declares it, such as `balanceOf(address) -> uint256`."""

    declaration: str
    view: bool = False

    @property
    def name(self) -> str:
        """The name without arguments."""
        return self._part("name")

    @property
    def signature(self) -> str:
        """The name and the types of the arguments."""
        return f"{self.name}({self._part('inputs')})"

    @cached_property
    def selector(self) -> bytes:
        """The first 4 bytes of the call data."""
        return selector_of(self.signature)

    @property
    def argument_count(self) -> int:
        """How many words the call data must hold."""
        return len(_types(self._part("inputs")))

    def entry(self) -> dict[str, Any]:
        """The method as getcontract prints it; a value that is false is left out."""
        entry: dict[str, Any] = {
            "name": self.name,
            "type": "Function",
            "stateMutability": "View" if self.view else "Nonpayable",
        }
        if self.view:
            entry["constant"] = True
        for side in ("inputs", "outputs"):
            types = _types(self._part(side))
            if types:
                entry[side] = [{"type": each} for each in types]
        return entry

    def _part(self, name: str) -> str:
        match = _SIGNATURE.fullmatch(self.declaration)
        if match is None:
            raise ValueError(f"not a declaration: {self.declaration}")
        return match[name] or ""


def selector_of(signature: str) -> bytes:
    """The first 4 bytes of a signature's keccak."""
    return keccak256(signature.encode())[:SELECTOR_BYTES]


def topic_of(signature: str) -> bytes:
    """The first topic of an event."""
    return keccak256(signature.encode())


def words_of(arguments: bytes) -> list[bytes]:
    """Split call data without its selector into whole words; a short last one is padded."""
    padded = arguments + bytes(-len(arguments) % WORD_BYTES)
    return [padded[start : start + WORD_BYTES] for start in range(0, len(padded), WORD_BYTES)]


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
    data = text.encode()
    padding = bytes(-len(data) % WORD_BYTES)
    return integer_word(WORD_BYTES) + integer_word(len(data)) + data + padding


def _types(listed: str) -> list[str]:
    return listed.split(",") if listed else []

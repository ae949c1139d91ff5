"""What a contract double is given and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from devnet.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Energy of a call: all of it, and the part that is the dynamic energy penalty."""

    total: int
    penalty: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """An event: the contract's 21-byte address, its topics and its data."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call; the state is the call's own layer and is dropped if the call fails."""

    state: State
    caller: bytes
    value_sun: int
    data: bytes


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a call did, before anybody asked whether its energy can be paid."""

    energy: Energy
    returned: bytes = b""
    logs: list[Log] = field(default_factory=list)
    reverted: bool = False


class Contract(Protocol):
    """A deployed contract."""

    address: bytes

    def call(self, call: Call) -> Outcome:
        """Run one call."""

    def is_view(self, data: bytes) -> bool:
        """True when the ABI marks the called method as read-only."""

    def describe(self) -> dict[str, Any]:
        """The fields of getcontract except the addresses."""

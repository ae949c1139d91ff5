"""What a contract double is, and how compiled Solidity receives a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from devnet.contracts.abi import SELECTOR_BYTES, WORD_BYTES, Arguments, Interface, Method
from devnet.contracts.energy_cost import Code
from devnet.contracts.frame import Frame
from devnet.contracts.halt import RevertError

Handler = Callable[[Frame, Arguments], bytes]

# Until a method is found, or it is clear that there is none.
DISPATCH = Code(ones=2, twos=6, threes=60, tens=12)
_MARK = b"\xfelucid devnet "
_END = b"\x00"


class Contract(Protocol):
    """A kind of contract that the chain can play, stateless: what it knows is in the frame."""

    @property
    def kind(self) -> str:
        """Its name among the kinds."""

    @property
    def interface(self) -> Interface:
        """What it declares."""

    def play(self, frame: Frame) -> bytes:
        """Run one call and return what it returns.

        Raises:
            RevertError: It undoes itself.
            AbortError: It breaks off.
        """

    def construct(self, frame: Frame, arguments: Arguments) -> None:
        """Fill the storage of a new contract, as its constructor does.

        Raises:
            RevertError: It undoes itself.
            AbortError: It breaks off.
        """


class SolidityContract:
    """A contract that finds its methods by selector, as a compiler arranges it.

    A call that finds none reverts, and so does TRX for a method that takes none. Short call data
    reverts unless the compiler was too old to look (`checks_size`).

    Args:
        handlers: What each declared method does, by name.
    """

    kind = ""
    checks_size = True

    def __init__(self, interface: Interface, handlers: Mapping[str, Handler]) -> None:
        self.interface = interface
        self._handlers = dict(handlers)

    def play(self, frame: Frame) -> bytes:
        """Run the method that the call data names."""
        method = self.interface.method(frame.data[:SELECTOR_BYTES])
        if method is None:
            return self.fall_back(frame)
        self.admit(frame, method)
        return self._handlers[method.name](frame, Arguments(frame.data[SELECTOR_BYTES:]))

    def admit(self, frame: Frame, method: Method) -> None:
        """Check what the compiler checks before a method.

        Raises:
            RevertError: TRX came along that nobody takes, or arguments are missing.
        """
        frame.run(DISPATCH)
        if frame.value_sun and not method.is_payable:
            raise RevertError
        given = len(frame.data) - SELECTOR_BYTES
        if self.checks_size and given < WORD_BYTES * len(method.inputs):
            raise RevertError

    def fall_back(self, frame: Frame) -> bytes:
        """What happens to call data that names no method."""
        frame.run(DISPATCH)
        raise RevertError

    def construct(self, frame: Frame, arguments: Arguments) -> None:
        """Nothing to be filled in, unless a contract says otherwise."""
        del frame, arguments


def marker(kind: str) -> bytes:
    """The bytes that stand for a kind's code; no compiler writes any that begin like these."""
    return _MARK + kind.encode() + _END


def require(condition: object) -> None:
    """Go on, or revert without a word.

    Raises:
        RevertError: The condition does not hold.
    """
    if not condition:
        raise RevertError

"""Contracts that exist to be misunderstood: logs that look like transfers, and calls that break."""

from __future__ import annotations

from collections.abc import Callable

from devnet.contracts.abi import Arguments, Interface, address_word, integer_word, selector_of
from devnet.contracts.contract import SolidityContract, require
from devnet.contracts.energy_cost import Code
from devnet.contracts.frame import Frame
from devnet.contracts.halt import ABORTING_RESULTS, RevertError, aborted
from devnet.contracts.tokens import error_text
from devnet.contracts.usdt import TRANSFER_TOPIC

_LOGS = Interface(
    """
    show(uint256 shape, address from, address to, uint256 value)
    event Transfer(address indexed from, address indexed to, uint256 value)
    """
)
_BREAKS = Interface(
    """
    fail(uint256 result)
    burn(uint256 energy)
    revertWith(string text)
    revertSilently()
    panic(uint256 code)
    """
)
_PANIC = selector_of("Panic(uint256)")
_DIRT = b"\xff" * 12
_STEP = Code(threes=1)

# The topics and the data of each shape.
_Shape = Callable[[bytes, bytes, bytes], tuple[tuple[bytes, ...], bytes]]
SHAPES: tuple[_Shape, ...] = (
    lambda sender, recipient, value: ((TRANSFER_TOPIC,), sender + recipient + value),
    lambda sender, recipient, value: ((TRANSFER_TOPIC, sender), recipient + value),
    lambda sender, recipient, value: ((TRANSFER_TOPIC, sender, recipient, value), b""),
    lambda sender, recipient, _value: ((TRANSFER_TOPIC, sender, recipient), b""),
    lambda sender, recipient, value: ((TRANSFER_TOPIC, sender, recipient), value[-8:]),
    lambda sender, recipient, value: ((TRANSFER_TOPIC, sender, recipient), value + value),
    lambda sender, recipient, value: (
        (TRANSFER_TOPIC, _DIRT + sender[12:], _DIRT + recipient[12:]),
        value,
    ),
    lambda sender, recipient, value: ((), sender + recipient + value),
)


class OddLogs(SolidityContract):
    """Emits logs under the topic of Transfer that are none, or not a token's.

    The shapes in order: nothing indexed; the sender alone indexed; all indexed; no data; eight
    bytes of data; two words of data; addresses under a mask of ones; no topics at all.
    """

    kind = "odd-logs"

    def __init__(self) -> None:
        super().__init__(_LOGS, {"show": _show})


class Breaker(SolidityContract):
    """Fails in every way that a receipt has a name for."""

    kind = "breaker"

    def __init__(self) -> None:
        super().__init__(
            _BREAKS,
            {
                "fail": _fail,
                "burn": _burn,
                "revertWith": _revert_with,
                "revertSilently": _revert_silently,
                "panic": _panic,
            },
        )


def _show(frame: Frame, arguments: Arguments) -> bytes:
    shape = arguments.number(0)
    require(shape < len(SHAPES))
    sender, recipient = (address_word(arguments.address(position)) for position in (1, 2))
    topics, data = SHAPES[shape](sender, recipient, integer_word(arguments.number(3)))
    frame.emit(*topics, data=data)
    return b""


def _fail(frame: Frame, arguments: Arguments) -> bytes:
    """Break off with a result by its number among java-tron's contractResult."""
    del frame
    number = arguments.number(0)
    require(number in ABORTING_RESULTS)
    raise aborted(next(each for each in ABORTING_RESULTS if each == number))


def _burn(frame: Frame, arguments: Arguments) -> bytes:
    """Use up at least so much energy, penalty not counted."""
    count = -(-arguments.number(0) // 3)
    frame.run(Code(threes=min(count, frame.energy_left + 1)))
    return b""


def _revert_with(frame: Frame, arguments: Arguments) -> bytes:
    del frame
    raise RevertError(error_text(arguments.text(0)))


def _revert_silently(frame: Frame, arguments: Arguments) -> bytes:
    del frame, arguments
    raise RevertError


def _panic(frame: Frame, arguments: Arguments) -> bytes:
    del frame
    raise RevertError(_PANIC + integer_word(arguments.number(0)))

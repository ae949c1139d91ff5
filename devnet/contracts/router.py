"""A contract that moves tokens for its callers: the token's events come from within its calls."""

from __future__ import annotations

from devnet.contracts.abi import Arguments, Interface, integer_word
from devnet.contracts.contract import SolidityContract, require
from devnet.contracts.energy_cost import Code
from devnet.contracts.forwarding import call_data, forwarded
from devnet.contracts.frame import Frame

_INTERFACE = Interface(
    """
    pay(address token, address to, uint256 value) -> (bool)
    tryPay(address token, address to, uint256 value) -> (bool)
    multisend(address token, address[] to, uint256[] values) -> (bool)
    forward(address token, address to, uint256 value) -> (bool)
    """
)
_TRANSFER_FROM = "transferFrom(address,address,uint256)"
_TRANSFER = "transfer(address,uint256)"
_TRUE = integer_word(1)
_ROUND = Code(ones=4, twos=8, threes=40, fives=4, eights=4, tens=4)


class Router(SolidityContract):
    """Pays with what its caller allowed it to spend, or with what it owns itself."""

    kind = "router"

    def __init__(self) -> None:
        super().__init__(
            _INTERFACE,
            {
                "pay": _pay,
                "tryPay": _try_pay,
                "multisend": _multisend,
                "forward": _forward,
            },
        )


def _pay(frame: Frame, arguments: Arguments) -> bytes:
    """Move the caller's tokens to somebody; fails when the token does."""
    recipient, value = arguments.address(1), arguments.number(2)
    forwarded(frame, arguments.address(0), _TRANSFER_FROM, frame.caller, recipient, value)
    return _TRUE


def _try_pay(frame: Frame, arguments: Arguments) -> bytes:
    """The same, but a token that fails is not taken amiss: false, and no revert."""
    recipient, value = arguments.address(1), arguments.number(2)
    data = call_data(_TRANSFER_FROM, frame.caller, recipient, value)
    frame.run(_ROUND)
    return integer_word(frame.call(arguments.address(0), data).succeeded)


def _multisend(frame: Frame, arguments: Arguments) -> bytes:
    """Move the caller's tokens to many; the same recipient may be named twice."""
    recipients, values = arguments.addresses(1), arguments.numbers(2)
    require(len(recipients) == len(values))
    token = arguments.address(0)
    for recipient, value in zip(recipients, values, strict=True):
        frame.run(_ROUND)
        forwarded(frame, token, _TRANSFER_FROM, frame.caller, recipient, value)
    return _TRUE


def _forward(frame: Frame, arguments: Arguments) -> bytes:
    """Move tokens that the router itself owns."""
    recipient, value = arguments.address(1), arguments.number(2)
    forwarded(frame, arguments.address(0), _TRANSFER, recipient, value)
    return _TRUE

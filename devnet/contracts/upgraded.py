"""The contract that a deprecated USDT hands its calls to (UpgradedStandardToken).

It begins with everybody's balance in the old contract, and its events are its own: whoever
watches the old address alone sees nothing any more.
"""

from __future__ import annotations

from devnet.address import ZERO
from devnet.contracts.abi import (
    Arguments,
    Interface,
    address_in,
    address_word,
    integer_in,
    integer_word,
    text_words,
)
from devnet.contracts.contract import SolidityContract, require
from devnet.contracts.energy_cost import Code
from devnet.contracts.forwarding import forwarded
from devnet.contracts.frame import Frame

_MAX_UINT = 2**256 - 1
_DECIMALS = 6
_TRUE = integer_word(1)
_INTERFACE = Interface(
    """
    constructor(address legacy_)
    view name() -> (string)
    view symbol() -> (string)
    view decimals() -> (uint8)
    view legacy() -> (address)
    view totalSupply() -> (uint256)
    view balanceOf(address who) -> (uint256)
    view allowance(address _owner, address _spender) -> (uint256)
    transfer(address _to, uint256 _value) -> (bool)
    transferFrom(address _from, address _to, uint256 _value) -> (bool)
    approve(address _spender, uint256 _value) -> (bool)
    transferByLegacy(address from, address to, uint256 value) -> (bool)
    transferFromByLegacy(address sender, address from, address spender, uint256 value) -> (bool)
    approveByLegacy(address from, address spender, uint256 value) -> (bool)
    increaseApprovalByLegacy(address from, address spender, uint256 addedValue) -> (bool)
    decreaseApprovalByLegacy(address from, address spender, uint256 subtractedValue) -> (bool)
    event Transfer(address indexed from, address indexed to, uint256 value)
    event Approval(address indexed owner, address indexed spender, uint256 value)
    """
)
_TRANSFER_TOPIC = _INTERFACE.topic("Transfer")
_APPROVAL_TOPIC = _INTERFACE.topic("Approval")
_MOVE = Code(ones=30, twos=40, threes=280, fives=12, eights=18, tens=16, hashes=4)
_SMALL = Code(ones=8, twos=12, threes=80, fives=4, eights=8, tens=6, hashes=1)


class UpgradedTether(SolidityContract):
    """The successor; the methods `…ByLegacy` are for the old contract alone."""

    kind = "upgraded-tether"

    def __init__(self) -> None:
        super().__init__(
            _INTERFACE,
            {
                "name": lambda _frame, _arguments: text_words("Tether USD"),
                "symbol": lambda _frame, _arguments: text_words("USDT"),
                "decimals": lambda _frame, _arguments: integer_word(_DECIMALS),
                "legacy": lambda frame, _arguments: integer_word(frame.read("legacy")),
                "totalSupply": lambda frame, _: forwarded(frame, _legacy(frame), "_totalSupply()"),
                "balanceOf": _balance_of,
                "allowance": _allowance,
                "transfer": _transfer,
                "transferFrom": _transfer_from,
                "approve": _approve,
                "transferByLegacy": _transfer_by_legacy,
                "transferFromByLegacy": _transfer_from_by_legacy,
                "approveByLegacy": _approve_by_legacy,
                "increaseApprovalByLegacy": _increase_by_legacy,
                "decreaseApprovalByLegacy": _decrease_by_legacy,
            },
        )

    def construct(self, frame: Frame, arguments: Arguments) -> None:
        """Remember the old contract, the one argument."""
        frame.write("legacy", integer_in(address_word(arguments.address(0))))


def _balance_of(frame: Frame, arguments: Arguments) -> bytes:
    frame.run(_SMALL)
    return integer_word(_balance(frame, arguments.address(0)))


def _allowance(frame: Frame, arguments: Arguments) -> bytes:
    frame.run(_SMALL)
    pair = arguments.address(0) + arguments.address(1)
    return integer_word(frame.read("allowance", pair))


def _transfer(frame: Frame, arguments: Arguments) -> bytes:
    return _move(frame, frame.caller, arguments.address(0), arguments.number(1))


def _transfer_from(frame: Frame, arguments: Arguments) -> bytes:
    sender, value = arguments.address(0), arguments.number(2)
    _use_allowance(frame, sender, frame.caller, value)
    return _move(frame, sender, arguments.address(1), value)


def _approve(frame: Frame, arguments: Arguments) -> bytes:
    return _allow(frame, frame.caller, arguments.address(0), arguments.number(1))


def _transfer_by_legacy(frame: Frame, arguments: Arguments) -> bytes:
    _only_legacy(frame)
    return _move(frame, arguments.address(0), arguments.address(1), arguments.number(2))


def _transfer_from_by_legacy(frame: Frame, arguments: Arguments) -> bytes:
    """The old contract passes the caller, the holder and the recipient, in this order."""
    _only_legacy(frame)
    holder, value = arguments.address(1), arguments.number(3)
    _use_allowance(frame, holder, arguments.address(0), value)
    return _move(frame, holder, arguments.address(2), value)


def _approve_by_legacy(frame: Frame, arguments: Arguments) -> bytes:
    _only_legacy(frame)
    return _allow(frame, arguments.address(0), arguments.address(1), arguments.number(2))


def _increase_by_legacy(frame: Frame, arguments: Arguments) -> bytes:
    _only_legacy(frame)
    owner, spender = arguments.address(0), arguments.address(1)
    value = frame.read("allowance", owner + spender) + arguments.number(2)
    require(value <= _MAX_UINT)
    return _allow(frame, owner, spender, value)


def _decrease_by_legacy(frame: Frame, arguments: Arguments) -> bytes:
    _only_legacy(frame)
    owner, spender = arguments.address(0), arguments.address(1)
    value = frame.read("allowance", owner + spender) - arguments.number(2)
    return _allow(frame, owner, spender, max(0, value))


def _move(frame: Frame, sender: bytes, recipient: bytes, value: int) -> bytes:
    frame.run(_MOVE)
    require(recipient != ZERO)
    left = _balance(frame, sender) - value
    require(left >= 0)
    _set_balance(frame, sender, left)
    _set_balance(frame, recipient, _balance(frame, recipient) + value)
    topics = _TRANSFER_TOPIC, address_word(sender), address_word(recipient)
    frame.emit(*topics, data=integer_word(value))
    return _TRUE


def _allow(frame: Frame, owner: bytes, spender: bytes, value: int) -> bytes:
    frame.run(_SMALL)
    frame.write("allowance", value, owner + spender)
    topics = _APPROVAL_TOPIC, address_word(owner), address_word(spender)
    frame.emit(*topics, data=integer_word(value))
    return _TRUE


def _use_allowance(frame: Frame, owner: bytes, spender: bytes, value: int) -> None:
    allowed = frame.read("allowance", owner + spender)
    require(value <= allowed)
    if allowed < _MAX_UINT:
        frame.write("allowance", allowed - value, owner + spender)


def _balance(frame: Frame, holder: bytes) -> int:
    """What the holder has here, or had in the old contract before he came here first."""
    if frame.read("moved", holder):
        return frame.read("balance", holder)
    return integer_in(forwarded(frame, _legacy(frame), "oldBalanceOf(address)", holder))


def _set_balance(frame: Frame, holder: bytes, value: int) -> None:
    frame.write("moved", 1, holder)
    frame.write("balance", value, holder)


def _legacy(frame: Frame) -> bytes:
    return address_in(integer_word(frame.read("legacy")))


def _only_legacy(frame: Frame) -> None:
    require(_legacy(frame) == frame.caller)

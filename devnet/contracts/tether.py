"""The USDT double: mainnet's TetherToken with its behaviour, logs and energy.

`transfer` drops its own return value, guards have no message, the recipient is never checked
against the black list, the fee hook emits a second log, and a deprecated contract hands calls on.
The compiler was an old one: missing arguments read as 0 and an overflow is an invalid operation.
"""

from __future__ import annotations

from typing import NamedTuple

from devnet.address import ZERO
from devnet.contracts.abi import Arguments, address_word, integer_in, integer_word
from devnet.contracts.contract import SolidityContract, require
from devnet.contracts.energy_cost import Code
from devnet.contracts.frame import Frame
from devnet.contracts.tether_books import (
    MAX_UINT,
    added,
    by_legacy,
    credit,
    fee_of,
    log_transfer,
    owner_of,
)
from devnet.contracts.tether_owner import BY_OWNER
from devnet.contracts.tether_views import GETTERS
from devnet.contracts.usdt import INTERFACE

_TRUE = integer_word(1)
_DROPPED = bytes(32)
_APPROVAL_TOPIC = INTERFACE.topic("Approval")

# With these counts a transfer costs 14,650 energy to a holder and 29,650 to an empty balance. The
# penalty is mainnet's at both factors known from receipts: 17,245 and 35,245 at 1.2, 49,635 and
# 100,635 at 3.4.
_TRANSFER = Code(ones=41, twos=61, threes=411, fives=20, eights=24, tens=24, hashes=6)
_TRANSFER_FROM = Code(ones=52, twos=78, threes=540, fives=28, eights=30, tens=30, hashes=13)
# As many as make an approval cost 99,764 energy, or 33,764 where one is replaced.
_APPROVE = Code(ones=16, twos=15, threes=74, fives=4, eights=8, tens=8, hashes=2)


class _Transfer(NamedTuple):
    """What transfer and transferFrom are about."""

    sender: bytes
    recipient: bytes
    value: int


class TetherToken(SolidityContract):
    """The deployed contract; it keeps nothing itself, its storage is in the state."""

    kind = "tether-token"
    checks_size = False

    def __init__(self) -> None:
        super().__init__(
            INTERFACE,
            {
                **GETTERS,
                "transfer": _transfer,
                "transferFrom": _transfer_from,
                "approve": _approve,
                "increaseApproval": _increase_approval,
                "decreaseApproval": _decrease_approval,
                **BY_OWNER,
            },
        )

    def construct(self, frame: Frame, arguments: Arguments) -> None:
        """Give the whole supply, the first argument, to whoever creates the contract."""
        supply = arguments.number(0)
        frame.write("owner", integer_in(address_word(frame.caller)))
        frame.write("supply", supply)
        frame.write("balance", supply, frame.caller)


def _transfer(frame: Frame, arguments: Arguments) -> bytes:
    move = _Transfer(frame.caller, arguments.address(0), arguments.number(1))
    require(not frame.read("paused"))
    require(not frame.read("blacklisted", move.sender))
    if frame.read("deprecated"):
        return by_legacy(frame, "transferByLegacy(address,address,uint256)", *move)

    frame.run(_TRANSFER)
    fee = fee_of(frame, move.value)
    _pay(frame, move._replace(value=move.value - fee))
    if fee:
        _pay(frame, _Transfer(move.sender, owner_of(frame), fee))
    return _DROPPED


def _pay(frame: Frame, move: _Transfer) -> None:
    """Move tokens of the caller's, which is BasicToken's transfer."""
    require(move.recipient != ZERO)
    require(move.value <= frame.read("balance", move.sender))
    frame.write("balance", frame.read("balance", move.sender) - move.value, move.sender)
    credit(frame, move.recipient, move.value)
    log_transfer(frame, move.sender, move.recipient, move.value)


def _transfer_from(frame: Frame, arguments: Arguments) -> bytes:
    move = _Transfer(arguments.address(0), arguments.address(1), arguments.number(2))
    require(not frame.read("paused"))
    require(not frame.read("blacklisted", move.sender))
    if frame.read("deprecated"):
        signature = "transferFromByLegacy(address,address,address,uint256)"
        return by_legacy(frame, signature, frame.caller, *move)

    frame.run(_TRANSFER_FROM)
    pair = move.sender + frame.caller
    require(move.recipient != ZERO)
    require(move.value <= frame.read("balance", move.sender))
    allowed = frame.read("allowance", pair)
    require(move.value <= allowed)
    fee = fee_of(frame, move.value)
    frame.write("balance", frame.read("balance", move.sender) - move.value, move.sender)
    credit(frame, move.recipient, move.value - fee)
    if allowed < MAX_UINT:
        frame.write("allowance", allowed - move.value, pair)
    log_transfer(frame, move.sender, move.recipient, move.value - fee)
    if fee:
        owner = owner_of(frame)
        credit(frame, owner, fee)
        log_transfer(frame, move.sender, owner, fee)
    return _TRUE


def _approve(frame: Frame, arguments: Arguments) -> bytes:
    spender, value = arguments.address(0), arguments.number(1)
    require(not frame.read("paused"))
    if frame.read("deprecated"):
        signature = "approveByLegacy(address,address,uint256)"
        return by_legacy(frame, signature, frame.caller, spender, value)
    return _allow(frame, spender, value)


def _increase_approval(frame: Frame, arguments: Arguments) -> bytes:
    spender, more = arguments.address(0), arguments.number(1)
    require(not frame.read("paused"))
    if frame.read("deprecated"):
        signature = "increaseApprovalByLegacy(address,address,uint256)"
        return by_legacy(frame, signature, frame.caller, spender, more)
    return _allow(frame, spender, added(frame.read("allowance", frame.caller + spender), more))


def _decrease_approval(frame: Frame, arguments: Arguments) -> bytes:
    spender, subtracted = arguments.address(0), arguments.number(1)
    require(not frame.read("paused"))
    if frame.read("deprecated"):
        signature = "decreaseApprovalByLegacy(address,address,uint256)"
        return by_legacy(frame, signature, frame.caller, spender, subtracted)
    left = frame.read("allowance", frame.caller + spender) - subtracted
    return _allow(frame, spender, max(0, left))


def _allow(frame: Frame, spender: bytes, value: int) -> bytes:
    frame.run(_APPROVE)
    frame.write("allowance", value, frame.caller + spender)
    topics = _APPROVAL_TOPIC, address_word(frame.caller), address_word(spender)
    frame.emit(*topics, data=integer_word(value))
    return _TRUE

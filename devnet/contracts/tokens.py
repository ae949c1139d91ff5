"""Ordinary tokens of anybody's making, and two that do not do what they say."""

from __future__ import annotations

from devnet.address import ZERO
from devnet.contracts.abi import (
    WORD_BYTES,
    Arguments,
    Interface,
    address_in,
    address_word,
    integer_in,
    integer_word,
    selector_of,
    text_tail,
    text_words,
)
from devnet.contracts.contract import SolidityContract
from devnet.contracts.energy_cost import Code
from devnet.contracts.frame import Frame
from devnet.contracts.halt import RevertError

_MAX_UINT = 2**256 - 1
_TRUE = integer_word(1)
_FALSE = integer_word(0)
_ERROR = selector_of("Error(string)")

_INTERFACE = Interface(
    """
    constructor(string name_, string symbol_, uint8 decimals_, uint256 supply_)
    view name() -> (string)
    view symbol() -> (string)
    view decimals() -> (uint8)
    view totalSupply() -> (uint256)
    view owner() -> (address)
    view balanceOf(address account) -> (uint256)
    view allowance(address owner, address spender) -> (uint256)
    transfer(address to, uint256 amount) -> (bool)
    transferFrom(address from, address to, uint256 amount) -> (bool)
    approve(address spender, uint256 amount) -> (bool)
    mint(address to, uint256 amount)
    event Transfer(address indexed from, address indexed to, uint256 value)
    event Approval(address indexed owner, address indexed spender, uint256 value)
    """
)
_TRANSFER_TOPIC = _INTERFACE.topic("Transfer")
_APPROVAL_TOPIC = _INTERFACE.topic("Approval")

_MOVE = Code(ones=30, twos=40, threes=280, fives=12, eights=18, tens=16, hashes=4)
_SMALL = Code(ones=8, twos=12, threes=80, fives=4, eights=8, tens=6, hashes=1)


class StandardToken(SolidityContract):
    """A token as most are written: errors have texts, and only the owner mints.

    Name, symbol and decimals are whatever its creator chose, those of another token included.
    """

    kind = "standard-token"

    def __init__(self) -> None:
        super().__init__(
            _INTERFACE,
            {
                "name": lambda frame, _: _text(frame, "name"),
                "symbol": lambda frame, _: _text(frame, "symbol"),
                "decimals": lambda frame, _: _number(frame, "decimals"),
                "totalSupply": lambda frame, _: _number(frame, "supply"),
                "owner": lambda frame, _: _number(frame, "owner"),
                "balanceOf": _balance_of,
                "allowance": _allowance,
                "transfer": self.transfer,
                "transferFrom": self.transfer_from,
                "approve": _approve,
                "mint": self.mint,
            },
        )

    def construct(self, frame: Frame, arguments: Arguments) -> None:
        """Take name, symbol, decimals and the creator's supply from the arguments.

        Raises:
            RevertError: A text is longer than a slot.
        """
        frame.write("name", text_number(arguments.text(0)))
        frame.write("symbol", text_number(arguments.text(1)))
        frame.write("decimals", arguments.number(2))
        frame.write("owner", integer_in(address_word(frame.caller)))
        self._mint(frame, frame.caller, arguments.number(3))

    def transfer(self, frame: Frame, arguments: Arguments) -> bytes:
        """Move the caller's tokens."""
        self.move(frame, frame.caller, arguments.address(0), arguments.number(1))
        return _TRUE

    def transfer_from(self, frame: Frame, arguments: Arguments) -> bytes:
        """Move another's tokens within what he allowed."""
        sender, value = arguments.address(0), arguments.number(2)
        allowed = frame.read("allowance", sender + frame.caller)
        _demand(value <= allowed, "ERC20: insufficient allowance")
        if allowed < _MAX_UINT:
            frame.write("allowance", allowed - value, sender + frame.caller)
        self.move(frame, sender, arguments.address(1), value)
        return _TRUE

    def mint(self, frame: Frame, arguments: Arguments) -> bytes:
        """Make new tokens."""
        owner = address_in(integer_word(frame.read("owner")))
        _demand(owner == frame.caller, "Ownable: caller is not the owner")
        self._mint(frame, arguments.address(0), arguments.number(1))
        return b""

    def move(self, frame: Frame, sender: bytes, recipient: bytes, value: int) -> None:
        """Move tokens and say so."""
        frame.run(_MOVE)
        _demand(recipient != ZERO, "ERC20: transfer to the zero address")
        balance = frame.read("balance", sender)
        _demand(value <= balance, "ERC20: transfer amount exceeds balance")
        frame.write("balance", balance - value, sender)
        frame.write("balance", frame.read("balance", recipient) + value, recipient)
        self.log_transfer(frame, sender, recipient, value)

    def log_transfer(self, frame: Frame, sender: bytes, recipient: bytes, value: int) -> None:
        """Emit the event of a movement."""
        topics = _TRANSFER_TOPIC, address_word(sender), address_word(recipient)
        frame.emit(*topics, data=integer_word(value))

    def _mint(self, frame: Frame, recipient: bytes, value: int) -> None:
        supply = frame.read("supply") + value
        if supply > _MAX_UINT:
            raise RevertError
        frame.write("supply", supply)
        frame.write("balance", frame.read("balance", recipient) + value, recipient)
        self.log_transfer(frame, ZERO, recipient, value)


class FalseToken(StandardToken):
    """A token whose transfers do nothing, say false and do not revert."""

    kind = "false-token"

    def transfer(self, frame: Frame, arguments: Arguments) -> bytes:
        """Do nothing."""
        del arguments
        frame.run(_SMALL)
        return _FALSE

    def transfer_from(self, frame: Frame, arguments: Arguments) -> bytes:
        """Do nothing."""
        return self.transfer(frame, arguments)


class SilentToken(StandardToken):
    """A token whose transfers succeed without an event."""

    kind = "silent-token"

    def log_transfer(self, frame: Frame, sender: bytes, recipient: bytes, value: int) -> None:
        """Emit nothing."""


def text_number(text: str) -> int:
    """A short text as the number that fills a slot.

    Raises:
        RevertError: It does not fit.
    """
    data = text.encode()
    if len(data) > WORD_BYTES:
        raise RevertError
    return int.from_bytes(data.ljust(WORD_BYTES, b"\0"), "big")


def error_text(text: str) -> bytes:
    """What a revert with a text returns: an `Error(string)`."""
    return _ERROR + integer_word(WORD_BYTES) + text_tail(text)


def _demand(condition: object, text: str) -> None:
    if not condition:
        raise RevertError(error_text(text))


def _text(frame: Frame, slot: str) -> bytes:
    frame.run(_SMALL)
    data = integer_word(frame.read(slot)).rstrip(b"\0")
    return text_words(data.decode("utf-8", "replace"))


def _number(frame: Frame, slot: str) -> bytes:
    frame.run(_SMALL)
    return integer_word(frame.read(slot))


def _balance_of(frame: Frame, arguments: Arguments) -> bytes:
    frame.run(_SMALL)
    return integer_word(frame.read("balance", arguments.address(0)))


def _allowance(frame: Frame, arguments: Arguments) -> bytes:
    frame.run(_SMALL)
    pair = arguments.address(0) + arguments.address(1)
    return integer_word(frame.read("allowance", pair))


def _approve(frame: Frame, arguments: Arguments) -> bytes:
    frame.run(_SMALL)
    spender, value = arguments.address(0), arguments.number(1)
    frame.write("allowance", value, frame.caller + spender)
    topics = _APPROVAL_TOPIC, address_word(frame.caller), address_word(spender)
    frame.emit(*topics, data=integer_word(value))
    return _TRUE

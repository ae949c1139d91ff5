"""A TRC-721 token: its Transfer has the fingerprint of a TRC-20 one, but four topics."""

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
from devnet.contracts.frame import Frame

_INTERFACE = Interface(
    """
    view name() -> (string)
    view symbol() -> (string)
    view balanceOf(address owner) -> (uint256)
    view ownerOf(uint256 tokenId) -> (address)
    mint(address to, uint256 tokenId)
    transferFrom(address from, address to, uint256 tokenId)
    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId)
    """
)
_TOPIC = _INTERFACE.topic("Transfer")
_MOVE = Code(ones=20, twos=30, threes=200, fives=8, eights=12, tens=12, hashes=4)


class Collectible(SolidityContract):
    """Numbered things, each with one owner; anybody may make one that is not there yet."""

    kind = "collectible"

    def __init__(self) -> None:
        super().__init__(
            _INTERFACE,
            {
                "name": lambda _frame, _arguments: text_words("Tether USD"),
                "symbol": lambda _frame, _arguments: text_words("USDT"),
                "balanceOf": lambda frame, arguments: integer_word(
                    frame.read("count", arguments.address(0))
                ),
                "ownerOf": _owner_of,
                "mint": _mint,
                "transferFrom": _transfer_from,
            },
        )


def _owner_of(frame: Frame, arguments: Arguments) -> bytes:
    owner = frame.read("owner", integer_word(arguments.number(0)))
    require(owner)
    return integer_word(owner)


def _mint(frame: Frame, arguments: Arguments) -> bytes:
    recipient, number = arguments.address(0), arguments.number(1)
    require(not frame.read("owner", integer_word(number)))
    _give(frame, ZERO, recipient, number)
    return b""


def _transfer_from(frame: Frame, arguments: Arguments) -> bytes:
    sender, recipient, number = arguments.address(0), arguments.address(1), arguments.number(2)
    owner = address_in(integer_word(frame.read("owner", integer_word(number))))
    require(owner == sender == frame.caller)
    frame.write("count", frame.read("count", sender) - 1, sender)
    _give(frame, sender, recipient, number)
    return b""


def _give(frame: Frame, sender: bytes, recipient: bytes, number: int) -> None:
    frame.run(_MOVE)
    require(recipient != ZERO)
    frame.write("owner", integer_in(address_word(recipient)), integer_word(number))
    frame.write("count", frame.read("count", recipient) + 1, recipient)
    frame.emit(_TOPIC, address_word(sender), address_word(recipient), integer_word(number))

"""TetherToken's getters."""

from __future__ import annotations

from devnet.contracts.abi import Arguments, integer_word, text_words
from devnet.contracts.contract import Handler
from devnet.contracts.energy_cost import Code
from devnet.contracts.frame import Frame
from devnet.contracts.tether_books import MAX_UINT, by_legacy, fee_of
from devnet.contracts.usdt import USDT_DECIMALS

MAX_RATE = 20
MAX_FEE = 50
# As many as make balanceOf cost 4,062 energy; the other getters are taken to be like it.
_LOOK_UP = Code(ones=8, twos=13, threes=91, fives=4, eights=9, tens=8, hashes=1)
_GETTER = Code(ones=6, twos=10, threes=70, fives=3, eights=6, tens=6)


def balance_of(frame: Frame, arguments: Arguments) -> bytes:
    """A balance, the successor's once there is one."""
    frame.run(_LOOK_UP)
    if frame.read("deprecated"):
        return by_legacy(frame, "balanceOf(address)", arguments.address(0))
    return integer_word(frame.read("balance", arguments.address(0)))


def _old_balance_of(frame: Frame, arguments: Arguments) -> bytes:
    frame.run(_LOOK_UP)
    if not frame.read("deprecated"):
        return integer_word(0)
    return integer_word(frame.read("balance", arguments.address(0)))


def _allowance(frame: Frame, arguments: Arguments) -> bytes:
    frame.run(_LOOK_UP)
    owner, spender = arguments.address(0), arguments.address(1)
    if frame.read("deprecated"):
        return by_legacy(frame, "allowance(address,address)", owner, spender)
    return integer_word(frame.read("allowance", owner + spender))


def _total_supply(frame: Frame, _arguments: Arguments) -> bytes:
    frame.run(_GETTER)
    if frame.read("deprecated"):
        return by_legacy(frame, "totalSupply()")
    return integer_word(frame.read("supply"))


def _is_black_listed(frame: Frame, arguments: Arguments) -> bytes:
    frame.run(_LOOK_UP)
    return integer_word(frame.read("blacklisted", arguments.address(0)))


def _calc_fee(frame: Frame, arguments: Arguments) -> bytes:
    frame.run(_GETTER)
    return integer_word(fee_of(frame, arguments.number(0)))


def _slot(name: str) -> Handler:
    """A getter of one slot."""

    def get(frame: Frame, _arguments: Arguments) -> bytes:
        frame.run(_GETTER)
        return integer_word(frame.read(name))

    return get


def _constant(returned: bytes) -> Handler:
    """A getter of what never changes."""

    def get(frame: Frame, _arguments: Arguments) -> bytes:
        frame.run(_GETTER)
        return returned

    return get


GETTERS: dict[str, Handler] = {
    "name": _constant(text_words("Tether USD")),
    "symbol": _constant(text_words("USDT")),
    "decimals": _constant(integer_word(USDT_DECIMALS)),
    "MAX_UINT": _constant(integer_word(MAX_UINT)),
    "MAX_SETTABLE_BASIS_POINTS": _constant(integer_word(MAX_RATE)),
    "MAX_SETTABLE_FEE": _constant(integer_word(MAX_FEE)),
    "_totalSupply": _slot("supply"),
    "owner": _slot("owner"),
    "paused": _slot("paused"),
    "deprecated": _slot("deprecated"),
    "upgradedAddress": _slot("upgraded"),
    "basisPointsRate": _slot("rate"),
    "maximumFee": _slot("maximum_fee"),
    "balanceOf": balance_of,
    "oldBalanceOf": _old_balance_of,
    "allowance": _allowance,
    "totalSupply": _total_supply,
    "isBlackListed": _is_black_listed,
    "getBlackListStatus": _is_black_listed,
    "calcFee": _calc_fee,
}

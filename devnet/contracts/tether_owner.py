"""What TetherToken's owner alone may do."""

from __future__ import annotations

from devnet.address import ZERO
from devnet.contracts.abi import Arguments, address_word, integer_in, integer_word
from devnet.contracts.contract import Handler, require
from devnet.contracts.energy_cost import Code
from devnet.contracts.frame import Frame
from devnet.contracts.tether_books import added, credit, log_transfer, owner_of, subtracted
from devnet.contracts.tether_views import MAX_FEE, MAX_RATE, balance_of
from devnet.contracts.usdt import INTERFACE, USDT_MICRO

_BY_OWNER = Code(ones=10, twos=20, threes=120, fives=8, eights=8, tens=8, hashes=1)


def _deprecate(frame: Frame, arguments: Arguments) -> bytes:
    _only_owner(frame)
    upgraded = arguments.address(0)
    require(upgraded != ZERO)
    frame.write("deprecated", 1)
    frame.write("upgraded", integer_in(address_word(upgraded)))
    return _announced(frame, "Deprecate", data=address_word(upgraded))


def _add_black_list(frame: Frame, arguments: Arguments) -> bytes:
    _only_owner(frame)
    frame.write("blacklisted", 1, arguments.address(0))
    return _announced(frame, "AddedBlackList", arguments.address(0))


def _remove_black_list(frame: Frame, arguments: Arguments) -> bytes:
    _only_owner(frame)
    frame.write("blacklisted", 0, arguments.address(0))
    return _announced(frame, "RemovedBlackList", arguments.address(0))


def _destroy_black_funds(frame: Frame, arguments: Arguments) -> bytes:
    _only_owner(frame)
    holder = arguments.address(0)
    require(frame.read("blacklisted", holder))
    funds = integer_in(balance_of(frame, arguments))
    frame.write("balance", 0, holder)
    frame.write("supply", subtracted(frame.read("supply"), funds))
    return _announced(frame, "DestroyedBlackFunds", holder, data=integer_word(funds))


def _pause(frame: Frame, _arguments: Arguments) -> bytes:
    _only_owner(frame)
    require(not frame.read("paused"))
    frame.write("paused", 1)
    return _announced(frame, "Pause")


def _unpause(frame: Frame, _arguments: Arguments) -> bytes:
    _only_owner(frame)
    require(frame.read("paused"))
    frame.write("paused", 0)
    return _announced(frame, "Unpause")


def _set_params(frame: Frame, arguments: Arguments) -> bytes:
    _only_owner(frame)
    rate, maximum = arguments.number(0), arguments.number(1)
    require(rate < MAX_RATE)
    require(maximum < MAX_FEE)
    frame.write("rate", rate)
    frame.write("maximum_fee", maximum * USDT_MICRO)
    data = integer_word(rate) + integer_word(maximum * USDT_MICRO)
    return _announced(frame, "Params", data=data)


def _issue(frame: Frame, arguments: Arguments) -> bytes:
    _only_owner(frame)
    amount = arguments.number(0)
    credit(frame, frame.caller, amount)
    frame.write("supply", added(frame.read("supply"), amount))
    _announced(frame, "Issue", data=integer_word(amount))
    log_transfer(frame, ZERO, frame.caller, amount)
    return b""


def _redeem(frame: Frame, arguments: Arguments) -> bytes:
    _only_owner(frame)
    amount = arguments.number(0)
    frame.write("supply", subtracted(frame.read("supply"), amount))
    left = subtracted(frame.read("balance", frame.caller), amount)
    frame.write("balance", left, frame.caller)
    _announced(frame, "Redeem", data=integer_word(amount))
    log_transfer(frame, frame.caller, ZERO, amount)
    return b""


def _transfer_ownership(frame: Frame, arguments: Arguments) -> bytes:
    _only_owner(frame)
    successor = arguments.address(0)
    require(successor != ZERO)
    _announced(frame, "OwnershipTransferred", frame.caller, successor)
    frame.write("owner", integer_in(address_word(successor)))
    return b""


def _announced(frame: Frame, event: str, *indexed: bytes, data: bytes = b"") -> bytes:
    topics = (address_word(each) for each in indexed)
    frame.emit(INTERFACE.topic(event), *topics, data=data)
    return b""


def _only_owner(frame: Frame) -> None:
    frame.run(_BY_OWNER)
    require(owner_of(frame) == frame.caller)


BY_OWNER: dict[str, Handler] = {
    "deprecate": _deprecate,
    "addBlackList": _add_black_list,
    "removeBlackList": _remove_black_list,
    "destroyBlackFunds": _destroy_black_funds,
    "pause": _pause,
    "unpause": _unpause,
    "setParams": _set_params,
    "issue": _issue,
    "redeem": _redeem,
    "transferOwnership": _transfer_ownership,
}

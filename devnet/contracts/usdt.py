"""The USDT double: mainnet's behaviour, logs and energy, owned by the faucet account.

The behaviour is TetherToken's: `transfer` drops its own return value, guards have no message,
the recipient is never checked against the black list, and the fee hook emits a second log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from devnet.address import ZERO, from_base58
from devnet.contracts.abi import (
    SELECTOR_BYTES,
    Method,
    address_in,
    address_word,
    integer_in,
    integer_word,
    text_words,
    topic_of,
    words_of,
)
from devnet.contracts.contract import Call, Energy, Log, Outcome
from devnet.state import Changes, State

USDT_CONTRACT = "TTaZC4WTxTYnaGvg5PrUjkLVivsWM8GFXn"
USDT_CONTRACT_ADDRESS = from_base58(USDT_CONTRACT)
USDT_DECIMALS = 6
USDT_MICRO = 10**USDT_DECIMALS

TRANSFER_TOPIC = topic_of("Transfer(address,address,uint256)")
_APPROVAL_TOPIC = topic_of("Approval(address,address,uint256)")
_ADDED_TOPIC = topic_of("AddedBlackList(address)")
_REMOVED_TOPIC = topic_of("RemovedBlackList(address)")
_DESTROYED_TOPIC = topic_of("DestroyedBlackFunds(address,uint256)")
_PAUSE_TOPIC = topic_of("Pause()")
_UNPAUSE_TOPIC = topic_of("Unpause()")
_PARAMS_TOPIC = topic_of("Params(uint256,uint256)")

_MAX_UINT = 2**256 - 1
_MAX_RATE = 20
_MAX_FEE = 50
_RATE_UNIT = 10_000
_TRUE = integer_word(1)
_DROPPED = bytes(32)

# Mainnet's figures at the highest dynamic energy factor: 14,650 and 29,650 before the penalty.
TRANSFER_ENERGY = Energy(total=64_285, penalty=49_635)
TRANSFER_TO_EMPTY_ENERGY = Energy(total=130_285, penalty=100_635)
_ALLOWANCE_ENERGY = Energy(total=31_280, penalty=24_170)
_APPROVE_ENERGY = Energy(total=33_764, penalty=26_014)
_APPROVE_NEW_ENERGY = Energy(total=99_764, penalty=77_014)
_OWNER_ENERGY = Energy(total=66_880, penalty=51_680)
_VIEW_ENERGY = Energy(total=4_062, penalty=3_127)
_REVERT_ENERGY = Energy(total=10_551, penalty=8_153)
_UNKNOWN_ENERGY = Energy(total=1_012, penalty=782)

_VIEWS = (
    "name() -> string",
    "symbol() -> string",
    "decimals() -> uint256",
    "totalSupply() -> uint256",
    "balanceOf(address) -> uint256",
    "allowance(address,address) -> uint256",
    "isBlackListed(address) -> bool",
    "getBlackListStatus(address) -> bool",
    "paused() -> bool",
    "deprecated() -> bool",
    "upgradedAddress() -> address",
    "basisPointsRate() -> uint256",
    "maximumFee() -> uint256",
    "owner() -> address",
)
_CALLS = (
    "transfer(address,uint256) -> bool",
    "transferFrom(address,address,uint256) -> bool",
    "approve(address,uint256) -> bool",
    "addBlackList(address)",
    "removeBlackList(address)",
    "destroyBlackFunds(address)",
    "pause()",
    "unpause()",
    "setParams(uint256,uint256)",
)
_METHODS = {
    method.selector: method
    for method in (
        *(Method(declaration=each, view=True) for each in _VIEWS),
        *(Method(declaration=each) for each in _CALLS),
    )
}
_NUMBER_SLOTS = {
    "totalSupply": "supply",
    "paused": "paused",
    "deprecated": "deprecated",
    "upgradedAddress": "upgraded",
    "basisPointsRate": "rate",
    "maximumFee": "maximum_fee",
    "owner": "owner",
}
_KEYED_SLOTS = {
    "balanceOf": "balance",
    "allowance": "allowance",
    "isBlackListed": "blacklisted",
    "getBlackListStatus": "blacklisted",
}
_CONSTANTS = {
    "name": text_words("Tether USD"),
    "symbol": text_words("USDT"),
    "decimals": integer_word(USDT_DECIMALS),
}


class _GuardError(Exception):
    """A `require` without a message."""


def genesis_storage(*, owner: bytes, balances: Mapping[bytes, int]) -> Changes:
    """The storage of the contract as deployed: an owner, holders, and their sum as supply."""
    state = State()
    storage = _Storage(state)
    storage.write("owner", b"", integer_in(address_word(owner)))
    storage.write("supply", b"", sum(balances.values()))
    for holder, amount in balances.items():
        storage.write("balance", holder, amount)
    return state.changes


def method_named(name: str) -> Method:
    """The method of that name."""
    return next(method for method in _METHODS.values() if method.name == name)


class _Storage:
    """The contract's slots, each a number."""

    def __init__(self, state: State) -> None:
        self._state = state

    def read(self, slot: str, of: bytes = b"") -> int:
        return self._state.integer("usdt." + slot, of)

    def write(self, slot: str, of: bytes, value: int) -> None:
        self._state.put_integer("usdt." + slot, of, value)


class UsdtContract:
    """The deployed contract; it keeps nothing itself, its storage is in the state."""

    address = USDT_CONTRACT_ADDRESS

    def is_view(self, data: bytes) -> bool:
        """True when the called method only reads."""
        method = _METHODS.get(data[:SELECTOR_BYTES])
        return method is not None and method.view

    def describe(self) -> dict[str, Any]:
        """The fields of getcontract; the caller pays all energy, as on mainnet."""
        return {
            "abi": {"entrys": [method.entry() for method in _METHODS.values()]},
            "bytecode": "00",
            "consume_user_resource_percent": 100,
            "name": "TetherToken",
            "origin_energy_limit": 10_000_000,
        }

    def call(self, call: Call) -> Outcome:
        """Run a method; an unknown selector, short arguments and TRX sent along revert."""
        method = _METHODS.get(call.data[:SELECTOR_BYTES])
        words = words_of(call.data[SELECTOR_BYTES:])
        if method is None or call.value_sun or len(words) < method.argument_count:
            return Outcome(energy=_UNKNOWN_ENERGY, reverted=True)
        words = words[: method.argument_count]
        storage = _Storage(call.state)
        if method.view:
            return Outcome(energy=_VIEW_ENERGY, returned=_read(method.name, storage, words))
        try:
            return _CHANGES[method.name](storage, call.caller, words)
        except _GuardError:
            return Outcome(energy=_REVERT_ENERGY, reverted=True)


def _read(name: str, storage: _Storage, words: list[bytes]) -> bytes:
    if name in _NUMBER_SLOTS:
        return integer_word(storage.read(_NUMBER_SLOTS[name]))
    if name in _KEYED_SLOTS:
        of = b"".join(address_in(word) for word in words)
        return integer_word(storage.read(_KEYED_SLOTS[name], of))
    return _CONSTANTS[name]


def _transfer(storage: _Storage, caller: bytes, words: list[bytes]) -> Outcome:
    recipient, value = address_in(words[0]), integer_in(words[1])
    outcome = _move(storage, caller, recipient, value)
    outcome.returned = _DROPPED
    return outcome


def _transfer_from(storage: _Storage, caller: bytes, words: list[bytes]) -> Outcome:
    sender, recipient, value = address_in(words[0]), address_in(words[1]), integer_in(words[2])
    allowed = storage.read("allowance", sender + caller)
    _require(allowed >= value)

    outcome = _move(storage, sender, recipient, value)
    if allowed != _MAX_UINT:
        storage.write("allowance", sender + caller, allowed - value)
    outcome.returned = _TRUE
    outcome.energy = Energy(
        total=outcome.energy.total + _ALLOWANCE_ENERGY.total,
        penalty=outcome.energy.penalty + _ALLOWANCE_ENERGY.penalty,
    )
    return outcome


def _move(storage: _Storage, sender: bytes, recipient: bytes, value: int) -> Outcome:
    _require(not storage.read("paused"))
    _require(not storage.read("blacklisted", sender))
    _require(recipient != ZERO)
    _require(storage.read("balance", sender) >= value)

    fee = min(value * storage.read("rate") // _RATE_UNIT, storage.read("maximum_fee"))
    fills_empty_slot = value > fee and not storage.read("balance", recipient)
    energy = TRANSFER_TO_EMPTY_ENERGY if fills_empty_slot else TRANSFER_ENERGY
    logs = [_shift(storage, sender, recipient, value - fee)]
    if fee:
        owner = address_in(integer_word(storage.read("owner")))
        logs.append(_shift(storage, sender, owner, fee))
    return Outcome(energy=energy, logs=logs)


def _shift(storage: _Storage, sender: bytes, recipient: bytes, value: int) -> Log:
    storage.write("balance", sender, storage.read("balance", sender) - value)
    storage.write("balance", recipient, storage.read("balance", recipient) + value)
    return _log(TRANSFER_TOPIC, address_word(sender), address_word(recipient), data=[value])


def _approve(storage: _Storage, caller: bytes, words: list[bytes]) -> Outcome:
    spender, value = address_in(words[0]), integer_in(words[1])
    _require(not storage.read("paused"))
    is_new = value and not storage.read("allowance", caller + spender)
    storage.write("allowance", caller + spender, value)
    log = _log(_APPROVAL_TOPIC, address_word(caller), address_word(spender), data=[value])
    energy = _APPROVE_NEW_ENERGY if is_new else _APPROVE_ENERGY
    return Outcome(energy=energy, returned=_TRUE, logs=[log])


def _add_black_list(storage: _Storage, caller: bytes, words: list[bytes]) -> Outcome:
    _require_owner(storage, caller)
    storage.write("blacklisted", address_in(words[0]), 1)
    return _by_owner(_log(_ADDED_TOPIC, address_word(address_in(words[0]))))


def _remove_black_list(storage: _Storage, caller: bytes, words: list[bytes]) -> Outcome:
    _require_owner(storage, caller)
    storage.write("blacklisted", address_in(words[0]), 0)
    return _by_owner(_log(_REMOVED_TOPIC, address_word(address_in(words[0]))))


def _destroy_black_funds(storage: _Storage, caller: bytes, words: list[bytes]) -> Outcome:
    _require_owner(storage, caller)
    holder = address_in(words[0])
    _require(storage.read("blacklisted", holder))
    funds = storage.read("balance", holder)
    storage.write("balance", holder, 0)
    storage.write("supply", b"", storage.read("supply") - funds)
    return _by_owner(_log(_DESTROYED_TOPIC, address_word(holder), data=[funds]))


def _pause(storage: _Storage, caller: bytes, _words: list[bytes]) -> Outcome:
    _require_owner(storage, caller)
    _require(not storage.read("paused"))
    storage.write("paused", b"", 1)
    return _by_owner(_log(_PAUSE_TOPIC))


def _unpause(storage: _Storage, caller: bytes, _words: list[bytes]) -> Outcome:
    _require_owner(storage, caller)
    _require(storage.read("paused"))
    storage.write("paused", b"", 0)
    return _by_owner(_log(_UNPAUSE_TOPIC))


def _set_params(storage: _Storage, caller: bytes, words: list[bytes]) -> Outcome:
    rate, maximum = integer_in(words[0]), integer_in(words[1])
    _require_owner(storage, caller)
    _require(rate < _MAX_RATE and maximum < _MAX_FEE)
    storage.write("rate", b"", rate)
    storage.write("maximum_fee", b"", maximum * USDT_MICRO)
    return _by_owner(_log(_PARAMS_TOPIC, data=[rate, maximum * USDT_MICRO]))


def _by_owner(log: Log) -> Outcome:
    return Outcome(energy=_OWNER_ENERGY, logs=[log])


def _log(*topics: bytes, data: list[int] | None = None) -> Log:
    return Log(
        address=USDT_CONTRACT_ADDRESS,
        topics=topics,
        data=b"".join(map(integer_word, data or [])),
    )


def _require_owner(storage: _Storage, caller: bytes) -> None:
    _require(storage.read("owner") == integer_in(address_word(caller)))


def _require(condition: object) -> None:
    if not condition:
        raise _GuardError


_CHANGES = {
    "transfer": _transfer,
    "transferFrom": _transfer_from,
    "approve": _approve,
    "addBlackList": _add_black_list,
    "removeBlackList": _remove_black_list,
    "destroyBlackFunds": _destroy_black_funds,
    "pause": _pause,
    "unpause": _unpause,
    "setParams": _set_params,
}

"""Untrue answers about balances, resources, energy and parameters, and false transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError, Message

from devnet.chain_pb2 import Transaction
from devnet.contracts.abi import SELECTOR_BYTES, WORD_BYTES, address_word, integer_word
from devnet.contracts.usdt import method_named
from devnet.items import contract_of, wrapped
from devnet.json_format import printed_transaction
from devnet.parameters import PARAMETERS
from devnet.rejection import RejectedError
from devnet.scenarios import parameters
from devnet.scenarios.effect import Effect, Stage, Values, twisting
from devnet.scenarios.scenario import Scenario
from devnet.scenarios.subject import Subject

_PERCENT_MAX = 10_000
_WHOLE_PERCENT = 100
_CONSTANT_CALLS = frozenset({"triggerconstantcontract", "triggersmartcontract"})
_RESOURCES = frozenset({"getaccountresource", "getaccountnet"})
_ESTIMATES = frozenset({"triggerconstantcontract", "estimateenergy"})
_BALANCE_OF = method_named("balanceOf").selector
_TRANSFER = method_named("transfer").selector
_LIMITS = ("EnergyLimit", "NetLimit", "freeNetLimit")
# Builders name who is paid and how much in one of these ways.
_RECIPIENTS = ("to_address", "receiver_address", "account_address")
_AMOUNTS = ("amount", "balance", "frozen_balance", "unfreeze_balance", "call_value")


def _percent(meaning: str, *, default: int) -> parameters.Parameter:
    return parameters.whole("percent", meaning, low=0, high=_PERCENT_MAX, default=default)


def _share(value: int, percent: int) -> int:
    return value * percent // _WHOLE_PERCENT


def _false_balance(_stage: Stage, values: Values) -> Effect:
    wanted = values["of"]

    def twist(subject: Subject, document: Any) -> Any:
        if not isinstance(document, dict):
            return None
        if subject.name == "getaccount":
            return _false_trx(subject, document)
        return _false_token(subject, document)

    def _false_trx(subject: Subject, document: dict[str, Any]) -> Any:
        if not document or values["currency"] == "USDT":
            return None
        if wanted is not None and _address_asked(subject) != wanted:
            return None
        document["balance"] = _share(document.get("balance", 0), values["percent"])
        return document

    def _false_token(subject: Subject, document: dict[str, Any]) -> Any:
        data = _call_data(subject)
        results = document.get("constant_result")
        if values["currency"] == "TRX" or not results or data[:SELECTOR_BYTES] != _BALANCE_OF:
            return None
        if wanted is not None and data[SELECTOR_BYTES:] != address_word(wanted):
            return None
        true = int(results[0] or "0", 16)
        document["constant_result"] = [integer_word(_share(true, values["percent"])).hex()]
        return document

    return twisting(twist)


def _false_resources(_stage: Stage, values: Values) -> Effect:
    def twist(_subject: Subject, document: Any) -> Any:
        found = [name for name in _LIMITS if isinstance(document, dict) and name in document]
        for name in found:
            document[name] = _share(document[name], values["percent"])
        return document if found else None

    return twisting(twist)


def _understated_energy(_stage: Stage, values: Values) -> Effect:
    def twist(_subject: Subject, document: Any) -> Any:
        names = ("energy_used", "energy_penalty", "energy_required")
        found = [name for name in names if isinstance(document, dict) and name in document]
        for name in found:
            document[name] = _share(document[name], values["percent"])
        return document if found else None

    return twisting(twist)


def _false_parameter(_stage: Stage, values: Values) -> Effect:
    def twist(_subject: Subject, document: Any) -> Any:
        for each in document.get("chainParameter") or []:
            if each["key"] == values["parameter"]:
                each["value"] = values["value"]
                return document
        return None

    return twisting(twist)


def _lying_builder(_stage: Stage, values: Values) -> Effect:
    def twist(_subject: Subject, document: Any) -> Any:
        shown = document.get("transaction", document) if isinstance(document, dict) else None
        if not isinstance(shown, dict) or "raw_data_hex" not in shown:
            return None
        lie = _false_transaction(shown["raw_data_hex"], values)
        if lie is None:
            return None
        false = printed_transaction(lie, visible=bool(shown.get("visible")))
        told = {
            "everywhere": ("raw_data", "raw_data_hex", "txID"),
            "bytes": ("raw_data_hex", "txID"),
            "shown": ("raw_data",),
        }[values["where"]]
        shown.update({name: false[name] for name in told})
        return document

    return twisting(twist)


def _false_transaction(raw_hex: str, values: Values) -> Transaction | None:
    """The transaction with another recipient or amount; None if it has neither."""
    transaction = Transaction()
    try:
        transaction.raw_data.ParseFromString(bytes.fromhex(raw_hex))
        message = contract_of(transaction.raw_data.contract[0])
    except (DecodeError, ValueError, IndexError, RejectedError):
        return None
    changes = [
        change(message, values[name])
        for name, change in (("recipient", _change_recipient), ("amount", _change_amount))
        if values[name] is not None
    ]
    if not any(changes):
        return None
    contract = transaction.raw_data.contract[0]
    contract.parameter.CopyFrom(wrapped(message).parameter)
    return transaction


def _change_recipient(message: Any, recipient: bytes) -> bool:
    if _is_token_transfer(message):
        end = SELECTOR_BYTES + WORD_BYTES
        message.data = message.data[:SELECTOR_BYTES] + address_word(recipient) + message.data[end:]
        return True
    return _set_first(message, _RECIPIENTS, recipient)


def _change_amount(message: Any, amount: int) -> bool:
    if _is_token_transfer(message):
        end = SELECTOR_BYTES + WORD_BYTES
        message.data = message.data[:end] + integer_word(amount)
        return True
    return _set_first(message, _AMOUNTS, amount)


def _is_token_transfer(message: Any) -> bool:
    return bool(getattr(message, "data", b"")[:SELECTOR_BYTES] == _TRANSFER)


def _set_first(message: Message, names: tuple[str, ...], value: Any) -> bool:
    known = message.DESCRIPTOR.fields_by_name
    name = next((each for each in names if each in known), None)
    if name is None:
        return False
    setattr(message, name, value)
    return True


def _address_asked(subject: Subject) -> bytes:
    return _quietly(lambda: subject.asked.address("address"))


def _call_data(subject: Subject) -> bytes:
    """The call data that a constant call is made with, however it was given."""
    params = subject.asked.params
    if params.get("function_selector") == "balanceOf(address)":
        return _BALANCE_OF + _quietly(lambda: bytes.fromhex(str(params.get("parameter", ""))))
    return _quietly(lambda: bytes.fromhex(str(params.get("data", ""))))


def _quietly(read: Callable[[], bytes]) -> bytes:
    """Bytes of a request, none if they cannot be read."""
    try:
        return read()
    except Exception:  # noqa: BLE001 (whatever a client sends)
        return b""


SCENARIOS = (
    Scenario(
        name="false_balance",
        does="Balances of TRX, USDT or both are shown as a share of what they are.",
        hazards=(9, 15),
        names=_CONSTANT_CALLS | {"getaccount"},
        parameters=(
            _percent("of the true balance that is shown", default=200),
            parameters.choice("currency", "whose balance", ("both", "TRX", "USDT"), default="both"),
            parameters.address("of", "whose account, all if left out", default=None),
        ),
        make=_false_balance,
        example={"percent": 50, "currency": "USDT"},
        draw=lambda chance, _bounds: {"percent": chance.choice([0, 50, 200])},
    ),
    Scenario(
        name="false_resources",
        does="Limits of energy and bandwidth are shown as a share of what they are.",
        hazards=(15, 16),
        names=_RESOURCES,
        parameters=(_percent("of the true limits that is shown", default=200),),
        make=_false_resources,
        example={"percent": 300},
        draw=lambda chance, _bounds: {"percent": chance.choice([0, 50, 200])},
    ),
    Scenario(
        name="understated_energy",
        does="Energy estimates are a share of what a call will use.",
        hazards=(15, 20),
        names=_ESTIMATES,
        parameters=(_percent("of the true figure that is shown", default=50),),
        make=_understated_energy,
        example={"percent": 50, "count": 0},
        draw=lambda chance, _bounds: {"percent": chance.choice([10, 50, 90])},
    ),
    Scenario(
        name="false_parameter",
        does="A chain parameter is shown with another value.",
        hazards=(15, 20),
        names=frozenset({"getchainparameters"}),
        parameters=(
            parameters.choice("parameter", "which one", [*PARAMETERS], default="getEnergyFee"),
            parameters.whole("value", "what it is said to be", low=0, high=2**62, default=10),
        ),
        make=_false_parameter,
        example={"parameter": "getEnergyFee", "value": 10, "count": 0},
    ),
    Scenario(
        name="lying_builder",
        does="A transaction that the node builds pays somebody else, or another amount.",
        hazards=(9, 10),
        parameters=(
            parameters.address("recipient", "who it pays, unchanged if left out", default=None),
            parameters.whole(
                "amount",
                "how much in base units, unchanged if left out",
                low=0,
                high=2**62,
                default=None,
            ),
            parameters.choice(
                "where",
                "in everything; in the bytes and id alone; in what is shown alone",
                ("everywhere", "bytes", "shown"),
                default="everywhere",
            ),
        ),
        make=_lying_builder,
        example={"recipient": "customer-9", "where": "bytes", "path": "/wallet/createtransaction"},
    ),
)

"""Protobuf as the node's JSON and back (java-tron's JsonFormat).

Defaults are left out, integers are numbers, enums are names, bytes are hex. With `visible`,
addresses are base58check and the few fields that hold text are text.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from devnet.address import ADDRESS_BYTES, PREFIX, from_base58, to_base58
from devnet.blocks import block_id_of, txid_of
from devnet.chain_pb2 import Block, Transaction
from devnet.items import CONTRACT_CLASSES, TYPE_URL_PREFIX, contract_of

_PARSE_ERROR = "org.tron.core.services.http.JsonFormat$ParseException"
_ADDRESS_FIELDS = frozenset(
    {
        "owner_address",
        "to_address",
        "receiver_address",
        "contract_address",
        "account_address",
        "vote_address",
        "witness_address",
    }
)
_LOG_ADDRESS = "lucid.devnet.TransactionInfo.Log.address"
_TEXT_FIELDS = frozenset({"lucid.devnet.TransactionInfo.resMessage"})


class JavaError(Exception):
    """What java-tron prints as `{"Error": "class … : …"}`."""

    def __init__(self, java_class: str, message: str) -> None:
        super().__init__(f"class {java_class} : {message}")


def printed(message: Message, *, visible: bool) -> dict[str, Any]:
    """A message as JSON."""
    return {
        field.name: _printed_field(field, value, visible=visible)
        for field, value in message.ListFields()
    }


def printed_address(address: bytes, *, visible: bool) -> str:
    """21 bytes in the form that was asked for."""
    return to_base58(address) if visible else address.hex()


def printed_transaction(
    transaction: Transaction, *, visible: bool, txid: bytes | None = None
) -> dict[str, Any]:
    """A transaction as JSON, its contract decoded (java-tron's Util.printTransactionToJSON)."""
    raw = transaction.raw_data
    raw_json = {
        field.name: _printed_field(field, value, visible=visible)
        for field, value in raw.ListFields()
        if field.name != "contract"
    }
    raw_json["contract"] = [_printed_contract(each, visible=visible) for each in raw.contract]
    shown: dict[str, Any] = {}
    if transaction.ret:
        shown["ret"] = [printed(each, visible=visible) for each in transaction.ret]
    if transaction.signature:
        shown["signature"] = [each.hex() for each in transaction.signature]
    shown["txID"] = (txid_of(transaction) if txid is None else txid).hex()
    shown["raw_data"] = raw_json
    shown["raw_data_hex"] = raw.SerializeToString(deterministic=True).hex()
    return shown


def printed_block(block: Block, *, visible: bool, detail: bool = True) -> dict[str, Any]:
    """A block as JSON; without transactions the key is absent."""
    shown: dict[str, Any] = {
        "blockID": block_id_of(block.block_header).hex(),
        "block_header": printed(block.block_header, visible=visible),
    }
    if detail and block.transactions:
        shown["transactions"] = [
            printed_transaction(each, visible=visible) for each in block.transactions
        ]
    return shown


def parsed_transaction(document: dict[str, Any]) -> Transaction:
    """Rebuild a transaction from `raw_data` and `signature`; txID and hex are not looked at.

    A contract that cannot be read is left out.

    Raises:
        JavaError: There is no raw_data, or a field cannot be read.
    """
    raw_json = document.get("raw_data")
    if not isinstance(raw_json, dict):
        raise JavaError("java.lang.NullPointerException", "null")
    visible = is_true(document.get("visible"))
    contracts = raw_json.get("contract") or []
    rest = {name: value for name, value in raw_json.items() if name != "contract"}
    transaction = Transaction(raw_data=parsed(Transaction.raw, rest, visible=visible))
    for each in contracts:
        contract = _parsed_contract(each, visible=visible)
        if contract is not None:
            transaction.raw_data.contract.append(contract)
    for signature in document.get("signature") or []:
        transaction.signature.append(hex_bytes(signature))
    return transaction


_M = TypeVar("_M", bound=Message)


def parsed(kind: type[_M], document: dict[str, Any], *, visible: bool) -> _M:
    """Read a message; unknown, null and compound fields are ignored.

    Raises:
        JavaError: A value does not fit its field.
    """
    message = kind()
    for name, value in document.items():
        field = kind.DESCRIPTOR.fields_by_name.get(name)
        if value is None or not isinstance(field, FieldDescriptor) or _is_compound(field):
            continue
        try:
            setattr(message, name, _parsed_field(field, value, visible=visible))
        except ValueError as error:
            raise JavaError(_PARSE_ERROR, f"Number out of range: {value}") from error
    return message


def hex_bytes(text: Any) -> bytes:
    """Read hex, with or without 0x.

    Raises:
        JavaError: It is not hex.
    """
    try:
        return bytes.fromhex(str(text).removeprefix("0x"))
    except ValueError as error:
        raise JavaError(_PARSE_ERROR, "INVALID hex String") from error


def address_bytes(text: Any, *, visible: bool) -> bytes:
    """Read an address in the form that goes with `visible`.

    Raises:
        JavaError: It is in neither or the other form.
    """
    if not visible:
        return hex_bytes(text)
    try:
        return from_base58(str(text))
    except ValueError as error:
        raise JavaError(_PARSE_ERROR, f"INVALID base58 String, {error}") from error


def integer(value: Any) -> int:
    """Read a number or its decimal or 0x text.

    Raises:
        JavaError: It is neither.
    """
    try:
        return value if isinstance(value, int) else int(str(value), 0)
    except ValueError as error:
        raise JavaError(
            "java.lang.NumberFormatException", f'For input string: "{value}"'
        ) from error


def is_true(value: Any) -> bool:
    """A flag as a boolean or as its text."""
    return value is True or value == "true"


def _printed_field(field: FieldDescriptor, value: Any, *, visible: bool) -> Any:
    if field.is_repeated:
        return [_printed_value(field, each, visible=visible) for each in value]
    return _printed_value(field, value, visible=visible)


def _printed_value(field: FieldDescriptor, value: Any, *, visible: bool) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_MESSAGE:
            return printed(value, visible=visible)
        case FieldDescriptor.TYPE_BYTES:
            return _printed_bytes(field, value, visible=visible)
        case FieldDescriptor.TYPE_ENUM:
            return _enum_names(field).get(value, value)
        case _:
            return value


def _printed_bytes(field: FieldDescriptor, value: bytes, *, visible: bool) -> str:
    if not visible:
        return value.hex()
    if field.full_name == _LOG_ADDRESS:
        return to_base58(PREFIX + value)
    if field.name in _ADDRESS_FIELDS and len(value) == ADDRESS_BYTES:
        return to_base58(value)
    if field.full_name in _TEXT_FIELDS:
        return value.decode(errors="replace")
    return value.hex()


def _printed_contract(contract: Transaction.Contract, *, visible: bool) -> dict[str, Any]:
    shown = printed(contract, visible=visible)
    shown["type"] = Transaction.Contract.ContractType.Name(contract.type)
    shown["parameter"] = {
        "value": printed(contract_of(contract), visible=visible),
        "type_url": contract.parameter.type_url,
    }
    return shown


def _parsed_contract(document: dict[str, Any], *, visible: bool) -> Transaction.Contract | None:
    kind = CONTRACT_CLASSES.get(str(document.get("type")))
    parameter = document.get("parameter")
    if kind is None or not isinstance(parameter, dict):
        return None
    message = parsed(kind, parameter.get("value") or {}, visible=visible)
    contract = Transaction.Contract(
        type=kind.DESCRIPTOR.name,
        Permission_id=integer(document.get("Permission_id") or 0),
    )
    contract.parameter.type_url = TYPE_URL_PREFIX + kind.DESCRIPTOR.name
    contract.parameter.value = message.SerializeToString(deterministic=True)
    return contract


def _parsed_field(field: FieldDescriptor, value: Any, *, visible: bool) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_BYTES if visible and field.name in _ADDRESS_FIELDS:
            return address_bytes(value, visible=True)
        case FieldDescriptor.TYPE_BYTES:
            return hex_bytes(value)
        case FieldDescriptor.TYPE_ENUM if isinstance(value, str) and not value.isdigit():
            return _enum_number(field, value)
        case FieldDescriptor.TYPE_BOOL:
            return is_true(value)
        case _:
            return integer(value)


def _is_compound(field: FieldDescriptor) -> bool:
    return field.is_repeated or field.type == FieldDescriptor.TYPE_MESSAGE


@cache
def _enum_names(field: FieldDescriptor) -> dict[int, str]:
    values = field.enum_type.values if field.enum_type is not None else []
    return {each.number: each.name for each in values}


def _enum_number(field: FieldDescriptor, name: str) -> int:
    for number, known in _enum_names(field).items():
        if known == name:
            return number
    raise JavaError(_PARSE_ERROR, f'Enum field "{field.name}" has no value named "{name}"')

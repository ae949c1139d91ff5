"""Transactions and blocks as JSON, contracts decoded (java-tron's Util)."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from devnet.address import PREFIX, keccak256
from devnet.blocks import block_id_of, txid_of
from devnet.chain_pb2 import Block, Transaction
from devnet.items import CONTRACT_CLASSES, contract_of
from devnet.json_format.errors import JavaError, null_pointer
from devnet.json_format.parsing import merge, parsed
from devnet.json_format.printing import printed, printed_field
from devnet.json_format.scalars import is_true
from devnet.rejection import RejectedError


def printed_transaction(
    transaction: Transaction, *, visible: bool, txid: bytes | None = None
) -> dict[str, Any]:
    """A transaction as JSON; a contract that cannot be read is left out."""
    raw = transaction.raw_data
    txid = txid_of(transaction) if txid is None else txid
    raw_json = {
        field.name: printed_field(field, value, visible=visible)
        for field, value in raw.ListFields()
        if field.name != "contract"
    }
    shown: dict[str, Any] = {}
    if transaction.ret:
        shown["ret"] = [printed(each, visible=visible) for each in transaction.ret]
    if transaction.signature:
        shown["signature"] = [each.hex() for each in transaction.signature]
    shown["txID"] = txid.hex()
    shown["raw_data"] = raw_json
    raw_json["contract"] = []
    for contract in raw.contract:
        try:
            message = contract_of(contract)
        except RejectedError:
            continue
        raw_json["contract"].append(_printed_contract(contract, message, visible=visible))
        if contract.type == Transaction.Contract.CreateSmartContract:
            created = keccak256(txid + message.owner_address)[12:]
            shown["contract_address"] = (PREFIX + created).hex()
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

    A contract that cannot be read is left out. Anything else that cannot be read ends in the
    null pointer that java-tron ends in.

    Raises:
        JavaError: There is no raw_data, no list of contracts, or a field cannot be read.
    """
    raw_json = document.get("raw_data")
    if not isinstance(raw_json, dict) or not isinstance(raw_json.get("contract"), list):
        raise null_pointer()
    visible = is_true(document.get("visible"))
    contracts = raw_json["contract"]
    rest = {name: value for name, value in raw_json.items() if name != "contract"}
    outer: dict[str, Any] = {
        name: document[name] for name in ("signature", "ret") if name in document
    }
    transaction = Transaction()
    transaction.raw_data.SetInParent()
    try:
        merge(transaction, outer, visible=visible)
        merge(transaction.raw_data, rest, visible=visible)
        for each in contracts:
            contract = _parsed_contract(each, visible=visible)
            if contract is not None:
                transaction.raw_data.contract.append(contract)
    except JavaError as error:
        raise null_pointer() from error
    return transaction


def _printed_contract(
    contract: Transaction.Contract, message: Message, *, visible: bool
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "parameter": {
            "value": printed(message, visible=visible),
            "type_url": contract.parameter.type_url,
        },
        "type": type(message).__name__,
    }
    if contract.Permission_id > 0:
        shown["Permission_id"] = contract.Permission_id
    return shown


def _parsed_contract(document: Any, *, visible: bool) -> Transaction.Contract | None:
    """A contract as it was sent, its value packed anew; None if it cannot be read.

    Raises:
        JavaError: The contract could be read, but what stands beside it cannot.
    """
    if not isinstance(document, dict):
        return None
    kind = CONTRACT_CLASSES.get(str(document.get("type")))
    parameter = document.get("parameter")
    if kind is None or not isinstance(parameter, dict):
        return None
    value = parameter.get("value")
    if not isinstance(value, dict):
        return None
    try:
        message = parsed(kind, value, visible=visible)
    except JavaError:
        return None
    beside = {name: each for name, each in document.items() if name != "parameter"}
    contract = parsed(Transaction.Contract, beside, visible=visible)
    contract.parameter.type_url = str(parameter.get("type_url") or "")
    contract.parameter.value = message.SerializeToString(deterministic=True)
    return contract

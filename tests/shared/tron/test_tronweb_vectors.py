"""Transactions that tronweb built, byte for byte; `make vectors` writes the file again."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from shared.tron import protocol_pb2 as pb
from shared.tron.address import address_from_bytes
from shared.tron.decoding import (
    ContractKind,
    UnexpectedBytes,
    assert_matches,
    decode_raw_data,
    decode_transaction,
)
from shared.tron.operation import Operation, Resource
from shared.tron.transaction import signed_transaction, txid
from tests.devnet.clients.wanted import operation_of, raw_data_of, reference_of

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("tronweb_vectors.json").read_text()
)
SIGNED_HERE = [vector for vector in VECTORS if operation_of(vector) is not None]
NEVER_SIGNED = [vector for vector in VECTORS if operation_of(vector) is None]
DESCRIBED = [vector for vector in VECTORS if hasattr(pb, vector["kind"])]


def names(vectors: list[dict[str, Any]]) -> list[str]:
    return [vector["name"] for vector in vectors]


@pytest.mark.parametrize("vector", SIGNED_HERE, ids=names(SIGNED_HERE))
def test_the_same_bytes_and_id_are_built_here(vector: dict[str, Any]) -> None:
    built = raw_data_of(vector)
    assert built.hex() == vector["raw_data_hex"]
    assert txid(built) == vector["txid"]


@pytest.mark.parametrize("vector", SIGNED_HERE, ids=names(SIGNED_HERE))
def test_the_bytes_are_proved_to_say_what_was_wanted(vector: dict[str, Any]) -> None:
    operation = operation_of(vector)
    assert operation is not None
    assert_matches(
        bytes.fromhex(vector["raw_data_hex"]),
        operation,
        reference=reference_of(vector),
        expiration_ms=vector["header"]["expiration"],
        timestamp_ms=vector["header"]["timestamp"],
        fee_limit_sun=vector.get("fee_limit", 0),
        permission_id=vector.get("permission_id", 0),
        memo=bytes.fromhex(vector.get("memo", "")),
    )


@pytest.mark.parametrize("vector", NEVER_SIGNED, ids=names(NEVER_SIGNED))
def test_what_is_never_signed_here_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedBytes):
        decode_raw_data(bytes.fromhex(vector["raw_data_hex"]))


@pytest.mark.parametrize("vector", VECTORS, ids=names(VECTORS))
def test_a_signed_one_is_read_whatever_it_is(vector: dict[str, Any]) -> None:
    raw_data = bytes.fromhex(vector["raw_data_hex"])
    read = decode_transaction(signed_transaction(raw_data, [bytes(65)]))
    assert read.txid == vector["txid"]
    assert read.kind == vector["kind"]
    assert read.owner == vector["fields"]["owner_address"]
    assert read.expiration_ms == vector["header"]["expiration"]
    assert read.ref_block_hash.hex() == vector["header"]["ref_block_hash"]
    assert read.fee_limit_sun == vector.get("fee_limit", 0)
    assert read.permission_id == vector.get("permission_id", 0)
    assert read.memo.hex() == vector.get("memo", "")


@pytest.mark.parametrize("vector", DESCRIBED, ids=names(DESCRIBED))
def test_our_description_of_the_protocol_has_every_field_in_its_place(
    vector: dict[str, Any],
) -> None:
    raw = pb.Transaction.raw.FromString(bytes.fromhex(vector["raw_data_hex"]))
    parameter = raw.contract[0].parameter
    message = getattr(pb, vector["kind"]).FromString(parameter.value)
    assert parameter.type_url == f"type.googleapis.com/protocol.{vector['kind']}"
    assert message.SerializeToString(deterministic=True) == parameter.value
    said = shown(message)
    said.pop("data", None)
    assert said == stated_deeply(stated(vector["fields"]))


def test_every_operation_and_resource_has_a_vector() -> None:
    operations = [operation_of(vector) for vector in SIGNED_HERE]
    assert {type(operation) for operation in operations} == set(get_args(Operation))
    staked = {(type(one), getattr(one, "resource", None)) for one in operations}
    assert {resource for _, resource in staked} == {None, *Resource}


def test_every_kind_of_contract_has_a_vector() -> None:
    assert {vector["kind"] for vector in VECTORS} == set(ContractKind)
    described = {name for name in pb.DESCRIPTOR.message_types_by_name if "Contract" in name}
    assert {vector["kind"] for vector in DESCRIBED} == described


def stated(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields as they are written: defaults are left out, and calldata is looked at elsewhere."""
    return {
        name: value
        for name, value in fields.items()
        if name not in {"function_selector", "parameters"}
        and value is not False
        and value != "BANDWIDTH"
    }


def stated_deeply(value: Any) -> Any:
    """The same of permissions, whose type the owner's leaves out."""
    if isinstance(value, list):
        return [stated_deeply(each) for each in value]
    if not isinstance(value, dict):
        return value
    types = {1: "Witness", 2: "Active"}
    said = {name: stated_deeply(each) for name, each in value.items() if name != "type"}
    return said | ({"type": types[value["type"]]} if value.get("type") else {})


def shown(message: Message) -> dict[str, Any]:
    """What a message says, addresses as text and enumerations by name."""
    return {field.name: shown_field(field, value) for field, value in message.ListFields()}


def shown_field(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return [shown(each) for each in value] if field.is_repeated else shown(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    if field.name == "operations":
        return value.hex()
    if field.name.endswith("address"):
        return str(address_from_bytes(value))
    return value

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tronpy.proto.transaction import calculate_txid_from_raw_data

from shared.tron import protocol_pb2 as pb
from shared.tron.abi import encode_transfer
from shared.tron.address import Address, InvalidAddress, address_bytes, address_from_bytes
from shared.tron.decoding import decode_raw_data, decode_transaction
from shared.tron.signing import recover_address
from shared.tron.transaction import (
    MAX_LIFETIME_MS,
    FreezeBalance,
    InvalidOperation,
    Operation,
    ReferenceBlock,
    Resource,
    TransferTrc20,
    TransferTrx,
    UnfreezeBalance,
    bandwidth_points,
    build_raw_data,
    signed_transaction,
    transaction_size_bytes,
    txid,
)

VECTORS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("vectors.json").read_text()
)
OWNER = address_from_bytes(b"\1" * 20)
OTHER = address_from_bytes(b"\2" * 20)
TOKEN = address_from_bytes(b"\3" * 20)
ZERO = address_from_bytes(bytes(20))
INT64_MAX = 2**63 - 1
REFERENCE = ReferenceBlock(height=0x12345, block_id=f"{0x12345:016x}" + "ab" * 24)
NOW_MS = 1_767_225_600_000

TRX = TransferTrx(owner=OWNER, to=OTHER, amount_sun=1_000_000)
TRC20 = TransferTrc20(owner=OWNER, contract=TOKEN, to=OTHER, amount=5)
FREEZE = FreezeBalance(owner=OWNER, amount_sun=1_000_000, resource=Resource.BANDWIDTH)
UNFREEZE = UnfreezeBalance(owner=OWNER, amount_sun=1, resource=Resource.ENERGY)

addresses = st.binary(min_size=20, max_size=20).filter(any).map(address_from_bytes)
amounts = st.integers(1, INT64_MAX)


def build(operation: Operation, *, fee_limit_sun: int = 0, lifetime_ms: int = 60_000) -> bytes:
    return build_raw_data(
        operation,
        reference=REFERENCE,
        expiration_ms=NOW_MS + lifetime_ms,
        timestamp_ms=NOW_MS,
        fee_limit_sun=fee_limit_sun,
    )


def vector(name: str) -> bytes:
    return bytes.fromhex(VECTORS[name]["raw_data"])


@pytest.mark.parametrize("name", ["usdt", "trx", "two_trx", "documentation"])
def test_a_real_transaction_is_built_again_from_what_it_says(name: str) -> None:
    raw_data = vector(name)
    said = decode_raw_data(raw_data)
    height = int.from_bytes(said.ref_block_bytes, "big")
    block_id = f"{height:016x}{said.ref_block_hash.hex()}" + "00" * 16
    built = build_raw_data(
        said.operation,
        reference=ReferenceBlock(height=height, block_id=block_id),
        expiration_ms=said.expiration_ms,
        timestamp_ms=said.timestamp_ms,
        fee_limit_sun=said.fee_limit_sun,
    )
    assert built == raw_data
    assert txid(built) == VECTORS[name].get("txid", txid(raw_data))


@pytest.mark.parametrize("name", ["usdt", "trx"])
def test_a_real_transaction_has_its_id_and_signer(name: str) -> None:
    known = VECTORS[name]
    assert txid(vector(name)) == known["txid"]
    signature = bytes.fromhex(known["signature"])
    assert recover_address(bytes.fromhex(known["txid"]), signature) == known["signer"]
    assert decode_raw_data(vector(name)).operation.owner == known["signer"]


def test_the_real_usdt_transfer_says_what_the_chain_recorded() -> None:
    said = decode_raw_data(vector("usdt"))
    assert said.operation == TransferTrc20(
        owner=Address("TVy95wrbDgQ8NA3XT8qKqwC6YBsFTPHtFF"),
        contract=Address("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"),
        to=address_from_bytes(bytes.fromhex("29228e5d382b7a2c2a0dbc05e6d6507f4dbb3bbe")),
        amount=0x01CFE2EB,
    )
    assert said.fee_limit_sun == 100_000_000


@pytest.mark.parametrize("name", ["usdt", "trx", "two_trx", "vote"])
def test_a_real_transaction_costs_its_known_bandwidth(name: str) -> None:
    raw_data = vector(name)
    assert bandwidth_points(len(raw_data)) == VECTORS[name]["bandwidth"]
    signed = signed_transaction(raw_data, [bytes(65)])
    assert transaction_size_bytes(len(raw_data)) == len(signed)
    assert bandwidth_points(len(raw_data), signatures=2) == bandwidth_points(len(raw_data)) + 67


def test_staking_costs_its_known_bandwidth() -> None:
    energy = replace(FREEZE, amount_sun=100_000_000, resource=Resource.ENERGY)
    assert bandwidth_points(len(build(replace(energy, resource=Resource.BANDWIDTH)))) == 251
    assert bandwidth_points(len(build(energy))) == 253


def tronpy_raw_data(operation: TransferTrx | TransferTrc20, fee_limit_sun: int) -> dict[str, Any]:
    value: dict[str, Any] = {"owner_address": address_bytes(operation.owner).hex()}
    if isinstance(operation, TransferTrx):
        kind = "TransferContract"
        value |= {"to_address": address_bytes(operation.to).hex(), "amount": operation.amount_sun}
    else:
        kind = "TriggerSmartContract"
        value["contract_address"] = address_bytes(operation.contract).hex()
        value["data"] = encode_transfer(operation.to, operation.amount).hex()
    parameter = {"value": value, "type_url": f"type.googleapis.com/protocol.{kind}"}
    return {
        "contract": [{"parameter": parameter, "type": kind}],
        "ref_block_bytes": "2345",
        "ref_block_hash": "ab" * 8,
        "expiration": NOW_MS + 60_000,
        "timestamp": NOW_MS,
        "fee_limit": fee_limit_sun,
    }


@given(addresses, addresses, amounts)
def test_tronpy_gives_a_trx_transfer_the_same_id(owner: Address, to: Address, amount: int) -> None:
    if owner == to:
        return
    operation = TransferTrx(owner=owner, to=to, amount_sun=amount)
    assert txid(build(operation)) == calculate_txid_from_raw_data(tronpy_raw_data(operation, 0))


@given(addresses, addresses, amounts, amounts)
def test_tronpy_gives_a_token_transfer_the_same_id(
    owner: Address, to: Address, amount: int, fee_limit_sun: int
) -> None:
    if len({owner, to, TOKEN}) < 3:
        return
    operation = TransferTrc20(owner=owner, contract=TOKEN, to=to, amount=amount)
    expected = calculate_txid_from_raw_data(tronpy_raw_data(operation, fee_limit_sun))
    assert txid(build(operation, fee_limit_sun=fee_limit_sun)) == expected


@given(st.lists(st.binary(min_size=65, max_size=65), min_size=1, max_size=5))
def test_signed_bytes_are_those_of_protobuf_and_keep_their_id(signatures: list[bytes]) -> None:
    raw_data = build(TRX)
    signed = signed_transaction(raw_data, signatures)
    message = pb.Transaction.FromString(signed)
    assert message.SerializeToString(deterministic=True) == signed
    assert list(message.signature) == signatures
    assert decode_transaction(signed).txid == txid(raw_data)


@pytest.mark.parametrize("amount", [0, -1, INT64_MAX + 1, True, 1.0, "1"])
def test_an_amount_must_be_a_positive_64_bit_integer(amount: Any) -> None:
    with pytest.raises(InvalidOperation, match="amount"):
        replace(TRX, amount_sun=amount)
    with pytest.raises(InvalidOperation, match="amount"):
        replace(TRC20, amount=amount)
    with pytest.raises(InvalidOperation, match="amount"):
        replace(FREEZE, amount_sun=amount)
    with pytest.raises(InvalidOperation, match="amount"):
        replace(UNFREEZE, amount_sun=amount)


def test_less_than_one_trx_cannot_be_staked() -> None:
    with pytest.raises(InvalidOperation, match="amount_sun"):
        replace(FREEZE, amount_sun=999_999)


@pytest.mark.parametrize("to", [OWNER, ZERO])
def test_nothing_is_sent_to_oneself_or_to_nobody(to: Address) -> None:
    for operation in (TRX, TRC20):
        with pytest.raises(InvalidOperation, match="to"):
            replace(operation, to=to)


def test_tokens_are_not_sent_to_or_by_their_own_contract() -> None:
    with pytest.raises(InvalidOperation, match="contract"):
        replace(TRC20, to=TOKEN)
    with pytest.raises(InvalidOperation, match="contract"):
        replace(TRC20, owner=TOKEN)


@pytest.mark.parametrize("operation", [TRX, TRC20, FREEZE, UNFREEZE])
def test_an_unchecked_address_makes_no_operation(operation: Operation) -> None:
    with pytest.raises(InvalidAddress):
        replace(operation, owner=Address("T" + "1" * 33))


def test_a_resource_is_one_of_two() -> None:
    unchecked: Any = "energy"
    with pytest.raises(InvalidOperation, match="resource"):
        replace(FREEZE, resource=unchecked)


@pytest.mark.parametrize(
    ("height", "block_id"),
    [
        (-1, "f" * 64),
        (1, f"{2:016x}" + "ab" * 24),
        (1, f"{1:016x}" + "ab" * 23),
        (1, f"{1:016x}" + "AB" * 24),
        (1, f"{1:016x}" + "zz" * 24),
        (True, f"{1:016x}" + "ab" * 24),
    ],
)
def test_a_reference_block_must_be_the_one_at_its_height(height: int, block_id: str) -> None:
    with pytest.raises(InvalidOperation):
        ReferenceBlock(height=height, block_id=block_id)


def test_a_reference_is_the_end_of_the_height_and_the_middle_of_the_id() -> None:
    assert REFERENCE.ref_block_bytes == bytes.fromhex("2345")
    assert REFERENCE.ref_block_hash == b"\xab" * 8


@pytest.mark.parametrize("lifetime_ms", [0, -1, MAX_LIFETIME_MS + 1])
def test_an_expiration_is_within_a_day_after_the_timestamp(lifetime_ms: int) -> None:
    build(TRX, lifetime_ms=MAX_LIFETIME_MS)
    with pytest.raises(InvalidOperation, match="expiration_ms"):
        build(TRX, lifetime_ms=lifetime_ms)


@pytest.mark.parametrize("moment", [NOW_MS // 1000, NOW_MS * 1000, 0, -1, True])
def test_times_in_other_units_are_refused(moment: int) -> None:
    with pytest.raises(InvalidOperation, match="milliseconds"):
        build_raw_data(TRX, reference=REFERENCE, expiration_ms=moment + 60, timestamp_ms=moment)


@pytest.mark.parametrize("operation", [TRX, FREEZE, UNFREEZE])
def test_only_a_token_transfer_has_a_fee_limit(operation: Operation) -> None:
    with pytest.raises(InvalidOperation, match="fee_limit_sun"):
        build(operation, fee_limit_sun=1)
    with pytest.raises(InvalidOperation, match="fee_limit_sun"):
        build(TRC20)


@pytest.mark.parametrize("signatures", [[], [bytes(64)], [bytes(66)], [bytes(65)] * 6])
def test_a_signed_transaction_has_one_to_five_whole_signatures(signatures: list[bytes]) -> None:
    with pytest.raises(InvalidOperation, match="signatures"):
        signed_transaction(build(TRX), signatures)
    with pytest.raises(InvalidOperation, match="raw_data"):
        signed_transaction(b"", [bytes(65)])

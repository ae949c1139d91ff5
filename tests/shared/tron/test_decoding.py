import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.tron import protocol_pb2 as pb
from shared.tron.address import Address, address_from_bytes
from shared.tron.decoding import (
    ContractKind,
    IntentMismatch,
    UnexpectedBytes,
    assert_matches,
    decode_raw_data,
    decode_transaction,
)
from shared.tron.operation import (
    ApproveTrc20,
    CallContract,
    CancelUnfreezes,
    ClaimRewards,
    ContractCall,
    CreateAccount,
    DelegateResource,
    FreezeBalance,
    InvalidOperation,
    Operation,
    Permission,
    ReferenceBlock,
    Resource,
    TransferTrc20,
    TransferTrx,
    UndelegateResource,
    UnfreezeBalance,
    UpdatePermissions,
    Votes,
    VoteWitnesses,
    WeightedKey,
    WithdrawUnfrozen,
)
from shared.tron.transaction import build_raw_data, signed_transaction, txid

VECTORS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("vectors.json").read_text()
)
OWNER = address_from_bytes(b"\1" * 20)
OTHER = address_from_bytes(b"\2" * 20)
TOKEN = address_from_bytes(b"\3" * 20)
NOW_MS = 1_767_225_600_000
SIGNATURE = bytes(64) + b"\x1b"
REFERENCE = ReferenceBlock(height=0x12345, block_id=f"{0x12345:016x}" + "ab" * 24)

raw_addresses = st.binary(min_size=20, max_size=20).filter(any)
amounts = st.integers(1, 2**63 - 1)


def permission(name: str, *keys: Address, operations: bytes = b"") -> Permission:
    weighted = tuple(WeightedKey(address=key, weight=1) for key in keys)
    return Permission(name=name, threshold=len(keys), keys=weighted, operations=operations)


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    drawn = draw(st.lists(raw_addresses, min_size=3, max_size=3, unique=True))
    owner, to, contract = (address_from_bytes(raw) for raw in drawn)
    amount = draw(amounts)
    resource = draw(st.sampled_from(Resource))
    staked = max(amount, 1_000_000)
    kinds: list[Operation] = [
        TransferTrx(owner=owner, to=to, amount_sun=amount),
        TransferTrc20(owner=owner, contract=contract, to=to, amount=amount),
        FreezeBalance(owner=owner, amount_sun=staked, resource=resource),
        UnfreezeBalance(owner=owner, amount_sun=amount, resource=resource),
        ApproveTrc20(owner=owner, contract=contract, spender=to, amount=amount - 1),
        CallContract(
            owner=owner,
            contract=contract,
            data=b"\1" + draw(st.binary(min_size=3, max_size=80)),
            call_value_sun=amount - 1,
        ),
        CreateAccount(owner=owner, account=to),
        CancelUnfreezes(owner=owner),
        WithdrawUnfrozen(owner=owner),
        ClaimRewards(owner=owner),
        DelegateResource(owner=owner, to=to, amount_sun=staked, resource=resource),
        DelegateResource(
            owner=owner,
            to=to,
            amount_sun=staked,
            resource=resource,
            is_locked=True,
            lock_blocks=draw(st.integers(0, 864_000)),
        ),
        UndelegateResource(owner=owner, to=to, amount_sun=amount, resource=resource),
        VoteWitnesses(
            owner=owner,
            votes=(Votes(witness=to, count=amount), Votes(witness=contract, count=1)),
        ),
        UpdatePermissions(
            owner=owner,
            owner_permission=permission("owner", owner, to),
            witness_permission=draw(st.none() | st.just(permission("witness", contract))),
            actives=(permission("pay", to, contract, operations=b"\2" + bytes(31)),),
        ),
    ]
    return draw(st.sampled_from(kinds))


@st.composite
def envelopes(draw: st.DrawFn) -> tuple[Operation, dict[str, Any]]:
    operation = draw(operations())
    height = draw(st.integers(0, 2**40))
    digest = draw(st.binary(min_size=24, max_size=24))
    timestamp_ms = draw(st.integers(10**12, 9 * 10**12))
    return operation, {
        "reference": ReferenceBlock(height=height, block_id=f"{height:016x}{digest.hex()}"),
        "expiration_ms": timestamp_ms + draw(st.integers(1, 86_400_000)),
        "timestamp_ms": timestamp_ms,
        "fee_limit_sun": draw(amounts) if isinstance(operation, ContractCall) else 0,
        "permission_id": draw(st.integers(0, 9)),
        "memo": draw(st.binary(max_size=20)),
    }


@given(envelopes())
def test_what_is_built_reads_back_as_what_was_meant(
    envelope: tuple[Operation, dict[str, Any]],
) -> None:
    operation, terms = envelope
    raw_data = build_raw_data(operation, **terms)
    said = decode_raw_data(raw_data)
    assert said.operation == operation
    assert said.ref_block_bytes == terms["reference"].ref_block_bytes
    assert said.ref_block_hash == terms["reference"].ref_block_hash
    assert said.expiration_ms == terms["expiration_ms"]
    assert said.timestamp_ms == terms["timestamp_ms"]
    assert said.fee_limit_sun == terms["fee_limit_sun"]
    assert (said.permission_id, said.memo) == (terms["permission_id"], terms["memo"])
    assert_matches(raw_data, operation, **terms)


def assert_refused(raw_data: bytes, operation: Operation, terms: dict[str, Any]) -> None:
    with pytest.raises((UnexpectedBytes, IntentMismatch)):
        assert_matches(raw_data, operation, **terms)


@settings(max_examples=300)
@given(envelopes(), st.data())
def test_no_changed_bytes_ever_pass_for_the_intent(
    envelope: tuple[Operation, dict[str, Any]], data: st.DataObject
) -> None:
    operation, terms = envelope
    raw_data = build_raw_data(operation, **terms)
    place = data.draw(st.integers(0, len(raw_data) - 1))
    byte = data.draw(st.integers(1, 255))
    flipped = bytes([raw_data[place] ^ byte])
    longer = raw_data[:place] + data.draw(st.binary(min_size=1, max_size=4)) + raw_data[place:]
    assert_refused(raw_data[:place] + flipped + raw_data[place + 1 :], operation, terms)
    assert_refused(longer, operation, terms)
    assert_refused(raw_data[:place] + raw_data[place + 1 :], operation, terms)
    assert_refused(raw_data[:place], operation, terms)


def some(operation: Operation, *, fee_limit_sun: int = 0) -> tuple[bytes, dict[str, Any]]:
    terms: dict[str, Any] = {
        "reference": REFERENCE,
        "expiration_ms": NOW_MS + 60_000,
        "timestamp_ms": NOW_MS,
        "fee_limit_sun": fee_limit_sun,
    }
    return build_raw_data(operation, **terms), terms


TRX = TransferTrx(owner=OWNER, to=OTHER, amount_sun=300)
TRC20 = TransferTrc20(owner=OWNER, contract=TOKEN, to=OTHER, amount=300)
FREEZE = FreezeBalance(owner=OWNER, amount_sun=2_000_000, resource=Resource.ENERGY)


RIGHTS = UpdatePermissions(
    owner=OWNER,
    owner_permission=permission("owner", OWNER, OTHER),
    actives=(permission("pay", OTHER, operations=b"\2" + bytes(31)),),
)


@pytest.mark.parametrize("operation", [TRX, TRC20, FREEZE, RIGHTS])
def test_every_single_bit_counts(operation: Operation) -> None:
    fee = 1_000_000 if operation is TRC20 else 0
    raw_data, terms = some(operation, fee_limit_sun=fee)
    for bit in range(8 * len(raw_data)):
        changed = bytearray(raw_data)
        changed[bit // 8] ^= 1 << bit % 8
        assert_refused(bytes(changed), operation, terms)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("owner", replace(TRC20, owner=address_from_bytes(b"\7" * 20))),
        ("contract", replace(TRC20, contract=address_from_bytes(b"\7" * 20))),
        ("to", replace(TRC20, to=address_from_bytes(b"\7" * 20))),
        ("amount", replace(TRC20, amount=301)),
        ("operation", TRX),
    ],
)
def test_the_field_that_differs_is_named(field: str, other: Operation) -> None:
    raw_data, terms = some(TRC20, fee_limit_sun=5)
    with pytest.raises(IntentMismatch) as caught:
        assert_matches(raw_data, other, **terms)
    assert caught.value.field == field
    assert caught.value.expected != caught.value.actual


@pytest.mark.parametrize("field", ["expiration_ms", "timestamp_ms", "fee_limit_sun"])
def test_the_term_that_differs_is_named(field: str) -> None:
    raw_data, terms = some(TRC20, fee_limit_sun=5)
    with pytest.raises(IntentMismatch) as caught:
        assert_matches(raw_data, TRC20, **{**terms, field: terms[field] + 1})
    assert caught.value.field == field


@pytest.mark.parametrize(("field", "value"), [("permission_id", 2), ("memo", b"hello")])
def test_a_memo_or_permission_that_nobody_asked_for_is_noticed(field: str, value: Any) -> None:
    raw_data = build_raw_data(TRX, **{**some(TRX)[1], field: value})
    with pytest.raises(IntentMismatch) as caught:
        assert_matches(raw_data, TRX, **some(TRX)[1])
    assert caught.value.field == field


def test_a_token_call_cannot_be_said_as_any_other_call() -> None:
    for selector in ("a9059cbb", "095ea7b3"):
        data = bytes.fromhex(selector) + CALLDATA[4:]
        with pytest.raises(InvalidOperation, match="its own"):
            CallContract(owner=OWNER, contract=TOKEN, data=data)


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 3},
        {"threshold": 0},
        {"keys": ()},
        {"keys": (WeightedKey(address=OWNER, weight=1),) * 2},
        {"name": ""},
        {"name": "x" * 33},
        {"operations": b"\1"},
    ],
)
def test_a_permission_that_nobody_could_use_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidOperation):
        replace(RIGHTS.owner_permission, **change)


@pytest.mark.parametrize(
    ("field", "height", "rest"),
    [("ref_block_bytes", 0x12346, "ab" * 24), ("ref_block_hash", 0x12345, "ac" * 24)],
)
def test_another_reference_block_is_noticed(field: str, height: int, rest: str) -> None:
    raw_data, terms = some(TRX)
    other = ReferenceBlock(height=height, block_id=f"{height:016x}{rest}")
    with pytest.raises(IntentMismatch) as caught:
        assert_matches(raw_data, TRX, **{**terms, "reference": other})
    assert caught.value.field == field


def changed(operation: Operation, change: Callable[[pb.Transaction.raw], object]) -> bytes:
    fee = 5 if isinstance(operation, TransferTrc20) else 0
    raw = pb.Transaction.raw.FromString(some(operation, fee_limit_sun=fee)[0])
    change(raw)
    return raw.SerializeToString(deterministic=True)


def call(raw: pb.Transaction.raw, **fields: Any) -> None:
    message = pb.TriggerSmartContract.FromString(raw.contract[0].parameter.value)
    for name, value in fields.items():
        setattr(message, name, value)
    raw.contract[0].parameter.value = message.SerializeToString(deterministic=True)


def transfer(raw: pb.Transaction.raw, **fields: Any) -> None:
    message = pb.TransferContract.FromString(raw.contract[0].parameter.value)
    for name, value in fields.items():
        setattr(message, name, value)
    raw.contract[0].parameter.value = message.SerializeToString(deterministic=True)


CALLDATA = bytes.fromhex("a9059cbb") + bytes(12) + b"\2" * 20 + (300).to_bytes(32, "big")
APPROVAL = bytes.fromhex("095ea7b3")
ADDITIONS: list[tuple[str, Operation, Callable[[pb.Transaction.raw], object]]] = [
    ("scripts", TRX, lambda raw: setattr(raw, "scripts", b"x")),
    ("block number", TRX, lambda raw: setattr(raw, "ref_block_num", 1)),
    ("second contract", TRX, lambda raw: raw.contract.append(raw.contract[0])),
    ("no contract", TRX, lambda raw: raw.ClearField("contract")),
    ("provider", TRX, lambda raw: setattr(raw.contract[0], "provider", b"x")),
    ("name", TRX, lambda raw: setattr(raw.contract[0], "ContractName", b"x")),
    ("other type", TRX, lambda raw: setattr(raw.contract[0], "type", 31)),
    ("other URL", TRX, lambda raw: setattr(raw.contract[0].parameter, "type_url", "a.b/c")),
    ("no expiration", TRX, lambda raw: raw.ClearField("expiration")),
    ("short reference", TRX, lambda raw: setattr(raw, "ref_block_bytes", b"x")),
    ("long reference", TRX, lambda raw: setattr(raw, "ref_block_hash", bytes(9))),
    ("negative fee limit", TRC20, lambda raw: setattr(raw, "fee_limit", -1)),
    ("no amount", TRX, lambda raw: transfer(raw, amount=0)),
    ("negative amount", TRX, lambda raw: transfer(raw, amount=-5)),
    ("self transfer", TRX, lambda raw: transfer(raw, to_address=b"\x41" + b"\1" * 20)),
    ("foreign prefix", TRX, lambda raw: transfer(raw, to_address=b"\xa0" + b"\2" * 20)),
    ("short address", TRX, lambda raw: transfer(raw, to_address=b"\2" * 20)),
    ("long approval", TRC20, lambda raw: call(raw, data=APPROVAL + CALLDATA[4:] + b"\0")),
    ("half a selector", TRC20, lambda raw: call(raw, data=b"\1\2")),
    ("call value", TRC20, lambda raw: call(raw, call_value=1)),
    ("token value", TRC20, lambda raw: call(raw, call_token_value=1)),
    ("token", TRC20, lambda raw: call(raw, token_id=1_000_001)),
    ("no calldata", TRC20, lambda raw: call(raw, data=b"")),
    ("long calldata", TRC20, lambda raw: call(raw, data=CALLDATA + b"\0")),
    ("short calldata", TRC20, lambda raw: call(raw, data=CALLDATA[:-1])),
    ("padding", TRC20, lambda raw: call(raw, data=CALLDATA[:15] + b"\x41" + CALLDATA[16:])),
    ("huge amount", TRC20, lambda raw: call(raw, data=CALLDATA[:36] + b"\xff" * 32)),
    ("zero amount", TRC20, lambda raw: call(raw, data=CALLDATA[:36] + bytes(32))),
]


@pytest.mark.parametrize(
    ("operation", "change"), [row[1:] for row in ADDITIONS], ids=[row[0] for row in ADDITIONS]
)
def test_whatever_we_never_sign_is_refused(
    operation: Operation, change: Callable[[pb.Transaction.raw], object]
) -> None:
    with pytest.raises(UnexpectedBytes):
        decode_raw_data(changed(operation, change))


@pytest.mark.parametrize("resource", [2, 3, -1])
def test_a_resource_we_never_stake_for_is_refused(resource: int) -> None:
    def change(raw: pb.Transaction.raw) -> None:
        message = pb.FreezeBalanceV2Contract.FromString(raw.contract[0].parameter.value)
        setattr(message, "resource", resource)  # noqa: B010 - an open enum
        raw.contract[0].parameter.value = message.SerializeToString(deterministic=True)

    with pytest.raises(UnexpectedBytes):
        decode_raw_data(changed(FREEZE, change))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:0],
        lambda raw: raw + b"\0",
        lambda raw: raw + raw,
        lambda raw: raw[4:] + raw[:4],  # ascending order broken
        lambda raw: raw + b"\x90\x01\x00",  # fee limit of zero, written out
        lambda raw: raw + b"\x90\x01\x85\x00",  # five in two bytes
        lambda raw: raw + b"\x92\x01\x01\x05",  # fee limit as bytes
        lambda raw: raw + b"\x95\x01\x05\x00\x00\x00",  # fee limit as fixed32
        lambda raw: raw + b"\xa0\x01\x01",  # field 20
        lambda raw: raw + b"\x90\x01" + b"\xff" * 9 + b"\x01",  # minus one
        lambda raw: raw + b"\x90\x01" + b"\x80" * 20,
        lambda raw: raw + b"\x90\x01",
        lambda raw: b"\x8a\x00" + raw[1:],  # the first tag in two bytes
        lambda raw: b"\x08\x05" + raw[4:],  # reference as a number
        lambda raw: b"\x0a\x7f" + raw[2:],
    ],
)
def test_other_encodings_of_the_same_are_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(UnexpectedBytes):
        decode_raw_data(change(some(TRX)[0]))


def test_a_real_vote_is_read_and_followed() -> None:
    raw_data = bytes.fromhex(VECTORS["vote"]["raw_data"])
    read = decode_raw_data(raw_data).operation
    assert isinstance(read, VoteWitnesses)
    assert len(read.votes) == 1
    said = decode_transaction(signed_transaction(raw_data, [SIGNATURE]))
    assert said.kind is ContractKind.VOTE_WITNESS
    assert said.owner == address_from_bytes(
        bytes.fromhex("4105cc125604448afeb6867eb688efb7e80411d57a")
    )
    assert said.txid == txid(raw_data)


@given(envelopes(), st.lists(st.binary(min_size=65, max_size=68), min_size=1, max_size=3))
def test_signed_bytes_tell_what_is_needed_to_follow_them(
    envelope: tuple[Operation, dict[str, Any]], signatures: list[bytes]
) -> None:
    operation, terms = envelope
    raw_data = build_raw_data(operation, **terms)
    signed = pb.Transaction(
        raw_data=pb.Transaction.raw.FromString(raw_data), signature=signatures
    ).SerializeToString(deterministic=True)
    said = decode_transaction(signed)
    assert (said.raw_data, said.txid) == (raw_data, txid(raw_data))
    assert said.signatures == tuple(signatures)
    assert said.owner == operation.owner
    assert said.expiration_ms == terms["expiration_ms"]
    assert (said.permission_id, said.memo) == (terms["permission_id"], terms["memo"])


def test_memo_and_permission_are_reported() -> None:
    def change(raw: pb.Transaction.raw) -> None:
        raw.data = b"order 7"
        raw.contract[0].Permission_id = 2

    said = decode_transaction(signed_transaction(changed(TRX, change), [SIGNATURE]))
    assert (said.memo, said.permission_id) == (b"order 7", 2)


def test_the_owner_of_a_trc10_transfer_is_in_the_second_field() -> None:
    def change(raw: pb.Transaction.raw) -> None:
        raw.contract[0].type = pb.Transaction.Contract.TransferAssetContract
        parameter = raw.contract[0].parameter
        parameter.type_url = "type.googleapis.com/protocol.TransferAssetContract"
        parameter.value = b"\x0a\x071000001\x12\x15\x41" + b"\1" * 20 + b"\x1a\x15\x41" + b"\2" * 20

    said = decode_transaction(signed_transaction(changed(TRX, change), [SIGNATURE]))
    assert (said.kind, said.owner) == (ContractKind.TRANSFER_ASSET, OWNER)


RAW = some(TRX)[0]
RAW_FIELD = b"\x0a" + bytes([len(RAW) & 0x7F | 0x80, len(RAW) >> 7]) + RAW
SIGNED = RAW_FIELD + b"\x12\x41" + SIGNATURE


@pytest.mark.parametrize(
    "signed",
    [
        b"",
        RAW,
        RAW_FIELD,
        RAW_FIELD + b"\x12\x40" + bytes(64),
        RAW_FIELD + b"\x12\x45" + bytes(69),
        SIGNED + b"\x2a\x02\x18\x01",  # a result
        SIGNED + b"\x0a",
        SIGNED[:-1],
        RAW_FIELD + SIGNED,
        b"\x12\x41" + SIGNATURE + RAW_FIELD,
        SIGNED + bytes(512_001),
    ],
)
def test_what_is_no_signed_transaction_is_refused(signed: bytes) -> None:
    assert decode_transaction(SIGNED).owner == OWNER
    with pytest.raises(UnexpectedBytes):
        decode_transaction(signed)


@pytest.mark.parametrize("number", [3, 14, 48, 60])
def test_an_unrecognised_kind_is_refused(number: int) -> None:
    raw_data = changed(TRX, lambda raw: setattr(raw.contract[0], "type", number))
    with pytest.raises(UnexpectedBytes, match=f"contract type {number}"):
        decode_transaction(signed_transaction(raw_data, [SIGNATURE]))


def test_a_contract_without_an_owner_is_refused() -> None:
    raw_data = changed(TRX, lambda raw: transfer(raw, owner_address=b""))
    with pytest.raises(UnexpectedBytes, match="owner"):
        decode_transaction(signed_transaction(raw_data, [SIGNATURE]))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise_anything_else(data: bytes) -> None:
    for read in (decode_raw_data, decode_transaction):
        with pytest.raises(UnexpectedBytes):
            read(data)

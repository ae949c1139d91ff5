"""Read transactions back from bytes, independently of the code that builds them.

``decode_raw_data`` knows only what this project signs and refuses the rest;
``assert_matches`` is asked before every signature. ``decode_transaction`` also reads other kinds of
contract, for whoever receives signed bytes and must route and follow them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from hashlib import sha256
from typing import Final

from shared.tron.address import (
    ADDRESS_LENGTH,
    ADDRESS_PREFIX,
    Address,
    InvalidAddress,
    address_from_bytes,
)
from shared.tron.operation import (
    FreezeBalance,
    InvalidOperation,
    Operation,
    ReferenceBlock,
    Resource,
    TransferTrc20,
    TransferTrx,
    UnfreezeBalance,
)
from shared.tron.wire import BYTES, VARINT, Field, Message, UnexpectedBytes, read_blob, read_message

__all__ = [
    "ContractKind",
    "DecodedTransaction",
    "IntentMismatch",
    "SignedTransaction",
    "UnexpectedBytes",
    "assert_matches",
    "decode_raw_data",
    "decode_transaction",
]


class ContractKind(StrEnum):
    """The kinds of contract that are recognised, by their names on the wire (Tron.proto)."""

    ACCOUNT_CREATE = "AccountCreateContract"
    TRANSFER = "TransferContract"
    TRANSFER_ASSET = "TransferAssetContract"
    VOTE_WITNESS = "VoteWitnessContract"
    WITHDRAW_BALANCE = "WithdrawBalanceContract"
    CREATE_SMART_CONTRACT = "CreateSmartContract"
    TRIGGER_SMART_CONTRACT = "TriggerSmartContract"
    UPDATE_SETTING = "UpdateSettingContract"
    ACCOUNT_PERMISSION_UPDATE = "AccountPermissionUpdateContract"
    FREEZE_BALANCE_V2 = "FreezeBalanceV2Contract"
    UNFREEZE_BALANCE_V2 = "UnfreezeBalanceV2Contract"
    WITHDRAW_EXPIRE_UNFREEZE = "WithdrawExpireUnfreezeContract"
    DELEGATE_RESOURCE = "DelegateResourceContract"
    UNDELEGATE_RESOURCE = "UnDelegateResourceContract"
    CANCEL_ALL_UNFREEZE_V2 = "CancelAllUnfreezeV2Contract"


class IntentMismatch(ValueError):
    """Bytes that say something else than was meant.

    Attributes:
        field: the first field that differs.
        expected: what was meant.
        actual: what the bytes say.
    """

    def __init__(self, *, field: str, expected: object, actual: object) -> None:
        super().__init__(f"{field}: expected {expected!r}, found {actual!r}")
        self.field = field
        self.expected = expected
        self.actual = actual


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedTransaction:
    """Everything a transaction of ours says; there is no memo and no permission but the owner's.

    ``ref_block_bytes`` is 2 bytes, ``ref_block_hash`` 8; times are Unix milliseconds.
    """

    operation: Operation
    ref_block_bytes: bytes
    ref_block_hash: bytes
    expiration_ms: int
    timestamp_ms: int
    fee_limit_sun: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTransaction:
    """A transaction as received: what identifies it, who it spends from, until when it may run.

    ``memo`` is empty and ``permission_id`` 0 unless set; signatures are not checked here.
    """

    txid: str
    raw_data: bytes
    signatures: tuple[bytes, ...]
    kind: ContractKind
    owner: Address
    ref_block_bytes: bytes
    ref_block_hash: bytes
    expiration_ms: int
    timestamp_ms: int
    fee_limit_sun: int
    permission_id: int
    memo: bytes


def _number(name: str) -> Field:
    return Field(name=name, wire_type=VARINT)


def _blob(name: str, *, repeated: bool = False) -> Field:
    return Field(name=name, wire_type=BYTES, repeated=repeated)


_MAX_BYTES: Final = 512_000
_TYPE_URL: Final = b"type.googleapis.com/protocol."
_TRANSFER: Final = bytes.fromhex("a9059cbb") + bytes(12)
_CALLDATA_LENGTH: Final = 68
_SIGNATURE_LENGTHS: Final = range(65, 69)

_KINDS: Final = {
    0: ContractKind.ACCOUNT_CREATE,
    1: ContractKind.TRANSFER,
    2: ContractKind.TRANSFER_ASSET,
    4: ContractKind.VOTE_WITNESS,
    13: ContractKind.WITHDRAW_BALANCE,
    30: ContractKind.CREATE_SMART_CONTRACT,
    31: ContractKind.TRIGGER_SMART_CONTRACT,
    33: ContractKind.UPDATE_SETTING,
    46: ContractKind.ACCOUNT_PERMISSION_UPDATE,
    54: ContractKind.FREEZE_BALANCE_V2,
    55: ContractKind.UNFREEZE_BALANCE_V2,
    56: ContractKind.WITHDRAW_EXPIRE_UNFREEZE,
    57: ContractKind.DELEGATE_RESOURCE,
    58: ContractKind.UNDELEGATE_RESOURCE,
    59: ContractKind.CANCEL_ALL_UNFREEZE_V2,
}
_RESOURCES: Final = {0: Resource.BANDWIDTH, 1: Resource.ENERGY}

_RAW_DATA: Final = {
    1: _blob("ref_block_bytes"),
    4: _blob("ref_block_hash"),
    8: _number("expiration"),
    11: _blob("contract"),
    14: _number("timestamp"),
    18: _number("fee_limit"),
}
_RAW_DATA_WITH_MEMO: Final = {**_RAW_DATA, 10: _blob("data")}
_CONTRACT: Final = {1: _number("type"), 2: _blob("parameter")}
_CONTRACT_WITH_PERMISSION: Final = {**_CONTRACT, 5: _number("Permission_id")}
_PARAMETER: Final = {1: _blob("type_url"), 2: _blob("value")}
_TRANSACTION: Final = {1: _blob("raw_data"), 2: _blob("signature", repeated=True)}
_TRANSFER_FIELDS: Final = {1: _blob("owner_address"), 2: _blob("to_address"), 3: _number("amount")}
_TRIGGER_FIELDS: Final = {
    1: _blob("owner_address"),
    2: _blob("contract_address"),
    4: _blob("data"),
}
_STAKE_FIELDS: Final = {1: _blob("owner_address"), 2: _number("amount"), 3: _number("resource")}


def decode_raw_data(raw_data: bytes) -> DecodedTransaction:
    """Read raw data of one of the four operations this project signs.

    Raises:
        UnexpectedBytes: anything that is not canonical or not part of such an operation: unknown or
            repeated fields, a second contract, a memo, scripts, a permission id, a call or token
            value, calldata that is not exactly ``transfer(address,uint256)``, nonsense values.

    Source: java-tron Tron.proto and contract/*.proto.
    """
    raw, contract = _envelope(raw_data, _RAW_DATA, _CONTRACT)
    kind, value = _parameter(contract)
    try:
        operation = _operation(kind, value)
    except (InvalidOperation, InvalidAddress) as error:
        raise UnexpectedBytes(what=str(error)) from error
    return DecodedTransaction(
        operation=operation,
        ref_block_bytes=raw.blob("ref_block_bytes"),
        ref_block_hash=raw.blob("ref_block_hash"),
        expiration_ms=raw.number("expiration"),
        timestamp_ms=raw.number("timestamp"),
        fee_limit_sun=raw.number("fee_limit"),
    )


def assert_matches(
    raw_data: bytes,
    operation: Operation,
    *,
    reference: ReferenceBlock,
    expiration_ms: int,
    timestamp_ms: int,
    fee_limit_sun: int = 0,
) -> None:
    """Prove that bytes about to be signed say what was meant, field by field.

    Every field is compared and the encoding is canonical, so there is one byte string, and one
    transaction id, that passes for given arguments.

    Raises:
        UnexpectedBytes: the bytes are not one of our transactions at all.
        IntentMismatch: they are another one; the first differing field is named.
    """
    found = decode_raw_data(raw_data)
    _require_equal("operation", type(operation).__name__, type(found.operation).__name__)
    for each in fields(operation):
        _require_equal(
            each.name, getattr(operation, each.name), getattr(found.operation, each.name)
        )
    _require_equal("ref_block_bytes", reference.ref_block_bytes, found.ref_block_bytes)
    _require_equal("ref_block_hash", reference.ref_block_hash, found.ref_block_hash)
    _require_equal("expiration_ms", expiration_ms, found.expiration_ms)
    _require_equal("timestamp_ms", timestamp_ms, found.timestamp_ms)
    _require_equal("fee_limit_sun", fee_limit_sun, found.fee_limit_sun)


def decode_transaction(signed: bytes) -> SignedTransaction:
    """Read a signed transaction of any recognised kind, without its result.

    Memos, permission ids and contract fields this project never signs are let through; the envelope
    must still be canonical, for else a node's id would differ from the one computed here.

    Raises:
        UnexpectedBytes: an envelope that is not canonical, no or more than one contract, an
            unrecognised kind, no signature or one that is not 65 to 68 bytes (java-tron 4.8.2).
    """
    if len(signed) > _MAX_BYTES:
        raise UnexpectedBytes(what="a transaction of more than 500 KiB")
    outer = read_message(signed, _TRANSACTION, within="transaction")
    raw_data, signatures = outer.blob("raw_data"), tuple(outer.all("signature"))
    if not signatures or any(len(each) not in _SIGNATURE_LENGTHS for each in signatures):
        raise UnexpectedBytes(what="signatures that are missing or of a wrong length")
    raw, contract = _envelope(raw_data, _RAW_DATA_WITH_MEMO, _CONTRACT_WITH_PERMISSION)
    kind, value = _parameter(contract)
    return SignedTransaction(
        txid=sha256(raw_data).hexdigest(),
        raw_data=raw_data,
        signatures=signatures,
        kind=kind,
        owner=_owner(kind, value),
        ref_block_bytes=raw.blob("ref_block_bytes"),
        ref_block_hash=raw.blob("ref_block_hash"),
        expiration_ms=raw.number("expiration"),
        timestamp_ms=raw.number("timestamp"),
        fee_limit_sun=raw.number("fee_limit"),
        permission_id=contract.number("Permission_id"),
        memo=raw.blob("data"),
    )


def _envelope(
    raw_data: bytes, raw_fields: Mapping[int, Field], contract_fields: Mapping[int, Field]
) -> tuple[Message, Message]:
    raw = read_message(raw_data, raw_fields, within="raw_data")
    for name, length in (("ref_block_bytes", 2), ("ref_block_hash", 8)):
        if len(raw.blob(name)) != length:
            raise UnexpectedBytes(what=f"raw_data.{name} is not {length} bytes")
    if not raw.number("expiration"):
        raise UnexpectedBytes(what="raw_data has no expiration")
    if not raw.blob("contract"):
        raise UnexpectedBytes(what="raw_data has no contract")
    contract = read_message(raw.blob("contract"), contract_fields, within="contract")
    return raw, contract


def _parameter(contract: Message) -> tuple[ContractKind, bytes]:
    number = contract.number("type")
    kind = _KINDS.get(number)
    if kind is None:
        raise UnexpectedBytes(what=f"contract type {number}")
    parameter = read_message(contract.blob("parameter"), _PARAMETER, within="parameter")
    if parameter.blob("type_url") != _TYPE_URL + kind.encode():
        raise UnexpectedBytes(what=f"a type URL that is not that of {kind}")
    return kind, parameter.blob("value")


def _operation(kind: ContractKind, value: bytes) -> Operation:
    match kind:
        case ContractKind.TRANSFER:
            return _transfer_trx(value)
        case ContractKind.TRIGGER_SMART_CONTRACT:
            return _transfer_trc20(value)
        case ContractKind.FREEZE_BALANCE_V2:
            return _stake(value, FreezeBalance)
        case ContractKind.UNFREEZE_BALANCE_V2:
            return _stake(value, UnfreezeBalance)
        case _:
            raise UnexpectedBytes(what=f"a {kind}, which is never signed here")


def _transfer_trx(value: bytes) -> TransferTrx:
    message = read_message(value, _TRANSFER_FIELDS, within="TransferContract")
    return TransferTrx(
        owner=_address(message, "owner_address"),
        to=_address(message, "to_address"),
        amount_sun=message.number("amount"),
    )


def _transfer_trc20(value: bytes) -> TransferTrc20:
    message = read_message(value, _TRIGGER_FIELDS, within="TriggerSmartContract")
    calldata = message.blob("data")
    if len(calldata) != _CALLDATA_LENGTH or not calldata.startswith(_TRANSFER):
        raise UnexpectedBytes(what="calldata that is not transfer(address,uint256)")
    return TransferTrc20(
        owner=_address(message, "owner_address"),
        contract=_address(message, "contract_address"),
        to=address_from_bytes(calldata[16:36]),
        amount=int.from_bytes(calldata[36:], "big"),
    )


def _stake(value: bytes, make: type[FreezeBalance | UnfreezeBalance]) -> Operation:
    message = read_message(value, _STAKE_FIELDS, within=make.__name__)
    code = message.number("resource")
    if code not in _RESOURCES:
        raise UnexpectedBytes(what=f"resource {code}")
    return make(
        owner=_address(message, "owner_address"),
        amount_sun=message.number("amount"),
        resource=_RESOURCES[code],
    )


def _owner(kind: ContractKind, value: bytes) -> Address:
    number = 2 if kind is ContractKind.TRANSFER_ASSET else 1
    owner = read_blob(value, number, within=kind)
    if len(owner) != ADDRESS_LENGTH or owner[:1] != ADDRESS_PREFIX:
        raise UnexpectedBytes(what=f"a {kind} without an owner")
    return address_from_bytes(owner)


def _address(message: Message, name: str) -> Address:
    raw = message.blob(name)
    if len(raw) != ADDRESS_LENGTH:
        raise UnexpectedBytes(what=f"{name} is not {ADDRESS_LENGTH} bytes")
    return address_from_bytes(raw)


def _require_equal(field: str, expected: object, actual: object) -> None:
    if expected != actual:
        raise IntentMismatch(field=field, expected=expected, actual=actual)

"""Read transactions back from bytes, independently of the code that builds them.

``decode_raw_data`` knows only what this project signs and refuses the rest;
``assert_matches`` is asked before every signature. ``decode_transaction`` also reads other kinds of
contract, for whoever receives signed bytes and must route and follow them.
"""

from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Final

from shared.tron.address import (
    ADDRESS_LENGTH,
    ADDRESS_PREFIX,
    Address,
    InvalidAddress,
    address_from_bytes,
)
from shared.tron.contracts import KINDS, ContractKind
from shared.tron.operation import InvalidOperation, Operation, ReferenceBlock
from shared.tron.parameters import operation_of
from shared.tron.wire import Message, UnexpectedBytes, blob, number, read_blob, read_message

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
    """Everything a transaction of ours says.

    ``ref_block_bytes`` is 2 bytes, ``ref_block_hash`` 8; times are Unix milliseconds; ``memo`` is empty
    and ``permission_id`` 0 (the owner's) unless set.
    """

    operation: Operation
    ref_block_bytes: bytes
    ref_block_hash: bytes
    expiration_ms: int
    timestamp_ms: int
    fee_limit_sun: int
    permission_id: int = 0
    memo: bytes = b""


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


_MAX_BYTES: Final = 512_000
_TYPE_URL: Final = b"type.googleapis.com/protocol."
_SIGNATURE_LENGTHS: Final = range(65, 69)

_RAW_DATA: Final = {
    1: blob("ref_block_bytes"),
    4: blob("ref_block_hash"),
    8: number("expiration"),
    10: blob("data"),
    11: blob("contract"),
    14: number("timestamp"),
    18: number("fee_limit"),
}
_CONTRACT: Final = {1: number("type"), 2: blob("parameter"), 5: number("Permission_id")}
_PARAMETER: Final = {1: blob("type_url"), 2: blob("value")}
_TRANSACTION: Final = {1: blob("raw_data"), 2: blob("signature", repeated=True)}


def decode_raw_data(raw_data: bytes) -> DecodedTransaction:
    """Read raw data of one of the operations this project signs.

    Raises:
        UnexpectedBytes: anything that is not canonical or not part of such an operation: unknown or
            repeated fields, a second contract, scripts, a token value, a token call that is not
            exactly ``(address,uint256)``, nonsense values.

    Source: java-tron Tron.proto and contract/*.proto.
    """
    raw, contract = _envelope(raw_data)
    kind, value = _parameter(contract)
    try:
        operation = operation_of(kind, value)
    except (InvalidOperation, InvalidAddress) as error:
        raise UnexpectedBytes(what=str(error)) from error
    return DecodedTransaction(
        operation=operation,
        ref_block_bytes=raw.blob("ref_block_bytes"),
        ref_block_hash=raw.blob("ref_block_hash"),
        expiration_ms=raw.number("expiration"),
        timestamp_ms=raw.number("timestamp"),
        fee_limit_sun=raw.number("fee_limit"),
        permission_id=contract.number("Permission_id"),
        memo=raw.blob("data"),
    )


def assert_matches(
    raw_data: bytes,
    operation: Operation,
    *,
    reference: ReferenceBlock,
    expiration_ms: int,
    timestamp_ms: int,
    fee_limit_sun: int = 0,
    permission_id: int = 0,
    memo: bytes = b"",
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
    _require_equal("permission_id", permission_id, found.permission_id)
    _require_equal("memo", memo, found.memo)


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
    raw, contract = _envelope(raw_data)
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


def _envelope(raw_data: bytes) -> tuple[Message, Message]:
    raw = read_message(raw_data, _RAW_DATA, within="raw_data")
    for name, length in (("ref_block_bytes", 2), ("ref_block_hash", 8)):
        if len(raw.blob(name)) != length:
            raise UnexpectedBytes(what=f"raw_data.{name} is not {length} bytes")
    if not raw.number("expiration"):
        raise UnexpectedBytes(what="raw_data has no expiration")
    if not raw.blob("contract"):
        raise UnexpectedBytes(what="raw_data has no contract")
    contract = read_message(raw.blob("contract"), _CONTRACT, within="contract")
    return raw, contract


def _parameter(contract: Message) -> tuple[ContractKind, bytes]:
    number = contract.number("type")
    kind = KINDS.get(number)
    if kind is None:
        raise UnexpectedBytes(what=f"contract type {number}")
    parameter = read_message(contract.blob("parameter"), _PARAMETER, within="parameter")
    if parameter.blob("type_url") != _TYPE_URL + kind.encode():
        raise UnexpectedBytes(what=f"a type URL that is not that of {kind}")
    return kind, parameter.blob("value")


def _owner(kind: ContractKind, value: bytes) -> Address:
    number = 2 if kind is ContractKind.TRANSFER_ASSET else 1
    owner = read_blob(value, number, within=kind)
    if len(owner) != ADDRESS_LENGTH or owner[:1] != ADDRESS_PREFIX:
        raise UnexpectedBytes(what=f"a {kind} without an owner")
    return address_from_bytes(owner)


def _require_equal(field: str, expected: object, actual: object) -> None:
    if expected != actual:
        raise IntentMismatch(field=field, expected=expected, actual=actual)

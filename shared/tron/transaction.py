"""Build transactions from intent: canonical bytes, their id and their size.

The bytes are built here and nowhere else; no remote node is asked to build them.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from shared.tron import protocol_pb2 as pb
from shared.tron.messages import contract_of
from shared.tron.operation import (
    INT64_MAX,
    ContractCall,
    FreezeBalance,
    InvalidOperation,
    Operation,
    ReferenceBlock,
    Resource,
    TransferTrc20,
    TransferTrx,
    UnfreezeBalance,
    require_amount,
)

__all__ = [
    "MAX_LIFETIME_MS",
    "SIGNATURE_LENGTH",
    "FreezeBalance",
    "InvalidOperation",
    "Operation",
    "ReferenceBlock",
    "Resource",
    "TransferTrc20",
    "TransferTrx",
    "UnfreezeBalance",
    "bandwidth_points",
    "build_raw_data",
    "signed_transaction",
    "transaction_size_bytes",
    "txid",
]

MAX_LIFETIME_MS: Final = 86_400_000
"""A node refuses an expiration more than a day after its head block (java-tron Constant.java)."""

SIGNATURE_LENGTH: Final = 65
MAX_MEMO_BYTES: Final = 256

MAX_PERMISSION_ID: Final = 9
"""Owner 0, witness 1 and up to eight active permissions from 2 on."""

_EARLIEST_MS: Final = 10**12
_LATEST_MS: Final = 10**13
_MAX_SIGNATURES: Final = 5
_RESULT_RESERVE_BYTES: Final = 64
_RAW_DATA_TAG: Final = b"\x0a"
_SIGNATURE_TAG: Final = b"\x12"
_TYPE_URL: Final = "type.googleapis.com/protocol."


def build_raw_data(
    operation: Operation,
    *,
    reference: ReferenceBlock,
    expiration_ms: int,
    timestamp_ms: int,
    fee_limit_sun: int = 0,
    permission_id: int = 0,
    memo: bytes = b"",
) -> bytes:
    """Serialise the part of a transaction that is signed, in canonical proto3 order.

    Args:
        operation: the single contract of the transaction.
        reference: a block of the chain the transaction is for, best a solidified one.
        expiration_ms: Unix milliseconds, at most a day after ``timestamp_ms``.
        timestamp_ms: Unix milliseconds; not validated by nodes, but part of the id.
        fee_limit_sun: cap on all energy of a contract call, staked energy included.
        permission_id: of the account, whose keys will sign; 0 is the owner's.
        memo: text or bytes for everybody to read; the chain charges 1 TRX for any.

    Raises:
        InvalidOperation: times in another unit or order, a fee limit that is missing from a contract
            call or present on anything else, no permission of an account, or a memo that is too long.

    Source: java-tron Tron.proto, message Transaction.raw.
    """
    _require_window(expiration_ms=expiration_ms, timestamp_ms=timestamp_ms)
    _require_fee_limit(operation, fee_limit_sun)
    if type(permission_id) is not int or not 0 <= permission_id <= MAX_PERMISSION_ID:
        raise InvalidOperation(field="permission_id", reason="is no permission of an account")
    if len(memo) > MAX_MEMO_BYTES:
        raise InvalidOperation(field="memo", reason=f"is longer than {MAX_MEMO_BYTES} bytes")
    kind, message = contract_of(operation)
    name = pb.Transaction.Contract.ContractType.Name(kind)
    raw = pb.Transaction.raw(
        ref_block_bytes=reference.ref_block_bytes,
        ref_block_hash=reference.ref_block_hash,
        expiration=expiration_ms,
        data=memo,
        contract=[
            pb.Transaction.Contract(
                type=kind,
                parameter=pb.AnyMessage(
                    type_url=_TYPE_URL + name, value=message.SerializeToString(deterministic=True)
                ),
                Permission_id=permission_id,
            )
        ],
        timestamp=timestamp_ms,
        fee_limit=fee_limit_sun,
    )
    return raw.SerializeToString(deterministic=True)


def txid(raw_data: bytes) -> str:
    """Return the transaction id: sha256 of ``raw_data``, 64 hex digits; signatures do not enter."""
    return sha256(raw_data).hexdigest()


def signed_transaction(raw_data: bytes, signatures: Sequence[bytes]) -> bytes:
    """Join raw data and signatures into the bytes that ``/wallet/broadcasthex`` takes.

    ``raw_data`` is embedded unread, so the id of the result is exactly ``txid(raw_data)``.

    Raises:
        InvalidOperation: no raw data, no signature or more than five, or one that is not 65 bytes.
    """
    if not raw_data:
        raise InvalidOperation(field="raw_data", reason="is empty")
    if not 1 <= len(signatures) <= _MAX_SIGNATURES:
        raise InvalidOperation(field="signatures", reason="are none or more than five")
    if any(len(signature) != SIGNATURE_LENGTH for signature in signatures):
        raise InvalidOperation(field="signatures", reason="are not 65 bytes each")
    parts = [_RAW_DATA_TAG, _varint(len(raw_data)), raw_data]
    for signature in signatures:
        parts += [_SIGNATURE_TAG, _varint(SIGNATURE_LENGTH), signature]
    return b"".join(parts)


def transaction_size_bytes(raw_data_length: int, signatures: int = 1) -> int:
    """Return the serialised size of a signed transaction without its result."""
    raw_field = len(_RAW_DATA_TAG) + len(_varint(raw_data_length)) + raw_data_length
    signature_field = len(_SIGNATURE_TAG) + len(_varint(SIGNATURE_LENGTH)) + SIGNATURE_LENGTH
    return raw_field + signatures * signature_field


def bandwidth_points(raw_data_length: int, signatures: int = 1) -> int:
    """Return what the chain charges: the size without result, plus 64 (BandwidthProcessor.java)."""
    return transaction_size_bytes(raw_data_length, signatures) + _RESULT_RESERVE_BYTES


def _require_window(*, expiration_ms: int, timestamp_ms: int) -> None:
    for field, moment in (("expiration_ms", expiration_ms), ("timestamp_ms", timestamp_ms)):
        if type(moment) is not int or not _EARLIEST_MS <= moment < _LATEST_MS:
            raise InvalidOperation(field=field, reason="is not a time in milliseconds")
    if expiration_ms <= timestamp_ms:
        raise InvalidOperation(field="expiration_ms", reason="is not after the timestamp")
    if expiration_ms - timestamp_ms > MAX_LIFETIME_MS:
        raise InvalidOperation(field="expiration_ms", reason="is more than a day away")


def _require_fee_limit(operation: Operation, fee_limit_sun: int) -> None:
    if isinstance(operation, ContractCall):
        require_amount("fee_limit_sun", fee_limit_sun)
    elif type(fee_limit_sun) is not int or fee_limit_sun != 0:
        raise InvalidOperation(field="fee_limit_sun", reason="is only for contract calls")


def _varint(number: int) -> bytes:
    if not 0 <= number <= INT64_MAX:
        raise InvalidOperation(field="length", reason="does not fit 64 bits")
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)

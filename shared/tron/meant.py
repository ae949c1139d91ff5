"""Bytes that are proved to say what was meant, before anybody signs them."""

from shared.tron.decoding import assert_matches
from shared.tron.operation import Operation, ReferenceBlock
from shared.tron.transaction import build_raw_data


def meant_raw_data(
    operation: Operation,
    *,
    reference: ReferenceBlock,
    expiration_ms: int,
    timestamp_ms: int,
    fee_limit_sun: int = 0,
    permission_id: int = 0,
    memo: bytes = b"",
) -> bytes:
    """Build raw data, read it back with the independent decoder and compare field by field.

    Raises:
        InvalidOperation: the terms make no sense.
        UnexpectedBytes: the bytes are not one of our transactions.
        IntentMismatch: the bytes read back are not the operation.
    """
    terms = {"expiration_ms": expiration_ms, "timestamp_ms": timestamp_ms}
    terms |= {"fee_limit_sun": fee_limit_sun, "permission_id": permission_id}
    raw_data = build_raw_data(operation, reference=reference, memo=memo, **terms)
    assert_matches(raw_data, operation, reference=reference, memo=memo, **terms)
    return raw_data

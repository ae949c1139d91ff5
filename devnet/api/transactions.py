"""Finding transactions, and handing them in."""

from __future__ import annotations

from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from devnet.api.request import Request
from devnet.api.view import View
from devnet.blocks import txid_of
from devnet.chain_pb2 import Transaction
from devnet.json_format import JavaError, parsed_transaction, printed, printed_transaction
from devnet.json_format.scalars import plain_hex
from devnet.rejection import Code, RejectedError

_BYTES_ERROR = (
    "While parsing a protocol message, the input ended unexpectedly in the middle of a field.  "
    "This could mean either that the input has been truncated or that an embedded message "
    "misreported its own length."
)


def get_transaction_by_id(view: View, request: Request) -> Any:
    """A transaction in a block or in the pool."""
    transaction = view.transaction(request.hex("value"))
    if transaction is None:
        return {}
    return printed_transaction(transaction, visible=request.visible)


def get_transaction_info_by_id(view: View, request: Request) -> Any:
    """The receipt of a transaction in a block."""
    info = view.info(request.hex("value"))
    return {} if info is None else printed(info, visible=request.visible)


def get_transaction_receipt_by_id(view: View, request: Request) -> Any:
    """What a transaction used, of its receipt alone."""
    info = view.info(request.hex("value"))
    if info is None:
        return {}
    return {"Receipt": printed(info.receipt, visible=request.visible)}


def broadcast_transaction(view: View, request: Request) -> Any:
    """Take a transaction that comes as JSON."""
    transaction = parsed_transaction(request.params)
    txid = txid_of(transaction).hex()
    try:
        view.node.broadcast(transaction)
    except RejectedError as error:
        message = error.message if request.visible else error.message.encode().hex()
        return {"code": error.code, "txid": txid, "message": message}
    return {"result": True, "txid": txid}


def broadcast_hex(view: View, request: Request) -> Any:
    """Take a transaction that comes as hex of its bytes; all five keys are always there."""
    transaction = _from_hex(request.params.get("transaction"))
    reply = {"result": True, "code": Code.SUCCESS.value, "message": ""}
    try:
        view.node.broadcast(transaction)
    except RejectedError as error:
        reply = {"result": False, "code": error.code.value, "message": error.message}
    shown = msgspec.json.encode(printed(transaction, visible=True)).decode()
    return {**reply, "transaction": shown, "txid": txid_of(transaction).hex()}


def _from_hex(text: Any) -> Transaction:
    data = plain_hex("" if text is None else str(text))
    try:
        return Transaction.FromString(data)
    except DecodeError as error:
        raise JavaError(
            "com.google.protobuf.InvalidProtocolBufferException", _BYTES_ERROR
        ) from error

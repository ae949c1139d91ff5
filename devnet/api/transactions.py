"""Finding transactions, and handing them in."""

from __future__ import annotations

from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from devnet.api.request import Request
from devnet.api.view import View
from devnet.blocks import txid_of
from devnet.chain_pb2 import Transaction
from devnet.items import opened
from devnet.json_format import (
    JavaError,
    parsed_transaction,
    printed,
    printed_address,
    printed_transaction,
)
from devnet.permissions import permission_of, signers
from devnet.rejection import Code, RejectedError


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


def get_transaction_from_pending(view: View, request: Request) -> Any:
    """A transaction in the pool."""
    txid = request.hex("value")
    transaction = view.transaction(txid) if view.node.pool.get(txid) else None
    if transaction is None:
        return {}
    return printed_transaction(transaction, visible=request.visible)


def get_pending_size(view: View, _request: Request) -> Any:
    """How many transactions wait."""
    return {"pendingSize": len(view.node.pool)}


def get_transaction_list_from_pending(view: View, _request: Request) -> Any:
    """The ids of all that wait."""
    txids = [txid.hex() for txid in view.node.pool.txids()]
    return {"txId": txids} if txids else {}


def broadcast_transaction(view: View, request: Request) -> Any:
    """Take a transaction that comes as JSON."""
    transaction = parsed_transaction(request.params)
    txid = _txid_text(transaction)
    try:
        view.node.broadcast(transaction)
    except RejectedError as error:
        message = error.message if request.visible else error.message.encode().hex()
        return {"code": error.code, "txid": txid, "message": message}
    return {"result": True, "txid": txid}


def broadcast_hex(view: View, request: Request) -> Any:
    """Take a transaction that comes as hex of its bytes; all five keys are always there."""
    try:
        transaction = Transaction.FromString(request.hex("transaction"))
    except DecodeError as error:
        raise JavaError(
            "com.google.protobuf.InvalidProtocolBufferException",
            "Protocol message contained an invalid tag (zero).",
        ) from error
    reply = {"result": True, "code": Code.SUCCESS.value, "message": ""}
    try:
        shown = printed_transaction(transaction, visible=request.visible)
        view.node.broadcast(transaction)
    except RejectedError as error:
        shown = {"txID": _txid_text(transaction)}
        reply = {"result": False, "code": error.code.value, "message": error.message}
    shown_text = msgspec.json.encode(shown).decode()
    return {**reply, "transaction": shown_text, "txid": _txid_text(transaction)}


def get_sign_weight(view: View, request: Request) -> Any:
    """Who signed a transaction, and whether that is enough."""
    item = opened(parsed_transaction(request.params))
    shown = printed_transaction(item.transaction, visible=request.visible)
    reply: dict[str, Any] = {
        "result": {},
        "transaction": {
            "result": {"result": True},
            "txid": item.txid.hex(),
            "transaction": shown,
        },
    }
    if view.state.account(item.owner) is None:
        reply["result"] = {"code": "PERMISSION_ERROR", "message": "Account does not exist!"}
        return reply
    try:
        approved = signers(item)
    except RejectedError as error:
        reply["result"] = {"code": "SIGNATURE_FORMAT_ERROR", "message": error.detail}
        return reply
    owner = printed_address(item.owner, visible=request.visible)
    permission_id = item.transaction.raw_data.contract[0].Permission_id
    reply["permission"] = permission_of(owner, permission_id)
    if approved:
        reply["approved_list"] = [
            printed_address(each, visible=request.visible) for each in approved
        ]
    if item.owner in approved:
        reply["current_weight"] = 1
    else:
        reply["result"] = {"code": "NOT_ENOUGH_PERMISSION"}
    return reply


def _txid_text(transaction: Transaction) -> str:
    return txid_of(transaction).hex()

"""Who signed a transaction, and whether that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from devnet.api.request import Request
from devnet.api.view import View
from devnet.blocks import txid_of
from devnet.chain_pb2 import Transaction
from devnet.json_format import parsed_transaction, printed, printed_address, printed_transaction
from devnet.permissions import Verdict, approved_list, sign_weight

_LEFT_OUT = frozenset({Verdict.ENOUGH_PERMISSION, Verdict.SUCCESS})


def get_sign_weight(view: View, request: Request) -> Any:
    """The weight of the signatures beside the threshold of the permission they are for."""
    transaction = parsed_transaction(request.params)
    signed = sign_weight(view.state, transaction)
    reply: dict[str, Any] = {}
    if signed.permission is not None:
        reply["permission"] = printed(signed.permission, visible=request.visible)
    if signed.approved:
        reply["approved_list"] = _addresses(signed.approved, request)
    if signed.weight:
        reply["current_weight"] = signed.weight
    reply["result"] = _result(signed.verdict, signed.message)
    reply["transaction"] = _echo(transaction, request)
    return reply


def get_approved_list(view: View, request: Request) -> Any:
    """The addresses whose keys signed, whatever they may do."""
    transaction = parsed_transaction(request.params)
    signed = approved_list(view.state, transaction)
    reply: dict[str, Any] = {}
    if signed.approved:
        reply["approved_list"] = _addresses(signed.approved, request)
    reply["result"] = _result(signed.verdict, signed.message)
    reply["transaction"] = _echo(transaction, request)
    return reply


def _addresses(addresses: Sequence[bytes], request: Request) -> list[str]:
    return [printed_address(each, visible=request.visible) for each in addresses]


def _result(verdict: Verdict, message: str) -> dict[str, str]:
    """The verdict; the one that is 0 on the wire is left out."""
    result = {} if verdict in _LEFT_OUT else {"code": verdict.value}
    return {**result, "message": message} if message else result


def _echo(transaction: Transaction, request: Request) -> dict[str, Any]:
    return {
        "result": {"result": True},
        "txid": txid_of(transaction).hex(),
        "transaction": printed_transaction(transaction, visible=request.visible),
    }

"""Unsigned transactions, built by the node and checked like a broadcast would be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from devnet.api.request import Request
from devnet.api.view import View
from devnet.chain_pb2 import (
    AccountCreateContract,
    AccountPermissionUpdateContract,
    ProposalCreateContract,
    Transaction,
    TransferContract,
)
from devnet.execution import validate
from devnet.items import opened, wrapped
from devnet.json_format import JavaError, hex_bytes, printed_transaction
from devnet.node import Node
from devnet.rejection import RejectedError

EXPIRATION_MS = 60_000
_INT_MAX = 2**31 - 1
_VALIDATE_ERROR = "org.tron.core.exception.ContractValidateException"

Handler = Callable[[View, Request], Any]


def unsigned(node: Node, message: Message, *, fee_limit_sun: int = 0) -> Transaction:
    """Wrap a contract: the newest solid block as reference, a minute from the head to live."""
    reference = node.chain.solid.block_id
    return Transaction(
        raw_data=Transaction.raw(
            ref_block_bytes=reference[6:8],
            ref_block_hash=reference[8:16],
            expiration=node.chain.head.time_ms + EXPIRATION_MS,
            timestamp=node.clock.now_ms(),
            contract=[wrapped(message)],
            fee_limit=fee_limit_sun,
        )
    )


def with_options(transaction: Transaction, request: Request) -> Transaction:
    """Add the permission and the memo that a builder was asked for."""
    with_permission(transaction, request)
    memo = request.text("extra_data")
    if memo:
        transaction.raw_data.data = memo.encode() if request.visible else hex_bytes(memo)
    return transaction


def with_permission(transaction: Transaction, request: Request) -> Transaction:
    """Add the permission alone, as the builders of contract calls do."""
    permission = request.integer("Permission_id")
    if permission > _INT_MAX:
        raise JavaError("org.tron.json.JSONException", f"can not cast to int, value : {permission}")
    if permission > 0:
        transaction.raw_data.contract[0].Permission_id = permission
    return transaction


def printed_unsigned(transaction: Transaction, *, visible: bool) -> dict[str, Any]:
    """A builder's answer."""
    return {"visible": visible, **printed_transaction(transaction, visible=visible)}


def builder_of(kind: type[Message]) -> Handler:
    """The handler that builds transactions of one contract."""

    def build(view: View, request: Request) -> Any:
        message = request.message(kind)
        transaction = with_options(unsigned(view.node, message), request)
        try:
            validate(view.state, opened(transaction), view.moment)
        except RejectedError as error:
            raise JavaError(_VALIDATE_ERROR, error.detail) from error
        return printed_unsigned(transaction, visible=request.visible)

    return build


BUILDERS: dict[str, Handler] = {
    "createtransaction": builder_of(TransferContract),
    "createaccount": builder_of(AccountCreateContract),
    "accountpermissionupdate": builder_of(AccountPermissionUpdateContract),
    "proposalcreate": builder_of(ProposalCreateContract),
}

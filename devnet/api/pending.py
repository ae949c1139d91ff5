"""The pool of this one node."""

from __future__ import annotations

from typing import Any

from devnet.api.request import Request
from devnet.api.view import View
from devnet.json_format import printed_transaction


def get_transaction_from_pending(view: View, request: Request) -> Any:
    """A transaction in the pool."""
    transaction = view.pending(request.hex("value"))
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

"""The few questions of Ethereum's JSON-RPC by which a client learns where it is.

Contracts, logs and accounts are not served here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from devnet.api.chain import CODE_VERSION
from devnet.api.exchange import HttpRequest, Reply
from devnet.api.replies import json_reply, method_not_allowed
from devnet.genesis import CHAIN_ID
from devnet.node import Node

_PARSE_ERROR = {"code": -32700, "message": "JSON parse error"}
_INVALID_REQUEST = {"code": -32600, "message": "invalid request"}
_METHOD_NOT_FOUND = {"code": -32601, "message": "method not found"}
_BATCH_MAX = 100


def reply(node: Node, request: HttpRequest) -> Reply:
    """Answer one call, or a batch in its order."""
    if request.method != "POST":
        return method_not_allowed(request)
    try:
        document = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json_reply(_failed(None, _PARSE_ERROR))
    if not isinstance(document, list):
        return json_reply(_answered(node, document))
    if not 0 < len(document) <= _BATCH_MAX:
        return json_reply(_failed(None, _INVALID_REQUEST))
    return json_reply([_answered(node, each) for each in document])


def _answered(node: Node, call: Any) -> dict[str, Any]:
    if not isinstance(call, dict) or not isinstance(call.get("method"), str):
        return _failed(None, _INVALID_REQUEST)
    results = {
        "eth_chainId": hex(CHAIN_ID),
        "net_version": hex(CHAIN_ID),
        "eth_blockNumber": hex(node.chain.head.number),
        "web3_clientVersion": f"TRON/v{CODE_VERSION}",
    }
    result = results.get(call["method"])
    if result is None:
        return _failed(call.get("id"), _METHOD_NOT_FOUND)
    return {"jsonrpc": "2.0", "id": call.get("id"), "result": result}


def _failed(identity: Any, error: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "error": error}

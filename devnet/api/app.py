"""The node's listener: one ASGI application for both trees, with the armed faults in front."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from devnet.api import table
from devnet.api.builders import Handler
from devnet.api.request import parsed_request
from devnet.api.view import BlockPrinter, View
from devnet.faults import ArmedFault, Fault, Faults
from devnet.json_format import JavaError
from devnet.node import Node
from devnet.rejection import RejectedError

ABORT_EXTENSION = "lucid.abort"
_JSON = (b"content-type", b"application/json; charset=utf-8")
_VALIDATE_ERROR = "class org.tron.core.exception.ContractValidateException : "


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A handler with the view it looks at."""

    name: str
    handler: Handler
    view: View


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A status and the bytes of a body."""

    status: int
    body: bytes = b""


class NodeApi:
    """Answers `/wallet/*` at the head and `/walletsolidity/*` at the solid height."""

    def __init__(self, *, node: Node, faults: Faults) -> None:
        printer = BlockPrinter()
        full = View(node=node, printer=printer, solid=False)
        solid = View(node=node, printer=printer, solid=True)
        self._endpoints = {
            f"/wallet/{name}": Endpoint(name=name, handler=handler, view=full)
            for name, handler in (table.IN_BOTH_TREES | table.IN_FULL_TREE).items()
        } | {
            f"/walletsolidity/{name}": Endpoint(name=name, handler=handler, view=solid)
            for name, handler in table.IN_BOTH_TREES.items()
        }
        self._faults = faults
        self.requests: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or let it fail as it was told to."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        self.requests[path] += 1
        body = await _body(receive)
        if self._faults.take(Fault.REQUEST_LOST, path):
            await _abort(scope, receive)
            return

        slow = self._faults.take(Fault.SLOW, path)
        if slow is not None:
            await asyncio.sleep(slow.delay_ms / 1000)
        reply = self._faulty_reply(path) or self._reply(scope, body)
        if self._faults.take(Fault.REPLY_LOST, path):
            await _abort(scope, receive)
            return
        await _send(send, reply)

    def _faulty_reply(self, path: str) -> Reply | None:
        status = self._faults.take(Fault.STATUS, path)
        if status is not None:
            return Reply(status=status.status, body=_encoded(_suspension(status)))
        if self._faults.take(Fault.EMPTY_REPLY, path):
            return Reply(status=200, body=b"{}")
        return None

    def _reply(self, scope: Scope, body: bytes) -> Reply:
        endpoint = self._endpoints.get(scope["path"])
        if endpoint is None:
            return Reply(status=404)
        is_get = scope["method"] == "GET"
        if scope["method"] not in {"GET", "POST"} or (is_get and endpoint.name in table.POST_ONLY):
            return Reply(status=405)
        if is_get and endpoint.name in table.SILENT_ON_GET:
            return Reply(status=200)
        try:
            request = parsed_request(is_get=is_get, query=scope["query_string"], body=body)
            document = endpoint.handler(endpoint.view, request)
        except JavaError as error:
            document = {"Error": str(error)}
        except RejectedError as error:
            document = {"Error": _VALIDATE_ERROR + error.detail}
        return Reply(status=200, body=_encoded(document))


def _suspension(fault: ArmedFault) -> Any:
    """What a gateway says when it has had enough."""
    if fault.body is not None:
        return fault.body
    return {
        "Error": "request rate exceeded the allowed_rps(10), "
        "and the query server is suspended for 5 s"
    }


def _encoded(document: Any) -> bytes:
    return msgspec.json.encode(document)


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _abort(scope: Scope, receive: Receive) -> None:
    """Break the connection without a byte, and wait until it is broken.

    A server that cannot break it leaves the client waiting until the client gives up.
    """
    abort = (scope.get("extensions") or {}).get(ABORT_EXTENSION)
    if abort is not None:
        abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, reply: Reply) -> None:
    length = (b"content-length", str(len(reply.body)).encode())
    await send({"type": "http.response.start", "status": reply.status, "headers": [_JSON, length]})
    await send({"type": "http.response.body", "body": reply.body})

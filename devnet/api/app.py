"""A node's listener: one ASGI application for both trees, the v1 facade and JSON-RPC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from starlette.types import Receive, Scope, Send

from devnet.api import jsonrpc
from devnet.api.dispatch import Dispatcher
from devnet.api.exchange import Answer, HttpRequest, Interceptor, Lost, Reply
from devnet.api.faulty import FaultInterceptor
from devnet.api.replies import too_large
from devnet.faults import Faults
from devnet.node import Node
from devnet.trongrid import facade as trongrid
from devnet.trongrid.gate import Gate

ABORT_EXTENSION = "lucid.abort"
CLOSE_EXTENSION = "lucid.close"
RESET_EXTENSION = "lucid.reset"
# java-tron's default of node.http.maxMessageSize.
MAX_BODY_BYTES = 4 * 1024 * 1024
OTHER_PATHS = "(other)"
_COUNTED_PATHS_MAX = 10_000


class NodeApi:
    """Answers for one node: `/wallet/*`, `/walletsolidity/*`, `/v1/*` and `/jsonrpc`.

    Args:
        node: Whoever holds a chain and a pool; several applications may share one.
        faults: What has been armed by hand.
        interceptors: Who else may step in, outermost first; the list may change at any time.

    Attributes:
        interceptors: All who step in: those given, then the armed faults, then the gate.
        requests: How often each path was asked, answered or not.
        gate: The limits of a public gateway; it lets everything through until it is told.
    """

    def __init__(
        self, *, node: Node, faults: Faults, interceptors: Sequence[Interceptor] = ()
    ) -> None:
        self.requests: Counter[str] = Counter()
        self.faults = faults
        self.gate = Gate()
        self.interceptors: list[Interceptor] = [
            *interceptors,
            FaultInterceptor(faults),
            self.gate,
        ]
        self._node = node
        self._dispatcher = Dispatcher(node)
        self._facade = trongrid.Facade(node=node, ask=self._dispatcher.ask)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or let it fail as somebody wishes."""
        if scope["type"] != "http":
            return
        self._count(scope["path"])
        request, is_whole = await _read(scope, receive)
        if not is_whole:
            await _send(scope, receive, send, too_large(request))
            return
        reply = await self._intercepted(0)(request)
        if isinstance(reply, Lost):
            await _abort(scope, receive, RESET_EXTENSION if reply.reset else ABORT_EXTENSION)
            return
        await _send(scope, receive, send, reply)

    def _count(self, path: str) -> None:
        """Count a request; of very many paths the later ones are counted as one."""
        known = path in self.requests or len(self.requests) < _COUNTED_PATHS_MAX
        self.requests[path if known else OTHER_PATHS] += 1

    def _intercepted(self, depth: int) -> Answer:
        """The answer of an interceptor with all the deeper ones behind it."""
        if depth == len(self.interceptors):
            return self._answer
        interceptor, behind = self.interceptors[depth], self._intercepted(depth + 1)

        async def answer(request: HttpRequest) -> Reply | Lost:
            return await interceptor(request, behind)

        return answer

    async def _answer(self, request: HttpRequest) -> Reply | Lost:
        if request.path in {trongrid.PREFIX, trongrid.HEALTH_PATH} or request.path.startswith(
            f"{trongrid.PREFIX}/"
        ):
            return await self._facade.reply(request)
        if request.path == "/jsonrpc":
            return jsonrpc.reply(self._node, request)
        return self._dispatcher.reply(request)


async def _read(scope: Scope, receive: Receive) -> tuple[HttpRequest, bool]:
    """The request, and whether all of its body is there; it is not if it is too long."""
    chunks: list[bytes] = []
    size = 0
    more = True
    while more and size <= MAX_BODY_BYTES:
        message = await receive()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        more = message["type"] != "http.disconnect" and message.get("more_body", False)
    is_whole = size <= MAX_BODY_BYTES
    request = HttpRequest(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"],
        headers={
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        },
        body=b"".join(chunks) if is_whole else b"",
    )
    return request, is_whole


async def _abort(scope: Scope, receive: Receive, extension: str) -> None:
    """Break the connection without a byte, and wait until it is broken.

    A server that cannot break it leaves the client waiting until the client gives up.
    """
    abort = (scope.get("extensions") or {}).get(extension)
    if abort is not None:
        abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(scope: Scope, receive: Receive, send: Send, reply: Reply) -> None:
    """Send a reply; one that is cut names the length it never reaches."""
    headers = [
        (b"content-type", reply.content_type.encode("latin-1")),
        (b"content-length", str(len(reply.body)).encode()),
        *(
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in (reply.headers or {}).items()
        ),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.cut_after is None:
        await send({"type": "http.response.body", "body": reply.body})
        return
    part = reply.body[: reply.cut_after]
    await send({"type": "http.response.body", "body": part, "more_body": True})
    close = (scope.get("extensions") or {}).get(CLOSE_EXTENSION)
    if close is not None:
        close()
    while (await receive())["type"] != "http.disconnect":
        pass

"""One path of the control API: who answers, what it is told, what it says, and an example."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from devnet.chain import Tip
from devnet.control.orders import BadOrderError
from devnet.rejection import RejectedError

Order = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPath:
    """A method and a path.

    Attributes:
        carry_out: Gets the order and, by name, what stands in the path's braces.
        body: What the order may hold; of a GET it is the query.
        reply: What comes back.
        example: An order that works on a new devnet.
        filled: What stands in the braces in the example.
    """

    method: str
    path: str
    carry_out: Callable[..., Any]
    body: str = ""
    reply: str
    example: Order | None = None
    filled: dict[str, str] = field(default_factory=dict)

    def route(self) -> Route:
        """The path as Starlette serves it."""

        async def endpoint(request: Request) -> Response:
            try:
                order = await _order_in(request)
                result = self.carry_out(order, **request.path_params)
                return _json(await result if asyncio.iscoroutine(result) else result)
            except BadOrderError as error:
                return _json({"error": str(error)}, status=400)
            except RejectedError as error:
                return _json({"error": error.message, "code": error.code}, status=400)

        return Route(self.path, endpoint, methods=[self.method])


def shown_tip(tip: Tip) -> Order:
    """A block's number, id and time."""
    return {"number": tip.number, "block_id": tip.block_id.hex(), "timestamp_ms": tip.time_ms}


async def _order_in(request: Request) -> Order:
    """The body's JSON object, or the query of a request without one."""
    body = await request.body()
    if not body.strip():
        return dict(request.query_params)
    try:
        order = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadOrderError(f"not JSON: {error}") from error
    if not isinstance(order, dict):
        raise BadOrderError("not a JSON object")
    return order


def _json(document: Any, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(document), status_code=status, media_type="application/json"
    )

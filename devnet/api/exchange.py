"""A request and its reply as bytes, and the one place where somebody may step in between.

An interceptor sees every request to a node before it is answered and every reply before it is
sent. It may change either, answer in the node's place, hold the reply back, or let the
connection break.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

JSON_TYPE = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What came in.

    Attributes:
        headers: By lower-case name; of repeated ones the last.
        query: As it stood behind the question mark.
    """

    method: str
    path: str
    query: bytes = b""
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes out.

    Attributes:
        cut_after: Send so many bytes of the body and then close; None sends all of it.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] | None = None
    cut_after: int | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """No reply: the connection ends before a byte of it is sent.

    Attributes:
        reset: End it with a reset, whatever is still to be read.
    """

    reset: bool = False


Answer = Callable[[HttpRequest], Awaitable[Reply | Lost]]


class Interceptor(Protocol):
    """Stands between a client and the node; `answer` asks whatever stands behind it."""

    async def __call__(self, request: HttpRequest, answer: Answer) -> Reply | Lost:
        """Answer a request, or have it answered."""

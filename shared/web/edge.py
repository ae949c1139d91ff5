"""What every request passes first: request id, token, rate, body size; and its measure on the way out.

Plain ASGI, so that streams and long polls pass through untouched.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope
from uuid6 import uuid7

from shared.access import OPEN_PATHS
from shared.auth import Principal, TokenVerifier
from shared.errors import (
    BodyTooLarge,
    BodyTooSlow,
    Overloaded,
    Problem,
    TooManyRequests,
    Unauthenticated,
)
from shared.logs import request_id
from shared.metrics import Metrics
from shared.web.problems import crash_response, problem_response

_LENGTH: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
_MAX_IDENTITIES: Final = 10_000


class RateLimit:
    """A token bucket for each identity; the least recently seen are forgotten first."""

    def __init__(
        self,
        *,
        requests: int,
        burst: int,
        window_s: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_s = requests / window_s
        self._burst = burst
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, identity: str) -> None:
        """Take one request from the identity's bucket, or raise TooManyRequests."""
        now = self._monotonic()
        level, at = self._buckets.pop(identity, (float(self._burst), now))
        level = min(float(self._burst), level + (now - at) * self._per_s)
        if level < 1:
            self._buckets[identity] = (level, now)
            wait_s = int((1 - level) / self._per_s) + 1
            raise TooManyRequests("too many requests from this identity", retry_after_s=wait_s)
        self._buckets[identity] = (level - 1, now)
        if len(self._buckets) > _MAX_IDENTITIES:
            del self._buckets[next(iter(self._buckets))]


class Gate:
    """Holds the verifier in force; closed while there is none."""

    def __init__(self) -> None:
        self.verifier: TokenVerifier | None = None

    def admit(self, authorization: str | None) -> Principal:
        """Return the caller's principal; raises Unauthenticated."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("send a bearer token in the Authorization header")
        if self.verifier is None:
            raise Unauthenticated("no trusted keys are configured, so no token can verify")
        return self.verifier.verify(token.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """How much a caller may ask for.

    Attributes:
        max_body_bytes: larger bodies are refused before they are read.
        body_timeout_s: in which a body must have come.
        max_concurrent_requests: under way before new ones are answered 503; probes always pass.
        larger_bodies: bytes by path, for routes that take long lists.
    """

    max_body_bytes: int
    body_timeout_s: float
    max_concurrent_requests: int
    larger_bodies: Mapping[str, int] = field(default_factory=dict)

    def body_bytes(self, path: str) -> int:
        """Return the most that a body on a path may have."""
        return max(self.max_body_bytes, self.larger_bodies.get(path, 0))


class Edge:
    """The outermost layer of a service.

    Args:
        app: what it guards.
        gate: decides who comes in.
        rate_limit: applies to people; services are trusted to pace themselves.
        metrics: counts every answer.
        network: told with every answer, so that nobody takes play money for real (hazard H17).
        limits: what a caller may ask for.
        open_prefixes: further paths without a token, each guarded by an unguessable part.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        gate: Gate,
        rate_limit: RateLimit,
        metrics: Metrics,
        network: str,
        limits: RequestLimits,
        open_prefixes: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._gate = gate
        self._rate_limit = rate_limit
        self._metrics = metrics
        self._network = network
        self._limits = limits
        self._under_way = 0
        self._open_prefixes = open_prefixes

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        told = headers.get("x-request-id", "")
        marker = request_id.set(told if _REQUEST_ID.fullmatch(told) else uuid7().hex)
        answer = _Answer(send, self._network)
        started = time.monotonic()
        try:
            await self._admitted(scope, receive, answer, headers)
        except Exception as error:
            response = crash_response(error, path=scope["path"])
            if answer.status:  # too late for another answer
                raise
            await response(scope, receive, answer.send)
        finally:
            self._metrics.request_answered(
                method=scope["method"],
                route=_route_template(scope),
                status=answer.status,
                seconds=time.monotonic() - started,
            )
            request_id.reset(marker)

    async def _admitted(
        self, scope: AsgiScope, receive: Receive, answer: "_Answer", headers: Headers
    ) -> None:
        try:
            principal = self._principal(scope["path"], headers)
            self._check_length(scope["path"], headers)
        except Problem as problem:
            response = problem_response(problem, path=scope["path"])
            await response(scope, receive, answer.send)
            return
        scope.setdefault("state", {})["principal"] = principal
        limited = _LimitedBody(receive, self._limits, path=scope["path"])
        self._under_way += 1
        try:
            await self._app(scope, limited.receive, answer.send)
        except (BodyTooLarge, BodyTooSlow) as problem:
            if answer.status:
                raise
            response = problem_response(problem, path=scope["path"])
            await response(scope, receive, answer.send)
        finally:
            self._under_way -= 1

    def _principal(self, path: str, headers: Headers) -> Principal | None:
        authorization = headers.get("authorization")
        if path in OPEN_PATHS or path.startswith(self._open_prefixes or ("\0",)):
            try:
                return self._gate.admit(authorization)
            except Unauthenticated:
                return None
        principal = self._gate.admit(authorization)
        if principal.service is None:
            self._rate_limit.take(principal.name)
        if self._under_way >= self._limits.max_concurrent_requests:
            raise Overloaded("too many requests are under way here", retry_after_s=1)
        return principal

    def _check_length(self, path: str, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        limit_bytes = self._limits.body_bytes(path)
        if not _LENGTH.fullmatch(length) or int(length) > limit_bytes:
            raise BodyTooLarge(
                f"bodies may have at most {limit_bytes} bytes", limit_bytes=limit_bytes
            )


class _LimitedBody:
    """Counts and times a body as it arrives, for senders that do not say its length or dawdle."""

    def __init__(self, receive: Receive, limits: RequestLimits, *, path: str) -> None:
        self._receive = receive
        self._limits = limits
        self._limit_bytes = self._left = limits.body_bytes(path)
        self._deadline_s = asyncio.get_running_loop().time() + limits.body_timeout_s
        self._is_complete = False

    async def receive(self) -> Message:
        if self._is_complete:  # what comes now is the caller hanging up
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline_s):
                message = await self._receive()
        except TimeoutError:
            raise BodyTooSlow(
                f"the body must have come within {self._limits.body_timeout_s} s"
            ) from None
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            self._is_complete = not message.get("more_body", False)
        if self._left < 0:
            raise BodyTooLarge(
                f"bodies may have at most {self._limit_bytes} bytes", limit_bytes=self._limit_bytes
            )
        return message


class _Answer:
    """Sees the status pass and adds the request id and the headers every answer carries."""

    def __init__(self, send: Send, network: str) -> None:
        self._send = send
        self._network = network
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = request_id.get()
            headers["X-Lucid-Network"] = self._network
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def _route_template(scope: AsgiScope) -> str:
    route = scope.get("route")
    return str(getattr(route, "path", "unmatched"))

"""HTTP through a proxy, over connections that are given up when anything goes wrong on them.

The pool of the HTTP library goes on counting a connection that was being opened through a proxy when it
was called off, or when TLS failed behind the proxy. Once as many are lost as it may have, it sends
nothing any more. Here each connection has a pool of its own, which goes with it.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import httpx


class Proxied(httpx.AsyncBaseTransport):
    """Carries requests to a proxy, and by no other way.

    Args:
        proxy_url: where it is.
        connections: the most at once.
        kept: the most that are kept open for later requests.
    """

    def __init__(self, proxy_url: str, *, connections: int, kept: int) -> None:
        self._proxy_url = proxy_url
        self._kept = kept
        self._free = asyncio.Semaphore(connections)
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._tls = httpx.create_ssl_context(trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request; the connection is free again when the response is closed."""
        await self._free.acquire()
        line = self._idle.pop() if self._idle else self._opened()
        try:
            response = await line.handle_async_request(request)
        except BaseException:
            self._free.release()
            await line.aclose()
            raise
        response.stream = _Lent(self, line, cast("httpx.AsyncByteStream", response.stream))
        return response

    async def give_back(self, line: httpx.AsyncHTTPTransport) -> None:
        """Take a connection back whose response was read, or given up."""
        self._free.release()
        if len(self._idle) < self._kept:
            self._idle.append(line)
        else:
            await line.aclose()

    async def aclose(self) -> None:
        """Let go of the connections that are kept; no other is to come back."""
        self._kept = 0
        while self._idle:
            await self._idle.pop().aclose()

    def _opened(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=self._tls,
            proxy=self._proxy_url,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=min(1, self._kept)),
            trust_env=False,
        )


class _Lent(httpx.AsyncByteStream):
    """A response's bytes, with the connection that they come over."""

    def __init__(
        self, owner: Proxied, line: httpx.AsyncHTTPTransport, stream: httpx.AsyncByteStream
    ) -> None:
        self._owner = owner
        self._line: httpx.AsyncHTTPTransport | None = line
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        line, self._line = self._line, None
        if line is None:
            return
        try:
            await self._stream.aclose()
        finally:
            await self._owner.give_back(line)

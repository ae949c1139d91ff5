"""An HTTP server on a port of its own, inside a loop that others share."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from devnet.api.app import ABORT_EXTENSION, CLOSE_EXTENSION, RESET_EXTENSION

_PATIENCE_S = 0.3
_NO_LINGERING = struct.pack("ii", 1, 0)


class AbortableProtocol(HttpToolsProtocol):
    """Lets an application break its own connection, as a failing network would."""

    def on_message_begin(self) -> None:
        """Add the extensions to the scope of the request that begins."""
        super().on_message_begin()
        extensions: dict[str, Any] = {
            ABORT_EXTENSION: self.transport.abort,
            CLOSE_EXTENSION: self.transport.close,
            RESET_EXTENSION: self._reset,
        }
        self.scope["extensions"] = extensions

    def _reset(self) -> None:
        """Close with a reset instead of an orderly end: nothing lingers."""
        descriptor = os.dup(self.transport.get_extra_info("socket").fileno())
        with socket.socket(fileno=descriptor) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        self.transport.abort()


class _Server(uvicorn.Server):
    """Leaves signals to the program that it is a part of, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listening(app: Any, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve an ASGI application; yields the port, chosen by the system if it was 0."""
    listener = socket.create_server((host, port))
    # Accepted sockets inherit this; without it every reply on a kept connection waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        http=AbortableProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.ready.wait()
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait({task}, timeout=_PATIENCE_S)
        server.force_exit = True
        await task
        listener.close()

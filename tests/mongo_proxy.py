"""A way to a MongoDB server that fails as networks do."""

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Self


class ProxyThatLosesReplies:
    """Carries every message to the server and, when told to, loses the reply to one kind of command.

    Args:
        port: of the server.
        rewrite: changes what the server says before it is handed on.
    """

    def __init__(self, port: int, rewrite: Callable[[bytes], bytes] = lambda reply: reply) -> None:
        self._upstream = port
        self._rewrite = rewrite
        self._command = b""
        self._left = 0
        self._on_loss: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()
        self.lost = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def lose(
        self, command: str, count: int = 1, *, on_loss: Callable[[], None] = lambda: None
    ) -> None:
        """Lose the replies to the next commands of a name, and their connections."""
        self._command = command.encode() + b"\0"
        self._left, self._on_loss = count, on_loss

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    request = await _message(reader)
                    upstream.write(request)
                    reply = self._rewrite(await _message(upstream_reader))
                    if self._left and self._command in request:
                        self._left -= 1
                        self.lost += 1
                        await asyncio.to_thread(self._on_loss)
                        return
                    writer.write(reply)
                    await writer.drain()
        finally:
            self._tasks.discard(task)
            upstream.close()
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(struct.unpack("<i", length)[0] - 4)

"""A SOCKS 5 proxy and a node on sockets of their own, which remember who came."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

CONNECT = 1
IPV4, NAME, IPV6 = 1, 3, 4
GRANTED, REFUSED = 0, 5

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Serve = Callable[[Reader, Writer], Awaitable[None]]


@asynccontextmanager
async def listening(
    serve: Serve, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[asyncio.Server]:
    """Listen on loopback; connections that are open at the end are closed."""
    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (OSError, EOFError, asyncio.IncompleteReadError):
            pass  # the caller is gone
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    try:
        yield server
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


@dataclass
class NodeOnASocket:
    """Answers over HTTP by path; the first answer that it knows of each.

    Attributes:
        connections: how many were ever opened.
        heads: the head of every request.
    """

    answers: Mapping[str, Any]
    connections: int = 0
    heads: list[str] = field(default_factory=list)

    async def serve(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            lines = [line.lower() for line in head.splitlines()]
            length = sum(int(line.split(":")[1]) for line in lines if line.startswith("content-le"))
            await reader.readexactly(length)
            path = head.split(" ")[1].removeprefix("http://node.invalid").split("?")[0]
            body = json.dumps(self.answers[path]).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@dataclass
class SocksProxy:
    """Leads every name to one port of loopback.

    Attributes:
        port: where the node is.
        asked: what was asked for: kind of address, host, port.
        code: the answer to a request.
    """

    port: int
    code: int = GRANTED
    asked: list[tuple[int, str, int]] = field(default_factory=list)

    async def serve(self, reader: Reader, writer: Writer) -> None:
        version, methods = await reader.readexactly(2)
        offered = await reader.readexactly(methods)
        assert (version, offered) == (5, b"\x00")
        writer.write(b"\x05\x00")
        version, command, _, kind = await reader.readexactly(4)
        assert (version, command) == (5, CONNECT)
        host = await self._host(reader, kind)
        self.asked.append((kind, host, int.from_bytes(await reader.readexactly(2))))
        writer.write(bytes((5, self.code, 0, IPV4)) + bytes(6))
        if self.code == GRANTED:
            await self._carry(reader, writer)

    async def _host(self, reader: Reader, kind: int) -> str:
        if kind == NAME:
            (length,) = await reader.readexactly(1)
            return (await reader.readexactly(length)).decode()
        return (await reader.readexactly(4 if kind == IPV4 else 16)).hex()

    async def _carry(self, reader: Reader, writer: Writer) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        pumps = [
            asyncio.create_task(_pump(reader, back)),
            asyncio.create_task(_pump(there, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            back.close()


async def _pump(source: Reader, sink: Writer) -> None:
    while chunk := await source.read(65_536):
        sink.write(chunk)
        await sink.drain()

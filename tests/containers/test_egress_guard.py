"""The egress proxy's guard: an allowed name that leads where it must not is refused at the connection."""

import asyncio
import contextlib
import importlib.util
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from shared.outbound import is_public

TREE: Final = Path(__file__).resolve().parents[2]
GRANTED: Final = 0
NOT_ALLOWED: Final = 2
UNREACHABLE: Final = 4

ADDRESSES: Final = (
    *("1.1.1.1", "8.8.8.8", "151.101.1.69", "2606:4700::1111", "2a00:1450:4001:80b::200e"),
    *("10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.51.100.2"),
    *("127.0.0.1", "127.9.9.9", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "2001:db8::1", "240.0.0.1", "198.18.0.1"),
    *("::ffff:10.0.0.1", "::ffff:1.1.1.1", "64:ff9b::a00:1", "64:ff9b::101:101", "64:ff9b:1::1"),
    *("2002:0a00:0001::", "2002:0101:0101::", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
)


def _module() -> ModuleType:
    path = TREE / "docker" / "egress-proxy" / "guard.py"
    spec = importlib.util.spec_from_file_location("egress_guard", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


guard: Final[Any] = _module()


class Names:
    """A name service whose answers the test gives; counts how often it was asked."""

    def __init__(self, answers: Mapping[str, Sequence[str]]) -> None:
        self.answers = dict(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        if host not in self.answers:
            raise OSError(host, port)
        return self.answers[host]


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """A server on loopback that sends back what it gets; yields its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1024):
            writer.write(chunk)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def asking(
    names: Names, target: tuple[str, int], *, port: int, allowed: str = ""
) -> AsyncIterator[tuple[int, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Ask a guard for a target as tinyproxy does; yields its verdict and the connection."""
    guarding = guard.Guard(allowed=guard.networks(allowed), port=port, resolver=names)
    async with await asyncio.start_server(guarding.serve, "127.0.0.1", 0) as server:
        where = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", where)
        host = target[0].encode()
        writer.write(b"\x05\x01\x00")
        assert await reader.readexactly(2) == b"\x05\x00"
        writer.write(b"\x05\x01\x00\x03" + bytes((len(host),)) + host)
        writer.write(struct.pack(">H", target[1]))
        answer = await reader.readexactly(10)
        assert answer[0] == 5
        yield answer[1], reader, writer
        writer.close()


@pytest.mark.parametrize("text", ADDRESSES)
def test_the_guard_and_the_services_agree_on_what_is_public(text: str) -> None:
    assert guard.is_public(ip_address(text)) is is_public(ip_address(text))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "fd00::1"])
async def test_h24_an_allowed_name_that_leads_inside_is_refused(address: str) -> None:
    async with echoing() as port:
        names = Names({"hooks.example": [address]})
        async with asking(names, ("hooks.example", port), port=port) as (code, _, _):
            assert code == NOT_ALLOWED


async def test_h24_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    names = Names({"hooks.example": ["1.1.1.1", "192.168.1.10"]})
    async with asking(names, ("hooks.example", 443), port=443) as (code, _, _):
        assert code == NOT_ALLOWED


async def test_h24_a_literal_address_is_judged_like_a_name() -> None:
    async with echoing() as port:
        names = Names({"127.0.0.1": ["127.0.0.1"]})
        async with asking(names, ("127.0.0.1", port), port=port) as (code, _, _):
            assert code == NOT_ALLOWED


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    async with echoing() as port:
        names = Names({"hooks.example": ["127.0.0.1"]})
        target = ("hooks.example", port)
        async with asking(names, target, port=port, allowed="127.0.0.0/8") as (
            code,
            reader,
            writer,
        ):
            assert code == GRANTED
            assert names.asked == 1
            writer.write(b"a call")
            assert await reader.readexactly(6) == b"a call"
            writer.write_eof()
            assert await reader.read() == b""


async def test_no_other_port_is_reached() -> None:
    async with echoing() as port:
        names = Names({"hooks.example": ["127.0.0.1"]})
        target = ("hooks.example", port)
        async with asking(names, target, port=443, allowed="127.0.0.0/8") as (code, _, _):
            assert code == NOT_ALLOWED
            assert names.asked == 0


async def test_a_name_that_nobody_knows_is_unreachable() -> None:
    async with asking(Names({}), ("nobody.example", 443), port=443) as (code, _, _):
        assert code == UNREACHABLE


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x04\x01",
        b"\x05\x00",
        b"\x05\x01\x02",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x05\x01\x00\x05\x02\x00\x03",
        b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x01\xbb",
        b"\x05\x01\x00\x05\x01\x00\x03\x02\xff\xff\x01\xbb",
    ],
)
async def test_garbage_ends_the_connection_and_nothing_is_looked_up(garbage: bytes) -> None:
    names = Names({})
    guarding = guard.Guard(allowed=(), resolver=names)
    async with await asyncio.start_server(guarding.serve, "127.0.0.1", 0) as server:
        where = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", where)
        writer.write(garbage)
        writer.write_eof()
        assert await reader.read() in {b"", b"\x05\x00"}
        writer.close()
    assert names.asked == 0


def test_networks_that_are_none_are_refused() -> None:
    assert guard.networks("10.0.0.0/8, fd00::/8")[0].prefixlen == 8
    with pytest.raises(ValueError, match="10"):
        guard.networks("10.0.0.1/8")

"""Run the proxy and be its only way out: a name counts for nothing, the address it leads to does.

tinyproxy judges hosts by the allow list, which names them; whoever runs a name may let it lead
anywhere, into this host's own networks too. So it hands every connection on to the guard, on loopback
and as SOCKS5 (RFC 1928, CONNECT with a domain name), which resolves the name, refuses it if one of its
addresses is not on the open Internet, and connects to the very address it has checked. Networks that
are to be reached although they are private stand in EGRESS_ALLOWED_NETWORKS, CIDRs with commas.

    guard.py PROGRAM ARGUMENT …     runs until the program ends or SIGTERM comes
"""
# ruff: noqa: INP001 - a program in the image, not a package

import asyncio
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host as texts; raises OSError."""

HOST: Final = "127.0.0.1"
PORT: Final = 1080
ALLOWED_PORT: Final = 443
REQUEST_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 10.0
CHUNK_BYTES: Final = 65_536

_VERSION: Final = 5
_NO_AUTHENTICATION: Final = 0
_CONNECT: Final = 1
_DOMAIN_NAME: Final = 3
_GRANTED: Final = 0
_NOT_ALLOWED: Final = 2
_UNREACHABLE: Final = 4

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = ipaddress.IPv6Network("64:ff9b:1::/48")


class Refused(Exception):
    """The target may not be reached; says why."""


class Malformed(Exception):
    """This is no request of ours."""


def is_public(address: IpAddress) -> bool:
    """Tell whether an address is an ordinary one of the open Internet, also behind its wrappings.

    The same rule as shared.outbound's, which a test holds it to; this image holds no code of the services.
    """
    inner = _unwrapped(address)
    if inner is not address:
        return is_public(inner)
    if address in _NAT64_LOCAL or address.is_multicast or address.is_reserved:
        return False
    return address.is_global


def _unwrapped(address: IpAddress) -> IpAddress:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guard:
    """Connects to addresses that have just been checked, and to nothing else.

    Args:
        allowed: networks that may be reached although they are not public.
        port: the one port that may be reached.
        resolver: finds the addresses of a name.
    """

    def __init__(
        self,
        *,
        allowed: Sequence[IpNetwork],
        port: int = ALLOWED_PORT,
        resolver: Resolver = resolve,
    ) -> None:
        self._allowed = tuple(allowed)
        self._port = port
        self._resolver = resolver

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection of the proxy's, then carry bytes both ways until a side ends."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                host, port = await _asked(reader, writer)
            code, outside = await self._connected(host, port)
            writer.write(bytes((_VERSION, code, 0, 1)) + bytes(6))
            if outside is not None:
                await _carry((reader, writer), outside)
        except (Malformed, OSError, EOFError, TimeoutError):
            pass  # whoever asked is gone or no proxy of ours; there is nobody to answer
        finally:
            writer.close()

    async def target(self, host: str, port: int) -> str:
        """Return the checked address to connect to.

        Raises:
            Refused: the port or one of the addresses is not allowed.
            OSError: the name cannot be resolved.
        """
        if port != self._port:
            raise Refused(f"port {port}")
        addresses = [ipaddress.ip_address(text) for text in await self._resolver(host, port)]
        for address in addresses:
            if not (is_public(address) or self._is_allowed(address)):
                raise Refused(f"it has the address {address}, which is not on the open Internet")
        if not addresses:
            raise OSError("no address")
        return str(addresses[0])

    def _is_allowed(self, address: IpAddress) -> bool:
        return any(
            address in network for network in self._allowed if network.version == address.version
        )

    async def _connected(
        self, host: str, port: int
    ) -> tuple[int, tuple[asyncio.StreamReader, asyncio.StreamWriter] | None]:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                address = await self.target(host, port)
                return _GRANTED, await asyncio.open_connection(address, port)
        except (Refused, UnicodeError, ValueError) as error:
            _say(f"refused {host!r}: {error}")
            return _NOT_ALLOWED, None
        except (OSError, TimeoutError) as error:
            _say(f"cannot reach {host!r}: {type(error).__name__}")
            return _UNREACHABLE, None


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    """Read greeting and request; returns host and port."""
    version, methods = await reader.readexactly(2)
    if version != _VERSION or _NO_AUTHENTICATION not in await reader.readexactly(methods):
        raise Malformed
    writer.write(bytes((_VERSION, _NO_AUTHENTICATION)))
    version, command, _, kind = await reader.readexactly(4)
    if (version, command, kind) != (_VERSION, _CONNECT, _DOMAIN_NAME):
        raise Malformed
    (length,) = await reader.readexactly(1)
    host = await reader.readexactly(length)
    port = int.from_bytes(await reader.readexactly(2))
    try:
        return host.decode("ascii"), port
    except UnicodeError:
        raise Malformed from None


async def _carry(
    inside: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    outside: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Carry bytes until either side ends: the proxy, which limits idle time, never half-closes."""
    pumps = [
        asyncio.ensure_future(_pump(inside[0], outside[1])),
        asyncio.ensure_future(_pump(outside[0], inside[1])),
    ]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        outside[1].close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(CHUNK_BYTES):
        sink.write(chunk)
        await sink.drain()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def networks(text: str) -> tuple[IpNetwork, ...]:
    """Read CIDRs separated by commas; raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


async def main(program: Sequence[str], allowed: Sequence[IpNetwork]) -> int:
    """Serve while the program runs; returns its exit status."""
    server = await asyncio.start_server(Guard(allowed=allowed).serve, HOST, PORT)
    try:
        child = await asyncio.create_subprocess_exec(*program)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, child.terminate)
        return await child.wait()
    finally:
        server.close()


if __name__ == "__main__":
    try:
        named = networks(os.environ.get("EGRESS_ALLOWED_NETWORKS", ""))  # noqa: TID251 - no settings here
    except ValueError as error:
        sys.exit(f"EGRESS_ALLOWED_NETWORKS: {error}")
    sys.exit(asyncio.run(main(sys.argv[1:], named)))

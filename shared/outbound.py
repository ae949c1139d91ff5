"""HTTP to places that are neither siblings nor nodes: webhooks and other outside services.

The target is named by somebody else, so it is not trusted to be where it says. The name is resolved
here, every address it has is checked, and the connection goes to the very address that was checked:
a name that changes its mind in between moves nothing. Redirects are answers, never followed.

Behind a proxy the name is handed on as it is, because only the proxy can resolve it from inside an
isolated network; literal addresses are checked all the same.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Annotated, Final

import httpx
from pydantic import AfterValidator, Field

from shared.config import ServiceSettings
from shared.proxied import Proxied
from shared.tron.networks import Network

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host as texts; raises OSError."""

LOOPBACK: Final[tuple[IpNetwork, ...]] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
MAX_URL_CHARACTERS: Final = 2_048
CONNECTIONS: Final = 64
"""The most at once."""

_NAT64: Final = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class OutboundRefused(Exception):
    """The target may not be called; ``reason`` says why without repeating the address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OutboundFailed(Exception):
    """No answer came; whether the target acted is not known."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_networks(text: str) -> tuple[IpNetwork, ...]:
    """Read CIDRs separated by commas; raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _checked_networks(text: str) -> str:
    parse_networks(text)
    return text


class OutboundSettings(ServiceSettings):
    """What a service that calls outside reads besides the rest."""

    outbound_allowed_networks: Annotated[str, AfterValidator(_checked_networks)] = Field(
        default="",
        validation_alias="OUTBOUND_ALLOWED_NETWORKS",
        description="CIDRs, separated by commas, that may be called although they are private; "
        "plain http is allowed there.",
    )
    outbound_proxy_url: str | None = Field(
        default=None,
        validation_alias="OUTBOUND_PROXY_URL",
        description="HTTP proxy for everything that leaves for outside.",
    )
    outbound_timeout_s: int = Field(
        default=15,
        ge=1,
        le=120,
        validation_alias="OUTBOUND_TIMEOUT_S",
        description="Seconds for one call outside, resolving and reading included.",
    )
    outbound_max_answer_bytes: int = Field(
        default=65_536,
        ge=0,
        le=8_388_608,
        validation_alias="OUTBOUND_MAX_ANSWER_BYTES",
        description="How much of an answer from outside is read.",
    )

    def outbound_networks(self) -> tuple[IpNetwork, ...]:
        """Return the networks that are allowed on purpose; on the devnet loopback is among them."""
        named = parse_networks(self.outbound_allowed_networks)
        return (*named, *LOOPBACK) if self.tron_network is Network.DEVNET else named


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status, of whatever class.
        headers: by lower-case name.
        content: the body as far as the limit allows, as sent (no decompression).
        truncated: whether there was more.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)
    truncated: bool = False


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: IpAddress) -> bool:
    """Tell whether an address is an ordinary one of the open Internet, also behind its wrappings."""
    inner = _unwrapped(address)
    if inner is not address:
        return is_public(inner)
    if address in _NAT64_LOCAL or address.is_multicast or address.is_reserved:
        return False
    return address.is_global


def _unwrapped(address: IpAddress) -> IpAddress:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


class Outbound:
    """Calls outside, each time to an address that has just been checked.

    Args:
        allowed: networks that may be called although they are not public; http is allowed there.
        timeout_s: for a whole call.
        max_answer_bytes: how much of an answer is read.
        proxy_url: an HTTP proxy that all calls go through.
        resolver: finds the addresses of a name.
        transport: the connections; tests hand in their own.
    """

    def __init__(
        self,
        *,
        allowed: Sequence[IpNetwork],
        timeout_s: float,
        max_answer_bytes: int,
        proxy_url: str | None = None,
        resolver: Resolver = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._allowed = tuple(allowed)
        self._timeout_s = timeout_s
        self._max_answer_bytes = max_answer_bytes
        self._resolver = resolver
        self._proxied = proxy_url is not None
        if transport is None and proxy_url is not None:
            transport = Proxied(proxy_url, connections=CONNECTIONS, kept=0)
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=timeout_s,
            # a connection is for one name: kept open, it could carry a request for another name
            # at the same address past that name's certificate
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    @classmethod
    def from_settings(cls, settings: OutboundSettings) -> "Outbound":
        """Make it as the environment says."""
        return cls(
            allowed=settings.outbound_networks(),
            timeout_s=settings.outbound_timeout_s,
            max_answer_bytes=settings.outbound_max_answer_bytes,
            proxy_url=settings.outbound_proxy_url,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def check(self, url: str) -> None:
        """Raise OutboundRefused if a call of this URL would be refused now, else maybe OutboundFailed."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._target(url)
        except TimeoutError:
            raise OutboundFailed("the host's name was not resolved in time") from None

    async def post(self, url: str, *, content: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a body and return the answer, whatever its status.

        Raises:
            OutboundRefused: the target is not allowed; nothing was sent.
            OutboundFailed: no answer came in time.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                request = await self._request("POST", url, content, headers)
                return await self._exchange(request)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise OutboundFailed(f"no answer ({type(error).__name__})") from None

    async def _request(
        self, method: str, url: str, content: bytes, headers: Mapping[str, str]
    ) -> httpx.Request:
        target, address = await self._target(url)
        host = _host(target)
        fixed = {
            **headers,
            "Host": target.netloc.decode("ascii"),
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        extensions = {}
        if address is not None:
            target = target.copy_with(host=str(address))
            if host != str(address):
                extensions["sni_hostname"] = host
        return self._client.build_request(
            method, target, content=content, headers=fixed, extensions=extensions
        )

    async def _exchange(self, request: httpx.Request) -> Answer:
        response = await self._client.send(request, stream=True)
        try:
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > self._max_answer_bytes:
                    break
            return Answer(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                content=bytes(content[: self._max_answer_bytes]),
                truncated=len(content) > self._max_answer_bytes,
            )
        finally:
            await response.aclose()

    async def _target(self, url: str) -> tuple[httpx.URL, IpAddress | None]:
        """Return the URL and the checked address to connect to; no address behind a proxy."""
        target = _parsed(url)
        literal = _literal(_host(target))
        if literal is not None:
            addresses: list[IpAddress] = [literal]
        elif self._proxied:
            _check_name(target)
            return target, None
        else:
            addresses = await self._resolved(target)
        self._check_addresses(target.scheme, addresses)
        return target, addresses[0]

    async def _resolved(self, target: httpx.URL) -> list[IpAddress]:
        port = target.port or _DEFAULT_PORTS[target.scheme]
        try:
            texts = await self._resolver(_host(target), port)
        except (OSError, UnicodeError):
            raise OutboundFailed("the host's name cannot be resolved") from None
        try:
            addresses = [ip_address(text) for text in texts]
        except ValueError:
            raise OutboundRefused("the host has an address of an unknown kind") from None
        if not addresses:
            raise OutboundFailed("the host's name has no address")
        return addresses

    def _check_addresses(self, scheme: str, addresses: Sequence[IpAddress]) -> None:
        on_purpose = [self._is_allowed(address) for address in addresses]
        public = [is_public(address) for address in addresses]
        if not all(mine or open_ for mine, open_ in zip(on_purpose, public, strict=True)):
            raise OutboundRefused("the host has an address that is not on the open Internet")
        if scheme != "https" and not all(on_purpose):
            raise OutboundRefused("the URL must begin with https")

    def _is_allowed(self, address: IpAddress) -> bool:
        return any(
            address in network for network in self._allowed if network.version == address.version
        )


def _parsed(url: str) -> httpx.URL:
    if len(url) > MAX_URL_CHARACTERS:
        raise OutboundRefused("the URL is too long")
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise OutboundRefused("this is no URL") from None
    if target.scheme not in _DEFAULT_PORTS or not target.host:
        raise OutboundRefused("the URL must begin with https and name a host")
    if target.userinfo:
        raise OutboundRefused("the URL must not carry credentials")
    return target.copy_with(fragment=None)


def _host(target: httpx.URL) -> str:
    """Return the host as it stands in certificates and in the name service."""
    return target.raw_host.decode("ascii")


def _check_name(target: httpx.URL) -> None:
    """Refuse what a proxy must not be asked for: plain http, and addresses in disguise (0x7f.1)."""
    if target.scheme != "https":
        raise OutboundRefused("the URL must begin with https")
    if _host(target).rstrip(".").rpartition(".")[2][:1].isdigit():
        raise OutboundRefused("the URL must name a host")


def _literal(host: str) -> IpAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None

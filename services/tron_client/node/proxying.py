"""The way to the nodes through a proxy, and no other way.

A client that is given this transport opens connections to the proxy alone. Hosts are named to the
proxy and never resolved here. Where the proxy is away, so are the nodes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from shared.config import ConfigurationMissing
from shared.proxied import Proxied

SOCKS: Final = "socks5h"
"""SOCKS 5 with names resolved by the proxy, as curl calls it."""

SCHEMES: Final = (SOCKS, "http")
HIDDEN: Final = ".onion"

_CONNECTED: Final = "socks.connect_tcp.complete"
_NOT_CONNECTED: Final = ".connect_tcp.failed"
_CAME_TO_NOTHING: Final = frozenset(
    {"socks.setup_socks5_connection.failed", "socks.start_tls.failed"}
)


class Exposed(ConfigurationMissing):
    """A node would be reached in a way that gives away what the proxy is there to hide."""


def check_proxy(url: str) -> str:
    """Return a proxy's URL if it is one that can be used here; raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not parts.hostname or not parts.port:
        raise ValueError(
            "must be socks5h://host:port (names are resolved there) or http://host:port"
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry credentials")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("must name a host and a port and nothing else")
    return f"{parts.scheme}://{parts.netloc}"


def check_reach(node_urls: Sequence[str], proxy_url: str | None) -> None:
    """Refuse nodes that cannot be reached without giving something away.

    A hidden service's name must not be asked for of a name service, and what leaves Tor unencrypted
    can be read and changed by whoever runs the last relay.

    Raises:
        Exposed: says which node, and what to do.
    """
    is_socks = proxy_url is not None and urlsplit(proxy_url).scheme == SOCKS
    for url in node_urls:
        parts = urlsplit(url)
        is_hidden = (parts.hostname or "").endswith(HIDDEN)
        if is_hidden and proxy_url is None:
            raise Exposed(
                f"{parts.hostname} can be reached through a proxy alone: set NODE_PROXY_URL"
            )
        if is_socks and parts.scheme != "https" and not is_hidden:
            raise Exposed(
                f"{parts.hostname} must be named with https, for others would see and change"
                " what passes behind the proxy"
            )


class ThroughProxy(httpx.AsyncBaseTransport):
    """Carries requests to a proxy; whatever it does wrong is an error of the connection.

    Raises:
        httpx.ProxyError: the proxy does not speak as it should.
        httpx.TransportError: any other trouble on the way.
    """

    def __init__(self, proxy_url: str, *, connections: int) -> None:
        self._inner = Proxied(check_proxy(proxy_url), connections=connections, kept=connections)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request."""
        opening = _Opening()
        request.extensions = {**request.extensions, "trace": opening.follow}
        try:
            return await self._inner.handle_async_request(request)
        except (httpx.TransportError, OSError):
            if opening.is_in_vain:
                raise httpx.ProxyError("the proxy is away", request=request) from None
            raise
        except Exception as error:  # noqa: BLE001 - the library asserts what a proxy answers
            raise httpx.ProxyError(
                f"the proxy answered something else ({type(error).__name__})", request=request
            ) from None

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._inner.aclose()


class _Opening:
    """Closes a connection that was opened to the proxy and leads nowhere; the library leaves it open.

    Attributes:
        is_in_vain: none could be opened, and there is no other that it could have been than to the proxy.
    """

    def __init__(self) -> None:
        self.is_in_vain = False
        self._stream: Any = None

    async def follow(self, event: str, info: Mapping[str, Any]) -> None:
        """Be told of a step on the way."""
        if event == _CONNECTED:
            self._stream = info["return_value"]
        elif event.endswith(_NOT_CONNECTED):
            self.is_in_vain = True
        elif event in _CAME_TO_NOTHING and self._stream is not None:
            await self._stream.aclose()

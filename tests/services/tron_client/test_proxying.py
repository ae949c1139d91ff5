"""Through a proxy or not at all: no connection and no name goes past it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from devnet.genesis import GENESIS_BLOCK_ID
from services.tron_client.node import Endpoint, Lane, NodeCounters, NodeHttp, Treatment
from services.tron_client.node.errors import NodeUnavailable
from services.tron_client.node.proxying import Exposed, ThroughProxy, check_proxy, check_reach
from shared.metrics import Metrics
from tests.services.tron_client.socks import (
    NAME,
    REFUSED,
    NodeOnASocket,
    Reader,
    SocksProxy,
    Writer,
    listening,
    port_of,
)

PARAMETERS = "/wallet/getchainparameters"
HISTORY = "/v1/accounts/x/transactions"
ANSWERS = {
    "/wallet/getblockbynum": {"blockID": GENESIS_BLOCK_ID},
    PARAMETERS: {"chainParameter": [{"key": "getEnergyFee", "value": 100}]},
    HISTORY: {"data": []},
}
ONION = f"{'a' * 56}.onion"


@asynccontextmanager
async def through(port: int, *, scheme: str = "socks5h") -> AsyncIterator[ThroughProxy]:
    transport = ThroughProxy(f"{scheme}://127.0.0.1:{port}", connections=4)
    try:
        yield transport
    finally:
        await transport.aclose()


@asynccontextmanager
async def node_behind(
    port: int,
    *,
    url: str = "http://node",
    scheme: str = "socks5h",
    timeout_s: float = 1,
    connect_timeout_s: float = 1,
) -> AsyncIterator[NodeHttp]:
    """The node as it is asked everywhere, behind a proxy at a port."""
    http = NodeHttp(
        Endpoint(name="node", operator="somebody", url=url, concurrency=1),
        Treatment(
            genesis_block_id=GENESIS_BLOCK_ID,
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
            attempts=1,
            proxy_url=f"{scheme}://127.0.0.1:{port}",
        ),
        counters=NodeCounters(Metrics()),
        now_ms=lambda: 0,
    )
    try:
        yield http
    finally:
        await http.close()


async def asked_of(http: NodeHttp) -> Any:
    return await http.post(PARAMETERS, {}, lane=Lane.CHAIN)


@asynccontextmanager
async def hidden(code: int = 0) -> AsyncIterator[tuple[NodeOnASocket, SocksProxy, int, int]]:
    """A node, a SOCKS proxy that leads to it, and the ports of both."""
    node = NodeOnASocket(ANSWERS)
    async with listening(node.serve) as behind:
        proxy = SocksProxy(port=port_of(behind), code=code)
        async with listening(proxy.serve) as before:
            yield node, proxy, port_of(behind), port_of(before)


async def free_port() -> int:
    """Return a port that nobody listens on any more."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = port_of(server)
    server.close()
    await server.wait_closed()
    return port


async def test_every_call_goes_through_the_proxy_which_alone_resolves_the_name() -> None:
    async with hidden() as (node, proxy, _, port), node_behind(port) as http:
        assert await asked_of(http) == ANSWERS[PARAMETERS]
        assert await http.get(HISTORY, {"limit": "200"}) == ANSWERS[HISTORY]
    assert proxy.asked == [(NAME, "node", 80)]
    assert node.connections == 1


@pytest.mark.parametrize("host", [ONION, "nobody.invalid"])
async def test_a_host_that_only_the_proxy_knows_is_reached(host: str) -> None:
    async with hidden() as (_, proxy, _, port), through(port) as transport:
        async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
            response = await http.post(f"http://{host}:8090{PARAMETERS}", content=b"{}")
        assert response.json() == ANSWERS[PARAMETERS]
        assert proxy.asked == [(NAME, host, 8090)]


async def test_an_http_proxy_is_told_the_whole_url() -> None:
    node = NodeOnASocket(ANSWERS)
    async with listening(node.serve) as server, through(port_of(server), scheme="http") as way:
        async with httpx.AsyncClient(transport=way, trust_env=False) as http:
            response = await http.post(f"http://node.invalid{PARAMETERS}", content=b"{}")
        assert response.json() == ANSWERS[PARAMETERS]
        assert node.heads[0].startswith(f"POST http://node.invalid{PARAMETERS} ")


@pytest.mark.parametrize("scheme", ["socks5h", "http"])
async def test_while_the_proxy_is_down_no_connection_reaches_the_node(scheme: str) -> None:
    node = NodeOnASocket(ANSWERS)
    async with listening(node.serve) as server:
        url = f"http://127.0.0.1:{port_of(server)}{PARAMETERS}"
        async with (
            through(await free_port(), scheme=scheme) as transport,
            httpx.AsyncClient(transport=transport, trust_env=False) as http,
        ):
            for _ in range(3):
                with pytest.raises(httpx.ProxyError, match="away"):
                    await http.post(url, content=b"{}")
        assert node.connections == 0
        async with httpx.AsyncClient(trust_env=False) as direct:
            assert (await direct.post(url, content=b"{}")).status_code == 200
        assert node.connections == 1, "the node could have been reached"


async def test_a_proxy_that_goes_away_takes_the_node_with_it() -> None:
    node = NodeOnASocket(ANSWERS)
    async with listening(node.serve) as behind, AsyncExitStack() as proxying:
        proxy = SocksProxy(port=port_of(behind))
        before = await proxying.enter_async_context(listening(proxy.serve))
        there = f"http://127.0.0.1:{port_of(behind)}"
        async with node_behind(port_of(before), url=there) as http:
            await asked_of(http)
            await proxying.aclose()
            for _ in range(3):
                with pytest.raises(NodeUnavailable):
                    await asked_of(http)
                with pytest.raises(NodeUnavailable):
                    await http.get(HISTORY, {})
    assert node.connections == 1


async def test_a_proxy_that_refuses_makes_the_node_unavailable() -> None:
    async with hidden(code=REFUSED) as (node, proxy, _, port), node_behind(port) as http:
        with pytest.raises(NodeUnavailable):
            await asked_of(http)
    assert len(proxy.asked) == 1
    assert node.connections == 0


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x05",
        b"\x05\xff",
        b"\x05\x02",
        b"\x04\x00",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x05\x00\x05",
        b"\x05\x00\x05\x00\x00\x01",
        b"\x05\x00\x05\x63\x00\x01" + bytes(6),
        b"\x05\x00\x05\x00\x00\x09" + bytes(6),
    ],
)
async def test_what_is_no_answer_of_a_proxy_is_no_answer_of_the_node(said: bytes) -> None:
    async def babble(reader: Reader, writer: Writer) -> None:
        await reader.read(64)
        writer.write(said[:2])
        if len(said) > 2:
            await reader.read(64)
            writer.write(said[2:])
        await writer.drain()

    async with listening(babble) as server, node_behind(port_of(server)) as http:
        with pytest.raises(NodeUnavailable):
            await asked_of(http)


def certificate(folder: Path) -> ssl.SSLContext:
    """A certificate of the node's name that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node.example")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2120, 1, 1, tzinfo=UTC),
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName("node.example")]), critical=False)
    path = folder / "node.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def test_whoever_runs_the_last_relay_cannot_play_the_node(tmp_path: Path) -> None:
    node = NodeOnASocket(ANSWERS)
    async with listening(node.serve, tls=certificate(tmp_path)) as behind:
        proxy = SocksProxy(port=port_of(behind))
        async with (
            listening(proxy.serve) as before,
            node_behind(port_of(before), url="https://node.example") as http,
        ):
            with pytest.raises(NodeUnavailable):
                await asked_of(http)
    assert proxy.asked == [(NAME, "node.example", 443)]
    assert node.heads == []


async def test_a_proxy_that_says_nothing_is_given_up() -> None:
    async def silent(reader: Reader, writer: Writer) -> None:
        await reader.read()
        writer.close()

    async with listening(silent) as server, node_behind(port_of(server)) as http:
        with pytest.raises(NodeUnavailable):
            await asked_of(http)


class SocksProxyThatStalls:
    """Takes connections and says nothing, until it is told to go on."""

    def __init__(self, *, port: int) -> None:
        self._proxy = SocksProxy(port=port)
        self.stalled = 0
        self.is_stalling = True

    async def serve(self, reader: Reader, writer: Writer) -> None:
        if not self.is_stalling:
            await self._proxy.serve(reader, writer)
            return
        self.stalled += 1
        await reader.read()  # until the caller has gone


MORE_THAN_THERE_ARE = len(Lane) + 2
"""One connection for each lane is all there is."""


async def test_a_proxy_that_stalled_is_asked_again_however_often_it_did() -> None:
    node = NodeOnASocket(ANSWERS)
    async with listening(node.serve) as behind:
        proxy = SocksProxyThatStalls(port=port_of(behind))
        async with (
            listening(proxy.serve) as before,
            node_behind(port_of(before), timeout_s=0.3) as http,
        ):
            for _ in range(MORE_THAN_THERE_ARE):
                with pytest.raises(NodeUnavailable):
                    await asked_of(http)
            assert proxy.stalled == MORE_THAN_THERE_ARE
            proxy.is_stalling = False
            assert await asked_of(http) == ANSWERS[PARAMETERS]


@pytest.mark.parametrize("said", [b"", b"this is no TLS"])
@pytest.mark.parametrize(("timeout_s", "connect_timeout_s"), [(0.1, 9), (9, 0.1)])
async def test_what_fails_behind_an_http_proxy_keeps_no_connection(
    said: bytes, timeout_s: float, connect_timeout_s: float
) -> None:
    closed: asyncio.Queue[None] = asyncio.Queue()

    async def tunnel(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + said)
        await reader.read()
        closed.put_nowait(None)

    async with (
        listening(tunnel) as server,
        node_behind(
            port_of(server),
            url="https://node.example",
            scheme="http",
            timeout_s=timeout_s,
            connect_timeout_s=connect_timeout_s,
        ) as http,
    ):
        for _ in range(MORE_THAN_THERE_ARE):
            with pytest.raises(NodeUnavailable):
                await asked_of(http)
            async with asyncio.timeout(9):
                await closed.get()


async def test_a_connection_through_the_proxy_serves_many_calls_and_no_more_are_open() -> None:
    async with hidden() as (node, _, _, port), node_behind(port) as http:
        for _ in range(MORE_THAN_THERE_ARE):
            await asked_of(http)
        assert node.connections == 1
        await asyncio.gather(*(asked_of(http) for _ in range(20)))
        assert node.connections <= len(Lane)


@pytest.mark.parametrize(
    "url",
    [
        "socks5://tor:9050",
        "socks4://tor:9050",
        "https://tor:9050",
        "tor:9050",
        "",
        "socks5h://tor",
        "socks5h://:9050",
        "socks5h://tor:90500",
        "socks5h://user:secret@tor:9050",
        "socks5h://user@tor:9050",
        "socks5h://tor:9050/path",
        "socks5h://tor:9050?key=secret",
    ],
)
def test_a_proxy_that_cannot_be_used_safely_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        check_proxy(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("urls", "proxy_url"),
    [
        (["https://node.example"], None),
        (["http://10.0.0.5:8090"], None),
        (["https://node.example", f"http://{ONION}:8090"], "socks5h://tor:9050"),
        (["http://node.example"], "http://proxy:8888"),
    ],
)
def test_nodes_are_reached_where_nothing_is_given_away(
    urls: list[str], proxy_url: str | None
) -> None:
    check_reach(urls, proxy_url)


@pytest.mark.parametrize(
    ("urls", "proxy_url"),
    [
        ([f"http://{ONION}"], None),
        ([f"https://{ONION.upper()}"], None),
        (["https://node.example", "http://node.example"], "socks5h://tor:9050"),
        (["http://notonion.example"], "socks5h://tor:9050"),
        (["http://aonion"], "socks5h://tor:9050"),
    ],
)
def test_what_would_be_given_away_on_the_way_to_a_node_is_refused(
    urls: list[str], proxy_url: str | None
) -> None:
    with pytest.raises(Exposed):
        check_reach(urls, proxy_url)

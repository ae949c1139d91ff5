"""Calls outside go to public addresses that were just checked, and nowhere else."""

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shared.clock import SystemClock
from shared.outbound import (
    CONNECTIONS,
    LOOPBACK,
    Outbound,
    OutboundFailed,
    OutboundRefused,
    OutboundSettings,
    is_public,
    parse_networks,
)
from shared.tron.networks import Network

PUBLIC = "203.0.114.7"


class Names:
    """A name service whose answers change with every question."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(f"{host}:{port}")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not answer:
            raise OSError("no such name")
        return answer


class Wire:
    """The connections, recorded."""

    def __init__(self, answer: httpx.Response | Exception | None = None) -> None:
        self.answer = answer or httpx.Response(204, stream=httpx.ByteStream(b""))
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def outbound(
    names: Names, wire: Wire, *, networks: str = "", proxy_url: str | None = None
) -> Outbound:
    return Outbound(
        allowed=parse_networks(networks),
        timeout_s=2,
        max_answer_bytes=10,
        proxy_url=proxy_url,
        resolver=names,
        transport=httpx.MockTransport(wire),
    )


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - an address, not a socket
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "2002:0a00:0001::1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
async def test_addresses_inside_are_refused_however_they_are_wrapped(text: str) -> None:
    assert not is_public(ip_address(text))
    wire = Wire()
    way = outbound(Names([text]), wire)
    with pytest.raises(OutboundRefused):
        await way.post("https://shop.example/", content=b"", headers={})
    literal = f"[{text}]" if ":" in text else text
    with pytest.raises(OutboundRefused):
        await way.post(f"https://{literal}/", content=b"", headers={})
    assert wire.requests == []


@pytest.mark.parametrize("text", [PUBLIC, "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_public(text: str) -> None:
    assert is_public(ip_address(text))


async def test_one_bad_address_among_good_ones_is_enough_to_refuse() -> None:
    with pytest.raises(OutboundRefused):
        await outbound(Names([PUBLIC, "10.0.0.1"]), Wire()).check("https://shop.example/")


async def test_a_name_that_changes_its_mind_moves_nothing() -> None:
    names, wire = Names([PUBLIC], ["127.0.0.1"]), Wire()
    way = outbound(names, wire)
    await way.post("https://shop.example:8443/a?b=c", content=b"x", headers={"A": "b"})
    (request,) = wire.requests
    assert str(request.url) == f"https://{PUBLIC}:8443/a?b=c"
    assert request.headers["host"] == "shop.example:8443"
    assert request.extensions["sni_hostname"] == "shop.example"
    assert names.asked == ["shop.example:8443"]
    with pytest.raises(OutboundRefused):  # asked and checked anew each time
        await way.post("https://shop.example:8443/a?b=c", content=b"x", headers={})
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/",
        "ftp://shop.example/",
        "https:///nowhere",
        "https://u:p@shop.example/",
        "https://shop.example/" + "x" * 3_000,
        "nonsense",
    ],
)
async def test_odd_urls_are_refused(url: str) -> None:
    with pytest.raises(OutboundRefused):
        await outbound(Names([PUBLIC]), Wire()).check(url)


async def test_networks_may_be_allowed_on_purpose_and_then_without_tls() -> None:
    wire = Wire()
    way = outbound(Names(["10.9.0.5"]), wire, networks="10.9.0.0/16, fd00::/8")
    answer = await way.post("http://shop.internal/", content=b"", headers={})
    assert answer.status == 204
    with pytest.raises(OutboundRefused):
        await way.check("https://10.8.0.1/")


async def test_redirects_are_answers() -> None:
    wire = Wire(
        httpx.Response(307, headers={"location": "http://127.0.0.1/"}, stream=httpx.ByteStream(b""))
    )
    answer = await outbound(Names([PUBLIC]), wire).post(
        "https://shop.example/", content=b"", headers={}
    )
    assert answer.status == 307
    assert len(wire.requests) == 1


async def test_answers_are_read_up_to_a_limit_and_never_unpacked() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"12345678"

    wire = Wire(httpx.Response(200, content=endless()))
    answer = await outbound(Names([PUBLIC]), wire).post(
        "https://shop.example/", content=b"", headers={}
    )
    assert (answer.content, answer.truncated) == (b"1234567812", True)
    packed = gzip.compress(b"0" * 1_000_000)
    wire = Wire(
        httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(packed))
    )
    answer = await outbound(Names([PUBLIC]), wire).post(
        "https://shop.example/", content=b"", headers={}
    )
    assert answer.content == packed[:10]


@pytest.mark.parametrize("error", [httpx.ConnectError("no"), httpx.ReadTimeout("slow")])
async def test_no_answer_is_said_without_the_address(error: Exception) -> None:
    with pytest.raises(OutboundFailed, match=type(error).__name__):
        await outbound(Names([PUBLIC]), Wire(error)).post(
            "https://shop.example/", content=b"", headers={}
        )


async def test_names_without_an_address_fail() -> None:
    with pytest.raises(OutboundFailed):
        await outbound(Names([]), Wire()).check("https://shop.example/")


async def test_a_call_ends_in_time_whatever_the_name_service_does() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return [host, str(port)]

    way = Outbound(allowed=(), timeout_s=0.01, max_answer_bytes=1, resolver=never)
    with pytest.raises(OutboundFailed):
        await way.post("https://shop.example/", content=b"", headers={})
    with pytest.raises(OutboundFailed):
        await way.check("https://shop.example/")
    await way.aclose()


async def test_a_proxy_resolves_names_but_is_not_asked_for_addresses_inside() -> None:
    names, wire = Names([]), Wire()
    way = outbound(names, wire, proxy_url="http://proxy:3128")
    await way.check("https://shop.example/hook")
    assert names.asked == []
    for url in (
        "https://10.0.0.1/",
        "https://0x7f.1/",
        "http://shop.example/",
        "https://2130706433/",
    ):
        with pytest.raises(OutboundRefused):
            await way.check(url)


async def test_a_target_whose_certificate_is_bad_keeps_no_connection_of_a_proxy() -> None:
    """One webhook that is tried again for days must not stop all others."""
    over: asyncio.Queue[None] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            await reader.read(1)
            writer.write(b"this is no TLS")
            await reader.read()
        with contextlib.suppress(OSError):
            writer.close()
            await writer.wait_closed()
        over.put_nowait(None)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    way = Outbound(
        allowed=(),
        timeout_s=2,
        max_answer_bytes=10,
        proxy_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
    )
    for _ in range(CONNECTIONS + 1):
        with pytest.raises(OutboundFailed):
            await way.post("https://shop.example/", content=b"", headers={})
        async with asyncio.timeout(9):
            await over.get()
    await way.aclose()
    server.close()
    await server.wait_closed()


async def test_connections_reach_the_checked_address_for_real() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    way = Outbound(
        allowed=LOOPBACK, timeout_s=5, max_answer_bytes=10, resolver=Names(["127.0.0.1"])
    )
    answer = await way.post(f"http://shop.example:{port}/x", content=b"hi", headers={"A": "b"})
    await way.aclose()
    server.close()
    await server.wait_closed()
    assert (answer.status, answer.content) == (200, b"ok")
    assert f"host: shop.example:{port}".encode() in heard[0].lower()


def certificate_for(name: str, folder: Path) -> Path:
    """Make a certificate that vouches for itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = datetime.fromtimestamp(SystemClock().now_ms() // 1_000, tz=UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=3))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        made.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


async def test_the_certificate_is_checked_for_the_name_and_not_for_the_address(
    tmp_path: Path,
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    pem = certificate_for("shop.example", tmp_path)
    at_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    at_server.load_cert_chain(pem)
    trusting = ssl.create_default_context(cafile=str(pem))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=at_server)
    port = server.sockets[0].getsockname()[1]
    way = Outbound(
        allowed=LOOPBACK,
        timeout_s=5,
        max_answer_bytes=10,
        resolver=Names(["127.0.0.1"]),
        transport=httpx.AsyncHTTPTransport(verify=trusting, trust_env=False),
    )
    answer = await way.post(f"https://shop.example:{port}/", content=b"", headers={})
    assert answer.content == b"ok"
    with pytest.raises(OutboundFailed, match="ConnectError"):
        await way.post(f"https://other.example:{port}/", content=b"", headers={})
    await way.aclose()
    server.close()
    await server.wait_closed()


def test_loopback_is_allowed_on_the_devnet_alone(tmp_path: Path) -> None:
    devnet = OutboundSettings(tron_network=Network.DEVNET, data_dir=tmp_path)
    nile = OutboundSettings(
        tron_network=Network.NILE, data_dir=tmp_path, outbound_allowed_networks="10.0.0.0/8"
    )
    assert devnet.outbound_networks() == LOOPBACK
    assert nile.outbound_networks() == parse_networks("10.0.0.0/8")

import asyncio
import json
import time
from collections.abc import Callable

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.access import Scope
from shared.auth import ServiceIdentity
from shared.clock import HeldClock
from shared.errors import Unavailable
from shared.logs import request_id
from shared.models.wire import ConsumerRequest, ConsumerView, Request
from shared.peers.caller import PeerHttp, PeerRefused, PeerUnavailable, absent
from shared.peers.devnet import DevnetClock
from shared.peers.wallet_manager import WalletManagerPeer
from tests.support import START_MS

VIEW = {"name": "gateway", "cursor": "a.1", "invented_later": True}
PROBLEM = {
    "type": "urn:lucid:problem:LUCID_ERR_1402",
    "title": "Insufficient funds",
    "status": 409,
    "code": "LUCID_ERR_1402",
    "detail": "the wallet has 3",
    "instance": "/x",
    "request_id": "theirs",
    "available": "3",
    "self": "an odd name for a fact",
    "retry_after_s": "soon",
}


class Empty(Request):
    """A body without fields."""


class Sibling:
    """Plays a sibling: gives the scripted answers in order, the last one for ever."""

    def __init__(self, *script: httpx.Response | Exception) -> None:
        self._script = list(script)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class NobodyAnswers(httpx.AsyncBaseTransport):
    """Takes every request and never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError


def fine() -> httpx.Response:
    return httpx.Response(200, json=VIEW)


def peer_of(
    transport: Callable[[httpx.Request], httpx.Response] | httpx.AsyncBaseTransport,
    *,
    attempts: int = 3,
    timeout_s: float = 5,
    deadline_s: float = 30,
    monotonic: Callable[[], float] = time.monotonic,
) -> PeerHttp:
    if not isinstance(transport, httpx.AsyncBaseTransport):
        transport = httpx.MockTransport(transport)
    return PeerHttp(
        peer="wallet-manager",
        base_url="http://wallet-manager:8093/",
        client=httpx.AsyncClient(transport=transport, timeout=60),
        identity=ServiceIdentity(
            service="payout-router",
            private_key=Ed25519PrivateKey.generate(),
            clock=HeldClock(START_MS),
        ),
        timeout_s=timeout_s,
        deadline_s=deadline_s,
        attempts=attempts,
        monotonic=monotonic,
    )


async def get(peer: PeerHttp) -> ConsumerView:
    return await peer.get("/x", ConsumerView, scope=Scope.WALLETS_READ)


async def test_a_call_carries_a_token_for_this_sibling_and_scope_alone() -> None:
    sibling = Sibling(fine())
    await get(peer_of(sibling))
    (request,) = sibling.requests
    scheme, token = request.headers["authorization"].split()
    claims = jwt.decode(token, options={"verify_signature": False})
    assert scheme == "Bearer"
    assert (claims["iss"], claims["sub"]) == ("payout-router", "payout-router")
    assert (claims["aud"], claims["scope"]) == ("wallet-manager", "wallets:read")
    assert str(request.url) == "http://wallet-manager:8093/x"


async def test_the_id_of_the_request_goes_along() -> None:
    sibling = Sibling(fine())
    marker = request_id.set("req-7")
    await get(peer_of(sibling))
    request_id.reset(marker)
    await get(peer_of(sibling))
    assert [request.headers.get("x-request-id") for request in sibling.requests] == ["req-7", None]


async def test_a_repeated_post_carries_the_same_key_and_body() -> None:
    sibling = Sibling(httpx.ReadError("lost"), fine())
    view = await peer_of(sibling).post_keyed(
        "/x", ConsumerRequest(cursor="a.1"), ConsumerView, scope=Scope.WALLETS_SEND, key="order-1"
    )
    assert view.cursor == "a.1"
    assert [request.headers["idempotency-key"] for request in sibling.requests] == ["order-1"] * 2
    assert [json.loads(request.content) for request in sibling.requests] == [{"cursor": "a.1"}] * 2


async def test_a_post_without_a_key_sends_none() -> None:
    sibling = Sibling(fine())
    await peer_of(sibling).post_keyed("/x", Empty(), ConsumerView, scope=Scope.WALLETS_SEND)
    assert "idempotency-key" not in sibling.requests[0].headers


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("cut off"),
        httpx.ReadTimeout("slow"),
        httpx.Response(500),
        httpx.Response(502, text="<html>"),
        httpx.Response(503, json={"detail": "not ready"}),
    ],
)
async def test_trouble_on_the_way_is_tried_again(trouble: httpx.Response | Exception) -> None:
    sibling = Sibling(trouble, fine())
    assert (await get(peer_of(sibling))).name == "gateway"
    assert len(sibling.requests) == 2


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_tries_are_counted(attempts: int) -> None:
    sibling = Sibling(httpx.ConnectError("refused"))
    with pytest.raises(PeerUnavailable, match="ConnectError") as refusal:
        await get(peer_of(sibling, attempts=attempts))
    assert len(sibling.requests) == attempts
    assert refusal.value.status == 503
    assert refusal.value.facts == {"peer": "wallet-manager"}


@pytest.mark.parametrize("status", [401, 408, 429, 500, 302, 304])
async def test_what_is_no_answer_is_unknown(status: int) -> None:
    with pytest.raises(PeerUnavailable, match=f"answered {status}"):
        await get(peer_of(Sibling(httpx.Response(status)), attempts=1))


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 422])
async def test_a_refusal_is_passed_on_as_it_stands_and_never_repeated(status: int) -> None:
    sibling = Sibling(httpx.Response(status, json={**PROBLEM, "status": status}))
    with pytest.raises(PeerRefused) as refusal:
        await get(peer_of(sibling))
    error = refusal.value
    assert len(sibling.requests) == 1
    assert (error.peer, error.status, error.code) == ("wallet-manager", status, "LUCID_ERR_1402")
    assert (error.title, error.detail) == ("Insufficient funds", "the wallet has 3")
    assert error.facts["available"] == "3"
    assert error.retry_after_s is None
    assert absent(error) == (status == 404)
    told = error.document(request_id="ours", instance="/here")
    assert (told["request_id"], told["instance"]) == ("ours", "/here")


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1]", b"null", b"\xff\xfe", b'{"code": 7}'])
async def test_a_refusal_without_a_document_is_still_a_refusal(content: bytes) -> None:
    with pytest.raises(PeerRefused) as refusal:
        await get(peer_of(Sibling(httpx.Response(409, content=content))))
    assert refusal.value.status == 409
    assert refusal.value.detail == "wallet-manager answered 409"


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[]", b"{}", b'{"name": "x"}', b"\xff", b"null"]
)
async def test_an_answer_that_is_not_understood_is_unknown(content: bytes) -> None:
    with pytest.raises(PeerUnavailable, match="no ConsumerView"):
        await get(peer_of(Sibling(httpx.Response(200, content=content))))


async def test_a_sibling_that_never_answers_is_left_at_the_deadline() -> None:
    silent = NobodyAnswers()
    async with asyncio.timeout(5):
        with pytest.raises(PeerUnavailable, match="TimeoutError"):
            await get(peer_of(silent, attempts=2, timeout_s=0.01))
    assert silent.asked == 2


async def test_no_try_begins_after_the_deadline_of_the_whole_call() -> None:
    sibling = Sibling(httpx.Response(503), httpx.Response(503), fine())
    seconds = iter(range(0, 100, 5))
    peer = peer_of(sibling, attempts=3, deadline_s=9, monotonic=lambda: float(next(seconds)))
    with pytest.raises(PeerUnavailable, match="503"):
        await get(peer)
    assert len(sibling.requests) == 1


async def test_a_sibling_that_was_asked_to_wait_has_that_time_too() -> None:
    async def answer_late(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.03)
        return fine()

    peer = peer_of(httpx.MockTransport(answer_late), attempts=1, timeout_s=0.01)
    view = await peer.get("/x", ConsumerView, scope=Scope.WALLETS_READ, wait_s=5)
    assert view.name == "gateway"


async def test_a_cancelled_call_is_not_taken_for_an_unknown_one() -> None:
    call = asyncio.create_task(get(peer_of(NobodyAnswers())))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a?b=c", "a#b", "a b", "", "%2e", "\u00e4"])
async def test_h18_a_name_from_outside_never_changes_which_route_is_called(name: str) -> None:
    sibling = Sibling(fine())
    with pytest.raises(PeerRefused) as refusal:
        await WalletManagerPeer(peer_of(sibling)).wallet(name)
    assert absent(refusal.value)
    assert sibling.requests == []


async def test_the_devnets_time_is_read() -> None:
    sibling = Sibling(httpx.Response(200, json={"now_ms": 7, "speed": 20}))
    async with httpx.AsyncClient(transport=httpx.MockTransport(sibling)) as client:
        clock = DevnetClock(control_url="http://devnet:18099/", client=client)
        reading = await clock.read()
    assert (reading.now_ms, reading.speed) == (7, 20.0)
    assert str(sibling.requests[0].url) == "http://devnet:18099/devnet/clock"


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("refused"),
        httpx.Response(500),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, content=b"\xff"),
        httpx.Response(200, json={"now_ms": "x"}),
    ],
)
async def test_a_devnet_that_does_not_tell_the_time_is_unavailable(
    answer: httpx.Response | Exception,
) -> None:
    transport = httpx.MockTransport(Sibling(answer))
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(Unavailable):
            await DevnetClock(control_url="http://devnet:18099", client=client).read()

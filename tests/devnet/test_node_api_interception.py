"""The one place where a reply can be changed, held back or broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest

from devnet.api.app import NodeApi
from devnet.api.exchange import Answer, HttpRequest, Lost, Reply
from devnet.api.replies import (
    closed_by_config,
    closed_on_lite_node,
    json_reply,
    out_of_resources,
)
from devnet.app import Running
from devnet.background import in_background
from devnet.faults import Faults
from devnet.node import Node
from devnet.settings import Settings


class Liar:
    """Lets the node answer, and changes one field of what it says."""

    async def __call__(self, request: HttpRequest, answer: Answer) -> Reply | Lost:
        reply = await answer(request)
        if request.path != "/wallet/getpendingsize" or isinstance(reply, Lost):
            return reply
        document = msgspec.json.decode(reply.body)
        return json_reply({**document, "pendingSize": document["pendingSize"] + 1_000})


class Diverter:
    """Asks the node something else than the client did."""

    async def __call__(self, request: HttpRequest, answer: Answer) -> Reply | Lost:
        return await answer(replace(request, path="/wallet/getnextmaintenancetime"))


class Says:
    """Answers in the node's place."""

    def __init__(self, reply: Reply | Lost) -> None:
        self.reply = reply
        self.seen: list[HttpRequest] = []

    async def __call__(self, request: HttpRequest, answer: Answer) -> Reply | Lost:  # noqa: ARG002 (it asks nobody)
        self.seen.append(request)
        return self.reply


async def test_a_reply_can_be_changed(world: Any, client: Any) -> None:
    world.devnet.node_app.interceptors.insert(0, Liar())

    assert await client.post("/wallet/getpendingsize") == {"pendingSize": 1_000}


async def test_a_request_can_be_changed(world: Any, client: Any) -> None:
    world.devnet.node_app.interceptors.append(Diverter())

    assert set(await client.post("/wallet/getpendingsize")) == {"num"}


async def test_the_outermost_interceptor_has_the_last_word(world: Any, client: Any) -> None:
    inner = Says(json_reply({"pendingSize": 1}))
    world.devnet.node_app.interceptors[:] = [Liar(), inner]

    assert await client.post("/wallet/getpendingsize") == {"pendingSize": 1_001}
    assert [each.path for each in inner.seen] == ["/wallet/getpendingsize"]


async def test_an_interceptor_sees_the_request_as_it_came(world: Any, client: Any) -> None:
    spy = Says(Reply())
    world.devnet.node_app.interceptors.insert(0, spy)
    await client.http.post("/wallet/x?a=b", content=b"body", headers={"TRON-PRO-API-KEY": "k"})

    seen = spy.seen[0]
    assert (seen.method, seen.path, seen.query, seen.body) == (
        "POST",
        "/wallet/x",
        b"a=b",
        b"body",
    )
    assert seen.headers["tron-pro-api-key"] == "k"


async def test_every_request_is_counted_answered_or_not(world: Any, client: Any) -> None:
    world.devnet.node_app.interceptors.insert(0, Says(Reply(status=500)))
    await client.http.get("/wallet/getnowblock")
    await client.http.get("/v1/accounts/x")

    assert dict(world.devnet.node_app.requests) == {
        "/wallet/getnowblock": 1,
        "/v1/accounts/x": 1,
    }


async def test_ten_thousand_paths_are_counted_apart(world: Any, client: Any) -> None:
    counted = world.devnet.node_app.requests
    counted.update(f"/{number}" for number in range(9_999))
    for path in ("/a", "/b", "/c", "/a", "/1"):
        await client.http.get(path)

    assert (len(counted), counted["(other)"]) == (10_001, 2)
    assert (counted["/a"], counted["/1"]) == (2, 2)


@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [
        (
            out_of_resources(),
            200,
            b'{"Error":"class java.lang.IllegalAccessException : lack of computing resources"}',
        ),
        (closed_by_config(), 404, b'{"Error":"this API is unavailable due to config"}'),
        (
            closed_on_lite_node(),
            200,
            b"this API is closed because this node is a lite fullnode",
        ),
        (
            Reply(body=b"<html>", content_type="text/html", headers={"retry-after": "5"}),
            200,
            b"<html>",
        ),
    ],
)
async def test_a_node_without_time_says_so(
    world: Any, client: Any, reply: Reply, status: int, body: bytes
) -> None:
    world.devnet.node_app.interceptors.insert(0, Says(reply))
    response = await client.http.post("/wallet/getnowblock")

    assert (response.status_code, response.content) == (status, body)
    assert response.headers["content-type"] == reply.content_type
    assert response.headers.get("retry-after") == (reply.headers or {}).get("retry-after")


@pytest.fixture
def running() -> Iterator[Running]:
    with in_background(Settings(port=0, control_port=0, speed=0)) as running:
        yield running


def test_a_connection_can_break_before_the_reply(running: Running) -> None:
    running.devnet.node_app.interceptors.insert(0, Says(Lost()))

    with pytest.raises(httpx.TransportError):
        httpx.get(f"{running.node_url}/wallet/getnowblock")


def test_a_body_can_end_in_the_middle(running: Running) -> None:
    whole = Reply(body=b'{"blockID":"00"}', cut_after=7)
    running.devnet.node_app.interceptors.insert(0, Says(whole))

    with httpx.stream("GET", f"{running.node_url}/wallet/getnowblock") as response:
        chunks = response.iter_raw()
        assert response.headers["content-length"] == "16"
        assert next(chunks) == b'{"block'
        with pytest.raises(httpx.RemoteProtocolError):
            next(chunks)


def test_a_broken_reply_leaves_the_listener_well(running: Running) -> None:
    cut = Says(Reply(body=b"12345678", cut_after=0))
    running.devnet.node_app.interceptors.insert(0, cut)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{running.node_url}/wallet/getnowblock")
    running.devnet.node_app.interceptors.remove(cut)

    assert "blockID" in httpx.get(f"{running.node_url}/wallet/getnowblock").json()


async def test_two_nodes_on_one_chain_are_asked_and_broken_apart(world: Any) -> None:
    behind = Node(chain=world.node.chain, clock=world.node.clock, faults=Faults())
    behind.lag(3)
    second = NodeApi(node=behind, faults=Faults())
    second.interceptors.insert(0, Liar())
    world.mine(9)

    async def asked(app: NodeApi, path: str) -> Any:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
            return (await http.post(path)).json()

    first = world.devnet.node_app
    newest = [await asked(app, "/wallet/getnowblock") for app in (first, second)]
    assert [each["block_header"]["raw_data"]["number"] for each in newest] == [10, 7]
    sizes = [await asked(app, "/wallet/getpendingsize") for app in (first, second)]
    assert sizes == [{"pendingSize": 0}, {"pendingSize": 1_000}]
    assert (first.requests.total(), second.requests.total()) == (2, 2)

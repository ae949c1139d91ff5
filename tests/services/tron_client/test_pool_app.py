"""The whole service over two nodes: what an operator sees, and when signing stops."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from services.tron_client.app import create
from services.tron_client.settings import Settings
from shared.web.runtime import Runtime
from tests.services.tron_client.bench import Wire, World
from tests.services.tron_client.calling import Caller
from tests.support import Keys, serving, settings_in

SECOND = "http://node.example:8090"
KEY = "a-key-that-nobody-sees"


class TwoNodes(httpx.AsyncBaseTransport):
    """The way to two nodes: the devnet's, and one that a test plays."""

    def __init__(self, world: World, second: httpx.AsyncBaseTransport) -> None:
        self.is_first_cut = False
        self.second = second
        self._first = Wire(world.devnet)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "node.example":
            assert request.headers["tron-pro-api-key"] == KEY
            return await self.second.handle_async_request(request)
        assert "tron-pro-api-key" not in request.headers
        if self.is_first_cut:
            raise httpx.ConnectError("cut", request=request)
        return await self._first.handle_async_request(request)


@asynccontextmanager
async def called(world: World, path: Path, way: TwoNodes, **changes: Any) -> AsyncIterator[Caller]:
    settings = settings_in(path, Settings, scan_interval_ms=20, second_node_url=SECOND, **changes)
    runtime = Runtime(service="tron-client", settings=settings, clock=world.devnet.node.clock)
    keys = Keys(path, runtime.clock)
    secret = path / "secrets" / "tron-client" / "second-api-key"
    secret.write_text(KEY)
    secret.chmod(0o600)
    app = create(settings, runtime, node_transport=way)
    async with serving(app) as http:
        yield Caller(http=http, keys=keys, world=world, app=app)


async def looked_after(caller: Caller) -> dict[str, dict[str, Any]]:
    """Have the nodes looked after and compared now, and return what ``/status`` says of each."""
    service = caller.service()
    await service.endpoints.look()
    await service.endpoints.watch()
    await service.operators.compare()
    status = (await caller.http.get("/status", headers=caller.keys.person())).json()
    return {each["name"]: each for each in status["details"]["nodes"]}


async def test_h17_a_second_node_of_another_network_stops_signing_and_is_shown(
    world: World, tmp_path: Path
) -> None:
    """It was of this one until its connection broke: each node is compared whenever it comes back."""

    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("away", request=request)

    def other(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"blockID": "ab" * 32})

    way = TwoNodes(world, Wire(world.devnet))
    async with called(world, tmp_path, way) as caller:
        await caller.until_ready()
        nodes = await looked_after(caller)
        assert nodes["second"]["state"] == "ready"
        for answer in (away, other):
            way.second = httpx.MockTransport(answer)
            nodes = await looked_after(caller)
        assert nodes["second"]["state"] == "wrong_chain"
        assert nodes["devnet"]["state"] == "ready"
        assert KEY not in str(nodes)
        context = await caller.read("/chain/signing-context")
        assert context["paused"].startswith("wrong_chain: http://node.example:8090 is of another")


async def test_the_second_node_is_followed_while_the_first_is_away(
    world: World, tmp_path: Path
) -> None:
    way = TwoNodes(world, Wire(world.devnet))
    async with called(world, tmp_path, way) as caller:
        await caller.until_ready()
        nodes = await looked_after(caller)
        assert [(each["operator"], each["url"]) for each in nodes.values()] == [
            ("own", "http://127.0.0.1:18090"),
            ("node.example", SECOND),
        ]
        assert {each["height"] for each in nodes.values()} == {world.devnet.node.chain.head.number}
        context = await caller.read("/chain/signing-context")
        assert (context["operators"], context["paused"]) == (2, None)
        way.is_first_cut = True
        world.mine(3)
        await caller.until_ready()
        for _ in range(3):
            nodes = await looked_after(caller)
        assert nodes["devnet"]["state"] == "open"
        assert nodes["second"]["state"] == "ready"
        context = await caller.read("/chain/signing-context")
        assert context["operators"] == 1, "what one operator says twice is one word"

"""A node's key goes to the node and nowhere else, whatever the node does with it."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from devnet.genesis import GENESIS_BLOCK_ID
from services.tron_client.node import Endpoint, Lane, NodeCounters, NodeHttp, Treatment
from services.tron_client.node.errors import NodeRefused, NodeUnavailable, WrongChain
from shared.metrics import Metrics

KEY = "0ab1c2d3-secret-key"
GENESIS = "/wallet/getblockbynum"

ECHOES = [
    httpx.Response(200, json={"Error": f"ApiKey {KEY} not exists"}),
    httpx.Response(401, json={"Error": f"ApiKey {KEY} not exists"}),
    httpx.Response(403, json={"Error": f"{KEY} exceeds; the query server is suspended for 5 s"}),
    httpx.Response(429, text=KEY),
    httpx.Response(500, json={"error": KEY}),
    httpx.Response(502, text=f"<html>{KEY}</html>"),
    httpx.Response(200, text=KEY),
    httpx.Response(200, json={"success": False, "error": KEY, "statusCode": 400}),
    httpx.Response(200, json={"Error": f"lack of computing resources for {KEY}"}),
    httpx.ConnectError(KEY),
    httpx.ReadTimeout(KEY),
]


class NodeThatRepeatsTheKey:
    """Knows its genesis block, and then answers as it is told."""

    def __init__(self, answer: Any, genesis: str) -> None:
        self.answer = answer
        self.genesis = genesis
        self.keys: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.keys.append(request.headers.get("tron-pro-api-key", request.url.path.split("/")[1]))
        if request.url.path.endswith(GENESIS):
            return httpx.Response(200, json={"blockID": self.genesis})
        if isinstance(self.answer, Exception):
            raise self.answer
        response: httpx.Response = self.answer
        return response


IN_A_HEADER = Endpoint(name="node", operator="somebody", url="https://node.example", api_key=KEY)
IN_THE_PATH = Endpoint(name="node", operator="somebody", url=f"https://node.example/{KEY}")


def node(play: NodeThatRepeatsTheKey, endpoint: Endpoint = IN_A_HEADER) -> NodeHttp:
    return NodeHttp(
        endpoint,
        Treatment(
            genesis_block_id=GENESIS_BLOCK_ID, timeout_s=20, connect_timeout_s=20, attempts=1
        ),
        counters=NodeCounters(Metrics()),
        transport=httpx.MockTransport(play),
        now_ms=lambda: 0,
    )


@pytest.mark.parametrize("endpoint", [IN_A_HEADER, IN_THE_PATH], ids=["header", "path"])
@pytest.mark.parametrize("answer", ECHOES)
async def test_no_error_and_no_log_repeats_the_key(
    answer: Any,
    endpoint: Endpoint,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    play = NodeThatRepeatsTheKey(answer, GENESIS_BLOCK_ID)
    http = node(play, endpoint)
    caplog.set_level(logging.WARNING, "httpx")  # as shared.logs has it
    with caplog.at_level(logging.DEBUG):
        for ask in (http.post("/wallet/x", {}, lane=Lane.READ), http.get("/v1/x", {"a": "b"})):
            with pytest.raises((NodeUnavailable, NodeRefused)) as refused:
                await ask
            document = refused.value.document(request_id="r", instance="/")
            assert KEY not in f"{refused.value!r} {document}"
    await http.close()
    assert set(play.keys) == {KEY}
    assert KEY not in f"{http.reason()} {http.url} {caplog.text}"
    assert KEY not in "".join(capsys.readouterr())


async def test_not_even_a_node_of_another_network_gets_the_key_into_an_error() -> None:
    http = node(NodeThatRepeatsTheKey(None, KEY))
    with pytest.raises(WrongChain) as refused:
        await http.post("/wallet/x", {}, lane=Lane.READ)
    await http.close()
    assert KEY not in refused.value.detail


async def test_an_answer_without_the_key_is_left_as_it_is() -> None:
    http = node(NodeThatRepeatsTheKey(httpx.Response(200, json={"a": KEY[:-1]}), GENESIS_BLOCK_ID))
    assert await http.post("/wallet/x", {}, lane=Lane.READ) == {"a": KEY[:-1]}
    await http.close()

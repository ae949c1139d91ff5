"""Which node is asked, which next, and when one is left alone."""

import asyncio
import re
import ssl
from typing import Any

import httpx
import pytest

from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.node import (
    Endpoint,
    Lane,
    NodeCounters,
    NodeHttp,
    NodePool,
    Treatment,
)
from services.tron_client.node.breakers import BreakerState
from services.tron_client.node.client import Node
from services.tron_client.node.errors import NodeRefused, NodeUnavailable, WrongChain
from services.tron_client.node.outcomes import Accepted, Rejected
from services.tron_client.node.pool import LAG_MS
from services.tron_client.node.wire import Head, NodeState
from shared.metrics import Metrics
from shared.tron.address import address_from_bytes
from tests.services.tron_client.pooling import (
    GENESIS,
    GENESIS_PATH,
    NOON_MS,
    PATH,
    Player,
    pooled,
)

GOOD = {"it": "is"}
SUSPENDED = httpx.Response(
    429,
    json={
        "Error": "request rate exceeded the allowed_rps(10), and the query server"
        " is suspended for 7 s"
    },
)
FORBIDDEN = httpx.Response(
    403,
    json={
        "success": False,
        "error": "The key exceeds the frequency limit(15), and the query server is suspended for 7s",
        "statusCode": 403,
    },
)


@pytest.mark.parametrize(
    "bad",
    [
        {"Error": "class java.lang.IllegalAccessException : lack of computing resources"},
        {"Error": "class org.tron.core.exception.BadItemException : no"},
        {"success": False, "error": "not today", "statusCode": 400},
        {"Error": "no", "statusCode": []},
        {"success": False, "error": "no", "statusCode": {}},
        httpx.Response(404, json={"Error": "this API is unavailable due to config"}),
        httpx.Response(200, text="this API is closed because this node is a lite fullnode"),
        httpx.Response(502, text="<html>"),
        httpx.Response(500, json={"any": "thing"}),
        SUSPENDED,
        FORBIDDEN,
        httpx.ReadTimeout("late"),
        httpx.ConnectError("away"),
        httpx.RemoteProtocolError("cut"),
        ssl.SSLError(1, "[SSL: APPLICATION_DATA_AFTER_CLOSE_NOTIFY]"),
    ],
)
async def test_what_one_node_does_not_answer_the_next_one_does(bad: Any) -> None:
    pooled_ = pooled(Player([bad]), Player([GOOD]))
    assert await pooled_.ask() == GOOD
    assert pooled_.counts() == [1, 1]


async def test_the_first_node_is_asked_alone_while_it_answers() -> None:
    pooled_ = pooled(Player([GOOD]), Player([GOOD]))
    for _ in range(5):
        await pooled_.ask()
    assert pooled_.counts() == [5, 0]


async def test_nodes_of_one_operator_and_priority_share_by_weight() -> None:
    one = {"operator": "ours", "priority": 0}
    pooled_ = pooled(Player([GOOD]), Player([GOOD]), endpoints=[one | {"weight": 9}, one])
    for _ in range(400):
        await pooled_.ask()
    assert sum(pooled_.counts()) == 400
    assert pooled_.counts()[0] > 2 * pooled_.counts()[1] > 0


async def test_h9_operators_of_one_priority_are_never_mixed() -> None:
    """What is read from both in turn could be borne out by neither."""
    same, heavy = {"priority": 0}, {"priority": 0, "weight": 1_000}
    pooled_ = pooled(*(Player([GOOD]) for _ in range(3)), endpoints=[same, heavy, heavy])
    for _ in range(30):
        await pooled_.ask()
        assert pooled_.pool.operators() == ("operator0", "operator1", "operator2")
    assert pooled_.counts() == [30, 0, 0]


async def test_a_node_that_contradicts_itself_thrice_is_left_alone_for_a_while() -> None:
    pooled_ = pooled(Player([{"lie": 1}]), Player([GOOD]))

    def read(answer: Any) -> Any:
        if answer != GOOD:
            raise InconsistentBlock("a lie")
        return answer

    async def ask() -> Any:
        return await pooled_.pool.ask(PATH, {}, lane=Lane.CHAIN, read=read)

    for _ in range(5):
        assert await ask() == GOOD
    assert pooled_.counts() == [3, 5]
    assert "a lie" in str(pooled_.nodes[0].reason())
    said = 'endpoint="n0",lane="chain",outcome="inconsistent",path="/wallet/getsomething"'
    assert f"lucid_node_calls_total{{{said}}} 3.0" in pooled_.metrics.render().decode()
    pooled_.times.pass_s(1.1)
    assert await ask() == GOOD
    assert await ask() == GOOD
    assert pooled_.counts() == [4, 7], "one trial, and left alone again"


async def test_an_answer_that_contradicts_itself_is_asked_of_the_next_node() -> None:
    pooled_ = pooled(Player([{"height": 1}]), Player([{"height": 2}]))

    def read(answer: dict[str, int]) -> int:
        if answer["height"] != 2:
            raise InconsistentBlock("another height")
        return answer["height"]

    assert await pooled_.pool.ask("/wallet/any", {}, lane=Lane.CHAIN, read=read) == 2
    pooled_.players[1].answers = [{"height": 3}]
    with pytest.raises(InconsistentBlock):
        await pooled_.pool.ask("/wallet/any", {}, lane=Lane.CHAIN, read=read)


async def test_a_suspended_node_is_left_alone_for_as_long_as_it_says() -> None:
    pooled_ = pooled(Player([SUSPENDED, GOOD]), Player([GOOD]))
    await pooled_.ask()
    assert pooled_.nodes[0].state is NodeState.QUIET
    for _ in range(3):
        await pooled_.ask()
    assert pooled_.counts() == [1, 4]
    pooled_.times.pass_s(6.9)
    await pooled_.ask()
    assert pooled_.counts() == [1, 5]
    pooled_.times.pass_s(0.2)
    await pooled_.ask()
    assert pooled_.counts() == [2, 5]


async def test_of_two_suspensions_the_longer_one_counts() -> None:
    """Calls under way together are refused together, and not each refusal says for how long."""
    begun, over = [asyncio.Event(), asyncio.Event()], [asyncio.Event(), asyncio.Event()]

    async def play(request: httpx.Request) -> httpx.Response:
        if request.url.path == GENESIS_PATH:
            return httpx.Response(200, json={"blockID": GENESIS})
        number = int(request.url.path[-1])
        begun[number].set()
        await over[number].wait()
        return httpx.Response(429, text="slow down") if number else SUSPENDED

    node = NodeHttp(
        Endpoint(name="busy", operator="busy", url="http://busy"),
        Treatment(genesis_block_id=GENESIS, timeout_s=3_600, connect_timeout_s=1, attempts=1),
        counters=NodeCounters(Metrics()),
        transport=httpx.MockTransport(play),
        now_s=lambda: 0.0,
        now_ms=lambda: NOON_MS,
    )
    calls = [
        asyncio.create_task(node.post(f"/wallet/{each}", {}, lane=Lane.READ)) for each in range(2)
    ]
    for each in begun:
        await each.wait()
    for call, may_go_on in zip(calls, over, strict=True):
        may_go_on.set()
        with pytest.raises(NodeUnavailable):
            await call
        assert node.quiet_s() == 7


async def test_when_all_ask_for_quiet_nobody_is_asked() -> None:
    pooled_ = pooled(Player([SUSPENDED]), Player([FORBIDDEN]))
    with pytest.raises(NodeUnavailable):
        await pooled_.ask()
    with pytest.raises(NodeUnavailable) as refused:
        await pooled_.ask()
    assert refused.value.retry_after_s == 7
    assert pooled_.counts() == [1, 1]


async def test_a_node_that_keeps_failing_is_tried_again_one_call_at_a_time() -> None:
    pooled_ = pooled(Player([httpx.ConnectError("away")]), Player([GOOD]))
    first = pooled_.nodes[0]
    for _ in range(6):
        await pooled_.ask()
    assert pooled_.counts() == [3, 6], "after three failures it is asked no more"
    assert str(first.breaker.state) == BreakerState.OPEN
    pooled_.times.pass_s(1.1)
    await pooled_.ask()
    assert pooled_.counts() == [4, 7], "one trial"
    await pooled_.ask()
    assert pooled_.counts() == [4, 8]
    pooled_.times.pass_s(1.1)
    await pooled_.ask()
    assert pooled_.counts() == [4, 9], "the pause has doubled"
    pooled_.times.pass_s(1.0)
    pooled_.players[0].answers = [GOOD]
    await pooled_.ask()
    await pooled_.ask()
    assert pooled_.counts() == [6, 9]
    assert str(first.breaker.state) == BreakerState.CLOSED
    assert first.state is NodeState.READY


async def test_the_last_node_there_is_is_asked_however_often_it_failed() -> None:
    pooled_ = pooled(Player([*[httpx.ConnectError("away")] * 5, GOOD]))
    for _ in range(5):
        with pytest.raises(NodeUnavailable):
            await pooled_.ask()
    assert await pooled_.ask() == GOOD


async def test_a_node_that_refuses_is_not_thought_broken() -> None:
    pooled_ = pooled(Player([{"Error": "class a.b.Exception : no"}]), Player([GOOD]))
    for _ in range(5):
        await pooled_.ask()
    assert pooled_.counts() == [5, 5]
    assert pooled_.nodes[0].breaker.state is BreakerState.CLOSED


async def test_what_all_refuse_is_refused() -> None:
    no = {"Error": "class a.b.Exception : no"}
    pooled_ = pooled(Player([no]), Player([no]), attempts=5)
    with pytest.raises(NodeRefused):
        await pooled_.ask()
    assert pooled_.counts() == [1, 1], "the same question gets the same answer"


@pytest.mark.parametrize("away_ms", [LAG_MS + 1, -LAG_MS - 1])
async def test_a_node_whose_head_is_far_from_the_clock_is_the_second_choice(away_ms: int) -> None:
    pooled_ = pooled(Player([GOOD]), Player([GOOD]))
    pooled_.nodes[0].head = Head(height=1, timestamp_ms=NOON_MS - away_ms, at_ms=NOON_MS)
    pooled_.nodes[1].head = Head(height=9, timestamp_ms=NOON_MS - LAG_MS, at_ms=NOON_MS)
    await pooled_.ask()
    assert pooled_.counts() == [0, 1]
    pooled_.players[1].answers = [httpx.ConnectError("away")]
    assert await pooled_.ask() == GOOD
    assert pooled_.counts() == [1, 2]


@pytest.mark.parametrize(
    ("heights", "asked"),
    [
        ((100, 110, 110), [1, 0, 0]),
        ((99, 110, 110), [0, 1, 0]),
        ((99, 110, None), [1, 0, 0]),
        ((100, 10_000, 100), [1, 0, 0]),
        ((None, 10_000, 10_000), [1, 0, 0]),
    ],
)
async def test_a_node_behind_what_two_operators_have_reached_is_the_second_choice(
    heights: tuple[int | None, ...], asked: list[int]
) -> None:
    """One operator alone may claim any height: that makes no other a laggard."""
    pooled_ = pooled(*(Player([GOOD]) for _ in heights))
    for node, height in zip(pooled_.nodes, heights, strict=True):
        if height is not None:
            node.head = Head(height=height, timestamp_ms=NOON_MS, at_ms=NOON_MS)
    assert await pooled_.ask() == GOOD
    assert pooled_.counts() == asked


async def test_a_node_behind_another_of_its_operator_is_the_second_choice() -> None:
    ours = {"operator": "ours"}
    pooled_ = pooled(Player([GOOD]), Player([GOOD]), endpoints=[ours, ours])
    for node, height in zip(pooled_.nodes, (50, 61), strict=True):
        node.head = Head(height=height, timestamp_ms=NOON_MS, at_ms=NOON_MS)
    await pooled_.ask()
    assert pooled_.counts() == [0, 1]
    pooled_.players[1].answers = [AWAY]
    assert await pooled_.ask() == GOOD
    assert pooled_.counts() == [1, 2], "behind is better than none"


@pytest.mark.parametrize("lane", list(Lane))
async def test_what_comes_while_a_node_is_compared_shares_what_comes_of_it(lane: Lane) -> None:
    class Hanging(httpx.AsyncBaseTransport):
        """Begins to answer, and breaks off when it is told to."""

        def __init__(self) -> None:
            self.asked = 0
            self.is_begun, self.is_over = asyncio.Event(), asyncio.Event()

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.asked += 1
            self.is_begun.set()
            await self.is_over.wait()
            raise httpx.ReadError("over", request=request)

    hanging = Hanging()
    node = NodeHttp(
        Endpoint(name="slow", operator="slow", url="http://slow", concurrency=2),
        Treatment(genesis_block_id=GENESIS, timeout_s=3_600, connect_timeout_s=1, attempts=1),
        counters=NodeCounters(Metrics()),
        transport=hanging,
        now_ms=lambda: NOON_MS,
    )
    calls = [asyncio.create_task(node.post(PATH, {}, lane=lane)) for _ in range(5)]
    await hanging.is_begun.wait()
    hanging.is_over.set()
    failed = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each) for each in failed] == [NodeUnavailable] * 5
    assert hanging.asked == 1, "not one after the other"


async def test_a_refusal_is_told_only_when_nobody_failed_otherwise() -> None:
    no = {"Error": "class a.b.Exception : no"}
    for answers in ([no, AWAY], [AWAY, no]):
        pooled_ = pooled(*(Player([each]) for each in answers))
        with pytest.raises(NodeUnavailable):
            await pooled_.ask()
    pooled_ = pooled(Player([no]), Player([GOOD], genesis="ab" * 32))
    with pytest.raises(NodeRefused):
        await pooled_.ask()


async def test_h17_a_node_of_another_network_is_asked_for_its_genesis_and_nothing_else() -> None:
    pooled_ = pooled(Player([GOOD], genesis="ab" * 32), Player([GOOD]))
    assert await pooled_.ask() == GOOD
    assert await pooled_.ask() == GOOD
    assert pooled_.counts() == [0, 2]
    assert pooled_.players[0].greeted == 1, "and not for each question"
    pooled_.players[1].answers = [AWAY]
    with pytest.raises(NodeUnavailable):
        await pooled_.ask()
    assert pooled_.players[0].asked == []
    assert pooled_.nodes[0].state is NodeState.WRONG_CHAIN
    assert "of another network" in str(pooled_.nodes[0].wrong_chain)


async def test_h17_when_all_are_of_another_network_that_is_said() -> None:
    pooled_ = pooled(Player([GOOD], genesis="ab" * 32), Player([GOOD], genesis="cd" * 32))
    with pytest.raises(WrongChain):
        await pooled_.ask()
    assert pooled_.counts() == [0, 0]


@pytest.mark.parametrize("content", [b"<html>bad gateway</html>", b'{"error": "bad gateway"}'])
async def test_h17_what_comes_back_behind_a_proxy_is_asked_who_it_is(content: bytes) -> None:
    pooled_ = pooled(Player([GOOD, httpx.Response(502, content=content), GOOD]))
    assert await pooled_.ask() == GOOD
    with pytest.raises(NodeUnavailable):
        await pooled_.ask()
    pooled_.players[0].genesis = "ab" * 32
    with pytest.raises(WrongChain):
        await pooled_.ask()
    assert pooled_.counts() == [2]


async def test_an_operator_leads_as_long_as_one_of_its_nodes_can_be_asked() -> None:
    down = httpx.ConnectError("away")
    ours = {"operator": "ours"}
    pooled_ = pooled(
        Player([down]), Player([GOOD]), Player([GOOD]), endpoints=[ours, ours, {"operator": "they"}]
    )
    for _ in range(4):
        await pooled_.ask()
    assert pooled_.pool.operators() == ("ours", "they")
    assert pooled_.counts() == [3, 4, 0]
    pooled_.players[1].answers = [down]
    for _ in range(4):
        assert await pooled_.ask() == GOOD
    assert pooled_.pool.operators() == ("they", "ours")
    own = pooled_.pool.of("ours")
    assert own.operators() == ("ours",)
    with pytest.raises(NodeUnavailable):
        await own.ask("/wallet/any", {}, lane=Lane.READ, read=lambda answer: answer)
    assert own.reason() is not None
    assert pooled_.pool.reason() is None


async def test_the_pool_says_what_is_wrong_only_when_no_node_is_as_it_should_be() -> None:
    pooled_ = pooled(Player([GOOD]), Player([GOOD]))
    assert pooled_.pool.reason() is not None, "nobody has been asked yet"
    await pooled_.ask()
    assert pooled_.pool.reason() is None


async def test_calls_are_counted_by_node_lane_path_and_outcome() -> None:
    pooled_ = pooled(Player([httpx.ConnectError("away")]), Player([GOOD]))
    await pooled_.ask(Lane.CHAIN)
    text = pooled_.metrics.render().decode()
    said = 'endpoint="n0",lane="chain",outcome="failed",path="/wallet/getsomething"'
    assert f"lucid_node_calls_total{{{said}}} 1.0" in text
    said = 'endpoint="n1",lane="chain",outcome="answered",path="/wallet/getsomething"'
    assert f"lucid_node_calls_total{{{said}}} 1.0" in text


TXID = "ab" * 32
ACCEPTED = {"result": True, "txid": TXID}
EXPIRED = {"code": "TRANSACTION_EXPIRATION_ERROR", "txid": TXID, "message": ""}
DUPLICATE = {"code": "DUP_TRANSACTION_ERROR", "txid": TXID, "message": ""}
BUSY = {"code": "SERVER_BUSY", "txid": TXID, "message": ""}
POOR = {"code": "CONTRACT_VALIDATE_ERROR", "txid": TXID, "message": ""}
BAD_SIGNATURE = {"code": "SIGERROR", "txid": TXID, "message": ""}
AWAY = httpx.ConnectError("away")


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ([ACCEPTED, AWAY], "accepted"),
        ([AWAY, ACCEPTED], "accepted"),
        ([BAD_SIGNATURE, ACCEPTED], "accepted"),
        ([BAD_SIGNATURE, BAD_SIGNATURE], "rejected SIGERROR"),
        ([BAD_SIGNATURE, POOR], "rejected CONTRACT_VALIDATE_ERROR"),
        ([BUSY, BAD_SIGNATURE], "rejected SERVER_BUSY"),
        ([POOR, AWAY], "unknown"),
        ([AWAY, POOR], "unknown"),
        ([BAD_SIGNATURE, DUPLICATE], "unknown"),
        ([POOR, EXPIRED], "unknown"),
        ([AWAY, AWAY], "unknown"),
        ([SUSPENDED, POOR], "unknown"),
        ([{"any": "thing"}, POOR], "unknown"),
        ([{"Error": "no", "statusCode": []}, ACCEPTED], "accepted"),
        ([httpx.Response(200, text="<html>"), BAD_SIGNATURE], "unknown"),
    ],
)
async def test_what_several_nodes_make_of_the_same_bytes(said: list[Any], made: str) -> None:
    pooled_ = pooled(*(Player([each]) for each in said))
    node = Node(pooled_.pool, checks_root=True, broadcast_nodes=3)
    outcome = await node.broadcast(b"signed", txid=TXID)
    code = f" {outcome.code}" if isinstance(outcome, Rejected) else ""
    assert f"{type(outcome).__name__.lower()}{code}" == made
    assert pooled_.counts() == [1, 1], "once each, whatever they say"


async def test_a_broadcast_goes_to_different_operators_first_and_to_no_more_than_was_set() -> None:
    ours = {"operator": "ours"}
    pooled_ = pooled(
        *(Player([ACCEPTED]) for _ in range(4)), endpoints=[ours, ours, {"operator": "they"}, ours]
    )
    node = Node(pooled_.pool, checks_root=True, broadcast_nodes=2)
    assert isinstance(await node.broadcast(b"signed", txid=TXID), Accepted)
    assert pooled_.counts() == [1, 0, 1, 0]


async def test_a_broadcast_does_not_wait_long_for_the_others_once_it_was_taken() -> None:
    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == GENESIS_PATH:
                return httpx.Response(200, json={"blockID": GENESIS})
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError("nobody comes")

    begun = asyncio.Event()
    quick = pooled(Player([ACCEPTED]))
    slow = NodeHttp(
        Endpoint(name="slow", operator="slow", url="http://slow"),
        Treatment(genesis_block_id=GENESIS, timeout_s=3_600, connect_timeout_s=1, attempts=1),
        counters=NodeCounters(Metrics()),
        transport=Slow(),
        now_ms=lambda: NOON_MS,
    )
    pool = NodePool([slow, *quick.nodes], attempts=1, now_ms=lambda: NOON_MS)
    node = Node(pool, checks_root=True, broadcast_nodes=2)
    async with asyncio.timeout(60):  # an hour, if it waited
        outcome = await node.broadcast(b"signed", txid=TXID)
    assert isinstance(outcome, Accepted)
    assert begun.is_set()


async def test_catching_up_is_asked_for_in_a_lane_of_its_own() -> None:
    pooled_ = pooled(Player([{}]))
    node = Node(pooled_.pool, checks_root=True)
    await node.receipts(1)
    await node.solid_head()
    await node.account(address_from_bytes(bytes(20)))
    bulk = node.for_catching_up()
    await bulk.receipts(1)
    await bulk.solid_head()
    text = pooled_.metrics.render().decode()
    counted = (
        r'calls_total\{endpoint="n0",lane="([a-z_]+)",outcome="answered",path="/wallet([a-z/]+)"'
    )
    lanes = re.findall(counted, text)
    assert sorted(lanes) == [
        ("broadcast", "/getblockbynum"),  # the genesis block, for which a broadcast may be waiting
        ("catch_up", "/gettransactioninfobyblocknum"),
        ("catch_up", "solidity/getnowblock"),
        ("chain", "/gettransactioninfobyblocknum"),
        ("read", "/getaccount"),
        ("verdict", "solidity/getnowblock"),
    ]

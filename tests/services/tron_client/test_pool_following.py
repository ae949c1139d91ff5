"""The chain is followed without gap or repeat while nodes come and go, and two words stay two."""

import random
from pathlib import Path
from typing import Any

import httpx

from devnet.genesis import GENESIS_BLOCK_ID
from services.tron_client.node import Endpoint, NodeCounters, NodeHttp, NodePool, Treatment
from shared.metrics import Metrics
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    Wire,
    World,
    benched,
)
from tests.services.tron_client.test_agreement import FROM_100, look_again, solid, start


class Switched(httpx.AsyncBaseTransport):
    """The way to a node that can be cut."""

    def __init__(self, world: World) -> None:
        self.is_cut = False
        self.asked = 0
        self._wire = Wire(world.devnet)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_cut:
            raise httpx.ConnectError("cut", request=request)
        self.asked += 1
        return await self._wire.handle_async_request(request)


def pool_over(world: World, **operators: Switched) -> NodePool:
    """Return a pool of one node for each operator, asked in this order."""
    clock = world.devnet.node.clock
    treatment = Treatment(
        genesis_block_id=GENESIS_BLOCK_ID, timeout_s=1, connect_timeout_s=1, attempts=1
    )
    counters = NodeCounters(Metrics())
    nodes = [
        NodeHttp(
            Endpoint(name=name, operator=name, url=f"http://{name}", priority=place),
            treatment,
            counters=counters,
            transport=transport,
            now_ms=clock.now_ms,
        )
        for place, (name, transport) in enumerate(operators.items())
    ]
    return NodePool(nodes, attempts=1, now_ms=clock.now_ms)


async def test_no_transfer_is_missed_or_told_twice_while_nodes_come_and_go(
    world: World, tmp_path: Path
) -> None:
    source = random.Random(7)  # noqa: S311 - a seed, no secret
    ours, theirs = Switched(world), Switched(world)
    async with benched(world, tmp_path, pool=pool_over(world, ours=ours, theirs=theirs)) as bench:
        await start(bench)
        for amount in range(1, 61):
            ours.is_cut = source.random() < 0.4
            theirs.is_cut = not ours.is_cut and source.random() < 0.4
            world.pay_trx(amount)
            world.mine(source.randrange(1, 3))
            await bench.scan()
        ours.is_cut = theirs.is_cut = False
        await solid(bench)
        told = await bench.transfer_events()
        for event in ("seen", "confirmed"):
            amounts = [int(amount) for name, amount in told if name == event]
            assert amounts == list(range(1, 61))
        assert ours.asked > 50
        assert theirs.asked > 20


async def test_a_submitted_transaction_reaches_the_chain_although_the_first_node_is_away(
    world: World, tmp_path: Path
) -> None:
    ours, theirs = Switched(world), Switched(world)
    async with benched(world, tmp_path, pool=pool_over(world, ours=ours, theirs=theirs)) as bench:
        await start(bench)
        ours.is_cut = True
        taken = await bench.submit(world.transfer(5))
        await bench.mine(BLOCKS_TO_SOLID + 1)
        assert await bench.fate(taken.id) == "confirmed"


async def test_h9_what_one_operator_says_twice_is_one_word(world: World, tmp_path: Path) -> None:
    """While the first operator is away blocks come from the second, who cannot bear itself out."""
    ours, theirs = Switched(world), Switched(world)
    pool = pool_over(world, ours=ours, theirs=theirs)
    async with benched(world, tmp_path, pool=pool, credit_policy=FROM_100) as bench:
        await start(bench)
        ours.is_cut = True
        world.pay_usdt(100)
        await solid(bench)
        await look_again(bench)
        assert await bench.transfer_events() == [("seen", "100")]
        ours.is_cut = False
        await scan_and_look(bench)
        assert await bench.transfer_events() == [("seen", "100"), ("confirmed", "100")]


async def test_h1_without_the_first_operator_nothing_is_said_expired(
    world: World, tmp_path: Path
) -> None:
    ours, theirs = Switched(world), Switched(world)
    pool = pool_over(world, ours=ours, theirs=theirs)
    async with benched(world, tmp_path, pool=pool) as bench:
        await start(bench)
        world.drop()
        taken = await bench.submit(world.transfer(5))
        ours.is_cut = True
        await bench.mine(60)
        await bench.tracker.expire()
        assert await bench.fate(taken.id) == "pending"
        ours.is_cut = False
        await scan_and_look(bench)
        await bench.tracker.expire()
        assert await bench.fate(taken.id) == "expired"


async def test_heads_are_asked_for_where_there_is_a_choice(world: World, tmp_path: Path) -> None:
    ours, theirs = Switched(world), Switched(world)
    pool = pool_over(world, ours=ours, theirs=theirs)
    async with benched(world, tmp_path, pool=pool) as bench:
        await start(bench)
        assert pool.members[1].head is None
        await bench.service.endpoints.look()
        told: list[dict[str, Any]] = bench.service.endpoints.standing()
        assert [each["height"] for each in told] == [bench.sight.current().head.height] * 2
        assert [each["head_age_s"] for each in told] == [0, 0]


async def scan_and_look(bench: Bench) -> None:
    """Let breakers and doubts have their time, and look again."""
    bench.world.devnet.node.clock.jump(120_000)
    await bench.mine()
    await look_again(bench)

"""The chain is followed without gap or repeat while nodes come and go, and two words stay two."""

import random
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from devnet.api.app import NodeApi
from devnet.app import assemble
from devnet.genesis import GENESIS_BLOCK_ID
from devnet.settings import Follower
from devnet.settings import Settings as DevnetSettings
from services.tron_client.node import Endpoint, NodeCounters, NodeHttp, NodePool, Treatment
from shared.errors import Unavailable
from shared.metrics import Metrics
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    Wire,
    World,
    benched,
)
from tests.services.tron_client.test_agreement import (
    FROM_100,
    ONE_RECEIPT,
    look_again,
    solid,
    start,
)

SOLID_HEAD = "/walletsolidity/getnowblock"


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


class Mortal(httpx.AsyncBaseTransport):
    """The way to a node that dies after some calls more."""

    def __init__(self, app: NodeApi) -> None:
        self.asked = self.died = 0
        self._left: int | None = None
        self._inner = httpx.ASGITransport(app=app)

    def dies_after(self, calls: int | None) -> None:
        """Say when it dies; with None it lives."""
        self._left = calls

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._left is not None:
            if self._left == 0:
                self.died += 1
                raise httpx.ConnectError("dead", request=request)
            self._left -= 1
        self.asked += 1
        return await self._inner.handle_async_request(request)


def pool_over(world: World, **transports: httpx.AsyncBaseTransport) -> NodePool:
    """Return a pool of nodes, asked in this order; what is before an underscore is the operator."""
    clock = world.devnet.node.clock
    treatment = Treatment(
        genesis_block_id=GENESIS_BLOCK_ID, timeout_s=20, connect_timeout_s=20, attempts=1
    )
    counters = NodeCounters(Metrics())
    nodes = [
        NodeHttp(
            Endpoint(name=name, operator=name.split("_")[0], url=f"http://{name}", priority=place),
            treatment,
            counters=counters,
            transport=transport,
            now_ms=clock.now_ms,
        )
        for place, (name, transport) in enumerate(transports.items())
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


@pytest.mark.parametrize("first", ["follower", "maker"])
async def test_no_block_is_lost_when_one_of_two_real_nodes_dies_between_any_two_calls(
    tmp_path: Path, first: str
) -> None:
    """The follower is some blocks behind: going over to it and back leaves no gap and repeats nothing."""
    devnet = assemble(DevnetSettings(speed=0, followers=(Follower(lag_blocks=3),)))
    world = World(devnet=devnet)
    world.mine(BLOCKS_TO_SOLID + 5)
    seats = {"maker": Mortal(devnet.node_app), "follower": Mortal(devnet.followers[0].app)}
    order = [first, *(each for each in seats if each != first)]
    pool = pool_over(world, **{name: seats[name] for name in order})
    async with AsyncExitStack() as stack:
        stack.callback(devnet.node.close)
        bench = await stack.enter_async_context(benched(world, tmp_path, pool=pool))
        await start(bench)
        amount = 0
        for calls in range(9):
            seats[first].dies_after(calls)
            for _ in range(3):
                amount += 1
                world.pay_trx(amount)
                world.mine()
                await follow(bench)
            seats[first].dies_after(None)
            world.devnet.node.clock.jump(120_000)  # longer than any breaker's pause
            world.mine()
            await follow(bench)
        for _ in range(BLOCKS_TO_SOLID + 5):
            world.mine()
            await follow(bench)
        told = await bench.transfer_events()
        for event in ("seen", "confirmed"):
            amounts = [int(value) for name, value in told if name == event]
            assert amounts == list(range(1, amount + 1))
        assert all(seat.died > 0 for name, seat in seats.items() if name == first)
        assert all(seat.asked > 20 for seat in seats.values())


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


async def test_h1_what_one_node_has_reached_says_nothing_of_another(
    world: World, tmp_path: Path
) -> None:
    """The one with the newest solid block does not answer, and the one that answers is far behind."""

    def mute(path: str, _asked: Any, answer: Any) -> Any:
        return {"Error": "lack of computing resources"} if path == ONE_RECEIPT else answer

    def lagging(path: str, _asked: Any, answer: Any) -> Any:
        return {ONE_RECEIPT: {}, SOLID_HEAD: earlier}.get(path, answer)

    newest, oldest = SpoiledWire(world.devnet, mute), SpoiledWire(world.devnet, lagging)
    oldest.is_spoiled = False
    pool = pool_over(world, ours=Switched(world), theirs_new=newest, theirs_old=oldest)
    async with benched(world, tmp_path, pool=pool) as bench:
        await start(bench)
        earlier = await bench.node.read_raw(SOLID_HEAD, {})
        world.drop()
        taken = await bench.submit(world.transfer(5))
        await bench.mine(60)
        oldest.is_spoiled = True
        await bench.tracker.expire()
        assert await bench.fate(taken.id) == "pending"
        oldest.is_spoiled = False
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


async def follow(bench: Bench) -> None:
    """Look for the next blocks as the loop does, which comes again whatever a node said."""
    with suppress(Unavailable):
        await bench.scan()


async def scan_and_look(bench: Bench) -> None:
    """Let breakers and doubts have their time, and look again."""
    bench.world.devnet.node.clock.jump(120_000)
    await bench.mine()
    await look_again(bench)

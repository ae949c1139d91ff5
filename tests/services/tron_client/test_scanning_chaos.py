"""Two thousand blocks with every fault of a node at random: nothing is missed, nothing is invented."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from devnet.app import Devnet
from devnet.blocks import txid_of
from devnet.chain_pb2 import TransactionInfo, TransferContract, TriggerSmartContract
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.genesis import GENESIS_BLOCK_ID
from devnet.keys import Key
from devnet.rejection import RejectedError
from devnet.scenarios.registry import SCENARIOS
from devnet.traffic import Load
from services.tron_client.store.schema import TRANSFER_FEED
from shared.config import process_environment
from shared.errors import Problem
from shared.tron.abi import TRANSFER_TOPIC
from shared.tron.address import Address, evm_bytes
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    World,
    benched,
    new_world,
    text,
)

pytestmark = pytest.mark.property

BLOCKS = 2_000
OUTAGE_BLOCKS = 5_000
REAL_SECONDS = {"suspended", "daily_quota", "too_many_requests"}
"""After these a node is left alone for real seconds."""

BODY, RECEIPTS = "/wallet/getblockbynum", "/wallet/gettransactioninfobyblocknum"
VICTIM = {"recipient": "customer-2"}
LIES: list[tuple[str, dict[str, Any]]] = [
    ("false_transaction", {"path": BODY, **VICTIM}),
    ("false_transaction", {"path": BODY, **VICTIM, "rerooted": True, "seal": "forger"}),
    ("invented_transfer", {"path": BODY, **VICTIM, "amount": "777"}),
    ("invented_transfer", {"path": BODY, **VICTIM, "amount": "777", "rerooted": True}),
    ("false_parent", {"path": BODY}),
    ("false_time", {"path": BODY}),
    ("invented_receipt", {"path": RECEIPTS, **VICTIM, "amount": "777", "consistent": False}),
    ("invented_receipt", {"path": RECEIPTS, **VICTIM, "amount": "777", "consistent": True}),
    ("false_result", {"path": RECEIPTS}),
]
"""What a head may be made to look like; the solid tree is asked before anything counts."""

WATCHED_OF_TRAFFIC = 20


class Direct(httpx.AsyncBaseTransport):
    """Hands requests to the devnet's node in this process, broken connections and cut replies included."""

    def __init__(self, devnet: Devnet) -> None:
        self._app = devnet.node_app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent: list[Any] = []
        path = request.url.path
        scope = {
            "type": "http",
            "method": request.method,
            "path": path,
            "query_string": request.url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "extensions": {
                "lucid.abort": lambda: _break(request),
                "lucid.reset": lambda: _break(request),
                "lucid.close": lambda: _break(request),
            },
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": request.content, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        return httpx.Response(
            sent[0]["status"], content=b"".join(each.get("body", b"") for each in sent[1:])
        )


def _break(request: httpx.Request) -> None:
    raise httpx.ReadError("the connection was broken", request=request)


def seed_of_this_run() -> int:
    """Return the seed in the environment, or another each time; it is printed with a failure."""
    told = process_environment().get("SCAN_SEED")
    return int(told) if told else random.randrange(2**32)  # noqa: S311 - a seed


@dataclass
class Run:
    """One run: the world, what is watched there, and chance."""

    world: World
    path: Path
    seed: int
    chance: random.Random = field(init=False)
    lies_in_turn: Iterator[tuple[str, dict[str, Any]]] = field(init=False)
    problems: int = 0
    restarts: int = 0
    lies: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 - a replayable mix
        self.lies_in_turn = itertools.cycle(self.chance.sample(LIES, len(LIES)))

    @property
    def watched(self) -> list[Address]:
        busy = [Key(name=f"traffic-{number}") for number in range(1, WATCHED_OF_TRAFFIC + 1)]
        return [self.world.to, *(text(key.address) for key in busy)]

    def disturb(self) -> None:
        """Pay, and now and then let the node lie about its head."""
        if self.chance.random() < 0.3:
            with suppress(RejectedError):
                self.world.pay_usdt(self.chance.randint(1, 10**6))
        if self.chance.random() < 0.3:
            with suppress(RejectedError):
                self.world.pay_trx(self.chance.randint(1, 10**6))
        if self.chance.random() < 0.03:
            name, order = next(self.lies_in_turn)
            self.world.devnet.director.arm(name, {**order, "count": 1})

    async def follow(self, bench: Bench) -> None:
        """Scan until nothing is left to do or the node is of no use; now and then die at it."""
        work = asyncio.create_task(bench.scan())
        if self.chance.random() < 0.02:
            for _ in range(self.chance.randrange(60)):
                await asyncio.sleep(0)
            work.cancel()
        try:
            await work
        except Problem:
            self.problems += 1
        except asyncio.CancelledError:
            raise Killed from None


class Killed(Exception):
    """The process is gone; the next one opens its database."""


async def sessions(run: Run) -> AsyncGenerator[Bench, None]:
    """Yield tron-client on the same database again and again."""
    while True:
        wire = Direct(run.world.devnet)
        async with benched(run.world, run.path, transport=wire, batch_blocks=20) as bench:
            yield bench
        run.restarts += 1


def expected(run: Run, watched: set[bytes], first: int) -> dict[str, tuple[int, int]]:
    """Read from the devnet's own books what moved: amount and height by the name of the transfer."""
    found: dict[str, tuple[int, int]] = {}
    chain = run.world.devnet.node.main
    for height in range(first, chain.solid_number + 1):
        record = chain.record(height)
        for transaction, info in zip(record.block.transactions, record.infos, strict=True):
            if info.result == TransactionInfo.FAILED:
                continue
            txid = txid_of(transaction).hex()
            for source, position, parties, amount in moved(transaction, info):
                if amount and parties & watched:
                    name = f"{GENESIS_BLOCK_ID}:{txid}:{source}:{position}"
                    found[name] = (amount, height)
    return found


def moved(transaction: Any, info: Any) -> list[tuple[str, int, set[bytes], int]]:
    """Return what a transaction moved: source, position, both parties, amount."""
    (contract,) = transaction.raw_data.contract
    kind, value = contract.parameter.type_url.rsplit(".", 1)[-1], contract.parameter.value
    found: list[tuple[str, int, set[bytes], int]] = []
    if kind == "TransferContract":
        transfer = TransferContract.FromString(value)
        parties = {transfer.owner_address[1:], transfer.to_address[1:]}
        found.append(("native", 0, parties, transfer.amount))
    elif kind == "TriggerSmartContract":
        call = TriggerSmartContract.FromString(value)
        parties = {call.owner_address[1:], call.contract_address[1:]}
        found.append(("native", 0, parties, call.call_value))
    for position, log in enumerate(info.log):
        if log.address[-20:] == USDT_CONTRACT_ADDRESS[1:] and log.topics[0].hex() == TRANSFER_TOPIC:
            parties = {log.topics[1][12:], log.topics[2][12:]}
            found.append(("log", position, parties, int.from_bytes(log.data, "big")))
    for position, inner in enumerate(info.internal_transactions):
        amount = sum(each.callValue for each in inner.callValueInfo)
        parties = {inner.caller_address[1:], inner.transferTo_address[1:]}
        found.append(("internal", position, parties, 0 if inner.rejected else amount))
    return found


async def told(bench: Bench) -> dict[str, tuple[int, int]]:
    """Return what was told as confirmed, after checking that each transfer had a possible life."""
    states: dict[str, str] = {}
    heights: dict[str, int] = {}
    found: dict[str, tuple[int, int]] = {}
    for event in await bench.told(TRANSFER_FEED):
        name, state = event.object["transfer_id"], event.type.removeprefix("transfer.")
        before = states.get(name)
        assert before != "confirmed", f"{name} was {state} after it was confirmed"
        assert before != state, f"{name} was {state} twice"
        states[name], heights[name] = state, event.object["block"]["height"]
        if state == "confirmed":
            amount, block = event.object["amount_base_units"], event.object["block"]
            found[name] = (int(amount), block["height"])
    solid_height = bench.sight.current().solid.height
    undecided = [name for name, state in states.items() if state == "seen"]
    assert all(heights[name] > solid_height for name in undecided)
    return found


async def test_two_thousand_blocks_with_every_fault_at_random_miss_and_invent_nothing(
    tmp_path: Path,
) -> None:
    run = Run(world=new_world(), path=tmp_path, seed=seed_of_this_run())
    sys.stdout.write(f"SCAN_SEED={run.seed}\n")
    devnet = run.world.devnet
    devnet.node.saves_internal = True
    benches = sessions(run)
    bench = await anext(benches)
    await bench.scan()
    await bench.coverage.watch(run.watched)
    first = bench.sight.current().head.height + 1

    parts = sorted(
        name for name, each in SCENARIOS.items() if each.draw and name not in REAL_SECONDS
    )
    order = {
        "seed": run.seed,
        "percent": 8,
        "count": 0,
        "block_percent": 6,
        "depth_max": 6,
        "delay_ms_max": 1,
    }
    devnet.director.arm("chaos", {**order, "only": parts})
    devnet.traffic.start(Load(per_block=3, blocks=0, seed=run.seed))
    while devnet.node.main.head.number < first + BLOCKS:
        run.disturb()
        run.world.mine(run.chance.choice([1, 1, 1, 2, 5]))
        try:
            await run.follow(bench)
        except Killed:
            bench = await anext(benches)
    struck = Counter(each.scenario for each in devnet.director.log.after(0, limit=10**6))
    devnet.director.disarm()
    devnet.traffic.stop()
    devnet.node.lag(0)  # however many lags lay over each other
    run.world.mine(BLOCKS_TO_SOLID + 3)
    bench = await anext(benches)
    await bench.scan()
    try:
        assert bench.sight.current().solid.height == devnet.node.main.solid_number
        watched = {evm_bytes(each) for each in run.watched}
        moves = expected(run, watched, first)
        assert await told(bench) == moves
        assert not bench.alarms.open
        retracted = [e for e in await bench.told(TRANSFER_FEED) if e.type == "transfer.retracted"]
    finally:
        await benches.aclose()
        devnet.node.main.close()
    sys.stdout.write(
        f"{dict(struck)}\n{len(moves)} transfers, {len(retracted)} retractions, {run.problems} refused rounds,"
        f" {run.restarts} restarts, {len(struck)} kinds of strikes\n"
    )
    assert min(len(retracted), run.problems, run.restarts) > 0
    assert {source_of(each) for each in moves} == {"native", "log", "internal"}
    assert struck.keys() >= {"reorganise", "stall_solid", "empty_answer", "receipts_missing"}
    assert struck.keys() >= {name for name, _ in LIES}


def source_of(transfer_id: str) -> str:
    return transfer_id.split(":")[2]


async def test_an_outage_of_five_thousand_blocks_is_caught_up_in_bulk(tmp_path: Path) -> None:
    world = new_world()
    async with benched(world, tmp_path, batch_blocks=100) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        stopped_at = bench.sight.current().head.height
    amounts = []
    for number in range(OUTAGE_BLOCKS // 50):
        world.pay_usdt(number + 1)
        amounts += [("seen", str(number + 1)), ("confirmed", str(number + 1))]
        world.mine(50)
    world.mine(BLOCKS_TO_SOLID)
    world.devnet.node_app.requests.clear()
    async with benched(world, tmp_path, batch_blocks=100, poll_blocks=10) as bench:
        assert bench.sight.current().head.height == stopped_at
        await bench.scan()
        assert bench.sight.current().head.height == world.devnet.node.chain.head.number
        assert sorted(await bench.transfer_events()) == sorted(amounts)
        assert sum(bench.calls().values()) < OUTAGE_BLOCKS // 5
    world.devnet.node.main.close()

"""How fast blocks of a busy chain are scanned, how many calls that takes, and what watches weigh."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import httpx
import psutil
from tqdm import tqdm

from devnet.traffic import Load
from shared.tron.address import EVM_LENGTH, Address, address_from_bytes
from tests.bench.table import Row
from tests.services.tron_client.bench import BLOCKS_TO_SOLID, World, benched, new_world

PER_BLOCK = 300
BLOCKS = 100
WATCHES = 100_000
_FUNDING_BLOCKS = 5
_BATCH = 20


class Recorded(httpx.AsyncBaseTransport):
    """Answers from memory what the devnet's node answered once, so that only the client is measured."""

    def __init__(self, world: World) -> None:
        self._inner = httpx.ASGITransport(app=world.devnet.node_app)
        self._known: dict[tuple[str, bytes], bytes] = {}
        self.calls: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        key = (request.url.path, request.content)
        self.calls[request.url.path] += 1
        if key not in self._known:
            response = await self._inner.handle_async_request(request)
            self._known[key] = b"".join([part async for part in response.stream])  # type: ignore[union-attr]
        return httpx.Response(200, content=self._known[key])

    def content(self, path: str) -> list[bytes]:
        """Return the answers whose path ends so."""
        return [content for (asked, _), content in self._known.items() if asked.endswith(path)]


def rows(place: Path) -> Iterable[Row]:
    """Measure the scanner of tron-client in this process, on one core, against recorded answers."""
    world = new_world()
    world.devnet.traffic.start(Load(per_block=PER_BLOCK, blocks=0, seed=1))
    for _ in tqdm(range(_FUNDING_BLOCKS + BLOCKS), desc="blocks"):
        world.mine()
    world.devnet.traffic.stop()
    world.mine(BLOCKS_TO_SOLID)
    return asyncio.run(_measured(world, place))


async def _measured(world: World, place: Path) -> list[Row]:
    first = world.devnet.node.chain.head.number - BLOCKS_TO_SOLID - BLOCKS
    wire = Recorded(world)
    found: list[Row] = []
    for name in ("recording", "measured"):
        folder = place / name
        folder.mkdir()
        async with benched(
            world, folder, transport=wire, start_height=first, batch_blocks=_BATCH, poll_blocks=10
        ) as bench:
            await bench.scanner.scan()
            before_bytes = psutil.Process().memory_info().rss
            began_s = time.monotonic()
            await bench.coverage.watch(_addresses(WATCHES))
            watching_s = time.monotonic() - began_s
            kept_bytes = psutil.Process().memory_info().rss - before_bytes
            scanned, calls = bench.sight.current().head.height, wire.calls.total()
            gc.collect()
            gc.freeze()  # the chain of the devnet, which a service does not share its process with
            began_s = time.process_time()
            await bench.scan()
            elapsed_s = time.process_time() - began_s
            scanned = bench.sight.current().head.height - scanned
            calls = wire.calls.total() - calls
        began_s = time.monotonic()
        async with benched(world, folder, transport=wire) as bench:
            loading_s = time.monotonic() - began_s
            table_bytes = bench.sight.watched.size_bytes
        found = [
            Row(
                what=f"scan, {PER_BLOCK}-transaction blocks, one core, {WATCHES:,} watches",
                measured=f"{scanned / elapsed_s:.0f} blocks/s",
                beside=f"target 100; its JSON alone, with the stdlib, {_json_only(wire):.0f}",
            ),
            Row(
                what="node calls a block when catching up",
                measured=f"{calls / scanned:.2f}",
                beside="target 2; tron-shkeeper 3.9 and 5 an address an hour",
            ),
            Row(
                what=f"memory of {WATCHES:,} watches",
                measured=f"{table_bytes / 2**20:.1f} MiB packed, {kept_bytes / 2**20:.0f} MiB more resident",
                beside=f"{WATCHES * EVM_LENGTH / 2**20:.1f} MiB of addresses",
            ),
            Row(
                what=f"{WATCHES:,} addresses watched in one request, and loaded at start",
                measured=f"{watching_s:.1f} s, {loading_s:.1f} s",
                beside="",
            ),
        ]
    return found


def _json_only(wire: Recorded) -> float:
    """Return how many blocks' bodies and receipts the stdlib decodes in a second."""
    began_s = time.process_time()
    blocks = sum(
        len(json.loads(each).get("block", [])) for each in wire.content("getblockbylimitnext")
    )
    for each in wire.content("/wallet/gettransactioninfobyblocknum"):
        json.loads(each)
    return blocks / (time.process_time() - began_s)


def _addresses(count: int) -> list[Address]:
    return [
        address_from_bytes(number.to_bytes(EVM_LENGTH, "big")) for number in range(1, count + 1)
    ]

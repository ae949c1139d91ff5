"""Blocks that are taken back and come again, and what a node says of them the second time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.scanner.stalls import FAILURES_TO_ALARM, SUBJECT
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    SpoiledWire,
    Wire,
    World,
    benched,
    new_world,
)


@pytest.fixture
def twin() -> Iterator[World]:
    """A world with the same past as the other, and a future of its own."""
    twin = new_world()
    yield twin
    twin.devnet.node.chain.close()


async def test_h8_a_deposit_whose_block_comes_back_without_its_log_is_told(
    world: World, twin: World, tmp_path: Path
) -> None:
    """The same block is read twice at the head, the second time with a receipt that is short."""
    wire = WireOfTwoForks(world, twin)
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        world.pay_usdt(5)
        await bench.mine()
        twin.mine(2)
        wire.is_of_the_other = True
        await bench.scan()
        assert await bench.transfer_events() == [("seen", "5"), ("retracted", "5")]

        wire.is_of_the_other, wire.has_logs = False, False
        await bench.mine(BLOCKS_TO_SOLID + 2)
        assert (await bench.transfer_events())[2:] == [("confirmed", "5")]


async def test_h9_a_solid_receipt_that_is_short_takes_no_deposit_back(
    world: World, tmp_path: Path
) -> None:
    """One answer leaves a log out; the scan stops at it, and says so for as long as it lasts."""

    def without_logs(path: str, _asked: Any, answer: Any) -> Any:
        if path == "/walletsolidity/gettransactioninfobyblocknum":
            return [{**each, "log": []} for each in answer]
        return answer

    wire = SpoiledWire(world.devnet, without_logs)
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        world.pay_usdt(5)
        world.mine(BLOCKS_TO_SOLID + 1)
        for _ in range(FAILURES_TO_ALARM + 2):
            with contextlib.suppress(InconsistentBlock):
                await bench.scan()
        assert await bench.transfer_events() == [("seen", "5")]
        assert ("scan_stalled", SUBJECT) in bench.alarms.open
        wire.is_spoiled = False
        await bench.scan()
        assert await bench.transfer_events() == [("seen", "5"), ("confirmed", "5")]
        assert bench.alarms.open == {}


class WireOfTwoForks(Wire):
    """Leads to one of two nodes; the first may leave the logs out at its head."""

    def __init__(self, world: World, twin: World) -> None:
        super().__init__(world.devnet)
        self.is_of_the_other = False
        self.has_logs = True
        self._twin = httpx.ASGITransport(app=twin.devnet.node_app)
        self._own = self._inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._inner = self._twin if self.is_of_the_other else self._own
        return await super().handle_async_request(request)

    def change(self, path: str, _asked: Any, answer: Any) -> Any:
        if not self.has_logs and path == "/wallet/gettransactioninfobyblocknum":
            return [{**each, "log": []} for each in answer]
        return answer

"""Other operators are heard, and one that tells of another chain stops signing (H2, H9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from services.tron_client.scanner.agreement import DISAGREEMENT
from services.tron_client.service.operators import HEADS_APART
from shared.clock import HeldClock
from shared.models.alarms import Severity
from shared.tron.blocks import BlockHeader, block_id
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    Wire,
    World,
    benched,
    operator_of,
)


def _nobody(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody there", request=request)


async def alarms(bench: Bench) -> dict[str, str]:
    """Hear every operator once and return the open alarms with what they say."""
    await bench.service.operators.compare()
    return {each.kind: each.subject for each in bench.service.alarms.open()}


async def test_an_operator_of_the_same_chain_counts_once_its_solid_block_was_compared(
    world: World, tmp_path: Path
) -> None:
    async with (
        operator_of(Wire(world.devnet)) as second,
        benched(world, tmp_path, heard={"second": second}) as bench,
    ):
        await bench.service.operators.compare()
        assert bench.service.operators.count() == 1
        await bench.scan()
        assert await alarms(bench) == {}
        await bench.mine(1)
        await bench.service.operators.compare()
        assert bench.service.operators.count() == 2
        head = bench.sight.current().head
        assert bench.service.operators.second_head_timestamp_ms() == head.timestamp_ms
        await bench.service.chain.refresh_parameters()
        context = bench.service.chain.signing_context()
        assert (context.operators, context.paused) == (2, None)


async def test_h9_an_operator_with_another_solid_block_stops_signing_until_it_agrees(
    world: World, tmp_path: Path
) -> None:
    told: dict[str, Any] = {}

    def another(path: str, _: Any, answer: Any) -> Any:
        return told if path == "/walletsolidity/getnowblock" else answer

    wire = SpoiledWire(world.devnet, another)
    wire.is_spoiled = False
    async with (
        operator_of(wire) as second,
        benched(world, tmp_path, heard={"second": second}) as bench,
    ):
        await bench.scan()
        await bench.mine(3)
        told.update(await _sealed_otherwise(bench))
        wire.is_spoiled = True
        assert await alarms(bench) == {DISAGREEMENT: "second"}
        assert bench.service.operators.count() == 1
        await bench.service.chain.refresh_parameters()
        paused = bench.service.chain.signing_context().paused
        assert paused is not None
        assert "second says that block" in paused

        wire.is_spoiled = False
        assert await alarms(bench) == {}
        assert bench.service.chain.signing_context().paused is None


async def _sealed_otherwise(bench: Bench) -> Any:
    """Return the solid block with another time in its header, under the id that this gives it."""
    height = bench.sight.current().solid.height
    answer = await bench.node.read_raw("/walletsolidity/getblockbynum", {"num": height})
    raw = answer["block_header"]["raw_data"]
    raw["timestamp"] += 3_000
    answer["blockID"] = block_id(BlockHeader.from_json(raw))
    return answer


async def test_h2_an_operator_whose_head_is_more_than_a_minute_away_is_a_warning(
    world: World, tmp_path: Path
) -> None:
    last = world.devnet.node.chain.head.number

    def without_the_rest(path: str, asked: Any, answer: Any) -> Any:
        return {} if path == "/wallet/getblockbynum" and asked["num"] > last else answer

    wire = SpoiledWire(world.devnet, without_the_rest)
    async with (
        operator_of(Wire(world.devnet)) as second,
        benched(world, tmp_path, transport=wire, heard={"second": second}) as bench,
    ):
        await bench.scan()
        assert await alarms(bench) == {}
        world.mine(25)
        assert await alarms(bench) == {HEADS_APART: "second"}
        (alarm,) = bench.service.alarms.open()
        assert alarm.severity is Severity.WARNING
        assert "ahead of" in alarm.detail
        wire.is_spoiled = False
        await bench.scan()
        assert await alarms(bench) == {}


async def test_what_an_operator_said_is_forgotten_after_less_than_a_minute(
    world: World, tmp_path: Path
) -> None:
    clock = HeldClock(world.devnet.node.clock.now_ms())
    async with (
        operator_of(Wire(world.devnet)) as second,
        benched(world, tmp_path, heard={"second": second}, clock=clock) as bench,
    ):
        await bench.scan()
        await bench.mine(BLOCKS_TO_SOLID)
        await bench.service.operators.compare()
        assert bench.service.operators.count() == 2
        clock.advance(seconds=46)
        assert bench.service.operators.count() == 1
        assert bench.service.operators.second_head_timestamp_ms() is None


async def test_an_operator_that_does_not_answer_neither_counts_nor_alarms(
    world: World, tmp_path: Path
) -> None:
    async with (
        operator_of(httpx.MockTransport(_nobody)) as second,
        benched(world, tmp_path, heard={"second": second}) as bench,
    ):
        await bench.scan()
        assert await alarms(bench) == {}
        assert bench.service.operators.count() == 1
        assert bench.service.operators.second_head_timestamp_ms() is None


async def test_h22_a_budget_that_cannot_pay_for_a_verdict_pauses_signing(
    world: World, tmp_path: Path
) -> None:
    reasons: list[str | None] = [None]
    async with benched(world, tmp_path, cannot_pay=lambda: reasons[0]) as bench:
        await bench.scan()
        await bench.service.chain.refresh_parameters()
        assert bench.service.chain.signing_context().paused is None
        reasons[0] = "the calls of today are used up"
        assert bench.service.chain.signing_context().paused == "the calls of today are used up"

"""A pause of USDT that no scanned block tells of is noticed all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devnet.control.contract_orders import ContractOrders
from services.tron_client.service.issuer import Issuer
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    TOKEN,
    Bench,
    SpoiledWire,
    World,
    benched,
)


def issuer(bench: Bench) -> Issuer:
    return Issuer(node=bench.node, usdt=TOKEN, alarms=bench.service.alarms)


async def test_a_pause_from_before_the_scan_is_an_alarm_until_it_is_over(
    world: World, tmp_path: Path
) -> None:
    orders = ContractOrders(world.devnet.teller)
    orders.set_paused(paused=True)
    world.mine(BLOCKS_TO_SOLID + 1)
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        await bench.service.announcer.announce()
        assert bench.service.alarms.open() == []
        for _ in range(3):
            await issuer(bench).look()
        (alarm,) = bench.service.alarms.open()
        assert (alarm.kind, alarm.subject, alarm.count) == ("usdt_paused", "usdt", 3)

        orders.set_paused(paused=False)
        await bench.mine(1)
        await issuer(bench).look()
        assert bench.service.alarms.is_open("usdt_paused", "usdt")
        await bench.mine(BLOCKS_TO_SOLID + 1)
        await bench.service.announcer.announce()
        assert bench.service.alarms.open() == []


async def test_usdt_that_is_not_paused_calls_nobody(bench: Bench) -> None:
    await issuer(bench).look()
    assert bench.service.alarms.open() == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: {},
        lambda answer: {**answer, "constant_result": [""]},
        lambda answer: {**answer, "constant_result": ["ff" * 32]},
        lambda _: {"Error": "class java.lang.NullPointerException : null"},
    ],
)
async def test_an_answer_that_is_none_calls_nobody_and_breaks_nothing(
    world: World, tmp_path: Path, spoil: Callable[[Any], Any]
) -> None:
    def change(path: str, _asked: Any, answer: Any) -> Any:
        return spoil(answer) if path.endswith("triggerconstantcontract") else answer

    async with benched(world, tmp_path, transport=SpoiledWire(world.devnet, change)) as bench:
        await bench.scan()
        assert await issuer(bench).look() is False
        assert bench.service.alarms.open() == []

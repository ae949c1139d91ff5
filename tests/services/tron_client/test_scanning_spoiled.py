"""A node that says one thing wrong now and then: the scan refuses it, and the chain is right in the end."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from services.tron_client.domain.blocks import ForkBelowSolid
from shared.errors import Problem
from shared.models.tron_transactions import TransactionState
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    World,
    benched,
)
from tests.services.tron_client.spoiling import spoil
from tests.services.tron_client.test_scanning_transfers import pay_internally

pytestmark = pytest.mark.property

ROUNDS = 40
SPOILED_OF_TEN = 4
UNDER_NO_SIGNATURE = "/walletsolidity/gettransactioninfo"
"""Receipts of the solid tree are one node's word, which a second operator has to bear out (H9)."""


class Careless:
    """Changes one thing in four answers of ten.

    Attributes:
        changes: what was changed, for whoever reads a failure.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - a repeatable mix
        self.changes: list[str] = []

    def __call__(self, path: str, _asked: Any, answer: Any) -> Any:
        is_proved = not path.startswith(UNDER_NO_SIGNATURE)
        if not is_proved or self._chance.randrange(10) >= SPOILED_OF_TEN:
            return answer
        change = spoil(self._chance.randrange, answer)
        self.changes.append(f"{path} {change.path} {change.before!r:.60} {change.after!r:.60}")
        return change.answer


async def try_to_scan(bench: Bench) -> None:
    """Do what the loops do; nothing but a problem may come of any answer."""
    for work in (
        bench.scanner.scan,
        bench.rescans.scan,
        bench.tracker.rebroadcast,
        bench.tracker.expire,
        bench.service.chain.refresh_parameters,
        bench.service.operators.compare,
        bench.agreement.retry,
    ):
        try:
            await work()
        except ForkBelowSolid:
            raise
        except Problem:
            continue


def pay(world: World, amount: int, *, by: int) -> None:
    match by:
        case 0:
            world.pay_trx(amount)
        case 1:
            world.pay_usdt(amount)
        case _:
            pay_internally(world, amount)


@pytest.mark.parametrize("seed", range(6))
async def test_h8_h9_a_careless_node_credits_and_loses_nothing(
    world: World, tmp_path: Path, seed: int
) -> None:
    world.devnet.node.saves_internal = True
    careless = Careless(seed)
    wire = SpoiledWire(world.devnet, careless)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        own = (await bench.submit(world.transfer(3))).id
        wire.is_spoiled = True
        for number in range(1, ROUNDS + 1):
            pay(world, 1_000 + number, by=number % 3)
            world.mine(2)
            for _ in range(4):
                await try_to_scan(bench)
        wire.is_spoiled = False
        for _ in range(3):
            await try_to_scan(bench)
        await bench.mine(BLOCKS_TO_SOLID + 1)

        told = await bench.transfer_events()
        confirmed = sorted(int(amount) for state, amount in told if state == "confirmed")
        assert confirmed == [3, *(1_000 + number for number in range(1, ROUNDS + 1))]
        assert await bench.fate(own) == TransactionState.CONFIRMED
        assert len(careless.changes) > ROUNDS

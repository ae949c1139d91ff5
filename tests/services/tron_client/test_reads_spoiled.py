"""Whatever a node says when somebody asks for something, the answer is an answer or a problem."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from devnet.genesis import CUSTOMERS
from services.tron_client.service.issuer import Issuer
from shared.errors import Problem
from shared.models.tron_client import CallRequest
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    TOKEN,
    Bench,
    SpoiledWire,
    World,
    benched,
)
from tests.services.tron_client.spoiling import spoil

pytestmark = pytest.mark.property

TRIES = 120


def questions(bench: Bench, txid: str, height: int) -> list[Callable[[], Awaitable[object]]]:
    """Return everything that a caller may ask of a node through this service."""
    reads, explorer = bench.service.reads, bench.service.explorer
    call = CallRequest(owner_address=bench.world.to, contract_address=TOKEN, data="313ce567")
    return [
        lambda: reads.account(bench.payer),
        lambda: reads.holdings([bench.payer, bench.world.to]),
        lambda: reads.check(bench.payer),
        lambda: reads.estimate(call),
        lambda: reads.call([call]),
        lambda: reads.read_contract(TOKEN, "balanceOf", [bench.payer]),
        lambda: reads.read_contract(TOKEN, "name", []),
        lambda: explorer.transaction(txid),
        lambda: explorer.block_at(height),
        lambda: bench.outgoing.find([bench.payer], first_height=height, last_height=height + 3),
        bench.service.chain.refresh_parameters,
        Issuer(node=bench.node, usdt=TOKEN, alarms=bench.service.alarms).look,
    ]


@pytest.mark.parametrize("which", range(12))
async def test_a_spoiled_answer_is_refused_as_a_problem(
    world: World, tmp_path: Path, which: int
) -> None:
    chance = random.Random(which)  # noqa: S311 - a repeatable mix
    changed = []

    def change(path: str, _asked: Any, answer: Any) -> Any:
        if chance.randrange(2):
            return answer
        found = spoil(chance.randrange, answer)
        changed.append(f"{path} {found.path} {found.before!r:.60} {found.after!r:.60}")
        return found.answer

    wire = SpoiledWire(world.devnet, change)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        txid = world.call("transfer", CUSTOMERS[5].key.address, 7)
        await bench.mine(BLOCKS_TO_SOLID + 1)
        height = world.devnet.node.chain.height_of(bytes.fromhex(txid))
        assert height is not None
        ask = questions(bench, txid, height)[which]
        await ask()
        wire.is_spoiled = True
        for _ in range(TRIES):
            try:
                await ask()
            except Problem:
                continue
            except Exception as error:
                raise AssertionError(changed[-3:]) from error
        assert len(changed) >= TRIES // 4

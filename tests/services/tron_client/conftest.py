from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.services.tron_client.bench import Bench, World, benched, new_world


@pytest.fixture
def world() -> Iterator[World]:
    world = new_world()
    yield world
    world.devnet.node.chain.close()


@pytest.fixture
def stranger() -> Iterator[World]:
    """A chain of the same genesis with another history, longer than the world's will be."""
    world = new_world()
    world.devnet.node.clock.jump(3_000_000)
    world.mine(100)
    yield world
    world.devnet.node.chain.close()


@pytest.fixture
async def bench(world: World, tmp_path: Path) -> AsyncIterator[Bench]:
    """tron-client at the head of an honest devnet, watching the payee."""
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        yield bench

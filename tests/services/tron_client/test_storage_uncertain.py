"""A database that goes away over a commit: what may be stored is looked up, and nothing is passed by."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from services.tron_client.scanner.witnesses import PERIOD_MS
from services.tron_client.service.endpoints import Endpoints
from services.tron_client.store import ChainStore
from shared.storage import Storage, StorageUncertain, Unit
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    World,
    benched,
)
from tests.services.tron_client.test_expiry import EXPIRY_BLOCKS

STORED = pytest.mark.parametrize("is_stored", [True, False])


class StorageThatGoesAway:
    """Fails over the next commit, which is stored or not."""

    def __init__(self, storage: Storage, *, is_stored: bool) -> None:
        self._storage = storage
        self._is_stored = is_stored
        self.left = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def commit(self, unit: Unit) -> None:
        is_away, self.left = self.left > 0, 0
        if not is_away or self._is_stored:
            await self._storage.commit(unit)
        if is_away:
            raise StorageUncertain("database")


def go_away(store: ChainStore, *, is_stored: bool) -> None:
    store.storage = cast("Storage", StorageThatGoesAway(store.storage, is_stored=is_stored))


@STORED
async def test_the_scan_goes_on_from_what_is_stored(bench: Bench, *, is_stored: bool) -> None:
    bench.world.pay_trx(5)
    bench.world.mine()
    go_away(bench.store, is_stored=is_stored)
    with pytest.raises(StorageUncertain):
        await bench.scan()
    assert bench.sight.progress is None
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await bench.transfer_events() == [("seen", "5"), ("confirmed", "5")]


@STORED
async def test_h9_the_witnesses_are_followed_from_what_is_stored(
    bench: Bench, *, is_stored: bool
) -> None:
    for _ in range(2):
        bench.world.devnet.node.clock.jump(PERIOD_MS)
        bench.world.mine()
        go_away(bench.store, is_stored=is_stored)
        with pytest.raises(StorageUncertain):
            await bench.scan()
        await bench.scan()
        assert bench.sight.current().head.height == bench.world.devnet.node.chain.head.number


@STORED
async def test_h1_a_transaction_that_may_be_stored_is_looked_for(
    world: World, tmp_path: Path, *, is_stored: bool
) -> None:
    """The node denies it later: only the scan knows that it is on chain."""

    def deny(path: str, _asked: Any, answer: Any) -> Any:
        return {} if path == "/walletsolidity/gettransactioninfobyid" else answer

    async with benched(world, tmp_path, transport=SpoiledWire(world.devnet, deny)) as bench:
        await bench.scan()
        transaction = world.transfer(5)
        go_away(bench.store, is_stored=is_stored)
        with pytest.raises(StorageUncertain):
            await bench.submit(transaction)
        await bench.mine()
        taken = await bench.submit(transaction)
        await bench.mine(EXPIRY_BLOCKS + BLOCKS_TO_SOLID)
        await bench.tracker.expire()
        assert await bench.fate(taken.id) == "confirmed"


@STORED
async def test_h23_the_switch_works_after_it_may_have_been_stored(
    bench: Bench, *, is_stored: bool
) -> None:
    go_away(bench.store, is_stored=is_stored)
    with pytest.raises(StorageUncertain):
        await bench.tracker.stop((), reason="a key may be stolen", by="operator:test")
    assert bench.gate.is_shut()
    await bench.tracker.stop((), reason="a key may be stolen", by="operator:test")
    held = await bench.tracker.release((), reason="a drill", by="operator:test")
    assert not held.is_shut


@STORED
async def test_calls_are_counted_on_after_they_may_have_been_stored(
    bench: Bench, *, is_stored: bool
) -> None:
    endpoints: Endpoints = bench.service.endpoints
    await endpoints.watch()
    await bench.mine()
    go_away(bench.store, is_stored=is_stored)
    with pytest.raises(StorageUncertain):
        await endpoints.watch()
    await bench.mine()
    await endpoints.watch()

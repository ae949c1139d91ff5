"""What each answer to a broadcast leads to, and the switch that holds bytes back (hazard H23)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from devnet.rejection import Code
from services.tron_client.domain.broadcasting import STOP_FILE
from services.tron_client.domain.reactions import REACTIONS, Reaction, reaction_to
from services.tron_client.domain.transactions import Tracked
from services.tron_client.tracker import HeldBack, Tracker, TrackPolicy
from services.tron_client.tracker.gate import BroadcastGate
from shared.models.tron_transactions import BroadcastOutcome
from shared.storage import StorageError
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    Wire,
    World,
    benched,
    request_for,
)

BY = "operator:test"
WHY = "a key may be stolen"


def test_every_code_of_a_node_has_a_reaction() -> None:
    assert set(REACTIONS) == {code.value for code in Code} | {"SUCCESS"}


def test_what_no_node_is_known_to_say_is_sent_again() -> None:
    assert reaction_to(BroadcastOutcome.UNKNOWN, "NEVER_HEARD_OF") is Reaction.AGAIN
    assert reaction_to(BroadcastOutcome.UNKNOWN, None) is Reaction.AGAIN


@pytest.mark.parametrize("code", sorted(REACTIONS))
async def test_bytes_go_on_as_the_table_says(world: World, tmp_path: Path, code: str) -> None:
    def answers(path: str, _asked: Any, answer: Any) -> Any:
        if path == "/wallet/broadcasthex":
            return {**answer, "result": code == "SUCCESS", "code": code, "message": "so"}
        return answer

    async with benched(world, tmp_path, transport=SpoiledWire(world.devnet, answers)) as bench:
        await bench.scan()
        taken = await bench.submit(world.transfer(5))
        now_ms = world.devnet.node.clock.now_ms()
        match REACTIONS[code]:
            case Reaction.NEVER:
                assert taken.next_broadcast_ms is None
            case Reaction.AGAIN:
                assert taken.next_broadcast_ms == now_ms + 6_000
            case Reaction.LATER:
                assert taken.next_broadcast_ms == now_ms + 18_000


async def test_h23_once_stopped_nothing_is_broadcast_and_what_may_land_is_told(
    bench: Bench,
) -> None:
    bench.world.drop()
    sent = await bench.submit(bench.world.transfer(5))
    before = _broadcasts(bench)
    held = await bench.tracker.stop((), reason=WHY, by=BY)
    assert held.is_shut
    assert [(each.id, each.expires_at_ms) for each in held.may_land] == [
        (sent.id, sent.expires_at_ms)
    ]
    kept = await _submitted(bench, 6, send_key="test:two:0")
    assert (kept.outcome, kept.broadcasts) == (BroadcastOutcome.UNKNOWN, 0)
    assert WHY in (kept.outcome_message or "")
    await bench.mine(5)
    await bench.tracker.rebroadcast()
    assert _broadcasts(bench) == before


async def test_h23_what_was_held_back_goes_out_once_it_is_released(bench: Bench) -> None:
    await bench.tracker.stop((), reason=WHY, by=BY)
    kept = await bench.submit(bench.world.transfer(5))
    await bench.mine(3)
    await bench.tracker.rebroadcast()
    released = await bench.tracker.release((), reason="it was a drill", by=BY)
    assert (released.is_shut, released.may_land) == (False, ())
    await bench.mine(3)
    await bench.tracker.rebroadcast()
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await bench.fate(kept.id) == "confirmed"


async def test_h23_the_stop_outlives_a_restart(world: World, tmp_path: Path) -> None:
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        await bench.tracker.stop((), reason=WHY, by=BY)
    async with benched(world, tmp_path) as bench:
        kept = await bench.submit(world.transfer(5))
        assert kept.broadcasts == 0
        assert bench.tracker is not None
        assert (await bench.tracker.held_back()).state.changed_by == BY


async def test_h23_a_file_alone_stops(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / STOP_FILE).touch()
    kept = await bench.submit(bench.world.transfer(5))
    assert kept.broadcasts == 0
    assert (await bench.tracker.release((), reason="try", by=BY)).is_shut
    (tmp_path / STOP_FILE).unlink()
    await bench.mine(3)
    await bench.tracker.rebroadcast()
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await bench.fate(kept.id) == "confirmed"


async def test_h23_memory_alone_stops_when_the_database_is_gone(bench: Bench) -> None:
    transaction = await bench.submit(bench.world.transfer(5))
    await bench.store.storage.close()
    with pytest.raises(StorageError):
        await bench.tracker.stop((), reason=WHY, by=BY)
    assert bench.tracker.reason_for(transaction.owner) == WHY


async def test_h23_one_owner_is_stopped_and_the_others_are_not(bench: Bench) -> None:
    sent = await bench.submit(bench.world.transfer(5))
    await bench.tracker.stop([bench.world.to], reason=WHY, by=BY)
    assert bench.tracker.reason_for(sent.owner) is None
    assert bench.tracker.reason_for(bench.world.to) == WHY
    await bench.tracker.stop([sent.owner], reason=WHY, by=BY)
    held = await bench.tracker.release([bench.world.to], reason="cleared", by=BY)
    assert [each.address for each in held.state.owners] == [sent.owner]
    assert not held.is_shut


async def test_h23_a_stop_waits_for_what_is_on_its_way_out(world: World, tmp_path: Path) -> None:
    wire = WireThatStopsMeanwhile(world)
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        wire.bench = bench
        await bench.submit(world.transfer(5))
        assert wire.stopping is not None
        assert (await wire.stopping).is_shut
        assert wire.order == ["asked", "answered", "stopped"]


async def test_h23_a_stop_that_comes_while_others_are_held_back_holds_too(bench: Bench) -> None:
    bench.world.drop()
    sent = await bench.submit(bench.world.transfer(5))
    other = World(devnet=bench.world.devnet, payer=bench.world.payee, payee=bench.world.payer)
    kept = await bench.submit(other.transfer(6), send_key="test:two:0")
    await bench.mine(3)
    look = LookThatIsFollowedByAStop(bench)
    gate = BroadcastGate(
        store=bench.store, clock=bench.world.devnet.node.clock, is_stopped_by_file=look
    )
    await gate.stop([kept.owner], reason=WHY, by=BY)
    tracker = Tracker(
        node=bench.node,
        store=bench.store,
        sight=bench.sight,
        clock=bench.world.devnet.node.clock,
        policy=TrackPolicy(rebroadcast_interval_s=6, submit_timeout_s=2),
        gate=gate,
        judges=dict,
        alarms=bench.alarms,
    )
    look.tracker = tracker
    await tracker.rebroadcast()
    assert look.stopping is not None
    at_stop = await look.stopping
    assert _broadcasts(bench) == at_stop
    assert tracker.reason_for(sent.owner) == WHY


class LookThatIsFollowedByAStop:
    """Looks for the file; once somebody was let through everything is stopped."""

    def __init__(self, bench: Bench) -> None:
        self.tracker: Tracker | None = None
        self.stopping: asyncio.Task[int] | None = None
        self._bench = bench

    def __call__(self) -> bool:
        if self.tracker is not None and self.stopping is None:
            self.stopping = asyncio.create_task(self._stop(self.tracker))
        return False

    async def _stop(self, tracker: Tracker) -> int:
        """Stop everything; returns how many broadcasts there were by then."""
        await tracker.stop((), reason=WHY, by=BY)
        return _broadcasts(self._bench)


class WireThatStopsMeanwhile(Wire):
    """Has broadcasting stopped while a broadcast is under way, and notes what happened in order."""

    def __init__(self, world: World) -> None:
        super().__init__(world.devnet)
        self.bench: Bench | None = None
        self.stopping: asyncio.Task[HeldBack] | None = None
        self.order: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/wallet/broadcasthex" or self.bench is None:
            return await super().handle_async_request(request)
        self.order.append("asked")
        self.stopping = asyncio.create_task(self._stop(self.bench))
        while not self.bench.gate.state.version:  # noqa: ASYNC110 - stored: only the wait is left
            await asyncio.sleep(0)
        response = await super().handle_async_request(request)
        self.order.append("answered")
        return response

    async def _stop(self, bench: Bench) -> HeldBack:
        held = await bench.tracker.stop((), reason=WHY, by=BY)
        self.order.append("stopped")
        return held


async def _submitted(bench: Bench, amount_sun: int, *, send_key: str) -> Tracked:
    request = request_for(bench.world.transfer(amount_sun), send_key=send_key)
    (taken,) = await bench.tracker.submit([request])
    return taken


def _broadcasts(bench: Bench) -> int:
    return bench.calls().get("/wallet/broadcasthex", 0)

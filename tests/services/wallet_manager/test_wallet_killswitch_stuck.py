"""H23: the kill switch while what it talks to neither works nor fails, and the addresses of a wallet."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.wallet_manager.domain.stops import ALL, StopPlace
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.guard import Gate, Guard
from services.wallet_manager.service.killswitch import KillSwitch
from services.wallet_manager.store import WalletStore
from shared.clock import HeldClock
from shared.models.tron_transactions import BroadcastingView
from shared.models.wallet_sends import SendState
from shared.money import Currency
from shared.tron.address import Address
from tests.services.wallet_manager.guards import Guards, guarded, rulebook
from tests.services.wallet_manager.test_wallet_sweeps import leaf, sweep
from tests.services.wallet_manager.till import (
    TRX,
    Chain,
    Till,
    intent,
    open_storage,
    rules,
    till_on,
    vault,
)
from tests.support import START_MS

PATIENCE_S = 0.01


class Stuck:
    """Plays a database or a sibling: whatever is asked of it never comes back."""

    def __getattr__(self, name: str) -> Any:
        async def never(*_: object, **__: object) -> None:
            await asyncio.Event().wait()

        return never


class SilentBroadcaster:
    """Takes every call and never answers one."""

    async def set_broadcasting(
        self, *, stopped: bool, reason: str, owners: Sequence[Address] = ()
    ) -> BroadcastingView:
        del stopped, reason, owners
        await asyncio.Event().wait()
        raise AssertionError("it never comes here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    till: Till
    guards: Guards
    folder: Path

    def switch(self, store: WalletStore) -> KillSwitch:
        """Return a switch on such a store, beside a tron-client that never answers."""
        return KillSwitch(
            store=store,
            audit=Audit(store=store, clock=self.till.clock),
            approvals=self.guards.approvals,
            broadcaster=SilentBroadcaster(),
            clock=self.till.clock,
            folder=self.folder,
            books_lock=self.till.books_lock,
            patience_s=PATIENCE_S,
        )


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    storage = await open_storage(tmp_path)
    clock = HeldClock(START_MS)
    gates: list[Gate] = []
    guards: list[Guard] = []
    till = till_on(
        storage,
        clock=clock,
        chain=Chain(clock),
        vault=vault(),
        ids=itertools.count(1),
        rules=rules(),
        gates=gates,
        guards=guards,
    )
    folder = tmp_path / "stops"
    folder.mkdir()
    made = await guarded(till, folder, gates=gates, guards=guards, rules=rulebook())
    await till.begins()
    yield Desk(till=till, guards=made, folder=folder)
    await storage.close()


async def test_h23_it_stops_while_the_database_the_round_and_tron_client_are_stuck(
    desk: Desk,
) -> None:
    stuck: Any = Stuck()
    switch = desk.switch(WalletStore(stuck))
    async with desk.till.books_lock:  # whoever signs never comes to an end
        for scope in ("wal_000001", ALL):
            report = await switch.stop(scope, reason="everything burns", by="ada")
            assert report.places == (StopPlace.MEMORY, StopPlace.FILE)
            assert not report.quiet
            assert not report.broadcasting_stopped
            assert [one.partition(":")[0] for one in report.troubles] == [
                "the round under way",
                "the database",
                "what is under way",
                "tron-client",
            ]
    assert switch.reason() is not None
    fresh = desk.switch(desk.till.store)
    assert fresh.reason() is not None  # the next process finds the file


async def test_h23_from_the_first_moment_on_nothing_is_signed_though_the_stop_still_waits(
    desk: Desk,
) -> None:
    stuck: Any = Stuck()
    switch = desk.switch(WalletStore(stuck))
    async with desk.till.books_lock:
        stopping = asyncio.create_task(switch.stop(ALL, reason="theft", by="ada"))
        await asyncio.sleep(0)
        assert not stopping.done()
        assert switch.reason() is not None
        await stopping


async def test_h23_a_touched_file_stops_a_service_whose_loops_stand_still(desk: Desk) -> None:
    await desk.till.treasury()
    (desk.folder / "stop").touch()  # nothing else runs: no loop, no request
    send = await desk.till.signed(intent(amount=TRX))
    assert send.state is SendState.QUEUED


async def test_h23_the_stop_of_a_wallet_holds_back_the_bytes_of_its_addresses(desk: Desk) -> None:
    wallet = await desk.till.treasury()
    first, second, idle = [await leaf(desk.till, wallet, name) for name in ("one", "two", "three")]
    for source, currency in itertools.product((first, second, idle), Currency):
        await desk.till.deposit(source, 90 * TRX, currency)
    for source in (first, second):
        swept = await desk.till.signed(sweep(wallet, source, f"of-{source}"))
        assert swept.state is SendState.SIGNED

    report = await desk.guards.switch.stop(wallet.id, reason="theft", by="ada")
    assert desk.guards.broadcaster.stopped == {wallet.address, first, second}
    assert {one.owner for one in report.may_land} == {first, second}
    waiting = await desk.till.signed(sweep(wallet, idle, "idle"))
    assert waiting.state is SendState.QUEUED
    assert waiting.waiting_for is not None
    assert wallet.id in waiting.waiting_for

    await desk.guards.switch.lift(wallet.id, reason="looked", by="ada")
    await desk.guards.switch.keep_up()
    assert desk.guards.broadcaster.stopped == set()


async def test_h23_addresses_are_let_go_whose_sends_have_ended_meanwhile(desk: Desk) -> None:
    wallet = await desk.till.treasury()
    source = await leaf(desk.till, wallet)
    desk.guards.broadcaster.stopped.add(source)  # since before a restart; nothing is under way now
    (desk.folder / f"stop-{wallet.id}").touch()
    await desk.guards.switch.keep_up()
    (desk.folder / f"stop-{wallet.id}").unlink()
    await desk.guards.switch.keep_up()
    assert desk.guards.broadcaster.stopped == set()

"""H23: the kill switch, each of its three places alone, and while everything else is on fire."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.wallet_manager.domain.approvals import ApprovalNeeded
from services.wallet_manager.domain.sends import Hold
from services.wallet_manager.domain.stops import ALL, SigningStopped, Stop, StopPlace
from services.wallet_manager.service.guard import Gate, Guard
from services.wallet_manager.service.killswitch import KillSwitch, StopDesk
from services.wallet_manager.service.submission import Submission
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import STOPS
from shared.clock import HeldClock
from shared.models.tron_transactions import MayLandView, TransactionState
from shared.models.wallet_sends import SendState
from shared.peers.caller import PeerUnavailable
from shared.storage import MAX_ROWS, Unit
from tests.services.wallet_manager.guards import Guards, guarded, rulebook
from tests.services.wallet_manager.till import (
    LIFETIME_MS,
    TRX,
    Chain,
    Till,
    fate,
    intent,
    open_storage,
    rules,
    till_on,
    vault,
)
from tests.support import START_MS, address

WALLET = "wal_000001"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    till: Till
    guards: Guards
    folder: Path

    @property
    def switch(self) -> KillSwitch:
        return self.guards.switch

    async def signs(self, name: str) -> bool:
        send = await self.till.signed(intent(name, amount=TRX))
        return send.state is SendState.SIGNED


async def opened(root: Path, quorums: int = 1) -> Desk:
    storage = await open_storage(root)
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
    folder = root / "stops"
    folder.mkdir(exist_ok=True)
    made = await guarded(
        till, folder, gates=gates, guards=guards, rules=rulebook(), quorums=quorums
    )
    await till.begins()
    return Desk(till=till, guards=made, folder=folder)


class AgreedMeanwhile:
    """Approvals that something else happens during."""

    def __init__(self, act: Callable[[], Awaitable[object]]) -> None:
        self._act = act

    async def require(self, *given: object, **named: object) -> None:
        del given, named
        await self._act()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = await opened(tmp_path)
    await made.till.treasury()
    yield made
    await made.till.storage.close()


async def test_h23_memory_alone_stops_the_signing(desk: Desk) -> None:
    await desk.switch.stop(ALL, reason="theft", by="ada")
    (desk.folder / "stop").unlink()
    kept = await desk.till.storage.get(STOPS, ALL)
    assert kept is not None
    await desk.till.storage.commit(Unit().delete(STOPS, kept))
    await desk.switch.load()
    assert desk.switch.places(ALL) == (StopPlace.MEMORY,)
    assert not await desk.signs("one")
    assert desk.switch.reason() == "signing is stopped (memory): theft"


async def test_h23_a_touched_file_alone_stops_the_signing_and_its_removal_lets_it_go_on(
    desk: Desk,
) -> None:
    (desk.folder / "stop").touch()
    assert not await desk.signs("one")
    await desk.switch.keep_up()
    assert desk.guards.broadcaster.stopped == {""}
    (desk.folder / "stop").unlink()
    assert await desk.signs("two")
    await desk.switch.keep_up()
    assert desk.guards.broadcaster.stopped == set()


async def test_h23_a_record_alone_stops_the_signing(desk: Desk) -> None:
    stop = Stop(id=ALL, reason="by another process", by="ada", at_ms=START_MS)
    await desk.till.storage.commit(Unit().insert(STOPS, stop))
    assert not await desk.signs("one")
    assert desk.switch.places(ALL) == (StopPlace.DATABASE,)
    await desk.switch.keep_up()
    assert desk.guards.broadcaster.stopped == {""}


async def test_h23_a_record_stops_the_signing_however_many_were_lifted_before_it(
    desk: Desk,
) -> None:
    lifted = Unit()
    for number in range(MAX_ROWS):
        lifted.insert(
            STOPS, Stop(id=f"wal_{number}", reason="x", by="ada", at_ms=number, lifted=True)
        )
    await desk.till.storage.commit(lifted)
    stop = Stop(id=ALL, reason="by another process", by="ada", at_ms=START_MS)
    await desk.till.storage.commit(Unit().insert(STOPS, stop))
    assert not await desk.signs("one")


@pytest.mark.parametrize("place", ["file", "record"])
async def test_h23_one_wallet_may_be_stopped_alone(desk: Desk, place: str) -> None:
    if place == "file":
        (desk.folder / f"stop-{WALLET}").touch()
    else:
        stop = Stop(id=WALLET, reason="theft", by="ada", at_ms=START_MS)
        await desk.till.storage.commit(Unit().insert(STOPS, stop))
    send = await desk.till.signed(intent("one", amount=TRX))
    assert send.state is SendState.QUEUED
    assert send.waiting_for is not None
    assert send.waiting_for.startswith(
        f"signing for {WALLET} is stopped ({place.replace('record', 'database')})"
    )
    assert desk.switch.reason() is None
    assert desk.switch.scopes() == (WALLET,)


async def test_h23_it_works_without_a_database_and_without_tron_client(tmp_path: Path) -> None:
    desk = await opened(tmp_path)
    desk.guards.broadcaster.away = True
    await desk.till.storage.close()
    report = await desk.switch.stop(ALL, reason="everything burns", by="ada")
    assert report.places == (StopPlace.MEMORY, StopPlace.FILE)
    assert not report.broadcasting_stopped
    assert [one.partition(":")[0] for one in report.troubles] == [
        "the database",
        "what is under way",
        "tron-client",
    ]
    assert desk.switch.reason() is not None


async def test_h23_it_works_without_its_folder(tmp_path: Path) -> None:
    desk = await opened(tmp_path)
    desk.folder.rmdir()
    report = await desk.switch.stop(ALL, reason="no disk", by="ada")
    assert report.places == (StopPlace.MEMORY, StopPlace.DATABASE)
    await desk.till.storage.close()


async def test_h23_a_stop_survives_a_restart_in_the_file_and_in_the_database(
    tmp_path: Path,
) -> None:
    desk = await opened(tmp_path)
    await desk.switch.stop(ALL, reason="theft", by="ada")
    await desk.till.storage.close()
    again = await opened(tmp_path)
    assert again.switch.places(ALL) == (StopPlace.FILE, StopPlace.DATABASE)
    assert again.switch.reason() == "signing is stopped (file, database): theft"
    await again.till.storage.close()


async def test_h23_tron_client_is_told_until_it_took(desk: Desk) -> None:
    desk.guards.broadcaster.away = True
    await desk.switch.stop(ALL, reason="theft", by="ada")
    with pytest.raises(Exception, match="did not answer"):
        await desk.switch.keep_up()
    desk.guards.broadcaster.away = False
    await desk.switch.keep_up()
    assert desk.guards.broadcaster.stopped == {""}


async def test_h23_tron_client_that_lost_its_stops_hears_of_them_before_anything_else(
    desk: Desk,
) -> None:
    broadcaster = desk.guards.broadcaster
    (desk.folder / "stop-aaa").touch()  # no wallet has this name
    await desk.switch.stop(ALL, reason="theft", by="ada")
    broadcaster.stopped.clear()
    await desk.switch.tell_again()
    assert broadcaster.stopped == {""}

    broadcaster.away = True
    with pytest.raises(PeerUnavailable):
        await desk.switch.tell_again()


async def test_h23_a_file_that_names_no_wallet_keeps_no_other_stop_from_tron_client(
    desk: Desk,
) -> None:
    owner = (await desk.till.wallets.treasury()).address
    strange = desk.folder / "stop-wal_000000"
    strange.touch()
    (desk.folder / f"stop-{WALLET}").touch()
    for _ in range(2):
        with pytest.raises(SigningStopped, match="no such wallet"):
            await desk.switch.keep_up()
    assert desk.guards.broadcaster.stopped == {owner}

    (desk.folder / f"stop-{WALLET}").unlink()
    with pytest.raises(SigningStopped, match="no such wallet"):
        await desk.switch.keep_up()
    assert desk.guards.broadcaster.stopped == set()
    strange.unlink()
    await desk.switch.keep_up()


async def test_h23_a_tron_client_that_lost_its_stops_has_them_before_it_is_given_anything(
    desk: Desk,
) -> None:
    await desk.switch.stop(ALL, reason="theft", by="ada")
    (desk.folder / "stop-nothing").touch()
    desk.guards.broadcaster.stopped.clear()
    desk.guards.broadcaster.away = True
    with pytest.raises(PeerUnavailable):
        await desk.switch.tell_again()

    desk.guards.broadcaster.away = False
    await desk.switch.tell_again()
    assert desk.guards.broadcaster.stopped == {""}


async def test_h23_a_file_named_after_the_scope_of_everything_stops_everything(desk: Desk) -> None:
    (desk.folder / "stop-all").touch()
    await desk.switch.keep_up()
    assert desk.guards.broadcaster.stopped == {""}
    assert desk.switch.places(ALL) == (StopPlace.FILE,)
    assert desk.switch.reason() is not None

    await desk.switch.lift(ALL, reason="over", by="ada")
    await desk.switch.keep_up()
    assert (desk.switch.reason(), desk.guards.broadcaster.stopped) == (None, set())


async def test_h23_a_stop_that_crosses_the_end_of_another_is_told_again(desk: Desk) -> None:
    """tron-client hears of the new stop first and of the end of the old one after it."""
    (desk.folder / "stop").touch()
    await desk.switch.keep_up()
    (desk.folder / "stop").unlink()
    desk.guards.broadcaster.on_release = (desk.folder / "stop").touch
    await desk.switch.keep_up()
    assert desk.guards.broadcaster.stopped == {""}


async def test_h23_what_may_still_land_is_told_with_its_time_and_its_hold_stays(
    desk: Desk,
) -> None:
    send = await desk.till.submitted(intent("one", amount=TRX))
    assert send.txid is not None
    foreign = MayLandView(
        txid="ab" * 32, send_key="payout-router:x:0", owner=send.owner, expires_at_ms=START_MS
    )
    desk.guards.broadcaster.may_land = [foreign]
    report = await desk.switch.stop(ALL, reason="theft", by="ada")
    assert [(one.txid, one.expires_at_ms) for one in report.may_land] == [
        (send.txid, START_MS + LIFETIME_MS),
        (foreign.txid, START_MS),
    ]
    after = await desk.till.read(send.send_key)
    assert after.hold == send.hold != Hold()
    await desk.till.verdicts(fate(after, TransactionState.EXPIRED))
    await desk.till.sender.sign_due()
    again = await desk.till.read(send.send_key)
    assert (again.state, again.attempt) == (SendState.QUEUED, 1)


async def test_h23_nothing_is_signed_after_it_returned_whatever_was_under_way(desk: Desk) -> None:
    for number in range(10):
        await desk.till.accept(
            *(intent(f"{number}-{one}", amount=TRX, recipient=address(one + 1)) for one in range(5))
        )

    async def sign() -> None:
        for _ in range(20):
            try:
                await desk.till.sender.sign_due()
            except SigningStopped:
                return

    signing = asyncio.create_task(sign())
    await asyncio.sleep(0)
    report = await desk.switch.stop(ALL, reason="theft", by="ada")
    at_return = await desk.till.store.count(SendState.SIGNED)
    await signing
    await desk.till.sender.sign_due()
    assert report.quiet
    assert await desk.till.store.count(SendState.SIGNED) == at_return


async def test_h23_a_round_that_was_judged_before_the_stop_is_thrown_away(desk: Desk) -> None:
    send = await desk.till.taken(intent("one", amount=TRX))
    round_ = await desk.switch.open([send], now_ms=START_MS)
    assert isinstance(round_, StopDesk)
    assert round_.objection(send, Hold()) is None
    round_.take(send, Hold())
    await desk.switch.stop(send.wallet_id, reason="theft", by="ada")
    with pytest.raises(SigningStopped):
        round_.write(Change())


async def test_h23_a_lifted_stop_signs_again_and_is_written_down(desk: Desk) -> None:
    await desk.switch.stop(ALL, reason="theft", by="ada")
    assert (await desk.switch.lift(ALL, reason="found", by="bob")).places == ()
    assert await desk.signs("one")
    await desk.switch.keep_up()
    assert desk.guards.broadcaster.stopped == set()
    told = [each async for _, _, each in desk.guards.audit.decisions(after=0, limit=10)]
    assert [(each.act.value, each.who, each.why) for each in told[:3]] == [
        ("wallet.made", "op", ""),
        ("stop.set", "ada", "theft"),
        ("stop.lifted", "bob", "found"),
    ]
    assert not (desk.folder / "stop").exists()


async def test_h23_a_stop_that_comes_while_another_is_lifted_stays(desk: Desk) -> None:
    meanwhile = AgreedMeanwhile(lambda: switch.stop(ALL, reason="theft again", by="bob"))
    switch = KillSwitch(
        store=desk.till.store,
        audit=desk.guards.audit,
        approvals=meanwhile,  # type: ignore[arg-type]
        broadcaster=desk.guards.broadcaster,
        clock=desk.till.clock,
        folder=desk.folder,
        books_lock=desk.till.books_lock,
    )
    await switch.stop(ALL, reason="theft", by="ada")

    report = await switch.lift(ALL, reason="found", by="ada")

    assert report.places == (StopPlace.MEMORY, StopPlace.FILE)
    await switch.keep_up()
    assert switch.places(ALL) == tuple(StopPlace)
    assert switch.why(ALL) == "theft again"
    assert desk.guards.broadcaster.stopped == {""}


async def test_h23_where_two_have_to_agree_one_cannot_lift_it(tmp_path: Path) -> None:
    desk = await opened(tmp_path, quorums=2)
    await desk.switch.stop(ALL, reason="theft", by="ada")
    with pytest.raises(ApprovalNeeded) as needed:
        await desk.switch.lift(ALL, reason="found", by="ada")
    for who in ("bob", "carol"):
        await desk.guards.approvals.agree(str(needed.value.facts["approval_id"]), who=who, note="")
    assert (await desk.switch.lift(ALL, reason="found", by="ada")).places == ()
    await desk.switch.stop(ALL, reason="theft again", by="ada")
    desk.till.clock.advance(seconds=1)
    with pytest.raises(ApprovalNeeded):
        await desk.switch.lift(ALL, reason="found", by="ada")
    await desk.till.storage.close()


async def test_h23_an_agreement_to_lift_one_file_does_not_lift_the_next_one(
    tmp_path: Path,
) -> None:
    desk = await opened(tmp_path, quorums=2)
    file = desk.folder / "stop"
    file.touch()
    await desk.switch.keep_up()
    with pytest.raises(ApprovalNeeded) as needed:
        await desk.switch.lift(ALL, reason="found", by="ada")
    for who in ("bob", "carol"):
        await desk.guards.approvals.agree(str(needed.value.facts["approval_id"]), who=who, note="")
    file.unlink()

    file.touch()
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 5_000_000))
    with pytest.raises(ApprovalNeeded):
        await desk.switch.lift(ALL, reason="found", by="ada")
    assert file.exists()
    await desk.till.storage.close()


async def test_h23_after_a_restart_tron_client_hears_of_a_lifted_stop(tmp_path: Path) -> None:
    desk = await opened(tmp_path)
    await desk.switch.stop(ALL, reason="theft", by="ada")
    broadcaster = desk.guards.broadcaster
    await desk.switch.lift(ALL, reason="found", by="ada")
    await desk.till.storage.close()
    again = await opened(tmp_path)
    again.guards.broadcaster.stopped = set(broadcaster.stopped)
    assert broadcaster.stopped == {""}
    await again.switch.keep_up()
    assert again.guards.broadcaster.stopped == set()
    await again.till.storage.close()


async def test_h23_signed_bytes_stay_here_while_their_wallet_is_stopped(desk: Desk) -> None:
    submission = Submission(
        store=desk.till.store,
        chain=desk.till.chain,
        clock=desk.till.clock,
        rules=rules(),
        books_lock=desk.till.books_lock,
        held_back=desk.switch.reason_for,
    )
    send = await desk.till.signed(intent("one", amount=TRX))
    await desk.switch.stop(WALLET, reason="theft", by="ada")
    assert not await submission.submit_signed()
    held = await desk.till.read(send.send_key)
    assert (held.state, held.hold) == (SendState.SIGNED, send.hold)
    assert held.waiting_for is not None
    assert held.waiting_for.startswith(f"signing for {WALLET} is stopped")
    assert desk.till.chain.received == []

    await desk.switch.lift(WALLET, reason="found", by="ada")
    desk.till.clock.advance(seconds=10)
    await submission.submit_signed()
    assert [one.send_key for one in desk.till.chain.received] == [send.send_key]

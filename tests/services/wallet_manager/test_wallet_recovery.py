"""After a restore or a kill nothing is signed or derived until nothing can be missing (H5)."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.wallet_manager.domain.audit import Act, Decision
from services.wallet_manager.domain.recovery import (
    INDEX_GAP,
    LONGEST_EXPIRY_MS,
    ClaimState,
    NotClaimable,
    Quarantined,
    Run,
    Stage,
    bears,
    boot,
)
from services.wallet_manager.domain.sends import STAMP_FLOOR_MS, Send
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import SCHEMA
from shared.clock import HeldClock
from shared.errors import NotFound
from shared.models.tron_transactions import TransactionState
from shared.models.wallet_manager import AddressRequest
from shared.models.wallet_sends import SendState
from shared.money import Currency
from shared.peers.caller import PeerUnavailable
from shared.storage import SqliteStorage, Stamp
from tests.services.wallet_manager.till import (
    CUSTOMER,
    TRX,
    USDT,
    Chain,
    Till,
    fate,
    intent,
    open_storage,
    rules,
    till_on,
    transfer,
    vault,
)
from tests.support import START_MS, address


class Site:
    """A machine on which wallet-manager runs, is killed and is restored; the chain goes on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = HeldClock(START_MS)
        self.chain = Chain(self.clock)
        self.vault = vault()
        self.ids = itertools.count(1)
        self.copies = itertools.count(1)
        self.open: list[SqliteStorage] = []

    async def boot(self, storage: SqliteStorage | None = None) -> Till:
        storage = storage or await open_storage(self.root)
        self.open.append(storage)
        till = till_on(
            storage,
            clock=self.clock,
            chain=self.chain,
            vault=self.vault,
            ids=self.ids,
            rules=rules(),
        )
        await till.recovery.begin()
        return till

    async def kill(self) -> None:
        """End the process as kill -9 does: nothing is said, what was committed stays."""
        await self.open.pop().close()

    async def copy(self, till: Till) -> Path:
        path = self.root / f"copy-{next(self.copies)}.sqlite3"
        await till.storage.backup(path)
        return path

    async def restore(self, copy: Path) -> Till:
        await self.kill()
        return await self.boot(await self.opened(copy))

    async def opened(self, copy: Path) -> SqliteStorage:
        return await SqliteStorage.open(copy, SCHEMA, Stamp(network="devnet", contract=USDT))

    async def lose_tail(self, copy: Path) -> Till:
        """Go on with an older state of the very same database, as a card may that lies about flush."""
        await self.kill()
        storage = await self.opened(copy)
        store = WalletStore(storage)
        run = await store.run()
        assert run is not None
        await store.save_run(replace(run, incarnation=storage.incarnation))
        return await self.boot(storage)

    def time_passes(self, till: Till) -> None:
        """Let the solid head come to where nothing that was under way can land any more."""
        until_ms = till.recovery.run.until_ms or 0
        self.clock.advance(milliseconds=until_ms - self.clock.now_ms() + 60_000)
        self.chain.solid_height += 100


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    for storage in made.open:
        await storage.close()


async def recovered(site: Site, till: Till) -> None:
    """Go through the whole quarantine."""
    for _ in range(10):
        while await till.recovery.work():
            pass
        if till.recovery.reason() is None:
            return
        site.time_passes(till)
    raise AssertionError(till.recovery.reason())


def confirmed(site: Site, send: Send) -> None:
    """Have tron-client say that a send's transaction was confirmed."""
    assert send.txid is not None
    told = fate(send, TransactionState.CONFIRMED)
    site.chain.stored[send.txid] = site.chain.stored[send.txid].model_copy(
        update={"state": told.state, "block": told.block, "receipt": told.receipt}
    )


# the mark


def test_a_new_database_is_clear() -> None:
    assert boot(None, incarnation="a", is_used=False, at_ms=1).is_clear


@pytest.mark.parametrize(
    ("before", "incarnation", "stage"),
    [
        (None, "a", Stage.COMPARING),
        (Run(incarnation="a", is_running=False), "a", Stage.CLEAR),
        (Run(incarnation="a"), "a", Stage.COMPARING),
        (Run(incarnation="a", is_running=False), "b", Stage.INDEXING),
        (Run(incarnation="a"), "b", Stage.INDEXING),
        (Run(incarnation="a", stage=Stage.MATCHING), "b", Stage.INDEXING),
        (Run(incarnation="a", stage=Stage.MATCHING, is_running=False), "a", Stage.MATCHING),
        (Run(incarnation="a", stage=Stage.IMPORTING), "a", Stage.IMPORTING),
        (Run(incarnation="a", stage=Stage.COMPARING), "a", Stage.COMPARING),
    ],
)
def test_h5_the_mark_tells_how_the_database_was_left(
    before: Run | None, incarnation: str, stage: Stage
) -> None:
    run = boot(before, incarnation=incarnation, is_used=True, at_ms=1)

    assert (run.stage, run.is_running, run.incarnation) == (stage, True, incarnation)
    assert (run.reason() is None) == (stage is Stage.CLEAR)


def test_h5_the_height_of_a_copy_stands_still_in_quarantine() -> None:
    run = Run(incarnation="a").noted(70).noted(60)
    quarantined = run.quarantined(Stage.INDEXING, why="x", at_ms=1).noted(90)

    assert (run.height, quarantined.height) == (70, 70)


@pytest.mark.parametrize("floors", [-3, 0, 5])
@pytest.mark.parametrize(("late_ms", "is_its"), [(0, True), (99, True), (100, False), (-1, False)])
def test_h6_a_mark_is_known_again_whenever_it_was_signed(
    floors: int, late_ms: int, *, is_its: bool
) -> None:
    mark_ms = START_MS - START_MS % STAMP_FLOOR_MS + 599_500

    assert bears(mark_ms, mark_ms + floors * STAMP_FLOOR_MS + late_ms) is is_its


# restarts


async def test_a_clean_stop_needs_no_comparison(site: Site) -> None:
    till = await site.boot()
    await till.submitted_by_treasury()
    await till.recovery.end()
    await site.kill()
    site.chain.away = True
    again = await site.boot()

    assert again.recovery.reason() is None


async def test_h5_after_a_kill_nothing_is_signed_or_derived_until_it_compared(site: Site) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    await till.submitted(intent())
    await till.taken(intent("two"))
    await site.kill()

    site.chain.away = True
    again = await site.boot()
    with pytest.raises(PeerUnavailable):
        await again.recovery.work()
    with pytest.raises(Quarantined):
        await again.wallets.derive(treasury.id, AddressRequest(request_id="r", purpose="p"))
    await again.sender.sign_due()
    assert (await again.read(intent("two").send_key)).state is SendState.QUEUED

    site.chain.away = False
    assert await again.recovery.work() is False
    assert again.recovery.reason() is None
    await again.sender.sign_due()
    assert (await again.read(intent("two").send_key)).state is SendState.SIGNED


async def test_h5_a_kill_that_lost_the_last_commits_is_noticed_and_pays_once(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    await till.taken(intent())
    before = await site.copy(till)
    send = await till.submitted(intent())

    again = await site.lose_tail(before)
    stages = [again.recovery.run.stage]
    await again.recovery.work()
    stages.append(again.recovery.run.stage)
    assert stages == [Stage.COMPARING, Stage.INDEXING]
    await recovered(site, again)
    await again.sender.sign_due()

    after = await again.read(send.send_key)
    assert (after.txid, after.attempt) == (send.txid, 1)


async def test_a_stop_that_crosses_a_note_of_the_height_is_still_clean(site: Site) -> None:
    till = await site.boot()
    await till.submitted_by_treasury()
    run = await till.store.run()
    assert run is not None
    await till.store.save_run(run.noted(95))
    await till.recovery.end()
    await site.kill()
    again = await site.boot()

    assert again.recovery.reason() is None
    assert again.recovery.run.height == 95


# restores


async def test_h5_a_send_signed_after_the_copy_is_taken_back_with_its_hold(site: Site) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    await till.taken(intent())
    copy = await site.copy(till)
    send = await till.submitted(intent())

    again = await site.restore(copy)
    assert (await again.read(send.send_key)).state is SendState.QUEUED
    await recovered(site, again)

    after = await again.read(send.send_key)
    assert (after.state, after.txid, after.attempt) == (SendState.SUBMITTED, send.txid, 1)
    assert after.hold.usdt_micro == 25 * TRX
    held = await again.position(treasury.address, Currency.USDT)
    assert held.held == 25 * TRX
    await again.verdicts(fate(after, TransactionState.CONFIRMED))
    assert (await again.read(send.send_key)).state is SendState.CONFIRMED
    assert (await again.position(treasury.address, Currency.USDT)).held == 0


async def test_h5_a_send_asked_for_after_the_copy_is_known_again_by_its_key(site: Site) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    copy = await site.copy(till)
    send = await till.submitted(intent())
    confirmed(site, send)

    again = await site.restore(copy)
    await recovered(site, again)
    (result,) = await again.accept(intent())

    assert result.replayed
    assert result.send is not None
    assert (result.send.state, result.send.txid) == (SendState.CONFIRMED, send.txid)
    assert (await again.position(treasury.address, Currency.USDT)).settled == 975 * TRX
    assert (await again.position(treasury.address, Currency.USDT)).held == 0


async def test_h5_two_attempts_after_the_copy_come_back_in_order(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    copy = await site.copy(till)
    first = await till.submitted(intent())
    expired = fate(first, TransactionState.EXPIRED)
    await till.verdicts(expired)
    await till.sender.sign_due()
    await till.sender.submit_signed()
    second = await till.read(first.send_key)
    assert first.txid is not None
    site.chain.stored[first.txid] = site.chain.stored[first.txid].model_copy(
        update={"state": TransactionState.EXPIRED}
    )

    again = await site.restore(copy)
    await recovered(site, again)

    after = await again.read(first.send_key)
    assert (after.attempt, after.txid) == (2, second.txid)
    assert [one.number for one in await again.attempts(after)] == [1, 2]
    assert not again.alarm_kinds()


async def test_h5_what_tron_client_forgot_too_is_found_on_chain_and_adopted(site: Site) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    await till.taken(intent())
    copy = await site.copy(till)
    send = await till.submitted(intent())
    site.chain.lands(site.chain.received[-1], height=105)
    site.chain.stored.clear()

    again = await site.restore(copy)
    await recovered(site, again)
    assert again.alarm_kinds() == {"transaction_unclaimed"}
    await again.sender.sign_due()

    after = await again.read(send.send_key)
    assert (after.state, after.txid, after.attempt) == (SendState.SIGNED, send.txid, 1)
    assert again.claims.open() == 0
    assert not again.alarm_kinds()
    await again.sender.submit_signed()
    assert {one.raw_data for one in site.chain.received} == {site.chain.received[0].raw_data}
    await again.verdicts(fate(after, TransactionState.CONFIRMED))
    assert (await again.position(treasury.address, Currency.USDT)).settled == 975 * TRX


async def test_h5_what_moved_before_it_was_adopted_is_booked_once(site: Site) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    copy = await site.copy(till)
    send = await till.submitted(intent())
    site.chain.lands(site.chain.received[-1], height=105)
    site.chain.stored.clear()

    again = await site.restore(copy)
    await recovered(site, again)
    paid = transfer(
        25 * TRX,
        Currency.USDT,
        sender=treasury.address,
        recipient=CUSTOMER,
        txid=send.txid,
    )
    await again.transfers(paid)
    assert (await again.position(treasury.address, Currency.USDT)).settled == 975 * TRX
    assert (await again.wallets.treasury()).status == "active"
    await again.taken(intent())
    await again.sender.sign_due()
    await again.transfers(paid)
    await again.verdicts(fate(await again.read(send.send_key), TransactionState.CONFIRMED))

    position = await again.position(treasury.address, Currency.USDT)
    assert (position.settled, position.held) == (975 * TRX, 0)


async def last_decision(till: Till) -> Decision:
    audit = Audit(store=till.store, clock=till.clock)
    return [each async for _, _, each in audit.decisions(after=0, limit=1_000)][-1]


async def test_h5_a_transaction_that_only_does_the_same_waits_for_a_person(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    copy = await site.copy(till)
    await till.submitted(intent("one"))
    site.chain.lands(site.chain.received[-1], height=105)
    site.chain.stored.clear()

    again = await site.restore(copy)
    await recovered(site, again)
    other = await again.signed(intent("two"))
    (claim,) = (await again.claims.page(ClaimState.OPEN, cursor=None, limit=10)).items

    assert other.state is SendState.QUEUED
    assert claim.id in (other.waiting_for or "")
    different = await again.signed(intent("three", amount=7 * TRX))
    assert different.state is SendState.SIGNED

    await again.claims.dismiss(claim.id, note="the customer was paid by hand", by="ada")
    site.clock.advance(seconds=3)
    await again.sender.sign_due()
    assert (await again.read(other.send_key)).state is SendState.SIGNED
    with pytest.raises(NotClaimable):
        await again.claims.dismiss(claim.id, note="again", by="ada")
    told = await last_decision(again)
    assert (told.act, told.subject, told.who) == (Act.TRANSACTION_DISMISSED, claim.id, "ada")
    assert told.why == "the customer was paid by hand"


async def test_h5_a_person_says_which_send_a_transaction_was(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    copy = await site.copy(till)
    await till.submitted(intent("one"))
    site.chain.lands(site.chain.received[-1], height=105)
    site.chain.stored.clear()

    again = await site.restore(copy)
    await recovered(site, again)
    other = await again.signed(intent("two"))
    wrong = await again.taken(intent("three", amount=7 * TRX))
    (claim,) = (await again.claims.page(ClaimState.OPEN, cursor=None, limit=10)).items

    with pytest.raises(NotClaimable):
        await again.claims.claim(claim.id, send_id=wrong.id, note="no", by="ada")
    with pytest.raises(NotFound):
        await again.claims.claim(claim.id, send_id="snd_none", note="no", by="ada")
    decided = await again.claims.claim(claim.id, send_id=other.id, note="I know it", by="ada")
    assert (decided.state, decided.claimed_by) == (ClaimState.CLAIMED, other.id)
    assert decided.note == "ada: I know it"
    told = await last_decision(again)
    assert (told.act, told.subject, told.who) == (Act.TRANSACTION_CLAIMED, claim.id, "ada")
    assert dict(told.facts) == {"send": other.id}
    after = await again.read(other.send_key)
    assert (after.txid, after.attempt) == (claim.id, 1)


async def test_h5_two_transactions_with_one_mark_wait_for_a_person(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    copy = await site.copy(till)
    first = await till.submitted(intent())
    site.chain.lands(site.chain.received[-1], height=105)
    await till.verdicts(fate(first, TransactionState.EXPIRED))
    await till.sender.sign_due()
    await till.sender.submit_signed()
    site.chain.lands(site.chain.received[-1], height=106)
    site.chain.stored.clear()

    again = await site.restore(copy)
    await recovered(site, again)
    send = await again.signed(intent())

    assert send.state is SendState.QUEUED
    assert (send.waiting_for or "").startswith("a person")


async def test_h5_blocks_are_looked_through_from_the_copy_until_nothing_can_land(
    site: Site,
) -> None:
    till = await site.boot()
    await till.treasury()
    await till.recovery.note_height()
    copy = await site.copy(till)
    site.chain.solid_height = 95
    site.chain.blocks_at_once = 4
    again = await site.restore(copy)

    while await again.recovery.work():
        pass
    run = again.recovery.run
    assert run.stage is Stage.MATCHING
    assert run.until_ms == site.clock.now_ms() + LONGEST_EXPIRY_MS
    assert [first for first, _ in site.chain.looked_at] == [81, 85, 89, 93]
    assert "from block 96 on" in (again.recovery.reason() or "")

    assert await again.recovery.work() is False
    assert not again.recovery.run.is_clear
    site.time_passes(again)
    while await again.recovery.work():
        pass
    assert again.recovery.reason() is None


async def test_h5_a_quarantine_goes_on_where_it_was_killed(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    again = await site.restore(await site.copy(till))
    while await again.recovery.work():
        pass
    matching = again.recovery.run
    await site.kill()
    once_more = await site.boot(await site.opened(site.root / "copy-1.sqlite3"))

    assert once_more.recovery.run.stage is Stage.MATCHING
    assert once_more.recovery.run.until_ms == matching.until_ms
    await recovered(site, once_more)


async def test_h5_leaves_shown_after_the_copy_are_ours_again_and_never_shown_twice(
    site: Site,
) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    copy = await site.copy(till)
    shown = {
        (await till.wallets.derive(treasury.id, AddressRequest(request_id=name, purpose="p")))[0].id
        for name in ("a", "b", "c")
    }

    again = await site.restore(copy)
    await recovered(site, again)

    assert await again.store.owned(shown) == shown
    fresh, _ = await again.wallets.derive(treasury.id, AddressRequest(request_id="d", purpose="p"))
    assert fresh.id not in shown
    assert fresh.index == 1 + 3 + INDEX_GAP
    assert not again.alarm_kinds()
    deposit = transfer(5 * TRX, Currency.USDT, recipient=min(shown))
    await again.transfers(deposit)
    assert (await again.position(min(shown), Currency.USDT)).settled == 5 * TRX


async def test_h5_a_watched_address_of_no_wallet_is_an_alarm(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    copy = await site.copy(till)
    site.chain.watched.add(address(0x99))

    again = await site.restore(copy)
    await recovered(site, again)

    assert again.alarm_kinds() == {"watch_strangers"}


async def test_a_transaction_that_turns_up_unknown_begins_a_quarantine(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    assert till.recovery.reason() is None
    await till.recovery.suspect("tron-client told of a transaction that is not recorded here")

    with pytest.raises(Quarantined):
        till.recovery.require_clear()
    assert not till.recovery.follows_verdicts()
    assert not till.recovery.follows_transfers()
    await recovered(site, till)
    assert till.recovery.follows_transfers()

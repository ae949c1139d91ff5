"""What a copy or a lost tail forgot besides transactions: addresses, wallets, and what people decided (H5)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.wallet_manager.domain.approvals import ApprovalKind, ApprovalNeeded
from services.wallet_manager.domain.recovery import Quarantined, Stage
from services.wallet_manager.domain.sends import NotCancellable
from services.wallet_manager.service.approvals import Approvals
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.books import VERDICTS
from services.wallet_manager.store.changes import Change
from shared.models.alarms import Severity
from shared.models.tron_transactions import TransactionState
from shared.models.wallet_manager import AddressRequest, WalletRequest, WalletStatus
from shared.models.wallet_sends import SendState
from shared.money import Currency
from tests.services.wallet_manager.test_wallet_offline import LIFETIME_MS
from tests.services.wallet_manager.test_wallet_recovery import Site, recovered
from tests.services.wallet_manager.till import TRX, Till, fate, intent, page, transfer

LEAF = AddressRequest(request_id="a", purpose="p")
OTHER_LEAF = AddressRequest(request_id="b", purpose="p")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    yield made
    for storage in made.open:
        await storage.close()


async def test_h5_a_leaf_that_was_lost_with_the_tail_is_never_shown_twice(site: Site) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    before = await site.copy(till)
    shown, _ = await till.wallets.derive(treasury.id, LEAF)

    again = await site.lose_tail(before)
    await recovered(site, again)

    assert await again.store.owned([shown.id]) == {shown.id}
    fresh, _ = await again.wallets.derive(treasury.id, OTHER_LEAF)
    assert fresh.id != shown.id


async def test_h5_a_wallet_that_was_forgotten_is_back_out_of_use_and_nobody_elses(
    site: Site,
) -> None:
    till = await site.boot()
    await till.treasury()
    copy = await site.copy(till)
    adas, _ = await till.wallets.create(WalletRequest(user_id="ada"), principal="op", key="ada")
    leaf, _ = await till.wallets.derive(adas.id, LEAF)
    paid = await till.signed(intent(wallet_id=adas.id))
    assert paid.state is SendState.QUEUED

    again = await site.restore(copy)
    await recovered(site, again)
    bobs, _ = await again.wallets.create(WalletRequest(user_id="bob"), principal="op", key="bob")

    assert bobs.address != adas.address
    back = await again.wallets.find(adas.address)
    assert (back.account, back.status) == (adas.account, WalletStatus.INACTIVE)
    assert await again.store.owned([leaf.id]) == {leaf.id}
    assert again.alarm_kinds() == {"watch_strangers"}


async def test_h5_a_wallet_that_tron_client_forgot_too_is_nobody_elses(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    copy = await site.copy(till)
    adas, _ = await till.wallets.create(WalletRequest(user_id="ada"), principal="op", key="ada")
    site.chain.watched.discard(adas.address)

    again = await site.restore(copy)
    await recovered(site, again)
    bobs, _ = await again.wallets.create(WalletRequest(user_id="bob"), principal="op", key="bob")

    assert bobs.address != adas.address


async def test_h5_a_copy_that_is_restored_twice_shows_nothing_twice(site: Site) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    copy = await site.copy(till)
    spare = copy.with_name("spare.sqlite3")
    spare.write_bytes(copy.read_bytes())
    till = await site.restore(copy)
    await recovered(site, till)
    leaf, _ = await till.wallets.derive(treasury.id, LEAF)
    adas, _ = await till.wallets.create(WalletRequest(user_id="ada"), principal="op", key="ada")

    again = await site.restore(spare)
    await recovered(site, again)
    fresh, _ = await again.wallets.derive(treasury.id, OTHER_LEAF)
    bobs, _ = await again.wallets.create(WalletRequest(user_id="bob"), principal="op", key="bob")

    assert fresh.id != leaf.id
    assert bobs.address != adas.address
    assert await again.store.owned([leaf.id, adas.address]) == {leaf.id, adas.address}


async def test_h5_a_move_between_own_addresses_is_booked_on_both_sides_once_it_is_adopted(
    site: Site,
) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    leaf, _ = await till.wallets.derive(treasury.id, LEAF)
    copy = await site.copy(till)
    move = intent("move", recipient=leaf.id)
    send = await till.submitted(move)
    site.chain.lands(site.chain.received[-1], height=105)
    site.chain.stored.clear()

    again = await site.restore(copy)
    await recovered(site, again)
    moved = transfer(
        25 * TRX, Currency.USDT, sender=treasury.address, recipient=leaf.id, txid=send.txid
    )
    await again.transfers(moved)
    await again.taken(move)
    await again.sender.sign_due()
    await again.verdicts(fate(await again.read(send.send_key), TransactionState.CONFIRMED))
    await again.transfers(moved)

    assert (await again.position(treasury.address, Currency.USDT)).settled == 975 * TRX
    assert (await again.position(leaf.id, Currency.USDT)).settled == 25 * TRX
    lines = [one for one in await again.journal() if one.account == leaf.id]
    assert sum(one.amount for one in lines) == 25 * TRX


async def test_h5_a_send_that_was_cancelled_after_the_copy_is_not_signed(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    send = await till.taken(intent())
    copy = await site.copy(till)
    await till.oversight.cancel(send.id, reason="the customer was paid by hand", by="op")

    again = await site.restore(copy)
    await recovered(site, again)
    await again.sender.sign_due()

    assert (await again.read(send.send_key)).state is SendState.QUEUED
    assert not site.chain.received
    await again.taken(intent())
    site.clock.advance(seconds=3)
    await again.sender.sign_due()
    assert (await again.read(send.send_key)).state is SendState.SIGNED


async def test_h5_nothing_is_cancelled_that_may_have_been_signed_after_the_copy(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    send = await till.taken(intent())
    copy = await site.copy(till)
    await till.sender.sign_due()
    await till.sender.submit_signed()

    again = await site.restore(copy)
    with pytest.raises(NotCancellable):
        await again.oversight.cancel(send.id, reason="the customer was paid by hand", by="op")
    await recovered(site, again)
    after = await again.read(send.send_key)
    assert (after.state, after.attempt) == (SendState.SUBMITTED, 1)


async def test_h5_h7_nothing_is_cancelled_that_may_have_left_for_a_signature(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    wanted = intent().model_copy(update={"permission_id": 2})
    send = await till.taken(wanted)
    copy = await site.copy(till)
    await till.sender.sign_due()
    assert (await till.read(send.send_key)).state is SendState.AWAITING_SIGNATURE

    again = await site.restore(copy)
    await recovered(site, again)
    with pytest.raises(NotCancellable):
        await again.oversight.cancel(send.id, reason="nobody signs it", by="op")
    site.clock.advance(milliseconds=LIFETIME_MS)
    ended = await again.oversight.cancel(send.id, reason="nobody signs it", by="op")
    assert ended.state is SendState.REFUSED


class Decisions:
    """What people decided, as the guards tell it."""

    def __init__(self) -> None:
        self.ended = 0

    async def end_agreements(self) -> int:
        self.ended += 1
        return 1

    async def in_force(self) -> str:
        return "policy revision 3 is in force"


async def test_h5_what_people_decided_before_a_restore_calls_a_person_at_its_end(
    site: Site,
) -> None:
    till = await site.boot()
    await till.treasury()
    again = await site.restore(await site.copy(till))
    decisions = Decisions()
    again.recovery.after_restore(decisions)
    await recovered(site, again)

    (alarm,) = again.alarms.open()
    assert (alarm.kind, alarm.severity) == ("decisions_restored", Severity.CRITICAL)
    assert "policy revision 3 is in force" in alarm.detail
    await again.recovery.suspect("tron-client told of a transaction that is not recorded here")
    await recovered(site, again)
    assert again.alarms.open()[0].count == 1


async def test_h5_an_agreement_in_a_copy_is_not_used_a_second_time(site: Site) -> None:
    till = await site.boot()
    await till.treasury()
    approvals = people(till)
    change = Change()
    with pytest.raises(ApprovalNeeded) as needed:
        await asked(approvals, change)
    for who in ("bob", "carol"):
        await approvals.agree(str(needed.value.facts["approval_id"]), who=who, note="")
    again = await site.restore(await site.copy(till))

    assert await people(again).end_standing() == 1
    with pytest.raises(ApprovalNeeded) as anew:
        await asked(people(again), Change())
    assert anew.value.facts["agreed"] == 0


def people(till: Till) -> Approvals:
    return Approvals(
        store=till.store,
        audit=Audit(store=till.store, clock=till.clock),
        clock=till.clock,
        new_id=lambda prefix: f"{prefix}_{till.storage.incarnation}",
        quorums=dict.fromkeys(ApprovalKind, 2),
        lifetime_ms=3_600_000,
    )


async def asked(approvals: Approvals, change: Change) -> None:
    await approvals.require(
        change, ApprovalKind.EXPORT, "wal_1", content="digest", reason="audit", by="ada"
    )


async def test_h4_h5_a_send_asked_for_anew_with_another_wallet_is_the_one_that_was_signed(
    site: Site,
) -> None:
    till = await site.boot()
    treasury = await till.treasury()
    other, _ = await till.wallets.create(WalletRequest(user_id="ada"), principal="op", key="ada")
    for currency in Currency:
        await till.deposit(other.address, 100 * TRX, currency)
    copy = await site.copy(till)
    send = await till.submitted(intent(wallet_id=other.id))
    assert send.owner == other.address

    again = await site.restore(copy)
    await again.taken(intent(wallet_id=treasury.id))
    await recovered(site, again)
    after = await again.read(send.send_key)
    assert (after.owner, after.wallet_id, after.txid) == (other.address, other.id, send.txid)
    await again.verdicts(fate(after, TransactionState.CONFIRMED))

    paid = await again.position(other.address, Currency.USDT)
    assert (paid.settled, paid.held) == (75 * TRX, 0)
    assert (await again.position(treasury.address, Currency.USDT)).settled == 1_000 * TRX


async def test_h5_a_verdict_on_a_lost_record_is_heard_again_after_a_death_before_the_quarantine(
    site: Site,
) -> None:
    till = await site.boot()
    await till.treasury()
    send = await till.submitted(intent())
    unknown = fate(send, TransactionState.INCLUDED, txid="5" * 64)
    cursor = await till.books.cursor(VERDICTS)

    with pytest.raises(Quarantined):
        await till.recovery.hear_verdicts(page([unknown], next_="a.9"))

    assert await till.books.cursor(VERDICTS) == cursor
    assert till.recovery.run.stage is Stage.INDEXING
    while await till.recovery.work():
        pass
    await till.recovery.hear_verdicts(page([unknown], next_="a.9"))
    assert await till.books.cursor(VERDICTS) == "a.9"
    assert till.alarm_kinds() == {"transaction_unknown"}

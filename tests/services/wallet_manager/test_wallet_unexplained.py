"""What a copy forgot: sends that may be paid already do not end, and caps count what was spent (H5)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.wallet_manager.domain.sends import Send
from shared.models.tron_transactions import SignedTransaction, TransactionState
from shared.models.wallet_sends import SendKind, SendState
from shared.money import Currency
from tests.services.wallet_manager.test_wallet_offline import LIFETIME_MS as OFFLINE_MS
from tests.services.wallet_manager.test_wallet_offline import ONE, TWO, awaited, signed_by
from tests.services.wallet_manager.test_wallet_recovery import Site, recovered
from tests.services.wallet_manager.till import (
    LIFETIME_MS,
    MAX_ATTEMPTS,
    Till,
    fate,
    intent,
    txid_of,
)
from tests.services.wallet_manager.watched import Watched
from tests.support import START_MS

TOKEN = SendKind.TRC20_TRANSFER
WANTED = intent(not_after=START_MS + 3 * LIFETIME_MS)


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


async def signed_elsewhere(root: Path, site: Site) -> SignedTransaction:
    """Return what another copy of the same installation signed for the same send after a quarantine."""
    other = Site(root)
    other.vault = site.vault
    other.clock.advance(seconds=700)
    till = await other.boot()
    await till.treasury()
    await till.submitted(WANTED)
    await other.kill()
    return other.chain.received[-1]


async def find(site: Site, till: Till, send: Send) -> None:
    """Look through the blocks as a quarantine does."""
    await till.timekeeper.look()
    found = await site.chain.outgoing([send.owner], first_height=1, last_height=200)
    await till.claims.find(found.transactions)


async def test_h5_a_send_does_not_end_as_expired_while_a_transaction_of_ours_is_unexplained(
    tmp_path: Path, elsewhere: Path
) -> None:
    site = Site(tmp_path)
    till = await site.boot()
    await till.treasury()
    send = await till.submitted(WANTED)
    paid = await signed_elsewhere(elsewhere, site)
    assert txid_of(paid) != send.txid
    site.chain.lands(paid, height=105)
    await find(site, till, send)

    site.clock.advance(milliseconds=4 * LIFETIME_MS)
    await till.verdicts(fate(send, TransactionState.EXPIRED))
    assert (await till.read(send.send_key)).state is SendState.QUEUED

    await till.sender.sign_due()
    adopted = await till.read(send.send_key)
    assert (adopted.state, adopted.txid, adopted.attempt) == (SendState.SIGNED, txid_of(paid), 2)
    await till.verdicts(fate(adopted, TransactionState.CONFIRMED))
    assert (await till.read(send.send_key)).state is SendState.CONFIRMED
    await site.kill()


async def test_h5_a_send_does_not_end_as_expired_during_a_quarantine(tmp_path: Path) -> None:
    site = Site(tmp_path)
    till = await site.boot()
    await till.treasury()
    send = await till.submitted(WANTED)
    await till.recovery.suspect("tron-client told of a transaction that is not recorded here")
    while await till.recovery.work():
        pass
    assert till.recovery.follows_verdicts()

    site.clock.advance(milliseconds=4 * LIFETIME_MS)
    await till.verdicts(fate(send, TransactionState.EXPIRED))
    assert (await till.read(send.send_key)).state is SendState.QUEUED

    await recovered(site, till)
    await till.sender.sign_due()
    ended = await till.read(send.send_key)
    assert (ended.state, ended.attempt) == (SendState.EXPIRED, 1)
    await site.kill()


async def test_h5_one_that_was_kept_open_through_a_quarantine_gets_no_attempt_too_many(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    till = await site.boot()
    await till.treasury()
    send = await till.submitted(intent())
    for _ in range(MAX_ATTEMPTS - 1):
        await till.verdicts(fate(send, TransactionState.EXPIRED))
        await till.sender.sign_due()
        await till.sender.submit_signed()
        send = await till.read(send.send_key)
    assert send.attempt == MAX_ATTEMPTS
    await till.recovery.suspect("tron-client told of a transaction that is not recorded here")
    while await till.recovery.work():
        pass
    await till.verdicts(fate(send, TransactionState.EXPIRED))
    assert (await till.read(send.send_key)).state is SendState.QUEUED

    await recovered(site, till)
    await till.sender.sign_due()
    ended = await till.read(send.send_key)
    assert (ended.state, ended.refusal_rule) == (SendState.EXPIRED, "attempts")
    assert len(await till.attempts(send)) == MAX_ATTEMPTS
    await site.kill()


async def test_h5_h7_bytes_that_left_before_the_copy_may_be_completed_for_as_long_as_they_live(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    till = await site.boot()
    await till.treasury()
    copy = await site.copy(till)
    out = await awaited(till)
    assert out.state is SendState.AWAITING_SIGNATURE
    till = await site.restore(copy)
    await recovered(site, till)

    again = await awaited(till)
    assert again.state is SendState.QUEUED
    assert "which may be completed until" in str(again.waiting_for)
    site.clock.advance(milliseconds=OFFLINE_MS)
    await till.sender.sign_due()
    assert (await till.read(again.send_key)).state is SendState.AWAITING_SIGNATURE
    await site.kill()


async def test_h5_h7_a_send_does_not_end_while_bytes_of_it_may_be_out_that_a_copy_forgot(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    till = await site.boot()
    await till.treasury()
    wanted = intent(not_after=START_MS + OFFLINE_MS // 2).model_copy(update={"permission_id": 2})
    await till.taken(wanted)
    copy = await site.copy(till)
    await till.sender.sign_due()
    assert (await till.read(wanted.send_key)).state is SendState.AWAITING_SIGNATURE

    till = await site.restore(copy)
    await recovered(site, till)
    await till.taken(wanted)
    site.clock.advance(milliseconds=OFFLINE_MS // 2)
    await till.sender.sign_due()
    assert (await till.read(wanted.send_key)).state is SendState.QUEUED

    site.clock.advance(milliseconds=OFFLINE_MS // 2)
    await till.sender.sign_due()
    ended = await till.read(wanted.send_key)
    assert (ended.state, ended.refusal_rule) == (SendState.REFUSED, "not_after")
    await site.kill()


async def test_h5_h7_what_waits_for_signatures_does_not_end_while_a_later_attempt_may_be_forgotten(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    till = await site.boot()
    send = await awaited(till)
    copy = await site.copy(till)
    await till.offline.add(send.id, await signed_by(till, send, ONE, TWO), by="ada")
    await till.sender.submit_signed()
    site.clock.advance(milliseconds=OFFLINE_MS + 60_000)
    await till.verdicts(fate(send, TransactionState.EXPIRED))
    await till.sender.sign_due()
    second = await till.read(send.send_key)
    assert (second.state, second.attempt) == (SendState.AWAITING_SIGNATURE, 2)

    till = await site.restore(copy)
    await till.offline.follow()
    await recovered(site, till)
    await till.offline.follow()
    assert (await till.read(send.send_key)).state is SendState.AWAITING_SIGNATURE

    site.clock.advance(milliseconds=OFFLINE_MS)
    await till.offline.follow()
    assert (await till.read(send.send_key)).state is SendState.EXPIRED
    await site.kill()


async def test_h5_h7_a_later_attempt_that_was_signed_elsewhere_is_taken_back(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    till = await site.boot()
    send = await awaited(till)
    copy = await site.copy(till)
    for _ in range(2):
        now = await till.read(send.send_key)
        await till.offline.add(send.id, await signed_by(till, now, ONE, TWO), by="ada")
        await till.sender.submit_signed()
        if now.attempt == 1:
            site.clock.advance(milliseconds=OFFLINE_MS + 60_000)
            await till.verdicts(fate(now, TransactionState.EXPIRED))
            await till.sender.sign_due()
    second = await till.read(send.send_key)
    assert (second.state, second.attempt) == (SendState.SUBMITTED, 2)

    till = await site.restore(copy)
    await till.offline.follow()
    await recovered(site, till)
    await till.verdicts(fate(second, TransactionState.CONFIRMED))
    assert (await till.read(send.send_key)).state is SendState.CONFIRMED
    await site.kill()


async def test_h5_h7_signatures_that_a_copy_forgot_keep_no_quarantine_up(tmp_path: Path) -> None:
    site = Site(tmp_path)
    till = await site.boot()
    send = await awaited(till)
    copy = await site.copy(till)
    await till.offline.add(send.id, await signed_by(till, send, ONE, TWO), by="ada")
    await till.sender.submit_signed()

    seen = fate(send, TransactionState.INCLUDED)
    site.chain.stored[seen.txid] = site.chain.stored[seen.txid].model_copy(
        update={"state": seen.state, "block": seen.block}
    )

    till = await site.restore(copy)
    await till.verdicts(seen)
    await recovered(site, till)
    assert (await till.read(send.send_key)).state is SendState.SEEN
    await site.kill()


async def test_h5_without_anything_unexplained_it_ends_as_expired(tmp_path: Path) -> None:
    site = Site(tmp_path)
    till = await site.boot()
    await till.treasury()
    send = await till.submitted(WANTED)
    site.clock.advance(milliseconds=4 * LIFETIME_MS)
    await till.verdicts(fate(send, TransactionState.EXPIRED))

    assert (await till.read(send.send_key)).state is SendState.EXPIRED
    await site.kill()


async def test_h2_h5_a_quarantine_waits_until_the_clocks_agree(tmp_path: Path) -> None:
    site = Site(tmp_path)
    till = await site.boot()
    await till.treasury()
    till = await site.restore(await site.copy(till))
    site.chain.head_lag_ms = -86_400_000  # the machine came up with the time of yesterday
    with pytest.raises(Exception, match="differ by 86400 s"):
        await recovered(site, till)
    assert till.recovery.reason() is not None

    site.chain.head_lag_ms = 0
    while await till.recovery.work():
        pass
    assert till.recovery.run.until_ms is not None
    assert till.recovery.run.until_ms >= site.clock.now_ms() + 660_000
    await recovered(site, till)
    await site.kill()


async def test_h5_what_is_under_way_is_handed_over_again_before_the_quarantine_ends(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    till = await site.boot()
    await till.treasury()
    send = await till.submitted(WANTED)
    copy = await site.copy(till)
    site.chain.stored.clear()
    site.chain.received.clear()
    till = await site.restore(copy)
    await recovered(site, till)

    assert [txid_of(one) for one in site.chain.received] == [send.txid]
    assert (await till.read(send.send_key)).state is SendState.SUBMITTED
    await site.kill()


@pytest.fixture
def engine() -> Iterator[Watched]:
    made = Watched()
    yield made
    made.close()


def spend_the_cap_of_the_hour(engine: Watched) -> None:
    for name in "ghi":
        for currency in Currency:
            engine.pay_in(currency)
        engine.hear(10)
        engine.ask([name], TOKEN)
        engine.sign_and_submit()


def state_of(engine: Watched, name: str) -> Send:
    found = engine.run(engine._sent(name))
    assert found is not None
    return found


@pytest.mark.parametrize("forgets", [False, True])
def test_h5_what_was_spent_after_the_copy_counts_under_the_caps(
    engine: Watched, *, forgets: bool
) -> None:
    engine.back_up(notes=True)
    spend_the_cap_of_the_hour(engine)
    assert len(engine.chain.known) == 3
    engine.time_passes(3, ["paid"])
    engine.time_passes(3, ["paid"])
    engine.restore(engine.copies[0], forgets=forgets)
    engine.leave_quarantine(["paid"])
    engine.ask_again()
    engine.sign_and_submit()
    assert engine.till.claims.open() == 0

    engine.ask(["j"], TOKEN)
    engine.hear(20)
    engine.sign_and_submit()
    late = state_of(engine, "j")
    assert late.waiting_for is not None
    assert late.waiting_for.startswith("cap_per_hour: 8 USDT asked, 24 of 24 spent")
    engine.check()


def test_h5_what_is_taken_back_and_never_landed_is_given_back(engine: Watched) -> None:
    engine.back_up(notes=True)
    spend_the_cap_of_the_hour(engine)
    engine.restore(engine.copies[0], forgets=False)
    engine.leave_quarantine(["lost"])
    engine.hear(20)
    assert {state_of(engine, name).state for name in "ghi"} == {SendState.EXPIRED}

    engine.ask(["d", "e", "j"], TOKEN)
    engine.sign_and_submit()
    assert {state_of(engine, name).state for name in "dej"} == {SendState.SUBMITTED}
    engine.check()


def test_h1_what_expired_on_one_operators_word_stays_counted(engine: Watched) -> None:
    engine.operators_are(1)
    spend_the_cap_of_the_hour(engine)
    engine.time_passes(301, ["lost"])
    engine.time_passes(3, ["lost"])
    engine.hear(10)
    engine.sign_and_submit()

    waiting = [state_of(engine, name) for name in "ghi"]
    assert {one.state for one in waiting} == {SendState.QUEUED}
    told = {str(one.waiting_for) for one in waiting}
    assert all(one.startswith("cap_per_hour: 8 USDT asked, 24 of 24 spent") for one in told)

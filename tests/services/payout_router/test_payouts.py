import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.payout_router.domain import (
    ALLOWED,
    Caller,
    IllegalMove,
    PayoutRefused,
    PayoutState,
    transition,
)
from shared.access import Role
from shared.errors import KeyReused, NotFound
from shared.models.payout_router import PayoutRouterName, PayoutStatus
from shared.models.wallet_manager import WalletStatus
from shared.models.wallet_sends import SendProblem, SendState
from shared.money import Currency
from shared.peers.caller import PeerUnavailable
from tests.services.payout_router.desk import USDT, Desk, desk_on, open_storage, order
from tests.support import TREASURY, address, wallet_view

ADMIN = Caller(name="op/ada", role=Role.ADMIN)
USER = Caller(name="op/eve", role=Role.USER)


@pytest.mark.parametrize("before", list(PayoutState))
@pytest.mark.parametrize("after", list(PayoutState))
async def test_a_payout_moves_along_the_table_alone(
    desk: Desk, before: PayoutState, after: PayoutState
) -> None:
    payout = replace(await desk.promise(), state=before)
    if after in ALLOWED[before]:
        assert transition(payout, after, at_ms=1).state is after
    else:
        with pytest.raises(IllegalMove):
            transition(payout, after, at_ms=1)


async def test_a_repeat_under_the_same_key_finds_the_first_payout(desk: Desk) -> None:
    first = await desk.promises.create(order(), caller=ADMIN, key="k1")
    again = await desk.promises.create(order(), caller=ADMIN, key="k1")
    assert not first.replayed
    assert again.replayed
    assert again.view.payout_id == first.view.payout_id
    assert await desk.events() == ["payout.created"]


async def test_the_same_key_with_another_body_is_a_conflict(desk: Desk) -> None:
    await desk.promise("k1")
    with pytest.raises(KeyReused):
        await desk.promise("k1", amount=26_000_000)


async def test_two_principals_may_use_the_same_key(desk: Desk) -> None:
    one = await desk.promise("k1", caller=ADMIN)
    other = await desk.promise("k1", caller=USER)
    assert one.id != other.id


async def test_a_key_asked_for_by_many_at_once_makes_one_payout(desk: Desk) -> None:
    taken = await asyncio.gather(
        *(desk.promises.create(order(), caller=ADMIN, key="same") for _ in range(20))
    )
    assert len({one.view.payout_id for one in taken}) == 1
    assert sum(not one.replayed for one in taken) == 1


@pytest.mark.parametrize(
    ("changes", "caller", "rule"),
    [
        ({"amount": 9_999_999}, ADMIN, "minimum"),
        ({"amount": 10_000_000_001}, ADMIN, "maximum"),
        ({"amount": 1_000_000_001}, USER, "role_maximum"),
        ({"amount": 999_999, "currency": Currency.TRX}, ADMIN, "minimum"),
        ({"recipient": USDT}, ADMIN, "recipient"),
        ({"recipient": address(0)}, ADMIN, "recipient"),
        ({"router": PayoutRouterName.DIRECT}, USER, "router"),
        (
            {"router": PayoutRouterName.DIRECT},
            Caller(name="op/nod", role=Role.NODE_OPERATOR),
            "router",
        ),
    ],
)
async def test_a_rule_that_says_no_is_named(
    desk: Desk, changes: dict[str, Any], caller: Caller, rule: str
) -> None:
    with pytest.raises(PayoutRefused) as refused:
        await desk.promise(caller=caller, **changes)
    assert refused.value.facts["rule"] == rule
    assert await desk.events() == []


async def test_a_refusal_tells_the_amounts(desk: Desk) -> None:
    with pytest.raises(PayoutRefused) as refused:
        await desk.promise(amount=1_500_000)
    assert refused.value.facts == {
        "rule": "minimum",
        "amount": "1.5",
        "currency": "USDT",
        "min": "10",
    }


async def test_the_treasury_is_no_recipient(desk: Desk) -> None:
    await desk.payer.find()
    with pytest.raises(PayoutRefused):
        await desk.promise(recipient=TREASURY)


async def test_h14_sixty_four_at_once_fill_a_recipients_day_exactly(desk: Desk) -> None:
    async def attempt(number: int) -> bool:
        try:
            await desk.promise(f"k{number}", amount=400_000_000)
        except PayoutRefused as refused:
            return refused.facts["rule"] != "recipient_daily"
        return True

    outcomes = await asyncio.gather(*(attempt(number) for number in range(64)))
    assert sum(outcomes) == 25
    total = await desk.store.totals([f"recipient|{address(1)}|USDT|2026-11-18"])
    assert [each.spent for each in total.values()] == [10_000_000_000]


async def test_a_persons_day_is_limited_over_all_recipients(desk: Desk) -> None:
    for number in range(5):
        await desk.promise(
            f"k{number}", caller=USER, amount=1_000_000_000, recipient=address(number + 1)
        )
    with pytest.raises(PayoutRefused) as refused:
        await desk.promise("k9", caller=USER, recipient=address(99))
    assert refused.value.facts["rule"] == "role_daily"
    desk.clock.advance(seconds=86_400)
    await desk.promise("k9", caller=USER, recipient=address(99))


async def test_each_currency_has_a_day_of_its_own(desk: Desk) -> None:
    await desk.promise("k1", amount=10_000_000_000)
    await desk.promise("k2", amount=10_000_000_000, currency=Currency.TRX)


async def test_a_user_sees_only_what_they_asked_for(desk: Desk) -> None:
    theirs = await desk.promise("k1", caller=USER)
    others = await desk.promise("k2", caller=ADMIN)
    assert (await desk.promises.payout(theirs.id, caller=USER)).payout_id == theirs.id
    with pytest.raises(NotFound):
        await desk.promises.payout(others.id, caller=USER)
    mine = await desk.promises.payouts(caller=USER, status=None, cursor=None, limit=10)
    everything = await desk.promises.payouts(caller=ADMIN, status=None, cursor=None, limit=10)
    assert [one.payout_id for one in mine.payouts] == [theirs.id]
    assert [one.payout_id for one in everything.payouts] == [others.id, theirs.id]


async def test_lists_are_filtered_and_paged(desk: Desk) -> None:
    for number in range(5):
        await desk.promise(f"k{number}")
    first = await desk.promises.payouts(
        caller=ADMIN, status=PayoutStatus.PENDING, cursor=None, limit=3
    )
    rest = await desk.promises.payouts(
        caller=ADMIN, status=PayoutStatus.PENDING, cursor=first.next, limit=3
    )
    assert len({one.payout_id for one in (*first.payouts, *rest.payouts)}) == 5
    assert rest.next is None
    none = await desk.promises.payouts(
        caller=ADMIN, status=PayoutStatus.CANCELLED, cursor=None, limit=3
    )
    assert none.payouts == []


async def test_a_batch_stores_its_refusals_and_repeats_its_answer(desk: Desk) -> None:
    orders = [order(), order(amount=1), order(recipient=address(2))]
    first = await desk.promises.create_batch(orders, caller=ADMIN, key="b")
    again = await desk.promises.create_batch(orders, caller=ADMIN, key="b")
    assert again.replayed
    assert again.view == first.view
    assert (first.view.accepted, first.view.refused) == (2, 1)
    problem = first.view.payouts[1].problem
    assert problem is not None
    assert problem.status == 403
    with pytest.raises(KeyReused):
        await desk.promises.create_batch(orders[:1], caller=ADMIN, key="b")


async def test_a_batch_counts_its_own_items_against_the_day(desk: Desk) -> None:
    orders = [order(amount=4_000_000_000)] * 3
    taken = await desk.promises.create_batch(orders, caller=ADMIN, key="b")
    assert [one.problem is None for one in taken.view.payouts] == [True, True, False]


async def test_a_batch_of_refusals_is_over_at_once(desk: Desk) -> None:
    taken = await desk.promises.create_batch([order(amount=1)], caller=ADMIN, key="b")
    assert taken.view.status is PayoutStatus.FAILED
    assert await desk.events() == ["batch.created", "batch.completed"]


async def test_a_thousand_items_are_one_batch(desk: Desk) -> None:
    orders = [order(recipient=address(number + 1_000)) for number in range(1_000)]
    taken = await desk.promises.create_batch(orders, caller=ADMIN, key="b")
    assert taken.view.accepted == 1_000


async def test_h3_a_request_repeated_after_its_record_was_lost_has_the_same_send_key(
    tmp_path: Path,
) -> None:
    keys: list[list[str]] = []
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        storage = await open_storage(tmp_path / name)
        desk = desk_on(storage, tmp_path)
        for _ in keys:  # ids that are merely counted differ by now
            await desk.promise("another")
        alone = await desk.promise("k")
        batch = await desk.promises.create_batch([order(), order()], caller=ADMIN, key="b")
        items = [one.payout.send_key for one in batch.view.payouts if one.payout]
        keys.append([alone.send_key, *items])
        await storage.close()
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 3


async def test_a_batch_ends_with_its_last_payout(desk: Desk) -> None:
    orders = [order(), order(recipient=address(2))]
    batch = (await desk.promises.create_batch(orders, caller=ADMIN, key="b")).view
    await desk.dispatcher.dispatch(Currency.USDT)
    one, other = [each.payout.send_key for each in batch.payouts if each.payout]
    desk.wallet_manager.becomes(one, SendState.CONFIRMED)
    await desk.follower.follow()
    assert "batch.completed" not in await desk.events()
    desk.wallet_manager.becomes(other, SendState.EXPIRED)
    await desk.follower.follow()
    assert (await desk.events()).count("batch.completed") == 1
    view = (await desk.promises.create_batch(orders, caller=ADMIN, key="b")).view
    assert view.status is PayoutStatus.COMPLETED
    assert [one.payout.status for one in view.payouts if one.payout] == ["completed", "failed"]


async def test_a_payout_travels_to_its_end(desk: Desk) -> None:
    payout = await desk.promise()
    assert payout.send_key == f"payout-router:{payout.id}:0"
    await desk.dispatcher.dispatch(Currency.USDT)
    sent = await desk.read(payout.id)
    assert (sent.state, sent.wallet_id) == (PayoutState.PROCESSING, "wal_treasury")
    intent = desk.wallet_manager.intents[payout.send_key]
    assert intent.params.contract_address == USDT
    assert intent.max_fee_sun == "50000000"
    assert intent.not_after == payout.not_after_ms
    desk.wallet_manager.becomes(payout.send_key, SendState.CONFIRMED)
    await desk.follower.follow()
    done = await desk.read(payout.id)
    assert done.state is PayoutState.COMPLETED
    assert (done.txid is not None, done.fee_sun, done.block_height) == (True, 345_000, 1_000)
    assert await desk.events() == ["payout.created", "payout.processing", "payout.completed"]
    assert desk.wallet_manager.acknowledged[-1] == "payout-router first.2"


async def test_trx_goes_to_wallet_manager_without_preflight(desk: Desk) -> None:
    payout = await desk.promise(currency=Currency.TRX)
    await desk.dispatcher.dispatch(Currency.TRX)
    intent = desk.wallet_manager.intents[payout.send_key]
    assert (intent.kind, intent.max_fee_sun) == ("trx_transfer", "3000000")
    assert desk.usdt_manager.asked == 0


async def test_a_lost_reply_leads_to_the_same_key_again(desk: Desk) -> None:
    payout = await desk.promise()
    desk.wallet_manager.loses_replies = 2
    for _ in range(2):
        with pytest.raises(PeerUnavailable):
            await desk.dispatcher.dispatch(Currency.USDT)
        desk.clock.advance(seconds=300)
    await desk.dispatcher.dispatch(Currency.USDT)
    assert desk.wallet_manager.handed_over == [payout.send_key] * 3
    assert len(desk.wallet_manager.stored) == 1
    assert (await desk.read(payout.id)).send_id is not None
    await desk.dispatcher.dispatch(Currency.USDT)
    assert len(desk.wallet_manager.handed_over) == 3


@pytest.mark.parametrize("status", [404, 409])
async def test_h4_a_conflict_keeps_a_payout_on_its_way(desk: Desk, status: int) -> None:
    payout = await desk.promise()
    desk.wallet_manager.problems[payout.send_key] = SendProblem(
        status=status, code="LUCID_ERR_9301", detail="no"
    )
    await desk.dispatcher.dispatch(Currency.USDT)
    waiting = await desk.read(payout.id)
    assert (waiting.state, waiting.detail) == (PayoutState.PROCESSING, "no")
    desk.wallet_manager.problems.clear()
    desk.clock.advance(seconds=300)
    await desk.dispatcher.dispatch(Currency.USDT)
    assert (await desk.read(payout.id)).send_id is not None


async def test_h4_an_absent_sibling_keeps_a_payout_on_its_way(desk: Desk) -> None:
    payout = await desk.promise()
    await desk.payer.find()
    desk.wallet_manager.away = True
    with pytest.raises(PeerUnavailable):
        await desk.dispatcher.dispatch(Currency.USDT)
    assert (await desk.read(payout.id)).state is PayoutState.PROCESSING


async def test_a_refusal_before_anything_was_stored_fails_and_gives_back(desk: Desk) -> None:
    payout = await desk.promise()
    desk.wallet_manager.problems[payout.send_key] = SendProblem(
        status=403, code="LUCID_ERR_9320", detail="not for this", facts={"rule": "purpose"}
    )
    await desk.dispatcher.dispatch(Currency.USDT)
    failed = await desk.read(payout.id)
    assert (failed.state, failed.detail) == (PayoutState.FAILED, "purpose: not for this")
    assert await desk.spent(failed) == 0


async def test_a_refusal_of_a_send_that_is_stored_fails_nothing(desk: Desk) -> None:
    payout = await desk.promise()
    desk.wallet_manager.loses_replies = 1
    with pytest.raises(PeerUnavailable):
        await desk.dispatcher.dispatch(Currency.USDT)
    desk.wallet_manager.problems[payout.send_key] = SendProblem(
        status=403, code="LUCID_ERR_9320", detail="policy changed"
    )
    desk.clock.advance(seconds=300)
    await desk.dispatcher.dispatch(Currency.USDT)
    known = await desk.read(payout.id)
    assert (known.state, known.detail_state) == (PayoutState.PROCESSING, "queued")


async def test_without_a_treasury_payouts_wait(desk: Desk) -> None:
    wallets = desk.wallet_manager.wallets
    desk.wallet_manager.wallets = {}
    payout = await desk.promise()
    await desk.dispatcher.dispatch(Currency.USDT)
    waiting = await desk.read(payout.id)
    assert (waiting.state, waiting.detail_state) == (PayoutState.PENDING, "held")
    assert waiting.detail == "there is no wallet that pays yet"
    desk.wallet_manager.wallets = wallets
    desk.clock.advance(seconds=5)
    await desk.dispatcher.dispatch(Currency.USDT)
    assert (await desk.read(payout.id)).state is PayoutState.PROCESSING


async def test_a_locked_wallet_does_not_pay(desk: Desk) -> None:
    locked = wallet_view().model_copy(update={"status": WalletStatus.LOCKED})
    desk.wallet_manager.wallets = {"wal_treasury": locked}
    await desk.promise()
    await desk.dispatcher.dispatch(Currency.USDT)
    assert desk.wallet_manager.handed_over == []


async def test_a_paused_token_holds_payouts_until_it_goes_on(desk: Desk) -> None:
    payout = await desk.promise()
    desk.usdt_manager.paused = True
    for _ in range(3):
        await desk.dispatcher.dispatch(Currency.USDT)
        desk.clock.advance(seconds=300)
    assert (await desk.read(payout.id)).detail_state == "held"
    desk.usdt_manager.paused = False
    await desk.dispatcher.dispatch(Currency.USDT)
    assert (await desk.read(payout.id)).state is PayoutState.PROCESSING


async def test_a_black_listed_recipient_fails_alone(desk: Desk) -> None:
    good = await desk.promise("k1")
    bad = await desk.promise("k2", recipient=address(2))
    desk.usdt_manager.refusals[address(2)] = "recipient_blacklisted"
    await desk.dispatcher.dispatch(Currency.USDT)
    failed = await desk.read(bad.id)
    assert failed.state is PayoutState.FAILED
    assert (failed.detail or "").startswith("recipient_blacklisted")
    assert await desk.spent(failed) == 0
    assert (await desk.read(good.id)).state is PayoutState.PROCESSING


async def test_a_lack_of_balance_is_left_to_wallet_manager(desk: Desk) -> None:
    payout = await desk.promise()
    desk.usdt_manager.balance = 0
    desk.usdt_manager.refusals[address(1)] = "would_revert"
    await desk.dispatcher.dispatch(Currency.USDT)
    assert (await desk.read(payout.id)).state is PayoutState.PROCESSING


async def test_a_payout_held_past_its_deadline_fails(desk: Desk) -> None:
    payout = await desk.promise()
    desk.usdt_manager.paused = True
    desk.clock.advance(seconds=86_400)
    await desk.dispatcher.dispatch(Currency.USDT)
    failed = await desk.read(payout.id)
    assert (failed.state, failed.detail_state) == (PayoutState.FAILED, "expired")
    assert desk.wallet_manager.handed_over == []


@pytest.mark.parametrize(
    ("state", "status", "attention"),
    [
        (SendState.SIGNED, "processing", False),
        (SendState.SEEN, "processing", False),
        (SendState.UNKNOWN, "processing", False),
        (SendState.SETTLED_DIFFERENTLY, "processing", True),
        (SendState.CONFIRMED, "completed", False),
        (SendState.FAILED, "failed", False),
        (SendState.EXPIRED, "failed", False),
        (SendState.REFUSED, "failed", False),
    ],
)
async def test_callers_see_what_became_of_the_send(
    desk: Desk, state: SendState, status: str, *, attention: bool
) -> None:
    payout = await desk.promise()
    await desk.dispatcher.dispatch(Currency.USDT)
    desk.wallet_manager.becomes(payout.send_key, state, waiting_for="a verdict")
    await desk.follower.follow()
    view = await desk.promises.payout(payout.id, caller=ADMIN)
    assert (view.status, view.detail_state, view.needs_attention) == (status, state, attention)
    assert await desk.spent(payout) == (0 if status == "failed" else payout.amount)


async def test_repeated_and_belated_events_change_nothing(desk: Desk) -> None:
    payout = await desk.promise()
    await desk.dispatcher.dispatch(Currency.USDT)
    desk.clock.advance(seconds=3)
    signed = desk.wallet_manager.becomes(payout.send_key, SendState.SIGNED)
    desk.clock.advance(seconds=3)
    confirmed = desk.wallet_manager.becomes(payout.send_key, SendState.CONFIRMED)
    await desk.follower.follow()
    done = await desk.read(payout.id)
    for send in (signed, confirmed, signed.model_copy(update={"state": SendState.EXPIRED})):
        desk.wallet_manager.tell(send)
    await desk.follower.follow()
    assert await desk.read(payout.id) == done
    assert (await desk.events()).count("payout.completed") == 1


async def test_a_failed_payout_that_moved_money_after_all_calls_a_person(desk: Desk) -> None:
    payout = await desk.promise()
    await desk.dispatcher.dispatch(Currency.USDT)
    desk.wallet_manager.becomes(payout.send_key, SendState.EXPIRED)
    desk.wallet_manager.becomes(payout.send_key, SendState.CONFIRMED)
    desk.wallet_manager.becomes(payout.send_key, SendState.CONFIRMED)
    await desk.follower.follow()
    odd = await desk.read(payout.id)
    assert (odd.state, odd.needs_attention) == (PayoutState.FAILED, True)
    assert (await desk.events()).count("payout.needs_attention") == 1


async def test_another_history_of_the_feed_forces_a_look_at_every_open_payout(desk: Desk) -> None:
    done = await desk.promise("k1")
    lost = await desk.promise("k2", recipient=address(2))
    await desk.dispatcher.dispatch(Currency.USDT)
    await desk.follower.follow()
    desk.wallet_manager.becomes(done.send_key, SendState.CONFIRMED, told=False)
    del desk.wallet_manager.stored[lost.send_key]
    desk.wallet_manager.restore()
    await desk.follower.follow()
    assert (await desk.read(done.id)).state is PayoutState.COMPLETED
    assert await desk.store.cursor() == ""
    await desk.dispatcher.dispatch(Currency.USDT)
    assert desk.wallet_manager.handed_over.count(lost.send_key) == 2
    await desk.follower.follow()
    assert (await desk.store.cursor()).startswith("first-restored.")


async def test_h5_what_a_restored_wallet_manager_has_queued_is_asked_for_again(desk: Desk) -> None:
    payout = await desk.promise()
    await desk.dispatcher.dispatch(Currency.USDT)
    await desk.follower.follow()
    desk.wallet_manager.restore()
    await desk.follower.follow()
    await desk.dispatcher.dispatch(Currency.USDT)
    assert desk.wallet_manager.handed_over.count(payout.send_key) == 2

    desk.clock.advance(seconds=121)
    await desk.follower.reconcile()
    await desk.dispatcher.dispatch(Currency.USDT)
    assert desk.wallet_manager.handed_over.count(payout.send_key) == 3


async def test_h13_events_that_are_gone_are_made_up_for_by_asking_and_never_skipped(
    desk: Desk,
) -> None:
    payouts = [await desk.promise(str(number)) for number in range(3)]
    await desk.dispatcher.dispatch(Currency.USDT)
    await desk.follower.follow()
    for payout in payouts[:2]:
        desk.wallet_manager.becomes(payout.send_key, SendState.CONFIRMED)
    desk.wallet_manager.trim()
    assert not await desk.follower.follow()
    assert await desk.store.cursor() == ""
    states = [(await desk.read(payout.id)).state for payout in payouts]
    assert states == [PayoutState.COMPLETED, PayoutState.COMPLETED, PayoutState.PROCESSING]

    desk.wallet_manager.becomes(payouts[2].send_key, SendState.CONFIRMED)
    assert await desk.follower.follow()
    assert (await desk.read(payouts[2].id)).state is PayoutState.COMPLETED
    assert (await desk.events()).count("payout.completed") == len(payouts)


async def test_a_lost_event_strands_nothing(desk: Desk) -> None:
    payout = await desk.promise()
    await desk.dispatcher.dispatch(Currency.USDT)
    desk.wallet_manager.becomes(payout.send_key, SendState.CONFIRMED, told=False)
    assert not await desk.follower.reconcile()
    assert (await desk.read(payout.id)).state is PayoutState.PROCESSING
    desk.clock.advance(seconds=121)
    await desk.follower.reconcile()
    assert (await desk.read(payout.id)).state is PayoutState.COMPLETED


async def test_a_claim_that_died_with_its_process_is_claimed_again(desk: Desk) -> None:
    payout = await desk.promise()
    await desk.store.claim_due(
        Currency.USDT, owner="dead", now_ms=desk.clock.now_ms(), lease_ms=60_000, limit=50
    )
    await desk.dispatcher.dispatch(Currency.USDT)
    assert desk.wallet_manager.handed_over == []
    desk.clock.advance(seconds=60)
    await desk.dispatcher.dispatch(Currency.USDT)
    assert desk.wallet_manager.handed_over == [payout.send_key]

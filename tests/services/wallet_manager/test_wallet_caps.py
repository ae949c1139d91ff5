"""Policy and caps at work: asked when an intent comes and before every signature."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from services.wallet_manager.domain.approvals import ApprovalNeeded
from services.wallet_manager.domain.caps import CapRule, value_subject
from services.wallet_manager.domain.rulebook import EVERY_WALLET, PolicyMoved
from services.wallet_manager.domain.sends import Send
from services.wallet_manager.service.guard import Gate, Guard
from services.wallet_manager.service.spent import load_tallies
from shared.clock import HeldClock
from shared.models.tron_transactions import TransactionState
from shared.models.wallet_sends import SendKind, SendProblem, SendState
from shared.money import Currency
from shared.storage import Storage
from tests.services.wallet_manager.guards import (
    TRX_CAPS,
    USDT_CAPS,
    Guards,
    Meanwhile,
    guarded,
    rulebook,
)
from tests.services.wallet_manager.test_wallet_kinds import asked
from tests.services.wallet_manager.till import (
    STRANGER,
    TRX,
    USDT,
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

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
WALLET = "wal_000001"
LATE = START_MS + 100 * DAY_S * 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    till: Till
    guards: Guards

    async def pass_s(self, seconds: int) -> None:
        self.till.clock.advance(seconds=seconds)
        await self.guards.ledger.observe(self.till.clock.now_ms())

    async def signed(self, name: str, amount: int, number: int = 0xC0) -> Send:
        wanted = intent(name, amount=amount, recipient=address(number), not_after=LATE)
        return await self.till.signed(wanted)

    async def refused(self, **changes: object) -> SendProblem:
        (result,) = await self.till.accept(intent("refused", **changes))  # type: ignore[arg-type]
        assert result.problem is not None
        return result.problem


async def a_guarded_till(storage: Storage, root: Path, **changes: object) -> Guarded:
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
    made = await guarded(till, root, gates=gates, guards=guards, rules=rulebook(**changes))
    await till.begins()
    await till.treasury()
    return Guarded(till=till, guards=made)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Guarded]:
    storage = await open_storage(tmp_path)
    yield await a_guarded_till(storage, tmp_path)
    await storage.close()


async def spent(desk: Guarded, subject: str) -> int:
    tally = (await load_tallies(desk.till.store, [subject]))[subject]
    return sum(total for _, total in tally.buckets)


async def test_a_send_within_every_cap_is_signed_and_counted(desk: Guarded) -> None:
    send = await desk.signed("one", 50 * TRX)
    assert send.state is SendState.SIGNED
    assert await spent(desk, value_subject(WALLET, Currency.USDT)) == 50 * TRX


async def test_a_send_above_its_own_cap_is_refused_with_rule_and_figures(desk: Guarded) -> None:
    problem = await desk.refused(amount=101 * TRX)
    assert problem.facts == {"rule": "cap_per_send", "asked": "101000000", "limit": "100000000"}
    assert problem.detail == "cap_per_send: 101 USDT asked, 100 USDT allowed at most"
    told = [each async for _, _, each in desk.guards.audit.decisions(after=0, limit=10)]
    assert [(each.act.value, each.who, each.why) for each in told] == [
        ("wallet.made", "op", ""),
        ("send.refused", "payout-router/ada", "cap_per_send"),
    ]


async def test_what_an_hour_took_waits_for_the_next_with_the_figures(desk: Guarded) -> None:
    for number in range(3):
        await desk.signed(f"s{number}", 50 * TRX)
    late = await desk.signed("late", 1 * TRX)
    assert late.state is SendState.QUEUED
    assert late.waiting_for == "cap_per_hour: 1 USDT asked, 150 of 150 spent"

    await desk.pass_s(HOUR_S + 600)
    await desk.till.sender.sign_due()
    assert (await desk.till.read(late.send_key)).state is SendState.SIGNED


async def test_h2_a_local_clock_set_forward_opens_no_window(desk: Guarded) -> None:
    for number in range(3):
        await desk.signed(f"s{number}", 50 * TRX)
    late = await desk.signed("late", 1 * TRX)
    desk.till.clock.advance(seconds=DAY_S)
    await desk.till.sender.sign_due()
    assert (await desk.till.read(late.send_key)).state is SendState.QUEUED


async def test_a_day_and_a_destination_have_caps_of_their_own(desk: Guarded) -> None:
    for number in range(4):
        await desk.signed(f"s{number}", 50 * TRX)
        await desk.pass_s(HOUR_S + 600)
    one = await desk.signed("fifth", 50 * TRX)
    assert one.waiting_for is not None
    assert one.waiting_for.startswith("cap_per_destination: 50 USDT asked, 200 of 200")
    for number in range(2):
        assert (await desk.signed(f"o{number}", 50 * TRX, 0xD0)).state is SendState.SIGNED
        await desk.pass_s(HOUR_S + 600)
    other = await desk.signed("last", 50 * TRX, 0xE0)
    assert other.waiting_for is not None
    assert other.waiting_for.startswith("cap_per_day: 50 USDT asked, 300 of 300")


async def test_h14_a_batch_cannot_pass_a_cap_together(desk: Guarded) -> None:
    intents = [
        intent(f"b{number}", amount=60 * TRX, recipient=address(number + 1), not_after=LATE)
        for number in range(5)
    ]
    await desk.till.accept(*intents)
    await desk.till.sender.sign_due()
    states = [(await desk.till.read(one.send_key)).state for one in intents]
    assert states.count(SendState.SIGNED) == 2


async def test_fees_are_bounded_by_the_hour(tmp_path: Path) -> None:
    storage = await open_storage(tmp_path)
    desk = await a_guarded_till(storage, tmp_path, fees_per_hour_sun=10 * TRX)
    await desk.signed("one", TRX)
    late = await desk.signed("two", TRX)
    assert late.waiting_for is not None
    assert late.waiting_for.startswith("cap_fees_per_hour: ")
    assert "of 10 spent" in late.waiting_for
    await storage.close()


@pytest.mark.parametrize(
    ("changes", "asked", "rule"),
    [
        ({"kinds": frozenset({SendKind.TRX_TRANSFER})}, {}, CapRule.KIND),
        ({"tokens": frozenset()}, {}, CapRule.TOKEN),
        ({"pairs": ()}, {}, CapRule.PURPOSE),
        ({"caps": (TRX_CAPS,)}, {}, CapRule.CURRENCY),
        ({"destinations": frozenset({STRANGER})}, {}, CapRule.DESTINATION),
        ({}, {"amount": 101 * TRX, "kind": SendKind.TRX_TRANSFER}, CapRule.PER_SEND),
    ],
)
async def test_every_rule_of_a_policy_refuses_by_its_name(
    tmp_path: Path, changes: dict[str, object], asked: dict[str, object], rule: CapRule
) -> None:
    storage = await open_storage(tmp_path)
    desk = await a_guarded_till(storage, tmp_path, **changes)
    problem = await desk.refused(**asked)
    assert problem.facts["rule"] == rule.value
    assert problem.status == 403
    await storage.close()


async def test_what_expired_may_be_spent_again_and_what_failed_but_for_its_fee(
    desk: Guarded,
) -> None:
    subject = value_subject(WALLET, Currency.USDT)
    one = await desk.signed("one", 50 * TRX)
    fees = await spent(desk, f"{WALLET}|fees")
    assert fees > 0
    await desk.till.verdicts(fate(one, TransactionState.INCLUDED))
    assert await spent(desk, subject) == 50 * TRX
    await desk.till.verdicts(fate(one, TransactionState.FAILED))
    assert await spent(desk, subject) == 0
    assert await spent(desk, f"{WALLET}|fees") == fees

    two = await desk.signed("two", 50 * TRX)
    await desk.till.verdicts(fate(two, TransactionState.EXPIRED))
    assert await spent(desk, subject) == 0
    assert await spent(desk, f"{WALLET}|fees") == fees

    three = await desk.signed("three", 50 * TRX)
    before = await spent(desk, subject)
    await desk.till.verdicts(fate(three, TransactionState.CONFIRMED))
    assert await spent(desk, subject) == before


async def test_h1_new_attempts_on_one_operators_word_are_bounded_by_the_day(desk: Guarded) -> None:
    desk.guards.operators[0] = 1
    first = await desk.signed("one", 20 * TRX)
    other = await desk.signed("two", 20 * TRX)
    assert {first.state, other.state} == {SendState.SIGNED}
    await desk.till.verdicts(
        fate(first, TransactionState.EXPIRED), fate(other, TransactionState.EXPIRED)
    )
    await desk.till.sender.sign_due()
    again = [await desk.till.read(one.send_key) for one in (first, other)]
    assert sorted(one.state for one in again) == [SendState.QUEUED, SendState.SIGNED]
    (waits,) = [one for one in again if one.state is SendState.QUEUED]
    assert waits.waiting_for == "cap_unproved_attempts: 20 USDT asked, 20 of 30 spent"

    desk.guards.operators[0] = 2
    await desk.pass_s(10)
    await desk.till.sender.sign_due()
    assert (await desk.till.read(waits.send_key)).state is SendState.SIGNED


async def test_h4_a_new_attempt_passes_the_policy_of_now(desk: Guarded) -> None:
    send = await desk.signed("one", 50 * TRX)
    stricter = rulebook(caps=(replace(USDT_CAPS, per_send=10 * TRX), TRX_CAPS))
    await desk.guards.policies.change(
        EVERY_WALLET, stricter, revision=0, by="ada", reason="smaller sends"
    )
    await desk.till.verdicts(fate(send, TransactionState.EXPIRED))
    await desk.till.sender.sign_due()
    again = await desk.till.read(send.send_key)
    assert again.state is SendState.QUEUED
    assert again.waiting_for == "cap_per_send: 50 USDT asked, 10 USDT allowed at most"


async def test_a_large_send_waits_for_people_and_is_signed_once_they_agreed(desk: Guarded) -> None:
    send = await desk.signed("large", 90 * TRX)
    assert send.waiting_for == f"awaiting approval apr_{send.id}: 0 of 2 people agreed"
    await desk.guards.approvals.agree(f"apr_{send.id}", who="operator/ada", note="")
    await desk.pass_s(10)
    await desk.till.sender.sign_due()
    assert (await desk.till.read(send.send_key)).state is SendState.QUEUED
    await desk.guards.approvals.agree(f"apr_{send.id}", who="operator/bob", note="")
    await desk.pass_s(10)
    await desk.till.sender.sign_due()
    assert (await desk.till.read(send.send_key)).state is SendState.SIGNED


async def test_people_always_agree_to_new_permissions_and_read_all_of_them(tmp_path: Path) -> None:
    storage = await open_storage(tmp_path)
    kinds = rulebook().kinds | {SendKind.PERMISSION_UPDATE}
    desk = await a_guarded_till(storage, tmp_path, kinds=kinds)
    send = await desk.till.signed(asked(SendKind.PERMISSION_UPDATE))
    asked_for = await desk.guards.approvals.find(f"apr_{send.id}")
    assert send.waiting_for is not None
    assert send.waiting_for.startswith(f"awaiting approval {asked_for.id}: 0 of 2")
    assert STRANGER in asked_for.reason
    assert '"threshold":1' in asked_for.reason
    await storage.close()


async def test_a_large_send_that_is_turned_down_is_refused_for_good(desk: Guarded) -> None:
    send = await desk.signed("large", 90 * TRX)
    await desk.guards.approvals.deny(f"apr_{send.id}", who="operator/ada", note="no")
    await desk.pass_s(10)
    await desk.till.sender.sign_due()
    ended = await desk.till.read(send.send_key)
    assert (ended.state, ended.refusal_rule) == (SendState.REFUSED, "approval")


async def test_what_allows_more_holds_after_the_cooling_off_alone(desk: Guarded) -> None:
    looser = rulebook(
        caps=(replace(USDT_CAPS, per_send=150 * TRX, agreed_above=150 * TRX), TRX_CAPS)
    )
    changed = await desk.guards.policies.change(
        EVERY_WALLET, looser, revision=0, by="ada", reason="larger sends"
    )
    assert changed.coming == looser
    assert (await desk.refused(amount=120 * TRX)).facts["rule"] == "cap_per_send"
    desk.till.clock.advance(seconds=2 * DAY_S)  # the chain did not move with it
    assert (await desk.refused(amount=120 * TRX)).facts["rule"] == "cap_per_send"
    await desk.guards.ledger.observe(START_MS + DAY_S * 1_000 - 1)
    assert (await desk.refused(amount=120 * TRX)).facts["rule"] == "cap_per_send"
    await desk.guards.ledger.observe(START_MS + DAY_S * 1_000 + 10_000)
    assert (await desk.signed("large", 120 * TRX)).state is SendState.SIGNED


async def test_a_change_on_another_revision_is_refused(desk: Guarded) -> None:
    policies = desk.guards.policies
    await policies.change(EVERY_WALLET, rulebook(), revision=0, by="ada", reason="as it is")
    with pytest.raises(PolicyMoved) as moved:
        await policies.change(EVERY_WALLET, rulebook(), revision=0, by="bob", reason="as it was")
    assert moved.value.facts == {"revision": 1}


async def test_a_wallet_may_have_a_policy_of_its_own(desk: Guarded) -> None:
    own = rulebook(caps=(replace(USDT_CAPS, per_send=5 * TRX), TRX_CAPS))
    await desk.guards.policies.change(WALLET, own, revision=0, by="ada", reason="a small one")
    assert (await desk.refused(amount=6 * TRX)).facts["limit"] == "5000000"
    assert (await desk.guards.policies.stored("wal_else")).rules == rulebook()


async def test_where_two_have_to_agree_a_policy_changes_with_the_second_voice(
    tmp_path: Path,
) -> None:
    storage = await open_storage(tmp_path)
    clock = HeldClock(START_MS)
    till = till_on(
        storage,
        clock=clock,
        chain=Chain(clock),
        vault=vault(),
        ids=itertools.count(1),
        rules=rules(),
    )
    made = await guarded(till, tmp_path, gates=[], guards=[], quorums=2)
    asked: list[str] = []
    for _ in range(2):
        with pytest.raises(ApprovalNeeded) as needed:
            await made.policies.change(
                EVERY_WALLET, rulebook(tokens=frozenset({USDT})), revision=0, by="ada", reason="why"
            )
        asked.append(str(needed.value.facts["approval_id"]))
    assert asked[0] == asked[1]
    for who in ("bob", "carol"):
        await made.approvals.agree(asked[0], who=who, note="")
    changed = await made.policies.change(
        EVERY_WALLET, rulebook(tokens=frozenset({USDT})), revision=0, by="ada", reason="why"
    )
    assert changed.revision == 1
    with pytest.raises(ApprovalNeeded) as again:
        await made.policies.change(
            EVERY_WALLET, rulebook(tokens=frozenset()), revision=1, by="ada", reason="why"
        )
    assert again.value.facts["approval_id"] != asked[0]
    acts = [each.act.value async for _, _, each in made.audit.decisions(after=0, limit=20)]
    assert acts == [
        "approval.asked",
        "approval.given",
        "approval.given",
        "approval.used",
        "policy.changed",
        "approval.asked",
    ]
    await storage.close()


async def test_h14_nothing_is_signed_under_a_policy_once_a_stricter_one_was_answered(
    tmp_path: Path,
) -> None:
    storage, clock, meanwhile = await open_storage(tmp_path), HeldClock(START_MS), Meanwhile()
    guards: list[Guard] = []
    till = till_on(
        storage,
        clock=clock,
        chain=Chain(clock),
        vault=vault(),
        ids=itertools.count(1),
        rules=rules(),
        guards=guards,
    )
    made = await guarded(till, tmp_path, gates=[], guards=guards)
    guards.append(meanwhile)
    await till.begins()
    await till.treasury()
    nothing = rulebook(kinds=frozenset())

    async def stricter() -> int:
        await made.policies.change(EVERY_WALLET, nothing, revision=0, by="ada", reason="theft")
        return await till.store.count(SendState.SIGNED)

    meanwhile.act = stricter
    await till.accept(intent("one"))

    await till.sender.sign_due()
    at_return = await meanwhile.outcome()
    await till.accept(intent("two"))
    await till.sender.sign_due()

    assert await till.store.count(SendState.SIGNED) == at_return
    await storage.close()

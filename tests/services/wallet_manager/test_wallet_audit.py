"""The audit log: every change, gap, swap and cut shows, with its place."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wallet_manager.cli import NAME, anchor, verify_audit
from services.wallet_manager.domain.audit import (
    GENESIS,
    Act,
    AuditHead,
    AuditPage,
    Break,
    Chain,
    Decision,
)
from services.wallet_manager.service.audit import ITSELF, Audit
from services.wallet_manager.settings import Settings
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import AUDIT_HEADS, AUDIT_PAGES, SCHEMA
from shared.clock import HeldClock
from shared.logs import request_id
from shared.money import Currency
from shared.storage import Stamp, Storage, StorageClosed, StorageLocked, Unit
from shared.storage.opening import open_storage as open_service_storage
from tests.services.wallet_manager.till import (
    STRANGER,
    TRX,
    USDT,
    Till,
    intent,
    open_storage,
    transfer,
)
from tests.support import START_MS, Keys, settings_in


async def acts(till: Till) -> list[tuple[Act, str, str, str]]:
    """Return what was decided, about what, by whom and why, without the wallets that were made."""
    told = [
        each
        async for _, _, each in Audit(store=till.store, clock=till.clock).decisions(
            after=0, limit=100
        )
    ]
    return [
        (each.act, each.subject, each.who, each.why)
        for each in told
        if each.act is not Act.WALLET_MADE
    ]


def decision(number: int) -> Decision:
    return Decision(
        act=Act.SEND_SIGNED, subject=f"snd_{number}", who="payout-router", at_ms=START_MS + number
    )


def written_in(sizes: Sequence[int]) -> tuple[list[AuditPage], AuditHead]:
    """Write pages of these sizes."""
    head, pages, number = AuditHead(), [], 0
    for size in sizes:
        page, head = head.after([decision(number + offset) for offset in range(size)])
        number += size
        pages.append(page)
    return pages, head


def checked(
    pages: Sequence[AuditPage],
    head: AuditHead | None,
    anchors: Sequence[tuple[int, str]] = (),
) -> Break | None:
    chain = Chain(anchors)
    for page in pages:
        if broken := chain.add(page):
            return broken
    return chain.end(head)


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    database = await open_storage(tmp_path)
    yield database
    await database.close()


@pytest.fixture
def audit(storage: Storage) -> Audit:
    return Audit(store=WalletStore(storage), clock=HeldClock(START_MS))


@given(st.lists(st.integers(1, 5), max_size=6))
def test_what_was_written_verifies(sizes: list[int]) -> None:
    pages, head = written_in(sizes)
    assert checked(pages, head) is None
    assert head.count == sum(sizes)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.data())
def test_a_changed_decision_is_found_at_its_place(sizes: list[int], data: st.DataObject) -> None:
    pages, head = written_in(sizes)
    index = data.draw(st.integers(0, len(pages) - 1))
    inside = data.draw(st.integers(0, sizes[index] - 1))
    field = data.draw(st.sampled_from(["subject", "who", "why", "request_id"]))
    decisions = list(pages[index].decisions)
    forged: dict[str, Any] = {field: "mallory"}
    decisions[inside] = replace(decisions[inside], **forged)
    pages[index] = replace(pages[index], decisions=tuple(decisions))

    broken = checked(pages, head)

    assert broken is not None
    assert broken.number == pages[index].first + inside


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.data())
def test_a_missing_page_is_found_at_its_place(sizes: list[int], data: st.DataObject) -> None:
    pages, head = written_in(sizes)
    gone = pages.pop(data.draw(st.integers(0, len(pages) - 1)))

    broken = checked(pages, head)

    assert broken is not None
    assert broken.number == gone.first


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5, unique=True), st.data())
def test_swapped_pages_are_found_at_the_first(sizes: list[int], data: st.DataObject) -> None:
    pages, head = written_in(sizes)
    one, other = sorted(data.draw(st.permutations(range(len(pages))))[:2])
    first = pages[one].first
    one_page, other_page = pages[one], pages[other]
    pages[one] = replace(other_page, id=one_page.id, first=one_page.first)
    pages[other] = replace(one_page, id=other_page.id, first=other_page.first)

    broken = checked(pages, head)

    assert broken is not None
    assert broken.number == first


def test_two_decisions_swapped_in_their_page_are_found() -> None:
    (page,), head = written_in([3])
    one, two, three = page.decisions
    broken = checked([replace(page, decisions=(two, one, three))], head)
    assert broken is not None
    assert broken.number == 1


def test_a_cut_end_is_found_by_the_head_and_with_a_forged_head_by_what_was_written_down() -> None:
    pages, head = written_in([2, 2, 2])
    cut = checked(pages[:2], head)
    assert cut is not None
    assert cut.number == 5
    _, forged = written_in([2, 2])
    assert checked(pages[:2], forged) is None
    anchored = checked(pages[:2], forged, [(6, head.digest)])
    assert anchored is not None
    assert anchored.number == 5
    assert checked(pages, None) is not None


def test_of_two_notes_of_one_decision_that_differ_neither_hides_the_other() -> None:
    pages, head = written_in([3])
    right, wrong = (3, head.digest), (3, "ab" * 32)
    assert checked(pages, head, [right, right]) is None
    for anchors in ([right, wrong], [wrong, right]):
        broken = checked(pages, head, anchors)
        assert broken is not None
        assert broken.number == 3


def test_a_chain_written_anew_is_found_by_what_was_written_down() -> None:
    _, head = written_in([3])
    page, forged = AuditHead().after([decision(7), decision(8), decision(9)])
    assert checked([page], forged) is None
    broken = checked([page], forged, [(3, head.digest)])
    assert broken is not None
    assert broken.number == 3


async def test_a_decision_is_stored_with_what_it_tells_or_not_at_all(
    storage: Storage, audit: Audit
) -> None:
    store = WalletStore(storage)
    await audit.note(audit.decision(Act.WALLET_MADE, "wal_1", who="ada"))
    (page,) = (await storage.list(AUDIT_PAGES, "first", limit=10)).items
    stale = Unit().update(AUDIT_PAGES, replace(page, version=7))
    with pytest.raises(Exception, match="no longer at version"):
        await store.record(stale, [audit.decision(Act.WALLET_MADE, "wal_2")])
    assert (await audit.verify()).count == 1
    await audit.note(audit.decision(Act.WALLET_MADE, "wal_3"))
    assert (await audit.verify()).count == 2


async def test_many_writers_at_once_make_one_chain(audit: Audit) -> None:
    await asyncio.gather(
        *(audit.note(audit.decision(Act.SEND_ACCEPTED, f"snd_{n}")) for n in range(50))
    )
    verified = await audit.verify()
    assert (verified.count, verified.broken) == (50, None)
    head = await audit.head()
    assert verified.digest == head.digest != GENESIS


async def test_a_batch_is_one_page(storage: Storage) -> None:
    store = WalletStore(storage)
    audit = Audit(store=store, clock=HeldClock(START_MS))
    change = Change()
    for number in range(100):
        change.decide(audit.decision(Act.SEND_SIGNED, f"snd_{number}"))
    await store.commit(change)
    assert len((await storage.list(AUDIT_PAGES, "first", limit=10)).items) == 1
    assert (await audit.verify()).count == 100


async def test_changes_that_fail_leave_the_decisions_of_the_others(storage: Storage) -> None:
    store = WalletStore(storage)
    audit = Audit(store=store, clock=HeldClock(START_MS))
    changes = [Change(), Change(), Change()]
    for number, change in enumerate(changes):
        change.decide(audit.decision(Act.SEND_ACCEPTED, f"snd_{number}"))
    changes[1].cursor(replace(await store.cursor("x"), version=9), "stale")

    outcomes = await store.commit_each(changes)

    assert [outcome is None for outcome in outcomes] == [True, False, True]
    told = [each.subject async for _, _, each in audit.decisions(after=0, limit=10)]
    assert told == ["snd_0", "snd_2"]


async def test_a_decision_tells_who_what_why_when_and_in_which_request(audit: Audit) -> None:
    marker = request_id.set("req-7")
    try:
        await audit.note(
            audit.decision(Act.STOP_SET, "*", who="ada", why="theft", txids=2),
            audit.decision(Act.STOP_LIFTED, "*", who="x" * 10_000),
        )
    finally:
        request_id.reset(marker)
    told = [each async for each in audit.decisions(after=0, limit=1)]
    ((number, digest, first),) = told
    assert (number, len(digest)) == (1, 64)
    assert first == Decision(
        act=Act.STOP_SET,
        subject="*",
        who="ada",
        why="theft",
        at_ms=START_MS,
        request_id="req-7",
        facts=(("txids", "2"),),
    )
    ((_, _, second),) = [each async for each in audit.decisions(after=1, limit=5)]
    assert len(second.who) == 500


async def test_damage_in_the_database_is_found_with_its_place(
    storage: Storage, audit: Audit
) -> None:
    for number in range(3):
        await audit.note(audit.decision(Act.SEND_SIGNED, f"snd_{number}"))
    pages = (await storage.list(AUDIT_PAGES, "first", limit=10)).items
    await storage.commit(Unit().delete(AUDIT_PAGES, pages[1]))
    broken = (await audit.verify()).broken
    assert broken is not None
    assert broken.number == 2
    await storage.commit(Unit().delete(AUDIT_PAGES, pages[2]))
    head = await storage.get(AUDIT_HEADS, "head")
    assert head is not None
    broken = (await audit.verify()).broken
    assert broken is not None
    assert broken.number == 2


async def test_nothing_is_decided_while_it_cannot_be_written_down(tmp_path: Path) -> None:
    storage = await open_storage(tmp_path)
    audit = Audit(store=WalletStore(storage), clock=HeldClock(START_MS))
    await storage.close()
    with pytest.raises(StorageClosed):
        await audit.note(audit.decision(Act.STOP_SET, "*"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    Keys(tmp_path, HeldClock(START_MS))
    return settings_in(tmp_path, Settings)


async def test_the_command_tells_what_to_write_down_and_finds_a_cut_by_it(
    settings: Settings,
) -> None:
    stamp = Stamp(network="devnet", contract=USDT)
    told: list[str] = []
    storage = await open_service_storage(settings, NAME, SCHEMA, stamp)
    audit = Audit(store=WalletStore(storage), clock=HeldClock(START_MS))
    for number in range(3):
        await audit.note(audit.decision(Act.SEND_SIGNED, f"snd_{number}"))
    before = await audit.head()
    with pytest.raises(StorageLocked):
        await verify_audit(settings, anchors=[], show=told.append)
    await storage.close()

    assert await verify_audit(settings, anchors=[], show=told.append)
    assert told == [f"whole: 3 decisions; write down 3:{before.digest}"]
    written_down = anchor(told[0].rpartition(" ")[2])

    storage = await open_service_storage(settings, NAME, SCHEMA, stamp)
    pages = (await storage.list(AUDIT_PAGES, "first", limit=10)).items
    head = await storage.get(AUDIT_HEADS, "head")
    assert head is not None
    forged = replace(head, count=2, digest=pages[1].digests[-1])
    await storage.commit(Unit().delete(AUDIT_PAGES, pages[2]).update(AUDIT_HEADS, forged))
    await storage.close()

    assert await verify_audit(settings, anchors=[], show=told.append)
    assert not await verify_audit(settings, anchors=[written_down], show=told.append)
    assert told[-1].startswith("broken at decision 3: ")


@pytest.mark.parametrize("text", ["", "3", "0:" + "ab" * 32, "3:zz", "x:" + "ab" * 32])
def test_an_anchor_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        anchor(text)


async def test_a_send_that_a_person_cancels_is_written_down(till: Till) -> None:
    await till.treasury()
    send = await till.taken(intent())
    await till.oversight.cancel(send.id, reason="wrong invoice", by="ada")
    await till.oversight.cancel(send.id, reason="once more", by="bob")
    assert await acts(till) == [(Act.SEND_CANCELLED, send.id, "ada", "wrong invoice")]


async def test_a_send_that_is_given_up_is_written_down_with_its_rule(till: Till) -> None:
    await till.treasury(usdt=0)
    send = await till.signed(intent(not_after=START_MS + 60_000))
    till.clock.advance(seconds=61)
    await till.sender.sign_due()
    assert await acts(till) == [(Act.SEND_ENDED, send.id, ITSELF, "not_after")]


async def test_a_wallet_that_locks_itself_is_written_down_with_the_transaction(till: Till) -> None:
    wallet = await till.treasury()
    stolen = transfer(TRX, Currency.TRX, sender=wallet.address, recipient=STRANGER)
    await till.transfers(stolen)
    ((act, subject, who, why),) = await acts(till)
    assert (act, subject, who) == (Act.WALLET_LOCKED, wallet.id, ITSELF)
    assert stolen.txid in why

"""Approvals: distinct people, no agreement with oneself, an end, and one use."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.wallet_manager.domain.approvals import (
    LONGEST_MS,
    Approval,
    ApprovalKind,
    ApprovalNeeded,
    ApprovalOver,
    ApprovalState,
    NotForYou,
    UnknownApproval,
)
from services.wallet_manager.service.approvals import Approvals
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from shared.clock import HeldClock
from tests.services.wallet_manager.till import open_storage
from tests.support import START_MS

LIFETIME_MS = 3_600_000
PEOPLE = ("ada", "bob", "carol", "dan")


def asked(quorum: int = 2) -> Approval:
    return Approval(
        id="apr_1",
        kind=ApprovalKind.EXPORT,
        subject="wal_1",
        content="digest",
        reason="audit",
        asked_by="ada",
        asked_ms=START_MS,
        quorum=quorum,
        expires_ms=START_MS + LIFETIME_MS,
    )


def test_as_many_distinct_people_as_the_quorum_have_to_agree() -> None:
    one = asked().agreed("bob", now_ms=START_MS)
    assert one.state(START_MS) is ApprovalState.OPEN
    with pytest.raises(NotForYou) as twice:
        one.agreed("bob", now_ms=START_MS)
    assert twice.value.facts["rule"] == "distinct_people"
    assert one.agreed("carol", now_ms=START_MS).state(START_MS) is ApprovalState.AGREED


def test_who_asks_agrees_only_where_one_person_is_enough() -> None:
    with pytest.raises(NotForYou):
        asked().agreed("ada", now_ms=START_MS)
    assert asked(quorum=1).agreed("ada", now_ms=START_MS).state(START_MS) is ApprovalState.AGREED


def test_a_request_is_over_at_its_end_agreed_or_not() -> None:
    agreed = asked(1).agreed("bob", now_ms=START_MS)
    end_ms = START_MS + LIFETIME_MS
    assert agreed.state(end_ms - 1) is ApprovalState.AGREED
    for request in (agreed, asked()):
        assert request.state(end_ms) is ApprovalState.EXPIRED
        with pytest.raises(ApprovalOver):
            request.agreed("dan", now_ms=end_ms)
    with pytest.raises(ApprovalOver):
        agreed.spent(now_ms=end_ms)


def test_one_no_is_enough_and_an_agreement_is_used_once() -> None:
    denied = asked().agreed("bob", now_ms=START_MS).denied("carol", now_ms=START_MS)
    assert denied.state(START_MS) is ApprovalState.DENIED
    with pytest.raises(ApprovalOver):
        denied.agreed("dan", now_ms=START_MS)
    used = asked(1).agreed("bob", now_ms=START_MS).spent(now_ms=START_MS)
    with pytest.raises(ApprovalOver):
        used.spent(now_ms=START_MS)
    with pytest.raises(ApprovalOver):
        asked().spent(now_ms=START_MS)


@given(
    quorum=st.integers(1, 3),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["agree", "deny", "use", "pass"]),
            st.sampled_from(PEOPLE),
            st.integers(0, LIFETIME_MS // 3),
        ),
        max_size=12,
    ),
)
def test_nothing_is_used_without_its_quorum_in_time(
    quorum: int, steps: list[tuple[str, str, int]]
) -> None:
    request, now_ms = asked(quorum), START_MS
    agreed: set[str] = set()
    for what, who, passed_ms in steps:
        try:
            match what:
                case "agree":
                    request = request.agreed(who, now_ms=now_ms)
                    agreed.add(who)
                case "deny":
                    request = request.denied(who, now_ms=now_ms)
                case "use":
                    before, request = request, request.spent(now_ms=now_ms)
                    assert not before.used
                    assert before.denied_by is None
                    assert len(agreed) >= quorum
                    assert now_ms < request.expires_ms
                    assert quorum == 1 or "ada" not in agreed
                case _:
                    now_ms += passed_ms
        except (ApprovalOver, NotForYou):
            continue


async def test_an_agreement_is_to_just_one_content_and_asked_for_once(tmp_path: Path) -> None:
    storage = await open_storage(tmp_path)
    store, clock = WalletStore(storage), HeldClock(START_MS)
    numbers = iter(range(1, 100))
    desk = Approvals(
        store=store,
        audit=Audit(store=store, clock=clock),
        clock=clock,
        new_id=lambda prefix: f"{prefix}_{next(numbers):03d}",
        quorums=dict.fromkeys(ApprovalKind, 2),
        lifetime_ms=100 * LONGEST_MS,
    )

    async def export(content: str) -> str | None:
        change = Change()
        try:
            await desk.require(
                change, ApprovalKind.EXPORT, "wal_1", content=content, reason="move", by="ada"
            )
        except ApprovalNeeded as needed:
            return str(needed.facts["approval_id"])
        await store.commit(change)
        return None

    first = await export("one")
    assert first is not None
    assert await export("one") == first
    other = await export("other")
    assert other not in {None, first}
    for who in ("bob", "carol"):
        await desk.agree(first, who=who, note="")
    assert await export("other") == other
    assert await export("one") is None
    again = await export("one")
    assert again not in {None, first, other}

    clock.advance(milliseconds=LONGEST_MS)
    assert desk.state(await desk.find(other or "")) is ApprovalState.EXPIRED
    assert await export("other") not in {None, other}
    with pytest.raises(UnknownApproval):
        await desk.find("apr_999")
    with pytest.raises(ValueError, match="at least one"):
        replace(asked(), quorum=0)
    await storage.close()

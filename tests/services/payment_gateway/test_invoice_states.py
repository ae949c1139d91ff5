"""The table of states, and the rules that no order of news can bend."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payment_gateway.domain.invoices import (
    ALLOWED,
    IllegalTransition,
    Invoice,
    InvoiceRules,
    Stage,
    Sums,
    judge,
    transition,
)
from services.payment_gateway.domain.transfers import InvoiceTransfer, absorb, told
from shared.models.payment_gateway import InvoiceState
from shared.models.tron_client import TransferState, TransferView
from shared.money import Currency
from tests.services.payment_gateway.doubles import COIN, USDT, transfer
from tests.support import START_MS, address

PAY_TO = address(7)
RULES = InvoiceRules(
    minimum={Currency.USDT: COIN, Currency.TRX: COIN},
    dust={Currency.USDT: 1_000, Currency.TRX: 1_000},
    grace_s=300,
    contract=USDT,
)


def invoice(amount: int = 10 * COIN) -> Invoice:
    prepared = Invoice(
        id="inv_1",
        identity="i",
        fingerprint="f",
        owner="ada",
        currency=Currency.USDT,
        amount=amount,
        wallet_id="wal_treasury",
        lifetime_s=3_600,
        created_at_ms=START_MS,
        updated_at_ms=START_MS,
    )
    return prepared.shown(PAY_TO, now_ms=START_MS, grace_s=300)


LATE_MS = invoice().deadline_ms + 1


def test_every_state_has_its_row_and_only_the_table_is_allowed() -> None:
    assert set(ALLOWED) == set(InvoiceState)
    for state in InvoiceState:
        for to in InvoiceState:
            if to is state or to in ALLOWED[state]:
                assert transition(state, to) is to
            else:
                with pytest.raises(IllegalTransition):
                    transition(state, to)


@pytest.mark.parametrize(
    ("sums", "expired", "state"),
    [
        (Sums(), False, InvoiceState.PENDING),
        (Sums(), True, InvoiceState.EXPIRED),
        (Sums(seen=9), False, InvoiceState.PENDING),
        (Sums(seen=10), False, InvoiceState.SEEN),
        (Sums(seen=10), True, InvoiceState.EXPIRED),
        (Sums(on_time=9), False, InvoiceState.UNDERPAID),
        (Sums(on_time=9, seen=9), False, InvoiceState.UNDERPAID),
        (Sums(on_time=9), True, InvoiceState.UNDERPAID),
        (Sums(on_time=10), False, InvoiceState.PAID),
        (Sums(on_time=10), True, InvoiceState.PAID),
        (Sums(on_time=11), False, InvoiceState.OVERPAID),
        (Sums(on_time=10, late=1), True, InvoiceState.OVERPAID),
        (Sums(on_time=9, late=1), True, InvoiceState.PAID_LATE),
        (Sums(late=10), True, InvoiceState.PAID_LATE),
        (Sums(late=12), True, InvoiceState.PAID_LATE),
        (Sums(late=9), True, InvoiceState.EXPIRED),
    ],
)
def test_sums_decide_the_state(sums: Sums, *, expired: bool, state: InvoiceState) -> None:
    assert judge(replace(invoice(10), sums=sums, expired=expired)) is state


def test_an_invoice_without_an_address_cannot_be_shown() -> None:
    with pytest.raises(ValueError, match="address"):
        replace(invoice(), address=None)
    with pytest.raises(ValueError, match="address"):
        replace(invoice(), stage=Stage.PREPARING)
    with pytest.raises(ValueError, match="zero"):
        invoice(0)
    with pytest.raises(ValueError, match="negative"):
        Sums(seen=-1)


def news(identity: int) -> st.SearchStrategy[list[TransferView]]:
    """Draw what a feed may tell of one transfer: any states, forks, and at the end its credit."""
    amount = st.sampled_from([1, 999, COIN, 3 * COIN, 10 * COIN])

    def told_of(drawn: tuple[int, bool, list[tuple[TransferState, str]]]) -> list[TransferView]:
        units, late, steps = drawn
        at_ms = LATE_MS if late else START_MS + 1
        return [
            transfer(PAY_TO, units, name=str(identity), state=state, at_ms=at_ms, fork=fork)
            for state, fork in [*steps, (TransferState.CONFIRMED, "a")]
        ]

    past = st.tuples(
        st.sampled_from([TransferState.SEEN, TransferState.RETRACTED]), st.sampled_from("ab")
    )
    return st.tuples(amount, st.booleans(), st.lists(past, max_size=3)).map(told_of)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[TransferView], list[TransferView], int]:
    """Draw transfers, everything told of them in any order and with repeats, and when to expire."""
    groups = [draw(news(identity)) for identity in range(draw(st.integers(1, 4)))]
    events = [event for group in groups for event in group]
    repeats = draw(st.lists(st.sampled_from(events), max_size=6))
    return (
        [group[-1] for group in groups],
        draw(st.permutations([*events, *repeats])),
        draw(st.integers(0, len(events))),
    )


@given(histories())
def test_no_order_or_repeat_credits_a_transfer_twice_or_loses_one(
    history: tuple[list[TransferView], list[TransferView], int],
) -> None:
    credited, events, expires_after = history
    current = invoice()
    ledger: dict[str, InvoiceTransfer] = {}
    for position, event in enumerate(events):
        if position == expires_after and current.state in {
            InvoiceState.PENDING,
            InvoiceState.SEEN,
        }:
            current = current.past_deadline(now_ms=START_MS)
        candidate = told(event, current, internal=False, rules=RULES)
        current, ledger[event.transfer_id] = absorb(
            current, ledger.get(event.transfer_id), candidate, now_ms=START_MS
        )
    counted = [one for one in credited if int(one.amount_base_units) >= 1_000]
    on_time = [one for one in counted if one.block.timestamp_ms < LATE_MS]
    assert current.sums.paid == sum(int(one.amount_base_units) for one in counted)
    assert current.sums.on_time == sum(int(one.amount_base_units) for one in on_time)
    assert current.sums.seen == 0
    assert all(one.state is TransferState.CONFIRMED for one in ledger.values())
    assert judge(current) is current.state

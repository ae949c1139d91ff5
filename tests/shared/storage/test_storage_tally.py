"""Sums over windows, as values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.storage import MAX_BUCKETS, Tally

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def tally(width_ms: int = HOUR_MS, kept: int = 25) -> Tally:
    return Tally.begin("carol", width_ms=width_ms, kept=kept)


def test_a_day_in_hours_is_summed_exactly() -> None:
    spent = tally().add(5, at_ms=DAY_MS - 1).add(7, at_ms=DAY_MS).add(10**30, at_ms=2 * DAY_MS - 1)
    assert spent.period(DAY_MS, at_ms=2 * DAY_MS - 1) == 7 + 10**30
    assert spent.period(DAY_MS, at_ms=2 * DAY_MS) == 0
    assert spent.since(DAY_MS - 1, at_ms=DAY_MS) == 5 + 7 + 10**30


def test_a_rolling_window_counts_an_amount_until_its_whole_bucket_is_out() -> None:
    spent = tally().add(5, at_ms=HOUR_MS + 1)
    assert spent.rolling(DAY_MS, at_ms=DAY_MS + HOUR_MS + 1) == 5
    assert spent.rolling(DAY_MS, at_ms=DAY_MS + 2 * HOUR_MS - 1) == 5
    assert spent.rolling(DAY_MS, at_ms=DAY_MS + 2 * HOUR_MS) == 0


def test_buckets_out_of_reach_are_dropped() -> None:
    spent = tally(width_ms=1, kept=3)
    for at_ms in range(10):
        spent = spent.add(1, at_ms=at_ms)
    assert spent.buckets == ((7, 1), (8, 1), (9, 1))
    assert spent.over_ms == 12
    assert spent.add(0, at_ms=100).buckets == ((100, 0),)


def test_a_clock_set_back_finds_the_newest_window() -> None:
    """H2: time only moves forward, in sums and in what is added."""
    spent = tally().add(5, at_ms=10 * DAY_MS)
    assert spent.time(DAY_MS) == 10 * DAY_MS
    assert spent.period(DAY_MS, at_ms=9 * DAY_MS) == 5
    assert spent.rolling(DAY_MS, at_ms=0) == 5
    late = spent.add(1, at_ms=0)
    assert late.buckets == ((240, 6),)


def test_what_was_given_back_can_be_spent_again() -> None:
    spent = tally().add(5, at_ms=HOUR_MS).add(2, at_ms=HOUR_MS)
    assert spent.give_back(5, added_ms=spent.time(HOUR_MS)).period(HOUR_MS, at_ms=HOUR_MS) == 2
    later = spent.add(1, at_ms=100 * HOUR_MS)
    assert later.give_back(5, added_ms=HOUR_MS) == later
    for amount in (8, -1):
        with pytest.raises(ValueError, match="not added"):
            spent.give_back(amount, added_ms=HOUR_MS)


def test_windows_that_the_buckets_cannot_answer_are_refused() -> None:
    short = tally(kept=24)
    assert short.period(DAY_MS, at_ms=0) == 0
    with pytest.raises(ValueError, match="shorter"):
        short.rolling(DAY_MS, at_ms=HOUR_MS)
    with pytest.raises(ValueError, match="no multiple"):
        short.period(HOUR_MS + 1, at_ms=0)
    with pytest.raises(ValueError, match="no multiple"):
        short.period(HOUR_MS // 2, at_ms=0)
    with pytest.raises(ValueError, match="not negative"):
        short.add(-1, at_ms=0)
    for width_ms, kept in ((0, 1), (1, 0), (1, MAX_BUCKETS + 1)):
        with pytest.raises(ValueError, match="keeps"):
            tally(width_ms, kept)
    for buckets in (((2, 1), (1, 1)), ((1, 1), (1, 1)), ((1, -1),)):
        with pytest.raises(ValueError, match="in order"):
            Tally(id="a", width_ms=1, kept=3, buckets=buckets)


@given(
    spent=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 9)), max_size=40),
    length=st.integers(1, 90),
)
def test_no_window_ever_holds_more_than_is_counted(
    spent: list[tuple[int, int]], length: int
) -> None:
    """Against the plain list of what was spent: never too low, and too high by a bucket at most."""
    known = tally(width_ms=10, kept=10)
    booked: list[tuple[int, int]] = []
    for at_ms, amount in spent:
        now_ms = known.time(at_ms)
        known = known.add(amount, at_ms=at_ms)
        booked.append((now_ms, amount))
        total = known.rolling(length, at_ms=at_ms)
        within = sum(each for moment, each in booked if moment > now_ms - length)
        nearly = sum(each for moment, each in booked if moment >= now_ms - length - 10)
        assert within <= total <= nearly

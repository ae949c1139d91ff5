import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import (
    NS_PER_MS,
    ClockReading,
    FollowingClock,
    HeldClock,
    SystemClock,
    rfc3339,
    utc_day,
)

FAR_AHEAD_MS = 4_000_000_000_000


class Ticks:
    """A monotonic counter that its holder moves."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns

    def pass_ms(self, milliseconds: int) -> None:
        self.ns += milliseconds * NS_PER_MS


def test_a_following_clock_runs_on_at_the_speed_of_the_other() -> None:
    ticks = Ticks()
    clock = FollowingClock(ticks)
    clock.follow(ClockReading(now_ms=FAR_AHEAD_MS, speed=20.0))
    ticks.pass_ms(1_500)
    assert clock.now_ms() == FAR_AHEAD_MS + 30_000


def test_a_following_clock_never_goes_back() -> None:
    ticks = Ticks()
    clock = FollowingClock(ticks)
    clock.follow(ClockReading(now_ms=FAR_AHEAD_MS, speed=1.0))
    clock.now_ms()
    clock.follow(ClockReading(now_ms=FAR_AHEAD_MS - 60_000, speed=1.0))
    assert clock.now_ms() == FAR_AHEAD_MS
    ticks.pass_ms(59_999)
    assert clock.now_ms() == FAR_AHEAD_MS
    ticks.pass_ms(2)
    assert clock.now_ms() == FAR_AHEAD_MS + 1


@given(
    st.lists(
        st.tuples(
            st.integers(min_value=0, max_value=2 * FAR_AHEAD_MS),
            st.floats(min_value=0, max_value=1_000),
            st.integers(min_value=0, max_value=10_000),
        )
    )
)
def test_whatever_it_is_told_a_following_clock_only_moves_forward(
    readings: list[tuple[int, float, int]],
) -> None:
    ticks = Ticks()
    clock = FollowingClock(ticks)
    seen = [clock.now_ms()]
    for now_ms, speed, passed_ms in readings:
        clock.follow(ClockReading(now_ms=now_ms, speed=speed))
        seen.append(clock.now_ms())
        ticks.pass_ms(passed_ms)
        seen.append(clock.now_ms())
    assert seen == sorted(seen)


def test_before_its_first_reading_a_following_clock_shows_the_system_time() -> None:
    before_ms = SystemClock().now_ms()
    assert 0 <= FollowingClock().now_ms() - before_ms < 60_000


def test_a_held_clock_moves_only_when_it_is_moved() -> None:
    clock = HeldClock(1_000)
    assert clock.now_ms() == clock.now_ms() == 1_000
    clock.advance(seconds=2, milliseconds=3)
    assert clock.now_ms() == 3_003


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_000_000_007, "2026-11-18T11:06:40.007Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
    ],
)
def test_moments_are_written_as_rfc3339_in_utc(at_ms: int, text: str) -> None:
    assert rfc3339(at_ms) == text
    assert utc_day(at_ms) == text[:10]


@given(st.lists(st.integers(min_value=0, max_value=FAR_AHEAD_MS)))
def test_written_moments_sort_like_moments(moments: list[int]) -> None:
    assert sorted(map(rfc3339, moments)) == [rfc3339(at_ms) for at_ms in sorted(moments)]

from __future__ import annotations

import pytest

from devnet import resources
from devnet.resources import FULL_WINDOW, UNUSED, Usage

HOUR_SLOTS = 1_200
USDT_ENERGY = 64_285


@pytest.mark.parametrize(
    ("hours", "left"), [(0, 64_285), (6, 48_213), (12, 32_142), (18, 16_071), (23, 2_678), (24, 0)]
)
def test_energy_comes_back_linearly_and_rounds_as_the_node_does(hours: int, left: int) -> None:
    """TF 4.4: the average is rounded up, its faded value half up, the points down."""
    usage = resources.consumed(UNUSED, USDT_ENERGY, 1_000)

    assert resources.remaining(usage, 1_000 + hours * HOUR_SLOTS) == left


def test_a_second_use_shortens_the_window_by_weight() -> None:
    """ceil((48,213 x 21,600,000 + 64,285 x 28,800,000) / 112,498)."""
    first = resources.consumed(UNUSED, USDT_ENERGY, 0)

    second = resources.consumed(first, USDT_ENERGY, 6 * HOUR_SLOTS)

    assert second == Usage(amount=112_498, slot=7_200, window=25_714_314)


def test_a_use_after_a_whole_window_begins_a_new_one() -> None:
    first = resources.consumed(UNUSED, USDT_ENERGY, 0)

    second = resources.consumed(first, 345, 24 * HOUR_SLOTS)

    assert second == Usage(amount=345, slot=28_800, window=FULL_WINDOW)


def test_looking_at_a_usage_fades_amount_and_window_but_keeps_its_time() -> None:
    usage = resources.consumed(UNUSED, USDT_ENERGY, 0)

    assert resources.faded(usage, 7_200) == Usage(amount=48_213, slot=0, window=21_600_000)


def test_free_bandwidth_keeps_its_window() -> None:
    usage = resources.consumed_free(UNUSED, 265, 0)
    usage = resources.consumed_free(usage, 268, 12 * HOUR_SLOTS)

    assert usage == Usage(amount=400, slot=14_400, window=FULL_WINDOW)


def test_a_window_of_less_than_a_slot_counts_as_a_whole_day() -> None:
    assert Usage(amount=100, slot=0, window=999).window_slots == 28_800


def test_usage_that_moves_back_merges_windows_by_weight() -> None:
    """ceil((32,142 x 14,400,000 + 20,000 x 21,600,000) / 52,142)."""
    lender = resources.consumed(UNUSED, USDT_ENERGY, 0)
    borrower = Usage(amount=30_000, slot=14_400, window=21_600_000)

    merged = resources.returned(lender, borrower, 20_000, 14_400)

    assert merged == Usage(amount=52_142, slot=14_400, window=17_161_690)


def test_usage_that_moves_to_an_idle_lender_keeps_the_borrower_s_window() -> None:
    borrower = Usage(amount=30_000, slot=5, window=21_600_000)

    assert resources.returned(UNUSED, borrower, 1, 5) == Usage(amount=1, slot=5, window=21_600_000)


def test_a_stake_is_worth_its_share_in_double_arithmetic() -> None:
    """Nile, April 2026: 180e9 energy over 2,411,528,185 TRX; TF 4.4."""
    worth = resources.limit(1_000_000_000, total_limit=180_000_000_000, total_weight=2_411_528_185)
    bandwidth = resources.limit(
        1_000_000_000, total_limit=43_200_000_000, total_weight=68_305_209_098
    )

    assert (worth, bandwidth) == (74_641, 632)
    assert resources.limit(10**6, total_limit=10, total_weight=0) == 0


def test_points_in_use_stand_for_stake() -> None:
    in_use_sun = resources.stake_in_use_sun(
        USDT_ENERGY, total_limit=180_000_000_000, total_weight=19_100_000_000
    )

    assert in_use_sun == 6_821_352_777


def test_where_nothing_is_shared_out_any_use_stands_for_all_stake() -> None:
    assert resources.stake_in_use_sun(1, total_limit=0, total_weight=10) == 2**63 - 1
    assert resources.stake_in_use_sun(0, total_limit=0, total_weight=10) == 0

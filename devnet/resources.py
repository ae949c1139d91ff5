"""Bandwidth and energy that come back over 24 hours (java-tron's ResourceProcessor).

The arithmetic is the node's to the last digit: averages are rounded up, faded averages are
rounded half up after a product in double precision, windows are kept in thousandths of a slot
(getAllowCancelAllUnfreezeV2 is 1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor

WINDOW_SLOTS = 28_800
WINDOW_PRECISION = 1_000
FULL_WINDOW = WINDOW_SLOTS * WINDOW_PRECISION
SUN_PER_TRX = 1_000_000
_PRECISION = 1_000_000
_LONG_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What has been used of one resource.

    Attributes:
        amount: Bandwidth or energy points at the last use.
        slot: Slots since genesis at the last use.
        window: The slots over which it fades, times 1000.
    """

    amount: int = 0
    slot: int = 0
    window: int = FULL_WINDOW

    @property
    def window_slots(self) -> int:
        """The window in whole slots; below one it counts as the full one, as on the node."""
        return self.window // WINDOW_PRECISION or WINDOW_SLOTS


UNUSED = Usage()


def remaining(usage: Usage, slot: int) -> int:
    """The points still in use at a slot, faded linearly (recovery)."""
    return _average(usage, slot) * usage.window_slots // _PRECISION


def faded(usage: Usage, slot: int) -> Usage:
    """A staked resource as getaccount shows it: usage and window of now, the old time (updateUsage)."""
    return replace(consumed(usage, 0, slot), slot=usage.slot)


def consumed(usage: Usage, amount: int, slot: int) -> Usage:
    """Use more of a staked resource; the windows of old and new use are merged (increaseV2)."""
    average_used = _average(usage, slot)
    average_new = _divide_up(amount * _PRECISION, WINDOW_SLOTS)
    rest = average_used * usage.window_slots // _PRECISION
    total = (average_used * usage.window_slots + average_new * WINDOW_SLOTS) // _PRECISION
    if rest == 0:
        return Usage(amount=total, slot=slot)

    rest_window = usage.window - (slot - usage.slot) * WINDOW_PRECISION
    window = _divide_up(rest * rest_window + amount * FULL_WINDOW, total)
    return Usage(amount=total, slot=slot, window=min(window, FULL_WINDOW))


def consumed_free(usage: Usage, amount: int, slot: int) -> Usage:
    """Use more of the free bandwidth, whose window is always 24 hours (increase)."""
    average = _average(usage, slot) + _divide_up(amount * _PRECISION, WINDOW_SLOTS)
    return Usage(amount=average * WINDOW_SLOTS // _PRECISION, slot=slot)


def returned(lender: Usage, borrower: Usage, amount: int, slot: int) -> Usage:
    """The lender's usage after some of the borrower's moved to it (unDelegateIncreaseV2).

    The borrower's usage has faded to the slot; the amount is in points and more than 0.
    """
    own = consumed(lender, 0, slot)
    total = own.amount + amount
    window = _divide_up(own.amount * own.window + amount * borrower.window, total)
    return Usage(amount=total, slot=slot, window=min(window, FULL_WINDOW))


def limit(staked_sun: int, *, total_limit: int, total_weight: int) -> int:
    """The points a stake is worth, in double arithmetic and truncated, as the chain does it."""
    if total_weight <= 0:
        return 0
    return int(staked_sun / SUN_PER_TRX * (total_limit / total_weight))


def stake_in_use_sun(points: int, *, total_limit: int, total_weight: int) -> int:
    """The stake that points in use stand for, in double arithmetic and truncated.

    Where there is nothing to share out, any use stands for more than all stake.
    """
    if total_limit <= 0:
        return _LONG_MAX if points else 0
    return int(points * SUN_PER_TRX * (total_weight / total_limit))


def _average(usage: Usage, slot: int) -> int:
    """Points per slot (times a million) that still count at the slot."""
    window = usage.window_slots
    average = _divide_up(usage.amount * _PRECISION, window)
    passed = slot - usage.slot
    if passed == 0:
        return average
    if passed >= window:
        return 0
    return _rounded(average * ((window - passed) / window))


def _rounded(value: float) -> int:
    """Round half up, as Java's Math.round does."""
    whole = floor(value)
    return whole + (value - whole >= 0.5)  # noqa: PLR2004 (one half)


def _divide_up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)

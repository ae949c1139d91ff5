"""Bandwidth and energy that come back over 24 hours (java-tron's ResourceProcessor)."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_SLOTS = 28_800
WINDOW_PRECISION = 1_000
FULL_WINDOW = WINDOW_SLOTS * WINDOW_PRECISION
SUN_PER_TRX = 1_000_000
_PRECISION = 1_000_000


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
        """The window in whole slots."""
        return self.window // WINDOW_PRECISION


UNUSED = Usage()


def remaining(usage: Usage, slot: int) -> int:
    """The points still in use at a slot, faded linearly."""
    return _average(usage, slot) * usage.window_slots // _PRECISION


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
    """Use more of the free bandwidth, whose window is always 24 hours."""
    average = _average(usage, slot) + _divide_up(amount * _PRECISION, WINDOW_SLOTS)
    return Usage(amount=average * WINDOW_SLOTS // _PRECISION, slot=slot)


def limit(staked_sun: int, *, total_limit: int, total_weight: int) -> int:
    """The points a stake is worth, in double arithmetic and truncated, as the chain does it."""
    if total_weight == 0:
        return 0
    return int(staked_sun / SUN_PER_TRX * (total_limit / total_weight))


def _average(usage: Usage, slot: int) -> int:
    """Points per slot (times a million) that still count at the slot."""
    window = usage.window_slots
    average = _divide_up(usage.amount * _PRECISION, window)
    passed = slot - usage.slot
    if passed == 0:
        return average
    if passed >= window:
        return 0
    return (2 * average * (window - passed) + window) // (2 * window)


def _divide_up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)

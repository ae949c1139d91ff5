"""What calls are for, and how much of a node's time each kind has (hazard H22)."""

from bisect import bisect_right, insort
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final


class Lane(StrEnum):
    """What a call is for; each lane has a share of its own, so that none starves another."""

    BROADCAST = "broadcast"
    VERDICT = "verdict"
    CHAIN = "chain"
    CATCH_UP = "catch_up"
    READ = "read"


SHARES: Final[Mapping[Lane, float]] = {
    Lane.VERDICT: 0.25,
    Lane.CHAIN: 0.35,
    Lane.CATCH_UP: 0.2,
    Lane.READ: 0.2,
}
"""Of the calls a second that a node grants, what a lane has for certain; a broadcast never waits."""

DAILY_PERCENT: Final[Mapping[Lane, int]] = {
    Lane.VERDICT: 100,
    Lane.CHAIN: 90,
    Lane.CATCH_UP: 80,
    Lane.READ: 80,
}
"""How far a lane may go into the day's calls; what is above is kept for the lanes above it.

A broadcast is never held back here: whether it is one too many is for the node to say.
"""

_BURST_S: Final = 0.25
"""So much of a second's calls may have been left for later."""

_FEWEST_SPARE: Final = 4.0
_SECOND_S: Final = 1.0


class Pacer:
    """Spaces calls so that a node's calls a second are never passed for long.

    Each lane gathers its own share; what one leaves unused goes into a common store that any may
    draw from, so that catching up is quick while nothing else is asked. What is within a lane's own
    share never waits; everything else waits until the second about it has room for one more, for a
    node that is asked too much at once shuts everybody out.

    Args:
        calls_per_s: of all lanes together; 0 for no limit.
        now_s: a clock that only goes forward.
    """

    def __init__(self, calls_per_s: int, *, now_s: Callable[[], float]) -> None:
        self._rate = calls_per_s
        self._now_s = now_s
        self._at_s = now_s()
        self._own = dict.fromkeys(SHARES, 1.0)
        self._spare = 0.0
        self._starts_s: list[float] = []

    def delay_s(self, lane: Lane) -> float:
        """Return how long a call of a lane has to wait, and count it as made then."""
        if not self._rate or lane not in self._own:
            return 0.0
        self._gather()
        start_s = self._start_s(lane)
        insort(self._starts_s, start_s)
        return start_s - self._at_s

    def _start_s(self, lane: Lane) -> float:
        if self._own[lane] >= 1:
            self._own[lane] -= 1
            return self._at_s
        if self._spare >= 1:
            self._spare -= 1
            return self._fitted(self._at_s)
        self._own[lane] -= 1
        return self._fitted(self._at_s - self._own[lane] / (SHARES[lane] * self._rate))

    def _fitted(self, start_s: float) -> float:
        """Return the first moment from this one on with which no second has too many calls."""
        for first_s, last_s in zip(self._starts_s, self._starts_s[self._rate - 1 :], strict=False):
            if max(start_s, last_s) - min(start_s, first_s) < _SECOND_S:
                start_s = first_s + _SECOND_S
        return max(start_s, self._at_s)

    def _gather(self) -> None:
        now_s = self._now_s()
        passed_s, self._at_s = now_s - self._at_s, now_s
        del self._starts_s[: bisect_right(self._starts_s, now_s - _SECOND_S)]
        for lane, share in SHARES.items():
            most = max(1.0, share * self._rate * _BURST_S)
            gathered = self._own[lane] + passed_s * share * self._rate
            self._own[lane] = min(gathered, most)
            self._spare += max(0.0, gathered - most)
        self._spare = min(self._spare, max(_FEWEST_SPARE, self._rate * _BURST_S))

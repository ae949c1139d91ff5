"""When to leave a node alone that keeps failing, and when to try it again."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

FAILURES_TO_OPEN: Final = 3
SHORTEST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Opens after failures in a row; after a pause that doubles one call goes through as a trial.

    Args:
        now_s: a clock that only goes forward.
    """

    def __init__(self, *, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._failures = 0
        self._pause_s = SHORTEST_PAUSE_S
        self._opened_s: float | None = None
        self._until_s = 0.0
        self._is_on_trial = False

    @property
    def state(self) -> BreakerState:
        """Whether calls go through now."""
        if self._opened_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._now_s() < self._until_s else BreakerState.HALF_OPEN

    def open_s(self) -> float:
        """Return since how many seconds it has been open."""
        return 0.0 if self._opened_s is None else self._now_s() - self._opened_s

    def admits(self) -> bool:
        """Tell whether a call is welcome: any while closed, one at a time when half open."""
        match self.state:
            case BreakerState.CLOSED:
                return True
            case BreakerState.HALF_OPEN:
                return not self._is_on_trial
            case _:
                return False

    def begin(self) -> None:
        """Note that a call begins."""
        self._is_on_trial = self._opened_s is not None

    def succeed(self) -> None:
        """Note that a call had a usable answer."""
        self._failures, self._pause_s = 0, SHORTEST_PAUSE_S
        self._opened_s, self._is_on_trial = None, False

    def fail(self) -> None:
        """Note that a call had none."""
        self._failures += 1
        self._is_on_trial = False
        now_s = self._now_s()
        if self._opened_s is None:
            if self._failures < FAILURES_TO_OPEN:
                return
            self._opened_s = now_s
        elif now_s < self._until_s:
            return  # begun before it opened, or for want of another node
        self._until_s = now_s + self._pause_s
        self._pause_s = min(LONGEST_PAUSE_S, self._pause_s * 2)

    def abandon(self) -> None:
        """Note that a call was given up before it came to anything."""
        self._is_on_trial = False

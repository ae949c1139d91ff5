"""How many calls a node still grants today, for whom, and how many it will have been at midnight."""

from collections.abc import Callable
from typing import Final

from services.tron_client.domain.budgets import Usage
from services.tron_client.node.lanes import DAILY_PERCENT, Lane
from shared.clock import MS_PER_S

DAY_MS: Final = 86_400 * MS_PER_S
"""Grants end at midnight UTC."""

_FORECAST_FROM_MS: Final = 900 * MS_PER_S
"""Before so much of a day was counted, its beginning says little of its end."""


class Budget:
    """Counts the calls of a day.

    Args:
        endpoint: its name.
        calls_per_day: what it grants; 0 for no limit.
        now_ms: the time.
    """

    def __init__(self, endpoint: str, calls_per_day: int, *, now_ms: Callable[[], int]) -> None:
        self._endpoint = endpoint
        self.calls_per_day = calls_per_day
        self._now_ms = now_ms
        self._day = now_ms() // DAY_MS
        self._calls = 0
        self._counted_from_ms = now_ms()
        self._counted = 0

    def usage(self) -> Usage:
        """Return what was used today."""
        self._turn()
        return Usage(id=self._endpoint, day=self._day, calls=self._calls)

    def resume(self, before: Usage) -> None:
        """Add what was used before this process began; what is of another day does not count."""
        self._turn()
        if before.day == self._day:
            self._calls += before.calls

    def admits(self, lane: Lane) -> bool:
        """Tell whether a lane may still ask today."""
        self._turn()
        is_limited = self.calls_per_day > 0 and lane in DAILY_PERCENT
        return not is_limited or self._calls < self._granted(lane)

    def count(self) -> None:
        """Count a call."""
        self._turn()
        self._calls += 1
        self._counted += 1

    def left(self, lane: Lane = Lane.VERDICT) -> int | None:
        """Return how many calls a lane has left today; None for any number."""
        self._turn()
        return max(0, self._granted(lane) - self._calls) if self.calls_per_day else None

    def forecast(self) -> int:
        """Return the calls of this day if they go on as since midnight, or since the start of counting.

        A beginning of less than a quarter of an hour is counted as that long.
        """
        self._turn()
        now_ms = self._now_ms()
        counted_ms = max(now_ms - self._counted_from_ms, _FORECAST_FROM_MS)
        left_ms = (self._day + 1) * DAY_MS - now_ms
        return self._calls + self._counted * left_ms // counted_ms

    def _granted(self, lane: Lane) -> int:
        return self.calls_per_day * DAILY_PERCENT[lane] // 100

    def _turn(self) -> None:
        """Begin to count anew when it is another day."""
        now_ms = self._now_ms()
        day = now_ms // DAY_MS
        if day != self._day:
            self._day, self._calls = day, 0
            self._counted, self._counted_from_ms = 0, now_ms

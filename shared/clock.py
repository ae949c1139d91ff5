"""The time, handed in: nothing but this module reads a clock.

On the devnet alone the services follow the devnet's time, which may run faster or be moved; tokens,
caps and windows follow it too. Everywhere else the system clock is the clock.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

MS_PER_S: Final = 1_000
NS_PER_MS: Final = 1_000_000


class Clock(Protocol):
    """Milliseconds since the Unix epoch, by whatever this stack takes as the time."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch, UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch, UTC."""
        return time.time_ns() // NS_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """What another clock said: its time, and how many of its milliseconds pass in one of ours."""

    now_ms: int
    speed: float


class FollowingClock:
    """Runs on from the last reading of another clock at that clock's speed, and never goes back."""

    def __init__(self, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic_ns = monotonic_ns
        self._base_ns = monotonic_ns()
        self._reading = ClockReading(now_ms=SystemClock().now_ms(), speed=1.0)
        self._latest_ms = 0

    def follow(self, reading: ClockReading) -> None:
        """Take a new reading of the clock that is followed."""
        self._base_ns = self._monotonic_ns()
        self._reading = reading

    def now_ms(self) -> int:
        """Return the followed clock's time, extrapolated."""
        elapsed_ms = (self._monotonic_ns() - self._base_ns) / NS_PER_MS
        now_ms = self._reading.now_ms + int(elapsed_ms * self._reading.speed)
        self._latest_ms = max(self._latest_ms, now_ms)
        return self._latest_ms


class HeldClock:
    """A clock that its holder moves: for tests and for replaying a moment."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Return the time last set."""
        return self._now_ms

    def advance(self, *, seconds: int = 0, milliseconds: int = 0) -> None:
        """Move the clock on."""
        self._now_ms += seconds * MS_PER_S + milliseconds


def rfc3339(at_ms: int) -> str:
    """Write milliseconds since the epoch as RFC 3339 in UTC: ``2026-11-22T10:00:00.000Z``."""
    seconds, milliseconds = divmod(at_ms, MS_PER_S)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"


def utc_day(at_ms: int) -> str:
    """Name the UTC day of a moment: ``2026-11-22``."""
    return rfc3339(at_ms)[:10]

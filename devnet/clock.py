"""Chain time: it starts at the wall clock, runs at a chosen speed and never goes back."""

from __future__ import annotations

import time
from collections.abc import Callable

NS_PER_MS = 1_000_000


class ChainClock:
    """Milliseconds of chain time; speed 0 stands still until it is moved by hand.

    Args:
        start_ms: The first moment.
        speed: Chain seconds for each real second.
        monotonic_ns: A source of real nanoseconds that never goes back.
    """

    def __init__(
        self,
        *,
        start_ms: int,
        speed: float = 1.0,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._base_ms = start_ms
        self._base_ns = monotonic_ns()
        self._speed = speed

    @property
    def speed(self) -> float:
        """Chain seconds for each real second."""
        return self._speed

    @property
    def is_manual(self) -> bool:
        """True when time passes only by mining and jumping."""
        return self._speed == 0

    def now_ms(self) -> int:
        """Chain time now."""
        elapsed_ns = self._monotonic_ns() - self._base_ns
        return self._base_ms + int(elapsed_ns * self._speed) // NS_PER_MS

    def set_speed(self, speed: float) -> None:
        """Go on from now at another speed."""
        self._rebase(self.now_ms())
        self._speed = speed

    def jump(self, milliseconds: int) -> None:
        """Skip time forward."""
        self._rebase(self.now_ms() + milliseconds)

    def advance_to(self, moment_ms: int) -> None:
        """Skip to a moment, unless it has passed already."""
        if moment_ms > self.now_ms():
            self._rebase(moment_ms)

    def real_seconds_until(self, moment_ms: int) -> float:
        """Real seconds until a chain moment; only meaningful while time runs."""
        return max(0.0, (moment_ms - self.now_ms()) / (1000 * self._speed))

    def _rebase(self, now_ms: int) -> None:
        self._base_ms = now_ms
        self._base_ns = self._monotonic_ns()


def wall_ms() -> int:
    """The computer's own time in milliseconds since 1970."""
    return time.time_ns() // NS_PER_MS

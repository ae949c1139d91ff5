"""A supervised periodic task: one shape for every background duty.

A round that fails is logged, counted and tried again with back-off; the loop itself never dies until
it is cancelled. When a loop last did its work is part of readiness.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shared.clock import Clock
from shared.errors import Problem
from shared.logs import clean_text, get_logger
from shared.metrics import Metrics

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSpec:
    """What a loop does and how often.

    Attributes:
        name: for logs, metrics and readiness.
        interval_s: pause after a round that found nothing to do.
        work: one round; returns True when there is more to do at once.
        stale_after_s: readiness fails when the last success is older than this.
        max_backoff_s: longest pause after repeated failures.
    """

    name: str
    interval_s: float
    work: Callable[[], Awaitable[bool]]
    stale_after_s: int = 60
    max_backoff_s: float = 30.0

    def __post_init__(self) -> None:
        if self.interval_s <= 0 or self.stale_after_s <= 0 or self.max_backoff_s <= 0:
            raise ValueError("a loop's times are positive")


def backoff_s(failures: int, *, base_s: float, longest_s: float) -> float:
    """Return the pause after so many failures in a row: doubling from base, at most longest."""
    doublings = min(max(failures - 1, 0), 16)
    return min(longest_s, base_s * float(1 << doublings))


class Loop:
    """Runs a LoopSpec until cancelled."""

    def __init__(
        self,
        spec: LoopSpec,
        *,
        clock: Clock,
        metrics: Metrics,
        jitter_percent: int = 10,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self._clock = clock
        self._metrics = metrics
        self._jitter = jitter_percent / 100
        self._wake = asyncio.Event()
        self._failures = 0
        self._last_error: str | None = None
        self._monotonic = monotonic
        self._last_success_s = monotonic()
        self._random = random.Random()  # noqa: S311 - spreads load, guards nothing

    def wake(self) -> None:
        """Start the next round now instead of after the pause."""
        self._wake.set()

    def unready_reason(self) -> str | None:
        """Say why this loop makes the service unready, or None."""
        if self._failures:
            return f"{self.spec.name}: {self._last_error}"
        age_s = int(self._monotonic() - self._last_success_s)
        if age_s > self.spec.stale_after_s:
            return f"{self.spec.name}: last did its work {age_s} s ago"
        return None

    async def run(self) -> None:
        """Do rounds until cancelled."""
        while True:
            self._wake.clear()
            pause_s = await self._round()
            if pause_s > 0:
                await self._pause(pause_s)
            else:
                await asyncio.sleep(0)

    async def _round(self) -> float:
        try:
            more = await self.spec.work()
        except Exception as error:  # noqa: BLE001 - the loop's edge: log, count, try again
            self._note_failure(error)
            return backoff_s(
                self._failures, base_s=self.spec.interval_s, longest_s=self.spec.max_backoff_s
            )
        self._failures = 0
        self._last_error = None
        self._last_success_s = self._monotonic()
        self._metrics.loop_succeeded(self.spec.name, self._clock.now_ms())
        return 0.0 if more else self.spec.interval_s

    def _note_failure(self, error: Exception) -> None:
        self._failures += 1
        self._last_error = clean_text(f"{type(error).__name__}: {error}")[:300]
        self._metrics.loop_failed(self.spec.name)
        log.warning(
            "loop.failed",
            loop=self.spec.name,
            failures=self._failures,
            error=self._last_error,
            exc_info=self._failures == 1 and not isinstance(error, Problem),
        )

    async def _pause(self, pause_s: float) -> None:
        spread = 1 + self._random.uniform(-self._jitter, self._jitter)
        try:
            async with asyncio.timeout(pause_s * spread):
                await self._wake.wait()
        except TimeoutError:
            return

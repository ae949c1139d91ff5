"""Notice a height that cannot be passed, and raise an alarm that names it and why."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from shared.errors import Problem

FAILURES_TO_ALARM: Final = 5
"""Rounds that fail at one height before somebody is called."""

SUBJECT: Final = "blocks"


class Alarms(Protocol):
    """Where a person is called."""

    async def raise_alarm(self, kind: str, subject: str, *, detail: str) -> None:
        """Raise an alarm, or count it once more."""
        ...

    async def clear(self, kind: str, subject: str) -> None:
        """Note that its cause is gone."""
        ...


class Stall:
    """Counts failures at one height; nothing is skipped because of them.

    Args:
        kind: of the alarm that is raised; its detail names the height and the reason.
    """

    def __init__(self, kind: str, alarms: Alarms) -> None:
        self._kind = kind
        self._alarms = alarms
        self._height = -1
        self._failures = 0
        self._is_clear = False  # an earlier process may have raised it

    @asynccontextmanager
    async def watching(self, height: int) -> AsyncIterator[None]:
        """Count a failure of what is done at a height, and pass it on."""
        if height != self._height:
            self._height, self._failures = height, 0
        try:
            yield
        except Problem as problem:
            await self._note(height, problem)
            raise
        self._failures = 0
        await self._passed()

    async def _note(self, height: int, problem: Problem) -> None:
        self._failures += 1
        if self._failures < FAILURES_TO_ALARM:
            return
        self._is_clear = False
        await self._alarms.raise_alarm(
            self._kind,
            SUBJECT,
            detail=f"block {height} could not be read {self._failures} times: {problem.detail}",
        )

    async def _passed(self) -> None:
        if not self._is_clear:
            await self._alarms.clear(self._kind, SUBJECT)
            self._is_clear = True

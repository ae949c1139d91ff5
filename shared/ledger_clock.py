"""The time that caps, windows and cooling-off run on (hazard H2).

It is a moment that is stored: it moves to the earlier of the local clock and the verified time of the
chain, and never back. A clock set forward skips no cooling-off, since the chain did not move with it;
a clock set back opens no window again, after a restart neither; a chain whose time runs ahead is held
by the local clock. Only a moment that is stored is ever told, so that what was judged by it stays so.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from shared.clock import Clock
from shared.errors import Unavailable
from shared.storage import Collection, DuplicateRecord, StaleRecord, Storage, Unit, written

STEP_MS: Final = 10_000
"""How far time has to have moved to be stored again; what is told lags by no more than this."""

_RECORD: Final = "ledger"


class LedgerTimeUnknown(Unavailable):
    """No verified time of the chain was seen yet, so nothing that depends on the time is decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTime:
    """The moment as stored.

    Attributes:
        at_ms: milliseconds since the epoch.
    """

    id: str = _RECORD
    version: int = 0
    at_ms: int


LEDGER_TIMES: Final = Collection(name="ledger_times", record=LedgerTime)
"""To be part of the schema of a service that has such a clock."""


class LedgerClock:
    """A clock that is fed with the verified time of the chain, and is never ahead of it.

    Args:
        storage: keeps the moment; its schema holds ``LEDGER_TIMES``.
        clock: the local clock.
        step_ms: how far time has to have moved to be stored again.
    """

    def __init__(self, storage: Storage, clock: Clock, *, step_ms: int = STEP_MS) -> None:
        self._storage = storage
        self._clock = clock
        self._step_ms = step_ms
        self._kept: LedgerTime | None = None
        self._moving = asyncio.Lock()

    async def load(self) -> None:
        """Begin where the clock stood when it was last stored."""
        async with self._moving:
            self._kept = await self._stored()

    async def observe(self, chain_ms: int) -> int:
        """Move on to a verified time of the chain, as far as the local clock agrees.

        Args:
            chain_ms: timestamp of a verified block; of several heads, the earliest.

        Returns:
            The time now, as ``now_ms``.

        Raises:
            StorageError: the moment cannot be stored; the clock stands.
        """
        async with self._moving:
            moment_ms = min(chain_ms, self._clock.now_ms())
            while not self._is_near(moment_ms):
                await self._move(moment_ms)
        return self.now_ms()

    def now_ms(self) -> int:
        """Return milliseconds since the epoch, never less than before and never ahead of the chain.

        Raises:
            LedgerTimeUnknown: no verified time was seen yet.
        """
        if self._kept is None:
            raise LedgerTimeUnknown("no verified time of the chain is known yet", retry_after_s=5)
        return self._kept.at_ms

    def _is_near(self, moment_ms: int) -> bool:
        return self._kept is not None and moment_ms < self._kept.at_ms + self._step_ms

    async def _move(self, moment_ms: int) -> None:
        known = self._kept
        moved = replace(known, at_ms=moment_ms) if known else LedgerTime(at_ms=moment_ms)
        unit = Unit()
        (unit.update if known else unit.insert)(LEDGER_TIMES, moved)
        try:
            await self._storage.commit(unit)
        except (StaleRecord, DuplicateRecord):  # a replica was quicker: it may be further
            self._kept = await self._stored()
        else:
            self._kept = written(moved)

    async def _stored(self) -> LedgerTime | None:
        return await self._storage.get(LEDGER_TIMES, _RECORD)

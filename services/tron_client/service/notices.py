"""Turn what happened on chain into alarms, in the order in which it happened."""

from typing import Final, assert_never

from services.tron_client.domain.notices import EFFECTS, Calls, Ends, Notice
from services.tron_client.store.notices import NoticeStore
from shared.alarms import Alarms
from shared.clock import MS_PER_S, Clock
from shared.storage import MAX_ROWS

KEPT_MS: Final = 90 * 24 * 3_600 * MS_PER_S
"""How long a notice is kept after it was announced; the feed of alarms has its own time."""


class Announcer:
    """Tells the alarms of notices; one that is told twice only counts twice."""

    def __init__(self, *, store: NoticeStore, alarms: Alarms, clock: Clock) -> None:
        self._store = store
        self._alarms = alarms
        self._clock = clock

    async def announce(self) -> bool:
        """Announce what waits, and drop what is long past; returns True when there is more."""
        waiting = await self._store.waiting()
        for notice in waiting:
            await self._tell(notice)
        if waiting:
            await self._alarms.keep()  # what was raised is stored before it counts as announced
            await self._store.announced(waiting)
        now_ms = self._clock.now_ms()
        dropped = await self._store.prune(before_ms=now_ms - KEPT_MS, now_ms=now_ms)
        return MAX_ROWS in {len(waiting), dropped}

    async def _tell(self, notice: Notice) -> None:
        effect = EFFECTS[notice.kind]
        match effect:
            case Calls(alarm=kind, severity=severity):
                await self._alarms.raise_alarm(
                    kind, notice.subject, detail=notice.detail, severity=severity
                )
            case Ends(alarm=kind):
                await self._alarms.clear(kind, notice.subject)
            case _:
                assert_never(effect)

"""Where alarms are kept, each change with the event that tells of it."""

from typing import Final

from shared.alarms.records import ALARM_FEED, ALARMS, Alarm, alarm_view
from shared.clock import MS_PER_S, Clock
from shared.ids import NewId
from shared.models.alarms import AlarmState
from shared.storage import MAX_ROWS, Page, Storage, Unit, written

KEPT_MS: Final = 365 * 24 * 3_600 * MS_PER_S
"""How long an alarm is kept after it was cleared."""

RAISED: Final = "alarm.raised"
CLEARED: Final = "alarm.cleared"
ACKNOWLEDGED: Final = "alarm.acknowledged"


class AlarmStore:
    """The records of the alarms of one service, and their feed."""

    def __init__(self, storage: Storage, *, clock: Clock, new_id: NewId) -> None:
        self._storage = storage
        self._clock = clock
        self._new_id = new_id

    async def get(self, alarm_id: str) -> Alarm | None:
        """Return an alarm, open or over."""
        return await self._storage.get(ALARMS, alarm_id)

    async def open(self) -> list[Alarm]:
        """Return the open ones; whatever was put twice becomes one alarm."""
        found: dict[tuple[str, str], Alarm] = {}
        cursor = None
        while True:
            page = await self._storage.list(
                ALARMS, "raised", AlarmState.OPEN, limit=MAX_ROWS, cursor=cursor
            )
            for alarm in page.items:
                first = found.get(alarm.key)
                found[alarm.key] = alarm if first is None else await self._merged(first, alarm)
            cursor = page.next
            if cursor is None:
                return list(found.values())

    async def page(self, state: AlarmState, *, cursor: str | None, limit: int) -> Page[Alarm]:
        """Return a page of those in a state, the latest first; raises InvalidCursor."""
        index = "raised" if state is AlarmState.OPEN else "cleared"
        return await self._storage.list(
            ALARMS, index, state, limit=limit, cursor=cursor, descending=True
        )

    def put(self, unit: Unit, alarm: Alarm) -> None:
        """Store a new alarm in a unit, and tell of it."""
        unit.insert(ALARMS, alarm)
        self._tell(unit, alarm, RAISED)

    async def save(self, alarm: Alarm) -> Alarm:
        """Store an open alarm, told of if it is new, and return it as stored.

        Raises:
            GuardFailed: it was stored after all, or changed elsewhere.
            StorageError: it could not be stored.
        """
        if not alarm.version:
            return await self.tell(alarm, RAISED)
        await self._storage.commit(Unit().update(ALARMS, alarm))
        return written(alarm)

    async def tell(self, alarm: Alarm, event: str) -> Alarm:
        """Store an alarm with an event, and return it as stored; raises StorageError."""
        unit = Unit()
        (unit.update if alarm.version else unit.insert)(ALARMS, alarm)
        self._tell(unit, alarm, event)
        await self._storage.commit(unit)
        return written(alarm)

    async def prune(self) -> int:
        """Drop what was cleared long ago; returns how many, a page at most."""
        now_ms = self._clock.now_ms()
        return await self._storage.prune(
            ALARMS,
            "cleared",
            AlarmState.CLEARED,
            at_most=now_ms - KEPT_MS,
            limit=MAX_ROWS,
            now_ms=now_ms,
        )

    async def _merged(self, first: Alarm, second: Alarm) -> Alarm:
        after = first.with_more(second)
        await self._storage.commit(Unit().update(ALARMS, after).delete(ALARMS, second))
        return written(after)

    def _tell(self, unit: Unit, alarm: Alarm, event: str) -> None:
        unit.publish(
            ALARM_FEED,
            id=self._new_id("evt"),
            type=event,
            at_ms=self._clock.now_ms(),
            object=alarm_view(alarm).model_dump(mode="json"),
        )

"""Alarms: what needs a person, kept until its cause is gone or a person closes it.

An alarm goes by its kind and subject. Raising one that is open only counts, so that a loop may raise
it in every round: counts and details are stored now and then by ``keep``, everything else at once.
What cannot be stored is shown all the same, and stored as soon as that is possible.
"""

import asyncio
import contextlib
import re
from dataclasses import replace
from typing import Any, Final

from prometheus_client import Counter, Gauge

from shared.alarms.records import (
    ALARM_COLLECTIONS,
    ALARM_FEED,
    ALARM_FEEDS,
    ALARMS,
    MAX_DETAIL_CHARACTERS,
    Alarm,
    alarm_view,
    alarm_views,
    clean_detail,
)
from shared.alarms.store import ACKNOWLEDGED, CLEARED, KEPT_MS, AlarmStore
from shared.clock import Clock, rfc3339
from shared.errors import Conflict, NotFound
from shared.ids import NewId
from shared.logs import get_logger
from shared.metrics import Metrics
from shared.models.alarms import AlarmState, Severity
from shared.storage import MAX_ROWS, GuardFailed, Page, Storage, StorageError, Unit

log = get_logger(__name__)

MAX_SUBJECT_CHARACTERS: Final = 128

MAX_OPEN_OF_A_KIND: Final = 200
"""The most subjects of one kind that are told apart; the rest are counted under ``THE_OTHERS``."""

THE_OTHERS: Final = "*"

_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)


class UnknownAlarm(NotFound):
    """There is no such alarm."""

    code = "LUCID_ERR_9070"
    title = "No such alarm"


class AlarmCleared(Conflict):
    """The alarm is over: there is nothing left to acknowledge or to close."""

    code = "LUCID_ERR_9071"
    title = "The alarm is over"


class Alarms:
    """The alarms of one service.

    Args:
        storage: where they are kept; its schema has ``ALARM_COLLECTIONS`` and ``ALARM_FEEDS``.
        clock: the time.
        new_id: makes ids.
        metrics: where open alarms are counted.
    """

    def __init__(self, *, storage: Storage, clock: Clock, new_id: NewId, metrics: Metrics) -> None:
        self.storage = storage
        self.clock = clock
        self._store = AlarmStore(storage, clock=clock, new_id=new_id)
        self._new_id = new_id
        self._open: dict[tuple[str, str], Alarm] = {}
        self._unsaved: set[tuple[str, str]] = set()
        self._lock = asyncio.Lock()
        self._gauge = Gauge(
            "lucid_alarms_open",
            "Alarms that stand, by kind and severity.",
            ("kind", "severity"),
            registry=metrics.registry,
        )
        self._raised = Counter(
            "lucid_alarms_raised_total",
            "Times that an alarm was raised, repeats included.",
            ("kind",),
            registry=metrics.registry,
        )

    async def load(self) -> None:
        """Take up the alarms that were open when the service ended."""
        async with self._lock:
            await self._load()

    def open(self) -> list[Alarm]:
        """Return the alarms that stand, critical ones first, then the latest."""
        return sorted(
            self._open.values(),
            key=lambda each: (each.severity is not Severity.CRITICAL, -each.raised_at_ms, each.id),
        )

    def is_open(self, kind: str, subject: str) -> bool:
        """True while an alarm stands."""
        return (kind, subject) in self._open

    def reason(self) -> str | None:
        """Say which critical alarms nobody has acknowledged yet, or None."""
        waiting = [
            each
            for each in self.open()
            if each.severity is Severity.CRITICAL and each.acknowledged_by is None
        ]
        if not waiting:
            return None
        first = waiting[0]
        more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
        return f"alarm {first.kind} for {first.subject}: {first.detail}{more}"

    async def raise_alarm(
        self, kind: str, subject: str, *, detail: str, severity: Severity = Severity.CRITICAL
    ) -> None:
        """Raise an alarm, or count it once more if it is open.

        A database that does not take it is logged; the alarm stands all the same.
        """
        async with self._lock:
            key = self._key(kind, subject)
            self._raised.labels(kind).inc()
            before = self._open.get(key)
            if before is None:
                await self._begin(self._new(*key, detail=detail, severity=severity))
                return
            after = before.again(
                detail=clean_detail(detail), severity=severity, at_ms=self.clock.now_ms()
            )
            self._open[key] = after
            self._unsaved.add(key)
            if after.severity is not before.severity:
                self._show()
                await self._save()

    def put(
        self,
        unit: Unit,
        kind: str,
        subject: str,
        *,
        detail: str,
        severity: Severity = Severity.CRITICAL,
    ) -> None:
        """Raise an alarm together with what else a unit does.

        It shows once ``keep`` has found it. One that is open already is left as it is.
        """
        key = self._key(kind, subject)
        if key in self._open:
            return
        alarm = self._new(*key, detail=detail, severity=severity)
        self._raised.labels(kind).inc()
        self._store.put(unit, alarm)

    async def clear(self, kind: str, subject: str) -> None:
        """Note that the cause of an alarm is gone; nothing happens when it is not open.

        Raises:
            StorageError: it could not be stored, and the alarm still stands.
        """
        key = kind, subject[:MAX_SUBJECT_CHARACTERS]
        if key not in self._open:
            return
        async with self._lock:
            alarm = self._open.get(key)
            if alarm is not None:
                await self._end(alarm, closed_by=None)

    async def clear_kind(self, kind: str) -> None:
        """Note that the cause is gone of every open alarm of a kind; raises StorageError."""
        for alarm in self.open():
            if alarm.kind == kind:
                await self.clear(*alarm.key)

    async def acknowledge(self, alarm_id: str, *, by: str, note: str) -> Alarm:
        """Note that a person takes an open alarm on, and return it; saying so again replaces it.

        Raises:
            UnknownAlarm: there is none of that id.
            AlarmCleared: it is over.
            StorageError: it could not be stored.
        """
        async with self._lock:
            alarm = await self._standing(alarm_id)
            after = replace(
                alarm, acknowledged_by=by, acknowledged_at_ms=self.clock.now_ms(), note=note
            )
            stored = await self._store.tell(after, ACKNOWLEDGED)
            self._unsaved.discard(stored.key)
            self._open[stored.key] = stored
            log.info("alarm.acknowledged", kind=stored.kind, subject=stored.subject, by=by)
            return stored

    async def close(self, alarm_id: str, *, by: str, note: str) -> Alarm:
        """Note that a person says an alarm is over, and return it.

        If its cause is still there the service will raise another.

        Raises:
            UnknownAlarm: there is none of that id.
            AlarmCleared: it was over already.
            StorageError: it could not be stored.
        """
        async with self._lock:
            alarm = await self._standing(alarm_id)
            return await self._end(replace(alarm, note=note), closed_by=by)

    async def page(self, state: AlarmState, *, cursor: str | None, limit: int) -> Page[Alarm]:
        """Return a page of the stored alarms in a state, the latest first; raises InvalidCursor."""
        return await self._store.page(state, cursor=cursor, limit=limit)

    async def keep(self) -> bool:
        """Store what only counted, find what was put elsewhere, drop what was cleared long ago.

        Returns:
            True when there is more to do at once.

        Raises:
            StorageError: the database does not take it; to be tried again.
        """
        async with self._lock:
            await self._store_counts()
            await self._load()
        return await self._store.prune() == MAX_ROWS

    def standing(self) -> dict[str, Any]:
        """Say in few words what stands, for ``/status``."""
        found = self.open()
        return {
            "open": len(found),
            "critical": sum(each.severity is Severity.CRITICAL for each in found),
            "latest": [
                {
                    "kind": each.kind,
                    "subject": each.subject,
                    "severity": each.severity.value,
                    "detail": each.detail,
                    "since": rfc3339(each.raised_at_ms),
                    "acknowledged_by": each.acknowledged_by,
                }
                for each in found[:10]
            ],
        }

    def _key(self, kind: str, subject: str) -> tuple[str, str]:
        if not _KIND.fullmatch(kind) or not subject:
            raise ValueError("an alarm has a kind in lower case and a subject")
        key = kind, subject[:MAX_SUBJECT_CHARACTERS]
        if key in self._open:
            return key
        of_a_kind = sum(each == kind for each, _ in self._open)
        return key if of_a_kind < MAX_OPEN_OF_A_KIND else (kind, THE_OTHERS)

    def _new(self, kind: str, subject: str, *, detail: str, severity: Severity) -> Alarm:
        now_ms = self.clock.now_ms()
        return Alarm(
            id=self._new_id("alm"),
            kind=kind,
            subject=subject,
            severity=severity,
            state=AlarmState.OPEN,
            detail=clean_detail(detail),
            count=1,
            raised_at_ms=now_ms,
            last_at_ms=now_ms,
        )

    async def _begin(self, alarm: Alarm) -> None:
        self._open[alarm.key] = alarm
        self._unsaved.add(alarm.key)
        self._announce(alarm)
        self._show()
        await self._save()

    async def _save(self) -> None:
        """Store what is not stored yet; a database that refuses is tried again by ``keep``."""
        try:
            await self._store_counts()
        except StorageError as error:
            log.warning("alarm.unstored", error=type(error).__name__)

    async def _store_counts(self) -> None:
        for key in sorted(self._unsaved):
            with contextlib.suppress(GuardFailed):  # stored after all: what is there counts
                self._open[key] = await self._store.save(self._open[key])
            self._unsaved.discard(key)

    async def _load(self) -> None:
        """Take what is stored, but for what is not stored yet."""
        stored = {each.key: each for each in await self._store.open()}
        for key in self._unsaved:
            stored[key] = self._open[key]
        known, self._open = self._open, stored
        for key in stored.keys() - known.keys():
            self._announce(stored[key])
        self._show()

    async def _standing(self, alarm_id: str) -> Alarm:
        await self._store_counts()
        await self._load()
        for alarm in self._open.values():
            if alarm.id == alarm_id:
                return alarm
        if await self._store.get(alarm_id) is None:
            raise UnknownAlarm(f"there is no alarm {alarm_id}")
        raise AlarmCleared(f"the alarm {alarm_id} is over")

    async def _end(self, alarm: Alarm, *, closed_by: str | None) -> Alarm:
        after = replace(
            alarm,
            state=AlarmState.CLEARED,
            cleared_at_ms=self.clock.now_ms(),
            closed_by=closed_by,
        )
        stored = await self._store.tell(after, CLEARED)
        del self._open[alarm.key]
        self._unsaved.discard(alarm.key)
        self._show()
        log.info("alarm.cleared", kind=stored.kind, subject=stored.subject, by=closed_by)
        return stored

    def _announce(self, alarm: Alarm) -> None:
        write = log.critical if alarm.severity is Severity.CRITICAL else log.warning
        write("alarm.raised", kind=alarm.kind, subject=alarm.subject, detail=alarm.detail)

    def _show(self) -> None:
        self._gauge.clear()
        for alarm in self._open.values():
            self._gauge.labels(alarm.kind, alarm.severity.value).inc()


__all__ = [
    "ALARMS",
    "ALARM_COLLECTIONS",
    "ALARM_FEED",
    "ALARM_FEEDS",
    "KEPT_MS",
    "MAX_DETAIL_CHARACTERS",
    "MAX_OPEN_OF_A_KIND",
    "THE_OTHERS",
    "Alarm",
    "AlarmCleared",
    "Alarms",
    "UnknownAlarm",
    "alarm_view",
    "alarm_views",
]

"""Alarms: what needs a person, kept until its cause is gone or a person closes it.

An alarm goes by its kind and subject. Raising one that is open only counts, so that a loop may raise
it in every round: counts and details are stored now and then by ``keep``, everything else at once.
What cannot be stored is shown all the same, and stored as soon as that is possible.
"""

import asyncio
import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from prometheus_client import Counter, Gauge

from shared.clock import MS_PER_S, Clock, rfc3339
from shared.errors import Conflict, NotFound
from shared.ids import NewId
from shared.logs import clean_text, get_logger
from shared.metrics import Metrics
from shared.models.alarms import AlarmState, AlarmView, Severity
from shared.models.wire import time_or_none
from shared.storage import (
    MAX_ROWS,
    Collection,
    Feed,
    GuardFailed,
    Index,
    Page,
    Storage,
    StorageError,
    Unit,
    written,
)

log = get_logger(__name__)

MAX_DETAIL_CHARACTERS: Final = 500
MAX_SUBJECT_CHARACTERS: Final = 128

MAX_OPEN_OF_A_KIND: Final = 200
"""The most subjects of one kind that are told apart; the rest are counted under ``THE_OTHERS``."""

THE_OTHERS: Final = "*"

KEPT_MS: Final = 365 * 24 * 3_600 * MS_PER_S
"""How long an alarm is kept after it was cleared."""

_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)


class UnknownAlarm(NotFound):
    """There is no such alarm."""

    code = "LUCID_ERR_9070"
    title = "No such alarm"


class AlarmCleared(Conflict):
    """The alarm is over: there is nothing left to acknowledge or to close."""

    code = "LUCID_ERR_9071"
    title = "The alarm is over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm, from the first time it was raised until it is cleared.

    Attributes:
        id: its own.
        version: of the record.
        kind: what is wrong, in lower case with underscores.
        subject: what with: an address, a height, a peer.
        severity: how soon it wants somebody.
        state: whether it still stands.
        detail: what a person should know, cleaned of secrets and cut.
        count: how often it was raised.
        raised_at_ms: when first.
        last_at_ms: when last.
        acknowledged_at_ms: when a person took it on, with that person and what was said.
        cleared_at_ms: when it was over.
        closed_by: the person who closed it; None when its cause went.
    """

    id: str
    version: int = 0
    kind: str
    subject: str
    severity: Severity
    state: AlarmState
    detail: str
    count: int
    raised_at_ms: int
    last_at_ms: int
    acknowledged_by: str | None = None
    acknowledged_at_ms: int | None = None
    note: str | None = None
    cleared_at_ms: int | None = None
    closed_by: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What it goes by while it is open."""
        return self.kind, self.subject

    def again(self, *, detail: str, severity: Severity, at_ms: int) -> "Alarm":
        """Return it raised once more; one that got worse has to be acknowledged anew."""
        after = replace(self, detail=detail, count=self.count + 1, last_at_ms=at_ms)
        if self.severity is severity or severity is Severity.WARNING:
            return after
        return replace(after, severity=severity, acknowledged_by=None, acknowledged_at_ms=None)

    def with_more(self, other: "Alarm") -> "Alarm":
        """Return it with what a second record of the same alarm knows."""
        after = self.again(detail=other.detail, severity=other.severity, at_ms=other.last_at_ms)
        return replace(after, count=self.count + other.count)


ALARMS: Final = Collection(
    name="alarms",
    record=Alarm,
    indexes=(
        Index(name="raised", fields=("state", "raised_at_ms")),
        Index(name="cleared", fields=("state", "cleared_at_ms")),
    ),
)
ALARM_FEED: Final = Feed(name="alarms")

ALARM_COLLECTIONS: Final = (ALARMS,)
ALARM_FEEDS: Final = (ALARM_FEED,)
"""What a service that raises alarms adds to its schema."""


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
                detail=_clean(detail), severity=severity, at_ms=self.clock.now_ms()
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
        unit.insert(ALARMS, alarm)
        self._tell(unit, alarm, "alarm.raised")

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
            stored = await self._commit(after, "alarm.acknowledged")
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
        index = "raised" if state is AlarmState.OPEN else "cleared"
        return await self.storage.list(
            ALARMS, index, state, limit=limit, cursor=cursor, descending=True
        )

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
        now_ms = self.clock.now_ms()
        dropped = await self.storage.prune(
            ALARMS,
            "cleared",
            AlarmState.CLEARED,
            at_most=now_ms - KEPT_MS,
            limit=MAX_ROWS,
            now_ms=now_ms,
        )
        return dropped == MAX_ROWS

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
            detail=_clean(detail),
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
            alarm = self._open[key]
            if alarm.version:
                unit = Unit().update(ALARMS, alarm)
            else:
                unit = Unit().insert(ALARMS, alarm)
                self._tell(unit, alarm, "alarm.raised")
            with contextlib.suppress(GuardFailed):  # stored after all: what is there counts
                await self.storage.commit(unit)
                self._open[key] = written(alarm)
            self._unsaved.discard(key)

    async def _load(self) -> None:
        """Take what is stored; whatever is put twice becomes one alarm."""
        stored: dict[tuple[str, str], Alarm] = {}
        for alarm in await self._stored():
            first = stored.get(alarm.key)
            stored[alarm.key] = alarm if first is None else await self._merge(first, alarm)
        for key in self._unsaved:
            stored[key] = self._open[key]
        known, self._open = self._open, stored
        for key in stored.keys() - known.keys():
            self._announce(stored[key])
        self._show()

    async def _stored(self) -> list[Alarm]:
        found: list[Alarm] = []
        cursor = None
        while True:
            page = await self.storage.list(
                ALARMS, "raised", AlarmState.OPEN, limit=MAX_ROWS, cursor=cursor
            )
            found += page.items
            cursor = page.next
            if cursor is None:
                return found

    async def _merge(self, first: Alarm, second: Alarm) -> Alarm:
        after = first.with_more(second)
        await self.storage.commit(Unit().update(ALARMS, after).delete(ALARMS, second))
        return written(after)

    async def _standing(self, alarm_id: str) -> Alarm:
        await self._store_counts()
        await self._load()
        for alarm in self._open.values():
            if alarm.id == alarm_id:
                return alarm
        if await self.storage.get(ALARMS, alarm_id) is None:
            raise UnknownAlarm(f"there is no alarm {alarm_id}")
        raise AlarmCleared(f"the alarm {alarm_id} is over")

    async def _end(self, alarm: Alarm, *, closed_by: str | None) -> Alarm:
        after = replace(
            alarm,
            state=AlarmState.CLEARED,
            cleared_at_ms=self.clock.now_ms(),
            closed_by=closed_by,
        )
        stored = await self._commit(after, "alarm.cleared")
        del self._open[alarm.key]
        self._unsaved.discard(alarm.key)
        self._show()
        log.info("alarm.cleared", kind=stored.kind, subject=stored.subject, by=closed_by)
        return stored

    async def _commit(self, alarm: Alarm, event: str) -> Alarm:
        unit = Unit()
        if alarm.version:
            unit.update(ALARMS, alarm)
        else:
            unit.insert(ALARMS, alarm)
        self._tell(unit, alarm, event)
        await self.storage.commit(unit)
        self._unsaved.discard(alarm.key)
        return written(alarm)

    def _tell(self, unit: Unit, alarm: Alarm, event: str) -> None:
        unit.publish(
            ALARM_FEED,
            id=self._new_id("evt"),
            type=event,
            at_ms=self.clock.now_ms(),
            object=alarm_view(alarm).model_dump(mode="json"),
        )

    def _announce(self, alarm: Alarm) -> None:
        write = log.critical if alarm.severity is Severity.CRITICAL else log.warning
        write("alarm.raised", kind=alarm.kind, subject=alarm.subject, detail=alarm.detail)

    def _show(self) -> None:
        self._gauge.clear()
        for alarm in self._open.values():
            self._gauge.labels(alarm.kind, alarm.severity.value).inc()


def alarm_view(alarm: Alarm) -> AlarmView:
    """Write an alarm for the wire."""
    return AlarmView(
        alarm_id=alarm.id,
        kind=alarm.kind,
        subject=alarm.subject,
        severity=alarm.severity,
        state=alarm.state,
        detail=alarm.detail,
        count=alarm.count,
        raised_at=rfc3339(alarm.raised_at_ms),
        last_at=rfc3339(alarm.last_at_ms),
        acknowledged_by=alarm.acknowledged_by,
        acknowledged_at=time_or_none(alarm.acknowledged_at_ms),
        note=alarm.note,
        cleared_at=time_or_none(alarm.cleared_at_ms),
        closed_by=alarm.closed_by,
    )


def alarm_views(alarms: Iterable[Alarm]) -> list[AlarmView]:
    """Write several."""
    return [alarm_view(each) for each in alarms]


def _clean(detail: str) -> str:
    return clean_text(detail)[:MAX_DETAIL_CHARACTERS]

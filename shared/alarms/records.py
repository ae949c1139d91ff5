"""An alarm as it is kept, and how it is told."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from shared.clock import rfc3339
from shared.logs import clean_text
from shared.models.alarms import AlarmState, AlarmView, Severity
from shared.models.wire import time_or_none
from shared.storage import Collection, Feed, Index

MAX_DETAIL_CHARACTERS: Final = 500


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


def clean_detail(detail: str) -> str:
    """Return a detail without secrets, cut to what is kept."""
    return clean_text(detail)[:MAX_DETAIL_CHARACTERS]

"""What every service that calls a person publishes about it."""

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from shared.models.wire import Request, TimeText, View


class Severity(StrEnum):
    """What an alarm asks for: a look in working hours, or somebody now."""

    WARNING = "warning"
    CRITICAL = "critical"


class AlarmState(StrEnum):
    """Whether its cause is still there."""

    OPEN = "open"
    CLEARED = "cleared"


class AlarmView(View):
    """Something that needs a person.

    ``count`` says how often it was raised while it was open. ``closed_by`` is the person who said
    that it is over; it is None where the service itself found its cause gone.
    """

    alarm_id: str
    kind: str
    subject: str
    severity: Severity
    state: AlarmState
    detail: str
    count: int
    raised_at: TimeText
    last_at: TimeText
    acknowledged_by: str | None = None
    acknowledged_at: TimeText | None = None
    note: str | None = None
    cleared_at: TimeText | None = None
    closed_by: str | None = None


class AlarmsView(View):
    """A page of alarms, the latest first, and how many are open in all."""

    alarms: list[AlarmView]
    open: int
    next: str | None


class AcknowledgeRequest(Request):
    """What a person has to say of an alarm."""

    note: Annotated[str, StringConstraints(min_length=1, max_length=500)]

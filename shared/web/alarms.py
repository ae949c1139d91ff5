"""The alarms of a service, for the person who is called."""

from typing import Annotated, Final, Protocol, runtime_checkable

from fastapi import APIRouter, Depends, Query, Request
from pydantic import StringConstraints

from shared.access import Scope
from shared.alarms import ALARM_FEED, AlarmCleared, Alarms, UnknownAlarm, alarm_view, alarm_views
from shared.auth import Principal
from shared.errors import BadCursor, Forbidden
from shared.feeds import MAX_PAGE, MAX_WAIT_S, FeedLost, FeedReset, FeedSource
from shared.loop import LoopSpec
from shared.models.alarms import AcknowledgeRequest, AlarmState, AlarmsView, AlarmView
from shared.models.wire import ConsumerRequest, ConsumerView, FeedView
from shared.web.application import service_of
from shared.web.problems import declares
from shared.web.runtime import Runtime
from shared.web.security import require_own_name, requires

_KEEP_INTERVAL_S: Final = 5.0
_MAX_LISTED: Final = 100


@runtime_checkable
class Alarmed(Protocol):
    """A service that raises alarms."""

    @property
    def alarms(self) -> Alarms:
        """Its alarms."""
        ...


def _alarms(request: Request) -> Alarms:
    service = service_of(request, object)
    if not isinstance(service, Alarmed):
        raise TypeError(f"{type(service).__name__} raises no alarms")
    return service.alarms


Desk = Annotated[Alarms, Depends(_alarms)]
Observer = Annotated[Principal, requires(Scope.OPS_READ)]
Operator = Annotated[Principal, requires(Scope.OPS_ADMIN)]
Consumer = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]

router = APIRouter(prefix="/api/v1/ops/alarms", tags=["operations"])


@router.get("", responses=declares(BadCursor))
async def alarms(
    desk: Desk,
    _: Observer,
    state: AlarmState = AlarmState.OPEN,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_LISTED)] = _MAX_LISTED,
) -> AlarmsView:
    """Return a page of alarms, the latest first."""
    page = await desk.page(state, cursor=cursor, limit=limit)
    return AlarmsView(alarms=alarm_views(page.items), open=len(desk.open()), next=page.next)


@router.post("/{alarm_id}/acknowledge", responses=declares(UnknownAlarm, AlarmCleared))
async def acknowledge(
    desk: Desk, operator: Operator, alarm_id: str, body: AcknowledgeRequest
) -> AlarmView:
    """Note that somebody takes it on; it stands, but readiness no longer fails for it."""
    return alarm_view(await desk.acknowledge(alarm_id, by=operator.name, note=body.note))


@router.post("/{alarm_id}/close", responses=declares(UnknownAlarm, AlarmCleared))
async def close(
    desk: Desk, operator: Operator, alarm_id: str, body: AcknowledgeRequest
) -> AlarmView:
    """Note that somebody says it is over."""
    return alarm_view(await desk.close(alarm_id, by=operator.name, note=body.note))


@router.get("/feed", responses=declares(BadCursor, FeedReset, FeedLost))
async def alarm_feed(
    desk: Desk,
    _: Observer,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = _MAX_LISTED,
    wait_s: Annotated[int, Query(ge=0, le=MAX_WAIT_S)] = 0,
) -> FeedView[AlarmView]:
    """Return what happened to alarms after a cursor, waiting for something if there is nothing."""
    return await _feed(desk).page(after=after, limit=limit, wait_s=wait_s)


@router.put("/feed/consumers/{name}", responses=declares(BadCursor, Forbidden, FeedReset, FeedLost))
async def acknowledge_alarm_feed(
    desk: Desk, caller: Observer, name: Consumer, body: ConsumerRequest
) -> ConsumerView:
    """Note how far a consumer of alarms has durably come."""
    require_own_name(caller, name)
    await _feed(desk).acknowledge(consumer=name, cursor=body.cursor)
    return ConsumerView(name=name, cursor=body.cursor)


def watch_alarms(alarms: Alarms, runtime: Runtime) -> LoopSpec:
    """Show the alarms in readiness and ``/status``; returns the loop that keeps them."""
    runtime.readiness.add("alarms", alarms.reason)
    runtime.probes.standing["alarms"] = alarms.standing
    return LoopSpec(name="alarms", interval_s=_KEEP_INTERVAL_S, work=alarms.keep)


def _feed(alarms: Alarms) -> FeedSource[AlarmView]:
    return FeedSource(storage=alarms.storage, feed=ALARM_FEED, view=AlarmView, clock=alarms.clock)

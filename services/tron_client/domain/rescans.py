"""Ranges that are scanned once more, because they were scanned without some of the watches (H11)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.clock import rfc3339
from shared.errors import BadRequest, Conflict
from shared.models.tron_client import RescanState, RescanView
from shared.models.wire import time_or_none

MAX_PENDING: Final = 500
"""Ranges that wait at once."""


class ImpossibleRange(BadRequest):
    """The heights are the wrong way round, or not there yet."""

    code = "LUCID_ERR_9160"
    title = "No range of heights"


class TooManyRescans(Conflict):
    """So many ranges wait already that no other is taken on."""

    code = "LUCID_ERR_9161"
    title = "Too many rescans"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Heights from the first to the last, both included.

    Raises:
        ImpossibleRange: there is none between them.
    """

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.last:
            raise ImpossibleRange(f"no heights lie between {self.first} and {self.last}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescan:
    """A range that is scanned once more, and how far that has come.

    Attributes:
        reason: why, for people.
        next_height: the first height that is still to come.
        told: transfers that were found and had not been told before.
        finished_at_ms: None as long as it is under way.
    """

    id: str
    version: int = 0
    state: RescanState = RescanState.PENDING
    reason: str
    first_height: int
    last_height: int
    next_height: int
    told: int = 0
    created_at_ms: int
    finished_at_ms: int | None = None

    def holds(self, span: Span) -> bool:
        """True when all of a range is still to come in this one."""
        return self.next_height <= span.first and span.last <= self.last_height

    def meets(self, span: Span) -> bool:
        """True when a range overlaps what is still to come, or lies right beside it."""
        return self.next_height <= span.last + 1 and span.first <= self.last_height + 1

    def widened(self, span: Span) -> "Rescan":
        """Return it with a range that it meets; what was scanned of that comes again."""
        return replace(
            self,
            first_height=min(self.first_height, span.first),
            next_height=min(self.next_height, span.first),
            last_height=max(self.last_height, span.last),
        )

    def covered(self, span: Span, *, told: int, now_ms: int) -> "Rescan":
        """Return it once a range was scanned; one that does not hold its next height changes nothing."""
        if not span.first <= self.next_height <= span.last:
            return self
        advanced = replace(
            self, next_height=min(span.last, self.last_height) + 1, told=self.told + told
        )
        if advanced.next_height <= self.last_height:
            return advanced
        return replace(advanced, state=RescanState.DONE, finished_at_ms=now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """A block below those that are held, known to be an ancestor of them by parent hashes."""

    id: str
    version: int = 0
    height: int


def scheduled(
    pending: Sequence[Rescan], span: Span, *, reason: str, id_: str, now_ms: int
) -> Rescan | None:
    """Return what is to be stored so that a range will be scanned; None when it will be already.

    Raises:
        TooManyRescans: a new one would be one too many.
    """
    if any(each.holds(span) for each in pending):
        return None
    touching = next((each for each in pending if each.meets(span)), None)
    if touching is not None:
        return touching.widened(span)
    if len(pending) >= MAX_PENDING:
        raise TooManyRescans(f"{MAX_PENDING} ranges wait to be scanned once more", retry_after_s=60)
    return Rescan(
        id=id_,
        reason=reason,
        first_height=span.first,
        last_height=span.last,
        next_height=span.first,
        created_at_ms=now_ms,
    )


def heights_left(pending: Iterable[Rescan]) -> int:
    """Count the heights that are still to come, those of several ranges more than once."""
    return sum(each.last_height - each.next_height + 1 for each in pending)


def rescan_view(rescan: Rescan) -> RescanView:
    """Write a rescan for the wire."""
    return RescanView(
        rescan_id=rescan.id,
        state=rescan.state,
        reason=rescan.reason,
        first_height=rescan.first_height,
        last_height=rescan.last_height,
        next_height=rescan.next_height,
        told=rescan.told,
        created_at=rfc3339(rescan.created_at_ms),
        finished_at=time_or_none(rescan.finished_at_ms),
    )

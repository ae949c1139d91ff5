"""Webhook endpoints, and one event on its way to one of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self, assert_never

from shared.clock import MS_PER_S
from shared.errors import BadRequest, Conflict, NotFound
from shared.models.payment_gateway import InvoiceState

CREATED: Final = "invoice.created"
ALARM: Final = "alarm.confirmed_transfer_retracted"
EVENT_TYPES: Final = (CREATED, *(f"invoice.{state}" for state in InvoiceState), ALARM)
"""Every event there is; ``invoice.pending`` tells that seen money was taken back."""

LONGEST_RETRY_AFTER_S: Final = 86_400
MAX_ENDPOINTS: Final = 50


class UnknownWebhook(NotFound):
    """There is no such webhook."""

    code = "LUCID_ERR_9610"
    title = "Unknown webhook"


class UnknownDelivery(NotFound):
    """There is no such delivery of this webhook."""

    code = "LUCID_ERR_9611"
    title = "Unknown delivery"


class BadTarget(BadRequest):
    """Webhooks are not sent to this URL."""

    code = "LUCID_ERR_9612"
    title = "Webhook target not allowed"


class UnknownEvent(BadRequest):
    """No event has this name."""

    code = "LUCID_ERR_9613"
    title = "Unknown event"


class TooManyWebhooks(Conflict):
    """There are as many active webhooks as there may be."""

    code = "LUCID_ERR_9614"
    title = "Too many webhooks"


class WebhookInactive(Conflict):
    """The webhook was deactivated; nothing is sent there."""

    code = "LUCID_ERR_9615"
    title = "Webhook inactive"


class WebhookState(StrEnum):
    """Whether events are sent to an endpoint."""

    ACTIVE = "active"
    INACTIVE = "inactive"


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An endpoint; its secret is derived, never stored.

    Attributes:
        identity: hash of who made it and under which key; None when no key was sent.
        fingerprint: hash of the body that came with it.
        events: names, ``*``, or a family such as ``invoice.*``.
    """

    id: str
    version: int = 0
    identity: str | None
    fingerprint: str
    url: str
    events: tuple[str, ...]
    state: WebhookState = WebhookState.ACTIVE
    created_at_ms: int

    def wants(self, event_type: str) -> bool:
        """Tell whether it asked for events of this type."""
        return any(_matches(pattern, event_type) for pattern in self.events)

    def deactivated(self) -> Self:
        """Return it switched off."""
        return replace(self, state=WebhookState.INACTIVE)


def check_events(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the patterns; raises UnknownEvent for one that names nothing."""
    for pattern in patterns:
        if not any(_matches(pattern, event_type) for event_type in EVENT_TYPES):
            raise UnknownEvent(f"no event is called {pattern!r}", events=list(EVENT_TYPES))
    if not patterns:
        raise UnknownEvent("name at least one event", events=list(EVENT_TYPES))
    return tuple(dict.fromkeys(patterns))


def _matches(pattern: str, event_type: str) -> bool:
    family, star, rest = pattern.partition("*")
    if not star:
        return pattern == event_type
    is_family = not family or family.endswith(".")
    return not rest and is_family and event_type.startswith(family)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The endpoint took it."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """The endpoint did not take it, or nothing is known."""

    error: str
    status: int | None = None
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The endpoint wants nothing any more (410)."""

    status: int


Outcome = Delivered | Missed | Gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint.

    Attributes:
        event_id: the same for every endpoint and every try.
        body: exactly what is sent, as of the event.
        due_at_ms: when it may be tried next.
    """

    id: str
    version: int = 0
    webhook_id: str
    event_id: str
    event_type: str
    body: str
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    last_status: int | None = None
    last_error: str | None = None
    due_at_ms: int
    created_at_ms: int

    def after(self, outcome: Outcome, *, now_ms: int, ladder_s: Sequence[int]) -> "Delivery":
        """Return it after a try."""
        tried = replace(self, attempts=self.attempts + 1, last_status=outcome.status)
        match outcome:
            case Delivered():
                return replace(tried, state=DeliveryState.DELIVERED, last_error=None)
            case Gone():
                return replace(tried, state=DeliveryState.FAILED, last_error="the endpoint is gone")
            case Missed():
                return _missed(tried, outcome, now_ms=now_ms, ladder_s=ladder_s)
            case _:
                assert_never(outcome)

    def cancelled(self) -> Self:
        """Return it given up because its endpoint was switched off."""
        return replace(self, state=DeliveryState.CANCELLED, last_error="the webhook is inactive")

    def again(self, *, now_ms: int) -> Self:
        """Return it due now, with all its tries before it."""
        return replace(
            self, state=DeliveryState.PENDING, attempts=0, due_at_ms=now_ms, last_error=None
        )


def _missed(
    delivery: Delivery, outcome: Missed, *, now_ms: int, ladder_s: Sequence[int]
) -> Delivery:
    if delivery.attempts > len(ladder_s):
        return replace(delivery, state=DeliveryState.FAILED, last_error=outcome.error)
    wished_s = min(outcome.retry_after_s, LONGEST_RETRY_AFTER_S)
    pause_s = max(ladder_s[delivery.attempts - 1], wished_s)
    return replace(delivery, last_error=outcome.error, due_at_ms=now_ms + pause_s * MS_PER_S)

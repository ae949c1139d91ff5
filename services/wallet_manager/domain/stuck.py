"""Which sends do not come on by themselves, and what an operator can do about each."""

from dataclasses import dataclass
from typing import Final

from services.wallet_manager.domain.sends import Send
from shared.models.wallet_sends import SendState

STUCK_AFTER_MS: Final = 60_000
"""A send that comes on is never in one state for longer, but for its way into a solid block."""

SOLID_AFTER_MS: Final = 300_000
"""A block is solid after about a minute; five mean that something is wrong."""

UNDER_WAY: Final = (
    SendState.QUEUED,
    SendState.AWAITING_SIGNATURE,
    SendState.SIGNED,
    SendState.UNKNOWN,
    SendState.SUBMITTED,
    SendState.SEEN,
    SendState.SETTLED_DIFFERENTLY,
)
"""States in which a send can be stuck, in the order of what an operator can do most about."""

_ADVICE: Final = {
    SendState.QUEUED: "bring about what it waits for, or cancel it: nothing of it was signed",
    SendState.AWAITING_SIGNATURE: "sign the exported bytes and import the signatures; it cannot be"
    " cancelled, since whoever holds the bytes may complete them until they expire",
    SendState.SIGNED: "look at tron-client: it does not take the signed bytes over",
    SendState.UNKNOWN: "wait: it ends by itself once it is proved to be on chain or to have expired;"
    " never pay it again by hand",
    SendState.SUBMITTED: "wait until it has expired; look at tron-client if the chain stands still",
    SendState.SEEN: "look at tron-client: solid blocks do not come on",
    SendState.SETTLED_DIFFERENTLY: "compare its receipt with what was meant and settle with the"
    " recipient by hand; it is never signed again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """Since when a send does not come on, why, and what to do."""

    since_ms: int
    reason: str
    advice: str


def stuck(send: Send, *, now_ms: int) -> Stuck | None:
    """Return why a send does not come on by itself, or None while nobody has to look."""
    if send.state not in _ADVICE:
        return None
    is_queued = send.state is SendState.QUEUED
    since_ms = send.created_at_ms if is_queued else send.updated_at_ms
    patience_ms = STUCK_AFTER_MS
    if send.state in {SendState.SUBMITTED, SendState.SEEN}:
        patience_ms = SOLID_AFTER_MS
    if send.state is SendState.SETTLED_DIFFERENTLY:
        patience_ms = 0
    if now_ms - since_ms < patience_ms or (is_queued and send.waiting_for is None):
        return None
    reason = send.waiting_for or f"it has been {send.state} since then"
    return Stuck(since_ms=since_ms, reason=reason, advice=_ADVICE[send.state])

"""The order of sends that set state: one at a time, and a newer one ends an older one (hazard H16)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.wallet_manager.domain.meaning import STATE_KINDS
from services.wallet_manager.domain.sends import Rule, Send
from shared.models.wallet_sends import NEGATIVE_SEND_STATES, SendState

IN_A_BLOCK = frozenset({SendState.SEEN, SendState.CONFIRMED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Why a send is not signed now; with ``ends`` it never will be."""

    rule: Rule
    detail: str
    ends: bool


def turn_of(
    send: Send, lanes: Mapping[str, Sequence[Send]], predecessors: Mapping[str, Send]
) -> Turn | None:
    """Return None when it is this send's turn.

    Args:
        send: what is to be signed.
        lanes: sends under way in each lane.
        predecessors: sends that others wait for, by send key.
    """
    if send.lane is not None:
        turn = _in_lane(send, lanes.get(send.lane, ()))
        if turn is not None:
            return turn
    if send.after_key is None:
        return None
    before = predecessors.get(send.after_key)
    if before is None or before.state in NEGATIVE_SEND_STATES:
        told = f"the send it depends on, {send.after_key}, did not happen"
        return Turn(rule=Rule.PREDECESSOR, detail=told, ends=True)
    if before.state not in IN_A_BLOCK:
        told = f"the send it depends on, {send.after_key}, to be in a block"
        return Turn(rule=Rule.PREDECESSOR, detail=told, ends=False)
    return None


def is_superseded(send: Send, others: Sequence[Send]) -> bool:
    """True when a newer intent of its lane forbids this send another attempt, or its first.

    What replaces state makes the older one void at once. Loans and the like add up, so there only an
    attempt that expired is not made again, since the newer one may be the answer to it.
    """
    is_newer = any(_age(other) > _age(send) for other in others if other.id != send.id)
    return is_newer and (send.kind in STATE_KINDS or send.attempt > 0)


def _in_lane(send: Send, others: Sequence[Send]) -> Turn | None:
    if is_superseded(send, others):
        told = "a newer send sets the same state"
        return Turn(rule=Rule.SUPERSEDED, detail=told, ends=True)
    for other in others:
        if _age(other) < _age(send) and not _is_past(other):
            told = f"an older send that sets the same state, {other.send_key}"
            return Turn(rule=Rule.PREDECESSOR, detail=told, ends=False)
    return None


def _is_past(other: Send) -> bool:
    """True when a send can no longer come after one that is signed now.

    A block that is not solid may be replaced, and its transactions come again in another order: of two
    that replace the same state, the older one would be what stays.
    """
    return other.state in IN_A_BLOCK and other.kind not in STATE_KINDS


def _age(send: Send) -> tuple[int, str]:
    return send.created_at_ms, send.id

"""Approvals: what several people have to agree to before it happens."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from shared.access import Scope
from shared.errors import Conflict, Forbidden, NotFound

LONGEST_MS: Final = 7 * 86_400_000
"""No request stays open for longer."""


class ApprovalKind(StrEnum):
    """What is asked for."""

    EXPORT = "export"
    POLICY_CHANGE = "policy_change"
    LARGE_SEND = "large_send"
    UNLOCK = "unlock"
    LIFT_STOP = "lift_stop"


SCOPE_TO_AGREE: Final[Mapping[ApprovalKind, Scope]] = {
    kind: Scope.WALLETS_EXPORT if kind is ApprovalKind.EXPORT else Scope.WALLETS_ADMIN
    for kind in ApprovalKind
}
"""What who agrees to each kind has to hold."""


class ApprovalState(StrEnum):
    """Where a request is; whether it is over in time is judged when it is read."""

    OPEN = "open"
    AGREED = "agreed"
    DENIED = "denied"
    USED = "used"
    EXPIRED = "expired"


class UnknownApproval(NotFound):
    """There is no such request."""

    code = "LUCID_ERR_9352"
    title = "Unknown approval"


class ApprovalOver(Conflict):
    """The request is no longer open; ``state`` says what became of it."""

    code = "LUCID_ERR_9353"
    title = "The request is not open"


class NotForYou(Forbidden):
    """Who asks does not agree to it besides, and nobody agrees twice."""

    code = "LUCID_ERR_9354"
    title = "Another person has to agree"


class ApprovalNeeded(Forbidden):
    """The act needs people to agree first; ``approval_id`` names the request that asks them."""

    code = "LUCID_ERR_9355"
    title = "Approval needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One person's answer."""

    who: str
    at_ms: int
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request to let something happen, and who agreed.

    Attributes:
        kind: what is asked for.
        subject: about what: a wallet, a send, a scope of the policy.
        content: digest of just what would happen; another content needs another request.
        told: what would happen, where kind and subject do not say it all.
        asked_by: the principal who wants it.
        quorum: how many distinct people have to agree.
        expires_ms: not agreed to or not used by then, it is over.
        voices: who agreed.
        denied_by: who said no; one is enough.
        used: whether what was agreed to was done.
    """

    id: str
    version: int = 0
    kind: ApprovalKind
    subject: str
    content: str
    reason: str
    asked_by: str
    asked_ms: int
    quorum: int
    expires_ms: int
    told: str = ""
    voices: tuple[Voice, ...] = ()
    denied_by: Voice | None = None
    used: bool = False

    def __post_init__(self) -> None:
        if self.quorum < 1:
            raise ValueError("a quorum is at least one person")

    def state(self, now_ms: int) -> ApprovalState:
        """Return where the request is at a time."""
        if self.used:
            return ApprovalState.USED
        if self.denied_by is not None:
            return ApprovalState.DENIED
        if now_ms >= self.expires_ms:
            return ApprovalState.EXPIRED
        agreed = len({voice.who for voice in self.voices}) >= self.quorum
        return ApprovalState.AGREED if agreed else ApprovalState.OPEN

    def agreed(self, who: str, *, now_ms: int, note: str = "") -> "Approval":
        """Return the request with one more person's agreement.

        Raises:
            ApprovalOver: it is not open any more.
            NotForYou: the person asked for it, where more than one has to agree, or agreed before.
        """
        self._require_open(now_ms)
        if who == self.asked_by and self.quorum > 1:
            raise NotForYou("who asks for it does not agree to it besides", rule="self_approval")
        if any(voice.who == who for voice in self.voices):
            raise NotForYou("nobody agrees twice", rule="distinct_people")
        voice = Voice(who=who, at_ms=now_ms, note=note)
        return replace(self, voices=(*self.voices, voice))

    def denied(self, who: str, *, now_ms: int, note: str = "") -> "Approval":
        """Return the request turned down; raises ApprovalOver."""
        self._require_open(now_ms)
        return replace(self, denied_by=Voice(who=who, at_ms=now_ms, note=note))

    def spent(self, *, now_ms: int) -> "Approval":
        """Return the request used up; raises ApprovalOver unless it is agreed to."""
        if (state := self.state(now_ms)) is not ApprovalState.AGREED:
            raise ApprovalOver(f"the request is {state.value}, not agreed", state=state.value)
        return replace(self, used=True)

    def _require_open(self, now_ms: int) -> None:
        state = self.state(now_ms)
        if state is ApprovalState.AGREED:
            raise ApprovalOver("enough people agreed already", state=state.value)
        if state is not ApprovalState.OPEN:
            raise ApprovalOver(f"the request is {state.value}", state=state.value)

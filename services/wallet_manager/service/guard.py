"""Who may object to a send, when it is taken on and when it is signed, and keep a record with it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.wallet_manager.domain.sends import Hold, Send
from services.wallet_manager.store.changes import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why an attempt is not signed now.

    Attributes:
        rule: the rule that says so, in one word.
        detail: why, with the figures.
        is_final: True when waiting would not help; the send ends.
    """

    rule: str
    detail: str
    is_final: bool = False


class Door(Protocol):
    """One batch of intents at one gate: loaded once, asked for each."""

    async def admit(self, send: Send, *, caller: str, change: Change) -> None:
        """Let a send in that is not stored yet.

        What is put into ``change`` is stored in the same commit. Raises a Problem to refuse it.
        """
        ...


class Gate(Protocol):
    """Asked once for each new intent, before it is stored."""

    async def open(self, wallet_ids: Iterable[str]) -> Door:
        """Load what decides about sends of these wallets."""
        ...


class Desk(Protocol):
    """One signing round at one guard: loaded once, asked for each attempt, written with all of them."""

    def objection(self, send: Send, hold: Hold) -> Objection | None:
        """Say why this attempt, which may take so much at worst, is not signed now, or None."""
        ...

    def take(self, send: Send, hold: Hold) -> None:
        """Count an attempt that is being signed, so that the next one finds it counted."""
        ...

    def write(self, change: Change) -> None:
        """Put what was counted into the commit that stores the attempts: all or nothing (H14)."""
        ...


class Guard(Protocol):
    """Asked before every signature: caps, approvals, the kill switch."""

    def reason(self) -> str | None:
        """Say why nothing at all is signed now, or None."""
        ...

    async def open(self, sends: Sequence[Send], *, now_ms: int) -> Desk:
        """Load what decides about these sends; nothing else signs until the round is written."""
        ...

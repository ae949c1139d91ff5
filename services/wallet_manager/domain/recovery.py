"""How the database was left, and what has to be proved before a key is used again (hazard H5).

A database that was restored, or whose process was killed, may have forgotten sends that were signed and
addresses that were shown. Until nothing can be missing the service is in quarantine: it signs nothing
and derives nothing.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from services.wallet_manager.domain.sends import STAMP_FLOOR_MS, Attempt, Hold, Send
from shared.errors import Conflict, NotReady
from shared.models.wallet_sends import FINAL_SEND_STATES, SendState
from shared.tron.address import Address

RUN_ID: Final = "run"

MARK_SLACK_MS: Final = 100
"""How far a timestamp may lie above its mark: it was counted up while others of its wallet had it (H6).

Another send that does the same has a mark so near in one case of 6,000 for each attempt, and would be
taken for paid; one that was counted up further only waits for a person.
"""

MOST_SKEW_MS: Final = 60_000
"""How far clocks may differ while anything is signed or a quarantine goes on (H2)."""

LONGEST_EXPIRY_MS: Final = 600_000 + MOST_SKEW_MS
"""After this no signed transaction can get into a block: ten minutes, and the most that clocks differ."""

INDEX_GAP: Final = 1_000
"""Leaves or accounts in a row that nobody watches, after which no later one was ever shown.

So many are skipped.
"""


class Quarantined(NotReady):
    """Until it is proved that no record is missing, no key is used (hazard H5)."""

    code = "LUCID_ERR_9360"
    title = "In quarantine"


class NotClaimable(Conflict):
    """It is decided what this transaction was for, or the send named cannot have made it."""

    code = "LUCID_ERR_9361"
    title = "Not to be claimed"


class Stage(StrEnum):
    """What has to be done before anything is signed or derived, in this order after a restore.

    After a kill with the database intact, comparing is all that is needed.
    """

    CLEAR = "clear"
    COMPARING = "comparing"
    INDEXING = "indexing"
    IMPORTING = "importing"
    MATCHING = "matching"


TOLD: Final = {
    Stage.COMPARING: "after a stop that was not clean: comparing with what tron-client was given",
    Stage.INDEXING: "after a restore: moving past addresses that were shown",
    Stage.IMPORTING: "after a restore: importing what tron-client was given",
    Stage.MATCHING: "after a restore: looking for our transactions in solid blocks",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The mark of a process that has this database open.

    Attributes:
        incarnation: of the database when the mark was made; a restored copy has another.
        is_running: False once a process ended as it should.
        stage: what has to be done yet.
        why: what led to the quarantine, for people.
        height: solid height at a moment when all that is stored here was stored already.
        began_ms: when the quarantine began.
        next_height: first block that is not looked through yet, while matching.
        until_ms: a solid block of this time or later ends the matching.
        forgot_ms: when the last matching began: what had left unsigned before then may be forgotten here.
        strangers: addresses that were watched and no wallet's when indexes were last moved on.
        from_copy: whether the quarantine began because the database was restored.
        next_account: no account before it is given to a wallet that is made from now on.
    """

    id: str = RUN_ID
    version: int = 0
    incarnation: str
    is_running: bool = True
    stage: Stage = Stage.CLEAR
    why: str = ""
    height: int = 0
    began_ms: int = 0
    next_height: int | None = None
    until_ms: int | None = None
    forgot_ms: int = 0
    strangers: int = 0
    from_copy: bool = False
    next_account: int = 0

    @property
    def is_clear(self) -> bool:
        """True when keys may be used."""
        return self.stage is Stage.CLEAR

    def reason(self) -> str | None:
        """Say why nothing is signed and nothing derived, or None."""
        if self.is_clear:
            return None
        where = f" from block {self.next_height} on" if self.next_height is not None else ""
        return f"quarantine {TOLD[self.stage]}{where} ({self.why})"

    def stopped(self) -> "Run":
        """Return the mark of a process that ended as it should."""
        return replace(self, is_running=False)

    def noted(self, height: int) -> "Run":
        """Return the mark at a solid height; it never goes back, and stands still in quarantine."""
        return replace(self, height=max(self.height, height)) if self.is_clear else self

    def quarantined(self, stage: Stage, *, why: str, at_ms: int) -> "Run":
        """Return the mark at the beginning of a quarantine."""
        return replace(self, stage=stage, why=why, began_ms=at_ms, next_height=None, until_ms=None)

    def matching(self, *, at_ms: int) -> "Run":
        """Return the mark when blocks are to be looked through, till what is under way now is over."""
        return replace(
            self,
            stage=Stage.MATCHING,
            next_height=max(self.height, 1),
            until_ms=at_ms + LONGEST_EXPIRY_MS,
            forgot_ms=at_ms,
        )

    def looked_through(self, last_height: int) -> "Run":
        """Return the mark after blocks up to a height were looked through."""
        return replace(self, next_height=last_height + 1)

    def importing(self, *, strangers: int, next_account: int) -> "Run":
        """Return the mark when transactions are next."""
        return replace(self, stage=Stage.IMPORTING, strangers=strangers, next_account=next_account)

    def cleared(self) -> "Run":
        """Return the mark when nothing can be missing any more."""
        return replace(
            self, stage=Stage.CLEAR, why="", next_height=None, until_ms=None, from_copy=False
        )


def boot(before: Run | None, *, incarnation: str, is_used: bool, at_ms: int) -> Run:
    """Return the mark of a process that has just opened the database.

    Args:
        before: the mark it found.
        incarnation: of the database.
        is_used: True when it holds wallets.
        at_ms: the time.
    """
    run = replace(before or Run(incarnation=incarnation), is_running=True, incarnation=incarnation)
    if before is None:
        if is_used:
            return run.quarantined(Stage.COMPARING, why="the database has no mark yet", at_ms=at_ms)
        return run
    if before.incarnation != incarnation:
        why = "the database was restored from a copy"
        restored = replace(run, from_copy=True)
        return restored.quarantined(Stage.INDEXING, why=why, at_ms=at_ms)
    if before.is_clear and before.is_running:
        why = "the last process did not end as it should"
        return run.quarantined(Stage.COMPARING, why=why, at_ms=at_ms)
    return run


class ClaimState(StrEnum):
    """Whether it is known what a transaction was for."""

    OPEN = "open"
    CLAIMED = "claimed"
    DISMISSED = "dismissed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclaimed:
    """A transaction of ours in a solid block that no record here explains.

    Attributes:
        id: its txid.
        facts: what it does, in one line; None if it is nothing that is signed here.
        stamp_ms: its timestamp, which holds the mark of its send key and attempt (hazard H6).
        hold: what it took at worst, kept aside until it is known what it was for.
        claimed_by: id of the send that it turned out to be.
        note: why a person decided so.
    """

    id: str
    version: int = 0
    owner: Address
    facts: str | None
    stamp_ms: int
    raw_data: str
    signature: str
    expires_at_ms: int
    fee_limit_sun: int
    height: int
    succeeded: bool
    hold: Hold = Hold()  # noqa: RUF009 - frozen, and of another module
    state: ClaimState = ClaimState.OPEN
    claimed_by: str | None = None
    note: str = ""
    found_ms: int

    def claimed(self, send_id: str, *, note: str = "") -> "Unclaimed":
        """Return it as the transaction of a send."""
        return replace(self, state=ClaimState.CLAIMED, claimed_by=send_id, note=note)

    def dismissed(self, note: str) -> "Unclaimed":
        """Return it as one that is no send's, as a person decided."""
        return replace(self, state=ClaimState.DISMISSED, note=note)


def bears(mark_ms: int, stamp_ms: int) -> bool:
    """True when a timestamp can be that of the send and attempt whose first timestamp is given.

    Only the place within ten minutes counts: the floor is that of the moment of signing.
    """
    return (stamp_ms - mark_ms) % STAMP_FLOOR_MS < MARK_SLACK_MS


def with_attempt(
    send: Send,
    attempt: Attempt,
    *,
    state: SendState,
    hold: Hold,
    fee_limit_sun: int,
    at_ms: int,
) -> Send:
    """Return a send with an attempt that its record had lost.

    This is no step in its life, so it does not go by the table of steps. A send that is final keeps
    its answer, and one that has a later attempt keeps that.
    """
    if attempt.number < send.attempt or send.state in FINAL_SEND_STATES:
        return send
    return replace(
        send,
        state=state,
        attempt=attempt.number,
        txid=attempt.id,
        expires_at_ms=attempt.expires_at_ms,
        fee_limit_sun=fee_limit_sun,
        hold=hold,
        due_ms=at_ms,
        waiting_for="a verdict: the record of its transaction was lost and found again",
        updated_at_ms=at_ms,
    )

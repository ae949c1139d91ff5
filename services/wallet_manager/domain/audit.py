"""The audit log: decisions in a chain of hashes that shows every change, gap and swap.

Decisions that are stored together make one page. Each has a digest over its number, itself and the
digest before, so that the pages can be checked one after the other; the head names the last one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Final

GENESIS: Final = sha256(b"lucid-tron/v1/audit").hexdigest()
"""The digest before the first decision."""

HEAD_ID: Final = "head"
MAX_TEXT_CHARACTERS: Final = 500


class Act(StrEnum):
    """What was decided."""

    SEND_ACCEPTED = "send.accepted"
    SEND_REFUSED = "send.refused"
    SEND_SIGNED = "send.signed"
    SEND_CANCELLED = "send.cancelled"
    SEND_EXPORTED = "send.exported"
    SEND_COMPLETED = "send.completed"
    SEND_ENDED = "send.ended"
    TRANSACTION_CLAIMED = "transaction.claimed"
    TRANSACTION_DISMISSED = "transaction.dismissed"
    POLICY_CHANGED = "policy.changed"
    APPROVAL_ASKED = "approval.asked"
    APPROVAL_GIVEN = "approval.given"
    APPROVAL_DENIED = "approval.denied"
    APPROVAL_USED = "approval.used"
    STOP_SET = "stop.set"
    STOP_LIFTED = "stop.lifted"
    BOOKS_CORRECTED = "books.corrected"
    WALLET_MADE = "wallet.made"
    WALLET_CHANGED = "wallet.changed"
    WALLET_LOCKED = "wallet.locked"
    WALLET_UNLOCKED = "wallet.unlocked"
    WALLET_IMPORTED = "wallet.imported"
    WALLET_EXPORTED = "wallet.exported"
    MESSAGE_SIGNED = "message.signed"
    VAULT_UNLOCKED = "vault.unlocked"
    VAULT_UNLOCK_REFUSED = "vault.unlock_refused"
    VAULT_LOCKED = "vault.locked"
    VAULT_REKEYED = "vault.rekeyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision.

    Attributes:
        act: what was decided.
        subject: about what: the id of a send, a wallet, an approval.
        who: the principal, or the service itself.
        why: the rule or the reason given.
        at_ms: when, by the local clock.
        request_id: of the request that led to it; empty in a loop.
        facts: further names and figures, as pairs.
    """

    act: Act
    subject: str
    who: str
    why: str = ""
    at_ms: int
    request_id: str = ""
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Decisions that were stored together.

    Attributes:
        id: ``first`` with leading zeros.
        first: number of the first decision, from 1, without gaps.
        previous: digest of the decision before.
        decisions: what was decided, in order.
        digests: of each decision.
    """

    id: str
    version: int = 0
    first: int
    previous: str
    decisions: tuple[Decision, ...]
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """Where the chain ends.

    Attributes:
        count: how many decisions there are.
        digest: of the last one.
    """

    id: str = HEAD_ID
    version: int = 0
    count: int = 0
    digest: str = GENESIS

    def after(self, decisions: Sequence[Decision]) -> tuple[AuditPage, "AuditHead"]:
        """Return the page of further decisions, and the head after them."""
        digests: list[str] = []
        digest = self.digest
        for number, decision in enumerate(decisions, start=self.count + 1):
            digest = digest_of(digest, number, decision)
            digests.append(digest)
        page = AuditPage(
            id=page_id(self.count + 1),
            first=self.count + 1,
            previous=self.digest,
            decisions=tuple(decisions),
            digests=tuple(digests),
        )
        return page, replace(self, count=self.count + len(digests), digest=digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Where the chain does not hold.

    Attributes:
        number: of the first decision that cannot be trusted.
        detail: what is wrong there.
    """

    number: int
    detail: str


def page_id(first: int) -> str:
    """Name the page that begins with a decision."""
    return f"{first:015d}"


def digest_of(previous: str, number: int, decision: Decision) -> str:
    """Return the digest of a decision: SHA-256 over the one before, its number and its JSON, in hex."""
    content = {
        "previous": previous,
        "number": number,
        "act": decision.act.value,
        "subject": decision.subject,
        "who": decision.who,
        "why": decision.why,
        "at_ms": decision.at_ms,
        "request_id": decision.request_id,
        "facts": decision.facts,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode()).hexdigest()


class Chain:
    """Checks pages as they come, first to last.

    Args:
        anchors: digests by number, written down elsewhere, that the chain has to hold.
    """

    def __init__(self, anchors: Sequence[tuple[int, str]] = ()) -> None:
        self._anchors: dict[int, set[str]] = {}
        for number, digest in anchors:  # two that differ cannot both hold
            self._anchors.setdefault(number, set()).add(digest)
        self.count = 0
        self.digest = GENESIS

    def add(self, page: AuditPage) -> Break | None:
        """Check the next page; returns where it breaks the chain, if it does."""
        if page.first != self.count + 1 or page.id != page_id(page.first):
            return Break(
                number=self.count + 1,
                detail=f"the next page begins with {page.first}: pages are missing or were swapped",
            )
        if page.previous != self.digest:
            return Break(number=page.first, detail="it does not follow the decision before")
        if not page.decisions or len(page.digests) != len(page.decisions):
            return Break(number=page.first, detail="its page has not one digest for each decision")
        for decision, stored in zip(page.decisions, page.digests, strict=True):
            self.count += 1
            self.digest = digest_of(self.digest, self.count, decision)
            if self.digest != stored:
                return Break(number=self.count, detail="it was changed after it was written")
            if self._anchors.pop(self.count, {self.digest}) != {self.digest}:
                return Break(number=self.count, detail="it differs from what was written down")
        return None

    def end(self, head: AuditHead | None) -> Break | None:
        """Compare the end with the head and the anchors; returns where decisions are missing."""
        count, digest = (head.count, head.digest) if head else (0, GENESIS)
        if count != self.count:
            return Break(
                number=min(count, self.count) + 1,
                detail=f"the head counts {count} decisions, the pages hold {self.count}",
            )
        if digest != self.digest:
            return Break(number=self.count, detail="the head is that of another chain")
        if self._anchors:
            return Break(
                number=self.count + 1,
                detail=f"decision {max(self._anchors)} was written down and is not here",
            )
        return None

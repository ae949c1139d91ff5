"""The audit log: every decision in the same unit of work as what it tells."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from services.wallet_manager.domain.audit import (
    HEAD_ID,
    MAX_TEXT_CHARACTERS,
    Act,
    AuditHead,
    AuditPage,
    Break,
    Chain,
    Decision,
)
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import AUDIT_HEADS, AUDIT_PAGES
from shared.clock import Clock
from shared.errors import NotFound
from shared.logs import request_id
from shared.storage import Storage, Unit

PAGES_AT_ONCE: Final = 100
ITSELF: Final = "wallet-manager"
"""Who decides in a loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a check of the whole chain found.

    Attributes:
        count: decisions up to which it holds.
        digest: of the last one; written down elsewhere, it anchors everything before.
        broken: where the chain does not hold, or None.
    """

    count: int
    digest: str
    broken: Break | None


class Audit:
    """Writes decisions down, one writer at a time, and reads them back."""

    def __init__(self, *, store: WalletStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def decision(
        self,
        act: Act,
        subject: str,
        *,
        who: str = ITSELF,
        why: str = "",
        **facts: object,
    ) -> Decision:
        """Make a decision of now, with the id of the request under way; texts are cut to a length."""
        return decided(act, subject, at_ms=self._clock.now_ms(), who=who, why=why, **facts)

    async def note(self, *decisions: Decision) -> None:
        """Write down decisions that change nothing else that is stored; raises StorageError."""
        await self._store.record(Unit(), decisions)

    async def head(self) -> AuditHead:
        """Return where the chain ends."""
        return await self._store.audit_head()

    async def decisions(
        self, *, after: int, limit: int
    ) -> AsyncIterator[tuple[int, str, Decision]]:
        """Return decisions after a number with their numbers and digests, at most so many.

        Raises:
            NotFound: the chain is damaged there; ``verify`` says where.
        """
        left, next_number = limit, after + 1
        while left > 0:
            page = await self._page_with(next_number)
            if page is None:
                return
            if page.first > next_number or len(page.digests) < len(page.decisions):
                raise NotFound("the audit log is damaged here; verify it", number=next_number)
            for number, (decision, digest) in enumerate(
                zip(page.decisions, page.digests, strict=False), start=page.first
            ):
                if number >= next_number and left > 0:
                    yield number, digest, decision
                    left -= 1
            next_number = page.first + len(page.decisions)

    async def verify(self, *, anchors: Sequence[tuple[int, str]] = ()) -> Verified:
        """Check the whole chain up to where it ended when the check began.

        Args:
            anchors: numbers and digests that were written down elsewhere, such as with a backup:
                they show that the end was not cut off.
        """
        return await verify(self._store.storage, anchors=anchors)

    async def _page_with(self, number: int) -> AuditPage | None:
        storage = self._store.storage
        before = await storage.list(AUDIT_PAGES, "first", limit=1, descending=True, at_most=number)
        if before.items and number < before.items[0].first + len(before.items[0].decisions):
            return before.items[0]
        after = await storage.list(AUDIT_PAGES, "first", limit=1, at_least=number)
        return after.items[0] if after.items else None


def decided(
    act: Act, subject: str, *, at_ms: int, who: str = ITSELF, why: str = "", **facts: object
) -> Decision:
    """Make a decision of a moment, with the id of the request under way; texts are cut to a length."""
    return Decision(
        act=act,
        subject=subject[:MAX_TEXT_CHARACTERS],
        who=who[:MAX_TEXT_CHARACTERS],
        why=why[:MAX_TEXT_CHARACTERS],
        at_ms=at_ms,
        request_id=request_id.get(),
        facts=tuple((name, str(fact)[:MAX_TEXT_CHARACTERS]) for name, fact in facts.items()),
    )


async def verify(storage: Storage, *, anchors: Sequence[tuple[int, str]] = ()) -> Verified:
    """Check the chain of a database up to where it ended when the check began."""
    head = await storage.get(AUDIT_HEADS, HEAD_ID)
    chain = Chain(anchors)
    cursor: str | None = None
    while True:
        found = await storage.list(AUDIT_PAGES, "first", limit=PAGES_AT_ONCE, cursor=cursor)
        for page in found.items:
            if head is not None and page.first > head.count and await _moved_on(storage, head):
                continue
            if (broken := chain.add(page)) is not None:
                return Verified(count=broken.number - 1, digest=chain.digest, broken=broken)
        cursor = found.next
        if cursor is None:
            break
    return Verified(count=chain.count, digest=chain.digest, broken=chain.end(head))


async def _moved_on(storage: Storage, head: AuditHead) -> bool:
    """True when decisions were written since the head was read: they are left to the next check."""
    now = await storage.get(AUDIT_HEADS, HEAD_ID)
    return now is not None and now.count > head.count

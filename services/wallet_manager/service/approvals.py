"""Approvals: acts that several people have to agree to, asked for, answered and used once."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from services.wallet_manager.domain.approvals import (
    LONGEST_MS,
    Approval,
    ApprovalKind,
    ApprovalNeeded,
    ApprovalState,
    UnknownApproval,
)
from services.wallet_manager.domain.audit import Act
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import APPROVALS
from shared.clock import Clock
from shared.ids import NewId
from shared.storage import Page, written

PAGE: Final = 500
RESTORED: Final = "restored from a copy: it may have been used or turned down since"


class Approvals:
    """Asks people, counts their voices, and lets an agreed act happen once.

    Args:
        quorums: how many distinct people have to agree, by kind.
        lifetime_ms: until a request is over.
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        audit: Audit,
        clock: Clock,
        new_id: NewId,
        quorums: Mapping[ApprovalKind, int],
        lifetime_ms: int,
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._new_id = new_id
        self._quorums = quorums
        self._lifetime_ms = min(lifetime_ms, LONGEST_MS)
        self._answering = asyncio.Lock()

    def quorum(self, kind: ApprovalKind) -> int:
        """Return how many people have to agree to a kind of act."""
        return self._quorums[kind]

    async def find(self, approval_id: str) -> Approval:
        """Return a request; raises UnknownApproval."""
        found = await self._store.storage.get(APPROVALS, approval_id)
        if found is None:
            raise UnknownApproval("there is no such request", approval_id=approval_id)
        return found

    async def page(self, *, cursor: str | None, limit: int) -> Page[Approval]:
        """Return a page of requests, newest first."""
        return await self._store.storage.list(
            APPROVALS, "asked", limit=limit, cursor=cursor, descending=True
        )

    def state(self, approval: Approval) -> ApprovalState:
        """Return where a request is now."""
        return approval.state(self._clock.now_ms())

    async def ask(
        self,
        kind: ApprovalKind,
        subject: str,
        *,
        content: str,
        reason: str,
        by: str,
        told: str = "",
    ) -> Approval:
        """Ask for an act; who asks counts as agreed only where one person is enough.

        A request for the same content that is still open or agreed is returned as it is.
        """
        async with self._answering:
            known = await self._standing(kind, content)
            if known is not None:
                return known
            change = Change()
            asked = self.request(
                kind, subject, content=content, reason=reason, by=by, id_=self._new_id("apr")
            )
            asked = replace(asked, told=told)
            self.put(change, asked)
            await self._store.commit(change)
            return written(asked)

    def request(
        self,
        kind: ApprovalKind,
        subject: str,
        *,
        content: str,
        reason: str,
        by: str,
        id_: str,
        quorum: int | None = None,
        expires_ms: int | None = None,
    ) -> Approval:
        """Make a new request, to be put into the change that stores what has to wait for it."""
        now_ms = self._clock.now_ms()
        latest_ms = now_ms + (LONGEST_MS if expires_ms is not None else self._lifetime_ms)
        return Approval(
            id=id_,
            kind=kind,
            subject=subject,
            content=content,
            reason=reason,
            asked_by=by,
            asked_ms=now_ms,
            quorum=quorum or self._quorums[kind],
            expires_ms=latest_ms if expires_ms is None else min(expires_ms, latest_ms),
        )

    def put(self, change: Change, asked: Approval) -> None:
        """Store a new request with a change, and write down that it was asked for."""
        change.approval(asked)
        change.decide(
            self._audit.decision(
                Act.APPROVAL_ASKED,
                asked.id,
                who=asked.asked_by,
                why=asked.reason,
                kind=asked.kind.value,
                about=asked.subject,
            )
        )

    async def agree(self, approval_id: str, *, who: str, note: str) -> Approval:
        """Count one person's agreement.

        Raises:
            UnknownApproval: there is no such request.
            ApprovalOver: it is not open.
            NotForYou: the person asked for it, or agreed before.
        """
        async with self._answering:
            before = await self.find(approval_id)
            after = before.agreed(who, now_ms=self._clock.now_ms(), note=note)
            return await self._answered(after, Act.APPROVAL_GIVEN, who, note)

    async def deny(self, approval_id: str, *, who: str, note: str) -> Approval:
        """Turn a request down; raises UnknownApproval, ApprovalOver."""
        async with self._answering:
            before = await self.find(approval_id)
            after = before.denied(who, now_ms=self._clock.now_ms(), note=note)
            return await self._answered(after, Act.APPROVAL_DENIED, who, note)

    async def require(
        self,
        change: Change,
        kind: ApprovalKind,
        subject: str,
        *,
        content: str,
        reason: str,
        by: str,
        told: str = "",
    ) -> None:
        """Use up the agreement to just this act, in the change that carries it out.

        Where one person is enough, that is the caller. Otherwise people are asked; ``told`` says to them
        what kind and subject do not, for they answer for the content.

        Raises:
            ApprovalNeeded: not enough people agreed yet; ``approval_id`` names the request.
        """
        if self._quorums[kind] == 1:
            return
        asked = await self.ask(kind, subject, content=content, reason=reason, by=by, told=told)
        now_ms = self._clock.now_ms()
        if asked.state(now_ms) is not ApprovalState.AGREED:
            raise ApprovalNeeded(
                f"{len(asked.voices)} of {asked.quorum} people agreed to it so far",
                approval_id=asked.id,
                agreed=len(asked.voices),
                quorum=asked.quorum,
            )
        change.approval(asked.spent(now_ms=now_ms))
        change.decide(self._audit.decision(Act.APPROVAL_USED, asked.id, who=by, why=reason))

    async def end_standing(self) -> int:
        """End every request that is open or agreed, but for large sends; returns how many.

        After a restore nobody knows whether it was used or turned down since (hazard H5).
        """
        count, cursor = 0, None
        async with self._answering:
            while True:
                page = await self.page(cursor=cursor, limit=PAGE)
                alive = [one for one in page.items if self._may_happen(one)]
                change = Change()
                for one in alive:
                    change.approval(replace(one, expires_ms=self._clock.now_ms()))
                    change.decide(self._audit.decision(Act.APPROVAL_DENIED, one.id, why=RESTORED))
                if alive:
                    await self._store.commit(change)
                count += len(alive)
                cursor = page.next
                if cursor is None:
                    return count

    def _may_happen(self, approval: Approval) -> bool:
        alive = self.state(approval) in {ApprovalState.OPEN, ApprovalState.AGREED}
        return alive and approval.kind is not ApprovalKind.LARGE_SEND

    async def _standing(self, kind: ApprovalKind, content: str) -> Approval | None:
        page = await self._store.storage.list(
            APPROVALS, "content", kind.value, content, limit=1, descending=True
        )
        alive = {ApprovalState.OPEN, ApprovalState.AGREED}
        return next((one for one in page.items if self.state(one) in alive), None)

    async def _answered(self, after: Approval, act: Act, who: str, note: str) -> Approval:
        change = Change()
        change.approval(after)
        change.decide(self._audit.decision(act, after.id, who=who, why=note, about=after.subject))
        await self._store.commit(change)
        return written(after)

"""The policy of each wallet and its changes: what is looser waits, and every version is kept."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from services.wallet_manager.domain.approvals import ApprovalKind
from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.rulebook import (
    EVERY_WALLET,
    Policy,
    PolicyMoved,
    Rulebook,
    first_policy,
)
from services.wallet_manager.service.approvals import Approvals
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.guardviews import rules_view
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import POLICIES
from shared.clock import Clock
from shared.errors import NotFound
from shared.ids import fingerprint
from shared.storage import StaleRecord, written


class Policies:
    """The policy of each wallet, and its changes.

    Args:
        books_lock: held by a signing round from what it reads until it is stored, so that nothing is
            signed under a policy once its change was answered.
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        audit: Audit,
        approvals: Approvals,
        ledger: Clock,
        default: Rulebook,
        cooling_off_ms: int,
        books_lock: asyncio.Lock,
    ) -> None:
        self._store = store
        self._audit = audit
        self._approvals = approvals
        self._ledger = ledger
        self._default = default
        self._cooling_off_ms = cooling_off_ms
        self._books_lock = books_lock

    async def of(self, wallet_ids: Iterable[str]) -> dict[str, Policy]:
        """Return the policies of wallets: their own, else that for every wallet."""
        wanted = set(wallet_ids)
        found = await self._store.storage.get_many(POLICIES, sorted(wanted | {EVERY_WALLET}))
        rest = found.get(EVERY_WALLET) or first_policy(self._default)
        return {wallet_id: found.get(wallet_id) or rest for wallet_id in wanted}

    async def stored(self, scope: str) -> Policy:
        """Return the policy for a scope; without one of its own, the one that holds there."""
        return (await self.of([scope]))[scope]

    async def at_revision(self, scope: str, revision: int) -> Policy:
        """Return the policy for a scope as a change left it.

        Raises:
            NotFound: no change of this scope has that number.
        """
        kept = await self._store.storage.get(POLICIES, _kept_as(scope, revision))
        if kept is None:
            raise NotFound("there is no such revision", scope=scope, revision=revision)
        return replace(kept, id=scope)

    async def is_explicit(self) -> bool:
        """True once a person has decided on the policy for every wallet."""
        return (await self.stored(EVERY_WALLET)).explicit

    def rules(self, policy: Policy) -> Rulebook:
        """Return the rules in force now; raises LedgerTimeUnknown while a looser one is coming."""
        return policy.rules if policy.coming is None else policy.at(self._ledger.now_ms())

    async def change(
        self, scope: str, wanted: Rulebook, *, revision: int, by: str, reason: str
    ) -> Policy:
        """Change a policy: what is stricter holds at once, what is looser after the cooling-off.

        Args:
            scope: a wallet, or ``EVERY_WALLET``.
            wanted: the whole document.
            revision: of the policy that the caller read.
            by: the principal.
            reason: for the record.

        Raises:
            PolicyMoved: the policy is another one by now.
            ApprovalNeeded: people have to agree first; then ask again for just the same.
            LedgerTimeUnknown: there is no time yet that a cooling-off could begin at.
        """
        before = await self.stored(scope)
        if before.revision != revision:
            raise PolicyMoved(
                f"the policy is at revision {before.revision}", revision=before.revision
            )
        base = (
            before
            if before.id == scope
            else Policy(
                id=scope, revision=before.revision, explicit=False, rules=self.rules(before)
            )
        )
        after = base.changed(
            wanted, now_ms=self._ledger.now_ms(), cooling_off_ms=self._cooling_off_ms
        )
        change = Change()
        await self._approvals.require(
            change,
            ApprovalKind.POLICY_CHANGE,
            scope,
            content=fingerprint({"scope": scope, "revision": revision, "rules": _plain(wanted)}),
            reason=reason,
            by=by,
            told=rules_view(wanted).model_dump_json(),
        )
        change.policy(after)
        change.policy(replace(after, id=_kept_as(scope, after.revision), version=0))
        change.decide(
            self._audit.decision(
                Act.POLICY_CHANGED,
                scope,
                who=by,
                why=reason,
                revision=after.revision,
                rules=fingerprint(_plain(wanted)),
                loosens=after.coming is not None,
                in_force_ms=after.next_ms,
            )
        )
        try:
            async with self._books_lock:
                await self._store.commit(change)
        except StaleRecord:
            raise PolicyMoved("the policy was changed meanwhile", revision=revision) from None
        return written(after)


def _kept_as(scope: str, revision: int) -> str:
    return f"{scope}@{revision}"


def _plain(rules: Rulebook) -> dict[str, object]:
    """Return a document as plain JSON values in one order, to take a fingerprint of."""
    return {
        "kinds": sorted(rules.kinds),
        "tokens": sorted(rules.tokens),
        "pairs": sorted(
            [pair.service, pair.purpose.value, sorted(pair.kinds)] for pair in rules.pairs
        ),
        "destinations": None if rules.destinations is None else sorted(rules.destinations),
        "calls": sorted([rule.contract, sorted(rule.selectors)] for rule in rules.calls),
        "caps": sorted(
            [
                caps.currency.value,
                caps.per_send,
                caps.per_hour,
                caps.per_day,
                caps.per_destination,
                caps.unproved_per_day,
                caps.agreed_above,
            ]
            for caps in rules.caps
        ),
        "fees_per_hour_sun": rules.fees_per_hour_sun,
        "quorum": rules.quorum,
    }

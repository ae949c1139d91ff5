"""Policy at work: asked when an intent is taken on and again before every signature (H4, H14).

What was spent under a cap is one versioned record for each sum. It is changed in the commit that
stores the signature, so of two rounds that judged the same sum one has to look again.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from services.wallet_manager.domain.approvals import Approval, ApprovalKind, ApprovalState
from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.caps import (
    BUCKET_MS,
    BUCKETS,
    Breach,
    counted,
    needs_approval,
    standing_breach,
    subjects_of,
    window_breach,
)
from services.wallet_manager.domain.policy import PolicyRefusal
from services.wallet_manager.domain.rulebook import (
    EVERY_WALLET,
    Policy,
    PolicyMoved,
    Rulebook,
    first_policy,
)
from services.wallet_manager.domain.sends import Attempt, Hold, Send
from services.wallet_manager.service.approvals import Approvals
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.guard import Objection
from services.wallet_manager.service.guardviews import rules_view
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import APPROVALS, POLICIES, SPENT
from shared.clock import Clock
from shared.errors import NotFound
from shared.ids import fingerprint
from shared.models.wallet_sends import SendState
from shared.storage import MAX_ROWS, StaleRecord, Tally, written

OPERATORS_TO_PROVE: Final = 2
"""Node operators that have to agree before an absence is proved (hazard H1)."""


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


class PolicyGate:
    """Asked once for each new intent."""

    def __init__(self, *, policies: Policies, approvals: Approvals, audit: Audit) -> None:
        self._policies = policies
        self._approvals = approvals
        self._audit = audit

    async def open(self, wallet_ids: Iterable[str]) -> "PolicyDoor":
        """Load the policies of these wallets."""
        return PolicyDoor(
            policies=await self._policies.of(wallet_ids),
            in_force=self._policies.rules,
            approvals=self._approvals,
            audit=self._audit,
        )


class PolicyDoor:
    """One batch of intents.

    Args:
        policies: by wallet.
        in_force: the rules of a policy that hold now.
        approvals: where large sends are asked for.
        audit: writes down what is let in and what is refused.
    """

    def __init__(
        self,
        *,
        policies: Mapping[str, Policy],
        in_force: Callable[[Policy], Rulebook],
        approvals: Approvals,
        audit: Audit,
    ) -> None:
        self._policies = policies
        self._in_force = in_force
        self._approvals = approvals
        self._audit = audit

    async def admit(self, send: Send, *, caller: str, change: Change) -> None:
        """Let a send in that some policy in force could ever sign; large ones ask people.

        Raises:
            PolicyRefusal: it never could; ``rule`` and the figures say why.
        """
        rules = self._in_force(self._policies[send.wallet_id])
        if (breach := standing_breach(send, rules)) is not None:
            await self._audit.note(
                self._audit.decision(
                    Act.SEND_REFUSED,
                    send.send_key,
                    who=_asker(send),
                    why=breach.rule.value,
                    caller=caller,
                    **breach.facts(),
                )
            )
            raise refusal(breach)
        if needs_approval(send, rules):
            asked = self._approvals.request(
                ApprovalKind.LARGE_SEND,
                send.id,
                content=fingerprint(_means(send)),
                reason=_told(send),
                by=send.origin_principal,  # the person, who may not agree to it besides
                id_=approval_id(send),
                quorum=rules.quorum,
                expires_ms=send.not_after_ms,
            )
            self._approvals.put(change, asked)
        change.decide(
            self._audit.decision(
                Act.SEND_ACCEPTED,
                send.id,
                who=_asker(send),
                why=send.purpose.value,
                caller=caller,
                key=send.send_key,
                **_means(send),
            )
        )


class PolicyGuard:
    """Asked before every signature.

    Args:
        operators: how many node operators agree on the chain just now.
        clock: the local clock, by which requests for approval run out.
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        policies: Policies,
        audit: Audit,
        ledger: Clock,
        clock: Clock,
        operators: Callable[[], int],
    ) -> None:
        self._store = store
        self._policies = policies
        self._audit = audit
        self._ledger = ledger
        self._clock = clock
        self._operators = operators

    def reason(self) -> str | None:
        """Policy alone never stops everything."""
        return None

    async def open(self, sends: Sequence[Send], *, now_ms: int) -> "PolicyDesk":
        """Load the policies, what was spent, and who agreed; raises LedgerTimeUnknown."""
        del now_ms  # caps run on the ledger's clock, and that alone
        policies = await self._policies.of(send.wallet_id for send in sends)
        subjects = [subject for send in sends for subject in subjects_of(send)]
        asked = [approval_id(send) for send in sends]
        return PolicyDesk(
            rules={wallet: self._policies.rules(policy) for wallet, policy in policies.items()},
            tallies=await load_tallies(self._store, subjects),
            approvals=await self._store.storage.get_many(APPROVALS, asked) if asked else {},
            audit=self._audit,
            ledger_ms=self._ledger.now_ms(),
            clock_ms=self._clock.now_ms(),
            is_unproved=self._operators() < OPERATORS_TO_PROVE,
        )


class PolicyDesk:
    """One signing round: sums grow as attempts are taken.

    Args:
        rules: in force, by wallet.
        tallies: what was spent, by subject.
        approvals: of large sends, by id.
        audit: writes down what is signed.
        ledger_ms: the time that sums run on.
        clock_ms: the time that requests for approval run out by.
        is_unproved: at most one node operator is there to prove an attempt absent.
    """

    def __init__(
        self,
        *,
        rules: Mapping[str, Rulebook],
        tallies: dict[str, Tally],
        approvals: Mapping[str, Approval],
        audit: Audit,
        ledger_ms: int,
        clock_ms: int,
        is_unproved: bool,
    ) -> None:
        self._rules = rules
        self._tallies = tallies
        self._approvals = approvals
        self._audit = audit
        self._ledger_ms = ledger_ms
        self._clock_ms = clock_ms
        self._is_unproved = is_unproved
        self._changed: set[str] = set()
        self._taken: list[tuple[Send, Hold]] = []

    def objection(self, send: Send, hold: Hold) -> Objection | None:
        """Say which rule keeps this attempt from being signed now, with the figures."""
        rules = self._rules[send.wallet_id]
        breach = standing_breach(send, rules) or window_breach(
            send,
            hold,
            rules,
            is_unproved=self._is_unproved and send.attempt > 0,
            spent=self._spent,
        )
        if breach is not None:
            return _objection(breach)
        return self._unanswered(send) if needs_approval(send, rules) else None

    def take(self, send: Send, hold: Hold) -> None:
        """Count an attempt that is being signed."""
        for subject, amount in counted(send, hold).items():
            self._tallies[subject] = self._tallies[subject].add(amount, at_ms=self._ledger_ms)
            self._changed.add(subject)
        self._taken.append((send, hold))

    def write(self, change: Change) -> None:
        """Store what was spent and what was decided with the attempts themselves."""
        for subject in sorted(self._changed):
            change.tally(self._tallies[subject])
        change.counted_at(self._ledger_ms)
        for send, hold in self._taken:
            change.decide(
                self._audit.decision(
                    Act.SEND_SIGNED,
                    send.id,
                    why=send.purpose.value,
                    attempt=send.attempt + 1,
                    worst_trx_sun=hold.trx_sun,
                    **_means(send),
                )
            )

    def _spent(self, subject: str, length_ms: int) -> int:
        return self._tallies[subject].rolling(length_ms, at_ms=self._ledger_ms)

    def _unanswered(self, send: Send) -> Objection | None:
        approval = self._approvals.get(approval_id(send))
        if approval is None:
            told = "it needs an approval that was never asked for; ask for the send anew"
            return Objection(rule="approval", detail=told, is_final=True)
        quorum = max(approval.quorum, self._rules[send.wallet_id].quorum)
        agreed = len(approval.voices)
        match approval.state(self._clock_ms):
            case ApprovalState.AGREED if agreed >= quorum:
                return None
            case ApprovalState.DENIED | ApprovalState.EXPIRED | ApprovalState.USED as over:
                told = f"the approval {approval.id} is {over.value}"
                return Objection(rule="approval", detail=told, is_final=True)
            case _:
                told = f"awaiting approval {approval.id}: {agreed} of {quorum} people agreed"
                return Objection(rule="approval", detail=told)


class SpentBack:
    """Gives back what an attempt was counted with, once a verdict says that it did not happen.

    It is given back in the commit that stores the verdict, and only by a final negative one.
    """

    def __init__(self, tallies: dict[str, Tally]) -> None:
        self._tallies = tallies
        self._changed: set[str] = set()

    @classmethod
    async def load(cls, store: WalletStore, sends: Iterable[Send]) -> "SpentBack":
        """Load every sum that these sends may have been counted in."""
        return cls(
            await load_tallies(store, [subject for send in sends for subject in subjects_of(send)])
        )

    def settle(self, before: Send, attempt: Attempt, after: Send, *, operators: int) -> None:
        """Take back the amount of an attempt that ended, and its fee if it never reached a block.

        What did not happen on the word of one operator alone stays counted: were that a lie, it is paid,
        and with the next attempts the caps would be passed (hazard H1).
        """
        if attempt.number != before.attempt or before.state is SendState.QUEUED:
            return
        if operators < OPERATORS_TO_PROVE:
            return
        match after.state:
            case SendState.QUEUED | SendState.EXPIRED:
                self._back(before, attempt, keeps_fee=False)
            case SendState.FAILED:
                self._back(before, attempt, keeps_fee=True)

    def write(self, change: Change) -> None:
        """Store what was given back."""
        for subject in sorted(self._changed):
            change.tally(self._tallies[subject])

    def _back(self, send: Send, attempt: Attempt, *, keeps_fee: bool) -> None:
        spent = counted(_as_counted(send), send.hold)
        for subject, amount in spent.items():
            if keeps_fee and subject.endswith("|fees"):
                continue
            tally = self._tallies[subject]
            bucket = dict(tally.buckets).get(attempt.counted_ms // tally.width_ms, 0)
            if attempt.counted_ms and bucket:
                back = tally.give_back(min(amount, bucket), added_ms=attempt.counted_ms)
                self._tallies[subject] = back
                self._changed.add(subject)


async def load_tallies(store: WalletStore, subjects: Iterable[str]) -> dict[str, Tally]:
    """Return what was spent by subject, empty sums included."""
    wanted = sorted(set(subjects))
    found: dict[str, Tally] = {}
    for start in range(0, len(wanted), MAX_ROWS):
        found |= await store.storage.get_many(SPENT, wanted[start : start + MAX_ROWS])
    empty = {
        one: Tally.begin(one, width_ms=BUCKET_MS, kept=BUCKETS)
        for one in wanted
        if one not in found
    }
    return found | empty


def approval_id(send: Send) -> str:
    """Name the request for approval of a large send."""
    return f"apr_{send.id}"


def _kept_as(scope: str, revision: int) -> str:
    return f"{scope}@{revision}"


def _as_counted(send: Send) -> Send:
    """Return the send as it was when its attempt was counted: before the attempt."""
    return replace(send, attempt=send.attempt - 1)


def refusal(breach: Breach) -> PolicyRefusal:
    """Return a breach as the problem that a caller reads, its figures among the facts."""
    facts: dict[str, Any] = {"rule": breach.rule.value, **breach.facts()}
    return PolicyRefusal(breach.detail, **facts)


def _objection(breach: Breach) -> Objection:
    return Objection(rule=breach.rule.value, detail=breach.detail)


def _asker(send: Send) -> str:
    return f"{send.origin_service}/{send.origin_principal}"


def _told(send: Send) -> str:
    """Say to people what they agree to; of a change of permissions, all of it."""
    if send.details:
        return f"{send.kind} of {send.owner}: {send.details}"
    return f"{send.kind} of {send.amount} to {send.recipient}"


def _means(send: Send) -> dict[str, str]:
    """Return what a send does, as texts."""
    return {
        "wallet": send.wallet_id,
        "kind": send.kind.value,
        "amount": str(send.amount),
        "owner": send.owner,
        "recipient": send.recipient or "",
        "contract": send.contract or "",
    } | ({"details": send.details} if send.details else {})


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

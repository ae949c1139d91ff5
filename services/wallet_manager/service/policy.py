"""Policy at work: asked when an intent is taken on and again before every signature (H4, H14).

What was spent under a cap is one versioned record for each sum. It is changed in the commit that
stores the signature, so of two rounds that judged the same sum one has to look again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from services.wallet_manager.domain.approvals import Approval, ApprovalKind, ApprovalState
from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.caps import (
    Breach,
    counted,
    needs_approval,
    standing_breach,
    subjects_of,
    window_breach,
)
from services.wallet_manager.domain.policy import PolicyRefusal
from services.wallet_manager.domain.rulebook import (
    Policy,
    Rulebook,
)
from services.wallet_manager.domain.sends import Hold, Send
from services.wallet_manager.service.approvals import Approvals
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.guard import Objection
from services.wallet_manager.service.policies import Policies
from services.wallet_manager.service.spent import OPERATORS_TO_PROVE, load_tallies
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import APPROVALS
from shared.clock import Clock
from shared.ids import fingerprint
from shared.storage import Tally


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


def approval_id(send: Send) -> str:
    """Name the request for approval of a large send."""
    return f"apr_{send.id}"


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

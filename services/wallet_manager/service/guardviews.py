"""How policies, approvals, stops and decisions look on the wire, and how a document is read."""

from services.wallet_manager.domain.approvals import Approval, ApprovalState, Voice
from services.wallet_manager.domain.audit import Decision
from services.wallet_manager.domain.rulebook import Caps, ContractRule, Pair, Policy, Rulebook
from services.wallet_manager.domain.sends import whole_units
from services.wallet_manager.service.audit import Verified
from services.wallet_manager.service.killswitch import StopReport
from shared.clock import rfc3339
from shared.models.wallet_policy import (
    ApprovalView,
    AuditCheckView,
    AuditedView,
    CapsModel,
    ContractRuleModel,
    PairModel,
    PolicyView,
    RulesModel,
    StopView,
    VoiceView,
)
from shared.models.wire import time_or_none

CAP_FIELDS = (
    "per_send",
    "per_hour",
    "per_day",
    "per_destination",
    "unproved_per_day",
    "agreed_above",
)


def rulebook_of(model: RulesModel) -> Rulebook:
    """Read a policy document; raises InvalidPolicy, ImpossibleSend for figures beyond the chain's."""
    return Rulebook(
        kinds=frozenset(model.kinds),
        tokens=frozenset(model.tokens),
        pairs=tuple(
            Pair(service=pair.service, purpose=pair.purpose, kinds=frozenset(pair.kinds))
            for pair in model.pairs
        ),
        destinations=None if model.destinations is None else frozenset(model.destinations),
        calls=tuple(
            ContractRule(contract=rule.contract, selectors=frozenset(rule.selectors))
            for rule in model.calls
        ),
        caps=tuple(
            Caps(
                currency=caps.currency,
                **{name: whole_units(getattr(caps, name), field=name) for name in CAP_FIELDS},
            )
            for caps in model.caps
        ),
        fees_per_hour_sun=whole_units(model.fees_per_hour_sun, field="fees_per_hour_sun"),
        quorum=model.quorum,
    )


def rules_view(rules: Rulebook) -> RulesModel:
    """Return a policy document as it is put."""
    return RulesModel(
        kinds=sorted(rules.kinds),
        tokens=sorted(rules.tokens),
        pairs=[
            PairModel(service=pair.service, purpose=pair.purpose, kinds=sorted(pair.kinds))
            for pair in rules.pairs
        ],
        destinations=None if rules.destinations is None else sorted(rules.destinations),
        calls=[
            ContractRuleModel(contract=rule.contract, selectors=sorted(rule.selectors))
            for rule in rules.calls
        ],
        caps=[
            CapsModel(
                currency=caps.currency, **{name: str(getattr(caps, name)) for name in CAP_FIELDS}
            )
            for caps in rules.caps
        ],
        fees_per_hour_sun=str(rules.fees_per_hour_sun),
        quorum=rules.quorum,
    )


def policy_view(policy: Policy, rules: Rulebook) -> PolicyView:
    """Return a policy with the rules in force now and what is still to come."""
    is_coming = policy.coming is not None and policy.coming != rules
    return PolicyView(
        scope=policy.id,
        revision=policy.revision,
        explicit=policy.explicit,
        rules=rules_view(rules),
        coming=rules_view(policy.coming) if policy.coming is not None and is_coming else None,
        coming_at=time_or_none(policy.next_ms if is_coming else None),
    )


def approval_view(approval: Approval, state: ApprovalState) -> ApprovalView:
    """Return a request for approval as it stands."""
    return ApprovalView(
        approval_id=approval.id,
        kind=approval.kind.value,
        subject=approval.subject,
        reason=approval.reason,
        told=approval.told,
        state=state.value,
        asked_by=approval.asked_by,
        asked_at=rfc3339(approval.asked_ms),
        expires_at=rfc3339(approval.expires_ms),
        quorum=approval.quorum,
        agreed=[_voice_view(voice) for voice in approval.voices],
        denied=None if approval.denied_by is None else _voice_view(approval.denied_by),
    )


def stop_view(report: StopReport) -> StopView:
    """Return what a stop achieved."""
    return StopView(
        scope=report.scope,
        stopped=bool(report.places),
        places=list(report.places),
        quiet=report.quiet,
        broadcasting_stopped=report.broadcasting_stopped,
        may_land=list(report.may_land),
        troubles=list(report.troubles),
    )


def audited_view(number: int, digest: str, decision: Decision) -> AuditedView:
    """Return one decision with its place in the chain."""
    return AuditedView(
        number=number,
        digest=digest,
        at=rfc3339(decision.at_ms),
        act=decision.act.value,
        subject=decision.subject,
        who=decision.who,
        why=decision.why,
        request_id=decision.request_id,
        facts=dict(decision.facts),
    )


def check_view(verified: Verified) -> AuditCheckView:
    """Return what a check of the chain found."""
    broken = verified.broken
    return AuditCheckView(
        whole=broken is None,
        count=verified.count,
        digest=verified.digest,
        broken_at=None if broken is None else broken.number,
        detail=None if broken is None else broken.detail,
    )


def _voice_view(voice: Voice) -> VoiceView:
    return VoiceView(who=voice.who, at=rfc3339(voice.at_ms), note=voice.note)

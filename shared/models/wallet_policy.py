"""What wallet-manager publishes of its guards: policy, approvals, the kill switch, the audit log."""

from typing import Annotated

from pydantic import Field

from shared.models.tron_transactions import MayLandView
from shared.models.wallet_sends import Purpose, SendKind
from shared.models.wire import (
    AddressText,
    BaseUnitsText,
    HexText,
    NoteText,
    Request,
    SubjectText,
    TimeText,
    View,
)
from shared.money import Currency

MAX_LINES = 1_000

ReasonText = Annotated[str, Field(min_length=3, max_length=500)]
SelectorText = Annotated[str, Field(pattern=r"^[0-9a-f]{8}$", examples=["a9059cbb"])]


class CapsModel(Request):
    """How much of one currency a wallet may send, in base units; windows roll.

    ``unproved_per_day`` bounds new attempts while one node operator alone proves absences;
    ``agreed_above`` is the amount above which a send waits for approvals.
    """

    currency: Currency
    per_send: BaseUnitsText
    per_hour: BaseUnitsText
    per_day: BaseUnitsText
    per_destination: BaseUnitsText
    unproved_per_day: BaseUnitsText
    agreed_above: BaseUnitsText


class PairModel(Request):
    """The kinds that one service may have signed for one purpose."""

    service: SubjectText
    purpose: Purpose
    kinds: Annotated[list[SendKind], Field(max_length=50)]


class ContractRuleModel(Request):
    """The functions of one contract that may be called, by selector."""

    contract: AddressText
    selectors: Annotated[list[SelectorText], Field(max_length=100)]


class RulesModel(Request):
    """A whole policy document; without ``destinations`` any recipient is allowed."""

    kinds: Annotated[list[SendKind], Field(max_length=50)]
    tokens: Annotated[list[AddressText], Field(max_length=100)]
    pairs: Annotated[list[PairModel], Field(max_length=100)]
    destinations: Annotated[list[AddressText], Field(max_length=MAX_LINES)] | None = None
    calls: Annotated[list[ContractRuleModel], Field(default_factory=list, max_length=100)]
    caps: Annotated[list[CapsModel], Field(max_length=10)]
    fees_per_hour_sun: BaseUnitsText
    quorum: Annotated[int, Field(ge=1, le=20)]


class PolicyRequest(Request):
    """A policy to put in place of the one at ``revision``, with the reason for the record."""

    revision: Annotated[int, Field(ge=0)]
    rules: RulesModel
    reason: ReasonText


class PolicyView(View):
    """The policy of a wallet, or of every wallet without one of its own.

    ``scope`` is the one that it was decided for. ``coming`` holds from ``coming_at`` on, on the
    ledger's clock. Nobody has decided yet on one that is not ``explicit``.
    """

    scope: str
    revision: int
    explicit: bool
    rules: RulesModel
    coming: RulesModel | None
    coming_at: TimeText | None


class VoiceView(View):
    """One person's answer."""

    who: str
    at: TimeText
    note: str


class ApprovalView(View):
    """A request to let something happen, and who agreed.

    ``reason`` is what who asks gives for it; ``told`` is what would happen, where kind and subject do
    not say it all: of a change of a policy, the whole document.
    """

    approval_id: str
    kind: str
    subject: str
    reason: str
    told: str = ""
    state: str
    asked_by: str
    asked_at: TimeText
    expires_at: TimeText
    quorum: int
    agreed: list[VoiceView]
    denied: VoiceView | None


class ApprovalListView(View):
    """A page of requests, newest first."""

    approvals: list[ApprovalView]
    next: str | None = None


class VoiceRequest(Request):
    """A person's answer to a request for approval."""

    note: NoteText = ""


class StopRequest(Request):
    """Whether signing is to be stopped, with the reason for the record."""

    stopped: bool
    reason: ReasonText


class StopView(View):
    """What a stop achieved at once.

    ``places`` says where it is kept. With ``quiet`` no signing round is under way any more; with
    ``broadcasting_stopped`` tron-client holds signed bytes back. ``may_land`` can still get into a
    block until it expires; its holds stay until there is a verdict. ``troubles`` are tried again.
    """

    scope: str
    stopped: bool
    places: list[str]
    quiet: bool
    broadcasting_stopped: bool
    may_land: list[MayLandView]
    troubles: list[str]


class StandingStopView(View):
    """A scope that is stopped, and where that is kept."""

    scope: str
    reason: str
    places: list[str]


class StopsView(View):
    """Everything that is stopped."""

    stops: list[StandingStopView]


class AuditedView(View):
    """One decision of the audit log, with its number and digest in the chain."""

    number: int
    digest: HexText
    at: TimeText
    act: str
    subject: str
    who: str
    why: str
    request_id: str
    facts: dict[str, str]


class AuditListView(View):
    """Decisions in order; ``next`` is the number to ask from next."""

    decisions: list[AuditedView]
    next: int | None = None


class AnchorModel(Request):
    """A digest that was written down elsewhere, such as with a backup."""

    number: Annotated[int, Field(ge=1)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class AuditCheckRequest(Request):
    """What the chain has to hold besides being whole."""

    anchors: Annotated[list[AnchorModel], Field(default_factory=list, max_length=100)]


class AuditCheckView(View):
    """What a check found: up to which decision the chain holds, and where it breaks."""

    whole: bool
    count: int
    digest: str
    broken_at: int | None
    detail: str | None

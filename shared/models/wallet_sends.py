"""Sends of wallet-manager on the wire: intents, states, what a sender is told."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from shared.models.wire import (
    AddressText,
    BaseUnitsText,
    HexText,
    NaturalId,
    Request,
    SendKeyText,
    SubjectText,
    TimeText,
    TxidText,
    View,
)


class SendKind(StrEnum):
    """What a send does on chain."""

    TRX_TRANSFER = "trx_transfer"
    TRC20_TRANSFER = "trc20_transfer"
    TRC20_APPROVE = "trc20_approve"
    FREEZE_BALANCE = "freeze_balance"
    UNFREEZE_BALANCE = "unfreeze_balance"
    CANCEL_UNFREEZE = "cancel_unfreeze"
    WITHDRAW_UNFROZEN = "withdraw_unfrozen"
    DELEGATE = "delegate"
    UNDELEGATE = "undelegate"
    VOTE = "vote"
    CLAIM_REWARDS = "claim_rewards"
    ACCOUNT_ACTIVATE = "account_activate"
    PERMISSION_UPDATE = "permission_update"
    CONTRACT_CALL = "contract_call"


class Purpose(StrEnum):
    """Why money moves; policy names (service, purpose) pairs."""

    PAYOUT = "payout"
    PAYMENT = "payment"
    REFUND = "refund"
    STAKE = "stake"
    SWEEP = "sweep"
    ACTIVATION = "activation"
    FEE_TOP_UP = "fee_top_up"
    ALLOWANCE = "allowance"
    MAINTENANCE = "maintenance"


INTERNAL_PURPOSES = frozenset(
    {Purpose.SWEEP, Purpose.ACTIVATION, Purpose.FEE_TOP_UP, Purpose.REFUND}
)
"""Own sends whose transfers are never credited as deposits (hazard H12)."""


class Origin(Request):
    """Which service began this, and for whom."""

    service: SubjectText
    principal: SubjectText


class VoteParam(Request):
    """Votes for one candidate."""

    witness: AddressText
    count: Annotated[int, Field(ge=1, lt=2**63)]


class KeyParam(Request):
    """A key of a permission and what its signature weighs."""

    address: AddressText
    weight: Annotated[int, Field(ge=1, lt=2**63)]


class PermissionParam(Request):
    """Whose signatures it takes; ``operations`` is 32 bytes, for active permissions alone."""

    name: Annotated[str, Field(min_length=1, max_length=32)]
    threshold: Annotated[int, Field(ge=1, lt=2**63)]
    keys: Annotated[list[KeyParam], Field(min_length=1, max_length=5)]
    operations: HexText = ""


class PermissionsParam(Request):
    """All permissions of an account, which replace those it has."""

    owner: PermissionParam
    witness: PermissionParam | None = None
    actives: Annotated[list[PermissionParam], Field(min_length=1, max_length=8)]


class SendParams(Request):
    """What exactly is to happen; what says nothing for a kind is refused.

    ``amount_base_units`` is sun or the token's base units, and for a contract call what is paid with it;
    ``recipient`` is who gets it: the spender of an allowance, the receiver of a loan, the account to
    bring to life. ``data`` is what a contract is called with.
    """

    amount_base_units: BaseUnitsText = "0"
    recipient: AddressText | None = None
    contract_address: AddressText | None = None
    resource: Annotated[str, Field(pattern="^(bandwidth|energy)$")] | None = None
    lock_blocks: Annotated[int, Field(ge=0, le=864_000)] | None = None
    votes: Annotated[list[VoteParam], Field(min_length=1, max_length=30)] | None = None
    permissions: PermissionsParam | None = None
    data: HexText | None = None


class Reservation(Request):
    """Energy lent to the payer for this send and for nothing else until its verdict (H15, H16)."""

    lease_id: NaturalId
    energy: Annotated[int, Field(gt=0, lt=2**53)]


class Intent(Request):
    """What the stack means to do; wallet-manager builds, signs and sends it at most once.

    With ``after`` it is signed only once the send of that key is in a block. A ``memo`` is public and
    costs a fee of its own; ``permission_id`` says which permission of the account signs. A sweep is
    paid from ``from_address``, a deposit address of the wallet; everything else from its own address.
    """

    send_key: SendKeyText
    origin: Origin
    purpose: Purpose
    wallet_id: str
    kind: SendKind
    params: SendParams
    max_fee_sun: BaseUnitsText
    not_after: Annotated[int, Field(gt=0, description="Milliseconds since the epoch.")]
    after: SendKeyText | None = None
    memo: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    permission_id: Annotated[int, Field(ge=0, le=9)] = 0
    reservation: Reservation | None = None
    from_address: AddressText | None = None


class SendsRequest(Request):
    """Intents to take on, each on its own."""

    intents: Annotated[list[Intent], Field(min_length=1, max_length=200)]


class SendState(StrEnum):
    """Where a send is."""

    QUEUED = "queued"
    AWAITING_SIGNATURE = "awaiting_signature"
    SIGNED = "signed"
    SUBMITTED = "submitted"
    SEEN = "seen"
    UNKNOWN = "unknown"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    EXPIRED = "expired"
    SETTLED_DIFFERENTLY = "settled_differently"
    REFUSED = "refused"


FINAL_SEND_STATES = frozenset(
    {SendState.CONFIRMED, SendState.FAILED, SendState.EXPIRED, SendState.REFUSED}
)
"""Final answers; everything else keeps its hold (hazard H4)."""

NEGATIVE_SEND_STATES = FINAL_SEND_STATES - {SendState.CONFIRMED}
"""Final and nothing moved but fees: only then may the next ordinal follow."""


class RefusalView(View):
    """Why a send was never signed."""

    rule: str
    detail: str
    facts: dict[str, Any] = Field(default_factory=dict)


class SendView(View):
    """A send as it stands."""

    send_id: str
    send_key: str
    state: SendState
    purpose: Purpose
    wallet_id: str
    from_address: AddressText | None = None
    kind: SendKind
    params: SendParams
    txid: TxidText | None
    attempt: int
    expires_at: TimeText | None
    fee_limit_sun: BaseUnitsText
    fee_sun: BaseUnitsText | None
    block_height: int | None
    waiting_for: str | None
    refusal: RefusalView | None
    created_at: TimeText
    updated_at: TimeText


class StuckSendView(View):
    """A send that needs somebody: since when, why, and what an operator can do about it."""

    send: SendView
    since: TimeText
    reason: str
    advice: str


class StuckSendsView(View):
    """Sends that do not come on by themselves, longest first."""

    sends: list[StuckSendView]
    next: str | None = None


class SendListView(View):
    """A page of the sends in a state, longest due first."""

    sends: list[SendView]
    next: str | None = None


class CancelRequest(Request):
    """Why a send is not to be signed after all, for the record."""

    reason: Annotated[str, Field(min_length=3, max_length=300)]


class UnsignedView(View):
    """A transaction to be signed elsewhere: exactly these bytes, whose sha256 is the txid.

    ``weight`` of the signatures that are there already is still to reach ``threshold``.
    """

    send_id: str
    txid: TxidText
    raw_data: HexText
    owner: AddressText
    permission_id: int
    threshold: int
    weight: int
    signers: list[AddressText]
    expires_at: TimeText


class SignaturesRequest(Request):
    """Signatures that were made elsewhere for a transaction that left unsigned."""

    signatures: Annotated[list[HexText], Field(min_length=1, max_length=5)]


class SendProblem(View):
    """Why one intent of a request was not taken on; nothing was stored for it."""

    status: int
    code: str
    detail: str
    facts: dict[str, Any] = Field(default_factory=dict)


class SendResult(View):
    """What became of one intent: the send as stored, or a problem."""

    send_key: str
    replayed: bool = False
    send: SendView | None = None
    problem: SendProblem | None = None


class SendsView(View):
    """The results in the order of the intents."""

    results: list[SendResult]


class SendLookupRequest(Request):
    """Sends to find by their key or by any of their transactions."""

    send_keys: Annotated[list[SendKeyText], Field(default_factory=list, max_length=500)]
    txids: Annotated[list[TxidText], Field(default_factory=list, max_length=500)]


class SendLookupView(View):
    """Those that are known; ``by_txid`` names the send of each transaction that is ours."""

    sends: list[SendView]
    by_txid: dict[str, str] = Field(default_factory=dict)

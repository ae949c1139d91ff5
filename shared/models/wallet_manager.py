"""What wallet-manager publishes: wallets, addresses, balances, and sends from intent to verdict."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from shared.models.wire import (
    AddressText,
    BaseUnitsText,
    DecimalText,
    NaturalId,
    Request,
    SendKeyText,
    SubjectText,
    TimeText,
    TxidText,
    View,
)
from shared.money import Currency


class WalletType(StrEnum):
    """What callers may ask for; ``software`` is another word for ``hot``."""

    HOT = "hot"
    SOFTWARE = "software"


class WalletRole(StrEnum):
    """What a wallet is to the stack: the one treasury pays; any other is a plain wallet."""

    TREASURY = "treasury"
    PLAIN = "plain"


class WalletStatus(StrEnum):
    """Whether a wallet may be used."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    LOCKED = "locked"
    ARCHIVED = "archived"


class WalletRequest(Request):
    """A wallet to create: the next account under the operator's seed."""

    user_id: SubjectText
    wallet_type: WalletType = WalletType.HOT
    role: WalletRole = WalletRole.PLAIN
    label: Annotated[str, Field(max_length=120)] = ""
    request_id: NaturalId | None = None


class WalletView(View):
    """A wallet; its keys are never part of any answer."""

    wallet_id: str
    address: AddressText
    user_id: str
    wallet_type: str
    role: WalletRole
    status: WalletStatus
    label: str
    network: str
    derivation_path: str
    created_at: TimeText


class WalletListView(View):
    """A page of wallets."""

    wallets: list[WalletView]
    next: str | None = None


class LockRequest(Request):
    """Whether a wallet may sign, decided by a person, with the reason for the record."""

    locked: bool
    reason: Annotated[str, Field(min_length=3, max_length=500)]


class BalanceView(View):
    """What the journal says of a wallet at the solid height it has been brought to."""

    wallet_id: str
    address: AddressText
    balance: DecimalText
    balance_base_units: BaseUnitsText
    available: DecimalText
    available_base_units: BaseUnitsText
    held: DecimalText
    held_base_units: BaseUnitsText
    currency: Currency


class AddressRequest(Request):
    """A deposit address to derive; the same request id always gives the same address."""

    request_id: NaturalId
    purpose: Annotated[str, Field(min_length=1, max_length=60)]


class AddressView(View):
    """A deposit address that tron-client has durably promised to watch from its birth height."""

    address: AddressText
    wallet_id: str
    index: int
    derivation_path: str
    birth_height: int


class SendKind(StrEnum):
    """What a send does on chain."""

    TRX_TRANSFER = "trx_transfer"
    TRC20_TRANSFER = "trc20_transfer"
    FREEZE_BALANCE = "freeze_balance"
    UNFREEZE_BALANCE = "unfreeze_balance"


class Purpose(StrEnum):
    """Why money moves; policy names (service, purpose) pairs."""

    PAYOUT = "payout"
    PAYMENT = "payment"
    REFUND = "refund"
    STAKE = "stake"
    SWEEP = "sweep"
    ACTIVATION = "activation"
    FEE_TOP_UP = "fee_top_up"


INTERNAL_PURPOSES = frozenset(
    {Purpose.SWEEP, Purpose.ACTIVATION, Purpose.FEE_TOP_UP, Purpose.REFUND}
)
"""Own sends whose transfers are never credited as deposits (hazard H12)."""


class Origin(Request):
    """Which service began this, and for whom."""

    service: SubjectText
    principal: SubjectText


class SendParams(Request):
    """What exactly is to move.

    ``amount_base_units`` is sun or the token's base units; ``contract_address`` is for TRC-20 alone,
    ``resource`` for staking alone.
    """

    amount_base_units: BaseUnitsText
    recipient: AddressText | None = None
    contract_address: AddressText | None = None
    resource: Annotated[str, Field(pattern="^(bandwidth|energy)$")] | None = None


class Intent(Request):
    """What the stack means to do; wallet-manager builds, signs and sends it at most once."""

    send_key: SendKeyText
    origin: Origin
    purpose: Purpose
    wallet_id: str
    kind: SendKind
    params: SendParams
    max_fee_sun: BaseUnitsText
    not_after: Annotated[int, Field(gt=0, description="Milliseconds since the epoch.")]


class SendsRequest(Request):
    """Intents to take on, each on its own."""

    intents: Annotated[list[Intent], Field(min_length=1, max_length=200)]


class SendState(StrEnum):
    """Where a send is."""

    QUEUED = "queued"
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


class JournalLine(View):
    """One posting of the journal."""

    entry_id: str
    at: TimeText
    kind: str
    account: str
    currency: Currency
    amount_base_units: str
    txid: str | None


class TransactionsView(View):
    """What moved through a wallet or an address, newest first, from the journal."""

    address: AddressText
    transactions: list[JournalLine]
    next: str | None = None

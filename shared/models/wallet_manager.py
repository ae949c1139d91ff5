"""What wallet-manager publishes: wallets, addresses, balances, and sends from intent to verdict."""

import unicodedata
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.models.tron_client import FrozenView, ResourcesView, UnfreezingView, VoteView
from shared.models.wire import (
    AddressText,
    BaseUnitsText,
    DecimalText,
    HexText,
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
    """Where the keys of a wallet are; ``software`` is another word for ``hot``, in the vault.

    The key of an imported wallet is in the vault too, brought in on its owner's machine. Those of
    cold, hardware and multisig wallets sign elsewhere; a watch-only wallet never sends.
    """

    HOT = "hot"
    SOFTWARE = "software"
    IMPORTED = "imported"
    WATCH_ONLY = "watch_only"
    COLD = "cold"
    HARDWARE = "hardware"
    MULTISIG = "multisig"


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


UNSHOWN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that show nothing, turn the direction of others, or mean nothing."""


def _readable(text: str) -> str:
    if any(unicodedata.category(one) in UNSHOWN for one in text):
        raise ValueError("it holds a character that does not show: a control or a format one")
    return unicodedata.normalize("NFC", text)


LabelText = Annotated[str, Field(max_length=120), AfterValidator(_readable)]
OwnerText = Annotated[SubjectText, AfterValidator(_readable)]
"""Two texts that look alike because one composes its accents are one owner."""


class WalletRequest(Request):
    """A wallet to create: the next account under the operator's seed, or one whose keys are elsewhere.

    ``account_public_key`` is the "xpub…" of an account (BIP-32), from which deposit addresses derive;
    with ``address`` alone the wallet is that one address.
    """

    user_id: OwnerText
    wallet_type: WalletType = WalletType.HOT
    role: WalletRole = WalletRole.PLAIN
    label: LabelText = ""
    address: AddressText | None = None
    account_public_key: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    request_id: NaturalId | None = None

    @model_validator(mode="after")
    def _says_where_the_keys_are(self) -> Self:
        is_ours = self.wallet_type in {WalletType.HOT, WalletType.SOFTWARE}
        is_known = self.address is not None or self.account_public_key is not None
        if self.wallet_type is WalletType.IMPORTED:
            raise ValueError(
                "a key is imported on wallet-manager's own machine, never over the API"
            )
        if is_ours and is_known:
            raise ValueError("the address of a hot wallet is made here: leave it out")
        if not is_ours and not is_known:
            raise ValueError(f"a {self.wallet_type} wallet needs its address or account_public_key")
        if self.wallet_type is WalletType.MULTISIG and self.account_public_key is not None:
            raise ValueError("a multisig wallet is one account: give its address alone")
        if self.wallet_type is WalletType.WATCH_ONLY and self.role is WalletRole.TREASURY:
            raise ValueError("the treasury pays; a watch-only wallet cannot")
        return self


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


class WalletsQuery(Request):
    """Which wallets to list, and from where."""

    status: WalletStatus | None = None
    user_id: OwnerText | None = None
    wallet_type: WalletType | None = None
    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class WalletListView(View):
    """A page of wallets."""

    wallets: list[WalletView]
    next: str | None = None


class WalletChange(Request):
    """What is to be different about a wallet: its label, its owner, whether it is in use.

    ``inactive`` also brings an archived wallet back.
    """

    label: LabelText | None = None
    user_id: OwnerText | None = None
    status: Literal[WalletStatus.ACTIVE, WalletStatus.INACTIVE] | None = None
    reason: Annotated[str, Field(min_length=3, max_length=500)]


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


class HoldingView(View):
    """One account of the journal beside what a node tells of it.

    ``account`` is the address itself, or it with ``staked:`` or ``unfreezing:`` before it. ``recorded``
    is of the solid height that the books have come to, ``on_chain`` of the head; None where the chain
    did not say.
    """

    account: str
    currency: Currency
    on_chain: DecimalText | None
    on_chain_base_units: BaseUnitsText | None
    recorded: DecimalText
    recorded_base_units: BaseUnitsText
    held_base_units: BaseUnitsText


class HoldingsView(View):
    """What a wallet or one of its addresses holds, with its resources; nothing is spent by it."""

    wallet_id: str
    address: AddressText
    activated: bool
    block_height: int
    block_time: TimeText
    age_s: int
    holdings: list[HoldingView]
    resources: ResourcesView
    staked: list[FrozenView]
    delegated: list[FrozenView]
    received: list[FrozenView]
    unfreezing: list[UnfreezingView]
    votes: list[VoteView]


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


class AddressesRequest(Request):
    """Deposit addresses to derive at once; each request id always gives the same address."""

    requests: Annotated[list[AddressRequest], Field(min_length=1, max_length=1_000)]


class AddressesView(View):
    """Deposit addresses in the order of the requests, each watched from its birth height."""

    addresses: list[AddressView]


class MessageText(Request):
    """A message as text, or as hexadecimal digits of its bytes."""

    message: Annotated[str, Field(max_length=32_768)]
    encoding: Literal["utf8", "hex"] = "utf8"


class VerifyMessageRequest(MessageText):
    """A message, its signature of 65 bytes, and the address that should have made it."""

    address: AddressText
    signature: Annotated[HexText, Field(max_length=130)]


class SignedMessageView(View):
    """A signature under TIP-191 version 2 (TronWeb signMessageV2)."""

    address: AddressText
    digest: HexText
    signature: HexText


class VerifiedMessageView(View):
    """Whether the address signed it; ``signer`` is who did, where any key can have."""

    valid: bool
    signer: AddressText | None


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


class RecoveryView(View):
    """Whether keys may be used after a restore or a kill, and if not, how far it is proved (H5).

    ``next_height`` is the first block that was not looked through yet; a solid block of the time
    ``until`` ends the quarantine. ``unclaimed`` counts transactions that wait for a person.
    """

    stage: str
    reason: str | None
    why: str | None
    since: TimeText | None
    next_height: int | None
    until: TimeText | None
    noted_height: int
    unclaimed: int


class UnclaimedView(View):
    """A transaction of ours in a solid block that no record explained when it was found."""

    txid: TxidText
    owner: AddressText
    does: str | None
    height: int
    succeeded: bool
    state: str
    send_id: str | None
    note: str
    found_at: TimeText


class UnclaimedListView(View):
    """A page of such transactions, oldest find first."""

    transactions: list[UnclaimedView]
    next: str | None = None


class DecisionRequest(Request):
    """Which send a transaction was for, or none, with the reason for the record."""

    send_id: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    note: Annotated[str, Field(min_length=3, max_length=400)]


class FindingView(View):
    """How one account of an address compared with the chain, at the block of ``height``.

    Amounts keep their sign. ``in_flight`` is what transactions without a verdict may have taken;
    ``looks`` counts how often in a row there was a difference that this does not explain, the first
    time at the block of ``since_height``.
    """

    account: str
    currency: Currency
    books_base_units: str
    chain_base_units: str
    difference_base_units: str
    in_flight_base_units: str
    explained: bool
    looks: int
    since_height: int | None
    since: TimeText | None
    height: int
    at: TimeText
    causes: list[str]


class ReconciliationView(View):
    """How the accounts of an address compare with the chain; those never looked at are left out."""

    address: AddressText
    in_order: bool
    accounts: list[FindingView]


class WrongPositionView(View):
    """A balance that is not what its journal and its sends under way say."""

    account: str
    currency: Currency
    settled_base_units: str
    journal_base_units: str
    held_base_units: str
    sends_base_units: str


class RecomputedView(View):
    """How many balances were computed again, and those that were wrong."""

    positions: int
    wrong: list[WrongPositionView]

"""What tron-client publishes: the chain, accounts, watches, and transfers to watched addresses."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shared.models.wire import (
    AddressText,
    BaseUnitsText,
    BlockRef,
    DecimalText,
    HexText,
    Request,
    TimeText,
    TxidText,
    View,
)
from shared.money import Currency


class NetworkStatusView(View):
    """How the chain looks from here."""

    network_status: str
    block_height: int
    solid_height: int
    scanned_height: int | None
    head_age_s: int
    network: str


class NetworkInfoView(View):
    """Which chain this is."""

    network_id: str
    chain_id: int
    genesis_block_id: str
    node_url: str
    usdt_contract_address: str


class NetworkFeesView(View):
    """What the chain charges now, in sun."""

    energy_cost: str
    bandwidth_cost: str
    sun_cost: str
    account_activation_sun: str
    account_activation_bandwidth_sun: str
    memo_sun: str
    max_fee_limit_sun: str
    as_of: TimeText


class ChainParametersView(View):
    """The chain parameters that decide fees, as integers in sun unless named otherwise."""

    energy_fee_sun: int
    bandwidth_fee_sun: int
    activation_fee_sun: int
    activation_bandwidth_fee_sun: int
    memo_fee_sun: int
    multi_sign_fee_sun: int
    permission_update_fee_sun: int
    max_fee_limit_sun: int
    free_bandwidth: int


class SigningContextView(View):
    """What a signer needs to build a transaction now: a solid reference block, the head, the prices.

    ``operators`` counts the node operators that were asked lately and agree with each other;
    ``second_head_timestamp_ms`` is the head time of another operator than the one that is followed.
    With ``paused`` nothing new may be signed, for the reason it gives.
    """

    network: str
    genesis_block_id: str
    reference: BlockRef
    head: BlockRef
    solid: BlockRef
    parameters: ChainParametersView
    operators: int
    second_head_timestamp_ms: int | None
    paused: str | None


class ResourcesView(View):
    """Bandwidth points and energy of an account."""

    free_bandwidth_limit: int
    free_bandwidth_used: int
    staked_bandwidth_limit: int
    staked_bandwidth_used: int
    energy_limit: int
    energy_used: int


class FrozenView(View):
    """TRX staked for one resource, in sun."""

    resource: str
    amount_sun: BaseUnitsText


class UnfreezingView(View):
    """TRX on its way out of staking."""

    resource: str
    amount_sun: BaseUnitsText
    available_at: TimeText


class PermissionKeyView(View):
    """One key of a permission and what its signature weighs."""

    address: AddressText
    weight: int


class PermissionView(View):
    """Who may sign for an account, and how much weight a transaction needs.

    ``operations`` is for active permissions alone: 32 bytes, one bit for each contract type.
    """

    permission_id: int
    name: str
    threshold: int
    operations: HexText | None
    keys: list[PermissionKeyView]


class PermissionsView(View):
    """The permissions of an account as they are on chain."""

    owner: PermissionView
    witness: PermissionView | None
    active: list[PermissionView]


class VoteView(View):
    """Votes of an account for one witness."""

    witness: AddressText
    count: int


class AccountView(View):
    """An account as a node tells it at its head; never used to credit money.

    ``delegated`` is TRX staked here whose resource others use, ``received`` the reverse; both are not
    part of ``frozen``. ``rewards_sun`` of votes are not part of the balance until they are claimed.
    """

    address: AddressText
    activated: bool
    is_contract: bool
    balance: DecimalText
    balance_sun: BaseUnitsText
    resources: ResourcesView
    frozen: list[FrozenView]
    unfreezing: list[UnfreezingView]
    delegated: list[FrozenView]
    received: list[FrozenView]
    votes: list[VoteView]
    rewards_sun: BaseUnitsText = "0"
    permissions: PermissionsView | None


class CallRequest(Request):
    """A call of a contract that changes nothing."""

    owner_address: AddressText
    contract_address: AddressText
    data: HexText


class CallsRequest(Request):
    """Several constant calls at once."""

    calls: Annotated[list[CallRequest], Field(min_length=1, max_length=100)]


class CallView(View):
    """What a constant call returned, at the node's head."""

    result: HexText
    energy_used: int
    energy_penalty: int
    reverted: bool
    revert_reason: str | None = None


class CallsView(View):
    """The answers in the order of the calls."""

    calls: list[CallView]


class WatchRequest(Request):
    """Addresses whose transfers the feed is to tell of.

    Without ``birth_height`` from now on; with it from the block after that height, which is scanned
    again wherever it was scanned without these addresses.
    """

    addresses: Annotated[list[AddressText], Field(min_length=1, max_length=100_000)]
    birth_height: Annotated[int, Field(ge=0)] | None = None


class UnwatchRequest(Request):
    """Addresses that nobody was ever shown, to be forgotten."""

    addresses: Annotated[list[AddressText], Field(min_length=1, max_length=100_000)]


class WatchView(View):
    """A durable promise: every transfer in a block above ``birth_height`` will be told."""

    watched: int
    birth_height: int


class WatchListView(View):
    """A page of the watch list."""

    addresses: list[AddressText]
    count: int
    next: str | None = None


class WatchDigestView(View):
    """The whole watch list in one line, to compare another list with (H11).

    ``digest`` is that of ``shared.watching``; ``rescans_pending`` counts the ranges that are still
    to be scanned again before every promise is kept.
    """

    count: int
    digest: HexText
    rescans_pending: int


class TransferSource(StrEnum):
    """Where in a transaction a transfer was found."""

    NATIVE = "native"
    LOG = "log"
    INTERNAL = "internal"


class TransferState(StrEnum):
    """How sure a transfer is."""

    SEEN = "seen"
    CONFIRMED = "confirmed"
    RETRACTED = "retracted"


class TransferView(View):
    """Money seen moving on chain to or from a watched address.

    ``transfer_id`` names it for ever: genesis, txid, source and position in that receipt's own list.
    """

    transfer_id: str
    state: TransferState
    txid: TxidText
    source: TransferSource
    position: int
    block: BlockRef
    currency: Currency
    contract_address: str | None
    sender: AddressText
    recipient: AddressText
    amount: DecimalText
    amount_base_units: BaseUnitsText


class TokenTransferView(View):
    """A configured token other than USDT seen moving on chain to or from a watched address.

    These have a feed of their own, so that who knows only TRX and USDT never meets another token.
    """

    transfer_id: str
    state: TransferState
    txid: TxidText
    position: int
    block: BlockRef
    contract_address: AddressText
    symbol: str
    decimals: int
    sender: AddressText
    recipient: AddressText
    amount: DecimalText
    amount_base_units: BaseUnitsText


class RescanRequest(Request):
    """Heights to be scanned once more, both included.

    A range that waits already is not scheduled twice, and no transfer is told twice.
    """

    first_height: Annotated[int, Field(ge=1)]
    last_height: Annotated[int, Field(ge=1)]


class RescanState(StrEnum):
    """Whether a rescan is still under way."""

    PENDING = "pending"
    DONE = "done"


class RescanView(View):
    """A range that is or was scanned once more; ``next_height`` is the first one still to come."""

    rescan_id: str
    state: RescanState
    reason: str
    first_height: int
    last_height: int
    next_height: int
    told: int
    created_at: TimeText
    finished_at: TimeText | None


class RescansView(View):
    """A page of the rescans, newest first."""

    rescans: list[RescanView]
    next: str | None = None


class NoticeChangeView(View):
    """A value before and after, as decimal digits; null where there is none."""

    name: str
    before: str | None
    after: str | None


class NoticeView(View):
    """Something that happened on chain to a watched address, to USDT or to the chain's parameters.

    ``subject`` is the address it happened to, ``usdt`` or ``chain``; ``changes`` names parameters.
    """

    notice_id: str
    kind: str
    subject: str
    detail: str
    at: TimeText
    block: BlockRef | None
    txid: TxidText | None
    changes: list[NoticeChangeView]

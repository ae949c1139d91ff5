"""What tron-client publishes: the chain, transfers to watched addresses, and the fate of transactions."""

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
    SendKeyText,
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
    max_fee_limit_sun: int
    free_bandwidth: int


class SigningContextView(View):
    """What a signer needs to build a transaction now: a solid reference block, the head, the prices."""

    network: str
    genesis_block_id: str
    reference: BlockRef
    head: BlockRef
    parameters: ChainParametersView


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


class AccountView(View):
    """An account as a node tells it at its head; never used to credit money."""

    address: AddressText
    activated: bool
    is_contract: bool
    balance: DecimalText
    balance_sun: BaseUnitsText
    resources: ResourcesView
    frozen: list[FrozenView]
    unfreezing: list[UnfreezingView]


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
    """Addresses whose transfers the feed is to tell of."""

    addresses: Annotated[list[AddressText], Field(min_length=1, max_length=10_000)]


class WatchView(View):
    """A durable promise: every transfer in a block above ``birth_height`` will be told."""

    watched: int
    birth_height: int


class WatchListView(View):
    """A page of the watch list with its digest as a whole."""

    addresses: list[AddressText]
    count: int
    next: str | None = None


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


class SignedTransaction(Request):
    """Signed bytes, with the send they belong to."""

    send_key: SendKeyText
    raw_data: HexText
    signatures: Annotated[list[HexText], Field(min_length=1, max_length=5)]
    expires_at_ms: Annotated[int, Field(gt=0)]


class SubmitRequest(Request):
    """Signed transactions to bring to the chain; each may be repeated without harm."""

    transactions: Annotated[list[SignedTransaction], Field(min_length=1, max_length=200)]


class BroadcastOutcome(StrEnum):
    """What a node made of a broadcast; none of these is a verdict."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class SubmittedView(View):
    """One submitted transaction: stored durably, and what the node said so far."""

    txid: TxidText
    outcome: BroadcastOutcome
    code: str | None = None
    message: str | None = None


class SubmitView(View):
    """The answers in the order of the transactions."""

    transactions: list[SubmittedView]


class TransactionState(StrEnum):
    """Where a submitted transaction is; the last three are verdicts."""

    PENDING = "pending"
    INCLUDED = "included"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    EXPIRED = "expired"


class LogView(View):
    """A TRC-20 Transfer log of a receipt."""

    position: int
    contract_address: AddressText
    sender: AddressText
    recipient: AddressText
    amount_base_units: BaseUnitsText


class ReceiptView(View):
    """What a transaction cost and did, from the solid tree once it is a verdict."""

    result: str
    fee_sun: BaseUnitsText
    energy_used: int
    energy_fee_sun: BaseUnitsText
    bandwidth_used: int
    bandwidth_fee_sun: BaseUnitsText
    transfers: list[LogView]
    revert_reason: str | None = None


class TransactionView(View):
    """A submitted transaction and its fate."""

    txid: TxidText
    send_key: str
    state: TransactionState
    outcome: BroadcastOutcome
    outcome_message: str | None
    broadcasts: int
    expires_at_ms: int
    block: BlockRef | None
    receipt: ReceiptView | None


class LookupRequest(Request):
    """Transactions to look up in the local index."""

    txids: Annotated[list[TxidText], Field(min_length=1, max_length=1_000)]


class LookupView(View):
    """Those that are known here."""

    transactions: list[TransactionView]

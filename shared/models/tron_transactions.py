"""Transactions of tron-client on the wire: submission, verdicts, receipts, the broadcasting switch."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from shared.models.wire import (
    AddressText,
    BaseUnitsText,
    BlockRef,
    HexText,
    Request,
    SendKeyText,
    TxidText,
    View,
)


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
    """What a transaction cost and did, from the solid tree once it is a verdict.

    ``claimed_sun`` is what rewards it took out, ``withdrawn_sun`` what came back from unfreezing and
    ``restaked_sun`` what was on its way out and is staked again.
    """

    result: str
    fee_sun: BaseUnitsText
    energy_used: int
    energy_fee_sun: BaseUnitsText
    bandwidth_used: int
    bandwidth_fee_sun: BaseUnitsText
    transfers: list[LogView]
    claimed_sun: BaseUnitsText = "0"
    withdrawn_sun: BaseUnitsText = "0"
    restaked_sun: BaseUnitsText = "0"
    revert_reason: str | None = None


class TransactionView(View):
    """A submitted transaction and its fate.

    ``operators`` counts the node operators whose solid tree bears a verdict out; 0 without a verdict.
    """

    txid: TxidText
    send_key: str
    state: TransactionState
    outcome: BroadcastOutcome
    outcome_message: str | None
    broadcasts: int
    expires_at_ms: int
    block: BlockRef | None
    receipt: ReceiptView | None
    operators: int


class StoredTransactionView(TransactionView):
    """A submitted transaction with its bytes, for a signer that lost its own record of it (H5)."""

    owner: AddressText
    raw_data: HexText
    signatures: list[HexText]


class StoredTransactionsView(View):
    """A page of the submitted transactions of an owner, oldest first."""

    transactions: list[StoredTransactionView]
    next: str | None = None


class OutgoingRequest(Request):
    """Owners whose transactions are looked for in solid blocks, heights included at both ends."""

    owners: Annotated[list[AddressText], Field(min_length=1, max_length=10_000)]
    first_height: Annotated[int, Field(ge=1)]
    last_height: Annotated[int, Field(ge=1)]


class OutgoingTransactionView(View):
    """A transaction of an owner in a solid block, whoever submitted it."""

    txid: TxidText
    owner: AddressText
    raw_data: HexText
    signatures: list[HexText] = Field(default_factory=list)
    succeeded: bool
    block: BlockRef


class OutgoingView(View):
    """What was found from ``first_height`` to ``last_height``, which may be lower than asked for."""

    first_height: int
    last_height: int
    transactions: list[OutgoingTransactionView]


class BroadcastingRequest(Request):
    """Whether signed bytes are still brought to the chain (H23); without owners, of everybody."""

    stopped: bool
    reason: Annotated[str, Field(min_length=3, max_length=500)]
    owners: Annotated[list[AddressText], Field(default_factory=list, max_length=10_000)]


class MayLandView(View):
    """A transaction that was broadcast and may still be put into a block until it expires."""

    txid: TxidText
    send_key: str
    owner: AddressText
    expires_at_ms: int


class BroadcastingView(View):
    """Whose bytes are held back, and what may still land although they are."""

    stopped_for_all: bool
    stopped_owners: list[AddressText]
    may_land: list[MayLandView]


class LookupRequest(Request):
    """Transactions to look up in the local index."""

    txids: Annotated[list[TxidText], Field(min_length=1, max_length=1_000)]


class LookupView(View):
    """Those that are known here."""

    transactions: list[TransactionView]

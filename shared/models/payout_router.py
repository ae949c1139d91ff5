"""What payout-router publishes: payouts and batches of payouts."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, RootModel

from shared.models.wire import (
    AddressText,
    AmountText,
    BaseUnitsText,
    DecimalText,
    NaturalId,
    NoteText,
    Request,
    SubjectText,
    TimeText,
    TxidText,
    View,
)
from shared.money import Currency


class PayoutStatus(StrEnum):
    """The six words that callers know; ``detail_state`` says more."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class PayoutRouterName(StrEnum):
    """By which rules a payout is judged."""

    V0 = "v0"
    DIRECT = "direct"


class PayoutRequest(Request):
    """Money to pay to somebody."""

    user_id: SubjectText
    amount: AmountText
    currency: Currency = Currency.USDT
    recipient_address: AddressText
    description: NoteText = ""
    router: PayoutRouterName = PayoutRouterName.V0
    request_id: NaturalId | None = None


class BatchItem(Request):
    """One payout of a batch."""

    user_id: SubjectText
    amount: AmountText
    currency: Currency = Currency.USDT
    recipient_address: AddressText
    description: NoteText = ""


class BatchRequest(Request):
    """Payouts to take on together; each is accepted or refused on its own."""

    payouts: Annotated[list[BatchItem], Field(min_length=1, max_length=1_000)]
    request_id: NaturalId | None = None


class TransferRequest(Request):
    """The API gateway's older call for one payment out; it makes a payout with router ``direct``."""

    to_address: AddressText
    amount: AmountText
    currency: Currency = Currency.USDT
    user_id: SubjectText = "api-gateway"
    description: NoteText = ""
    request_id: NaturalId | None = None


class PayoutView(View):
    """A payout as it stands."""

    payout_id: str
    batch_id: str | None
    status: PayoutStatus
    detail_state: str
    detail: str | None
    needs_attention: bool
    user_id: str
    amount: DecimalText
    amount_base_units: BaseUnitsText
    currency: Currency
    recipient_address: AddressText
    description: str
    router: PayoutRouterName
    wallet_id: str | None
    send_key: str
    txid: TxidText | None
    fee_sun: BaseUnitsText | None
    block_height: int | None
    request_id: str | None
    created_at: TimeText
    updated_at: TimeText


class PayoutListView(View):
    """A page of payouts, newest first."""

    payouts: list[PayoutView]
    next: str | None = None


class ItemProblem(View):
    """Why one item of a batch was not taken on; nothing was stored for it."""

    status: int
    code: str
    detail: str


class BatchItemResult(View):
    """What became of one item of a batch: a payout, or a problem."""

    index: int
    payout: PayoutView | None = None
    problem: ItemProblem | None = None


class BatchView(View):
    """A batch with its payouts in the order of the request."""

    batch_id: str
    status: PayoutStatus
    accepted: int
    refused: int
    payouts: list[BatchItemResult]
    created_at: TimeText


class PayoutEvent(RootModel[PayoutView | BatchView]):
    """What an event of the ``payouts`` feed is about; a batch comes without its payouts here."""

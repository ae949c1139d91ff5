"""Books of wallet-manager on the wire: the journal, recovery, unclaimed transactions, reconciliation."""

from typing import Annotated

from pydantic import Field

from shared.models.wire import (
    AddressText,
    Request,
    TimeText,
    TxidText,
    View,
)
from shared.money import Currency


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


class CorrectionRequest(Request):
    """A difference between the chain and the books that is to be booked, as the comparison names it."""

    account: Annotated[str, Field(min_length=1, max_length=120)]
    currency: Currency
    difference_base_units: Annotated[str, Field(pattern=r"^-?[1-9][0-9]{0,18}$")]
    note: Annotated[str, Field(min_length=3, max_length=400)]


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

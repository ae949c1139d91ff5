"""Which incoming transfers one node's word is not enough for (H9).

A block's transactions are under the signatures of witnesses; logs and internal transfers are not, and
a node may invent them. What is worth more than a threshold waits for a second operator, and what is
worth less counts on one word up to a daily sum, where such a sum is set.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from services.tron_client.domain.blocks import Receipt
from services.tron_client.domain.movements import transfer_logs
from services.tron_client.domain.transfers import Transfer
from shared.clock import MS_PER_S
from shared.models.tron_client import TransferSource, TransferState
from shared.money import Currency
from shared.tron.address import address_from_bytes

DAY_MS: Final = 24 * 3_600 * MS_PER_S
RETRY_MS: Final = 10 * MS_PER_S


class Cause(StrEnum):
    """Why a credit waits."""

    NO_SECOND_OPERATOR = "there is no second operator to bear it out"
    UNHEARD = "the second operator does not answer, or does not know it yet"
    DISAGREEMENT = "the second operator says otherwise"
    DAILY_SUM = "one operator's word is enough for no more in a day"
    UNASKED = "the second operator was not asked yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditPolicy:
    """What one word is enough for.

    Attributes:
        agreed_from: base units of a currency from which on two operators must agree.
        daily: base units that count in a day on one word; no limit for a currency without.
        needs_second: a second operator is needed even where none is configured; on mainnet.
    """

    agreed_from: Mapping[Currency, int]
    daily: Mapping[Currency, int] = field(default_factory=dict)
    needs_second: bool

    def is_large(self, transfer: Transfer) -> bool:
        """Tell whether two operators must agree on a transfer; on other tokens always."""
        currency = currency_of(transfer)
        return currency is None or amount_of(transfer) >= self.agreed_from[currency]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A transfer in a solid block that stays ``seen`` until it is borne out.

    Attributes:
        id: the transfer's.
        version: of the record.
        cause: why.
        tries: how often a second operator was asked for it since it waits.
        since_ms: when it was found.
        next_ms: when to ask again.
    """

    id: str
    version: int = 0
    cause: Cause
    tries: int = 0
    since_ms: int
    next_ms: int

    @classmethod
    def begun(cls, transfer: Transfer, cause: Cause, *, now_ms: int) -> "Doubt":
        """Return the doubt about a transfer, to be looked at at once."""
        return cls(id=transfer.id, cause=cause, since_ms=now_ms, next_ms=now_ms)

    def again(self, cause: Cause, *, now_ms: int) -> "Doubt":
        """Return it after a try in vain."""
        return replace(self, cause=cause, tries=self.tries + 1, next_ms=now_ms + RETRY_MS)


def currency_of(transfer: Transfer) -> Currency | None:
    """Return what a transfer moves, None for another token than USDT."""
    if transfer.token is not None:
        return None
    return Currency.TRX if transfer.contract is None else Currency.USDT


def amount_of(transfer: Transfer) -> int:
    """Return what a transfer moves in base units."""
    return int(transfer.amount_base_units)


def left_of(others: Iterable[Transfer], transfer: Transfer) -> int:
    """Return what a transfer's recipient should hold of what it moves by all other transfers, at least 0.

    What fees took from it is not known and counts as held.
    """
    held = 0
    for each in others:
        if each.id == transfer.id or each.state is TransferState.RETRACTED:
            continue
        if (each.contract, each.token) == (transfer.contract, transfer.token):
            is_in, is_out = (party == transfer.recipient for party in (each.recipient, each.sender))
            held += amount_of(each) * (is_in - is_out)
    return max(0, held)


def is_signed(transfer: Transfer) -> bool:
    """True when the witnesses' signatures cover it: it is a transaction of its own."""
    return transfer.source is TransferSource.NATIVE


def bears_out(receipt: Receipt, transfer: Transfer) -> bool | None:
    """Compare a transfer with another operator's receipt of its transaction.

    Returns:
        None when the receipt says nothing of it: its node keeps no internal transfers.
    """
    if (receipt.height, receipt.timestamp_ms) != (transfer.height, transfer.timestamp_ms):
        return False
    if receipt.txid != transfer.txid or not receipt.succeeded:
        return False
    match transfer.source:
        case TransferSource.NATIVE:
            return True
        case TransferSource.LOG:
            return _has_log(receipt, transfer)
        case TransferSource.INTERNAL:
            return _has_internal(receipt, transfer) if receipt.internal else None


def _has_log(receipt: Receipt, transfer: Transfer) -> bool:
    found = dict(transfer_logs(receipt)).get(transfer.position)
    return found is not None and (found.contract, found.sender, found.recipient, found.value) == (
        transfer.contract,
        transfer.sender,
        transfer.recipient,
        amount_of(transfer),
    )


def _has_internal(receipt: Receipt, transfer: Transfer) -> bool:
    if transfer.position >= len(receipt.internal):
        return False
    found = receipt.internal[transfer.position]
    if found.amount_sun != amount_of(transfer) or not found.amount_sun:
        return False
    return (address_from_bytes(found.sender), address_from_bytes(found.recipient)) == (
        transfer.sender,
        transfer.recipient,
    )

"""What a gateway tells of an address's past; for people to read, and never to credit money by."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from services.tron_client.domain.contracts import Said
from shared.clock import rfc3339
from shared.errors import BadRequest, Unavailable
from shared.models.tron_reads import (
    HistoryExtentView,
    PastTokenMoveView,
    PastTransactionView,
    TokenMove,
)
from shared.tron.address import Address

T = TypeVar("T")


class NoHistory(Unavailable):
    """None of the nodes that are set up keeps histories by address."""

    code = "LUCID_ERR_9170"
    title = "No node tells histories"


class InconsistentHistory(Unavailable):
    """What a gateway tells of an address does not fit together, or is not what was asked for."""

    code = "LUCID_ERR_9171"
    title = "The gateway contradicts itself"


class ImpossibleSpan(BadRequest):
    """The span of a history ends before it begins."""

    code = "LUCID_ERR_9172"
    title = "Impossible span of time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whose past is wanted, and which part of it.

    Attributes:
        since_ms: no block before.
        until_ms: no block after; fixed, so that new blocks do not move the pages.
        only_solid: leaves out what is not in a solid block.
        token: only events of this contract; of token transfers alone.
    """

    address: Address
    since_ms: int
    until_ms: int
    only_solid: bool
    token: Address | None = None

    def __post_init__(self) -> None:
        if self.until_ms < self.since_ms:
            raise ImpossibleSpan("the span ends before it begins")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTransaction:
    """A transaction that names the address.

    Its id is that of its bytes, and the bytes say what it is. That a block holds it, its result and
    its cost are the gateway's word.

    Attributes:
        result: ``ret[0].contractRet``; None where the gateway gives none.
    """

    txid: str
    height: int
    at_ms: int
    said: Said
    result: str | None
    fee_sun: int
    energy_used: int
    bandwidth_used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTokenMove:
    """A token's transfer or approval; all of it is the gateway's word.

    Gateways number no events: two equal ones of a transaction look the same and are both told.

    Attributes:
        symbol: what the contract calls itself, which is anybody's choice.
        decimals: what it says of its units.
        value: in the token's smallest unit; of a unique token its number.
    """

    txid: str
    at_ms: int
    move: TokenMove
    token: Address
    symbol: str | None
    decimals: int | None
    sender: Address
    recipient: Address
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History(Generic[T]):
    """A part of an address's past, newest first.

    Attributes:
        is_complete: every page was read; otherwise older items of the span are missing.
        pages: how many were read.
        repeated: items that a later page told again and that are here once.
        operator: who told it.
    """

    question: Question
    items: tuple[T, ...]
    is_complete: bool
    pages: int
    repeated: int
    operator: str


def history_extent_view(history: History[T]) -> HistoryExtentView:
    """Say how much of a past is there."""
    return HistoryExtentView(
        is_complete=history.is_complete,
        since=rfc3339(history.question.since_ms),
        until=rfc3339(history.question.until_ms),
        only_solid=history.question.only_solid,
        operator=history.operator,
        pages=history.pages,
        repeated=history.repeated,
    )


def past_transaction_view(past: PastTransaction) -> PastTransactionView:
    """Show a transaction of the past."""
    return PastTransactionView(
        txid=past.txid,
        height=past.height,
        at=rfc3339(past.at_ms),
        contract_type=past.said.kind,
        owner_address=past.said.owner,
        recipient_address=past.said.recipient,
        amount_sun=None if past.said.amount_sun is None else str(past.said.amount_sun),
        result=past.result,
        fee_sun=str(past.fee_sun),
        energy_used=past.energy_used,
        bandwidth_used=past.bandwidth_used,
    )


def past_token_move_view(past: PastTokenMove, *, usdt: Address) -> PastTokenMoveView:
    """Show a token transfer of the past, and whether the token is USDT itself."""
    return PastTokenMoveView(
        txid=past.txid,
        at=rfc3339(past.at_ms),
        move=past.move,
        token_address=past.token,
        is_usdt=past.token == usdt,
        claimed_symbol=past.symbol,
        claimed_decimals=past.decimals,
        sender_address=past.sender,
        recipient_address=past.recipient,
        value=str(past.value),
    )

"""Submitted transactions: what a node made of them, where the chain has them, and their verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.tron_client.domain.blocks import Anchor, block_ref
from services.tron_client.domain.effects import Effect, receipt_view
from services.tron_client.domain.reactions import LATER_FACTOR, Reaction, reaction_to
from shared.errors import NotFound
from shared.models.tron_transactions import (
    BroadcastOutcome,
    MayLandView,
    StoredTransactionView,
    TransactionState,
    TransactionView,
)
from shared.tron.address import Address
from shared.tron.transaction import signed_transaction

VERDICTS: Final = frozenset(
    {TransactionState.CONFIRMED, TransactionState.FAILED, TransactionState.EXPIRED}
)
FOLLOWED: Final = frozenset(
    {TransactionState.PENDING, TransactionState.INCLUDED, TransactionState.EXPIRED}
)
"""States whose txids are looked for in every block; expired ones for ever (H1)."""

ALLOWED: Final[Mapping[TransactionState, frozenset[TransactionState]]] = {
    TransactionState.PENDING: frozenset({TransactionState.INCLUDED, TransactionState.EXPIRED}),
    TransactionState.INCLUDED: frozenset(
        {TransactionState.PENDING, TransactionState.CONFIRMED, TransactionState.FAILED}
    ),
    TransactionState.CONFIRMED: frozenset(),
    TransactionState.FAILED: frozenset(),
    TransactionState.EXPIRED: frozenset(),
}

_MAX_MESSAGE: Final = 500


class UnknownTransaction(NotFound):
    """It was never submitted here."""

    code = "LUCID_ERR_9105"
    title = "Unknown transaction"


class ImpossibleTransaction(Exception):
    """A transaction would go from a state where it may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a node made of a broadcast; never a verdict."""

    outcome: BroadcastOutcome
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """A transaction that was submitted here.

    Attributes:
        id: the txid.
        version: of the record.
        raw_data: what is signed, hexadecimal.
        reference_height: height of its reference block, if that block was held when it came.
        stored_height: how far the scan was when it came.
        next_broadcast_ms: when the same bytes are sent again; None for never.
        broadcasts: how often they were sent.
        height: of the block that holds it, with that block's id and time.
        operators: how many node operators' solid trees bear its verdict out.
        is_alarm: 1 when it appeared on chain after it had been found expired.
    """

    id: str
    version: int = 0
    send_key: str
    raw_data: str
    signatures: tuple[str, ...]
    owner: Address
    expires_at_ms: int
    reference_height: int | None
    stored_height: int
    state: TransactionState = TransactionState.PENDING
    outcome: BroadcastOutcome = BroadcastOutcome.UNKNOWN
    outcome_code: str | None = None
    outcome_message: str | None = None
    broadcasts: int = 0
    next_broadcast_ms: int | None
    height: int | None = None
    block_id: str | None = None
    block_timestamp_ms: int | None = None
    effect: Effect | None = None
    operators: int = 0
    is_alarm: int = 0

    @property
    def is_absent(self) -> bool:
        """True when it was proved absent from the chain, and stayed absent."""
        return self.state is TransactionState.EXPIRED and not self.is_alarm

    @property
    def block(self) -> Anchor | None:
        """The block that holds it."""
        if self.height is None or self.block_id is None or self.block_timestamp_ms is None:
            return None
        return Anchor(
            height=self.height, block_id=self.block_id, timestamp_ms=self.block_timestamp_ms
        )

    def signed_bytes(self) -> bytes:
        """Return what is broadcast."""
        return signed_transaction(
            bytes.fromhex(self.raw_data), [bytes.fromhex(each) for each in self.signatures]
        )

    def moved_to(self, state: TransactionState) -> "Tracked":
        """Return it in another state; raises ImpossibleTransaction."""
        if state not in ALLOWED[self.state]:
            raise ImpossibleTransaction(
                f"transaction {self.id} cannot go from {self.state} to {state}"
            )
        return replace(self, state=state)

    def included(self, block: Anchor, effect: Effect) -> "Tracked":
        """Return it as a block holds it."""
        return replace(
            self.moved_to(TransactionState.INCLUDED),
            height=block.height,
            block_id=block.block_id,
            block_timestamp_ms=block.timestamp_ms,
            effect=effect,
            next_broadcast_ms=None,
        )

    def haunting(self, block: Anchor, effect: Effect) -> "Tracked":
        """Return an expired one that is on chain after all: its verdict stays, with the alarm."""
        return replace(
            self,
            height=block.height,
            block_id=block.block_id,
            block_timestamp_ms=block.timestamp_ms,
            effect=effect,
            is_alarm=1,
        )

    def retracted(self, *, next_broadcast_ms: int) -> "Tracked":
        """Return it as it is after a fork took its block: to be sent again."""
        return replace(
            self.moved_to(TransactionState.PENDING),
            height=None,
            block_id=None,
            block_timestamp_ms=None,
            effect=None,
            next_broadcast_ms=next_broadcast_ms,
        )

    def settled(self, effect: Effect, *, operators: int = 1) -> "Tracked":
        """Return it with the verdict of the solid block that holds it."""
        verdict = TransactionState.CONFIRMED if effect.succeeded else TransactionState.FAILED
        return replace(self.moved_to(verdict), effect=effect, operators=operators)

    def expired(self, *, operators: int = 1) -> "Tracked":
        """Return it proved absent, on the word of so many operators."""
        return replace(
            self.moved_to(TransactionState.EXPIRED), next_broadcast_ms=None, operators=operators
        )

    def held_back(self, reason: str, *, next_broadcast_ms: int) -> "Tracked":
        """Return it as it is while nothing of its owner may be broadcast."""
        message = f"broadcasting is stopped: {reason}"[:_MAX_MESSAGE]
        told = self.outcome_message if self.broadcasts else message
        return replace(self, outcome_message=told, next_broadcast_ms=next_broadcast_ms)

    def broadcast(self, outcome: Outcome, *, now_ms: int, interval_ms: int) -> "Tracked":
        """Return it with one more broadcast and what came of it.

        Accepted once is accepted; rejected is what every try was, since a try without an answer may
        have been taken.

        Args:
            outcome: what the nodes made of it.
            now_ms: the time.
            interval_ms: between two broadcasts of the same bytes.
        """
        told = self._worth_telling(outcome)
        return replace(
            self,
            outcome=told.outcome,
            outcome_code=told.code,
            outcome_message=told.message,
            broadcasts=self.broadcasts + 1,
            next_broadcast_ms=self._next_ms(told, now_ms=now_ms, interval_ms=interval_ms),
        )

    def _next_ms(self, outcome: Outcome, *, now_ms: int, interval_ms: int) -> int | None:
        if self.state is not TransactionState.PENDING:
            return None
        match reaction_to(outcome.outcome, outcome.code):
            case Reaction.NEVER:
                return None
            case Reaction.LATER:
                return now_ms + LATER_FACTOR * interval_ms
            case Reaction.AGAIN:
                return now_ms + interval_ms

    def _worth_telling(self, outcome: Outcome) -> Outcome:
        kept = Outcome(outcome=self.outcome, code=self.outcome_code, message=self.outcome_message)
        if self.outcome is BroadcastOutcome.ACCEPTED:
            return kept
        if not self.broadcasts or outcome.outcome is not BroadcastOutcome.REJECTED:
            return outcome
        return replace(outcome, outcome=self.outcome)


def is_covered(tracked: Tracked, *, start_height: int) -> bool:
    """True when a scan of all blocks above that height leaves out none that could hold it (H1).

    It cannot be in or before its own reference block.
    """
    return tracked.reference_height is not None and start_height <= tracked.reference_height


def transaction_view(tracked: Tracked) -> TransactionView:
    """Write a transaction for the wire."""
    block, effect = tracked.block, tracked.effect
    return TransactionView(
        txid=tracked.id,
        send_key=tracked.send_key,
        state=tracked.state,
        outcome=tracked.outcome,
        outcome_message=tracked.outcome_message,
        broadcasts=tracked.broadcasts,
        expires_at_ms=tracked.expires_at_ms,
        block=None if block is None else block_ref(block),
        receipt=None if effect is None else receipt_view(effect),
        operators=tracked.operators,
    )


def stored_view(tracked: Tracked) -> StoredTransactionView:
    """Write a transaction with its bytes, for the signer it came from (H5)."""
    return StoredTransactionView(
        **dict(transaction_view(tracked)),
        owner=tracked.owner,
        raw_data=tracked.raw_data,
        signatures=list(tracked.signatures),
    )


def may_land_view(tracked: Tracked) -> MayLandView:
    """Write what is said of a transaction that nobody can call back."""
    return MayLandView(
        txid=tracked.id,
        send_key=tracked.send_key,
        owner=tracked.owner,
        expires_at_ms=tracked.expires_at_ms,
    )

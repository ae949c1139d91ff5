"""Submitted transactions: what a node made of them, where the chain has them, and their verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.tron_client.domain.blocks import Anchor, Receipt, transfer_logs
from services.tron_client.domain.permissions import Permissions
from services.tron_client.domain.reactions import LATER_FACTOR, Reaction, reaction_to
from shared.errors import BadRequest, Conflict, NotFound
from shared.models.tron_client import (
    BroadcastOutcome,
    LogView,
    MayLandView,
    ReceiptView,
    SignedTransaction,
    StoredTransactionView,
    TransactionState,
    TransactionView,
)
from shared.models.wire import BlockRef
from shared.tron import abi
from shared.tron.address import Address
from shared.tron.decoding import SignedTransaction as DecodedTransaction
from shared.tron.decoding import UnexpectedBytes, decode_transaction
from shared.tron.operation import InvalidOperation
from shared.tron.signing import InvalidSignature, recover_address
from shared.tron.transaction import MAX_LIFETIME_MS, signed_transaction

MAX_TRANSACTION_BYTES: Final = 262_144
REFERENCE_RING: Final = 65_536
"""A node keeps one reference block for each last two bytes of a height."""

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


class NotATransaction(BadRequest):
    """Submitted bytes are not a well signed transaction, or not the one they are said to be."""

    code = "LUCID_ERR_9103"
    title = "Not a signed transaction"


class TransactionOfAnother(Conflict):
    """The same transaction was submitted for another send (H6)."""

    code = "LUCID_ERR_9104"
    title = "This transaction belongs to another send"


class SentAlready(Conflict):
    """Another transaction of the same send is not proved absent, so this one could pay twice (H5)."""

    code = "LUCID_ERR_9110"
    title = "Another transaction of this send may be on chain"


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
class KeptLog:
    """A Transfer log as it is kept; the amount is decimal digits, for it may exceed 64 bits."""

    position: int
    contract: Address
    sender: Address
    recipient: Address
    amount_base_units: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A receipt as it is kept with its transaction."""

    result: str
    succeeded: bool
    fee_sun: int
    energy_used: int
    energy_fee_sun: int
    bandwidth_used: int
    bandwidth_fee_sun: int
    revert_reason: str | None
    transfers: tuple[KeptLog, ...]
    claimed_sun: int = 0
    withdrawn_sun: int = 0
    restaked_sun: int = 0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A submitted transaction that is well-formed, with who signed it."""

    decoded: DecodedTransaction
    signers: tuple[Address, ...]

    @property
    def is_the_owners(self) -> bool:
        """True when its owner signed alone, as an account may whose permissions were never changed."""
        return self.decoded.permission_id == 0 and self.signers == (self.decoded.owner,)


def checked(request: SignedTransaction) -> Checked:
    """Check what a submitted transaction is by itself, whatever the chain says of its owner.

    Raises:
        NotATransaction: bytes that are not canonical or too many, another expiration than said, a
            signature that no key has made, or two of one key.
    """
    try:
        bytes_ = signed_transaction(
            bytes.fromhex(request.raw_data), [bytes.fromhex(each) for each in request.signatures]
        )
        decoded = decode_transaction(bytes_)
        digest = bytes.fromhex(decoded.txid)
        signers = tuple(recover_address(digest, each) for each in decoded.signatures)
    except (UnexpectedBytes, InvalidOperation, InvalidSignature, ValueError) as error:
        raise NotATransaction(f"{request.send_key}: {error}") from None
    if len(bytes_) > MAX_TRANSACTION_BYTES:
        raise NotATransaction(
            f"{request.send_key}: it is longer than {MAX_TRANSACTION_BYTES} bytes"
        )
    if len(set(signers)) != len(signers):
        raise NotATransaction(f"{request.send_key}: one key has signed twice")
    if decoded.expiration_ms != request.expires_at_ms:
        raise NotATransaction(f"{request.send_key}: it expires when it is not said to")
    return Checked(decoded=decoded, signers=signers)


def require_permission(
    request: SignedTransaction, given: Checked, permissions: Permissions | None
) -> None:
    """Require that the signers together may do this for the owner (java-tron checkWeight).

    Args:
        request: what was submitted.
        given: the same, checked.
        permissions: the owner's as they are on chain; None where there are none, which leaves the
            owner alone.

    Raises:
        NotATransaction: no such permission, not for this kind of contract, a stranger's signature,
            or too little weight.
    """
    decoded = given.decoded
    permission = None if permissions is None else permissions.by_id(decoded.permission_id)
    if permission is None:
        if given.is_the_owners:
            return
        raise NotATransaction(f"{request.send_key}: the signatures are not its owner's")
    if not permission.allows(decoded.kind):
        raise NotATransaction(
            f"{request.send_key}: permission {permission.id} is not for {decoded.kind}"
        )
    weights = dict(permission.keys)
    strangers = [each for each in given.signers if each not in weights]
    if strangers:
        raise NotATransaction(
            f"{request.send_key}: {strangers[0]} has no part in permission {permission.id}"
        )
    weight = sum(weights[each] for each in given.signers)
    if weight < permission.threshold:
        raise NotATransaction(
            f"{request.send_key}: the signatures weigh {weight} of {permission.threshold}"
        )


def received(
    request: SignedTransaction,
    given: Checked,
    *,
    head: Anchor,
    reference_height: int | None,
    now_ms: int,
    next_broadcast_ms: int,
) -> Tracked:
    """Return a checked transaction as it is to be stored.

    Raises:
        NotATransaction: it expires more than a day from now.
    """
    decoded = given.decoded
    if decoded.expiration_ms > max(now_ms, head.timestamp_ms) + MAX_LIFETIME_MS:
        raise NotATransaction(f"{request.send_key}: it expires more than a day from now")
    return Tracked(
        id=decoded.txid,
        send_key=request.send_key,
        raw_data=request.raw_data,
        signatures=tuple(request.signatures),
        owner=decoded.owner,
        expires_at_ms=decoded.expiration_ms,
        reference_height=reference_height,
        stored_height=head.height,
        next_broadcast_ms=next_broadcast_ms,
    )


def reference_of(raw_data: str, *, head_height: int) -> tuple[int, str] | None:
    """Return the height at which a transaction's reference block must be, and its hash's bytes.

    None when the bytes are no transaction; whoever wants to know why asks ``received``.
    """
    try:
        probe = decode_transaction(signed_transaction(bytes.fromhex(raw_data), [bytes(65)]))
    except (UnexpectedBytes, InvalidOperation, ValueError):
        return None
    low = int.from_bytes(probe.ref_block_bytes, "big")
    height = head_height - (head_height - low) % REFERENCE_RING
    return (height, probe.ref_block_hash.hex()) if height >= 0 else None


def is_covered(tracked: Tracked, *, start_height: int) -> bool:
    """True when a scan of all blocks above that height leaves out none that could hold it (H1).

    It cannot be in or before its own reference block.
    """
    return tracked.reference_height is not None and start_height <= tracked.reference_height


def effect_of(receipt: Receipt) -> Effect:
    """Return what is kept of a receipt."""
    return Effect(
        result=receipt.result or ("FAILED" if receipt.is_failed else "SUCCESS"),
        succeeded=receipt.succeeded,
        fee_sun=receipt.fee_sun,
        energy_used=receipt.energy_used,
        energy_fee_sun=receipt.energy_fee_sun,
        bandwidth_used=receipt.bandwidth_used,
        bandwidth_fee_sun=receipt.bandwidth_fee_sun,
        revert_reason=_reason(receipt),
        claimed_sun=receipt.claimed_sun,
        withdrawn_sun=receipt.withdrawn_sun,
        restaked_sun=receipt.restaked_sun,
        transfers=tuple(
            KeptLog(
                position=position,
                contract=log.contract,
                sender=log.sender,
                recipient=log.recipient,
                amount_base_units=str(log.value),
            )
            for position, log in transfer_logs(receipt)
        ),
    )


def _reason(receipt: Receipt) -> str | None:
    if receipt.succeeded:
        return None
    told = abi.decode_revert_reason(bytes.fromhex(receipt.output))
    return told or receipt.message or None


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


def receipt_view(effect: Effect) -> ReceiptView:
    """Write what a transaction did."""
    return ReceiptView(
        result=effect.result,
        fee_sun=str(effect.fee_sun),
        energy_used=effect.energy_used,
        energy_fee_sun=str(effect.energy_fee_sun),
        bandwidth_used=effect.bandwidth_used,
        bandwidth_fee_sun=str(effect.bandwidth_fee_sun),
        claimed_sun=str(effect.claimed_sun),
        withdrawn_sun=str(effect.withdrawn_sun),
        restaked_sun=str(effect.restaked_sun),
        transfers=[
            LogView(
                position=log.position,
                contract_address=log.contract,
                sender=log.sender,
                recipient=log.recipient,
                amount_base_units=log.amount_base_units,
            )
            for log in effect.transfers
        ],
        revert_reason=effect.revert_reason,
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


def block_ref(block: Anchor) -> BlockRef:
    """Write a block for the wire."""
    return BlockRef(height=block.height, block_id=block.block_id, timestamp_ms=block.timestamp_ms)

"""Check what is submitted before anything is stored: the bytes, who signed them, and whether they may."""

from dataclasses import dataclass
from typing import Final

from services.tron_client.domain.blocks import Anchor
from services.tron_client.domain.permissions import Permissions
from services.tron_client.domain.transactions import Tracked
from shared.errors import BadRequest, Conflict
from shared.models.tron_transactions import SignedTransaction
from shared.tron.address import Address
from shared.tron.decoding import SignedTransaction as DecodedTransaction
from shared.tron.decoding import UnexpectedBytes, decode_transaction
from shared.tron.operation import InvalidOperation
from shared.tron.signing import InvalidSignature, recover_address
from shared.tron.transaction import MAX_LIFETIME_MS, signed_transaction

MAX_TRANSACTION_BYTES: Final = 262_144
REFERENCE_RING: Final = 65_536
"""A node keeps one reference block for each last two bytes of a height."""


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

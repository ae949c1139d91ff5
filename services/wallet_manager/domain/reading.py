"""The meaning of a transaction, read back from what it does: ``operation_of`` turned around (hazard H5)."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from services.wallet_manager.domain.meaning import Meaning, details_of
from services.wallet_manager.domain.sends import Send
from shared.ids import split_send_key
from shared.models.wallet_sends import (
    KeyParam,
    PermissionParam,
    PermissionsParam,
    Purpose,
    SendKind,
    SendParams,
    VoteParam,
)
from shared.tron.decoding import DecodedTransaction
from shared.tron.operation import (
    ApproveTrc20,
    CallContract,
    CancelUnfreezes,
    ClaimRewards,
    CreateAccount,
    DelegateResource,
    FreezeBalance,
    Operation,
    Permission,
    TransferTrc20,
    TransferTrx,
    UndelegateResource,
    UnfreezeBalance,
    UpdatePermissions,
    VoteWitnesses,
    WithdrawUnfrozen,
)

KINDS: Final[Mapping[type[Operation], SendKind]] = {
    TransferTrx: SendKind.TRX_TRANSFER,
    TransferTrc20: SendKind.TRC20_TRANSFER,
    ApproveTrc20: SendKind.TRC20_APPROVE,
    CallContract: SendKind.CONTRACT_CALL,
    CreateAccount: SendKind.ACCOUNT_ACTIVATE,
    FreezeBalance: SendKind.FREEZE_BALANCE,
    UnfreezeBalance: SendKind.UNFREEZE_BALANCE,
    CancelUnfreezes: SendKind.CANCEL_UNFREEZE,
    WithdrawUnfrozen: SendKind.WITHDRAW_UNFROZEN,
    DelegateResource: SendKind.DELEGATE,
    UndelegateResource: SendKind.UNDELEGATE,
    VoteWitnesses: SendKind.VOTE,
    ClaimRewards: SendKind.CLAIM_REWARDS,
    UpdatePermissions: SendKind.PERMISSION_UPDATE,
}
"""The kind of send that each operation comes from."""


def facts_of(operation: Operation) -> str:
    """Return what a transaction does in one line, to find others that do the same (hazard H4)."""
    said = (f"{field.name}={getattr(operation, field.name)}" for field in fields(operation))
    return "|".join((type(operation).__name__, *said))


def meaning_of(operation: Operation) -> Meaning:
    """Return the kind and the parameters that make this operation."""
    return Meaning(
        kind=KINDS[type(operation)],
        owner=operation.owner,
        recipient=_first(operation, "to", "spender", "account"),
        contract=_first(operation, "contract"),
        amount=_first(operation, "amount_sun", "amount", "call_value_sun") or 0,
        resource=_first(operation, "resource"),
        details=details_of(_details(operation)),
    )


def rebuilt(
    decoded: DecodedTransaction,
    *,
    send_id: str,
    send_key: str,
    wallet_id: str,
    is_to_own: bool,
    at_ms: int,
) -> Send:
    """Return the send of a transaction as far as its bytes tell; nothing new is signed for it.

    Whoever asked for it knows its key, and may ask for another ordinal.
    """
    meaning = meaning_of(decoded.operation)
    origin, _, _ = split_send_key(send_key)
    return Send(
        id=send_id,
        send_key=send_key,
        origin_service=origin,
        origin_principal="recovery",
        purpose=likely_purpose(origin, meaning.kind, is_to_own=is_to_own),
        wallet_id=wallet_id,
        owner=meaning.owner,
        kind=meaning.kind,
        recipient=meaning.recipient,
        contract=meaning.contract,
        amount=meaning.amount,
        resource=meaning.resource,
        details=meaning.details,
        memo=decoded.memo.decode(errors="replace"),
        permission_id=decoded.permission_id,
        max_fee_sun=decoded.fee_limit_sun,
        not_after_ms=at_ms,
        due_ms=at_ms,
        created_at_ms=at_ms,
        updated_at_ms=at_ms,
    )


def likely_purpose(origin: str, kind: SendKind, *, is_to_own: bool) -> Purpose:
    """Say what a send was for that only its transaction is known of; a repeat of its key keeps this."""
    if origin == "trx-staking":
        return Purpose.STAKE
    if origin == "payout-router":
        return Purpose.PAYOUT
    if not is_to_own:
        return Purpose.PAYMENT
    return Purpose.FEE_TOP_UP if kind is SendKind.TRX_TRANSFER else Purpose.SWEEP


def _first(operation: Operation, *names: str) -> Any:
    """Return the first of these parameters that an operation has."""
    return next((getattr(operation, name) for name in names if hasattr(operation, name)), None)


def _details(operation: Operation) -> SendParams:
    match operation:
        case CallContract():
            return SendParams(data=operation.data.hex())
        case DelegateResource() if operation.is_locked:
            return SendParams(lock_blocks=operation.lock_blocks)
        case VoteWitnesses():
            return _votes(operation)
        case UpdatePermissions():
            return _permissions(operation)
        case _:
            return SendParams()


def _votes(operation: VoteWitnesses) -> SendParams:
    votes = [VoteParam(witness=one.witness, count=one.count) for one in operation.votes]
    return SendParams(votes=votes)


def _permissions(operation: UpdatePermissions) -> SendParams:
    witness = operation.witness_permission
    return SendParams(
        permissions=PermissionsParam(
            owner=_permission(operation.owner_permission),
            witness=_permission(witness) if witness else None,
            actives=[_permission(one) for one in operation.actives],
        )
    )


def _permission(operation: Permission) -> PermissionParam:
    return PermissionParam(
        name=operation.name,
        threshold=operation.threshold,
        keys=[KeyParam(address=key.address, weight=key.weight) for key in operation.keys],
        operations=operation.operations.hex(),
    )

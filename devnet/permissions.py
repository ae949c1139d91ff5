"""Whose signatures carry a transaction: the permissions of accounts, and what keys weigh in them.

Rules and texts are those of java-tron's TransactionCapsule, AccountCapsule and TransactionUtil.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import cast

from devnet.address import to_base58
from devnet.chain_pb2 import Key, Permission, Transaction
from devnet.items import Item, opened
from devnet.keys import RecoveryError, SignatureSizeError, recover
from devnet.rejection import RejectedError
from devnet.state import State

OWNER_PERMISSION = 0
WITNESS_PERMISSION = 1
ACTIVE_PERMISSION = 2
# What the permissions of a new account allow, and what any permission may (bit n is contract n).
ACTIVE_OPERATIONS = bytes.fromhex("7fff1fc0033efb0f" + "00" * 24)
AVAILABLE_OPERATIONS = bytes.fromhex("7fff1fc0037efb0f" + "00" * 24)
OPERATIONS_BYTES = 32
TOTAL_SIGN_NUM = 5

_KIND = "permissions"


class NotPermittedError(Exception):
    """A permission does not allow what was asked; its text is the node's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """All permissions of one account; the messages in it are never changed.

    Attributes:
        witness: None unless the account is a witness that has set one.
    """

    owner: Permission
    witness: Permission | None
    actives: tuple[Permission, ...]

    def by_id(self, number: int) -> Permission | None:
        """The permission that a contract's Permission_id names."""
        match number:
            case 0:
                return self.owner
            case 1:
                return self.witness
            case _:
                return next((each for each in self.actives if each.id == number), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """What the node says of a permission that is not there, of the wrong kind or too narrow."""

    missing: str
    wrong: str
    denied: str


_ON_BROADCAST = _Texts(
    missing="permission isn't exit",
    wrong="Permission type is error",
    denied="Permission denied",
)
_ON_INQUIRY = _Texts(
    missing="Permission for this, does not exist!",
    wrong="Permission type is wrong!",
    denied="Permission denied!",
)


@lru_cache(maxsize=4096)
def inborn(address: bytes) -> Permissions:
    """The permissions that an account is born with: its own key may do everything."""
    keys = [Key(address=address, weight=1)]
    return Permissions(
        owner=Permission(permission_name="owner", threshold=1, keys=keys),
        witness=None,
        actives=(
            Permission(
                type=Permission.Active,
                id=ACTIVE_PERMISSION,
                permission_name="active",
                threshold=1,
                operations=ACTIVE_OPERATIONS,
                keys=keys,
            ),
        ),
    )


def permissions_of(state: State, address: bytes) -> Permissions:
    """The permissions of an account, those of birth unless it changed them.

    They are assumed for an address without an account too: its own key may sign, though nothing
    can be charged to it.
    """
    changed = state.get((_KIND, address))
    return inborn(address) if changed is None else cast("Permissions", changed)


def put_permissions(state: State, address: bytes, permissions: Permissions) -> None:
    """Replace the permissions of an account."""
    state.put((_KIND, address), permissions)


def allows(permission: Permission, contract_type: int) -> bool:
    """True if the permission's operations have the contract's bit.

    Raises:
        NotPermittedError: The operations are not 32 bytes.
    """
    if len(permission.operations) != OPERATIONS_BYTES:
        raise NotPermittedError("operations size must be 32")
    return bool(permission.operations[contract_type // 8] & 1 << contract_type % 8)


def check_signatures(state: State, item: Item) -> None:
    """Ask that the signatures reach the threshold of the permission that the transaction names.

    Raises:
        RejectedError: They do not.
    """
    signatures = item.transaction.signature
    if not signatures:
        raise RejectedError.unsigned("miss sig or contract")
    if len(signatures) > TOTAL_SIGN_NUM:
        raise RejectedError.unsigned("too many signatures")
    try:
        permission = _usable_permission(state, item, _ON_BROADCAST)
        weight, _ = weigh(permission, item.txid, signatures)
    except (NotPermittedError, SignatureSizeError, RecoveryError) as error:
        raise RejectedError.unsigned(str(error)) from error
    if weight < permission.threshold:
        raise RejectedError.unsigned("sig error")


def weigh(
    permission: Permission, txid: bytes, signatures: Sequence[bytes]
) -> tuple[int, tuple[bytes, ...]]:
    """The weight of all signatures together, and the addresses that made them.

    Raises:
        NotPermittedError: There are more than keys, one is a stranger's, or one key signed twice.
        SignatureSizeError: One is too short or too long.
        RecoveryError: No key can have made one of them.
    """
    if len(signatures) > len(permission.keys):
        raise NotPermittedError(
            f"Signature count is {len(signatures)} more than key counts of permission : "
            f"{len(permission.keys)}"
        )
    weights = {key.address: key.weight for key in permission.keys}
    signers: list[bytes] = []
    for signature in signatures:
        signer = recover(txid, signature)
        if not weights.get(signer):
            raise NotPermittedError(
                f"{signature.hex()} is signed by {to_base58(signer)} "
                "but it is not contained of permission."
            )
        if signer in signers:
            raise NotPermittedError(f"{to_base58(signer)} has signed twice!")
        signers.append(signer)
    return sum(weights[each] for each in signers), tuple(signers)


class Verdict(StrEnum):
    """What getsignweight and getapprovedlist say; the first of either is left out in JSON."""

    ENOUGH_PERMISSION = "ENOUGH_PERMISSION"
    SUCCESS = "SUCCESS"
    NOT_ENOUGH_PERMISSION = "NOT_ENOUGH_PERMISSION"
    SIGNATURE_FORMAT_ERROR = "SIGNATURE_FORMAT_ERROR"
    COMPUTE_ADDRESS_ERROR = "COMPUTE_ADDRESS_ERROR"
    PERMISSION_ERROR = "PERMISSION_ERROR"
    OTHER_ERROR = "OTHER_ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignWeight:
    """What the signatures of a transaction weigh.

    Attributes:
        permission: The one that the transaction names; None if it cannot be used.
        approved: The addresses that signed, in the order of their signatures.
    """

    verdict: Verdict
    message: str = ""
    permission: Permission | None = None
    approved: tuple[bytes, ...] = ()
    weight: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedList:
    """Whose keys signed a transaction, whatever they may do."""

    verdict: Verdict
    message: str = ""
    approved: tuple[bytes, ...] = ()


def sign_weight(state: State, transaction: Transaction) -> SignWeight:
    """Whether the signatures are enough (getTransactionSignWeight)."""
    permission: Permission | None = None
    try:
        item = _opened(transaction)
        _check_activated(state, item)
        permission = _usable_permission(state, item, _ON_INQUIRY)
        weight, approved = weigh(permission, item.txid, transaction.signature)
    except NotPermittedError as error:
        return SignWeight(
            verdict=Verdict.PERMISSION_ERROR, message=str(error), permission=permission
        )
    except (SignatureSizeError, RecoveryError, RejectedError) as error:
        return SignWeight(verdict=_verdict_on(error), message=_text(error), permission=permission)
    enough = weight >= permission.threshold
    return SignWeight(
        verdict=Verdict.ENOUGH_PERMISSION if enough else Verdict.NOT_ENOUGH_PERMISSION,
        permission=permission,
        approved=approved,
        weight=weight,
    )


def approved_list(state: State, transaction: Transaction) -> ApprovedList:
    """Who signed (getTransactionApprovedList)."""
    try:
        item = _opened(transaction)
        if state.account(item.owner) is None:
            raise RejectedError.invalid(
                "class org.tron.core.exception.PermissionException : Account does not exist!"
            )
        approved = tuple(recover(item.txid, each) for each in transaction.signature)
    except (SignatureSizeError, RecoveryError, RejectedError) as error:
        return ApprovedList(verdict=_verdict_on(error), message=_text(error))
    return ApprovedList(verdict=Verdict.SUCCESS, approved=approved)


def _opened(transaction: Transaction) -> Item:
    if not transaction.raw_data.contract:
        raise RejectedError.invalid("Invalid transaction: no valid contract")
    return opened(transaction)


def _check_activated(state: State, item: Item) -> None:
    if state.account(item.owner) is None:
        raise NotPermittedError("Account does not exist!")


def _usable_permission(state: State, item: Item, texts: _Texts) -> Permission:
    """The permission that the transaction names: the owner's may do everything, an active one
    what its operations say.
    """
    contract = item.transaction.raw_data.contract[0]
    permission = permissions_of(state, item.owner).by_id(contract.Permission_id)
    if permission is None:
        raise NotPermittedError(texts.missing)
    if contract.Permission_id == OWNER_PERMISSION:
        return permission
    if permission.type != Permission.Active:
        raise NotPermittedError(texts.wrong)
    if not allows(permission, contract.type):
        raise NotPermittedError(texts.denied)
    return permission


def _verdict_on(error: Exception) -> Verdict:
    match error:
        case SignatureSizeError():
            return Verdict.SIGNATURE_FORMAT_ERROR
        case RecoveryError():
            return Verdict.COMPUTE_ADDRESS_ERROR
        case _:
            return Verdict.OTHER_ERROR


def _text(error: Exception) -> str:
    return error.detail if isinstance(error, RejectedError) else str(error)

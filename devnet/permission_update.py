"""Changing an account's permissions (java-tron's AccountPermissionUpdateActuator)."""

from __future__ import annotations

from devnet.actuators import Actuator, owner_of
from devnet.address import is_valid
from devnet.chain_pb2 import AccountPermissionUpdateContract, Permission, TransactionInfo
from devnet.moment import Moment
from devnet.permissions import (
    ACTIVE_PERMISSION,
    AVAILABLE_OPERATIONS,
    OPERATIONS_BYTES,
    OWNER_PERMISSION,
    TOTAL_SIGN_NUM,
    WITNESS_PERMISSION,
    Permissions,
    put_permissions,
)
from devnet.rejection import Code, RejectedError
from devnet.state import State
from devnet.witnesses import turns

_MAX_ACTIVES = 8
_MAX_NAME_CHARACTERS = 32
_LARGEST_WEIGHT = 2**63 - 1


def _validate_update(
    state: State, update: AccountPermissionUpdateContract, _moment: Moment
) -> None:
    if not state.parameter("getAllowMultiSign"):
        raise RejectedError.invalid("multi sign is not allowed, need to be opened by the committee")
    if not is_valid(update.owner_address):
        raise RejectedError.invalid("invalidate ownerAddress")
    owner_of(state, update.owner_address, missing="ownerAddress account does not exist")
    is_witness = update.owner_address in turns(state)
    _check_presence(update, is_witness=is_witness)

    if update.owner.type != Permission.Owner:
        raise RejectedError.invalid("owner permission type is error")
    _check_permission(update.owner)
    if is_witness:
        if update.witness.type != Permission.Witness:
            raise RejectedError.invalid("witness permission type is error")
        _check_permission(update.witness)
    for active in update.actives:
        if active.type != Permission.Active:
            raise RejectedError.invalid("active permission type is error")
        _check_permission(active)


def _check_presence(update: AccountPermissionUpdateContract, *, is_witness: bool) -> None:
    if not update.HasField("owner"):
        raise RejectedError.invalid("owner permission is missed")
    if is_witness and not update.HasField("witness"):
        raise RejectedError.invalid("witness permission is missed")
    if not is_witness and update.HasField("witness"):
        raise RejectedError.invalid("account isn't witness can't set witness permission")
    if not update.actives:
        raise RejectedError.invalid("active permission is missed")
    if len(update.actives) > _MAX_ACTIVES:
        raise RejectedError.invalid("active permission is too many")


def _check_permission(permission: Permission) -> None:
    if len(permission.keys) > TOTAL_SIGN_NUM:
        raise RejectedError.invalid(
            f"number of keys in permission should not be greater than {TOTAL_SIGN_NUM}"
        )
    if not permission.keys:
        raise RejectedError.invalid("key's count should be greater than 0")
    if permission.type == Permission.Witness and len(permission.keys) != 1:
        raise RejectedError.invalid("Witness permission's key count should be 1")
    if permission.threshold <= 0:
        raise RejectedError.invalid("permission's threshold should be greater than 0")
    if len(permission.permission_name) > _MAX_NAME_CHARACTERS:
        raise RejectedError.invalid("permission's name is too long")
    if permission.parent_id:
        raise RejectedError.invalid("permission's parent should be owner")
    _check_keys(permission)
    _check_operations(permission)


def _check_keys(permission: Permission) -> None:
    kind = Permission.PermissionType.Name(permission.type)
    if len({key.address for key in permission.keys}) != len(permission.keys):
        raise RejectedError.invalid(f"address should be distinct in permission {kind}")
    weight = 0
    for key in permission.keys:
        if not is_valid(key.address):
            raise RejectedError.invalid("key is not a validate address")
        if key.weight <= 0:
            raise RejectedError.invalid("key's weight should be greater than 0")
        weight += key.weight
        if weight > _LARGEST_WEIGHT:
            raise RejectedError.invalid("long overflow")
    if weight < permission.threshold:
        raise RejectedError.invalid(
            f"sum of all key's weight should not be less than threshold in permission {kind}"
        )


def _check_operations(permission: Permission) -> None:
    operations = permission.operations
    if permission.type != Permission.Active:
        if operations:
            kind = Permission.PermissionType.Name(permission.type)
            raise RejectedError.invalid(f"{kind} permission needn't operations")
        return
    if len(operations) != OPERATIONS_BYTES:
        raise RejectedError.invalid("operations size must 32")
    for bit in range(OPERATIONS_BYTES * 8):
        mask = 1 << bit % 8
        if operations[bit // 8] & mask and not AVAILABLE_OPERATIONS[bit // 8] & mask:
            raise RejectedError.invalid(f"{bit} isn't a validate ContractType")


def _execute_update(
    state: State,
    update: AccountPermissionUpdateContract,
    _moment: Moment,
    info: TransactionInfo,
) -> None:
    """Replace everything; ids are given by position, whatever the contract says."""
    fee_sun = state.parameter("getUpdateAccountPermissionFee")
    owner = owner_of(state, update.owner_address)
    if owner.balance_sun < fee_sun:
        raise RejectedError(
            Code.CONTRACT_EXE_ERROR,
            "Contract execute error : "
            f"{update.owner_address.hex()} insufficient balance, "
            f"balance: {owner.balance_sun}, amount: {fee_sun}",
        )
    witness = None
    if update.HasField("witness"):
        witness = _numbered(update.witness, WITNESS_PERMISSION)
    permissions = Permissions(
        owner=_numbered(update.owner, OWNER_PERMISSION),
        witness=witness,
        actives=tuple(
            _numbered(active, number)
            for number, active in enumerate(update.actives, start=ACTIVE_PERMISSION)
        ),
    )
    put_permissions(state, update.owner_address, permissions)
    state.put_account(owner.with_balance(-fee_sun))
    state.burn(fee_sun)
    info.fee += fee_sun


def _numbered(permission: Permission, number: int) -> Permission:
    numbered = Permission()
    numbered.CopyFrom(permission)
    numbered.id = number
    return numbered


PERMISSION_ACTUATORS = {
    "AccountPermissionUpdateContract": Actuator(validate=_validate_update, execute=_execute_update),
}

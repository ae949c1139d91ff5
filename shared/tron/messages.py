"""Operations in the words of the protocol: one message of protocol buffers for each kind."""

from typing import Final, assert_never

from google.protobuf.message import Message

from shared.tron import protocol_pb2 as pb
from shared.tron.abi import encode_approve, encode_transfer
from shared.tron.address import Address, address_bytes
from shared.tron.operation import (
    ApproveTrc20,
    CallContract,
    CancelUnfreezes,
    ClaimRewards,
    ContractCall,
    CreateAccount,
    DelegateResource,
    FreezeBalance,
    Operation,
    Permission,
    Resource,
    TransferTrc20,
    TransferTrx,
    UndelegateResource,
    UnfreezeBalance,
    UpdatePermissions,
    VoteWitnesses,
    WithdrawUnfrozen,
)

_RESOURCE_CODES: Final = {Resource.BANDWIDTH: pb.BANDWIDTH, Resource.ENERGY: pb.ENERGY}
_KINDS = pb.Transaction.Contract

Written = tuple[pb.Transaction.Contract.ContractType, Message]
Stake = FreezeBalance | UnfreezeBalance | DelegateResource | UndelegateResource
Withdrawal = CancelUnfreezes | WithdrawUnfrozen | ClaimRewards


def contract_of(operation: Operation) -> Written:  # noqa: PLR0911 - one return a kind
    """Return the type and the message of the one contract of a transaction.

    Source: java-tron Tron.proto and core/contract/*.proto.
    """
    match operation:
        case TransferTrx(to=to, amount_sun=amount):
            return _KINDS.TransferContract, pb.TransferContract(
                owner_address=address_bytes(operation.owner),
                to_address=address_bytes(to),
                amount=amount,
            )
        case TransferTrc20() | ApproveTrc20() | CallContract():
            return _KINDS.TriggerSmartContract, _call(operation)
        case CreateAccount(account=account):
            return _KINDS.AccountCreateContract, pb.AccountCreateContract(
                owner_address=address_bytes(operation.owner), account_address=address_bytes(account)
            )
        case FreezeBalance() | UnfreezeBalance() | DelegateResource() | UndelegateResource():
            return _stake(operation)
        case CancelUnfreezes() | WithdrawUnfrozen() | ClaimRewards():
            return _withdrawal(operation)
        case VoteWitnesses(votes=votes):
            return _KINDS.VoteWitnessContract, pb.VoteWitnessContract(
                owner_address=address_bytes(operation.owner),
                votes=[
                    pb.VoteWitnessContract.Vote(
                        vote_address=address_bytes(one.witness), vote_count=one.count
                    )
                    for one in votes
                ],
            )
        case UpdatePermissions():
            return _KINDS.AccountPermissionUpdateContract, _permissions(operation)
        case _:
            assert_never(operation)


def calldata_of(operation: ContractCall) -> bytes:
    """Return what a contract is called with."""
    match operation:
        case TransferTrc20(to=to, amount=amount):
            return encode_transfer(to, amount)
        case ApproveTrc20(spender=spender, amount=amount):
            return encode_approve(spender, amount)
        case CallContract(data=data):
            return data


def _call(operation: ContractCall) -> Message:
    value_sun = operation.call_value_sun if isinstance(operation, CallContract) else 0
    return pb.TriggerSmartContract(
        owner_address=address_bytes(operation.owner),
        contract_address=address_bytes(operation.contract),
        call_value=value_sun,
        data=calldata_of(operation),
    )


def _stake(operation: Stake) -> Written:
    owner, amount = address_bytes(operation.owner), operation.amount_sun
    resource = _RESOURCE_CODES[operation.resource]
    match operation:
        case FreezeBalance():
            return _KINDS.FreezeBalanceV2Contract, pb.FreezeBalanceV2Contract(
                owner_address=owner, frozen_balance=amount, resource=resource
            )
        case UnfreezeBalance():
            return _KINDS.UnfreezeBalanceV2Contract, pb.UnfreezeBalanceV2Contract(
                owner_address=owner, unfreeze_balance=amount, resource=resource
            )
        case DelegateResource(to=to):
            return _KINDS.DelegateResourceContract, pb.DelegateResourceContract(
                owner_address=owner,
                resource=resource,
                balance=amount,
                receiver_address=address_bytes(to),
                lock=operation.is_locked,
                lock_period=operation.lock_blocks,
            )
        case UndelegateResource(to=to):
            return _KINDS.UnDelegateResourceContract, pb.UnDelegateResourceContract(
                owner_address=owner,
                resource=resource,
                balance=amount,
                receiver_address=address_bytes(to),
            )


def _withdrawal(operation: Withdrawal) -> Written:
    owner = address_bytes(operation.owner)
    match operation:
        case CancelUnfreezes():
            return _KINDS.CancelAllUnfreezeV2Contract, pb.CancelAllUnfreezeV2Contract(
                owner_address=owner
            )
        case WithdrawUnfrozen():
            return _KINDS.WithdrawExpireUnfreezeContract, pb.WithdrawExpireUnfreezeContract(
                owner_address=owner
            )
        case ClaimRewards():
            return _KINDS.WithdrawBalanceContract, pb.WithdrawBalanceContract(owner_address=owner)


def _permissions(operation: UpdatePermissions) -> Message:
    kinds = pb.Permission
    witness = operation.witness_permission
    return pb.AccountPermissionUpdateContract(
        owner_address=address_bytes(operation.owner),
        owner=_permission(operation.owner_permission, kinds.Owner),
        witness=None if witness is None else _permission(witness, kinds.Witness),
        actives=[_permission(one, kinds.Active) for one in operation.actives],
    )


def _permission(permission: Permission, kind: pb.Permission.PermissionType) -> pb.Permission:
    return pb.Permission(
        type=kind,
        permission_name=permission.name,
        threshold=permission.threshold,
        operations=permission.operations,
        keys=[_key(key.address, key.weight) for key in permission.keys],
    )


def _key(address: Address, weight: int) -> pb.Key:
    return pb.Key(address=address_bytes(address), weight=weight)

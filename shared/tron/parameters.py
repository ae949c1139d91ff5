"""Read what a transaction does from the bytes of its contract, independently of what writes them.

Only what this project signs is known here; everything else is refused.
"""

from collections.abc import Mapping
from typing import Final

from shared.tron.address import ADDRESS_LENGTH, Address, address_from_bytes
from shared.tron.contracts import ContractKind
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
    Resource,
    TransferTrc20,
    TransferTrx,
    UndelegateResource,
    UnfreezeBalance,
    UpdatePermissions,
    Votes,
    VoteWitnesses,
    WeightedKey,
    WithdrawUnfrozen,
)
from shared.tron.wire import Message, UnexpectedBytes, blob, number, read_message

_TRANSFER: Final = bytes.fromhex("a9059cbb")
_APPROVE: Final = bytes.fromhex("095ea7b3")
_TWO_WORDS: Final = 68
_RESOURCES: Final = {0: Resource.BANDWIDTH, 1: Resource.ENERGY}
_OWNER: Final = 0
_WITNESS: Final = 1
_ACTIVE: Final = 2

_OWNER_FIELDS: Final = {1: blob("owner_address")}
_TRANSFER_FIELDS: Final = {**_OWNER_FIELDS, 2: blob("to_address"), 3: number("amount")}
_CREATE_FIELDS: Final = {**_OWNER_FIELDS, 2: blob("account_address")}
_TRIGGER_FIELDS: Final = {
    **_OWNER_FIELDS,
    2: blob("contract_address"),
    3: number("call_value"),
    4: blob("data"),
}
_STAKE_FIELDS: Final = {**_OWNER_FIELDS, 2: number("amount"), 3: number("resource")}
_LEND_FIELDS: Final = {
    **_OWNER_FIELDS,
    2: number("resource"),
    3: number("balance"),
    4: blob("receiver_address"),
}
_LOCKED_LEND_FIELDS: Final = {**_LEND_FIELDS, 5: number("lock"), 6: number("lock_period")}
_VOTE_FIELDS: Final = {**_OWNER_FIELDS, 2: blob("votes", repeated=True)}
_ONE_VOTE_FIELDS: Final = {1: blob("vote_address"), 2: number("vote_count")}
_PERMISSION_UPDATE_FIELDS: Final = {
    **_OWNER_FIELDS,
    2: blob("owner"),
    3: blob("witness"),
    4: blob("actives", repeated=True),
}
_PERMISSION_FIELDS: Final = {
    1: number("type"),
    3: blob("permission_name"),
    4: number("threshold"),
    6: blob("operations"),
    7: blob("keys", repeated=True),
}
_KEY_FIELDS: Final = {1: blob("address"), 2: number("weight")}
_WITHDRAWALS: Final[
    Mapping[ContractKind, type[CancelUnfreezes | WithdrawUnfrozen | ClaimRewards]]
] = {
    ContractKind.CANCEL_ALL_UNFREEZE_V2: CancelUnfreezes,
    ContractKind.WITHDRAW_EXPIRE_UNFREEZE: WithdrawUnfrozen,
    ContractKind.WITHDRAW_BALANCE: ClaimRewards,
}


def operation_of(kind: ContractKind, value: bytes) -> Operation:  # noqa: PLR0911 - one return a kind
    """Read the parameter of a contract.

    Raises:
        UnexpectedBytes: a kind that is never signed here, or fields of no use to an operation.
        InvalidOperation: values that make no sense.
        InvalidAddress: an address that is none.
    """
    match kind:
        case ContractKind.TRANSFER:
            return _transfer_trx(value)
        case ContractKind.TRIGGER_SMART_CONTRACT:
            return _call(value)
        case ContractKind.ACCOUNT_CREATE:
            return _create_account(value)
        case ContractKind.FREEZE_BALANCE_V2:
            return _stake(value, FreezeBalance)
        case ContractKind.UNFREEZE_BALANCE_V2:
            return _stake(value, UnfreezeBalance)
        case ContractKind.DELEGATE_RESOURCE | ContractKind.UNDELEGATE_RESOURCE:
            return _lend(kind, value)
        case ContractKind.VOTE_WITNESS:
            return _vote(value)
        case ContractKind.ACCOUNT_PERMISSION_UPDATE:
            return _permission_update(value)
        case _ if kind in _WITHDRAWALS:
            message = read_message(value, _OWNER_FIELDS, within=kind)
            return _WITHDRAWALS[kind](owner=_address(message, "owner_address"))
        case _:
            raise UnexpectedBytes(what=f"a {kind}, which is never signed here")


def _transfer_trx(value: bytes) -> TransferTrx:
    message = read_message(value, _TRANSFER_FIELDS, within="TransferContract")
    return TransferTrx(
        owner=_address(message, "owner_address"),
        to=_address(message, "to_address"),
        amount_sun=message.number("amount"),
    )


def _call(value: bytes) -> TransferTrc20 | ApproveTrc20 | CallContract:
    message = read_message(value, _TRIGGER_FIELDS, within="TriggerSmartContract")
    owner, contract = _address(message, "owner_address"), _address(message, "contract_address")
    data = message.blob("data")
    selector = data[:4]
    if selector not in {_TRANSFER, _APPROVE}:
        return CallContract(
            owner=owner, contract=contract, data=data, call_value_sun=message.number("call_value")
        )
    if len(data) != _TWO_WORDS or any(data[4:16]) or message.number("call_value"):
        raise UnexpectedBytes(what="a token call that is not exactly (address,uint256)")
    party, amount = address_from_bytes(data[16:36]), int.from_bytes(data[36:], "big")
    if selector == _TRANSFER:
        return TransferTrc20(owner=owner, contract=contract, to=party, amount=amount)
    return ApproveTrc20(owner=owner, contract=contract, spender=party, amount=amount)


def _create_account(value: bytes) -> CreateAccount:
    message = read_message(value, _CREATE_FIELDS, within="AccountCreateContract")
    return CreateAccount(
        owner=_address(message, "owner_address"), account=_address(message, "account_address")
    )


def _stake(value: bytes, make: type[FreezeBalance | UnfreezeBalance]) -> Operation:
    message = read_message(value, _STAKE_FIELDS, within=make.__name__)
    return make(
        owner=_address(message, "owner_address"),
        amount_sun=message.number("amount"),
        resource=_resource(message),
    )


def _lend(kind: ContractKind, value: bytes) -> Operation:
    is_lent = kind is ContractKind.DELEGATE_RESOURCE
    message = read_message(value, _LOCKED_LEND_FIELDS if is_lent else _LEND_FIELDS, within=kind)
    owner, to = _address(message, "owner_address"), _address(message, "receiver_address")
    amount_sun, resource = message.number("balance"), _resource(message)
    if not is_lent:
        return UndelegateResource(owner=owner, to=to, amount_sun=amount_sun, resource=resource)
    if message.number("lock") > 1:
        raise UnexpectedBytes(what="a boolean that is neither 0 nor 1")
    return DelegateResource(
        owner=owner,
        to=to,
        amount_sun=amount_sun,
        resource=resource,
        is_locked=message.number("lock") == 1,
        lock_blocks=message.number("lock_period"),
    )


def _vote(value: bytes) -> VoteWitnesses:
    message = read_message(value, _VOTE_FIELDS, within="VoteWitnessContract")
    votes = [read_message(one, _ONE_VOTE_FIELDS, within="Vote") for one in message.all("votes")]
    return VoteWitnesses(
        owner=_address(message, "owner_address"),
        votes=tuple(
            Votes(witness=_address(one, "vote_address"), count=one.number("vote_count"))
            for one in votes
        ),
    )


def _permission_update(value: bytes) -> UpdatePermissions:
    message = read_message(value, _PERMISSION_UPDATE_FIELDS, within="AccountPermissionUpdate")
    witness = message.blob("witness")
    return UpdatePermissions(
        owner=_address(message, "owner_address"),
        owner_permission=_permission(message.blob("owner"), _OWNER),
        witness_permission=_permission(witness, _WITNESS) if witness else None,
        actives=tuple(_permission(one, _ACTIVE) for one in message.all("actives")),
    )


def _permission(value: bytes, kind: int) -> Permission:
    message = read_message(value, _PERMISSION_FIELDS, within="Permission")
    if message.number("type") != kind:
        raise UnexpectedBytes(what=f"a permission of type {message.number('type')}")
    try:
        name = message.blob("permission_name").decode()
    except UnicodeDecodeError:
        raise UnexpectedBytes(what="a permission's name that is not UTF-8") from None
    keys = [read_message(one, _KEY_FIELDS, within="Key") for one in message.all("keys")]
    return Permission(
        name=name,
        threshold=message.number("threshold"),
        operations=message.blob("operations"),
        keys=tuple(
            WeightedKey(address=_address(one, "address"), weight=one.number("weight"))
            for one in keys
        ),
    )


def _resource(message: Message) -> Resource:
    code = message.number("resource")
    if code not in _RESOURCES:
        raise UnexpectedBytes(what=f"resource {code}")
    return _RESOURCES[code]


def _address(message: Message, name: str) -> Address:
    raw = message.blob(name)
    if len(raw) != ADDRESS_LENGTH:
        raise UnexpectedBytes(what=f"{name} is not {ADDRESS_LENGTH} bytes")
    return address_from_bytes(raw)

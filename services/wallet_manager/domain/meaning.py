"""What each kind of send means: which parameters it takes, and the operation they make."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from shared.errors import BadRequest
from shared.models.wallet_sends import PermissionParam, PermissionsParam, SendKind, SendParams
from shared.tron.address import Address
from shared.tron.operation import (
    INT64_MAX,
    ApproveTrc20,
    CallContract,
    CancelUnfreezes,
    ClaimRewards,
    CreateAccount,
    DelegateResource,
    FreezeBalance,
    InvalidOperation,
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


class ImpossibleSend(BadRequest):
    """The intent makes no sense on TRON."""

    code = "LUCID_ERR_9303"
    title = "Impossible send"


DETAILS: Final = ("lock_blocks", "votes", "permissions", "data")
"""Parameters that are stored as one text, since few kinds have them."""

CONTRACT_KINDS: Final = frozenset(
    {SendKind.TRC20_TRANSFER, SendKind.TRC20_APPROVE, SendKind.CONTRACT_CALL}
)
"""Kinds that run a contract and so need energy and a fee limit."""

STATE_KINDS: Final = frozenset({SendKind.TRC20_APPROVE, SendKind.VOTE, SendKind.PERMISSION_UPDATE})
"""Kinds that replace what was there: a newer one makes an older one void."""

# A call that pays TRX has no amount here: a node cannot be asked through tron-client what it would take.
_TAKEN: Final[Mapping[SendKind, frozenset[str]]] = {
    SendKind.TRX_TRANSFER: frozenset({"amount", "recipient"}),
    SendKind.TRC20_TRANSFER: frozenset({"amount", "recipient", "contract_address"}),
    SendKind.TRC20_APPROVE: frozenset({"amount", "recipient", "contract_address"}),
    SendKind.FREEZE_BALANCE: frozenset({"amount", "resource"}),
    SendKind.UNFREEZE_BALANCE: frozenset({"amount", "resource"}),
    SendKind.CANCEL_UNFREEZE: frozenset(),
    SendKind.WITHDRAW_UNFROZEN: frozenset(),
    SendKind.DELEGATE: frozenset({"amount", "recipient", "resource", "lock_blocks"}),
    SendKind.UNDELEGATE: frozenset({"amount", "recipient", "resource"}),
    SendKind.VOTE: frozenset({"votes"}),
    SendKind.CLAIM_REWARDS: frozenset(),
    SendKind.ACCOUNT_ACTIVATE: frozenset({"recipient"}),
    SendKind.PERMISSION_UPDATE: frozenset({"permissions"}),
    SendKind.CONTRACT_CALL: frozenset({"contract_address", "data"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a send does, as stored: the parameters of its kind and its payer."""

    kind: SendKind
    owner: Address
    recipient: Address | None
    contract: Address | None
    amount: int
    resource: Resource | None
    details: str


def require_fitting(kind: SendKind, params: SendParams) -> None:
    """Refuse parameters that say nothing for this kind, since they may have meant another one."""
    taken = _TAKEN[kind]
    if "amount" not in taken and params.amount_base_units != "0":
        raise ImpossibleSend(f"a {kind} takes no amount", field="amount_base_units")
    for field in ("recipient", "contract_address", "resource", *DETAILS):
        if field not in taken and getattr(params, field) is not None:
            raise ImpossibleSend(f"a {kind} takes no {field}", field=field)


def details_of(params: SendParams) -> str:
    """Return the rarer parameters as one text that is the same whenever they are."""
    if all(getattr(params, field) is None for field in DETAILS):
        return ""
    return params.model_dump_json(include=set(DETAILS), exclude_none=True)


def details_from(text: str) -> SendParams:
    """Read what ``details_of`` wrote."""
    return SendParams.model_validate_json(text or "{}")


def operation_of(meaning: Meaning) -> Operation:
    """Return what is to be signed.

    Raises:
        ImpossibleSend: a parameter is missing.
        InvalidOperation: it makes no sense on TRON.
    """
    return _MAKERS[meaning.kind](meaning)


def lane_of(meaning: Meaning) -> str | None:
    """Name the state a send changes, if it changes one rather than moving value (hazard H16).

    Sends of one lane are signed one after the other.
    """
    match meaning.kind:
        case SendKind.TRC20_APPROVE:
            thing = f"allowance:{meaning.contract}:{meaning.recipient}"
        case SendKind.DELEGATE | SendKind.UNDELEGATE:
            thing = f"loan:{meaning.recipient}:{meaning.resource}"
        case SendKind.VOTE:
            thing = "votes"
        case SendKind.PERMISSION_UPDATE:
            thing = "permissions"
        case SendKind.CONTRACT_CALL:
            thing = f"contract:{meaning.contract}"
        case SendKind.UNFREEZE_BALANCE | SendKind.CANCEL_UNFREEZE | SendKind.WITHDRAW_UNFROZEN:
            thing = "unfreezing"
        case SendKind.CLAIM_REWARDS:
            thing = "rewards"
        case _:
            return None
    return f"{meaning.owner}:{thing}"


def _loan(meaning: Meaning) -> DelegateResource:
    blocks = details_from(meaning.details).lock_blocks
    return DelegateResource(
        owner=meaning.owner,
        to=_given(meaning.recipient, "recipient"),
        amount_sun=meaning.amount,
        resource=_resource(meaning),
        is_locked=blocks is not None,
        lock_blocks=blocks or 0,
    )


def _votes(meaning: Meaning) -> VoteWitnesses:
    votes = details_from(meaning.details).votes or []
    return VoteWitnesses(
        owner=meaning.owner,
        votes=tuple(Votes(witness=one.witness, count=one.count) for one in votes),
    )


def _permissions(meaning: Meaning) -> UpdatePermissions:
    wanted: PermissionsParam | None = details_from(meaning.details).permissions
    if wanted is None:
        raise ImpossibleSend("permissions are missing", field="permissions")
    return UpdatePermissions(
        owner=meaning.owner,
        owner_permission=_permission(wanted.owner),
        witness_permission=_permission(wanted.witness) if wanted.witness else None,
        actives=tuple(_permission(one) for one in wanted.actives),
    )


def _permission(wanted: PermissionParam) -> Permission:
    return Permission(
        name=wanted.name,
        threshold=wanted.threshold,
        keys=tuple(WeightedKey(address=key.address, weight=key.weight) for key in wanted.keys),
        operations=bytes.fromhex(wanted.operations),
    )


def _call(meaning: Meaning) -> CallContract:
    return CallContract(
        owner=meaning.owner,
        contract=_given(meaning.contract, "contract_address"),
        data=bytes.fromhex(details_from(meaning.details).data or ""),
    )


def _approval(meaning: Meaning) -> ApproveTrc20:
    if meaning.amount > INT64_MAX:  # an unlimited allowance is never signed
        raise InvalidOperation(field="amount", reason="does not fit 64 bits")
    return ApproveTrc20(
        owner=meaning.owner,
        contract=_given(meaning.contract, "contract_address"),
        spender=_given(meaning.recipient, "recipient"),
        amount=meaning.amount,
    )


def _given(address: Address | None, field: str) -> Address:
    if address is None:
        raise ImpossibleSend(f"this kind of send needs a {field}", field=field)
    return address


def _resource(meaning: Meaning) -> Resource:
    if meaning.resource is None:
        raise ImpossibleSend("staking needs a resource: bandwidth or energy", field="resource")
    return meaning.resource


_MAKERS: Final[Mapping[SendKind, Callable[[Meaning], Operation]]] = {
    SendKind.TRX_TRANSFER: lambda one: TransferTrx(
        owner=one.owner, to=_given(one.recipient, "recipient"), amount_sun=one.amount
    ),
    SendKind.TRC20_TRANSFER: lambda one: TransferTrc20(
        owner=one.owner,
        contract=_given(one.contract, "contract_address"),
        to=_given(one.recipient, "recipient"),
        amount=one.amount,
    ),
    SendKind.TRC20_APPROVE: _approval,
    SendKind.FREEZE_BALANCE: lambda one: FreezeBalance(
        owner=one.owner, amount_sun=one.amount, resource=_resource(one)
    ),
    SendKind.UNFREEZE_BALANCE: lambda one: UnfreezeBalance(
        owner=one.owner, amount_sun=one.amount, resource=_resource(one)
    ),
    SendKind.CANCEL_UNFREEZE: lambda one: CancelUnfreezes(owner=one.owner),
    SendKind.WITHDRAW_UNFROZEN: lambda one: WithdrawUnfrozen(owner=one.owner),
    SendKind.DELEGATE: _loan,
    SendKind.UNDELEGATE: lambda one: UndelegateResource(
        owner=one.owner,
        to=_given(one.recipient, "recipient"),
        amount_sun=one.amount,
        resource=_resource(one),
    ),
    SendKind.VOTE: _votes,
    SendKind.CLAIM_REWARDS: lambda one: ClaimRewards(owner=one.owner),
    SendKind.ACCOUNT_ACTIVATE: lambda one: CreateAccount(
        owner=one.owner, account=_given(one.recipient, "recipient")
    ),
    SendKind.PERMISSION_UPDATE: _permissions,
    SendKind.CONTRACT_CALL: _call,
}

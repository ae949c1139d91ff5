"""Stake 2.0: freezing for bandwidth or energy, unfreezing over 14 days, and withdrawing.

Messages are those of java-tron's actuators, word for word, with their commas and spaces.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from devnet import rewards, votes
from devnet.accounts import UNFREEZE_MAX_COUNT, Account, Unfreezing
from devnet.actuators import Actuator, owner_of
from devnet.chain_pb2 import (
    BANDWIDTH,
    ENERGY,
    CancelAllUnfreezeV2Contract,
    FreezeBalanceV2Contract,
    ResourceCode,
    TransactionInfo,
    UnfreezeBalanceV2Contract,
    WithdrawExpireUnfreezeContract,
)
from devnet.moment import Moment
from devnet.rejection import RejectedError
from devnet.resources import SUN_PER_TRX
from devnet.state import ENERGY_WEIGHT, NET_WEIGHT, State

_DAY_MS = 86_400_000


def unfreezing_count(owner: Account, moment: Moment) -> int:
    """How many unfreezings still wait; 32 may."""
    return sum(each.expires_ms > moment.head_ms for each in owner.unfreezing)


def matured_sun(owner: Account, now_ms: int) -> int:
    """The stake that may be withdrawn at a time."""
    return sum(each.amount_sun for each in owner.unfreezing if each.expires_ms <= now_ms)


def _validate_freeze(state: State, freeze: FreezeBalanceV2Contract, _moment: Moment) -> None:
    owner = owner_of(state, freeze.owner_address)
    if freeze.frozen_balance <= 0:
        raise RejectedError.invalid("frozenBalance must be positive")
    if freeze.frozen_balance < SUN_PER_TRX:
        raise RejectedError.invalid("frozenBalance must be greater than or equal to 1 TRX")
    if freeze.frozen_balance > owner.balance_sun:
        raise RejectedError.invalid("frozenBalance must be less than or equal to accountBalance")
    if freeze.resource not in {BANDWIDTH, ENERGY}:
        raise RejectedError.invalid("ResourceCode error, valid ResourceCode[BANDWIDTH、ENERGY]")


def _execute_freeze(
    state: State, freeze: FreezeBalanceV2Contract, _moment: Moment, _info: TransactionInfo
) -> None:
    owner = owner_of(state, freeze.owner_address).with_balance(-freeze.frozen_balance)
    state.put_account(_with_stake(state, owner, freeze.resource, freeze.frozen_balance))


def _validate_unfreeze(state: State, unfreeze: UnfreezeBalanceV2Contract, moment: Moment) -> None:
    address = unfreeze.owner_address
    owner = owner_of(state, address, missing=f"Account[{address.hex()}] does not exist")
    match unfreeze.resource:
        case ResourceCode.BANDWIDTH:
            name, frozen_sun = "BANDWIDTH", owner.frozen_net_sun
        case ResourceCode.ENERGY:
            name, frozen_sun = "Energy", owner.frozen_energy_sun
        case _:
            raise RejectedError.invalid("ResourceCode error.valid ResourceCode[BANDWIDTH、Energy]")
    if frozen_sun <= 0:
        raise RejectedError.invalid(f"no frozenBalance({name})")
    if not 0 < unfreeze.unfreeze_balance <= frozen_sun:
        raise RejectedError.invalid(
            f"Invalid unfreeze_balance, [{unfreeze.unfreeze_balance}] is error"
        )
    if unfreezing_count(owner, moment) >= UNFREEZE_MAX_COUNT:
        raise RejectedError.invalid("Invalid unfreeze operation, unfreezing times is over limit")


def _execute_unfreeze(
    state: State, unfreeze: UnfreezeBalanceV2Contract, moment: Moment, info: TransactionInfo
) -> None:
    """Rewards are settled first, matured entries are paid out, votes shrink with the power."""
    rewards.settle(state, unfreeze.owner_address)
    owner = owner_of(state, unfreeze.owner_address)
    info.withdraw_expire_amount = matured_sun(owner, moment.head_ms)

    owner = _withdrawn(owner, moment)
    entry = Unfreezing(
        resource=unfreeze.resource,
        amount_sun=unfreeze.unfreeze_balance,
        expires_ms=moment.head_ms + state.parameter("getUnfreezeDelayDays") * _DAY_MS,
    )
    owner = replace(owner, unfreezing=(*owner.unfreezing, entry))
    owner = _with_stake(state, owner, unfreeze.resource, -unfreeze.unfreeze_balance)

    kept = votes.reduced(owner)
    rewards.change_votes(state, owner.votes, kept)
    state.put_account(replace(owner, votes=kept))


def _validate_withdrawal(
    state: State, withdrawal: WithdrawExpireUnfreezeContract, moment: Moment
) -> None:
    if not matured_sun(owner_of(state, withdrawal.owner_address), moment.head_ms):
        raise RejectedError.invalid("no unFreeze balance to withdraw ")


def _execute_withdrawal(
    state: State,
    withdrawal: WithdrawExpireUnfreezeContract,
    moment: Moment,
    info: TransactionInfo,
) -> None:
    owner = owner_of(state, withdrawal.owner_address)
    info.withdraw_expire_amount = matured_sun(owner, moment.head_ms)
    state.put_account(_withdrawn(owner, moment))


def _validate_cancellation(
    state: State, cancellation: CancelAllUnfreezeV2Contract, _moment: Moment
) -> None:
    if not owner_of(state, cancellation.owner_address).unfreezing:
        raise RejectedError.invalid("No unfreezeV2 list to cancel")


def _execute_cancellation(
    state: State, cancellation: CancelAllUnfreezeV2Contract, moment: Moment, info: TransactionInfo
) -> None:
    """What has matured is paid out; the rest is stake for its old resource again."""
    owner = owner_of(state, cancellation.owner_address)
    info.withdraw_expire_amount = matured_sun(owner, moment.head_ms)

    owner = _withdrawn(owner, moment)
    again = owner.unfreezing
    owner = replace(owner, unfreezing=())
    for resource in (BANDWIDTH, ENERGY):
        owner = _with_stake(state, owner, resource, _sum_of(again, resource))
    for name, number in ResourceCode.items():
        info.cancel_unfreezeV2_amount[name] = _sum_of(again, number)
    state.put_account(owner)


def _sum_of(entries: Iterable[Unfreezing], resource: int) -> int:
    return sum(each.amount_sun for each in entries if each.resource == resource)


def _withdrawn(owner: Account, moment: Moment) -> Account:
    """The account after its matured entries are paid out."""
    waiting = tuple(each for each in owner.unfreezing if each.expires_ms > moment.head_ms)
    paid_sun = matured_sun(owner, moment.head_ms)
    return replace(owner, unfreezing=waiting).with_balance(paid_sun)


def _with_stake(state: State, owner: Account, resource: int, change_sun: int) -> Account:
    """Change a stake and the chain's weight: whole TRX of each account, lent ones included."""
    if resource == ENERGY:
        weight, before_sun = ENERGY_WEIGHT, owner.frozen_energy_sun + owner.delegated_energy_sun
        owner = replace(owner, frozen_energy_sun=owner.frozen_energy_sun + change_sun)
    else:
        weight, before_sun = NET_WEIGHT, owner.frozen_net_sun + owner.delegated_net_sun
        owner = replace(owner, frozen_net_sun=owner.frozen_net_sun + change_sun)
    change = (before_sun + change_sun) // SUN_PER_TRX - before_sun // SUN_PER_TRX
    state.put_integer(weight, b"", state.integer(weight) + change)
    return owner


STAKING_ACTUATORS = {
    "FreezeBalanceV2Contract": Actuator(validate=_validate_freeze, execute=_execute_freeze),
    "UnfreezeBalanceV2Contract": Actuator(validate=_validate_unfreeze, execute=_execute_unfreeze),
    "WithdrawExpireUnfreezeContract": Actuator(
        validate=_validate_withdrawal, execute=_execute_withdrawal
    ),
    "CancelAllUnfreezeV2Contract": Actuator(
        validate=_validate_cancellation, execute=_execute_cancellation
    ),
}

"""Stake 2.0: freezing for bandwidth or energy, unfreezing over 14 days, and withdrawing."""

from __future__ import annotations

from dataclasses import replace

from devnet.accounts import UNFREEZE_MAX_COUNT, Account, Unfreezing
from devnet.actuators import Actuator, owner_of
from devnet.chain_pb2 import (
    BANDWIDTH,
    ENERGY,
    FreezeBalanceV2Contract,
    TransactionInfo,
    UnfreezeBalanceV2Contract,
    WithdrawExpireUnfreezeContract,
)
from devnet.moment import Moment
from devnet.rejection import RejectedError
from devnet.resources import SUN_PER_TRX
from devnet.state import ENERGY_WEIGHT, NET_WEIGHT, State

_DAY_MS = 86_400_000
_BAD_RESOURCE = "ResourceCode error, valid ResourceCode[BANDWIDTH、ENERGY]"


def _validate_freeze(state: State, freeze: FreezeBalanceV2Contract, _moment: Moment) -> None:
    owner = owner_of(state, freeze.owner_address)
    if freeze.frozen_balance <= 0:
        raise RejectedError.invalid("frozenBalance must be positive")
    if freeze.frozen_balance < SUN_PER_TRX:
        raise RejectedError.invalid("frozenBalance must be greater than or equal to 1 TRX")
    if freeze.frozen_balance > owner.balance_sun:
        raise RejectedError.invalid("frozenBalance must be less than or equal to accountBalance")
    if freeze.resource not in {BANDWIDTH, ENERGY}:
        raise RejectedError.invalid(_BAD_RESOURCE)


def _execute_freeze(
    state: State, freeze: FreezeBalanceV2Contract, _moment: Moment, _info: TransactionInfo
) -> None:
    owner = owner_of(state, freeze.owner_address).with_balance(-freeze.frozen_balance)
    _put_with_stake(state, owner, freeze.resource, freeze.frozen_balance)


def _validate_unfreeze(state: State, unfreeze: UnfreezeBalanceV2Contract, moment: Moment) -> None:
    owner = owner_of(state, unfreeze.owner_address)
    if unfreeze.resource not in {BANDWIDTH, ENERGY}:
        raise RejectedError.invalid(_BAD_RESOURCE)
    frozen_sun = _frozen_sun(owner, unfreeze.resource)
    if frozen_sun <= 0:
        name = "BANDWIDTH" if unfreeze.resource == BANDWIDTH else "Energy"
        raise RejectedError.invalid(f"no frozenBalance({name})")
    if not 0 < unfreeze.unfreeze_balance <= frozen_sun:
        raise RejectedError.invalid(
            f"Invalid unfreeze_balance, [{unfreeze.unfreeze_balance}] is error"
        )
    waiting = [each for each in owner.unfreezing if each.expires_ms > moment.head_ms]
    if len(waiting) >= UNFREEZE_MAX_COUNT:
        raise RejectedError.invalid("Invalid unfreeze operation, unfreezing times is over limit")


def _execute_unfreeze(
    state: State, unfreeze: UnfreezeBalanceV2Contract, moment: Moment, info: TransactionInfo
) -> None:
    owner, matured_sun = _withdrawn(owner_of(state, unfreeze.owner_address), moment)
    delay_ms = state.parameter("getUnfreezeDelayDays") * _DAY_MS
    entry = Unfreezing(
        resource=unfreeze.resource,
        amount_sun=unfreeze.unfreeze_balance,
        expires_ms=moment.head_ms + delay_ms,
    )
    owner = replace(owner, unfreezing=(*owner.unfreezing, entry))
    _put_with_stake(state, owner, unfreeze.resource, -unfreeze.unfreeze_balance)
    info.unfreeze_amount = unfreeze.unfreeze_balance
    info.withdraw_expire_amount = matured_sun


def _validate_withdrawal(
    state: State, withdrawal: WithdrawExpireUnfreezeContract, moment: Moment
) -> None:
    owner = owner_of(state, withdrawal.owner_address)
    if not _withdrawn(owner, moment)[1]:
        raise RejectedError.invalid("no unFreeze balance to withdraw ")


def _execute_withdrawal(
    state: State,
    withdrawal: WithdrawExpireUnfreezeContract,
    moment: Moment,
    info: TransactionInfo,
) -> None:
    owner, matured_sun = _withdrawn(owner_of(state, withdrawal.owner_address), moment)
    state.put_account(owner)
    info.withdraw_expire_amount = matured_sun


def _withdrawn(owner: Account, moment: Moment) -> tuple[Account, int]:
    """The account after its matured entries are paid out, and their sum."""
    waiting = tuple(each for each in owner.unfreezing if each.expires_ms > moment.head_ms)
    matured_sun = sum(each.amount_sun for each in owner.unfreezing if each not in waiting)
    return replace(owner, unfreezing=waiting).with_balance(matured_sun), matured_sun


def _put_with_stake(state: State, owner: Account, resource: int, change_sun: int) -> None:
    """Change a stake and the chain's total weight, which counts whole TRX of each account."""
    before_sun = _frozen_sun(owner, resource)
    after_sun = before_sun + change_sun
    weight = ENERGY_WEIGHT if resource == ENERGY else NET_WEIGHT
    change = after_sun // SUN_PER_TRX - before_sun // SUN_PER_TRX
    state.put_integer(weight, b"", state.integer(weight) + change)
    if resource == ENERGY:
        state.put_account(replace(owner, frozen_energy_sun=after_sun))
    else:
        state.put_account(replace(owner, frozen_net_sun=after_sun))


def _frozen_sun(owner: Account, resource: int) -> int:
    return owner.frozen_energy_sun if resource == ENERGY else owner.frozen_net_sun


STAKING_ACTUATORS = {
    "FreezeBalanceV2Contract": Actuator(validate=_validate_freeze, execute=_execute_freeze),
    "UnfreezeBalanceV2Contract": Actuator(validate=_validate_unfreeze, execute=_execute_unfreeze),
    "WithdrawExpireUnfreezeContract": Actuator(
        validate=_validate_withdrawal, execute=_execute_withdrawal
    ),
}

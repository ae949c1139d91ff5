"""Lending staked resources, and taking them back (java-tron's (Un)DelegateResourceActuator).

The lender keeps the votes of what he lends. What the borrower has used of it moves back with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from devnet import limits, resources
from devnet.accounts import Account
from devnet.actuators import Actuator, account_missing, owner_of
from devnet.address import is_valid
from devnet.blocks import SLOT_MS
from devnet.chain_pb2 import (
    ENERGY,
    DelegateResourceContract,
    ResourceCode,
    TransactionInfo,
    UnDelegateResourceContract,
)
from devnet.lending import Loan, Pair
from devnet.moment import Moment
from devnet.rejection import RejectedError
from devnet.resources import SUN_PER_TRX, Usage
from devnet.state import ENERGY_WEIGHT, NET_WEIGHT, State

DEFAULT_LOCK_BLOCKS = 86_400
_RESERVED_BYTES = 275


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """How one resource is called in the messages of the two actuators."""

    available: str
    unlocked: str


_PARTS = {
    ResourceCode.BANDWIDTH: _Part(
        available="FreezeBandwidthV2", unlocked="delegatedFrozenBalance(BANDWIDTH)"
    ),
    ResourceCode.ENERGY: _Part(
        available="FreezeEnergyV2", unlocked="delegateFrozenBalance(Energy)"
    ),
}


def available_sun(
    state: State, owner: Account, resource: int, moment: Moment, *, reserve_points: int = 0
) -> int:
    """The stake that may be lent: what is in use right now stays.

    Stake that others lend to the owner stands for the use first.
    """
    if resource == ENERGY:
        in_use_sun = resources.stake_in_use_sun(
            resources.remaining(owner.energy, moment.slot),
            total_limit=state.parameter("getTotalEnergyCurrentLimit"),
            total_weight=state.integer(ENERGY_WEIGHT),
        )
        return owner.frozen_energy_sun - max(0, in_use_sun - owner.acquired_energy_sun)
    in_use_sun = resources.stake_in_use_sun(
        resources.remaining(owner.net, moment.slot) + reserve_points,
        total_limit=state.parameter("getTotalNetLimit"),
        total_weight=state.integer(NET_WEIGHT),
    )
    return owner.frozen_net_sun - max(0, in_use_sun - owner.acquired_net_sun)


def reserved_points(state: State, owner: Account) -> int:
    """The bandwidth that a builder leaves for the delegation itself (estimateConsumeBandWidthSize)."""
    largest = DelegateResourceContract(lock=True, balance=owner.frozen_net_sun)
    if _lock_is_chosen(state):
        largest.lock_period = state.parameter("getMaxDelegateLockPeriod")
    smallest = DelegateResourceContract(balance=SUN_PER_TRX)
    return _RESERVED_BYTES + max(0, largest.ByteSize() - smallest.ByteSize())


def check_available(
    state: State,
    delegation: DelegateResourceContract,
    moment: Moment,
    *,
    reserve_points: int = 0,
) -> None:
    """Ask that the owner has so much stake that is neither lent nor in use.

    Raises:
        RejectedError: He has not.
    """
    owner = owner_of(state, delegation.owner_address)
    if delegation.balance < SUN_PER_TRX:
        raise RejectedError.invalid("delegateBalance must be greater than or equal to 1 TRX")
    part = _PARTS.get(delegation.resource)
    if part is None:
        raise RejectedError.invalid("ResourceCode error, valid ResourceCode[BANDWIDTH、ENERGY]")
    most_sun = available_sun(
        state, owner, delegation.resource, moment, reserve_points=reserve_points
    )
    if most_sun < delegation.balance:
        raise RejectedError.invalid(
            f"delegateBalance must be less than or equal to available {part.available} balance"
        )


def _validate(state: State, delegation: DelegateResourceContract, moment: Moment) -> None:
    if not state.parameter("getAllowDelegateResource"):
        raise RejectedError.invalid("No support for resource delegate")
    check_available(state, delegation, moment)
    borrower = _borrower(state, delegation)
    if delegation.lock and _lock_is_chosen(state):
        _check_lock(state, delegation, moment)
    if borrower.is_contract:
        raise RejectedError.invalid("Do not allow delegate resources to contract addresses")


def _borrower(state: State, delegation: DelegateResourceContract) -> Account:
    _check_borrower(delegation)
    borrower = state.account(delegation.receiver_address)
    if borrower is None:
        raise account_missing(delegation.receiver_address)
    return borrower


def _check_borrower(contract: DelegateResourceContract | UnDelegateResourceContract) -> None:
    if not is_valid(contract.receiver_address):
        raise RejectedError.invalid("Invalid receiverAddress")
    if contract.receiver_address == contract.owner_address:
        raise RejectedError.invalid("receiverAddress must not be the same as ownerAddress")


def _check_lock(state: State, delegation: DelegateResourceContract, moment: Moment) -> None:
    blocks = _lock_blocks(state, delegation)
    most = state.parameter("getMaxDelegateLockPeriod")
    if not 0 <= blocks <= most:
        raise RejectedError.invalid(
            f"The lock period of delegate resource cannot be less than 0 and cannot exceed {most}!"
        )
    locked = _pair(delegation).loan(state, locked=True)
    if locked is None:
        return
    remaining_ms = locked.expires_ms(delegation.resource) - moment.head_ms
    if blocks * SLOT_MS < remaining_ms:
        name = ResourceCode.Name(delegation.resource)
        raise RejectedError.invalid(
            f"The lock period for {name} this time cannot be less than the "
            f"remaining time[{remaining_ms}ms] of the last lock period for {name}!"
        )


def _execute(
    state: State, delegation: DelegateResourceContract, moment: Moment, _info: TransactionInfo
) -> None:
    pair, resource, amount_sun = _pair(delegation), delegation.resource, delegation.balance
    pair.unlock_expired(state, moment.head_ms)
    expires_ms = 0
    if delegation.lock:
        expires_ms = moment.head_ms + _lock_blocks(state, delegation) * SLOT_MS
    loan = pair.loan(state, locked=delegation.lock) or Loan()
    changed = loan.changed(resource, amount_sun, expires_ms)
    pair.put_loan(state, changed, locked=delegation.lock)
    pair.enter(state)

    owner = owner_of(state, pair.lender)
    borrower = owner_of(state, pair.borrower)
    state.put_account(_with_lent(owner, resource, amount_sun))
    state.put_account(_with_borrowed(borrower, resource, amount_sun))


def _validate_return(state: State, returning: UnDelegateResourceContract, moment: Moment) -> None:
    if not state.parameter("getAllowDelegateResource"):
        raise RejectedError.invalid("No support for resource delegate")
    address = returning.owner_address
    owner_of(state, address, missing=f"Account[{address.hex()}] does not exist")
    _check_borrower(returning)
    pair = _pair(returning)
    if pair.loan(state, locked=False) is None and pair.loan(state, locked=True) is None:
        raise RejectedError.invalid("delegated Resource does not exist")
    if returning.balance <= 0:
        raise RejectedError.invalid("unDelegateBalance must be more than 0 TRX")
    part = _PARTS.get(returning.resource)
    if part is None:
        raise RejectedError.invalid("ResourceCode error.valid ResourceCode[BANDWIDTH、Energy]")
    unlocked_sun = pair.unlocked_sun(state, returning.resource, moment.head_ms)
    if unlocked_sun < returning.balance:
        raise RejectedError.invalid(
            f"insufficient {part.unlocked}, request={returning.balance}, "
            f"unlock_balance={unlocked_sun}"
        )


def _execute_return(
    state: State, returning: UnDelegateResourceContract, moment: Moment, _info: TransactionInfo
) -> None:
    pair, resource, amount_sun = _pair(returning), returning.resource, returning.balance
    moved = 0
    borrower = state.account(pair.borrower)
    owner = _with_lent(owner_of(state, pair.lender), resource, -amount_sun)
    if borrower is not None:
        usage = resources.consumed(_usage(borrower, resource), 0, moment.slot)
        moved = _moving_points(state, borrower, usage, returning)
        borrower = _with_usage(borrower, resource, replace(usage, amount=usage.amount - moved))
        state.put_account(_with_borrowed(borrower, resource, -amount_sun))
        if moved > 0:
            own = resources.returned(_usage(owner, resource), usage, moved, moment.slot)
            owner = _with_usage(owner, resource, own)
    state.put_account(owner)

    pair.unlock_expired(state, moment.head_ms)
    loan = pair.loan(state, locked=False) or Loan()
    pair.put_loan(state, loan.changed(resource, -amount_sun, 0), locked=False)
    if pair.loan(state, locked=False) is None and pair.loan(state, locked=True) is None:
        pair.leave(state)


def _moving_points(
    state: State, borrower: Account, usage: Usage, returning: UnDelegateResourceContract
) -> int:
    """The borrower's use in proportion, but no more than the stake in question is worth."""
    if returning.resource == ENERGY:
        all_sun = borrower.all_frozen_energy_sun
        most = limits.energy_of_stake(state, returning.balance)
    else:
        all_sun = borrower.all_frozen_net_sun
        most = limits.net_of_stake(state, returning.balance)
    return min(int(usage.amount * (returning.balance / all_sun)), most)


def _lock_is_chosen(state: State) -> bool:
    """True when a lender may say how long a lock lasts (supportMaxDelegateLockPeriod)."""
    return state.parameter("getMaxDelegateLockPeriod") > DEFAULT_LOCK_BLOCKS


def _lock_blocks(state: State, delegation: DelegateResourceContract) -> int:
    chosen = delegation.lock_period if _lock_is_chosen(state) else 0
    return chosen or DEFAULT_LOCK_BLOCKS


def _pair(contract: DelegateResourceContract | UnDelegateResourceContract) -> Pair:
    return Pair(lender=contract.owner_address, borrower=contract.receiver_address)


def _usage(account: Account, resource: int) -> Usage:
    return account.energy if resource == ENERGY else account.net


def _with_usage(account: Account, resource: int, usage: Usage) -> Account:
    if resource == ENERGY:
        return replace(account, energy=usage)
    return replace(account, net=usage)


def _with_lent(owner: Account, resource: int, amount_sun: int) -> Account:
    if resource == ENERGY:
        return replace(
            owner,
            frozen_energy_sun=owner.frozen_energy_sun - amount_sun,
            delegated_energy_sun=owner.delegated_energy_sun + amount_sun,
        )
    return replace(
        owner,
        frozen_net_sun=owner.frozen_net_sun - amount_sun,
        delegated_net_sun=owner.delegated_net_sun + amount_sun,
    )


def _with_borrowed(borrower: Account, resource: int, amount_sun: int) -> Account:
    if resource == ENERGY:
        return replace(borrower, acquired_energy_sun=borrower.acquired_energy_sun + amount_sun)
    return replace(borrower, acquired_net_sun=borrower.acquired_net_sun + amount_sun)


DELEGATION_ACTUATORS = {
    "DelegateResourceContract": Actuator(validate=_validate, execute=_execute),
    "UnDelegateResourceContract": Actuator(validate=_validate_return, execute=_execute_return),
}

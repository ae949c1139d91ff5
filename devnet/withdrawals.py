"""Withdrawing rewards, at most once in 24 hours (java-tron's WithdrawBalanceActuator)."""

from __future__ import annotations

from dataclasses import replace

from devnet import rewards
from devnet.actuators import Actuator, owner_of
from devnet.chain_pb2 import TransactionInfo, WithdrawBalanceContract
from devnet.genesis import WITNESSES
from devnet.moment import Moment
from devnet.rejection import RejectedError
from devnet.state import State

WITHDRAWAL_INTERVAL_MS = 86_400_000
_GUARDS = frozenset(key.address for key in WITNESSES)


def _validate(state: State, withdrawal: WithdrawBalanceContract, moment: Moment) -> None:
    owner = owner_of(state, withdrawal.owner_address)
    if owner.address in _GUARDS:
        raise RejectedError.invalid(
            f"Account[{owner.address.hex()}] is a guard representative "
            "and is not allowed to withdraw Balance"
        )
    if moment.head_ms - owner.last_withdrawal_ms < WITHDRAWAL_INTERVAL_MS:
        raise RejectedError.invalid(
            f"The last withdraw time is {owner.last_withdrawal_ms}, less than 24 hours"
        )
    if rewards.reward_sun(state, owner.address) <= 0:
        raise RejectedError.invalid("witnessAccount does not have any reward")


def _execute(
    state: State, withdrawal: WithdrawBalanceContract, moment: Moment, info: TransactionInfo
) -> None:
    rewards.settle(state, withdrawal.owner_address)
    owner = owner_of(state, withdrawal.owner_address)
    paid = owner.with_balance(owner.allowance_sun)
    state.put_account(replace(paid, allowance_sun=0, last_withdrawal_ms=moment.head_ms))
    info.withdraw_amount = owner.allowance_sun


WITHDRAWAL_ACTUATORS = {"WithdrawBalanceContract": Actuator(validate=_validate, execute=_execute)}

"""One actuator for each kind of system contract: what it checks, what it changes.

Messages are those of java-tron's actuators, word for word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from devnet.accounts import Account
from devnet.address import is_valid
from devnet.chain_pb2 import (
    AccountCreateContract,
    ProposalCreateContract,
    TransactionInfo,
    TransferContract,
)
from devnet.genesis import FAUCET
from devnet.moment import Moment
from devnet.parameters import NAME_OF_PROPOSAL, BadParameterError, check
from devnet.rejection import RejectedError
from devnet.state import ENERGY_PRICES, MEMO_PRICES, NET_PRICES, State

_TARGET_SLOTS = 14_400
_PRICES = {
    "getEnergyFee": ENERGY_PRICES,
    "getTransactionFee": NET_PRICES,
    "getMemoFee": MEMO_PRICES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Actuator:
    """A check that raises RejectedError, and the change that follows it.

    `execute` adds to the info what it charges and pays out; it must not fail after `validate`.
    """

    validate: Callable[[State, Any, Moment], None]
    execute: Callable[[State, Any, Moment, TransactionInfo], None]


def owner_of(
    state: State, address: bytes, *, invalid: str = "Invalid address", missing: str | None = None
) -> Account:
    """The owner's account, or the rejection that every actuator begins with."""
    if not is_valid(address):
        raise RejectedError.invalid(invalid)
    account = state.account(address)
    if account is None:
        raise account_missing(address) if missing is None else RejectedError.invalid(missing)
    return account


def account_missing(address: bytes) -> RejectedError:
    """There is no such account; java-tron writes addresses in hex here."""
    return RejectedError.invalid(f"Account[{address.hex()}] not exists")


def _validate_transfer(state: State, transfer: TransferContract, _moment: Moment) -> None:
    if not is_valid(transfer.owner_address):
        raise RejectedError.invalid("Invalid ownerAddress!")
    if not is_valid(transfer.to_address):
        raise RejectedError.invalid("Invalid toAddress!")
    if transfer.to_address == transfer.owner_address:
        raise RejectedError.invalid("Cannot transfer TRX to yourself.")
    owner = owner_of(
        state,
        transfer.owner_address,
        missing="Validate TransferContract error, no OwnerAccount.",
    )
    if transfer.amount <= 0:
        raise RejectedError.invalid("Amount must be greater than 0.")
    recipient = state.account(transfer.to_address)
    if recipient is not None and recipient.is_contract:
        _check_contract_may_receive(state)
    if owner.balance_sun < transfer.amount + _activation_fee_sun(state, recipient):
        raise RejectedError.invalid("Validate TransferContract error, balance is not sufficient.")


def _check_contract_may_receive(state: State) -> None:
    if state.parameter("getForbidTransferToContract"):
        raise RejectedError.invalid("Cannot transfer TRX to a smartContract.")


def _execute_transfer(
    state: State, transfer: TransferContract, moment: Moment, info: TransactionInfo
) -> None:
    recipient = state.account(transfer.to_address)
    fee_sun = _activation_fee_sun(state, recipient)
    if recipient is None:
        recipient = Account(address=transfer.to_address, created_ms=moment.head_ms)
    owner = owner_of(state, transfer.owner_address)
    state.put_account(owner.with_balance(-transfer.amount - fee_sun))
    state.put_account(recipient.with_balance(transfer.amount))
    state.burn(fee_sun)
    info.fee += fee_sun


def _validate_creation(state: State, creation: AccountCreateContract, _moment: Moment) -> None:
    owner = owner_of(state, creation.owner_address, invalid="Invalid ownerAddress")
    if owner.balance_sun < _activation_fee_sun(state, None):
        raise RejectedError.invalid("Validate CreateAccountActuator error, insufficient fee.")
    if not is_valid(creation.account_address):
        raise RejectedError.invalid("Invalid account address")
    if state.account(creation.account_address) is not None:
        raise RejectedError.invalid("Account has existed")


def _execute_creation(
    state: State, creation: AccountCreateContract, moment: Moment, info: TransactionInfo
) -> None:
    fee_sun = _activation_fee_sun(state, None)
    owner = owner_of(state, creation.owner_address)
    state.put_account(owner.with_balance(-fee_sun))
    state.put_account(Account(address=creation.account_address, created_ms=moment.head_ms))
    state.burn(fee_sun)
    info.fee += fee_sun


def _activation_fee_sun(state: State, recipient: Account | None) -> int:
    if recipient is not None:
        return 0
    return state.parameter("getCreateNewAccountFeeInSystemContract")


def _validate_proposal(state: State, proposal: ProposalCreateContract, _moment: Moment) -> None:
    owner_of(state, proposal.owner_address)
    if proposal.owner_address != FAUCET.key.address:
        raise RejectedError.invalid(f"Witness[{proposal.owner_address.hex()}] not exists")
    if not proposal.parameters:
        raise RejectedError.invalid("This proposal has no parameter.")
    for number, value in proposal.parameters.items():
        try:
            check(number, value)
        except BadParameterError as error:
            raise RejectedError.invalid(str(error)) from error


def _execute_proposal(
    state: State, proposal: ProposalCreateContract, moment: Moment, _info: TransactionInfo
) -> None:
    """Put the values in force at once: on this chain the faucet account is the only voter."""
    for number, value in sorted(proposal.parameters.items()):
        name = NAME_OF_PROPOSAL[number]
        _set_parameter(state, name, value)
        if name == "getTotalEnergyCurrentLimit":
            _set_parameter(state, "getTotalEnergyLimit", value)
            _set_parameter(state, "getTotalEnergyTargetLimit", value // _TARGET_SLOTS)
        if name in _PRICES:
            history = state.text(_PRICES[name])
            state.put((_PRICES[name], b""), f"{history},{moment.head_ms}:{value}")


def _set_parameter(state: State, name: str, value: int) -> None:
    state.put(("parameter", name.encode()), value)


SYSTEM_ACTUATORS = {
    "TransferContract": Actuator(validate=_validate_transfer, execute=_execute_transfer),
    "AccountCreateContract": Actuator(validate=_validate_creation, execute=_execute_creation),
    "ProposalCreateContract": Actuator(validate=_validate_proposal, execute=_execute_proposal),
}

"""One transaction, from its fees to its result, on a state of its own."""

from __future__ import annotations

from devnet import bandwidth, machine
from devnet.actuators import SYSTEM_ACTUATORS
from devnet.chain_pb2 import (
    CreateSmartContract,
    Transaction,
    TransactionInfo,
    TriggerSmartContract,
)
from devnet.delegation import DELEGATION_ACTUATORS
from devnet.items import Item
from devnet.moment import Moment
from devnet.permission_update import PERMISSION_ACTUATORS
from devnet.rejection import RejectedError
from devnet.staking import STAKING_ACTUATORS
from devnet.state import State
from devnet.votes import VOTE_ACTUATORS
from devnet.withdrawals import WITHDRAWAL_ACTUATORS

_ACTUATORS = (
    SYSTEM_ACTUATORS
    | STAKING_ACTUATORS
    | DELEGATION_ACTUATORS
    | PERMISSION_ACTUATORS
    | VOTE_ACTUATORS
    | WITHDRAWAL_ACTUATORS
)
_FOR_THE_MACHINE = (TriggerSmartContract, CreateSmartContract)


def execute(below: State, item: Item, moment: Moment) -> TransactionInfo:
    """Charge and run a transaction, and commit to the state below.

    A contract call that fails is a result like any other: it is charged and committed.

    Returns:
        The receipt, without the block's number and time.

    Raises:
        RejectedError: It cannot be included at all; the state below is as before.
    """
    state = State(below)
    info = TransactionInfo(id=item.txid)
    info.receipt.SetInParent()
    bandwidth.charge(state, item, moment, info)
    validate(state, item, moment)
    if isinstance(item.contract, _FOR_THE_MACHINE):
        machine.execute(state, item, moment, info)
    else:
        _ACTUATORS[item.contract_name].execute(state, item.contract, moment, info)
        info.contractResult.append(b"")
    state.commit()
    return info


def validate(state: State, item: Item, moment: Moment) -> None:
    """Run the contract's own check.

    Raises:
        RejectedError: It fails, or nobody here executes this kind of contract.
    """
    if isinstance(item.contract, _FOR_THE_MACHINE):
        machine.validate(state, item)
        return
    actuator = _ACTUATORS.get(item.contract_name)
    if actuator is None:
        raise RejectedError.invalid(f"not existed contract {item.contract_name}")
    actuator.validate(state, item.contract, moment)


def with_ret(transaction: Transaction, info: TransactionInfo) -> Transaction:
    """The transaction as a block stores it, with its one result."""
    executed = Transaction(raw_data=transaction.raw_data, signature=transaction.signature)
    executed.ret.add(contractRet=info.receipt.result or Transaction.Result.SUCCESS)
    return executed

"""Contract calls: who may call, how much energy there is, what it costs, what comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from devnet import limits, resources
from devnet.chain_pb2 import Transaction, TransactionInfo, TriggerSmartContract
from devnet.contracts.contract import Call, Contract, Energy, Outcome
from devnet.contracts.usdt import UsdtContract
from devnet.moment import Moment
from devnet.rejection import RejectedError
from devnet.state import State

CONTRACTS: dict[bytes, Contract] = {each.address: each for each in (UsdtContract(),)}

REVERT_MESSAGE = "REVERT opcode executed"
CONSTANT_ENERGY_LIMIT = 100_000_000
_Result = Transaction.Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished call: its outcome within the energy there was."""

    outcome: Outcome
    energy: Energy
    result: Transaction.Result.contractResult

    @property
    def succeeded(self) -> bool:
        """True when the state changes and logs count."""
        return self.result == _Result.SUCCESS


def validate(state: State, trigger: TriggerSmartContract, fee_limit_sun: int) -> None:
    """The checks before a call (java-tron's VMActuator).

    Raises:
        RejectedError: The call may not be made at all.
    """
    ceiling_sun = state.parameter("getMaxFeeLimit")
    if not 0 <= fee_limit_sun <= ceiling_sun:
        raise RejectedError.invalid(f"feeLimit must be >= 0 and <= {ceiling_sun}")
    if trigger.contract_address not in CONTRACTS:
        raise RejectedError.invalid("No contract or not a valid smart contract")
    if trigger.call_value < 0:
        raise RejectedError.invalid("callValue must be >= 0")


def execute(
    state: State,
    trigger: TriggerSmartContract,
    fee_limit_sun: int,
    moment: Moment,
    info: TransactionInfo,
) -> None:
    """Make the call, keep its changes if it succeeds, and charge its energy either way."""
    layer = State(state)
    available = energy_available(state, trigger, fee_limit_sun, moment)
    run = run_within(layer, trigger, available)
    if run.succeeded:
        layer.commit()
        for log in run.outcome.logs:
            info.log.add(address=log.address[1:], topics=log.topics, data=log.data)
    else:
        info.result = TransactionInfo.FAILED
        info.resMessage = failure_message(run, available).encode()
    info.contractResult.append(run.outcome.returned)
    info.contract_address = trigger.contract_address
    info.receipt.result = run.result
    _charge(state, trigger.owner_address, run.energy, moment, info)


def run_within(layer: State, trigger: TriggerSmartContract, limit: int) -> Run:
    """Make the call on a layer of its own; beyond the limit all of the limit is used up."""
    call = Call(
        state=layer,
        caller=trigger.owner_address,
        value_sun=trigger.call_value,
        data=trigger.data,
    )
    outcome = CONTRACTS[trigger.contract_address].call(call)
    needed = outcome.energy
    if needed.total > limit:
        spent = Energy(total=limit, penalty=limit * needed.penalty // needed.total)
        return Run(outcome=Outcome(energy=needed), energy=spent, result=_Result.OUT_OF_ENERGY)
    result = _Result.REVERT if outcome.reverted else _Result.SUCCESS
    return Run(outcome=outcome, energy=needed, result=result)


def energy_available(
    state: State, trigger: TriggerSmartContract, fee_limit_sun: int, moment: Moment
) -> int:
    """Stake and burnable balance, capped by what the fee limit buys, staked energy included."""
    account = state.account(trigger.owner_address)
    if account is None:
        return 0
    price_sun = state.parameter("getEnergyFee")
    burnable = max(0, account.balance_sun - trigger.call_value) // price_sun
    staked = limits.energy_left(state, account, moment.slot)
    return min(staked + burnable, fee_limit_sun // price_sun)


def failure_message(run: Run, limit: int) -> str:
    """What resMessage says."""
    if run.result == _Result.REVERT:
        return REVERT_MESSAGE
    return (
        "Not enough energy for 'SSTORE' operation executing: "
        f"curInvokeEnergyLimit[{limit}], curOpEnergy[{run.outcome.energy.total}], "
        f"usedEnergy[{run.energy.total}]"
    )


def _charge(
    state: State, owner: bytes, energy: Energy, moment: Moment, info: TransactionInfo
) -> None:
    """Stake first, the rest burned (java-tron's ReceiptCapsule.payEnergyBill)."""
    account = state.account(owner)
    if account is None:
        return
    from_stake = min(energy.total, limits.energy_left(state, account, moment.slot))
    burned_sun = (energy.total - from_stake) * state.parameter("getEnergyFee")
    if from_stake:
        account = replace(
            account, energy=resources.consumed(account.energy, from_stake, moment.slot)
        )
    state.put_account(account.with_balance(-burned_sun))
    state.burn(burned_sun)

    info.fee += burned_sun
    info.receipt.energy_usage = from_stake
    info.receipt.energy_fee = burned_sun
    info.receipt.energy_usage_total = energy.total
    info.receipt.energy_penalty_total = energy.penalty

"""Smart contracts: described, built, called without a trace, and called in a transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from devnet.api.builders import printed_unsigned, unsigned, with_options, with_permission
from devnet.api.deployment import long_of
from devnet.api.request import Request
from devnet.api.view import View
from devnet.blocks import txid_of
from devnet.chain_pb2 import (
    ContractState,
    CreateSmartContract,
    SmartContract,
    SmartContractDataWrapper,
    Transaction,
    TransactionInfo,
    TriggerSmartContract,
)
from devnet.contracts import dynamic_energy
from devnet.contracts.abi import SELECTOR_BYTES, selector_of
from devnet.contracts.storage import Deployed, deployed
from devnet.json_format import JavaError, null_pointer, printed
from devnet.json_format.scalars import plain_hex
from devnet.machine import CONSTANT_ENERGY_LIMIT, Run, run_within
from devnet.order_checks import Order, validate_order
from devnet.rejection import RejectedError
from devnet.resources import SUN_PER_TRX
from devnet.state import State

_INVALID = "CONTRACT_VALIDATE_ERROR"
_FAILED = "CONTRACT_EXE_ERROR"
_OTHER = "OTHER_ERROR"
_ARGUMENT_ERROR = "java.security.InvalidParameterException"
_Entry = SmartContract.ABI.Entry
_WHOLE_PERCENT = 100


def get_contract(view: View, request: Request) -> Any:
    """A deployed contract, or nothing."""
    contract = deployed(view.state, request.address("value"))
    return {} if contract is None else printed(contract.message(), visible=request.visible)


def get_contract_info(view: View, request: Request) -> Any:
    """A deployed contract with its code and its energy factor, or nothing."""
    contract = deployed(view.state, request.address("value"))
    if contract is None:
        return {}
    figures = dynamic_energy.figures(view.state, contract.address)
    wrapper = SmartContractDataWrapper(
        smart_contract=contract.message(),
        runtimecode=contract.runtime,
        contract_state=ContractState(
            energy_usage=figures.usage, energy_factor=figures.factor, update_cycle=figures.cycle
        ),
    )
    return printed(wrapper, visible=request.visible)


def trigger_constant_contract(view: View, request: Request) -> Any:
    """Run a call, or a creation, on the state and forget what it changes."""

    def answer() -> dict[str, Any]:
        _check_constant_arguments(request)
        trial = _trial(view, request)
        run = trial.run()
        if run.abort is not None:
            raise JavaError(run.abort.java_class, run.message)
        return _shown_constant(request, with_options(trial.transaction, request), run)

    return _extended(request, answer)


def trigger_smart_contract(view: View, request: Request) -> Any:
    """Build a call as a transaction; a read-only method is run instead."""

    def answer() -> dict[str, Any]:
        for name in ("owner_address", "contract_address"):
            if not _given(request, name):
                raise JavaError(_ARGUMENT_ERROR, f"{name} isn't set.")
        trigger = _trigger(request)
        contract = deployed(view.state, trigger.contract_address)
        if contract is None:
            raise RejectedError.invalid("No contract or not a valid smart contract")
        fee_limit_sun = long_of(request, "fee_limit")
        transaction = unsigned(view.node, trigger, fee_limit_sun=fee_limit_sun)
        if _is_constant(contract, trigger.data):
            run = _Trial(view=view, order=trigger, transaction=transaction).run()
            if run.abort is not None:
                raise JavaError(run.abort.java_class, run.message)
            return _shown_constant(request, with_permission(transaction, request), run)
        shown = printed_unsigned(with_permission(transaction, request), visible=request.visible)
        return {"result": {"result": True}, "transaction": shown}

    return _extended(request, answer)


def estimate_energy(view: View, request: Request) -> Any:
    """Search for the fee limit that is enough, where vm.estimateEnergy is switched on."""

    def answer() -> dict[str, Any]:
        _check_constant_arguments(request)
        if not view.node.estimates_energy:
            _trigger(request)
            raise RejectedError.invalid("this node does not support estimate energy")
        return _estimated(request, _trial(view, request))

    return _extended(request, answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """A call or creation that is tried out and forgotten.

    Attributes:
        transaction: It as a transaction, whose fee limit caps the energy unless it is 0.
    """

    view: View
    order: Order
    transaction: Transaction

    def run(self) -> Run:
        """Carry it out on a layer of the state.

        Raises:
            RejectedError: It could not even be tried.
        """
        layer = State(self.view.state)
        txid = txid_of(self.transaction)
        limit = CONSTANT_ENERGY_LIMIT
        fee_limit_sun = self.transaction.raw_data.fee_limit
        validate_order(layer, self.order, txid, fee_limit_sun)
        if fee_limit_sun > 0:
            limit = min(limit, fee_limit_sun // (layer.parameter("getEnergyFee") or 1))
        return run_within(layer, self.order, txid, limit, self.view.moment)

    def limited(self, fee_limit_sun: int) -> _Trial:
        """The same within another fee limit."""
        transaction = Transaction()
        transaction.CopyFrom(self.transaction)
        transaction.raw_data.fee_limit = fee_limit_sun
        return replace(self, transaction=transaction)


def _trial(view: View, request: Request) -> _Trial:
    """What triggerconstantcontract is asked to try: a call, or a creation if nobody is called."""
    trigger = _trigger(request)
    order: Order = trigger
    if not trigger.contract_address:
        order = CreateSmartContract(
            owner_address=trigger.owner_address,
            new_contract=SmartContract(
                origin_address=trigger.owner_address,
                bytecode=trigger.data,
                call_value=trigger.call_value,
                consume_user_resource_percent=_WHOLE_PERCENT,
                origin_energy_limit=1,
            ),
            call_token_value=trigger.call_token_value,
            token_id=trigger.token_id,
        )
    elif deployed(view.state, trigger.contract_address) is None:
        raise RejectedError.invalid("Smart contract is not exist.")
    return _Trial(view=view, order=order, transaction=unsigned(view.node, order))


def _shown_constant(request: Request, transaction: Transaction, run: Run) -> dict[str, Any]:
    """A run that ended well or reverted."""
    shown = printed_unsigned(transaction, visible=request.visible)
    shown["ret"] = [{} if run.succeeded else {"ret": "FAILED"}]
    reply: dict[str, Any] = {"result": {"result": True}}
    if run.message:
        reply["result"]["message"] = _message(request, run.message)
    if run.energy.total:
        reply["energy_used"] = run.energy.total
    if run.energy.penalty:
        reply["energy_penalty"] = run.energy.penalty
    reply["constant_result"] = [run.returned.hex()]
    if run.logs:
        reply["logs"] = [
            printed(
                TransactionInfo.Log(address=log.address[1:], topics=log.topics, data=log.data),
                visible=request.visible,
            )
            for log in run.logs
        ]
    if run.internal:
        reply["internal_transactions"] = [
            printed(each, visible=request.visible) for each in run.internal
        ]
    return {**reply, "transaction": shown}


def _estimated(request: Request, trial: _Trial) -> dict[str, Any]:
    """Halve the range of fee limits until a whole TRX is left of it (Wallet.estimateEnergy)."""
    high_sun = trial.view.state.parameter("getMaxFeeLimit")
    price_sun = trial.view.state.parameter("getEnergyFee")
    run = trial.limited(high_sun).run()
    if not run.succeeded:
        return _failed(request, _FAILED, run.message)
    low_sun = price_sun * run.energy.total
    if low_sun * 2 < high_sun:
        if trial.limited(low_sun * 2).run().succeeded:
            high_sun = low_sun * 2
        else:
            low_sun *= 2
    while low_sun + SUN_PER_TRX < high_sun:
        middle_sun = (low_sun + high_sun) // 2
        if trial.limited(middle_sun).run().succeeded:
            high_sun = middle_sun
        else:
            low_sun = middle_sun
    required = -(-high_sun // price_sun) if price_sun else 0
    return {"result": {"result": True}, "energy_required": required}


def _extended(request: Request, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """An answer, or its error within `result` instead of the usual envelope."""
    try:
        return answer()
    except RejectedError as error:
        return _failed(request, _INVALID, error.detail)
    except JavaError as error:
        return _failed(request, _OTHER, str(error).replace('"', "'"))


def _is_constant(contract: Deployed, data: bytes) -> bool:
    """True if the published ABI says that the called method only reads (WalletUtil.isConstant)."""
    for entry in SmartContract.ABI.FromString(contract.abi).entrys:
        if entry.type != _Entry.Function:
            continue
        types = ",".join(each.type for each in entry.inputs)
        if selector_of(f"{entry.name}({types})") == data[:SELECTOR_BYTES]:
            return entry.constant or entry.stateMutability == _Entry.View
    return False


def _trigger(request: Request) -> TriggerSmartContract:
    """The call that was asked for; a selector outweighs whole call data.

    Raises:
        JavaError: A parameter cannot be read.
    """
    trigger = request.message(TriggerSmartContract)
    selector = request.text("function_selector")
    if selector:
        trigger.data = plain_hex(selector_of(selector).hex() + request.text("parameter"))
    return trigger


def _check_constant_arguments(request: Request) -> None:
    """Ask for somebody who calls, and for somebody or something to be called (Util).

    Raises:
        JavaError: One is missing.
    """
    if not _given(request, "owner_address"):
        raise JavaError(_ARGUMENT_ERROR, "owner_address isn't set.")
    if _given(request, "contract_address"):
        return
    if not _given(request, "data"):
        raise JavaError(_ARGUMENT_ERROR, "At least one of contract_address and data must be set.")
    if _given(request, "function_selector"):
        raise JavaError(
            _ARGUMENT_ERROR,
            "While trying to deploy, function_selector and data can not be both set.",
        )


def _given(request: Request, name: str) -> bool:
    if not request.has_body:
        raise null_pointer()
    return bool(request.text(name))


def _failed(request: Request, code: str, message: str) -> dict[str, Any]:
    return {"result": {"code": code, "message": _message(request, message)}}


def _message(request: Request, text: str) -> str:
    return text if request.visible else text.encode().hex()

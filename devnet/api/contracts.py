"""Smart contracts: described, called without a trace, and called in a transaction."""

from __future__ import annotations

from typing import Any

from devnet.address import keccak256
from devnet.api.builders import printed_unsigned, unsigned, with_options
from devnet.api.request import Request
from devnet.api.view import View
from devnet.chain_pb2 import TransactionInfo, TriggerSmartContract
from devnet.contracts.abi import selector_of
from devnet.genesis import FAUCET
from devnet.json_format import printed, printed_address
from devnet.machine import CONSTANT_ENERGY_LIMIT, CONTRACTS, failure_message, run_within
from devnet.state import State

_INVALID = "CONTRACT_VALIDATE_ERROR"
_OTHER = "OTHER_ERROR"
_ARGUMENT_ERROR = "class java.security.InvalidParameterException : "


def get_contract(_view: View, request: Request) -> Any:
    """A deployed contract, or nothing."""
    contract = CONTRACTS.get(request.address("value"))
    if contract is None:
        return {}
    return {
        "origin_address": printed_address(FAUCET.key.address, visible=request.visible),
        "contract_address": printed_address(contract.address, visible=request.visible),
        **contract.describe(),
        "code_hash": keccak256(contract.address).hex(),
    }


def trigger_constant_contract(view: View, request: Request) -> Any:
    """Run a call on the state and forget what it changes."""
    refusal = _missing_argument(request)
    if refusal is not None:
        return refusal
    trigger = _trigger(request)
    if trigger.contract_address not in CONTRACTS:
        return _failed(request, _INVALID, "Smart contract is not exist.")
    return _constant(view, request, trigger)


def trigger_smart_contract(view: View, request: Request) -> Any:
    """Build a call as a transaction; a read-only method is run instead."""
    refusal = _missing_argument(request)
    if refusal is not None:
        return refusal
    trigger = _trigger(request)
    contract = CONTRACTS.get(trigger.contract_address)
    if contract is None:
        return _failed(request, _INVALID, "No contract or not a valid smart contract")
    if contract.is_view(trigger.data):
        return _constant(view, request, trigger)
    fee_limit_sun = request.integer("fee_limit")
    transaction = unsigned(view.node, trigger, fee_limit_sun=fee_limit_sun)
    shown = printed_unsigned(with_options(transaction, request), visible=request.visible)
    return {"result": {"result": True}, "transaction": shown}


def estimate_energy(_view: View, request: Request) -> Any:
    """Refuse: a node offers this only where vm.estimateEnergy is switched on."""
    return _failed(request, _INVALID, "this node does not support estimate energy")


def _constant(view: View, request: Request, trigger: TriggerSmartContract) -> Any:
    run = run_within(State(view.state), trigger, CONSTANT_ENERGY_LIMIT)
    transaction = printed_unsigned(unsigned(view.node, trigger), visible=request.visible)
    transaction["ret"] = [{} if run.succeeded else {"ret": "FAILED"}]
    reply: dict[str, Any] = {
        "result": {"result": True},
        "energy_used": run.energy.total,
        "constant_result": [run.outcome.returned.hex()],
        "transaction": transaction,
    }
    if not run.succeeded:
        message = failure_message(run, CONSTANT_ENERGY_LIMIT)
        reply["result"]["message"] = _message(request, message)
    if run.energy.penalty:
        reply["energy_penalty"] = run.energy.penalty
    if run.outcome.logs:
        reply["logs"] = [
            printed(
                TransactionInfo.Log(address=log.address[1:], topics=log.topics, data=log.data),
                visible=request.visible,
            )
            for log in run.outcome.logs
        ]
    return reply


def _trigger(request: Request) -> TriggerSmartContract:
    selector = request.text("function_selector")
    by_name = selector_of(selector) + request.hex("parameter") if selector else b""
    return TriggerSmartContract(
        owner_address=request.address("owner_address"),
        contract_address=request.address("contract_address"),
        call_value=request.integer("call_value"),
        data=by_name or request.hex("data"),
    )


def _missing_argument(request: Request) -> dict[str, Any] | None:
    for name in ("owner_address", "contract_address"):
        if not request.text(name):
            return _failed(request, _OTHER, f"{_ARGUMENT_ERROR}{name} isn't set.")
    return None


def _failed(request: Request, code: str, message: str) -> dict[str, Any]:
    return {"result": {"code": code, "message": _message(request, message)}}


def _message(request: Request, text: str) -> str:
    return text if request.visible else text.encode().hex()

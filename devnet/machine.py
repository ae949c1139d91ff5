"""Contract calls and creations: who may, how much energy there is, what it costs, what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field

from devnet import energy
from devnet.accounts import Account
from devnet.chain_pb2 import (
    CreateSmartContract,
    InternalTransaction,
    Transaction,
    TransactionInfo,
    TriggerSmartContract,
)
from devnet.contracts import catalogue, levers
from devnet.contracts.abi import Arguments
from devnet.contracts.contract import Contract, marker
from devnet.contracts.energy_cost import Energy
from devnet.contracts.frame import Frame, Log, Machine, Player
from devnet.contracts.halt import AbortError, RevertError
from devnet.contracts.meter import Meter
from devnet.contracts.storage import Deployed, created_address, deploy, deployed
from devnet.items import Item
from devnet.moment import Moment
from devnet.order_checks import Order, validate_order, value_sun_of
from devnet.state import State

REVERT_MESSAGE = "REVERT opcode executed"
CONSTANT_ENERGY_LIMIT = 100_000_000
_Result = Transaction.Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished call.

    Attributes:
        address: The contract that was called or created.
        energy: What it used, within the limit.
        message: Why it failed, in the node's words.
        abort: How it broke off, None if it succeeded or reverted.
        logs: Also those of a call that reverted, which count for nothing.
        internal: The calls within the call.
    """

    address: bytes
    result: Transaction.Result.contractResult
    energy: Energy
    returned: bytes = b""
    message: str = ""
    abort: AbortError | None = None
    logs: list[Log] = field(default_factory=list)
    internal: list[InternalTransaction] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """True when the state changes and logs count."""
        return self.result == _Result.SUCCESS


def validate(state: State, item: Item) -> None:
    """The checks before a call or a creation (java-tron's VMActuator).

    Raises:
        RejectedError: It may not be made at all.
    """
    fee_limit_sun = item.transaction.raw_data.fee_limit
    validate_order(state, item.contract, item.txid, fee_limit_sun)


def execute(state: State, item: Item, moment: Moment, info: TransactionInfo) -> None:
    """Carry the call or creation out, keep its changes if it succeeds, and charge its energy."""
    order: Order = item.contract
    terms = _terms(state, order)
    granted = energy.budget(
        state,
        terms,
        fee_limit_sun=item.transaction.raw_data.fee_limit,
        call_value_sun=value_sun_of(order),
        moment=moment,
    )
    layer = State(state)
    failure = None
    if isinstance(order, TriggerSmartContract):
        failure = levers.next_failure(state, order.contract_address)
    run = run_within(layer, order, item.txid, granted.total, moment, failure=failure)
    if run.succeeded:
        layer.commit()
        for log in run.logs:
            info.log.add(address=log.address[1:], topics=log.topics, data=log.data)
    else:
        info.result = TransactionInfo.FAILED
        info.resMessage = run.message.encode()
    info.internal_transactions.extend(run.internal)
    info.contractResult.append(run.returned)
    info.contract_address = run.address
    info.receipt.result = run.result
    energy.charge(
        state,
        terms,
        granted,
        run.energy.total,
        succeeded=run.succeeded,
        moment=moment,
        info=info,
    )
    info.receipt.energy_penalty_total = run.energy.penalty


def run_within(
    layer: State,
    order: Order,
    txid: bytes,
    limit: int,
    moment: Moment,
    *,
    failure: AbortError | None = None,
) -> Run:
    """Carry a validated call or creation out on a layer of its own, which is spoilt if it fails.

    It breaks off at the limit, which is in energy, or with the failure before it has begun.
    """
    meter = Meter(limit)
    machine = Machine(meter=meter, now_ms=moment.head_ms, find=_player)
    address = _address_of(order, txid)
    frame = _root(machine, layer, order, address, txid)
    result, returned, message, abort = _Result.SUCCESS, b"", "", None
    try:
        if failure is not None:
            raise failure
        if isinstance(order, CreateSmartContract):
            returned = _create(frame, order, txid)
        else:
            returned = frame.play(_code_at(layer, address).play)
    except RevertError as revert:
        result, returned, message = _Result.REVERT, revert.data, REVERT_MESSAGE
    except AbortError as halt:
        result, returned, message, abort = halt.result, b"", halt.message, halt
        if not halt.spares_energy:
            meter.exhaust()
    if result != _Result.SUCCESS:
        machine.trace.reject(0)
    return Run(
        address=address,
        result=result,
        energy=Energy(meter.spent, meter.penalty),
        returned=returned,
        message=message,
        abort=abort,
        logs=machine.trace.logs,
        internal=machine.trace.internal,
    )


def _root(machine: Machine, layer: State, order: Order, address: bytes, txid: bytes) -> Frame:
    """The outermost frame, after the contract is there and has what came along."""
    value_sun = value_sun_of(order)
    if isinstance(order, CreateSmartContract):
        created_ms = machine.now_ms
        layer.put_account(Account(address=address, created_ms=created_ms, is_contract=True))
    if value_sun:
        sender, recipient = layer.account(order.owner_address), layer.account(address)
        if sender is not None and recipient is not None:
            layer.put_account(sender.with_balance(-value_sun))
            layer.put_account(recipient.with_balance(value_sun))
    return Frame(
        machine,
        layer,
        address=address,
        caller=order.owner_address,
        value_sun=value_sun,
        data=order.data if isinstance(order, TriggerSmartContract) else b"",
        trace_hash=txid,
    )


def _create(frame: Frame, order: CreateSmartContract, txid: bytes) -> bytes:
    """Run the constructor, store the code, and return it."""
    new = order.new_contract
    contract = catalogue.compiled(new.bytecode)
    if contract is None:
        raise LookupError("a creation must be validated first")
    code = marker(contract.kind)
    deploy(
        frame.state,
        Deployed(
            address=frame.address,
            kind=contract.kind,
            name=new.name,
            origin=new.origin_address,
            abi=new.abi.SerializeToString(deterministic=True),
            bytecode=new.bytecode,
            runtime=code,
            caller_percent=new.consume_user_resource_percent,
            origin_limit=new.origin_energy_limit,
            call_value_sun=new.call_value,
            txid=txid,
        ),
    )

    def construct(frame: Frame) -> bytes:
        if frame.value_sun:
            raise RevertError
        contract.construct(frame, Arguments(new.bytecode[len(code) :]))
        frame.store_code(len(code))
        return code

    return frame.play(construct)


def _terms(state: State, order: Order) -> energy.Terms:
    contract = None
    if isinstance(order, TriggerSmartContract):
        contract = deployed(state, order.contract_address)
    if contract is None:
        return energy.Terms(caller=order.owner_address)
    return energy.Terms(
        caller=order.owner_address,
        origin=contract.origin,
        caller_percent=contract.caller_percent,
        origin_limit=contract.origin_limit,
    )


def _address_of(order: Order, txid: bytes) -> bytes:
    if isinstance(order, CreateSmartContract):
        return created_address(txid, order.owner_address)
    return order.contract_address


def _code_at(state: State, address: bytes) -> Contract:
    contract = catalogue.player(state, address)
    if contract is None:
        raise LookupError(f"no contract at {address.hex()}")
    return contract


def _player(state: State, address: bytes) -> Player | None:
    contract = catalogue.player(state, address)
    return None if contract is None else contract.play

"""What is asked of a contract call or creation before it is made (java-tron's VMActuator)."""

from __future__ import annotations

from devnet.address import to_base58
from devnet.chain_pb2 import CreateSmartContract, TriggerSmartContract
from devnet.contracts import catalogue
from devnet.contracts.storage import created_address, deployed
from devnet.rejection import RejectedError
from devnet.state import State

Order = TriggerSmartContract | CreateSmartContract

_MIN_TOKEN_ID = 1_000_000
_MAX_NAME_CHARACTERS = 32
_WHOLE_PERCENT = 100


def validate_order(state: State, order: Order, txid: bytes, fee_limit_sun: int) -> None:
    """Make every check, in the node's order.

    Raises:
        RejectedError: It may not be made at all.
    """
    if isinstance(order, CreateSmartContract):
        _validate_creation(state, order, txid)
        _check_fee_limit(state, fee_limit_sun)
        _check_offers(order)
    else:
        _validate_call(state, order)
        _check_fee_limit(state, fee_limit_sun)
    _check_value(state, order)


def _validate_call(state: State, trigger: TriggerSmartContract) -> None:
    if deployed(state, trigger.contract_address) is None:
        raise RejectedError.invalid("No contract or not a smart contract")
    if trigger.call_value < 0:
        raise RejectedError.invalid("callValue must be >= 0")
    _check_token(trigger.call_token_value, trigger.token_id)


def _check_value(state: State, order: Order) -> None:
    """Ask that the caller has the TRX that he sends along."""
    value_sun = value_sun_of(order)
    if value_sun == 0:
        return
    owner = state.account(order.owner_address)
    if owner is None:
        raise RejectedError.invalid("Validate InternalTransfer error, no OwnerAccount.")
    if owner.balance_sun < value_sun:
        raise RejectedError.invalid("Validate InternalTransfer error, balance is not sufficient.")


def value_sun_of(order: Order) -> int:
    """The TRX that comes along."""
    if isinstance(order, CreateSmartContract):
        return order.new_contract.call_value
    return order.call_value


def _validate_creation(state: State, order: CreateSmartContract, txid: bytes) -> None:
    new = order.new_contract
    if order.owner_address != new.origin_address:
        raise RejectedError.invalid("OwnerAddress is not equals OriginAddress")
    if len(new.name.encode()) > _MAX_NAME_CHARACTERS:
        raise RejectedError.invalid("contractName's length cannot be greater than 32")
    if not 0 <= new.consume_user_resource_percent <= _WHOLE_PERCENT:
        raise RejectedError.invalid("percent must be >= 0 and <= 100")
    address = created_address(txid, order.owner_address)
    if state.account(address) is not None:
        raise RejectedError.invalid(
            "Trying to create a contract with existing contract address: " + to_base58(address)
        )
    if catalogue.compiled(new.bytecode) is None:
        raise RejectedError.invalid("this devnet runs only the bytecode of its own contracts")


def _check_offers(order: CreateSmartContract) -> None:
    new = order.new_contract
    if new.call_value < 0:
        raise RejectedError.invalid("callValue must be >= 0")
    if order.call_token_value < 0:
        raise RejectedError.invalid("tokenValue must be >= 0")
    if new.origin_energy_limit <= 0:
        raise RejectedError.invalid("The originEnergyLimit must be > 0")
    _check_token(order.call_token_value, order.token_id)


def _check_fee_limit(state: State, fee_limit_sun: int) -> None:
    ceiling_sun = state.parameter("getMaxFeeLimit")
    if not 0 <= fee_limit_sun <= ceiling_sun:
        raise RejectedError.invalid(f"feeLimit must be >= 0 and <= {ceiling_sun}")


def _check_token(value: int, token_id: int) -> None:
    """TRC-10 tokens come along with no call: there are none on this chain."""
    if value < 0:
        raise RejectedError.invalid("tokenValue must be >= 0")
    if token_id <= _MIN_TOKEN_ID and token_id != 0:
        raise RejectedError.invalid(f"tokenId must be > {_MIN_TOKEN_ID}")
    if value > 0 and token_id == 0:
        raise RejectedError.invalid(
            f"invalid arguments with tokenValue = {value}, tokenId = {token_id}"
        )
    if value > 0:
        raise RejectedError.invalid("No asset !")

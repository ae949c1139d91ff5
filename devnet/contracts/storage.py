"""The slots of contracts within the state, each a number, and what is deployed where."""

from __future__ import annotations

from dataclasses import dataclass

from devnet.address import PREFIX, keccak256
from devnet.chain_pb2 import SmartContract
from devnet.state import State

_DEPLOYED = "contract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A contract on the chain.

    Attributes:
        kind: Which double plays it.
        abi: Its serialised SmartContract.ABI, as whoever deployed it chose to publish it.
        runtime: The code that stands for the double.
        caller_percent: The share of energy that callers pay (consume_user_resource_percent).
        origin_limit: The most energy that its owner adds to one call (origin_energy_limit).
        txid: Of the transaction that created it; empty for those that were always there.
    """

    address: bytes
    kind: str
    name: str
    origin: bytes
    abi: bytes
    bytecode: bytes
    runtime: bytes
    caller_percent: int
    origin_limit: int
    call_value_sun: int = 0
    txid: bytes = b""

    def message(self) -> SmartContract:
        """The contract as getcontract prints it."""
        return SmartContract(
            origin_address=self.origin,
            contract_address=self.address,
            abi=SmartContract.ABI.FromString(self.abi),
            bytecode=self.bytecode,
            call_value=self.call_value_sun,
            consume_user_resource_percent=self.caller_percent,
            name=self.name,
            origin_energy_limit=self.origin_limit,
            code_hash=keccak256(self.runtime),
            trx_hash=self.txid,
        )


def deployed(state: State, address: bytes) -> Deployed | None:
    """The contract at an address."""
    contract: Deployed | None = state.get((_DEPLOYED, address))
    return contract


def deploy(state: State, contract: Deployed) -> None:
    """Put a contract at its address; the account is not created here."""
    state.put((_DEPLOYED, contract.address), contract)


def created_address(txid: bytes, owner: bytes) -> bytes:
    """Where a transaction puts the contract that it creates."""
    return PREFIX + keccak256(txid + owner)[12:]


def read_slot(state: State, contract: bytes, slot: str, key: bytes = b"") -> int:
    """A number that a contract keeps, 0 unless set."""
    return state.integer(f"slot.{slot}", contract + key)


def write_slot(state: State, contract: bytes, slot: str, key: bytes, value: int) -> None:
    """Set a number that a contract keeps."""
    state.put_integer(f"slot.{slot}", contract + key, value)

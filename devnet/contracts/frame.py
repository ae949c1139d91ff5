"""One running call of a contract, and all that it can do to the chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from devnet.accounts import Account
from devnet.address import keccak256
from devnet.chain_pb2 import InternalTransaction, Transaction
from devnet.contracts import dynamic_energy, energy_cost, storage
from devnet.contracts.energy_cost import Code
from devnet.contracts.halt import AbortError, RevertError, aborted
from devnet.contracts.meter import Meter
from devnet.state import State

MAX_DEPTH = 64
_LARGEST_VALUE = 2**63 - 1
_NOTE = b"call"
_HASHED_INTEGER_BYTES = 8
_Result = Transaction.Result

Player = Callable[["Frame"], bytes]
FindPlayer = Callable[[State, bytes], Player | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """An event: the contract's 21-byte address, its topics and its data."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


class CallResult(NamedTuple):
    """What a call within a call came to, as the caller's code sees it."""

    succeeded: bool
    returned: bytes


@dataclass(slots=True, kw_only=True)
class Trace:
    """What a transaction leaves behind besides its changes.

    Attributes:
        logs: In the order of their emission, those of reverted calls left out.
        internal: Every call within the call in the order of calling, with or without TRX.
    """

    logs: list[Log] = field(default_factory=list)
    internal: list[InternalTransaction] = field(default_factory=list)

    def forget_logs(self, since: int) -> None:
        """Take logs back that a reverted call emitted."""
        del self.logs[since:]

    def reject(self, since: int) -> None:
        """Mark calls within a reverted call."""
        for each in self.internal[since:]:
            each.rejected = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What all calls of one transaction share.

    Attributes:
        find: Tells who plays the contract at an address, if there is one.
    """

    meter: Meter
    now_ms: int
    find: FindPlayer
    trace: Trace = field(default_factory=Trace)


class Frame:
    """A call of one contract; its state is a layer of its own, dropped if the call fails.

    Attributes:
        address: The contract's.
        caller: Who called it: an account or a contract.
        value_sun: The TRX that came along, which the contract owns already.
        data: The call data.
    """

    __slots__ = (
        "_depth",
        "_factor",
        "_hash",
        "_machine",
        "_usage",
        "address",
        "caller",
        "data",
        "state",
        "value_sun",
    )

    def __init__(
        self,
        machine: Machine,
        state: State,
        *,
        address: bytes,
        caller: bytes,
        value_sun: int,
        data: bytes,
        trace_hash: bytes,
        depth: int = 0,
    ) -> None:
        self.state = state
        self.address = address
        self.caller = caller
        self.value_sun = value_sun
        self.data = data
        self._machine = machine
        self._hash = trace_hash
        self._depth = depth
        self._factor = dynamic_energy.factor(state, address)
        self._usage = 0

    @property
    def energy_left(self) -> int:
        """How much can still be spent."""
        return self._machine.meter.limit - self._machine.meter.spent

    def play(self, player: Player) -> bytes:
        """Run the contract and count its energy.

        Raises:
            RevertError: It undoes itself.
            AbortError: It breaks off.
        """
        returned = player(self)
        dynamic_energy.count(self.state, self.address, self._usage)
        return returned

    def run(self, code: Code) -> None:
        """Execute a stretch of cheap operations."""
        self._machine.meter.spend_code(code, self._factor)
        self._usage += energy_cost.of_code(code, energy_cost.FACTOR_UNIT).total

    def read(self, slot: str, key: bytes = b"") -> int:
        """Load a number from a slot of the contract."""
        self._spend("SLOAD", energy_cost.SLOAD)
        return storage.read_slot(self.state, self.address, slot, key)

    def write(self, slot: str, value: int, key: bytes = b"") -> None:
        """Store a number in a slot; one that was empty costs four times as much."""
        is_new = value != 0 and not storage.read_slot(self.state, self.address, slot, key)
        self._spend("SSTORE", energy_cost.SSTORE_SET if is_new else energy_cost.SSTORE_RESET)
        storage.write_slot(self.state, self.address, slot, key, value)

    def emit(self, *topics: bytes, data: bytes = b"") -> None:
        """Emit an event."""
        self._spend(f"LOG{len(topics)}", energy_cost.of_log(len(topics), len(data)))
        self._machine.trace.logs.append(Log(address=self.address, topics=topics, data=data))

    def store_code(self, length_bytes: int) -> None:
        """Pay for the code of a new contract, to which no factor applies."""
        self._machine.meter.spend_flat(energy_cost.CODE_BYTE * length_bytes)

    def call(self, target: bytes, data: bytes = b"", *, value_sun: int = 0) -> CallResult:
        """Call an account or a contract with all the energy there is.

        Raises:
            AbortError: There is no energy for it, or the TRX cannot be moved at all.
        """
        self._spend("CALL", self._price_of_call(target, value_sun))
        if self._depth == MAX_DEPTH:
            return CallResult(succeeded=False, returned=b"")
        if value_sun > _LARGEST_VALUE:
            raise aborted(_Result.TRANSFER_FAILED, "endowment out of long range")
        if self._balance_sun() < value_sun:
            return CallResult(succeeded=False, returned=b"")

        layer = State(self.state)
        self._move(layer, target, value_sun)
        return self._call_within(layer, target, data, value_sun)

    def _call_within(self, layer: State, target: bytes, data: bytes, value_sun: int) -> CallResult:
        machine, trace = self._machine, self._machine.trace
        first_log, first_internal = len(trace.logs), len(trace.internal)
        own_hash = self._note(target, data, value_sun)
        player = machine.find(self.state, target)
        if player is None:
            layer.commit()
            return CallResult(succeeded=True, returned=b"")

        frame = Frame(
            machine,
            layer,
            address=target,
            caller=self.address,
            value_sun=value_sun,
            data=data,
            trace_hash=own_hash,
            depth=self._depth + 1,
        )
        try:
            returned = frame.play(player)
        except (RevertError, AbortError) as halt:
            trace.forget_logs(first_log)
            trace.reject(first_internal)
            if isinstance(halt, RevertError):
                return CallResult(succeeded=False, returned=halt.data)
            if not halt.spares_energy:
                machine.meter.exhaust()
            return CallResult(succeeded=False, returned=b"")
        layer.commit()
        return CallResult(succeeded=True, returned=returned)

    def _note(self, target: bytes, data: bytes, value_sun: int) -> bytes:
        """Remember a call within the call; returns its hash (InternalTransaction.getHash)."""
        internal = self._machine.trace.internal
        nonce = len(internal) + 1
        numbers = (value_sun, nonce)
        value, number = (each.to_bytes(_HASHED_INTEGER_BYTES, "big") for each in numbers)
        own_hash = keccak256(self._hash + target + data + value + number)
        internal.append(
            InternalTransaction(
                hash=own_hash,
                caller_address=self.address,
                transferTo_address=target,
                callValueInfo=[InternalTransaction.CallValueInfo(callValue=value_sun)],
                note=_NOTE,
            )
        )
        return own_hash

    def _move(self, layer: State, target: bytes, value_sun: int) -> None:
        """Move TRX; an address without account gets one, free of the fee that transfers pay."""
        if value_sun == 0:
            return
        if target == self.address:
            raise aborted(_Result.TRANSFER_FAILED)
        sender = layer.account(self.address)
        recipient = layer.account(target)
        if recipient is None:
            recipient = Account(address=target, created_ms=self._machine.now_ms)
        if sender is not None:
            layer.put_account(sender.with_balance(-value_sun))
        layer.put_account(recipient.with_balance(value_sun))

    def _balance_sun(self) -> int:
        account = self.state.account(self.address)
        return 0 if account is None else account.balance_sun

    def _price_of_call(self, target: bytes, value_sun: int) -> int:
        if value_sun == 0:
            return energy_cost.CALL
        price = energy_cost.CALL + energy_cost.CALL_WITH_VALUE
        return price if self.state.account(target) else price + energy_cost.CALL_NEW_ACCOUNT

    def _spend(self, operation: str, price: int) -> None:
        self._machine.meter.spend(operation, price, self._factor)
        self._usage += price

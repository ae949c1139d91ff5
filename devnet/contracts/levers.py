"""What no contract on TRON can do: set another contract's energy factor, or make its calls fail.

It is a contract all the same, so that what it does stands in a block and is done again when the
state file is replayed. Only the owner, the faucet account, may pull.
"""

from __future__ import annotations

from devnet.chain_pb2 import Transaction
from devnet.contracts import dynamic_energy
from devnet.contracts.abi import Arguments, Interface, address_in, integer_word
from devnet.contracts.contract import SolidityContract, require
from devnet.contracts.frame import Frame
from devnet.contracts.halt import ABORTING_RESULTS, AbortError, aborted
from devnet.state import State

_INTERFACE = Interface(
    """
    view owner() -> (address)
    setFactor(address target, uint256 factor)
    setTraffic(address target, uint256 energy)
    failNext(address target, uint256 result, uint256 times)
    """
)
_FAILURES_LEFT = "failures_left"
_FAILURE = "failure"
_LARGEST = 2**63 - 1
_MAX_FACTOR = 100_000


class Levers(SolidityContract):
    """Changes what the chain knows of other contracts."""

    kind = "levers"

    def __init__(self) -> None:
        super().__init__(
            _INTERFACE,
            {
                "owner": lambda frame, _: integer_word(frame.read("owner")),
                "setFactor": _set_factor,
                "setTraffic": _set_traffic,
                "failNext": _fail_next,
            },
        )


def next_failure(state: State, contract: bytes) -> AbortError | None:
    """How the next call of a contract is to fail, if it is; it is one fewer from then on."""
    left = state.integer(_FAILURES_LEFT, contract)
    if not left:
        return None
    state.put_integer(_FAILURES_LEFT, contract, left - 1)
    return aborted(_result(state.integer(_FAILURE, contract)))


def _set_factor(frame: Frame, arguments: Arguments) -> bytes:
    """Set the factor, in ten-thousandths above 1; the next maintenance may change it again."""
    _only_owner(frame)
    value = arguments.number(1)
    require(value <= _MAX_FACTOR)
    dynamic_energy.set_factor(frame.state, arguments.address(0), value)
    return b""


def _set_traffic(frame: Frame, arguments: Arguments) -> bytes:
    """Say how much energy others use with the contract in every maintenance cycle."""
    _only_owner(frame)
    value = arguments.number(1)
    require(value <= _LARGEST)
    dynamic_energy.set_traffic(frame.state, arguments.address(0), value)
    return b""


def _fail_next(frame: Frame, arguments: Arguments) -> bytes:
    """Let the next transactions that call a contract break off with a result."""
    _only_owner(frame)
    target, result, times = arguments.address(0), arguments.number(1), arguments.number(2)
    require(result in ABORTING_RESULTS)
    require(times <= _LARGEST)
    frame.state.put_integer(_FAILURE, target, result)
    frame.state.put_integer(_FAILURES_LEFT, target, times)
    return b""


def _result(number: int) -> Transaction.Result.contractResult:
    return next(each for each in ABORTING_RESULTS if each == number)


def _only_owner(frame: Frame) -> None:
    require(address_in(integer_word(frame.read("owner"))) == frame.caller)

"""How a call ends without success: it reverts, or it breaks off."""

from __future__ import annotations

from devnet.chain_pb2 import Transaction

_Result = Transaction.Result
_JAVA_CLASS = "org.tron.core.vm.program.Program${}"
_OTHER = "java.lang.RuntimeException"


class RevertError(Exception):
    """The call undoes itself and keeps the energy that is left.

    Attributes:
        data: What it returns all the same, such as an `Error(string)`.
    """

    def __init__(self, data: bytes = b"") -> None:
        super().__init__("REVERT opcode executed")
        self.data = data


class AbortError(Exception):
    """The call breaks off; only a failed transfer leaves the rest of the energy.

    Attributes:
        result: What the receipt names it.
        message: The node's words.
        java_class: What the node calls it where it answers with an exception.
    """

    def __init__(
        self, result: Transaction.Result.contractResult, message: str, *, java_class: str
    ) -> None:
        super().__init__(message)
        self.result = result
        self.message = message
        self.java_class = java_class

    @property
    def spares_energy(self) -> bool:
        """True if only the used energy is charged."""
        return self.result == _Result.TRANSFER_FAILED


_EXCEPTIONS = {
    _Result.BAD_JUMP_DESTINATION: "BadJumpDestinationException",
    _Result.OUT_OF_MEMORY: "OutOfMemoryException",
    _Result.PRECOMPILED_CONTRACT: "PrecompiledContractException",
    _Result.STACK_TOO_SMALL: "StackTooSmallException",
    _Result.STACK_TOO_LARGE: "StackTooLargeException",
    _Result.ILLEGAL_OPERATION: "IllegalOperationException",
    _Result.OUT_OF_ENERGY: "OutOfEnergyException",
    _Result.OUT_OF_TIME: "OutOfTimeException",
    _Result.JVM_STACK_OVER_FLOW: "JVMStackOverFlowException",
    _Result.TRANSFER_FAILED: "TransferException",
    _Result.INVALID_CODE: "InvalidCodeException",
}
# The words of java-tron's Program.Exception, with figures as an example.
_MESSAGES = {
    _Result.BAD_JUMP_DESTINATION: "Operation with pc isn't 'JUMPDEST': PC[0];",
    _Result.OUT_OF_MEMORY: "Out of Memory when 'MSTORE' operation executing",
    _Result.PRECOMPILED_CONTRACT: "Contract validate error",
    _Result.STACK_TOO_SMALL: "Expected stack size 1 but actual 0;",
    _Result.STACK_TOO_LARGE: "Expected: overflow 1024 elements stack limit",
    _Result.ILLEGAL_OPERATION: "Invalid operation code: opCode[fe];",
    _Result.OUT_OF_ENERGY: "Not enough energy for 'SSTORE' executing: needEnergy[5000], leftEnergy[0];",
    _Result.OUT_OF_TIME: "CPU timeout for 'SSTORE' operation executing",
    _Result.JVM_STACK_OVER_FLOW: "StackOverflowError:  exceed default JVM stack size!",
    _Result.UNKNOWN: "Unknown Exception",
    _Result.TRANSFER_FAILED: "transfer trx failed: Cannot transfer TRX to yourself.",
    _Result.INVALID_CODE: "invalid code: must not begin with 0xef",
}
ABORTING_RESULTS = frozenset(_MESSAGES)


def aborted(result: Transaction.Result.contractResult, message: str | None = None) -> AbortError:
    """A call that breaks off for a reason, in the node's own words unless others are given."""
    exception = _EXCEPTIONS.get(result)
    return AbortError(
        result,
        _MESSAGES[result] if message is None else message,
        java_class=_OTHER if exception is None else _JAVA_CLASS.format(exception),
    )


def failed_assertion() -> AbortError:
    """An `assert` of old Solidity compilers: an invalid operation, not a revert."""
    return aborted(_Result.ILLEGAL_OPERATION)

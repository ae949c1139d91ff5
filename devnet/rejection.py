"""Why a node does not take a transaction."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Code(StrEnum):
    """java-tron's api.proto Return.response_code, by name."""

    SUCCESS = "SUCCESS"
    SIGERROR = "SIGERROR"
    CONTRACT_VALIDATE_ERROR = "CONTRACT_VALIDATE_ERROR"
    CONTRACT_EXE_ERROR = "CONTRACT_EXE_ERROR"
    BANDWITH_ERROR = "BANDWITH_ERROR"
    DUP_TRANSACTION_ERROR = "DUP_TRANSACTION_ERROR"
    TAPOS_ERROR = "TAPOS_ERROR"
    TOO_BIG_TRANSACTION_ERROR = "TOO_BIG_TRANSACTION_ERROR"
    TRANSACTION_EXPIRATION_ERROR = "TRANSACTION_EXPIRATION_ERROR"
    SERVER_BUSY = "SERVER_BUSY"
    NO_CONNECTION = "NO_CONNECTION"
    NOT_ENOUGH_EFFECTIVE_CONNECTION = "NOT_ENOUGH_EFFECTIVE_CONNECTION"
    BLOCK_UNSOLIDIFIED = "BLOCK_UNSOLIDIFIED"
    OTHER_ERROR = "OTHER_ERROR"


class RejectedError(Exception):
    """The transaction is not taken.

    Attributes:
        code: The class of the reason.
        message: What a broadcast answers.
        detail: What the contract's own check says, which builders print alone.
    """

    def __init__(self, code: Code, message: str, *, detail: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = message if detail is None else detail

    @classmethod
    def invalid(cls, detail: str) -> Self:
        """The contract's own check fails."""
        return cls(
            Code.CONTRACT_VALIDATE_ERROR, f"Contract validate error : {detail}", detail=detail
        )

    @classmethod
    def unsigned(cls, detail: str) -> Self:
        """The signatures do not carry the transaction."""
        return cls(Code.SIGERROR, f"Validate signature error: {detail}", detail=detail)

    @classmethod
    def short_of_resources(cls) -> Self:
        """Nobody can pay for the bandwidth or the memo."""
        return cls(Code.BANDWITH_ERROR, "Account resource insufficient error.")

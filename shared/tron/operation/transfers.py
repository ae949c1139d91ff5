"""Operations on money and contracts: transfers, allowances, calls, new accounts."""

from dataclasses import dataclass, field
from typing import Final

from shared.tron.address import Address, address_bytes
from shared.tron.operation.base import (
    InvalidOperation,
    require_amount,
    require_recipient,
)

SELECTOR_BYTES: Final = 4
MAX_CALLDATA_BYTES: Final = 8_192
UINT256_MAX: Final = 2**256 - 1

_TOKEN_CALLS: Final = {bytes.fromhex("a9059cbb"), bytes.fromhex("095ea7b3")}
"""Selectors of ``transfer(address,uint256)`` and ``approve(address,uint256)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTrx:
    """Send TRX.

    Raises:
        InvalidOperation: the amount is not in 1..2^63-1 sun, or the recipient is the owner or the
            zero address.
        InvalidAddress: an address was never checked.
    """

    owner: Address
    to: Address
    amount_sun: int

    def __post_init__(self) -> None:
        require_amount("amount_sun", self.amount_sun)
        require_recipient(self.owner, self.to)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTrc20:
    """Call ``transfer(address,uint256)`` of a TRC-20 contract.

    Raises:
        InvalidOperation: the amount is not in 1..2^63-1 base units, or the recipient is the owner,
            the zero address or the token contract itself.
        InvalidAddress: an address was never checked.
    """

    owner: Address
    contract: Address
    to: Address
    amount: int

    def __post_init__(self) -> None:
        require_amount("amount", self.amount)
        require_recipient(self.owner, self.to)
        address_bytes(self.contract)
        if self.contract in {self.owner, self.to}:
            raise InvalidOperation(field="contract", reason="is a party to its own transfer")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproveTrc20:
    """Call ``approve(address,uint256)``: let a spender take up to an amount; 0 takes it back.

    Raises:
        InvalidOperation: the amount is not in 0..2^256-1 base units, or the spender is the owner,
            the zero address or the token contract itself.
        InvalidAddress: an address was never checked.
    """

    owner: Address
    contract: Address
    spender: Address
    amount: int

    def __post_init__(self) -> None:
        if type(self.amount) is not int or not 0 <= self.amount <= UINT256_MAX:
            raise InvalidOperation(field="amount", reason="is no unsigned 256-bit integer")
        require_recipient(self.owner, self.spender)
        address_bytes(self.contract)
        if self.contract in {self.owner, self.spender}:
            raise InvalidOperation(field="contract", reason="is a party to its own allowance")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContract:
    """Call any other function of a contract, maybe paying TRX with the call.

    ``transfer`` and ``approve`` have operations of their own and cannot be said this way.

    Raises:
        InvalidOperation: no selector, too much calldata, calldata of a token transfer or approval, a
            negative payment, or the contract is the owner.
        InvalidAddress: an address was never checked.
    """

    owner: Address
    contract: Address
    data: bytes = field(repr=False)
    call_value_sun: int = 0

    def __post_init__(self) -> None:
        require_amount("call_value_sun", self.call_value_sun, at_least=0)
        require_recipient(self.owner, self.contract)
        if (
            type(self.data) is not bytes
            or not SELECTOR_BYTES <= len(self.data) <= MAX_CALLDATA_BYTES
        ):
            raise InvalidOperation(field="data", reason="is not 4 to 8,192 bytes")
        if self.selector in _TOKEN_CALLS:
            raise InvalidOperation(field="data", reason="has an operation of its own")

    @property
    def selector(self) -> bytes:
        """The four bytes that name the function."""
        return self.data[:SELECTOR_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAccount:
    """Bring an address to life on chain without sending it anything (AccountCreateActuator).

    Raises:
        InvalidOperation: the account is the owner or the zero address.
        InvalidAddress: an address was never checked.
    """

    owner: Address
    account: Address

    def __post_init__(self) -> None:
        require_recipient(self.owner, self.account)

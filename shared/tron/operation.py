"""What a transaction is meant to do: the operations this project signs, and their anchor.

Values here cannot hold nonsense. They know nothing of the wire: ``transaction`` writes them and
``decoding`` reads them, each on its own.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.tron.address import ZERO_EVM_ADDRESS, Address, address_bytes, evm_bytes

INT64_MAX: Final = 2**63 - 1
SUN_PER_TRX: Final = 1_000_000

_BLOCK_ID_LENGTH: Final = 32
_HEIGHT_LENGTH: Final = 8


class InvalidOperation(ValueError):
    """An operation or its envelope that makes no sense on TRON.

    Attributes:
        field: which value is wrong.
        reason: why, in a phrase.
    """

    def __init__(self, *, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Resource(StrEnum):
    """What staked TRX yields (java-tron ResourceCode 0 and 1)."""

    BANDWIDTH = "bandwidth"
    ENERGY = "energy"


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
        _require_recipient(self.owner, self.to)


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
        _require_recipient(self.owner, self.to)
        address_bytes(self.contract)
        if self.contract in {self.owner, self.to}:
            raise InvalidOperation(field="contract", reason="is a party to its own transfer")


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeBalance:
    """Stake TRX for a resource (Stake 2.0).

    Raises:
        InvalidOperation: less than 1 TRX or more than 2^63-1 sun (FreezeBalanceV2Actuator).
        InvalidAddress: the owner was never checked.
    """

    owner: Address
    amount_sun: int
    resource: Resource

    def __post_init__(self) -> None:
        require_amount("amount_sun", self.amount_sun, at_least=SUN_PER_TRX)
        address_bytes(self.owner)
        _require_resource(self.resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfreezeBalance:
    """Begin to take staked TRX back (Stake 2.0).

    Raises:
        InvalidOperation: the amount is not in 1..2^63-1 sun (UnfreezeBalanceV2Actuator).
        InvalidAddress: the owner was never checked.
    """

    owner: Address
    amount_sun: int
    resource: Resource

    def __post_init__(self) -> None:
        require_amount("amount_sun", self.amount_sun)
        address_bytes(self.owner)
        _require_resource(self.resource)


Operation = TransferTrx | TransferTrc20 | FreezeBalance | UnfreezeBalance
"""Everything this project signs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceBlock:
    """The block a transaction is anchored to; on any chain without it the transaction is void.

    ``block_id`` is 64 lower-case hexadecimal digits, the first sixteen of which are the height.

    Raises:
        InvalidOperation: the id is malformed or belongs to another height.
    """

    height: int
    block_id: str

    def __post_init__(self) -> None:
        if type(self.height) is not int or not 0 <= self.height <= INT64_MAX:
            raise InvalidOperation(field="height", reason="is not a block height")
        digits = self.block_id
        if len(digits) != 2 * _BLOCK_ID_LENGTH or not set(digits) <= set("0123456789abcdef"):
            raise InvalidOperation(field="block_id", reason="is not 64 lower-case hex digits")
        if int(digits[: 2 * _HEIGHT_LENGTH], 16) != self.height:
            raise InvalidOperation(field="block_id", reason="belongs to another height")

    @property
    def ref_block_bytes(self) -> bytes:
        """The last two bytes of the height (java-tron TransactionCapsule.setReference)."""
        return self.height.to_bytes(_HEIGHT_LENGTH, "big")[6:]

    @property
    def ref_block_hash(self) -> bytes:
        """Bytes 8 to 15 of the block id (java-tron TransactionCapsule.setReference)."""
        return bytes.fromhex(self.block_id)[8:16]


def require_amount(field: str, amount: int, *, at_least: int = 1) -> None:
    """Refuse an amount outside ``at_least``..2^63-1, and anything that is not exactly an int.

    Raises:
        InvalidOperation: naming the field.
    """
    if type(amount) is not int:
        raise InvalidOperation(field=field, reason="is not an integer")
    if amount < at_least:
        raise InvalidOperation(field=field, reason=f"is less than {at_least}")
    if amount > INT64_MAX:
        raise InvalidOperation(field=field, reason="does not fit 64 bits")


def _require_recipient(owner: Address, to: Address) -> None:
    address_bytes(owner)
    if evm_bytes(to) == ZERO_EVM_ADDRESS:
        raise InvalidOperation(field="to", reason="is the zero address")
    if owner == to:
        raise InvalidOperation(field="to", reason="is the owner itself")


def _require_resource(resource: Resource) -> None:
    if type(resource) is not Resource:
        raise InvalidOperation(field="resource", reason="is neither bandwidth nor energy")

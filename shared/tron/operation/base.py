"""What every operation has in common: its errors, its resources, the block it is anchored to."""

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


def require_recipient(owner: Address, to: Address) -> None:
    """Refuse the owner itself, the zero address and addresses that were never checked.

    Raises:
        InvalidOperation: the recipient is the owner or the zero address.
        InvalidAddress: an address was never checked.
    """
    address_bytes(owner)
    if evm_bytes(to) == ZERO_EVM_ADDRESS:
        raise InvalidOperation(field="to", reason="is the zero address")
    if owner == to:
        raise InvalidOperation(field="to", reason="is the owner itself")


def require_resource(resource: Resource) -> None:
    """Refuse anything but a resource; raises InvalidOperation."""
    if type(resource) is not Resource:
        raise InvalidOperation(field="resource", reason="is neither bandwidth nor energy")

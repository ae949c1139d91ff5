"""Permissions of an account: whose signatures it takes, and the operation that changes them."""

from dataclasses import dataclass
from typing import Final

from shared.tron.address import Address, address_bytes
from shared.tron.operation.base import InvalidOperation, require_amount

MAX_KEYS: Final = 5
"""Keys in one permission (chain parameter getTotalSignNum)."""

MAX_ACTIVES: Final = 8
MAX_NAME_BYTES: Final = 32
OPERATIONS_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedKey:
    """A key and what its signature weighs."""

    address: Address
    weight: int

    def __post_init__(self) -> None:
        address_bytes(self.address)
        require_amount("weight", self.weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Whose signatures it takes, and how much weight together (AccountPermissionUpdateActuator).

    Attributes:
        name: up to 32 bytes of text.
        operations: for active permissions, 32 bytes with one bit for each contract type; else empty.

    Raises:
        InvalidOperation: a name that is missing or too long, no key or more than five, a key twice, or
            a threshold that the keys cannot reach.
    """

    name: str
    threshold: int
    keys: tuple[WeightedKey, ...]
    operations: bytes = b""

    def __post_init__(self) -> None:
        require_amount("threshold", self.threshold)
        if not 1 <= len(self.name.encode()) <= MAX_NAME_BYTES:
            raise InvalidOperation(field="name", reason="is not 1 to 32 bytes")
        if not 1 <= len(self.keys) <= MAX_KEYS:
            raise InvalidOperation(field="keys", reason="are none or more than five")
        if len({key.address for key in self.keys}) != len(self.keys):
            raise InvalidOperation(field="keys", reason="name an address twice")
        if sum(key.weight for key in self.keys) < self.threshold:
            raise InvalidOperation(field="threshold", reason="is more than all keys weigh")
        if len(self.operations) not in {0, OPERATIONS_BYTES}:
            raise InvalidOperation(field="operations", reason="are not 32 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePermissions:
    """Replace all permissions of an account; the fee is 100 TRX (getUpdateAccountPermissionFee).

    Raises:
        InvalidOperation: no active permission or more than eight, an active one without operations, or
            operations on the owner's or the witness's.
        InvalidAddress: an address was never checked.
    """

    owner: Address
    owner_permission: Permission
    witness_permission: Permission | None = None
    actives: tuple[Permission, ...]

    def __post_init__(self) -> None:
        address_bytes(self.owner)
        if not 1 <= len(self.actives) <= MAX_ACTIVES:
            raise InvalidOperation(field="actives", reason="are none or more than eight")
        if not all(any(one.operations) for one in self.actives):
            raise InvalidOperation(field="actives", reason="permit no operation")
        for one in (self.owner_permission, self.witness_permission):
            if one is not None and one.operations:
                raise InvalidOperation(field="operations", reason="are for active permissions")

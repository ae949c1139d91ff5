"""Who may sign for an account, as a node prints it (java-tron Permission, Tron.proto)."""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from services.tron_client.domain.blocks import INT64_MAX, InconsistentBlock
from shared.models.tron_client import PermissionKeyView, PermissionsView, PermissionView
from shared.tron.address import Address, InvalidAddress, address_from_hex
from shared.tron.contracts import KINDS, ContractKind

OWNER_ID: Final = 0
_NUMBERS: Final = {kind: number for number, kind in KINDS.items()}
_OPERATIONS_DIGITS: Final = 64
_MAX_NAME_CHARACTERS: Final = 64


_Weight = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]


class PrintedKey(msgspec.Struct):
    """A key in a node's words."""

    address: str = ""
    weight: _Weight = 0


class PrintedPermission(msgspec.Struct):
    """A permission in a node's words; the owner's id is 0 and left out."""

    id: _Weight = 0
    permission_name: str = ""
    threshold: _Weight = 0
    operations: str = ""
    keys: list[PrintedKey] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Keys with their weights, and the weight that a transaction needs.

    Attributes:
        id: 0 the owner's, 1 the witness's, from 2 on active ones.
        operations: of an active one, a bit for each contract type in hexadecimal.
        keys: addresses with what their signature weighs.
    """

    id: int
    name: str
    threshold: int
    operations: str | None
    keys: tuple[tuple[Address, int], ...]

    def allows(self, kind: ContractKind) -> bool:
        """True when a transaction of that kind may be signed by it: by the owner's, any."""
        if self.operations is None:
            return self.id == OWNER_ID
        number = _NUMBERS[kind]
        return bool(bytes.fromhex(self.operations)[number // 8] & 1 << number % 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """All permissions of an account."""

    owner: Permission
    witness: Permission | None
    active: tuple[Permission, ...]

    def by_id(self, permission_id: int) -> Permission | None:
        """Return what a transaction may name: the owner's or an active one."""
        return next((each for each in (self.owner, *self.active) if each.id == permission_id), None)


def read_permissions(
    owner: PrintedPermission | None,
    witness: PrintedPermission | None,
    active: list[PrintedPermission],
) -> Permissions | None:
    """Read what a node prints; None where it prints no owner's, as for contracts.

    Raises:
        InconsistentBlock: a key is no address, or what may be done is malformed.
    """
    if owner is None:
        return None
    return Permissions(
        owner=_permission(owner),
        witness=None if witness is None else _permission(witness),
        active=tuple(_permission(each) for each in active),
    )


def permissions_view(permissions: Permissions | None) -> PermissionsView | None:
    """Write permissions for the wire."""
    if permissions is None:
        return None
    return PermissionsView(
        owner=_view(permissions.owner),
        witness=None if permissions.witness is None else _view(permissions.witness),
        active=[_view(each) for each in permissions.active],
    )


def read_address(text: str) -> Address:
    """Read an address as nodes print it; raises InconsistentBlock."""
    try:
        return address_from_hex(text)
    except InvalidAddress as error:
        raise InconsistentBlock(f"an account names no address: {error}") from None


def _permission(printed: PrintedPermission) -> Permission:
    operations = printed.operations.lower()
    if operations and (
        len(operations) != _OPERATIONS_DIGITS or set(operations) - set("0123456789abcdef")
    ):
        raise InconsistentBlock("a permission's operations are malformed")
    return Permission(
        id=printed.id,
        name=printed.permission_name[:_MAX_NAME_CHARACTERS],
        threshold=printed.threshold,
        operations=operations or None,
        keys=tuple((read_address(each.address), each.weight) for each in printed.keys),
    )


def _view(permission: Permission) -> PermissionView:
    return PermissionView(
        permission_id=permission.id,
        name=permission.name,
        threshold=permission.threshold,
        operations=permission.operations,
        keys=[
            PermissionKeyView(address=address, weight=weight) for address, weight in permission.keys
        ],
    )

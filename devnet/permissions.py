"""Whose signatures carry a transaction: every account has the permissions it is born with."""

from __future__ import annotations

from typing import Any

from devnet.address import to_base58
from devnet.items import Item
from devnet.keys import recover
from devnet.rejection import RejectedError

OWNER_PERMISSION = 0
ACTIVE_PERMISSION = 2
ACTIVE_OPERATIONS = "7fff1fc0033efb0f" + "00" * 24


def check_signatures(item: Item) -> None:
    """Ask that the owner's own key, and nobody else, signed.

    Raises:
        RejectedError: It did not.
    """
    signatures = item.transaction.signature
    if not signatures:
        raise RejectedError.unsigned("miss sig or contract")
    permission = item.transaction.raw_data.contract[0].Permission_id
    if permission not in {OWNER_PERMISSION, ACTIVE_PERMISSION}:
        raise RejectedError.unsigned("permission isn't exit")
    if len(signatures) > 1:
        name = "owner" if permission == OWNER_PERMISSION else "active"
        raise RejectedError.unsigned(
            f"Signature count is {len(signatures)} more than key counts of permission : {name}"
        )
    signer = _signer(item, signatures[0])
    if signer != item.owner:
        raise RejectedError.unsigned(
            f"{signatures[0].hex()} is signed by {to_base58(signer)} "
            "but it is not contained of permission."
        )


def signers(item: Item) -> list[bytes]:
    """The addresses that signed, for getsignweight.

    Raises:
        RejectedError: A signature is malformed.
    """
    return [_signer(item, signature) for signature in item.transaction.signature]


def permission_of(address: Any, permission: int) -> dict[str, Any]:
    """The owner or active permission of an account, its address written as the caller wants."""
    shared = {"threshold": 1, "keys": [{"address": address, "weight": 1}]}
    if permission == OWNER_PERMISSION:
        return {"permission_name": "owner", **shared}
    return {
        "type": "Active",
        "id": ACTIVE_PERMISSION,
        "permission_name": "active",
        "operations": ACTIVE_OPERATIONS,
        **shared,
    }


def _signer(item: Item, signature: bytes) -> bytes:
    try:
        return recover(item.txid, signature)
    except ValueError as error:
        raise RejectedError.unsigned("sig error") from error

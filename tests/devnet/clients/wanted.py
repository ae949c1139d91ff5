"""What tronweb is asked to build, in the words of `shared.tron`."""

from __future__ import annotations

from typing import Any

from shared.tron.address import Address
from shared.tron.operation import (
    INT64_MAX,
    FreezeBalance,
    Operation,
    ReferenceBlock,
    Resource,
    TransferTrc20,
    TransferTrx,
    UnfreezeBalance,
)
from shared.tron.transaction import build_raw_data

TRANSFER = "transfer(address,uint256)"


def operation_of(wanted: dict[str, Any]) -> Operation | None:
    """The operation that is wanted; None if nothing of the kind is signed here."""
    fields = wanted["fields"]
    if wanted.keys() & {"permission_id", "memo"}:
        return None
    match wanted["kind"]:
        case "TransferContract":
            owner, to = Address(fields["owner_address"]), Address(fields["to_address"])
            return TransferTrx(owner=owner, to=to, amount_sun=fields["amount"])
        case "TriggerSmartContract":
            return _token_transfer_of(fields)
        case "FreezeBalanceV2Contract":
            return _stake_of(fields, FreezeBalance, fields["frozen_balance"])
        case "UnfreezeBalanceV2Contract":
            return _stake_of(fields, UnfreezeBalance, fields["unfreeze_balance"])
        case _:
            return None


def _token_transfer_of(fields: dict[str, Any]) -> TransferTrc20 | None:
    values = [parameter["value"] for parameter in fields["parameters"]]
    if fields["function_selector"] != TRANSFER or int(values[1]) > INT64_MAX:
        return None
    return TransferTrc20(
        owner=Address(fields["owner_address"]),
        contract=Address(fields["contract_address"]),
        to=Address(values[0]),
        amount=int(values[1]),
    )


def _stake_of(
    fields: dict[str, Any], kind: type[FreezeBalance | UnfreezeBalance], amount_sun: int
) -> Operation:
    return kind(
        owner=Address(fields["owner_address"]),
        amount_sun=amount_sun,
        resource=Resource[fields["resource"]],
    )


def reference_of(wanted: dict[str, Any]) -> ReferenceBlock:
    """A block that has the wanted reference."""
    header = wanted["header"]
    height = int(header["ref_block_bytes"], 16)
    block_id = f"{height:016x}{header['ref_block_hash']}" + "00" * 16
    return ReferenceBlock(height=height, block_id=block_id)


def raw_data_of(wanted: dict[str, Any]) -> bytes:
    """Build what is wanted with `shared.tron`.

    Raises:
        ValueError: It is not signed here.
    """
    operation = operation_of(wanted)
    if operation is None:
        raise ValueError(f"no operation is a {wanted['kind']} like this")
    return build_raw_data(
        operation,
        reference=reference_of(wanted),
        expiration_ms=wanted["header"]["expiration"],
        timestamp_ms=wanted["header"]["timestamp"],
        fee_limit_sun=wanted.get("fee_limit", 0),
    )

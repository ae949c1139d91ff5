"""What tronweb is asked to build, in the words of `shared.tron`."""

from __future__ import annotations

from typing import Any

from shared.tron.address import Address, evm_bytes
from shared.tron.keccak import keccak256
from shared.tron.operation import (
    INT64_MAX,
    ApproveTrc20,
    CallContract,
    CancelUnfreezes,
    ClaimRewards,
    CreateAccount,
    DelegateResource,
    FreezeBalance,
    Operation,
    Permission,
    ReferenceBlock,
    Resource,
    TransferTrc20,
    TransferTrx,
    UndelegateResource,
    UnfreezeBalance,
    UpdatePermissions,
    Votes,
    VoteWitnesses,
    WeightedKey,
    WithdrawUnfrozen,
)
from shared.tron.transaction import build_raw_data

TRANSFER = "transfer(address,uint256)"
APPROVE = "approve(address,uint256)"
STAKES: dict[str, tuple[type[FreezeBalance | UnfreezeBalance], str]] = {
    "FreezeBalanceV2Contract": (FreezeBalance, "frozen_balance"),
    "UnfreezeBalanceV2Contract": (UnfreezeBalance, "unfreeze_balance"),
}
WITHDRAWALS: dict[str, type[CancelUnfreezes | WithdrawUnfrozen | ClaimRewards]] = {
    "CancelAllUnfreezeV2Contract": CancelUnfreezes,
    "WithdrawExpireUnfreezeContract": WithdrawUnfrozen,
    "WithdrawBalanceContract": ClaimRewards,
}


def operation_of(wanted: dict[str, Any]) -> Operation | None:  # noqa: PLR0911 - one return a kind
    """The operation that is wanted; None if nothing of the kind is signed here."""
    fields, kind = wanted["fields"], wanted["kind"]
    owner = Address(fields["owner_address"])
    if kind in STAKES:
        make, field = STAKES[kind]
        return make(owner=owner, amount_sun=fields[field], resource=Resource[fields["resource"]])
    if kind in WITHDRAWALS:
        return WITHDRAWALS[kind](owner=owner)
    match kind:
        case "TransferContract":
            to = Address(fields["to_address"])
            return TransferTrx(owner=owner, to=to, amount_sun=fields["amount"])
        case "TriggerSmartContract":
            return _call_of(fields)
        case "AccountCreateContract":
            return CreateAccount(owner=owner, account=Address(fields["account_address"]))
        case "DelegateResourceContract" | "UnDelegateResourceContract":
            return _loan_of(kind, fields)
        case "VoteWitnessContract":
            votes = (
                Votes(witness=Address(one["vote_address"]), count=one["vote_count"])
                for one in fields["votes"]
            )
            return VoteWitnesses(owner=owner, votes=tuple(votes))
        case "AccountPermissionUpdateContract":
            witness = fields.get("witness")
            return UpdatePermissions(
                owner=owner,
                owner_permission=_permission_of(fields["owner"]),
                witness_permission=_permission_of(witness) if witness else None,
                actives=tuple(_permission_of(one) for one in fields["actives"]),
            )
        case _:
            return None


def _call_of(fields: dict[str, Any]) -> TransferTrc20 | ApproveTrc20 | CallContract | None:
    owner, contract = Address(fields["owner_address"]), Address(fields["contract_address"])
    selector = fields["function_selector"]
    values = [parameter["value"] for parameter in fields["parameters"]]
    if selector not in {TRANSFER, APPROVE}:
        words = b"".join(_word(one) for one in fields["parameters"])
        return CallContract(
            owner=owner,
            contract=contract,
            data=keccak256(selector.encode())[:4] + words,
            call_value_sun=fields.get("call_value", 0),
        )
    party, amount = Address(values[0]), int(values[1])
    if selector == TRANSFER:
        if amount > INT64_MAX:
            return None
        return TransferTrc20(owner=owner, contract=contract, to=party, amount=amount)
    return ApproveTrc20(owner=owner, contract=contract, spender=party, amount=amount)


def _word(parameter: dict[str, Any]) -> bytes:
    if parameter["type"] == "address":
        return evm_bytes(Address(parameter["value"])).rjust(32, b"\0")
    return int(parameter["value"]).to_bytes(32, "big")


def _loan_of(kind: str, fields: dict[str, Any]) -> DelegateResource | UndelegateResource:
    owner, to = Address(fields["owner_address"]), Address(fields["receiver_address"])
    amount_sun, resource = fields["balance"], Resource[fields["resource"]]
    if kind == "UnDelegateResourceContract":
        return UndelegateResource(owner=owner, to=to, amount_sun=amount_sun, resource=resource)
    return DelegateResource(
        owner=owner,
        to=to,
        amount_sun=amount_sun,
        resource=resource,
        is_locked=fields.get("lock", False),
        lock_blocks=fields.get("lock_period", 0),
    )


def _permission_of(fields: dict[str, Any]) -> Permission:
    return Permission(
        name=fields["permission_name"],
        threshold=fields["threshold"],
        operations=bytes.fromhex(fields.get("operations", "")),
        keys=tuple(
            WeightedKey(address=Address(key["address"]), weight=key["weight"])
            for key in fields["keys"]
        ),
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
        permission_id=wanted.get("permission_id", 0),
        memo=bytes.fromhex(wanted.get("memo", "")),
    )

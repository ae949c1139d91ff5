"""What a transaction says by its own bytes: which contract, whose, and to whom how much TRX."""

from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from shared.tron import protocol_pb2 as pb
from shared.tron.address import ADDRESS_LENGTH, Address, InvalidAddress, address_from_bytes

_OWNER_COMES_SECOND: Final = frozenset({2, 10, 19})
"""TransferAsset, AccountUpdate and SetAccountId (java-tron Tron.proto)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A transaction's only contract, as far as it is shown.

    Attributes:
        kind: the contract type by its name, or by its number where that has none; "" without contract.
        recipient: who gets TRX, or the contract that is called; None for other kinds.
        amount_sun: what a transfer moves, or what comes with a call.
    """

    kind: str
    owner: Address | None
    recipient: Address | None = None
    amount_sun: int | None = None


NOTHING: Final = Said(kind="", owner=None)


def said(raw_data: bytes) -> Said:
    """Read a transaction's contract; bytes that cannot be read say nothing."""
    try:
        contracts = pb.Transaction.raw.FromString(raw_data).contract
        return _read(contracts[0].type, contracts[0].parameter.value) if contracts else NOTHING
    except DecodeError:
        return NOTHING


def _read(kind: int, value: bytes) -> Said:
    types = pb.Transaction.Contract.ContractType
    parties = pb.AccountCreateContract.FromString(value)
    owner = parties.account_address if kind in _OWNER_COMES_SECOND else parties.owner_address
    name = types.Name(kind) if kind in types.values() else str(kind)
    if kind == pb.Transaction.Contract.TransferContract:
        transfer = pb.TransferContract.FromString(value)
        recipient, amount_sun = transfer.to_address, transfer.amount
    elif kind == pb.Transaction.Contract.TriggerSmartContract:
        call = pb.TriggerSmartContract.FromString(value)
        recipient, amount_sun = call.contract_address, call.call_value
    else:
        return Said(kind=name, owner=_address(owner))
    return Said(
        kind=name, owner=_address(owner), recipient=_address(recipient), amount_sun=amount_sun
    )


def _address(raw: bytes) -> Address | None:
    if len(raw) != ADDRESS_LENGTH:
        return None
    try:
        return address_from_bytes(raw)
    except InvalidAddress:
        return None

"""A transaction opened once: its id, its one contract, its owner and its size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from google.protobuf.message import DecodeError, Message

from devnet import chain_pb2
from devnet.blocks import txid_of
from devnet.chain_pb2 import Transaction
from devnet.rejection import RejectedError

TYPE_URL_PREFIX = "type.googleapis.com/protocol."
_RESULT_BYTES_IN_TRANSACTION = 64

CONTRACT_CLASSES: dict[str, type[Message]] = {
    name: getattr(chain_pb2, name)
    for name in Transaction.Contract.ContractType.keys()  # noqa: SIM118 (not a dict)
    if hasattr(chain_pb2, name)
}
_NAMES = {number: name for name, number in Transaction.Contract.ContractType.items()}


@dataclass(frozen=True, kw_only=True)
class Item:
    """A well-formed transaction without ret.

    Attributes:
        contract: The decoded parameter of the first contract, one of the contract messages.
        owner: The 21 bytes of its owner_address.
    """

    transaction: Transaction
    txid: bytes
    contract: Any
    owner: bytes

    @cached_property
    def size_bytes(self) -> int:
        """What bandwidth is charged for: the bytes without ret, and 64."""
        return self.transaction.ByteSize() + _RESULT_BYTES_IN_TRANSACTION

    @property
    def contract_name(self) -> str:
        """The contract's message name, such as TransferContract."""
        return type(self.contract).__name__


def opened(transaction: Transaction) -> Item:
    """Open a transaction; a ret that came with it is dropped, contracts beyond the first are not
    looked at.

    Raises:
        RejectedError: It holds no contract that this chain knows.
    """
    bare = Transaction(raw_data=transaction.raw_data, signature=transaction.signature)
    if not bare.raw_data.contract:
        raise RejectedError.invalid("No contract!")
    contract = contract_of(bare.raw_data.contract[0])
    return Item(
        transaction=bare,
        txid=txid_of(bare),
        contract=contract,
        owner=contract.owner_address,
    )


def contract_of(contract: Transaction.Contract) -> Any:
    """Decode a contract's parameter.

    Raises:
        RejectedError: The type is unknown, or type, type_url and bytes do not agree.
    """
    name = _NAMES.get(contract.type, "")
    if name not in CONTRACT_CLASSES or contract.parameter.type_url != TYPE_URL_PREFIX + name:
        raise RejectedError.invalid("No contract!")
    try:
        return CONTRACT_CLASSES[name].FromString(contract.parameter.value)
    except DecodeError as error:
        raise RejectedError.invalid("Protocol message was invalid.") from error


def wrapped(message: Message) -> Transaction.Contract:
    """A contract message as the one contract of a transaction."""
    name = type(message).__name__
    parameter = chain_pb2.Any(
        type_url=TYPE_URL_PREFIX + name, value=message.SerializeToString(deterministic=True)
    )
    return Transaction.Contract(type=name, parameter=parameter)

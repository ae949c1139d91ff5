"""Read a node's JSON strictly: what is not as it should be is an error, never an absence.

Ids are recomputed from the bytes they name: a block's from its header, a transaction's from its raw
data, and what a transaction moves is read from those same bytes.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec
from google.protobuf.message import DecodeError

from services.tron_client.domain.blocks import (
    Anchor,
    Body,
    BodyTransaction,
    InconsistentBlock,
    Log,
    NativeTransfer,
    Receipt,
)
from services.tron_client.node.outcomes import plain
from shared.tron import protocol_pb2 as pb
from shared.tron.address import ADDRESS_LENGTH
from shared.tron.blocks import (
    BlockHeader,
    BlockIdMismatch,
    InvalidHeader,
    transaction_leaf,
    transaction_root,
    verify_block_id,
)

T = TypeVar("T")

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_HEX: Final = re.compile(r"([0-9a-fA-F]{2})*")
_EVM: Final = re.compile(r"[0-9a-fA-F]{40}")


class _Header(msgspec.Struct):
    raw_data: dict[str, Any]


class _Ret(msgspec.Struct):
    contractRet: str = ""  # noqa: N815 - a node's own word


class _Transaction(msgspec.Struct):
    txID: str  # noqa: N815 - a node's own word
    raw_data_hex: str
    signature: list[str] = []
    ret: list[_Ret] = []


class _Block(msgspec.Struct):
    blockID: str  # noqa: N815 - a node's own word
    block_header: _Header
    transactions: list[_Transaction] = []


class _Resources(msgspec.Struct):
    energy_usage_total: int = 0
    energy_fee: int = 0
    net_usage: int = 0
    net_fee: int = 0
    result: str | None = None


class _Log(msgspec.Struct):
    address: str
    topics: list[str] = []
    data: str = ""


class _Receipt(msgspec.Struct):
    id: str
    blockNumber: int  # noqa: N815 - a node's own word
    blockTimeStamp: int  # noqa: N815 - a node's own word
    receipt: _Resources = msgspec.field(default_factory=_Resources)
    fee: int = 0
    contractResult: list[str] = []  # noqa: N815 - a node's own word
    log: list[_Log] = []
    result: str | None = None
    resMessage: str = ""  # noqa: N815 - a node's own word


def read_block(answer: Any, *, height: int | None = None) -> Body | None:
    """Read a block; None when the node has none yet.

    Raises:
        InconsistentBlock: it is malformed, of another height, or not what its id names.
    """
    if answer == {}:
        return None
    block = convert(answer, _Block, what="a block")
    body = Body(
        anchor=_anchor(block),
        parent_id=str(block.block_header.raw_data.get("parentHash", "")),
        transactions=tuple(_transaction(each) for each in block.transactions),
    )
    if height is not None and body.anchor.height != height:
        raise InconsistentBlock(f"asked for block {height}, got {body.anchor.height}")
    return body


def read_anchor(answer: Any) -> Anchor | None:
    """Read a block's header alone; None when the node has none."""
    return None if answer == {} else _anchor(convert(answer, _Block, what="a block"))


def read_blocks(answer: Any, *, first: int) -> list[Body]:
    """Read consecutive blocks from a height on; an empty answer is an empty list."""
    if not isinstance(answer, dict):
        raise InconsistentBlock("a list of blocks is not an object")
    blocks = answer.get("block", [])
    if not isinstance(blocks, list):
        raise InconsistentBlock("a list of blocks is no list")
    bodies = [read_block(block, height=first + index) for index, block in enumerate(blocks)]
    if None in bodies:
        raise InconsistentBlock("a list of blocks holds an empty one")
    return [body for body in bodies if body is not None]


def read_receipts(answer: Any) -> list[Receipt]:
    """Read the receipts of one block; whether they are all there is for the body to say."""
    if answer == {}:
        return []
    return [_receipt(each) for each in convert(answer, list[_Receipt], what="receipts")]


def read_receipt(answer: Any) -> Receipt | None:
    """Read one receipt; None when the node has none."""
    return None if answer == {} else _receipt(convert(answer, _Receipt, what="a receipt"))


def read_parameters(answer: Any) -> Mapping[str, int]:
    """Read the chain parameters; one without a value is 0."""
    listed = answer.get("chainParameter") if isinstance(answer, dict) else None
    if not isinstance(listed, list) or not listed:
        raise InconsistentBlock("chain parameters are missing")
    return {
        str(each["key"]): each.get("value", 0)
        for each in listed
        if isinstance(each, dict) and "key" in each and type(each.get("value", 0)) is int
    }


def convert(answer: Any, kind: type[T], *, what: str) -> T:
    """Check the types of a decoded answer; raises InconsistentBlock."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise InconsistentBlock(f"{what} is malformed: {error}") from None


def check_root(answer: Any) -> None:
    """Check that a block's transactions are those its header's root commits to (H9).

    Raises:
        InconsistentBlock: they are not.
    """
    raw = answer["block_header"]["raw_data"]
    leaves = [transaction_leaf(_whole(each)) for each in answer.get("transactions", [])]
    if transaction_root(leaves).hex() != raw.get("txTrieRoot", bytes(32).hex()):
        raise InconsistentBlock(f"block {raw.get('number')} holds other transactions than its root")


def _anchor(block: _Block) -> Anchor:
    try:
        header = BlockHeader.from_json(block.block_header.raw_data)
        verify_block_id(header, claimed=block.blockID)
    except (InvalidHeader, BlockIdMismatch) as error:
        raise InconsistentBlock(str(error)) from None
    return Anchor(height=header.number, block_id=block.blockID, timestamp_ms=header.timestamp_ms)


def _transaction(transaction: _Transaction) -> BodyTransaction:
    raw_data = _bytes(transaction.raw_data_hex)
    if sha256(raw_data).hexdigest() != transaction.txID:
        raise InconsistentBlock(f"transaction {transaction.txID[:64]} is not what its id names")
    return BodyTransaction(
        txid=transaction.txID,
        result=transaction.ret[0].contractRet if transaction.ret else "",
        transfer=_transfer(raw_data),
    )


def _transfer(raw_data: bytes) -> NativeTransfer | None:
    try:
        contracts = pb.Transaction.raw.FromString(raw_data).contract
        if len(contracts) != 1 or contracts[0].type != pb.Transaction.Contract.TransferContract:
            return None
        transfer = pb.TransferContract.FromString(contracts[0].parameter.value)
    except DecodeError:
        raise InconsistentBlock("a transaction's bytes are no transaction") from None
    parties = (transfer.owner_address, transfer.to_address)
    if any(len(each) != ADDRESS_LENGTH for each in parties) or transfer.amount < 0:
        raise InconsistentBlock("a transfer without its parties or amount")
    return NativeTransfer(
        sender=transfer.owner_address[1:],
        recipient=transfer.to_address[1:],
        amount_sun=transfer.amount,
    )


def _receipt(receipt: _Receipt) -> Receipt:
    if not _HASH.fullmatch(receipt.id):
        raise InconsistentBlock("a receipt without a transaction id")
    return Receipt(
        txid=receipt.id,
        height=receipt.blockNumber,
        timestamp_ms=receipt.blockTimeStamp,
        is_failed=receipt.result == "FAILED",
        result=receipt.receipt.result,
        fee_sun=receipt.fee,
        energy_used=receipt.receipt.energy_usage_total,
        energy_fee_sun=receipt.receipt.energy_fee,
        bandwidth_used=receipt.receipt.net_usage,
        bandwidth_fee_sun=receipt.receipt.net_fee,
        message=plain(receipt.resMessage),
        output=_bytes("".join(receipt.contractResult)).hex(),
        logs=tuple(_log(each) for each in receipt.log),
    )


def _log(log: _Log) -> Log:
    if not _EVM.fullmatch(log.address) or not all(
        _HASH.fullmatch(each.lower()) for each in log.topics
    ):
        raise InconsistentBlock("a log with a malformed address or topic")
    _bytes(log.data)
    return Log(address=log.address, topics=tuple(log.topics), data=log.data)


def is_hexadecimal(text: str) -> bool:
    """Tell whether a text is bytes in hexadecimal digits."""
    return _HEX.fullmatch(text) is not None


def _bytes(text: str) -> bytes:
    if not is_hexadecimal(text):
        raise InconsistentBlock("bytes that are not hexadecimal")
    return bytes.fromhex(text)


def _whole(transaction: dict[str, Any]) -> bytes:
    """Serialise a transaction as a block stores it: raw data, signatures, results."""
    whole = pb.Transaction(
        signature=[_bytes(each) for each in transaction.get("signature", [])],
        ret=[_result(each) for each in transaction.get("ret", [])],
    )
    raw_data = _bytes(transaction["raw_data_hex"])
    # a length-delimited field may be written by any message that has one of that number
    head = pb.AnyMessage(value=raw_data).SerializeToString()
    return b"\x0a" + head[1:] + whole.SerializeToString(deterministic=True)


def _result(result: dict[str, Any]) -> pb.Transaction.Result:
    known = pb.Transaction.Result
    try:
        return known(
            fee=result.get("fee", 0),
            ret=result.get("ret", "SUCESS"),
            contractRet=result.get("contractRet", "DEFAULT"),
        )
    except (ValueError, TypeError):
        raise InconsistentBlock("a transaction's result is none that is known") from None

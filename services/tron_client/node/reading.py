"""Read a node's JSON strictly: what is not as it should be is an error, never an absence.

Ids are recomputed from the bytes they name: a block's from its header, a transaction's from its raw
data, and what a transaction moves is read from those same bytes.
"""

import re
from binascii import unhexlify
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, Final, TypeVar

import msgspec
from google.protobuf.message import DecodeError

from services.tron_client.domain.blocks import (
    INT64_MAX,
    WORD_LENGTH,
    Anchor,
    Body,
    BodyTransaction,
    InconsistentBlock,
    Log,
    NativeTransfer,
    Receipt,
    Seal,
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
_EVM_DIGITS: Final = 40
_WORD_DIGITS: Final = 64
_SELECTOR_LENGTH: Final = 4
_SEVEN_BITS: Final = 0x7F
_RAW_DATA, _SIGNATURE, _RET = 0x0A, 0x12, 0x2A
"""Keys of the fields 1, 2 and 5 of a transaction, length-delimited (java-tron Tron.proto)."""

_Amount = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
"""Sun, energy, bytes, heights and moments: none is below zero or longer than 64 bits on chain."""

_MOVING_NOTES: Final = frozenset(each.hex() for each in (b"call", b"create", b"suicide"))
_NOTHING_MOVED: Final = NativeTransfer(sender=b"", recipient=b"", amount_sun=0)


class _Header(msgspec.Struct, gc=False):
    raw_data: dict[str, Any]
    witness_signature: str = ""


class _Ret(msgspec.Struct, gc=False):
    contractRet: str = ""  # noqa: N815 - a node's own word


class _Transaction(msgspec.Struct, gc=False):
    txID: str  # noqa: N815 - a node's own word
    raw_data_hex: str
    signature: list[str] = []
    ret: list[_Ret] = []


class _Block(msgspec.Struct, gc=False):
    blockID: str  # noqa: N815 - a node's own word
    block_header: _Header
    transactions: list[_Transaction] = []


class _Resources(msgspec.Struct, gc=False):
    energy_usage_total: _Amount = 0
    energy_fee: _Amount = 0
    net_usage: _Amount = 0
    net_fee: _Amount = 0
    result: str | None = None


class _Log(msgspec.Struct, gc=False):
    address: str
    topics: list[str] = []
    data: str = ""


class _CallValue(msgspec.Struct, gc=False):
    callValue: _Amount = 0  # noqa: N815 - a node's own word
    tokenId: str = ""  # noqa: N815 - a node's own word


class _Internal(msgspec.Struct, gc=False):
    caller_address: str = ""
    transferTo_address: str = ""  # noqa: N815 - a node's own word
    callValueInfo: list[_CallValue] = []  # noqa: N815 - a node's own word
    note: str = ""
    rejected: bool = False


class _Restaked(msgspec.Struct, gc=False):
    key: str
    value: _Amount = 0


class _Parameter(msgspec.Struct, gc=False):
    key: str
    value: Annotated[int, msgspec.Meta(ge=-INT64_MAX, le=INT64_MAX)] = 0


class _Parameters(msgspec.Struct, gc=False):
    chainParameter: list[_Parameter]  # noqa: N815 - a node's own word


class _Receipt(msgspec.Struct, gc=False):
    id: str
    blockNumber: _Amount  # noqa: N815 - a node's own word
    blockTimeStamp: _Amount  # noqa: N815 - a node's own word
    receipt: _Resources = msgspec.field(default_factory=_Resources)
    fee: _Amount = 0
    contractResult: list[str] = []  # noqa: N815 - a node's own word
    log: list[_Log] = []
    result: str | None = None
    resMessage: str = ""  # noqa: N815 - a node's own word
    internal_transactions: list[_Internal] = []
    withdraw_amount: _Amount = 0
    withdraw_expire_amount: _Amount = 0
    cancel_unfreezeV2_amount: list[_Restaked] = []  # noqa: N815 - a node's own word


def read_block(answer: Any, *, height: int | None = None) -> Body | None:
    """Read a block; None when the node has none yet.

    Raises:
        InconsistentBlock: it is malformed, of another height, or not what its id names.
    """
    if answer == {}:
        return None
    block = convert(answer, _Block, what="a block")
    header = _header(block)
    body = Body(
        anchor=_anchor_of(header, block.blockID),
        parent_id=header.parent_hash.hex(),
        seal=Seal(
            witness=header.witness_address,
            header=header.serialised(),
            signature=_bytes(block.block_header.witness_signature),
        ),
        transactions=tuple(_transaction(each) for each in block.transactions),
    )
    if height is not None and body.anchor.height != height:
        raise InconsistentBlock(f"asked for block {height}, got {body.anchor.height}")
    return body


def read_anchor(answer: Any) -> Anchor | None:
    """Read a block's header alone; None when the node has none."""
    if answer == {}:
        return None
    block = convert(answer, _Block, what="a block")
    return _anchor_of(_header(block), block.blockID)


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
    """Read the chain parameters; one without a value is 0.

    Raises:
        InconsistentBlock: there are none, one is no number, or one has two values.
    """
    listed = convert(answer, _Parameters, what="a list of chain parameters").chainParameter
    values = {each.key: each.value for each in listed}
    if not listed or any(values[each.key] != each.value for each in listed):
        raise InconsistentBlock("chain parameters are missing, or have two values")
    return values


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


def _header(block: _Block) -> BlockHeader:
    try:
        header = BlockHeader.from_json(block.block_header.raw_data)
        verify_block_id(header, claimed=block.blockID)
    except (InvalidHeader, BlockIdMismatch) as error:
        raise InconsistentBlock(str(error)) from None
    return header


def _anchor_of(header: BlockHeader, block_id: str) -> Anchor:
    return Anchor(height=header.number, block_id=block_id, timestamp_ms=header.timestamp_ms)


def _transaction(transaction: _Transaction) -> BodyTransaction:
    raw_data = _bytes(transaction.raw_data_hex)
    if sha256(raw_data).hexdigest() != transaction.txID:
        raise InconsistentBlock(f"transaction {transaction.txID[:64]} is not what its id names")
    if not all(map(is_hexadecimal, transaction.signature)):
        raise InconsistentBlock(f"transaction {transaction.txID} has a signature of no bytes")
    transfer, words = _contract(raw_data)
    return BodyTransaction(
        txid=transaction.txID,
        result=transaction.ret[0].contractRet if transaction.ret else "",
        transfer=transfer,
        words=words,
        raw_data=raw_data,
        signatures=tuple(transaction.signature),
    )


def _contract(raw_data: bytes) -> tuple[NativeTransfer | None, bytes]:
    """Return the TRX that a transaction moves itself, and the words of a call: see BodyTransaction."""
    try:
        contracts = pb.Transaction.raw.FromString(raw_data).contract
        if len(contracts) != 1:
            return None, b""
        kind, value = contracts[0].type, contracts[0].parameter.value
        if kind == pb.Transaction.Contract.TransferContract:
            transfer = pb.TransferContract.FromString(value)
            return _moved(transfer.owner_address, transfer.to_address, transfer.amount), b""
        if kind == pb.Transaction.Contract.TriggerSmartContract:
            call = pb.TriggerSmartContract.FromString(value)
            words = call.owner_address[1:].rjust(WORD_LENGTH, b"\0") + call.data[_SELECTOR_LENGTH:]
            if call.call_value:
                return _moved(call.owner_address, call.contract_address, call.call_value), words
            return None, words
    except DecodeError:
        raise InconsistentBlock("a transaction's bytes are no transaction") from None
    return None, b""


def _moved(sender: bytes, recipient: bytes, amount_sun: int) -> NativeTransfer:
    if any(len(each) != ADDRESS_LENGTH for each in (sender, recipient)) or amount_sun < 0:
        raise InconsistentBlock("a transfer without its parties or amount")
    return NativeTransfer(sender=sender[1:], recipient=recipient[1:], amount_sun=amount_sun)


def _receipt(receipt: _Receipt) -> Receipt:
    if not _HASH.fullmatch(receipt.id):
        raise InconsistentBlock("a receipt without a transaction id")
    output = "".join(receipt.contractResult)
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
        message=plain(receipt.resMessage) if receipt.resMessage else "",
        output=_bytes(output).hex() if output else "",
        logs=tuple(_log(each) for each in receipt.log),
        internal=tuple(_internal(each) for each in receipt.internal_transactions),
        claimed_sun=receipt.withdraw_amount,
        withdrawn_sun=receipt.withdraw_expire_amount,
        restaked_sun=_sum(each.value for each in receipt.cancel_unfreezeV2_amount),
    )


def _log(log: _Log) -> Log:
    if len(log.address) != _EVM_DIGITS or any(len(each) != _WORD_DIGITS for each in log.topics):
        raise InconsistentBlock("a log with a malformed address or topic")
    _bytes("".join((log.address, *log.topics, log.data)))
    return Log(address=log.address, topics=tuple(log.topics), data=log.data)


def _internal(internal: _Internal) -> NativeTransfer:
    """Read TRX that a contract moved; what moved none keeps its place with an amount of 0.

    Only calls, creations and self-destructions move TRX. The virtual machine lists stakes and
    delegations in the same way, with the staked amount as their value and the receiver of a
    delegation as their recipient; and a call in the caller's own context names one party twice.

    Source: java-tron Program.java (addInternalTx) and Tron.proto.
    """
    amount_sun = _sum(each.callValue for each in internal.callValueInfo if not each.tokenId)
    parties = (_bytes(internal.caller_address), _bytes(internal.transferTo_address))
    if internal.rejected or internal.note.lower() not in _MOVING_NOTES or parties[0] == parties[1]:
        amount_sun = 0
    if not amount_sun:
        return _NOTHING_MOVED
    return _moved(*parties, amount_sun)


def _sum(amounts: Iterable[int]) -> int:
    total = sum(amounts)
    if total > INT64_MAX:
        raise InconsistentBlock("amounts that come to more than there can be")
    return total


def is_hexadecimal(text: str) -> bool:
    """Tell whether a text is bytes in hexadecimal digits."""
    try:
        unhexlify(text)
    except ValueError:
        return False
    return True


def _bytes(text: str) -> bytes:
    try:
        return unhexlify(text)
    except ValueError:
        raise InconsistentBlock("bytes that are not hexadecimal") from None


def _whole(transaction: dict[str, Any]) -> bytes:
    """Serialise a transaction as a block stores it: raw data, signatures, results."""
    parts = [_field(_RAW_DATA, _bytes(transaction["raw_data_hex"]))]
    parts += [_field(_SIGNATURE, _bytes(each)) for each in transaction.get("signature", [])]
    for each in transaction.get("ret", []):
        try:
            result = _result(
                each.get("fee", 0), each.get("ret", "SUCESS"), each.get("contractRet", "DEFAULT")
            )
        except (ValueError, TypeError):
            raise InconsistentBlock("a transaction's result is none that is known") from None
        parts.append(result)
    return b"".join(parts)


def _field(key: int, value: bytes) -> bytes:
    """Write a length-delimited field: its key, its length in groups of seven bits, its bytes."""
    length, rest = [key], len(value)
    while rest > _SEVEN_BITS:
        length.append(rest & _SEVEN_BITS | _SEVEN_BITS + 1)
        rest >>= 7
    return bytes((*length, rest)) + value


@lru_cache(maxsize=1_024)
def _result(fee: int, ret: str, contract_ret: str) -> bytes:
    result = pb.Transaction.Result(
        fee=fee,
        ret=ret,
        contractRet=contract_ret,
    )
    return _field(_RET, result.SerializeToString(deterministic=True))

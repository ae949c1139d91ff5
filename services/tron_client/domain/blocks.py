"""Blocks as they are held: checked against themselves, against their receipts, and in a chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from shared.errors import Unavailable
from shared.models.wire import BlockRef

SUCCESS: Final = "SUCCESS"
FAILED: Final = "FAILED"

INT64_MAX: Final = 2**63 - 1
"""The most that a number on chain can be, but for those in contracts."""

WORD_LENGTH: Final = 32


class InconsistentBlock(Unavailable):
    """What a node says of a block does not fit together; it is asked again, and never skipped."""

    code = "LUCID_ERR_9101"
    title = "The node contradicts itself"


class ForkBelowSolid(Unavailable):
    """The node's chain leaves ours below a block that was solid: not the chain we follow."""

    code = "LUCID_ERR_9102"
    title = "The node follows another chain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A block by what names it."""

    height: int
    block_id: str
    timestamp_ms: int


class NativeTransfer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """TRX moved by a transaction itself, or by a contract that it called.

    Addresses are the 20 bytes that contracts see.
    """

    sender: bytes
    recipient: bytes
    amount_sun: int


class BodyTransaction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A transaction in a block's body.

    Attributes:
        txid: recomputed from its bytes.
        result: ``ret[0].contractRet``.
        transfer: the TRX that it moves itself: all of a transfer, or what comes with a call.
        raw_data: those bytes.
        signatures: hexadecimal, as the node prints them; nothing checks them here.
        words: of a call of a contract, 32 bytes each: who calls, then what it is called with.
    """

    txid: str
    result: str
    transfer: NativeTransfer | None
    raw_data: bytes = b""
    signatures: tuple[str, ...] = ()
    words: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a header is signed with.

    Attributes:
        witness: whom the header names as its maker, 21 bytes but in a genesis block.
        header: the bytes that are signed.
        signature: 65 bytes of a true one.
    """

    witness: bytes
    header: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A block whose id was recomputed from its header."""

    anchor: Anchor
    parent_id: str
    seal: Seal
    transactions: tuple[BodyTransaction, ...]


class Log(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A log as a node prints it: hexadecimal, the contract without its prefix."""

    address: str
    topics: tuple[str, ...]
    data: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a transaction did and cost.

    Attributes:
        result: ``receipt.result``, which only contract calls have.
        is_failed: the receipt's own ``result`` is FAILED.
        message: why it failed, in the node's words.
        output: what the contract returned, hexadecimal.
        internal: TRX that contracts moved, in the receipt's own order; one that moved nothing keeps
            its place with an amount of 0. Empty where the node does not provide them.
        claimed_sun: rewards that were taken out.
        withdrawn_sun: what came back from unfreezing.
        restaked_sun: what was on its way out and is staked again.
    """

    txid: str
    height: int
    timestamp_ms: int
    is_failed: bool
    result: str | None
    fee_sun: int
    energy_used: int
    energy_fee_sun: int
    bandwidth_used: int
    bandwidth_fee_sun: int
    message: str
    output: str
    logs: tuple[Log, ...]
    internal: tuple[NativeTransfer, ...] = ()
    claimed_sun: int = 0
    withdrawn_sun: int = 0
    restaked_sun: int = 0

    @property
    def succeeded(self) -> bool:
        """True when the transaction did what it was to do (java-tron TransactionInfo)."""
        return not self.is_failed and self.result in {None, SUCCESS}


class Executed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A transaction with the receipt that belongs to it."""

    transaction: BodyTransaction
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A body whose receipts were matched to it."""

    anchor: Anchor
    parent_id: str
    executed: tuple[Executed, ...]


def paired(body: Body, receipts: Sequence[Receipt]) -> Block:
    """Match receipts to a body (H8).

    Raises:
        InconsistentBlock: one is missing, out of order, of another block, or contradicts its
            transaction's own result.
    """
    anchor = body.anchor
    if len(receipts) != len(body.transactions):
        raise InconsistentBlock(
            f"block {anchor.height} has {len(body.transactions)} transactions and {len(receipts)} receipts"
        )
    executed = []
    for transaction, receipt in zip(body.transactions, receipts, strict=True):
        if receipt.txid != transaction.txid:
            raise InconsistentBlock(f"receipts of block {anchor.height} are of other transactions")
        if (receipt.height, receipt.timestamp_ms) != (anchor.height, anchor.timestamp_ms):
            raise InconsistentBlock(f"receipts of block {anchor.height} are of another block")
        if not _agree(transaction, receipt):
            raise InconsistentBlock(f"{receipt.txid} has two results: in the block and its receipt")
        executed.append(Executed(transaction=transaction, receipt=receipt))
    return Block(anchor=anchor, parent_id=body.parent_id, executed=tuple(executed))


def _agree(transaction: BodyTransaction, receipt: Receipt) -> bool:
    if receipt.result is not None and receipt.result != transaction.result:
        return False
    return receipt.succeeded == (transaction.result == SUCCESS)


def block_ref(block: Anchor) -> BlockRef:
    """Write a block for the wire."""
    return BlockRef(height=block.height, block_id=block.block_id, timestamp_ms=block.timestamp_ms)

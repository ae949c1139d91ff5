"""Blocks as they are held: checked against themselves, against their receipts, and in a chain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.errors import Unavailable
from shared.models.tron_client import TransferSource
from shared.tron import abi
from shared.tron.address import ADDRESS_LENGTH, Address, address_from_bytes, address_from_hex

SUCCESS: Final = "SUCCESS"
FAILED: Final = "FAILED"

_TRANSFER_TOPICS: Final = 3
_EVM_HEX: Final = 40


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeTransfer:
    """TRX moved by a transfer contract; addresses are the 20 bytes that contracts see."""

    sender: bytes
    recipient: bytes
    amount_sun: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyTransaction:
    """A transaction in a block's body.

    Attributes:
        txid: recomputed from its bytes.
        result: ``ret[0].contractRet``.
        transfer: what it moves if it is a TRX transfer.
    """

    txid: str
    result: str
    transfer: NativeTransfer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A block whose id was recomputed from its header."""

    anchor: Anchor
    parent_id: str
    transactions: tuple[BodyTransaction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log as a node prints it: hexadecimal, the contract without its prefix."""

    address: str
    topics: tuple[str, ...]
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a transaction did and cost.

    Attributes:
        result: ``receipt.result``, which only contract calls have.
        is_failed: the receipt's own ``result`` is FAILED.
        message: why it failed, in the node's words.
        output: what the contract returned, hexadecimal.
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

    @property
    def succeeded(self) -> bool:
        """True when the transaction did what it was to do (java-tron TransactionInfo)."""
        return not self.is_failed and self.result in {None, SUCCESS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """A transaction with the receipt that belongs to it."""

    transaction: BodyTransaction
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A body whose receipts were matched to it."""

    anchor: Anchor
    parent_id: str
    executed: tuple[Executed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that a successful transaction moved; ``position`` is absolute in its own list (H21)."""

    txid: str
    source: TransferSource
    position: int
    contract: Address | None
    sender: Address
    recipient: Address
    amount: int


IsWatched = Callable[[bytes], bool]
"""Tells whether an address, as the 20 bytes that contracts see, is watched."""


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


def movements(block: Block, *, token: Address, is_watched: IsWatched) -> list[Movement]:
    """Return what a block moved from or to watched addresses, in its order, nothing of zero value.

    TRX comes from transfer contracts; tokens from Transfer logs of the one contract, whichever
    contract was called.
    """
    return [
        movement
        for executed in block.executed
        if executed.receipt.succeeded
        for movement in (
            *_native(executed, is_watched),
            *_logged(executed.receipt, token=token, is_watched=is_watched),
        )
    ]


def transfer_logs(
    receipt: Receipt, *, only: Address | None = None
) -> list[tuple[int, abi.TransferLog]]:
    """Return the TRC-20 Transfer logs of a receipt with their absolute positions."""
    found = []
    for position, log in enumerate(receipt.logs):
        decoded = abi.decode_transfer_log(log.address, log.topics, log.data)
        if decoded is not None and only in {None, decoded.contract}:
            found.append((position, decoded))
    return found


def _native(executed: Executed, is_watched: IsWatched) -> list[Movement]:
    transfer = executed.transaction.transfer
    if transfer is None or transfer.amount_sun == 0:
        return []
    if not is_watched(transfer.sender) and not is_watched(transfer.recipient):
        return []
    return [
        Movement(
            txid=executed.receipt.txid,
            source=TransferSource.NATIVE,
            position=0,
            contract=None,
            sender=address_from_bytes(transfer.sender),
            recipient=address_from_bytes(transfer.recipient),
            amount=transfer.amount_sun,
        )
    ]


def _logged(receipt: Receipt, *, token: Address, is_watched: IsWatched) -> list[Movement]:
    if not any(_may_concern(log, is_watched) for log in receipt.logs):
        return []
    return [
        Movement(
            txid=receipt.txid,
            source=TransferSource.LOG,
            position=position,
            contract=log.contract,
            sender=log.sender,
            recipient=log.recipient,
            amount=log.value,
        )
        for position, log in transfer_logs(receipt, only=token)
        if log.value and _concerns(receipt.logs[position], is_watched)
    ]


def _may_concern(log: Log, is_watched: IsWatched) -> bool:
    """Sort out by raw bytes what cannot matter, before anything is decoded."""
    return len(log.topics) == _TRANSFER_TOPICS and _concerns(log, is_watched)


def _concerns(log: Log, is_watched: IsWatched) -> bool:
    return any(is_watched(bytes.fromhex(topic[-_EVM_HEX:])) for topic in log.topics[1:])


def evm_of(hexadecimal: str) -> bytes:
    """Return the 20 bytes that contracts see of a node's 21-byte address."""
    raw = bytes.fromhex(hexadecimal)
    if len(raw) != ADDRESS_LENGTH:
        raise ValueError("an address of a node has 21 bytes")
    return raw[1:]


def contract_of(log: Log) -> Address:
    """Return the contract that emitted a log."""
    return address_from_hex(log.address)

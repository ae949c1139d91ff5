"""Blocks as they are held: checked against themselves, against their receipts, and in a chain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.tron_client.domain.tokens import Token, Tokens
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
    """TRX moved by a transaction itself, or by a contract that it called.

    Addresses are the 20 bytes that contracts see.
    """

    sender: bytes
    recipient: bytes
    amount_sun: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyTransaction:
    """A transaction in a block's body.

    Attributes:
        txid: recomputed from its bytes.
        result: ``ret[0].contractRet``.
        transfer: the TRX that it moves itself: all of a transfer, or what comes with a call.
        raw_data: those bytes.
        signatures: hexadecimal, as the node prints them; nothing checks them here.
    """

    txid: str
    result: str
    transfer: NativeTransfer | None
    raw_data: bytes = b""
    signatures: tuple[str, ...] = ()


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
    """Money that a successful transaction moved; ``position`` is absolute in its own list (H21).

    ``contract`` is None for TRX, ``token`` None for TRX and USDT.
    """

    txid: str
    source: TransferSource
    position: int
    contract: Address | None
    sender: Address
    recipient: Address
    amount: int
    token: Token | None = None


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


def movements(block: Block, *, tokens: Tokens, is_watched: IsWatched) -> list[Movement]:
    """Return what a block moved from or to watched addresses, in its order, nothing of zero value.

    TRX comes from transfer contracts, from calls that carry it and from what contracts move where
    the node tells of that; tokens come from Transfer logs, whichever contract was called.
    """
    return [
        movement
        for executed in block.executed
        if executed.receipt.succeeded
        for movement in (
            *_native(executed, is_watched),
            *_logged(executed.receipt, tokens=tokens, is_watched=is_watched),
            *_internal(executed.receipt, is_watched),
        )
    ]


def transfer_logs(receipt: Receipt) -> list[tuple[int, abi.TransferLog]]:
    """Return the TRC-20 Transfer logs of a receipt with their absolute positions."""
    found = []
    for position, log in enumerate(receipt.logs):
        decoded = abi.decode_transfer_log(log.address, log.topics, log.data)
        if decoded is not None:
            found.append((position, decoded))
    return found


def _native(executed: Executed, is_watched: IsWatched) -> list[Movement]:
    transfer = executed.transaction.transfer
    if transfer is None or not _moves(transfer, is_watched):
        return []
    return [_trx(executed.receipt, TransferSource.NATIVE, 0, transfer)]


def _internal(receipt: Receipt, is_watched: IsWatched) -> list[Movement]:
    return [
        _trx(receipt, TransferSource.INTERNAL, position, transfer)
        for position, transfer in enumerate(receipt.internal)
        if _moves(transfer, is_watched)
    ]


def _moves(transfer: NativeTransfer, is_watched: IsWatched) -> bool:
    return transfer.amount_sun > 0 and (
        is_watched(transfer.sender) or is_watched(transfer.recipient)
    )


def _trx(
    receipt: Receipt, source: TransferSource, position: int, transfer: NativeTransfer
) -> Movement:
    return Movement(
        txid=receipt.txid,
        source=source,
        position=position,
        contract=None,
        sender=address_from_bytes(transfer.sender),
        recipient=address_from_bytes(transfer.recipient),
        amount=transfer.amount_sun,
    )


def _logged(receipt: Receipt, *, tokens: Tokens, is_watched: IsWatched) -> list[Movement]:
    return [
        Movement(
            txid=receipt.txid,
            source=TransferSource.LOG,
            position=position,
            contract=decoded.contract,
            sender=decoded.sender,
            recipient=decoded.recipient,
            amount=decoded.value,
            token=tokens.other(decoded.contract),
        )
        for position, log in enumerate(receipt.logs)
        if _may_concern(log, tokens, is_watched)
        if (decoded := abi.decode_transfer_log(log.address, log.topics, log.data)) is not None
        if decoded.value
    ]


def _may_concern(log: Log, tokens: Tokens, is_watched: IsWatched) -> bool:
    """Sort out by raw bytes what cannot matter, before anything is decoded."""
    return (
        len(log.topics) == _TRANSFER_TOPICS
        and tokens.counts(log.address)
        and _concerns(log, is_watched)
    )


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

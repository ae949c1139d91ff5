"""What a block moved from or to watched addresses, and whether it may concern them at all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.tron_client.domain.blocks import (
    WORD_LENGTH,
    Block,
    Executed,
    Log,
    NativeTransfer,
    Receipt,
)
from services.tron_client.domain.tokens import Token, Tokens
from shared.models.tron_client import TransferSource
from shared.tron import abi
from shared.tron.address import EVM_LENGTH, Address, address_from_bytes

_MOST_LOOKED_AT: Final = 64 * WORD_LENGTH
_OF_A_NUMBER: Final = bytes(16)
"""How an amount or an offset begins; one address in four thousand million does too."""
_TRANSFER_TOPICS: Final = 3
_EVM_HEX: Final = 40


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


def names_watched(block: Block, *, is_watched: IsWatched) -> bool:
    """Tell whether a successful call names a watched address, whatever its receipt says of it.

    What is called with what is under the witnesses' signatures, and logs are not: a receipt may leave
    one out. Words that are numbers are passed over, and of a very long call the beginning is read.
    """
    return any(
        is_watched(words[at + WORD_LENGTH - EVM_LENGTH : at + WORD_LENGTH])
        for executed in block.executed
        if executed.receipt.succeeded
        for words in (executed.transaction.words,)
        for at in range(0, min(len(words), _MOST_LOOKED_AT), WORD_LENGTH)
        if not words.startswith(_OF_A_NUMBER, at)
    )


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

"""Transfers of watched addresses: seen at the head, confirmed when solid, retracted by a fork."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.tron_client.domain.blocks import Anchor
from services.tron_client.domain.movements import Movement
from services.tron_client.domain.tokens import Token, format_units
from shared.models.tron_client import TokenTransferView, TransferSource, TransferState, TransferView
from shared.models.wire import BlockRef
from shared.money import Currency, format_base_units
from shared.tron.address import Address

ALLOWED: Final[Mapping[TransferState, frozenset[TransferState]]] = {
    TransferState.SEEN: frozenset({TransferState.CONFIRMED, TransferState.RETRACTED}),
    TransferState.RETRACTED: frozenset({TransferState.SEEN}),
    TransferState.CONFIRMED: frozenset(),
}


class ImpossibleTransfer(Exception):
    """A transfer would go from a state where it may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Money seen moving from or to a watched address.

    Attributes:
        id: genesis, txid, source and position: its name for ever (H21).
        version: of the record.
        amount_base_units: decimal digits, for a log may hold more than 64 bits.
        token: which it is when it is neither TRX nor USDT.
    """

    id: str
    version: int = 0
    state: TransferState
    txid: str
    source: TransferSource
    position: int
    height: int
    block_id: str
    timestamp_ms: int
    contract: Address | None
    sender: Address
    recipient: Address
    amount_base_units: str
    token: Token | None = None

    def moved_to(self, state: TransferState) -> "Transfer":
        """Return the transfer in another state; raises ImpossibleTransfer."""
        if state not in ALLOWED[self.state]:
            raise ImpossibleTransfer(f"transfer {self.id} cannot go from {self.state} to {state}")
        return replace(self, state=state)

    def says(self, other: "Transfer") -> bool:
        """True when the other is the same money in the same block, whatever its state."""
        return replace(self, state=other.state, version=other.version) == other


def transfer_id(genesis: str, movement: Movement) -> str:
    """Name a transfer for ever (H21)."""
    return f"{genesis}:{movement.txid}:{movement.source}:{movement.position}"


def seen(movement: Movement, *, genesis: str, block: Anchor) -> Transfer:
    """Return the transfer that a movement in a block is."""
    return Transfer(
        id=transfer_id(genesis, movement),
        state=TransferState.SEEN,
        txid=movement.txid,
        source=movement.source,
        position=movement.position,
        height=block.height,
        block_id=block.block_id,
        timestamp_ms=block.timestamp_ms,
        contract=movement.contract,
        sender=movement.sender,
        recipient=movement.recipient,
        amount_base_units=str(movement.amount),
        token=movement.token,
    )


def transfer_view(transfer: Transfer) -> TransferView:
    """Write a transfer of TRX or USDT for the wire."""
    amount = int(transfer.amount_base_units)
    return TransferView(
        transfer_id=transfer.id,
        state=transfer.state,
        txid=transfer.txid,
        source=transfer.source,
        position=transfer.position,
        block=_block_ref(transfer),
        currency=Currency.TRX if transfer.contract is None else Currency.USDT,
        contract_address=transfer.contract,
        sender=transfer.sender,
        recipient=transfer.recipient,
        amount=format_base_units(amount),
        amount_base_units=transfer.amount_base_units,
    )


def token_transfer_view(transfer: Transfer, token: Token) -> TokenTransferView:
    """Write a transfer of another token than USDT for the wire."""
    return TokenTransferView(
        transfer_id=transfer.id,
        state=transfer.state,
        txid=transfer.txid,
        position=transfer.position,
        block=_block_ref(transfer),
        contract_address=token.contract,
        symbol=token.symbol,
        decimals=token.decimals,
        sender=transfer.sender,
        recipient=transfer.recipient,
        amount=format_units(int(transfer.amount_base_units), decimals=token.decimals),
        amount_base_units=transfer.amount_base_units,
    )


def _block_ref(transfer: Transfer) -> BlockRef:
    return BlockRef(
        height=transfer.height, block_id=transfer.block_id, timestamp_ms=transfer.timestamp_ms
    )

"""Transfers of watched addresses: seen at the head, confirmed when solid, retracted by a fork."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.tron_client.domain.blocks import Anchor, Movement
from shared.models.tron_client import TransferSource, TransferState, TransferView
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
    )


def transfer_view(transfer: Transfer) -> TransferView:
    """Write a transfer for the wire."""
    amount = int(transfer.amount_base_units)
    return TransferView(
        transfer_id=transfer.id,
        state=transfer.state,
        txid=transfer.txid,
        source=transfer.source,
        position=transfer.position,
        block=BlockRef(
            height=transfer.height,
            block_id=transfer.block_id,
            timestamp_ms=transfer.timestamp_ms,
        ),
        currency=Currency.TRX if transfer.contract is None else Currency.USDT,
        contract_address=transfer.contract,
        sender=transfer.sender,
        recipient=transfer.recipient,
        amount=format_base_units(amount),
        amount_base_units=transfer.amount_base_units,
    )

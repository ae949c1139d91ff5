"""What a transaction did and cost, as it is kept with it."""

from dataclasses import dataclass

from services.tron_client.domain.blocks import Receipt
from services.tron_client.domain.movements import transfer_logs
from shared.models.tron_transactions import LogView, ReceiptView
from shared.tron import abi
from shared.tron.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLog:
    """A Transfer log as it is kept; the amount is decimal digits, for it may exceed 64 bits."""

    position: int
    contract: Address
    sender: Address
    recipient: Address
    amount_base_units: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A receipt as it is kept with its transaction."""

    result: str
    succeeded: bool
    fee_sun: int
    energy_used: int
    energy_fee_sun: int
    bandwidth_used: int
    bandwidth_fee_sun: int
    revert_reason: str | None
    transfers: tuple[KeptLog, ...]
    claimed_sun: int = 0
    withdrawn_sun: int = 0
    restaked_sun: int = 0


def effect_of(receipt: Receipt) -> Effect:
    """Return what is kept of a receipt."""
    return Effect(
        result=receipt.result or ("FAILED" if receipt.is_failed else "SUCCESS"),
        succeeded=receipt.succeeded,
        fee_sun=receipt.fee_sun,
        energy_used=receipt.energy_used,
        energy_fee_sun=receipt.energy_fee_sun,
        bandwidth_used=receipt.bandwidth_used,
        bandwidth_fee_sun=receipt.bandwidth_fee_sun,
        revert_reason=_reason(receipt),
        claimed_sun=receipt.claimed_sun,
        withdrawn_sun=receipt.withdrawn_sun,
        restaked_sun=receipt.restaked_sun,
        transfers=tuple(
            KeptLog(
                position=position,
                contract=log.contract,
                sender=log.sender,
                recipient=log.recipient,
                amount_base_units=str(log.value),
            )
            for position, log in transfer_logs(receipt)
        ),
    )


def _reason(receipt: Receipt) -> str | None:
    if receipt.succeeded:
        return None
    told = abi.decode_revert_reason(bytes.fromhex(receipt.output))
    return told or receipt.message or None


def receipt_view(effect: Effect) -> ReceiptView:
    """Write what a transaction did."""
    return ReceiptView(
        result=effect.result,
        fee_sun=str(effect.fee_sun),
        energy_used=effect.energy_used,
        energy_fee_sun=str(effect.energy_fee_sun),
        bandwidth_used=effect.bandwidth_used,
        bandwidth_fee_sun=str(effect.bandwidth_fee_sun),
        claimed_sun=str(effect.claimed_sun),
        withdrawn_sun=str(effect.withdrawn_sun),
        restaked_sun=str(effect.restaked_sun),
        transfers=[
            LogView(
                position=log.position,
                contract_address=log.contract,
                sender=log.sender,
                recipient=log.recipient,
                amount_base_units=log.amount_base_units,
            )
            for log in effect.transfers
        ],
        revert_reason=effect.revert_reason,
    )

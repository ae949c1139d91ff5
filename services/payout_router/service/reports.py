"""What wallet-manager says of sends, in this service's own words."""

from services.payout_router.domain import SERVICE, Report
from shared.ids import split_send_key
from shared.models.wallet_sends import SendView


def payout_of(key: str) -> str | None:
    """Return the payout that a send key names, or None for the send of somebody else."""
    try:
        origin, payout_id, _ = split_send_key(key)
    except ValueError:
        return None
    return payout_id if origin == SERVICE else None


def report_of(send: SendView) -> Report:
    """Return what a send's state means here."""
    detail = send.waiting_for
    if send.refusal is not None:
        detail = f"{send.refusal.rule}: {send.refusal.detail}"
    return Report(
        send_id=send.send_id,
        wallet_id=send.wallet_id,
        state=send.state,
        updated_at=send.updated_at,
        detail=detail,
        txid=send.txid,
        fee_sun=None if send.fee_sun is None else int(send.fee_sun),
        block_height=send.block_height,
    )

"""wallet-manager's loops."""

from typing import Final

from services.wallet_manager.service import WalletManager
from services.wallet_manager.settings import Settings
from shared.loop import LoopSpec

SIGN: Final = "sign"
SUBMIT: Final = "submit"


def loops(service: WalletManager, settings: Settings) -> tuple[LoopSpec, ...]:
    """Return what runs beside the requests."""
    return (
        LoopSpec(name=SIGN, interval_s=settings.retry_interval_s / 3, work=service.sender.sign_due),
        LoopSpec(
            name=SUBMIT, interval_s=settings.retry_interval_s / 3, work=service.sender.submit_signed
        ),
        LoopSpec(name="verdicts", interval_s=1, work=service.verdicts.follow),
        LoopSpec(name="transfers", interval_s=1, work=service.transfers.follow),
        LoopSpec(
            name="watch-renewal",
            interval_s=600,
            stale_after_s=3_600,
            work=service.wallets.renew_watches,
        ),
    )

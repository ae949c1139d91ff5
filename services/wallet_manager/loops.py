"""wallet-manager's loops."""

from typing import Final

from services.wallet_manager.service import WalletManager
from services.wallet_manager.settings import Settings
from shared.loop import LoopSpec

SIGN: Final = "sign"
SUBMIT: Final = "submit"


def loops(service: WalletManager, settings: Settings) -> tuple[LoopSpec, ...]:
    """Return what runs beside the requests."""

    async def verdicts() -> bool:
        return service.recovery.follows_verdicts() and await service.verdicts.follow()

    async def transfers() -> bool:
        return service.recovery.follows_transfers() and await service.transfers.follow()

    async def stock() -> bool:
        if service.recovery.reason() is not None:
            return False
        return await service.wallets.leaves.refill(settings.address_stock)

    return (
        LoopSpec(name=SIGN, interval_s=settings.retry_interval_s / 3, work=service.sender.sign_due),
        LoopSpec(
            name=SUBMIT, interval_s=settings.retry_interval_s / 3, work=service.sender.submit_signed
        ),
        LoopSpec(name="clocks", interval_s=5, stale_after_s=600, work=service.guards.look),
        LoopSpec(
            name="kill-switch", interval_s=2, stale_after_s=600, work=service.guards.switch.keep_up
        ),
        LoopSpec(name="vault", interval_s=1, stale_after_s=600, work=service.keeper.keep_up),
        LoopSpec(name="verdicts", interval_s=1, work=verdicts),
        LoopSpec(name="transfers", interval_s=1, work=transfers),
        LoopSpec(name="offline", interval_s=60, stale_after_s=900, work=service.offline.follow),
        LoopSpec(name="recovery", interval_s=3, work=service.recovery.work),
        LoopSpec(
            name="solid-height", interval_s=60, stale_after_s=900, work=service.recovery.note_height
        ),
        LoopSpec(
            name="watch-list",
            interval_s=300,
            stale_after_s=3_600,
            work=service.watches.compare,
        ),
        LoopSpec(name="address-stock", interval_s=30, stale_after_s=3_600, work=stock),
        LoopSpec(
            name="reconciliation",
            interval_s=10,
            stale_after_s=900,
            work=service.reconciliation.work,
        ),
    )

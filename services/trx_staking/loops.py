"""trx-staking's loops."""

from typing import Final

from services.trx_staking.service import TrxStaking
from services.trx_staking.settings import Settings
from shared.loop import LoopSpec

DISPATCH: Final = "dispatch"


def loops(service: TrxStaking, settings: Settings) -> tuple[LoopSpec, ...]:
    """Return what runs beside the requests."""
    return (
        LoopSpec(
            name=DISPATCH,
            interval_s=settings.dispatch_interval_s,
            stale_after_s=60 + int(10 * settings.dispatch_interval_s),
            work=service.dispatch,
        ),
        LoopSpec(name="follow-sends", interval_s=1.0, work=service.follow),
        LoopSpec(
            name="reconcile",
            interval_s=settings.reconcile_interval_s,
            stale_after_s=60 + int(10 * settings.reconcile_interval_s),
            work=service.reconcile,
        ),
    )

"""payout-router's loops."""

from functools import partial

from services.payout_router.service import PayoutRouter
from services.payout_router.settings import Settings
from shared.loop import LoopSpec
from shared.money import Currency

WALLET_INTERVAL_S = 15.0


def dispatch_loop(currency: Currency) -> str:
    """Name the loop that hands over payouts of one currency."""
    return f"dispatch-{currency.lower()}"


def loops(service: PayoutRouter, settings: Settings) -> tuple[LoopSpec, ...]:
    """Return what runs beside the requests."""
    dispatching = tuple(
        LoopSpec(
            name=dispatch_loop(currency),
            interval_s=settings.dispatch_interval_s,
            stale_after_s=60 + int(10 * settings.dispatch_interval_s),
            work=partial(service.dispatcher.dispatch, currency),
        )
        for currency in Currency
    )
    return (
        *dispatching,
        LoopSpec(name="follow-sends", interval_s=1.0, work=service.follower.follow),
        LoopSpec(
            name="reconcile",
            interval_s=settings.reconcile_interval_s,
            stale_after_s=60 + int(10 * settings.reconcile_interval_s),
            work=service.follower.reconcile,
        ),
        LoopSpec(name="paying-wallet", interval_s=WALLET_INTERVAL_S, work=service.payer.find),
    )

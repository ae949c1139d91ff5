"""payment-gateway's loops."""

from typing import Final

from services.payment_gateway.service.gateway import PaymentGateway
from services.payment_gateway.settings import Settings
from shared.loop import LoopSpec

FEED_PAUSE_S: Final = 0.2


def loops(service: PaymentGateway, settings: Settings) -> tuple[LoopSpec, ...]:
    """Return what runs beside the requests."""
    return (
        LoopSpec(
            name="deposits",
            interval_s=FEED_PAUSE_S,
            stale_after_s=60 + settings.feed_wait_s,
            work=service.deposits.take_in,
        ),
        LoopSpec(
            name="deliveries",
            interval_s=settings.webhook_interval_s,
            stale_after_s=60 + 2 * settings.outbound_timeout_s,
            work=service.webhooks.deliver_due,
        ),
    )

"""usdt-manager's loops."""

from services.usdt_manager.service import UsdtManager
from services.usdt_manager.settings import Settings
from shared.loop import LoopSpec


def loops(service: UsdtManager, settings: Settings) -> tuple[LoopSpec, ...]:
    """Return what runs beside the requests."""
    return (
        LoopSpec(
            name="token-check",
            interval_s=settings.token_check_interval_s,
            stale_after_s=10 * settings.token_check_interval_s,
            work=service.check_token,
        ),
    )

"""tron-client's loops."""

from typing import Final

from services.tron_client.scanner import Scanner
from services.tron_client.service import TronClient
from services.tron_client.settings import Settings
from services.tron_client.tracker import Tracker
from shared.clock import MS_PER_S
from shared.loop import LoopSpec

_TRACK_INTERVAL_S: Final = 0.5
_EXPIRY_INTERVAL_S: Final = 1.0
_ALARM_INTERVAL_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 5.0
"""Of loops that follow the chain: after an outage they must be back soon."""


def loops(
    service: TronClient, scanner: Scanner, tracker: Tracker, settings: Settings
) -> tuple[LoopSpec, ...]:
    """Return what runs beside the requests."""
    return (
        LoopSpec(
            name="scan",
            interval_s=settings.scan_interval_ms / MS_PER_S,
            max_backoff_s=_LONGEST_PAUSE_S,
            work=scanner.scan,
        ),
        LoopSpec(
            name="rebroadcast",
            interval_s=_TRACK_INTERVAL_S,
            max_backoff_s=_LONGEST_PAUSE_S,
            work=tracker.rebroadcast,
        ),
        LoopSpec(
            name="expiry",
            interval_s=_EXPIRY_INTERVAL_S,
            max_backoff_s=_LONGEST_PAUSE_S,
            work=tracker.expire,
        ),
        LoopSpec(
            name="parameters",
            interval_s=settings.parameters_interval_s,
            stale_after_s=10 * settings.parameters_interval_s,
            max_backoff_s=_LONGEST_PAUSE_S,
            work=service.refresh_parameters,
        ),
        LoopSpec(name="alarms", interval_s=_ALARM_INTERVAL_S, work=service.count_alarms),
    )

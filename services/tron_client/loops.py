"""tron-client's loops."""

from typing import Final

from services.tron_client.scanner import Scanner
from services.tron_client.scanner.agreement import Agreement
from services.tron_client.scanner.reconciliation import Reconciliation
from services.tron_client.scanner.rescans import Rescans
from services.tron_client.service import TronClient
from services.tron_client.service.endpoints import Endpoints
from services.tron_client.service.issuer import Issuer
from services.tron_client.settings import Settings
from services.tron_client.tracker import Tracker
from shared.clock import MS_PER_S
from shared.loop import LoopSpec

_RESCAN_INTERVAL_S: Final = 1.0
_TRACK_INTERVAL_S: Final = 0.5
_EXPIRY_INTERVAL_S: Final = 1.0
_CREDIT_INTERVAL_S: Final = 2.0
_ISSUER_INTERVAL_S: Final = 600
_NOTICE_INTERVAL_S: Final = 1.0
_VIGIL_INTERVAL_S: Final = 5.0
_DIALS_INTERVAL_S: Final = 5.0
_ENDPOINTS_INTERVAL_S: Final = 5.0
_HEADS_INTERVAL_S: Final = 30.0
_HEADS_STALE_S: Final = 300
_OPERATORS_INTERVAL_S: Final = 15.0
"""Three times within the time for which an answer counts."""
_LONGEST_PAUSE_S: Final = 5.0
"""Of loops that follow the chain: after an outage they must be back soon."""


def loops(
    service: TronClient, scanner: Scanner, rescans: Rescans, tracker: Tracker, settings: Settings
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
            name="rescan",
            interval_s=_RESCAN_INTERVAL_S,
            max_backoff_s=_LONGEST_PAUSE_S,
            work=rescans.scan,
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
            work=service.chain.refresh_parameters,
        ),
        LoopSpec(name="notices", interval_s=_NOTICE_INTERVAL_S, work=service.announcer.announce),
        LoopSpec(name="vigil", interval_s=_VIGIL_INTERVAL_S, work=service.vigil.watch),
        LoopSpec(
            name="operators", interval_s=_OPERATORS_INTERVAL_S, work=service.operators.compare
        ),
        LoopSpec(name="dials", interval_s=_DIALS_INTERVAL_S, work=service.dials.show),
    )


def endpoint_loops(endpoints: Endpoints) -> tuple[LoopSpec, ...]:
    """Return what looks after the nodes."""
    return (
        LoopSpec(name="endpoints", interval_s=_ENDPOINTS_INTERVAL_S, work=endpoints.watch),
        LoopSpec(
            name="heads",
            interval_s=_HEADS_INTERVAL_S,
            stale_after_s=_HEADS_STALE_S,
            work=endpoints.look,
        ),
    )


def reconcile_loop(reconciliation: Reconciliation, settings: Settings) -> LoopSpec:
    """Return the loop that compares balances with what was told."""
    return LoopSpec(
        name="reconcile",
        interval_s=settings.reconcile_interval_s,
        stale_after_s=10 * settings.reconcile_interval_s,
        work=reconciliation.reconcile,
    )


def credit_loop(agreement: Agreement) -> LoopSpec:
    """Return what looks again at deposits that wait to be borne out."""
    return LoopSpec(name="credits", interval_s=_CREDIT_INTERVAL_S, work=agreement.retry)


def issuer_loop(issuer: Issuer) -> LoopSpec:
    """Return what asks USDT whether it is paused."""
    return LoopSpec(
        name="issuer",
        interval_s=_ISSUER_INTERVAL_S,
        stale_after_s=10 * _ISSUER_INTERVAL_S,
        work=issuer.look,
    )

"""Show in metrics and ``/status`` how far behind the chain this service is and what waits."""

from collections.abc import Mapping
from typing import Any, Final

from prometheus_client import Gauge

from services.tron_client.domain.rescans import heights_left
from services.tron_client.domain.waiting import AGES_S, SLOT_S, Waiting, waiting
from services.tron_client.store import ChainStore
from services.tron_client.store.coverage import CoverageStore
from services.tron_client.store.credits import CreditStore
from services.tron_client.store.sight import Sight
from shared.clock import MS_PER_S, Clock
from shared.metrics import Metrics
from shared.models.tron_transactions import TransactionState

MOST_MEASURED: Final = 10_000
"""Pending transactions that are looked at; of more, the last to expire are left out."""


class Dials:
    """Reads off lag and waiting transactions."""

    def __init__(self, *, store: ChainStore, sight: Sight, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._sight = sight
        self._clock = clock
        self._credit_store = CreditStore(store)
        self._coverage_store = CoverageStore(store)
        self._age = Gauge(
            "lucid_chain_age_seconds",
            "Age of the last scanned block and of the last solid one, by the service's clock.",
            ("of",),
            registry=metrics.registry,
        )
        self._behind = Gauge(
            "lucid_chain_behind_blocks",
            "Slots since the last scanned block, and blocks from the solid one up to it.",
            ("of",),
            registry=metrics.registry,
        )
        self._pending = Gauge(
            "lucid_transactions_pending",
            "Submitted transactions that have waited for a block at least so long.",
            ("older_than_s",),
            registry=metrics.registry,
        )
        self._oldest = Gauge(
            "lucid_transactions_oldest_pending_seconds",
            "How long the oldest one has waited.",
            registry=metrics.registry,
        )
        self._watched = Gauge(
            "lucid_watched_addresses", "Addresses that are watched.", registry=metrics.registry
        )
        self._credits = Gauge(
            "lucid_credits_waiting",
            "Transfers in solid blocks that wait to be borne out before they are confirmed.",
            registry=metrics.registry,
        )
        self._rescans = Gauge(
            "lucid_rescan_blocks_left",
            "Blocks of the past that are still to be scanned once more.",
            registry=metrics.registry,
        )

    async def show(self) -> bool:
        """Set the metrics; never more work at once."""
        lag = self.lag()
        if lag is not None:
            self._age.labels("scanned").set(lag["head_age_s"])
            self._age.labels("solid").set(lag["solid_age_s"])
            self._behind.labels("scanned").set(lag["behind_blocks"])
            self._behind.labels("solid").set(lag["solid_lag_blocks"])
        found = await self.waiting()
        for least_s in AGES_S:
            self._pending.labels(str(least_s)).set(found.older_than[least_s])
        self._oldest.set(found.oldest_s)
        self._watched.set(len(self._sight.watched))
        self._credits.set(await self._credit_store.count())
        self._rescans.set(heights_left(await self._coverage_store.pending()))
        return False

    def lag(self) -> dict[str, int] | None:
        """Return how far behind the chain the scan is, in seconds and blocks; None before it begins."""
        progress, now_ms = self._sight.progress, self._clock.now_ms()
        if progress is None:
            return None
        head_age_s = max(0, now_ms - progress.head.timestamp_ms) // MS_PER_S
        return {
            "head_age_s": head_age_s,
            "solid_age_s": max(0, now_ms - progress.solid.timestamp_ms) // MS_PER_S,
            "behind_blocks": head_age_s // SLOT_S,
            "solid_lag_blocks": progress.head.height - progress.solid.height,
        }

    async def counts(self) -> Mapping[str, int]:
        """Count what is kept."""
        return {
            "watched": len(self._sight.watched),
            "transfers": await self._store.transfer_count(),
            "transactions": await self._store.transaction_count(),
        }

    async def waiting(self) -> Waiting:
        """Return how long submitted transactions have waited."""
        progress = self._sight.progress
        head_height = 0 if progress is None else progress.head.height
        return waiting(await self._store.pending(limit=MOST_MEASURED), head_height=head_height)

    async def standing(self) -> dict[str, Any]:
        """Say it for ``/status``."""
        found = await self.waiting()
        rescans = await self._coverage_store.pending()
        return {
            **(self.lag() or {}),
            "watched": len(self._sight.watched),
            "credits_waiting": await self._credit_store.count(),
            "rescans_pending": len(rescans),
            "rescan_blocks_left": heights_left(rescans),
            "pending_transactions": await self._store.count_in(TransactionState.PENDING),
            "oldest_pending_s": found.oldest_s,
            "pending_older_than_s": {str(key): count for key, count in found.older_than.items()},
        }

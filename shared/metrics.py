"""Prometheus metrics of one process: requests, loops, and what a service adds.

Each application has a registry of its own, so that several can live in one test process.
"""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_LATENCY_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _Registry(CollectorRegistry):
    """A registry in which a service that is built a second time replaces its own metrics."""

    def register(self, collector: Collector) -> None:
        """Register a collector in place of any that has one of its names."""
        for name in self._get_names(collector):  # type: ignore[no-untyped-call]
            if (former := self._names_to_collectors.get(name)) is not None:
                self.unregister(former)
        super().register(collector)


class Metrics:
    """The metrics that every service has.

    Attributes:
        registry: where a service registers its own.
    """

    def __init__(self) -> None:
        self.registry = _Registry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._requests = Counter(
            "lucid_http_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "lucid_http_request_duration_seconds",
            "Time to answer a request.",
            ("route",),
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._loop_success = Gauge(
            "lucid_loop_last_success_timestamp_seconds",
            "When a loop last did its work.",
            ("loop",),
            registry=self.registry,
        )
        self._loop_failures = Counter(
            "lucid_loop_failures_total",
            "Rounds of a loop that failed.",
            ("loop",),
            registry=self.registry,
        )
        self._ready = Gauge("lucid_ready", "1 while the service is ready.", registry=self.registry)

    def request_answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request under its route template."""
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def loop_succeeded(self, loop: str, at_ms: int) -> None:
        """Note when a loop last did its work."""
        self._loop_success.labels(loop).set(at_ms / 1_000)

    def loop_failed(self, loop: str) -> None:
        """Count a failed round of a loop."""
        self._loop_failures.labels(loop).inc()

    def ready(self, *, is_ready: bool) -> None:
        """Note whether the service is ready."""
        self._ready.set(1 if is_ready else 0)

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)

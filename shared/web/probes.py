"""Health, readiness and the other things a service says of itself without a token, tersely."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from shared import metrics as metrics_module
from shared.access import Scope
from shared.errors import NotReady
from shared.metrics import Metrics
from shared.version import VERSION
from shared.web.security import principal_of

Details = Callable[[], Awaitable[Mapping[str, Any]]]


async def nothing() -> Mapping[str, Any]:
    """Say nothing further."""
    return {}


class Readiness:
    """Collects the reasons why a service should not be sent business calls."""

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], str | None]] = {}

    def add(self, name: str, check: Callable[[], str | None]) -> None:
        """Register a check, which returns a reason or None; the same name replaces it."""
        self._checks[name] = check

    def remove(self, name: str) -> None:
        """Forget a check."""
        self._checks.pop(name, None)

    def reasons(self) -> list[str]:
        """Return every reason in the order of registration, empty when ready."""
        return [reason for check in self._checks.values() if (reason := check())]


class Probes:
    """The open routes of one service.

    Attributes:
        details: what the service tells operators of itself.
        stats: what it counts, for everybody.
        standing: what ``/status`` tells operators besides, by name.
    """

    def __init__(
        self, *, service: str, network: str, readiness: Readiness, metrics: Metrics
    ) -> None:
        self._about = {"service": service, "version": VERSION, "network": network}
        self._readiness = readiness
        self._metrics = metrics
        self.details: Details = nothing
        self.standing: dict[str, Callable[[], Any]] = {}
        self.stats: Details = nothing

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["probes"])
        for path in ("/health", "/health/live"):
            router.add_api_route(path, self.live, methods=["GET"], name=f"live {path}")
        for path in ("/health/ready", "/ready"):
            router.add_api_route(path, self.ready, methods=["GET"], name=f"ready {path}")
        router.add_api_route("/info", self.info, methods=["GET"])
        router.add_api_route("/status", self.status, methods=["GET"])
        router.add_api_route("/stats", self.counts, methods=["GET"])
        router.add_api_route("/metrics", self.exposition, methods=["GET"])
        return router

    async def live(self) -> dict[str, Any]:
        """Say that the process is up, whatever the chain and the siblings do."""
        return {"status": "healthy", **self._about}

    async def ready(self) -> dict[str, Any]:
        """Say whether business calls will be served, and if not, why."""
        reasons = self._readiness.reasons()
        self._metrics.ready(is_ready=not reasons)
        if reasons:
            raise NotReady(
                "; ".join(reasons), retry_after_s=5, reasons=reasons, status_text="not_ready"
            )
        return {"status": "ready", **self._about}

    async def info(self, request: Request) -> dict[str, Any]:
        """Name the service, its version and network; with ops:read, its details."""
        return {**self._about, **await self._for_operators(request)}

    async def status(self, request: Request) -> dict[str, Any]:
        """Say ready or not; with ops:read, why not and the details."""
        reasons = self._readiness.reasons()
        known = {"status": "not_ready" if reasons else "ready", **self._about}
        details = await self._for_operators(request)
        if not details:
            return known
        standing = {name: tell() for name, tell in self.standing.items()}
        return {**known, "reasons": reasons, **details, **standing}

    async def counts(self) -> dict[str, Any]:
        """Count things, never money."""
        return {**self._about, "counts": dict(await self.stats())}

    async def exposition(self) -> Response:
        """Return the Prometheus exposition."""
        self._metrics.ready(is_ready=not self._readiness.reasons())
        return Response(self._metrics.render(), media_type=metrics_module.CONTENT_TYPE)

    async def _for_operators(self, request: Request) -> Mapping[str, Any]:
        principal = principal_of(request)
        if principal is None or Scope.OPS_READ not in principal.scopes:
            return {}
        return {"details": dict(await self.details())}

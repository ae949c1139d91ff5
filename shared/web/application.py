"""The application factory: the same edge, errors and probes around every service's routes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeVar

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts

from shared.access import OPEN_PATHS
from shared.errors import NotReady
from shared.version import VERSION
from shared.web import problems
from shared.web.description import describe
from shared.web.edge import Edge, RateLimit, RequestLimits
from shared.web.runtime import Runtime, Starter, stopped
from shared.web.security import scopes_asked
from shared.web.streams import Streams, streams_of

T = TypeVar("T")

_READING: Final = frozenset({"GET", "HEAD"})


class UnguardedRoute(Exception):
    """A route neither asks for a scope nor is on the open list."""


def application(
    runtime: Runtime,
    *,
    build: Callable[[Runtime], Awaitable[Any]],
    routers: tuple[APIRouter, ...],
    description: str,
    open_prefixes: tuple[str, ...] = (),
    larger_bodies: Mapping[str, int] | None = None,
) -> FastAPI:
    """Make a service's application.

    Args:
        runtime: the collaborators, with the settings inside.
        build: makes the service out of them; called until it succeeds.
        routers: the service's routes, each asking for a scope.
        description: for the OpenAPI page.
        open_prefixes: paths without a token, guarded by an unguessable part.
        larger_bodies: bytes by path, where bodies may exceed the setting.

    Raises:
        UnguardedRoute: a route would be open by mistake.
    """
    app = FastAPI(
        title=f"Lucid {runtime.service}",
        version=VERSION,
        description=description,
        lifespan=_lifespan(runtime, build),
    )
    app.state.streams = Streams()
    problems.install(app)
    app.include_router(runtime.probes.router())
    app.include_router(runtime.operations.router())
    for router in routers:
        app.include_router(router)
    _check_guards(app, open_prefixes)
    app.openapi = describe(app, open_prefixes=open_prefixes)  # type: ignore[method-assign]  # FastAPI's own way
    app.add_middleware(
        Edge,
        gate=runtime.gate,
        rate_limit=_rate_limit(runtime),
        metrics=runtime.metrics,
        network=runtime.settings.tron_network.value,
        limits=RequestLimits(
            max_body_bytes=runtime.settings.max_body_bytes,
            body_timeout_s=runtime.settings.body_timeout_s,
            max_concurrent_requests=runtime.settings.max_concurrent_requests,
            larger_bodies=larger_bodies or {},
        ),
        open_prefixes=open_prefixes,
    )
    return app


def service_of(request: Request, kind: type[T]) -> T:
    """Return the service behind the application, or raise NotReady with what is missing."""
    starter: Starter[T] = request.app.state.starter
    if starter.service is None:
        raise NotReady(starter.reason() or "starting", retry_after_s=5)
    if not isinstance(starter.service, kind):
        raise TypeError(f"this application serves no {kind.__name__}")
    return starter.service


def _rate_limit(runtime: Runtime) -> RateLimit:
    settings = runtime.settings
    return RateLimit(
        requests=settings.rate_limit_requests,
        burst=settings.rate_limit_burst,
        window_s=settings.rate_limit_window_s,
    )


def _lifespan(
    runtime: Runtime, build: Callable[[Runtime], Awaitable[Any]]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with runtime:
            starter = Starter(build, runtime)
            app.state.starter = starter
            runtime.readiness.add("start", starter.reason)
            await runtime.follow_time()
            task = asyncio.create_task(starter.run(), name="starter")
            with contextlib.suppress(TimeoutError):  # the usual start is over before the first call
                await asyncio.wait_for(starter.tried.wait(), timeout=5)
            try:
                yield
            finally:
                streams_of(app).close()
                await stopped(task)

    return lifespan


def _check_guards(app: FastAPI, open_prefixes: tuple[str, ...]) -> None:
    own = {app.openapi_url, app.docs_url, app.redoc_url, app.swagger_ui_oauth2_redirect_url}
    for route in iter_route_contexts(app.routes):
        path = str(route.path)
        is_probe = path in OPEN_PATHS and _READING.issuperset(route.methods or ())
        is_open = bool(open_prefixes) and path.startswith(open_prefixes)
        if path in own or is_probe or is_open:
            continue
        if not isinstance(route.original_route, APIRoute) or not scopes_asked(route.dependant):
            raise UnguardedRoute(f"{path} asks for no scope and is not on the open list")

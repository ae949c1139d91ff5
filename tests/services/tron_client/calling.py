"""A sibling that calls the whole application in process, in front of a devnet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from services.tron_client.app import create
from services.tron_client.service import TronClient
from services.tron_client.settings import Settings
from shared.access import Scope
from shared.web.runtime import Runtime
from shared.web.streams import Streams
from tests.services.tron_client.bench import Wire, World
from tests.support import Keys, serving, settings_in


@dataclass
class Caller:
    """A sibling that calls tron-client."""

    http: httpx.AsyncClient
    keys: Keys
    world: World
    app: FastAPI | None = None

    def service(self) -> TronClient:
        """Return what is behind the routes, to make it do by itself what it does in time."""
        assert self.app is not None
        service = self.app.state.starter.service
        assert isinstance(service, TronClient)
        return service

    async def ask(self, method: str, path: str, scope: Scope, **options: Any) -> httpx.Response:
        headers = self.keys.service("wallet-manager", audience="tron-client", scope=scope)
        return await self.http.request(method, f"/api/v1{path}", headers=headers, **options)

    async def read(self, path: str, **options: Any) -> Any:
        response = await self.ask("GET", path, Scope.CHAIN_READ, **options)
        assert response.status_code == 200, response.text
        return response.json()

    async def until_ready(self) -> None:
        head = self.world.devnet.node.chain.head.number
        for _ in range(500):
            response = await self.ask("GET", "/chain/signing-context", Scope.CHAIN_READ)
            if response.status_code == 200 and response.json()["head"]["height"] == head:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("never ready")


@asynccontextmanager
async def called(
    world: World, path: Path, *, streams: Streams | None = None
) -> AsyncIterator[Caller]:
    settings = settings_in(path, Settings, scan_interval_ms=20)
    runtime = Runtime(service="tron-client", settings=settings, clock=world.devnet.node.clock)
    keys = Keys(path, runtime.clock)
    app = create(settings, runtime, node_transport=Wire(world.devnet))
    app.state.streams = streams or app.state.streams
    async with serving(app) as http:
        caller = Caller(http=http, keys=keys, world=world, app=app)
        await caller.until_ready()
        yield caller

"""The real wallet-manager, as a process that ends itself with SIGKILL at a step of the engine that is chosen.

A step is a call of the database that may write, or bytes handed to tron-client. ``DOOM`` says at which of
them, counted from the first intent that is accepted on, and whether it still takes effect: ``7:before``,
``7:after``.
"""

import os
import signal
from typing import Any, cast

import httpx

from services.wallet_manager.app import NAME, create
from services.wallet_manager.settings import Settings
from services.wallet_manager.store.schema import SENDS
from services.wallet_manager.vault.hardening import forbid_core_dumps
from shared.config import process_environment
from shared.storage import Schema, Storage, Unit
from shared.web.runtime import Runtime
from shared.web.server import serve

STEPS = frozenset({"claim", "commit", "release"})


class Doom:
    """Counts steps; at the last one the process is gone."""

    def __init__(self, told: str) -> None:
        number, _, when = told.partition(":")
        self._left = int(number)
        self._takes_effect = when == "after"
        self._is_armed = False

    def arm(self) -> None:
        """Begin to count."""
        self._is_armed = True

    def strikes_before(self) -> None:
        """Count a step that begins."""
        self._left -= self._is_armed
        if self._left == 0 and not self._takes_effect:
            _end()

    def strikes_after(self) -> None:
        """End with a step that took effect."""
        if self._is_armed and self._left <= 0:
            _end()


class DoomedStorage:
    """A database whose calls are steps."""

    def __init__(self, inner: Storage, doom: Doom) -> None:
        self._inner = inner
        self._doom = doom

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)
        if name not in STEPS:
            return call

        async def doomed(*given: Any, **named: Any) -> Any:
            if name == "commit" and _has_sends(given[0]):
                self._doom.arm()
            self._doom.strikes_before()
            result = await call(*given, **named)
            self._doom.strikes_after()
            return result

        return doomed


class DoomedTransport(httpx.AsyncBaseTransport):
    """A wire on which whatever is handed over is a step."""

    def __init__(self, doom: Doom) -> None:
        self._wire = httpx.AsyncHTTPTransport()
        self._doom = doom

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "POST":
            return await self._wire.handle_async_request(request)
        self._doom.strikes_before()
        response = await self._wire.handle_async_request(request)
        self._doom.strikes_after()
        return response

    async def aclose(self) -> None:
        await self._wire.aclose()


class DoomedRuntime(Runtime):
    """The usual collaborators, but for a database and a wire that end the process."""

    def __init__(self, settings: Settings, doom: Doom) -> None:
        super().__init__(service=NAME, settings=settings, transport=DoomedTransport(doom))
        self._doom = doom

    async def storage(self, schema: Schema) -> Storage:
        return cast("Storage", DoomedStorage(await super().storage(schema), self._doom))


def _has_sends(unit: Unit) -> bool:
    return any(getattr(step, "collection", None) is SENDS for step in unit.operations)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    forbid_core_dumps()
    doom = Doom(process_environment()["DOOM"])
    serve(
        NAME,
        Settings,
        lambda settings: create(settings, DoomedRuntime(settings, doom)),
        lambda settings: settings.port,
    )


if __name__ == "__main__":
    main()

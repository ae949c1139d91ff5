"""Serves one application in one process, and stops it gracefully."""

import contextlib
import signal
import socket
import sys
from collections.abc import Callable
from typing import TypeVar

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from shared import logs
from shared.config import ServiceSettings, explain
from shared.web.streams import streams_of

S = TypeVar("S", bound=ServiceSettings)

GRACEFUL_STOP_S = 8


class Server(uvicorn.Server):
    """A server that ends streams when it stops, instead of waiting for them."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then stop as every server does."""
        streams_of(self.config.app).close()
        await super().shutdown(sockets)


def serve(
    service: str,
    settings_class: Callable[[], S],
    create: Callable[[S], FastAPI],
    port_of: Callable[[S], int],
) -> None:
    """Read the settings, make the application and serve it until a signal; exits 2 on bad settings.

    Exits 3 when the application could not start.
    """
    try:
        settings = settings_class()
    except ValidationError as error:
        sys.stderr.write(f"{service}: {explain(error)}\n")
        raise SystemExit(2) from None
    logs.configure(service=service, level=settings.log_level.value)
    config = uvicorn.Config(
        create(settings),
        host=settings.bind_host,
        port=port_of(settings),
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACEFUL_STOP_S,
        h11_max_incomplete_event_size=16_384,
    )
    signal.signal(signal.SIGTERM, _stopped_already)
    server = Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:  # the log says why; a supervisor sees that this was no ordinary end
        raise SystemExit(3)


def _stopped_already(_signum: int, _frame: object) -> None:
    """Take the signal that uvicorn raises again once it has stopped: the exit status is 0."""

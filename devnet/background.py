"""A devnet in a thread of its own, for programs and tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from devnet.app import Running, running
from devnet.settings import Settings


@contextmanager
def in_background(settings: Settings) -> Iterator[Running]:
    """Run a devnet until the context is left; talk to it over its URLs only."""
    ready: Future[Running] = Future()
    stop: Future[None] = Future()
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(settings, ready, stop)), name="devnet", daemon=True
    )
    thread.start()
    try:
        yield ready.result()
    finally:
        stop.set_result(None)
        thread.join()


async def _serve(settings: Settings, ready: Future[Running], stop: Future[None]) -> None:
    try:
        async with running(settings) as devnet:
            ready.set_result(devnet)
            await asyncio.wrap_future(stop)
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)

"""The composition: everything is constructed here, and torn down in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from devnet.api.app import NodeApi
from devnet.blocklog import BlockLog
from devnet.chain import Chain
from devnet.clock import ChainClock, wall_ms
from devnet.control.app import Control, control_app
from devnet.control.teller import Teller
from devnet.faults import Faults
from devnet.listener import listening
from devnet.node import Node
from devnet.producer import Producer
from devnet.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Devnet:
    """A chain with both of its applications, not yet listening anywhere."""

    node: Node
    teller: Teller
    producer: Producer
    node_app: NodeApi
    control_app: ASGIApp


@dataclass(frozen=True, kw_only=True)
class Running:
    """A devnet that listens."""

    devnet: Devnet
    node_url: str
    control_url: str
    producing: asyncio.Task[None]


def assemble(settings: Settings) -> Devnet:
    """Open the state file, replay it and put the parts together."""
    faults = Faults()
    chain = _opened_chain(settings.state_path)
    start_ms = wall_ms() - settings.behind_s * 1_000
    clock = ChainClock(start_ms=start_ms, speed=settings.speed)
    node = Node(chain=chain, clock=clock, faults=faults)
    producer = Producer(node)
    teller = Teller(node)
    node_app = NodeApi(node=node, faults=faults)
    control = Control(
        node=node,
        faults=faults,
        api=node_app,
        teller=teller,
        time_changed=producer.time_changed,
    )
    return Devnet(
        node=node,
        teller=teller,
        producer=producer,
        node_app=node_app,
        control_app=control_app(control),
    )


def _opened_chain(state_path: Path | None) -> Chain:
    log = BlockLog(state_path)
    try:
        return Chain(log)
    except BaseException:
        log.close()
        raise


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Listen on both ports and make blocks until the context is left."""
    async with AsyncExitStack() as stack:
        devnet = assemble(settings)
        stack.callback(devnet.node.chain.close)
        producing = asyncio.create_task(devnet.producer.run())
        stack.push_async_callback(_stop, producing)
        port = await stack.enter_async_context(
            listening(devnet.node_app, host=settings.host, port=settings.port)
        )
        control_port = await stack.enter_async_context(
            listening(devnet.control_app, host=settings.host, port=settings.control_port)
        )
        yield Running(
            devnet=devnet,
            node_url=f"http://{settings.host}:{port}",
            control_url=f"http://{settings.host}:{control_port}",
            producing=producing,
        )


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

"""The composition: everything is constructed here, and torn down in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from devnet.api.app import NodeApi
from devnet.blocklog import BlockLog
from devnet.clock import ChainClock, wall_ms
from devnet.control.app import Control, control_app
from devnet.control.chain import ChainDesk
from devnet.control.failures import FailureDesk
from devnet.control.money import MoneyDesk
from devnet.control.nodes import NodeDesk
from devnet.control.teller import Teller
from devnet.control.told_clock import ToldClock
from devnet.faults import ArmedFault, Faults
from devnet.listener import listening
from devnet.mainchain import MainChain
from devnet.node import Node
from devnet.producer import Producer
from devnet.scenarios.director import Director
from devnet.scenarios.effect import Seat
from devnet.scenarios.registry import SCENARIOS
from devnet.settings import Follower, Settings
from devnet.traffic import Traffic
from devnet.witness_node import WitnessNode


@dataclass(frozen=True, kw_only=True)
class FollowerSeat:
    """A node that makes no blocks, with what listens and what fails for it."""

    node: Node
    app: NodeApi
    faults: Faults
    port: int


@dataclass(frozen=True, kw_only=True)
class Devnet:
    """A chain with all of its applications, not yet listening anywhere.

    Attributes:
        urls: Where its nodes listen, once they do.
    """

    node: WitnessNode
    teller: Teller
    producer: Producer
    node_app: NodeApi
    control: Control
    control_app: ASGIApp
    director: Director
    traffic: Traffic
    urls: list[str]
    followers: tuple[FollowerSeat, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Running:
    """A devnet that listens."""

    devnet: Devnet
    node_url: str
    control_url: str
    producing: asyncio.Task[None]
    follower_urls: tuple[str, ...] = ()


def assemble(settings: Settings) -> Devnet:
    """Open the state file, replay it and put the parts together."""
    faults = Faults()
    chain = _opened_chain(settings.state_path)
    start_ms = wall_ms() - settings.behind_s * 1_000
    clock = ChainClock(start_ms=start_ms, speed=settings.speed)
    node = WitnessNode(chain=chain, clock=clock, faults=faults)
    producer = Producer(node)
    teller = Teller(node)
    node_app = NodeApi(node=node, faults=faults)
    followers = tuple(_seated(node, follower) for follower in settings.followers)

    seats = [Seat(node=each.node, app=each.app) for each in followers]
    seats.insert(0, Seat(node=node, app=node_app))
    told = ToldClock(node)
    director = Director(
        scenarios=SCENARIOS,
        origin=node,
        seats=seats,
        teller=teller,
        told=told,
        time_changed=producer.time_changed,
    )
    for number, each_faults in enumerate([faults, *(each.faults for each in followers)]):
        each_faults.watchers.append(_noting(director, number))
    traffic = Traffic(node)
    urls: list[str] = []
    chain_desk = ChainDesk(node=node, told=told, time_changed=producer.time_changed)
    control = Control(
        chain=chain_desk,
        money=MoneyDesk(teller=teller),
        nodes=NodeDesk(seats=seats, urls=urls, traffic=traffic),
        failures=FailureDesk(director=director, faults=faults, chain=chain_desk),
    )
    return Devnet(
        node=node,
        teller=teller,
        producer=producer,
        node_app=node_app,
        control=control,
        control_app=control_app(control),
        director=director,
        traffic=traffic,
        urls=urls,
        followers=followers,
    )


def _noting(director: Director, number: int) -> Callable[[ArmedFault, str], None]:
    """Writes a node's faults into the log of what struck."""

    def note(armed: ArmedFault, struck: str) -> None:
        director.note_fault(armed.fault.value, number, struck)

    return note


def _seated(origin: WitnessNode, follower: Follower) -> FollowerSeat:
    faults = Faults()
    node = Node(chain=origin.main, clock=origin.clock, faults=faults)
    node.lag(follower.lag_blocks)
    if follower.gossips:
        node.peers.append(origin)
        origin.peers.append(node)
    app = NodeApi(node=node, faults=faults)
    return FollowerSeat(node=node, app=app, faults=faults, port=follower.port)


def _opened_chain(state_path: Path | None) -> MainChain:
    log = BlockLog(state_path)
    try:
        return MainChain(log)
    except BaseException:
        log.close()
        raise


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Listen on all ports and make blocks until the context is left."""
    async with AsyncExitStack() as stack:
        devnet = assemble(settings)
        stack.callback(devnet.node.close)
        producing = asyncio.create_task(devnet.producer.run())
        stack.push_async_callback(_stop, producing)
        port = await stack.enter_async_context(
            listening(devnet.node_app, host=settings.host, port=settings.port)
        )
        control_port = await stack.enter_async_context(
            listening(devnet.control_app, host=settings.host, port=settings.control_port)
        )
        follower_ports = [
            await stack.enter_async_context(listening(seat.app, host=settings.host, port=seat.port))
            for seat in devnet.followers
        ]
        devnet.urls[:] = [f"http://{settings.host}:{each}" for each in (port, *follower_ports)]
        yield Running(
            devnet=devnet,
            node_url=devnet.urls[0],
            control_url=f"http://{settings.host}:{control_port}",
            producing=producing,
            follower_urls=tuple(devnet.urls[1:]),
        )


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

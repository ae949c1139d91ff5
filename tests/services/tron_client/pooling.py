"""Several nodes that answer as a test tells them, in one pool, on clocks that a test turns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.tron_client.node import (
    Endpoint,
    Lane,
    NodeCounters,
    NodeHttp,
    NodePool,
    Treatment,
)
from shared.metrics import Metrics

GENESIS = "00" * 32
GENESIS_PATH = "/wallet/getblockbynum"
PATH = "/wallet/getsomething"
NOON_MS = 1_793_448_000_000
"""Twelve o'clock UTC on a day of 2026."""


@dataclass
class Times:
    """The two clocks."""

    wall_ms: int = NOON_MS
    passed_s: float = 0.0

    def pass_s(self, seconds: float) -> None:
        """Turn both on."""
        self.passed_s += seconds
        self.wall_ms += int(seconds * 1_000)


@dataclass
class Player:
    """A node that answers with the next of its answers; with the last one for ever."""

    answers: list[Any]
    genesis: str = GENESIS
    asked: list[str] = field(default_factory=list)
    greeted: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == GENESIS_PATH:
            self.greeted += 1
            return httpx.Response(200, json={"blockID": self.genesis})
        self.asked.append(request.url.path)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            # a response is used up by whoever reads it
            return httpx.Response(answer.status_code, content=answer.content)
        return httpx.Response(200, json=answer)


@dataclass
class Pooled:
    """A pool and what it is made of."""

    pool: NodePool
    nodes: list[NodeHttp]
    players: list[Player]
    times: Times
    metrics: Metrics

    async def ask(self, lane: Lane = Lane.READ) -> Any:
        """Ask for something and return the answer as it came."""
        return await self.pool.ask(PATH, {}, lane=lane, read=lambda answer: answer)

    def counts(self) -> list[int]:
        """Count what each node was asked."""
        return [len(player.asked) for player in self.players]


def pooled(
    *players: Player,
    endpoints: Sequence[dict[str, Any]] = (),
    attempts: int = 1,
    times: Times | None = None,
) -> Pooled:
    """Put nodes into a pool; ``endpoints`` says what is special about each."""
    times, metrics = times or Times(), Metrics()
    counters = NodeCounters(metrics)
    treatment = Treatment(
        genesis_block_id=GENESIS, timeout_s=20, connect_timeout_s=20, attempts=attempts
    )
    nodes = []
    for number, player in enumerate(players):
        said: dict[str, Any] = {
            "name": f"n{number}",
            "operator": f"operator{number}",
            "url": f"http://n{number}",
            "priority": number,
        }
        if number < len(endpoints):
            said |= endpoints[number]
        nodes.append(
            NodeHttp(
                Endpoint(**said),
                treatment,
                counters=counters,
                transport=httpx.MockTransport(player),
                now_s=lambda: times.passed_s,
                now_ms=lambda: times.wall_ms,
            )
        )
    pool = NodePool(nodes, attempts=attempts, now_ms=lambda: times.wall_ms)
    return Pooled(pool, nodes, list(players), times, metrics)

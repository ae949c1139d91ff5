"""Several nodes as one: which is asked, which next when it fails, and what all of them are handed."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from services.tron_client.domain.blocks import INT64_MAX, InconsistentBlock
from services.tron_client.node.errors import NodeRefused, NodeUnavailable, WrongChain
from services.tron_client.node.lanes import Lane
from services.tron_client.node.wire import NodeHttp, NodeState
from shared.clock import MS_PER_S
from shared.errors import Unavailable
from shared.loop import backoff_s

T = TypeVar("T")

LAG_MS: Final = 60 * MS_PER_S
"""Twenty slots: a head so much older than the clock, or younger, makes a node the second choice."""

LAG_BLOCKS: Final = 10
"""Half of that, where others show that the chain went on."""

_FIRST_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 2.0
_GRACE_S: Final = 1.0
"""For the other nodes, once one has taken a transaction."""

_GRAVEST_FIRST: Final = (InconsistentBlock, NodeUnavailable, NodeRefused, WrongChain)
"""Of what several nodes fail with the gravest is told: a refusal is one only if nobody said else."""


class NodePool:
    """Asks the best node there is, and the others when it fails; reads are tried again, broadcasts not.

    Nodes come by priority, those of one priority by operator as they were given, those of one operator
    by weight: what is followed is one operator's word, so that another's can bear it out. A node that
    keeps failing or lags is asked after the others; one that asked for quiet, is of another network, or
    has no calls left today is not asked at all.

    Args:
        nodes: one for each endpoint.
        attempts: tries of a read, at least one for each node.
        now_ms: the time, by which heads lag.
    """

    def __init__(
        self, nodes: Sequence[NodeHttp], *, attempts: int, now_ms: Callable[[], int]
    ) -> None:
        if not nodes:
            raise ValueError("a pool has a node at least")
        self._nodes = tuple(nodes)
        self._places = {
            operator: place
            for place, operator in enumerate(dict.fromkeys(node.operator for node in nodes))
        }
        self._attempts = attempts
        self._now_ms = now_ms
        self._random = random.Random()  # noqa: S311 - spreads load, guards nothing

    @property
    def members(self) -> tuple[NodeHttp, ...]:
        """The nodes, as they were given."""
        return self._nodes

    @property
    def url(self) -> str:
        """Where the node is that would be asked first, without anything secret."""
        return self._in_order(Lane.CHAIN)[0].url

    def operators(self) -> tuple[str, ...]:
        """Name the operators; the one whose nodes are asked first comes first."""
        return tuple(dict.fromkeys(node.operator for node in self._in_order(Lane.CHAIN)))

    def of(self, operator: str) -> "NodePool":
        """Return the nodes of one operator; raises ValueError when it has none."""
        own = [node for node in self._nodes if node.operator == operator]
        return NodePool(own, attempts=self._attempts, now_ms=self._now_ms)

    def one_by_one(self) -> "list[NodePool]":
        """Return each node by itself, in the order in which to ask them."""
        return [
            NodePool([node], attempts=self._attempts, now_ms=self._now_ms)
            for node in self._in_order(Lane.VERDICT)
        ]

    def with_history(self) -> tuple[NodeHttp, ...]:
        """Return the nodes that keep histories by address, in the order in which to ask them."""
        return tuple(node for node in self._in_order(Lane.READ) if node.endpoint.provides_history)

    def reason(self) -> str | None:
        """Say what is wrong when no node is as it should be, or None."""
        reasons = [node.reason() for node in self._in_order(Lane.CHAIN)]
        return None if None in reasons else "; ".join(filter(None, reasons))

    async def close(self) -> None:
        """Let go of all connections."""
        for node in self._nodes:
            await node.close()

    async def ask(
        self,
        path: str,
        payload: Mapping[str, Any],
        *,
        lane: Lane,
        read: Callable[[Any], T],
    ) -> T:
        """Return what a node answered, read; asks the next one while that may help.

        Raises:
            InconsistentBlock: no usable answer after all tries, and one that contradicts itself.
            NodeUnavailable: no usable answer after all tries, or every node is to be left alone.
            NodeRefused: every node answered with an error that stays.
            WrongChain: all nodes are of another network.
        """
        failed: Unavailable | None = None
        out: set[NodeHttp] = set()
        tries = max(self._attempts, len(self._nodes))
        asked: set[NodeHttp] = set()
        for attempt in range(1, tries + 1):
            node = self._next(lane, out=out, asked=asked)
            if node is None:
                break
            if node in asked:
                pause_s = backoff_s(attempt, base_s=_FIRST_BACKOFF_S, longest_s=_LONGEST_BACKOFF_S)
                await asyncio.sleep(pause_s * self._random.uniform(0.5, 1.5))
            asked.add(node)
            try:
                return await node.ask(path, payload, lane=lane, read=read)
            except NodeUnavailable as error:
                failed = _graver(failed, error)
                if not _may_be_asked(node, lane):
                    out.add(node)
            except (NodeRefused, WrongChain, InconsistentBlock) as error:
                out.add(node)  # the same question gets the same answer
                failed = _graver(failed, error)
        raise failed or NodeUnavailable("no node may be asked now", retry_after_s=1)

    async def ask_each(
        self,
        path: str,
        payload: Mapping[str, Any],
        *,
        lane: Lane,
        at_most: int,
        judge: Callable[[Any], T],
        is_enough: Callable[[T], bool],
    ) -> list[T]:
        """Ask several nodes once and at once, of different operators first; returns what came of it.

        Once one answer is enough the others have a second more. ``judge`` is given the answer of a
        node, or its error.
        """
        chosen = self._several(lane, at_most)
        tasks = [
            asyncio.create_task(_judged(node, path, payload, lane=lane, judge=judge))
            for node in chosen
        ]
        try:
            waiting = set(tasks)
            timeout_s: float | None = None
            while waiting:
                done, waiting = await asyncio.wait(
                    waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    break
                if any(is_enough(task.result()) for task in done):
                    timeout_s = _GRACE_S
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [task.result() for task in tasks if not task.cancelled()]

    def _next(self, lane: Lane, *, out: set[NodeHttp], asked: set[NodeHttp]) -> NodeHttp | None:
        """Return the best node that was not asked yet, else the best of all that may be."""
        left = [node for node in self._in_order(lane) if node not in out]
        usable = [node for node in left if _may_be_asked(node, lane)]
        if not usable and not asked:
            usable = left[
                :1
            ]  # it says itself why not, and one of another network is compared again
        return next((node for node in usable if node not in asked), next(iter(usable), None))

    def _several(self, lane: Lane, at_most: int) -> list[NodeHttp]:
        """Return nodes to ask at once: the best of each operator, then others."""
        usable = [
            node
            for node in self._in_order(lane)
            if node.state in {NodeState.READY, NodeState.OPEN} and node.budget.admits(lane)
        ]
        firsts = list({node.operator: node for node in reversed(usable)}.values())[::-1]
        rest = [node for node in usable if node not in firsts]
        return [*firsts, *rest][:at_most] or self._in_order(lane)[:1]

    def _in_order(self, lane: Lane) -> list[NodeHttp]:
        """Return all nodes, best first."""
        reached = self._reached()
        return sorted(
            _shuffled(self._nodes, self._random),
            key=lambda node: (
                not _may_be_asked(node, lane),
                not node.breaker.admits(),
                _is_late(node) or _height(node) + LAG_BLOCKS < reached[node.operator],
                node.endpoint.priority,
                self._places[node.operator],
            ),
        )

    def _reached(self) -> Mapping[str, int]:
        """Return the height that the nodes of each operator should have reached.

        That is what the best of its own has, or two operators: one alone may say what it likes, and
        would be asked first for it.
        """
        own = dict.fromkeys(self._places, 0)
        for node in self._nodes:
            if not _is_late(node) and node.head is not None:
                own[node.operator] = max(own[node.operator], node.head.height)
        borne_out = sorted(own.values())[-2] if len(own) > 1 else 0
        return {operator: max(height, borne_out) for operator, height in own.items()}


def _may_be_asked(node: NodeHttp, lane: Lane) -> bool:
    return node.wrong_chain is None and node.quiet_s() == 0 and node.budget.admits(lane)


def _is_late(node: NodeHttp) -> bool:
    head = node.head
    return head is not None and abs(head.at_ms - head.timestamp_ms) > LAG_MS


def _height(node: NodeHttp) -> int:
    """Return how high a node said to be; one that was never asked is given credit."""
    return INT64_MAX if node.head is None else node.head.height


def _graver(before: Unavailable | None, error: Unavailable) -> Unavailable:
    """Return the graver of two failures, of equals the later one."""
    if before is None:
        return error
    return max(error, before, key=lambda each: [isinstance(each, kind) for kind in _GRAVEST_FIRST])


async def _judged(
    node: NodeHttp,
    path: str,
    payload: Mapping[str, Any],
    *,
    lane: Lane,
    judge: Callable[[Any], T],
) -> T:
    try:
        answer: Any = await node.post(path, payload, lane=lane)
    except (NodeUnavailable, NodeRefused, WrongChain) as error:
        answer = error
    return judge(answer)


def _shuffled(nodes: Iterable[NodeHttp], source: random.Random) -> Iterator[NodeHttp]:
    """Return nodes in random order, the heavier ones more often at the front."""
    drawn = [(source.random() ** (1 / node.endpoint.weight), node) for node in nodes]
    return (node for _, node in sorted(drawn, key=lambda pair: -pair[0]))

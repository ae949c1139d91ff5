"""Look after the nodes: what each still grants today, how far it has come, and who is called about it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from prometheus_client import Gauge

from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.domain.budgets import Usage
from services.tron_client.node import reading
from services.tron_client.node.client import Node
from services.tron_client.node.lanes import Lane
from services.tron_client.node.pool import NodePool
from services.tron_client.node.wire import Head, NodeHttp, NodeState
from services.tron_client.service.vigil import WRONG_CHAIN
from services.tron_client.store.usages import UsageStore
from shared.alarms import Alarms
from shared.clock import MS_PER_S, Clock
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.metrics import Metrics
from shared.models.alarms import Severity
from shared.storage import StorageError

log = get_logger(__name__)

NODE_BUDGET: Final = "node_budget"
NODE_DOWN: Final = "node_down"

VERDICT_CALLS: Final = 600
"""What it takes at most until a transaction signed now has its verdict.

Ten minutes to live are 200 blocks, at two calls each and two more for those of ours (a budget of CONTRACTS
for following the chain); the rest is repeats of the broadcast, and the proof of absence.
"""

_OF_A_NODE: Final = (WRONG_CHAIN, NODE_BUDGET, NODE_DOWN)
"""Alarms whose subject is the name of a node."""

_DOWN_AFTER_S: Final = 120
_HEAD_PATH: Final = "/wallet/getnowblock"


class Endpoints:
    """The nodes of a pool, as an operator sees them.

    Args:
        pool: the nodes.
        node: the same, as the chain is followed.
        checks_root: whether blocks are held against their transaction root.
    """

    def __init__(
        self,
        *,
        pool: NodePool,
        node: Node,
        checks_root: bool,
        store: UsageStore,
        alarms: Alarms,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._pool = pool
        self._checks_root = checks_root
        self._store = store
        self._alarms = alarms
        self._clock = clock
        names = dict.fromkeys(each.operator for each in pool.members)
        self._nodes = {
            name: node if len(names) == 1 else Node(pool.of(name), checks_root=checks_root)
            for name in names
        }
        self._stored: dict[str, Usage] = {}
        self._is_resumed = False
        self._is_stored_known = True
        self._dials = _Dials(metrics)

    def operators(self) -> Mapping[str, Node]:
        """Return a node of each operator; the first is the one whose nodes are asked first."""
        return {name: self._nodes[name] for name in self._pool.operators()}

    def others(self) -> Mapping[str, Node]:
        """Return the operators that are asked only when the first one fails."""
        return dict(list(self.operators().items())[1:])

    def judges(self) -> Mapping[str, Sequence[Node]]:
        """Return the nodes of each operator, each by itself, in the order in which to ask them."""
        return {
            name: [
                Node(each, checks_root=self._checks_root)
                for each in self._pool.of(name).one_by_one()
            ]
            for name in self._pool.operators()
        }

    async def _resume(self) -> None:
        """Go on counting where the last process ended; what it asked in its last seconds is lost."""
        await self._clear_gone()
        self._stored = await self._store.load(each.endpoint.name for each in self._pool.members)
        for each in self._pool.members:
            if (before := self._stored.get(each.endpoint.name)) is not None:
                each.budget.resume(before)
        self._is_resumed = True

    async def _clear_gone(self) -> None:
        """End the alarms over nodes that were taken out of the list, which nothing else would end."""
        names = {each.endpoint.name for each in self._pool.members}
        for alarm in self._alarms.open():
            if alarm.kind in _OF_A_NODE and alarm.subject not in names:
                await self._alarms.clear(*alarm.key)

    async def watch(self) -> bool:
        """Keep what was counted, and call somebody where it is needed; never more work at once."""
        if not self._is_resumed:
            await self._resume()
        await self._keep()
        for each in self._pool.members:
            self._dials.show(each)
            await self._watch_chain(each)
            await self._watch_budget(each)
            await self._watch_breaker(each)
        return False

    async def look(self) -> bool:
        """Ask each node for its head, where there is a choice; never more work at once."""
        if len(self._pool.members) > 1:
            await asyncio.gather(*(self._ask_head(each) for each in self._pool.members))
        return False

    def cannot_pay(self) -> str | None:
        """Say why a verdict on a transaction signed now could not be paid for, or None (H22).

        Nodes that are down pay for nothing, and before it is known what was asked earlier today no
        node does.
        """
        if not self._is_resumed:
            return "what the nodes were asked today is not known yet"
        usable = [each for each in self._pool.members if _is_usable(each)]
        if not usable:
            return "no node answers that could be asked for a verdict"
        lefts = [each.budget.left(Lane.CHAIN) for each in usable]
        if any(left is None or left >= VERDICT_CALLS for left in lefts):
            return None
        return (
            f"the nodes grant {sum(filter(None, lefts))} more calls today,"
            f" and a verdict may take {VERDICT_CALLS}"
        )

    def standing(self) -> list[dict[str, Any]]:
        """Return what ``/status`` says of each node."""
        return [self._standing(each) for each in self._pool.members]

    def _standing(self, node: NodeHttp) -> dict[str, Any]:
        head, usage = node.head, node.budget.usage()
        return {
            "name": node.endpoint.name,
            "operator": node.operator,
            "url": node.url,
            "state": node.state,
            "problem": node.reason(),
            "quiet_s": node.quiet_s(),
            "height": None if head is None else head.height,
            "head_age_s": None if head is None else (head.at_ms - head.timestamp_ms) // MS_PER_S,
            "calls_today": usage.calls,
            "calls_per_day": node.budget.calls_per_day or None,
            "calls_forecast": node.budget.forecast(),
        }

    async def _keep(self) -> None:
        if not self._is_stored_known:
            self._stored = await self._store.load(each.endpoint.name for each in self._pool.members)
            self._is_stored_known = True
        changed = []
        for each in self._pool.members:
            usage = each.budget.usage()
            stored = self._stored.get(usage.id)
            if stored is None or (stored.day, stored.calls) != (usage.day, usage.calls):
                changed.append(replace(usage, version=0 if stored is None else stored.version))
        if not changed:
            return
        try:
            self._stored |= {each.id: each for each in await self._store.save(changed)}
        except StorageError:
            self._is_stored_known = False
            raise

    async def _watch_chain(self, node: NodeHttp) -> None:
        if node.wrong_chain is not None:
            await self._alarms.raise_alarm(WRONG_CHAIN, node.endpoint.name, detail=node.wrong_chain)
        elif node.reason() is None:
            await self._alarms.clear(WRONG_CHAIN, node.endpoint.name)

    async def _watch_budget(self, node: NodeHttp) -> None:
        name, budget = node.endpoint.name, node.budget
        refused = [lane.value for lane in Lane if not budget.admits(lane)]
        forecast = budget.forecast()
        if not budget.calls_per_day or (not refused and forecast <= budget.calls_per_day):
            await self._alarms.clear(NODE_BUDGET, name)
            return
        detail = f"{name}: {budget.usage().calls} of {budget.calls_per_day} calls are used today"
        detail += f"; nothing is asked for {', '.join(refused)}" if refused else ""
        is_following = Lane.CHAIN.value not in refused
        await self._alarms.raise_alarm(
            NODE_BUDGET,
            name,
            detail=f"{detail}; {forecast} by midnight UTC at this rate",
            severity=Severity.WARNING if is_following else Severity.CRITICAL,
        )

    async def _watch_breaker(self, node: NodeHttp) -> None:
        name = node.endpoint.name
        if node.breaker.open_s() < _DOWN_AFTER_S:
            await self._alarms.clear(NODE_DOWN, name)
            return
        await self._alarms.raise_alarm(
            NODE_DOWN, name, detail=str(node.reason()), severity=Severity.WARNING
        )

    async def _ask_head(self, node: NodeHttp) -> None:
        try:
            anchor = reading.read_anchor(await node.post(_HEAD_PATH, {}, lane=Lane.READ))
        except (Unavailable, InconsistentBlock) as error:
            log.info("node.head_unheard", endpoint=node.endpoint.name, detail=error.detail)
            return
        if anchor is not None:
            node.head = Head(
                height=anchor.height,
                timestamp_ms=anchor.timestamp_ms,
                at_ms=self._clock.now_ms(),
            )


def _is_usable(node: NodeHttp) -> bool:
    return node.wrong_chain is None and node.breaker.open_s() < _DOWN_AFTER_S


class _Dials:
    """Metrics of each node."""

    def __init__(self, metrics: Metrics) -> None:
        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(name, what, ("endpoint", *labels), registry=metrics.registry)

        self._state = gauge("lucid_node_state", "1 for the state a node is in.", "state")
        self._calls = gauge("lucid_node_calls_today", "Calls of a node since midnight UTC.")
        self._left = gauge("lucid_node_calls_left", "Calls a node still grants today.")
        self._forecast = gauge("lucid_node_calls_forecast", "Calls by midnight at this rate.")
        self._quiet = gauge("lucid_node_quiet_seconds", "How long a node asked to be left alone.")
        self._height = gauge("lucid_node_height", "Head of a node, when it was last asked.")
        self._head_age = gauge("lucid_node_head_age_seconds", "How old that head was then.")

    def show(self, node: NodeHttp) -> None:
        """Set the metrics of a node."""
        name = node.endpoint.name
        for state in NodeState:
            self._state.labels(name, state.value).set(node.state is state)
        self._calls.labels(name).set(node.budget.usage().calls)
        self._forecast.labels(name).set(node.budget.forecast())
        self._quiet.labels(name).set(node.quiet_s())
        if (left := node.budget.left()) is not None:
            self._left.labels(name).set(left)
        if node.head is not None:
            self._height.labels(name).set(node.head.height)
            age_ms = node.head.at_ms - node.head.timestamp_ms
            self._head_age.labels(name).set(age_ms / MS_PER_S)

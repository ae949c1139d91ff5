"""Compare what other node operators say of the head with the chain that is followed (H2, H9)."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from services.tron_client.domain.blocks import Anchor
from services.tron_client.node import reading
from services.tron_client.node.blocks import Tree
from services.tron_client.scanner.agreement import DISAGREEMENT
from services.tron_client.store import ChainStore
from services.tron_client.store.sight import Sight
from shared.alarms import Alarms
from shared.clock import MS_PER_S, Clock
from shared.errors import Unavailable
from shared.logs import get_logger
from shared.models.alarms import Severity

log = get_logger(__name__)

HEADS_APART: Final = "heads_apart"

FRESH_MS: Final = 45 * MS_PER_S
"""What an operator said counts for so long; less than the minute by which clocks may differ (H2)."""

APART_MS: Final = 60 * MS_PER_S
_MOST_CLAIMS: Final = 20


class OperatorNode(Protocol):
    """A node of one operator, as far as its heads are asked for."""

    async def read_raw(self, path: str, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Return a node's answer to a read as it came."""
        ...

    async def solid_head(self) -> Anchor | None:
        """Return the newest solid block."""
        ...


Others = Callable[[], Mapping[str, OperatorNode]]
"""Returns the nodes of the operators that are not followed, by the operator's name."""


@dataclass(slots=True, kw_only=True)
class _Heard:
    """What an operator said.

    Attributes:
        head: the newest.
        at_ms: when.
        claims: solid blocks that could not be compared yet.
        agrees: what the last comparison came to; None before the first.
    """

    head: Anchor
    at_ms: int
    claims: deque[Anchor] = field(default_factory=lambda: deque(maxlen=_MOST_CLAIMS))
    agrees: bool | None = None


class Operators:
    """Hears every other operator, and raises alarms when one tells of another chain."""

    def __init__(
        self, *, others: Others, store: ChainStore, sight: Sight, alarms: Alarms, clock: Clock
    ) -> None:
        self._others = others
        self._store = store
        self._sight = sight
        self._alarms = alarms
        self._clock = clock
        self._heard: dict[str, _Heard] = {}

    async def compare(self) -> bool:
        """Ask every other operator once, and compare; never more work at once."""
        if self._sight.progress is None:
            return False
        others = self._others()
        await asyncio.gather(*(self._hear(name, node) for name, node in others.items()))
        for name in [each for each in self._heard if each not in others]:
            del self._heard[name]
        for name, heard in self._heard.items():
            await self._compare_solid(name, heard)
            await self._compare_heads(name, heard)
        return False

    def count(self) -> int:
        """Count the operators that were heard lately and agree, the one that is followed included."""
        return 1 + sum(heard.agrees is True for heard in self._fresh().values())

    def second_head_timestamp_ms(self) -> int | None:
        """Return the time of another operator's head, the oldest of those heard lately."""
        return min((heard.head.timestamp_ms for heard in self._fresh().values()), default=None)

    def _fresh(self) -> dict[str, _Heard]:
        since_ms = self._clock.now_ms() - FRESH_MS
        return {name: each for name, each in self._heard.items() if each.at_ms >= since_ms}

    async def _hear(self, name: str, node: OperatorNode) -> None:
        try:
            answer, solid = await asyncio.gather(
                node.read_raw(f"{Tree.HEAD}/getnowblock", {}), node.solid_head()
            )
            head = reading.read_anchor(answer)
        except Unavailable as error:
            log.warning("operator.unheard", operator=name, detail=error.detail)
            return
        if head is None or solid is None:
            return
        heard = self._heard.get(name)
        if heard is None:
            heard = self._heard[name] = _Heard(head=head, at_ms=0)
        heard.head, heard.at_ms = head, self._clock.now_ms()
        heard.claims.append(solid)

    async def _compare_solid(self, name: str, heard: _Heard) -> None:
        """Compare its solid blocks with ours as soon as ours reach as high."""
        solid = self._sight.current().solid
        due = [each for each in heard.claims if each.height <= solid.height]
        for claim in due:
            heard.claims.remove(claim)
        for claim in due:
            known = await self._store.block_at(claim.height)
            if known is None:
                continue
            heard.agrees = known.id == claim.block_id
            if not heard.agrees:
                await self._alarms.raise_alarm(
                    DISAGREEMENT,
                    name,
                    detail=f"{name} says that block {claim.height} is {claim.block_id};"
                    f" the chain that is followed has {known.id}",
                )
                return
        if due and heard.agrees:
            await self._alarms.clear(DISAGREEMENT, name)

    async def _compare_heads(self, name: str, heard: _Heard) -> None:
        ahead_ms = heard.head.timestamp_ms - self._sight.current().head.timestamp_ms
        if abs(ahead_ms) <= APART_MS:
            await self._alarms.clear(HEADS_APART, name)
            return
        how = "ahead of" if ahead_ms > 0 else "behind"
        await self._alarms.raise_alarm(
            HEADS_APART,
            name,
            detail=f"the head of {name} is {abs(ahead_ms) // MS_PER_S} s {how} the one followed",
            severity=Severity.WARNING,
        )

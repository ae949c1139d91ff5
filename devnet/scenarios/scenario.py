"""A scenario as the registry describes it, and one that is armed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from devnet.control.orders import BadOrderError
from devnet.scenarios import parameters
from devnet.scenarios.effect import Effect, Stage, Values
from devnet.scenarios.parameters import Parameter
from devnet.scenarios.subject import Subject

COUNT_MAX = 100_000
HEIGHT_MAX = 2**53 - 1

_FROM_BLOCK = parameters.whole(
    "from_block", "the first block that counts", low=0, high=HEIGHT_MAX, default=None
)
_TO_BLOCK = parameters.whole(
    "to_block", "the last block that counts", low=0, high=HEIGHT_MAX, default=None
)
_COUNT = parameters.whole(
    "count", "how often; 0 until it is disarmed", low=0, high=COUNT_MAX, default=1
)


class Occasion(StrEnum):
    """When a scenario strikes.

    REQUEST: whenever a request fits.
    BLOCK: at once, then whenever a block is made.
    LASTING: from its arming until it is disarmed or so many blocks were made.
    MIXTURE: whenever chance will have it.
    """

    REQUEST = "request"
    BLOCK = "block"
    LASTING = "lasting"
    MIXTURE = "mixture"


OPTIONS: dict[Occasion, tuple[Parameter, ...]] = {
    Occasion.REQUEST: (
        _COUNT,
        parameters.node("node", "the node that it strikes, all if left out", default=None),
        parameters.path("path", "strike only there"),
        parameters.txid("txid", "strike only requests about this transaction", default=None),
        _FROM_BLOCK,
        _TO_BLOCK,
    ),
    Occasion.BLOCK: (_COUNT, _FROM_BLOCK, _TO_BLOCK),
    Occasion.LASTING: (
        parameters.whole(
            "blocks",
            "for how many blocks; 0 until it is disarmed",
            low=0,
            high=COUNT_MAX,
            default=0,
        ),
        _FROM_BLOCK,
    ),
    Occasion.MIXTURE: (
        parameters.whole(
            "count", "how many strikes; 0 until it is disarmed", low=0, high=COUNT_MAX, default=100
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far a random mixture may go."""

    depth_max: int
    delay_ms_max: int


Draw = Callable[[random.Random, Bounds], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing that can go wrong.

    Attributes:
        does: What happens, in a sentence.
        hazards: The hazards that it plays, by their numbers.
        names: The last parts of the paths that it can strike; all if empty.
        usual: Where it strikes unless a path is named; wherever it can if empty.
        example: An order that arms it.
        draw: Its order as a part of a random mixture; None keeps it out of those.
        group: Of scenarios with the same group and node only the last one lasts.
    """

    name: str
    does: str
    hazards: tuple[int, ...]
    make: Callable[[Stage, Values], Effect]
    occasion: Occasion = Occasion.REQUEST
    names: frozenset[str] = frozenset()
    usual: frozenset[str] = frozenset()
    parameters: tuple[Parameter, ...] = ()
    example: dict[str, Any] = field(default_factory=dict)
    draw: Draw | None = None
    group: str = ""

    @property
    def all_parameters(self) -> tuple[Parameter, ...]:
        """Its own parameters and those of its occasion."""
        return (*self.parameters, *OPTIONS[self.occasion])

    def values(self, order: dict[str, Any]) -> Values:
        """An order read strictly.

        Raises:
            BadOrderError: Something is unknown, missing, of another type or out of bounds.
        """
        known = {each.name for each in self.all_parameters}
        unknown = sorted(set(order) - known)
        if unknown:
            raise BadOrderError(
                f"{self.name} has no {', '.join(unknown)}, but {', '.join(sorted(known))}"
            )
        values = {each.name: each.value(order) for each in self.all_parameters}
        self._check(values)
        return values

    def fits(self, subject: Subject, path: str | None) -> bool:
        """True if it may strike a request, seen from the path alone."""
        if path is None:
            names = self.usual or self.names
            return not names or subject.name in names
        return _leads(path, subject.path) and (not self.names or subject.name in self.names)

    def shown(self) -> dict[str, Any]:
        """The scenario as it is listed."""
        return {
            "name": self.name,
            "does": self.does,
            "hazards": [f"H{number}" for number in self.hazards],
            "occasion": self.occasion,
            "paths": sorted(self.names),
            "usual_paths": sorted(self.usual or self.names),
            "parameters": [each.shown() for each in self.all_parameters],
            "example": self.example,
            "in_chaos": self.draw is not None,
        }

    def _check(self, values: Values) -> None:
        first, last = values.get("from_block"), values.get("to_block")
        if first is not None and last is not None and last < first:
            raise BadOrderError("to_block lies before from_block")
        path = values.get("path")
        if path is None or path.endswith("*") or not self.names:
            return
        if path.rpartition("/")[2] not in self.names:
            raise BadOrderError(f"{self.name} strikes only {', '.join(sorted(self.names))}")


@dataclass(slots=True, kw_only=True)
class Armed:
    """A scenario that waits for its occasion, or lasts.

    Attributes:
        left: How often it may still strike; None until it is disarmed.
        cause: The armed mixture that it is a part of.
        begun: True while it lasts.
        ends_at: The block at which it ends by itself.
    """

    id: int
    scenario: Scenario
    order: dict[str, Any]
    values: Values
    effect: Effect
    left: int | None
    cause: Armed | None = None
    struck: int = 0
    begun: bool = False
    ends_at: int | None = None

    @property
    def is_used_up(self) -> bool:
        """True if it has struck as often as it was to."""
        return self.left == 0 or (self.cause is not None and self.cause.left == 0)

    @property
    def group(self) -> tuple[str, Any]:
        """What only one of can last at a time."""
        return self.scenario.group or self.scenario.name, self.values.get("node")

    def matches(self, subject: Subject) -> bool:
        """True if a request is its occasion."""
        values = self.values
        if self.scenario.occasion is not Occasion.REQUEST or self.is_used_up:
            return False
        if values["node"] not in {None, subject.place}:
            return False
        if not self.scenario.fits(subject, values["path"]):
            return False
        if values["txid"] is not None and values["txid"] != subject.txid:
            return False
        if values["from_block"] is None and values["to_block"] is None:
            return True
        return any(self.includes(height) for height in subject.heights)

    def includes(self, height: int) -> bool:
        """True if a block is one of those that count."""
        first, last = self.values.get("from_block"), self.values.get("to_block")
        return (first is None or first <= height) and (last is None or height <= last)

    def count(self) -> None:
        """One strike more."""
        self.struck += 1
        if self.left is not None:
            self.left -= 1

    def shown(self) -> dict[str, Any]:
        """What is left of it."""
        return {
            "id": self.id,
            "scenario": self.scenario.name,
            "order": self.order,
            "left": self.left,
            "struck": self.struck,
            "lasts": self.begun,
            "ends_at": self.ends_at,
        }


def _leads(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern

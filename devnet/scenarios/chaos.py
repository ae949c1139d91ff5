"""A random mixture of scenarios that a seed decides: the same requests meet the same strikes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from devnet.chain import Tip
from devnet.scenarios import parameters
from devnet.scenarios.effect import Effect, Stage, Values
from devnet.scenarios.scenario import Bounds, Occasion, Scenario
from devnet.scenarios.subject import Subject

_WHOLE_PERCENT = 100
_COUNTED_PATHS_MAX = 1_000
Drawn = tuple[Scenario, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Mixture(Effect):
    """Draws a scenario for some requests and for some blocks.

    What is drawn for a request follows from the seed, the node, the path and how many requests
    that path has had, so that requests to other paths in between change nothing.
    """

    seed: int
    percent: int
    block_percent: int
    bounds: Bounds
    of_requests: Sequence[Scenario]
    of_blocks: Sequence[Scenario]
    asked: Counter[tuple[int, str]] = field(default_factory=Counter)
    made: Counter[str] = field(default_factory=Counter)

    def for_request(self, subject: Subject) -> Drawn | None:
        """What strikes a request, if anything does."""
        key = subject.place, subject.path
        if key not in self.asked and len(self.asked) >= _COUNTED_PATHS_MAX:
            return None
        self.asked[key] += 1
        fitting = [each for each in self.of_requests if each.fits(subject, None)]
        occasion = f"{subject.place} {subject.path} {self.asked[key]}"
        return self._drawn(occasion, self.percent, fitting)

    def for_block(self, _tip: Tip) -> Drawn | None:
        """What strikes when a block is made, if anything does."""
        self.made["blocks"] += 1
        return self._drawn(f"block {self.made['blocks']}", self.block_percent, self.of_blocks)

    def _drawn(self, occasion: str, percent: int, fitting: Sequence[Scenario]) -> Drawn | None:
        chance = random.Random(f"{self.seed} {occasion}")  # noqa: S311 (a replayable mix)
        if not fitting or chance.randrange(_WHOLE_PERCENT) >= percent:
            return None
        scenario = chance.choice(fitting)
        return scenario, {} if scenario.draw is None else scenario.draw(chance, self.bounds)


def chaos(scenarios: Sequence[Scenario]) -> Scenario:
    """The mixture of all scenarios that know how to be a part of one."""
    parts = {each.name: each for each in scenarios if each.draw is not None}

    def make(_stage: Stage, values: Values) -> Effect:
        chosen = [parts[name] for name in values["only"] or parts]
        return Mixture(
            seed=values["seed"],
            percent=values["percent"],
            block_percent=values["block_percent"],
            bounds=Bounds(depth_max=values["depth_max"], delay_ms_max=values["delay_ms_max"]),
            of_requests=[each for each in chosen if each.occasion is Occasion.REQUEST],
            of_blocks=[each for each in chosen if each.occasion is not Occasion.REQUEST],
        )

    return Scenario(
        name="chaos",
        does="A random mixture of scenarios strikes requests and blocks. The same seed gives the "
        "same strikes for the same requests; the log tells each.",
        hazards=tuple(sorted({number for each in parts.values() for number in each.hazards})),
        occasion=Occasion.MIXTURE,
        make=make,
        parameters=(
            parameters.whole("seed", "decides everything", low=0, high=2**53 - 1),
            parameters.whole(
                "percent", "chance of a request to be struck", low=0, high=100, default=10
            ),
            parameters.whole(
                "block_percent",
                "chance of a block to be followed by a strike",
                low=0,
                high=100,
                default=5,
            ),
            parameters.whole(
                "depth_max",
                "blocks of the deepest reorganisation or lag",
                low=1,
                high=18,
                default=3,
            ),
            parameters.whole(
                "delay_ms_max",
                "real milliseconds of the longest delay",
                low=1,
                high=60_000,
                default=2_000,
            ),
            parameters.several("only", "what it is mixed of, all if left out", lambda: [*parts]),
        ),
        example={"seed": 7, "count": 50, "percent": 20, "only": ["reply_lost", "slow"]},
    )

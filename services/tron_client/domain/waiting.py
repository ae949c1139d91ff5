"""How long submitted transactions have waited for a block."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from services.tron_client.domain.transactions import Tracked

SLOT_S: Final = 3
"""Seconds between two blocks (java-tron ChainConstant.BLOCK_PRODUCED_INTERVAL)."""

AGES_S: Final = (0, 60, 600, 3_600, 86_400)
"""Ages from which on waiting transactions are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits.

    Attributes:
        older_than: how many have waited at least so many seconds, by each of ``AGES_S``.
        oldest_s: how long the oldest has waited.
    """

    older_than: Mapping[int, int]
    oldest_s: int


def waiting(pending: Iterable[Tracked], *, head_height: int) -> Waiting:
    """Measure by blocks, for these are the chain's clock: a block is three seconds."""
    ages_s = [max(0, head_height - each.stored_height) * SLOT_S for each in pending]
    return Waiting(
        older_than={least_s: sum(age_s >= least_s for age_s in ages_s) for least_s in AGES_S},
        oldest_s=max(ages_s, default=0),
    )

"""Watch whether the chain still moves, and whether what is known of it may still be relied on."""

from collections.abc import Callable
from typing import Final

from services.tron_client.scanner.agreement import DISAGREEMENT
from services.tron_client.scanner.witnesses import DISAGREEMENT as WITNESSES_DISAGREE
from services.tron_client.service.operators import Operators
from services.tron_client.store.sight import Sight
from shared.alarms import Alarms
from shared.clock import MS_PER_S, Clock
from shared.models.alarms import Severity

SOLID_STALL: Final = "solid_stall"
HEAD_LAG: Final = "head_lag"
WRONG_CHAIN: Final = "wrong_chain"

STALL_AFTER_MS: Final = 180 * MS_PER_S
"""Chain time without a new solid block: sixty slots, three times what nineteen witnesses need."""

STOP_SIGNING: Final = (SOLID_STALL, DISAGREEMENT, WITNESSES_DISAGREE, WRONG_CHAIN)
"""Alarms under which nothing new may be signed, whoever has acknowledged them."""

CHAIN: Final = "chain"


class Vigil:
    """Raises alarms on a solid head that stands still and a head that falls behind.

    Args:
        sight: how far the chain was followed.
        alarms: where a person is called.
        operators: what others say of the head.
        cannot_pay: says why the verdict on another transaction could not be paid for (H22), or None.
        clock: the time.
        max_head_age_s: of the last scanned block.

    Attributes:
        operators: as given.
    """

    def __init__(
        self,
        *,
        sight: Sight,
        alarms: Alarms,
        operators: Operators,
        cannot_pay: Callable[[], str | None],
        clock: Clock,
        max_head_age_s: int,
    ) -> None:
        self.operators = operators
        self._cannot_pay = cannot_pay
        self._sight = sight
        self._alarms = alarms
        self._clock = clock
        self._max_head_age_s = max_head_age_s
        self._solid_height = -1
        self._solid_since_ms = clock.now_ms()

    async def watch(self) -> bool:
        """Look once; never more work at once."""
        await self._watch_solid()
        await self._watch_head()
        return False

    def reason_to_pause(self) -> str | None:
        """Return why nothing new may be signed, or None; no acknowledgement changes that."""
        for alarm in self._alarms.open():
            if alarm.kind in STOP_SIGNING:
                return f"{alarm.kind}: {alarm.detail}"
        return self._cannot_pay()

    async def _watch_solid(self) -> None:
        now_ms, progress = self._clock.now_ms(), self._sight.progress
        height = -1 if progress is None else progress.solid.height
        if height != self._solid_height:
            self._solid_height, self._solid_since_ms = height, now_ms
            if progress is not None:
                await self._alarms.clear(SOLID_STALL, CHAIN)
            return
        stood_ms = now_ms - self._solid_since_ms
        if stood_ms >= STALL_AFTER_MS:
            what = "no block was found solid" if progress is None else f"block {height} is the last"
            await self._alarms.raise_alarm(
                SOLID_STALL, CHAIN, detail=f"{what} for {stood_ms // MS_PER_S} s"
            )

    async def _watch_head(self) -> None:
        progress = self._sight.progress
        if progress is None:
            return
        age_s = (self._clock.now_ms() - progress.head.timestamp_ms) // MS_PER_S
        if age_s <= self._max_head_age_s:
            await self._alarms.clear(HEAD_LAG, CHAIN)
            return
        await self._alarms.raise_alarm(
            HEAD_LAG,
            CHAIN,
            detail=f"the last scanned block, {progress.head.height}, is {age_s} s old",
            severity=Severity.WARNING,
        )

"""The three clocks: the chain's head, another operator's, and our own (hazard H2)."""

from typing import Protocol

from shared.clock import MS_PER_S, Clock
from shared.errors import Unavailable
from shared.ledger_clock import LedgerClock
from shared.models.tron_client import SigningContextView


class Heads(Protocol):
    """Says what time it is on the chain: tron-client."""

    async def signing_context(self) -> SigningContextView:
        """Return the head, another operator's head, and how many operators agree."""
        ...


class Timekeeper:
    """Feeds the ledger's clock with verified time, and says when the clocks part.

    Args:
        max_skew_ms: largest difference between any two of the three.
    """

    def __init__(
        self, *, chain: Heads, ledger: LedgerClock, clock: Clock, max_skew_ms: int
    ) -> None:
        self._chain = chain
        self._ledger = ledger
        self._clock = clock
        self._max_skew_ms = max_skew_ms
        self._operators = 0
        self._skew_ms: int | None = None
        self._latest_ms = 0
        self._paused: str | None = None

    @property
    def operators(self) -> int:
        """How many node operators agreed on the chain when it was last looked at."""
        return self._operators

    def now_ms(self) -> int:
        """Return the local time."""
        return self._clock.now_ms()

    async def agreed_ms(self) -> int:
        """Return the latest of the clocks, with the ledger's moved on.

        A quarantine ends by it, and what is found is counted under the caps by it: by a clock set back
        it would end while a transaction under way may still land.

        Raises:
            Unavailable: they differ by more than they may.
        """
        await self.look()
        if self._skew_ms is None or self._skew_ms > self._max_skew_ms:
            raise Unavailable(self.reason() or "")
        return self._latest_ms

    async def look(self) -> bool:
        """Read the clocks; the ledger's moves to the earliest of them, and never back."""
        context = await self._chain.signing_context()
        heads = [context.head.timestamp_ms]
        if context.second_head_timestamp_ms is not None:
            heads.append(context.second_head_timestamp_ms)
        now_ms = self._clock.now_ms()
        self._operators = context.operators
        self._paused = context.paused
        self._latest_ms = max(*heads, now_ms)
        self._skew_ms = self._latest_ms - min(*heads, now_ms)
        await self._ledger.observe(min(heads))
        return False

    def reason(self) -> str | None:
        """Say what is wrong with the clocks, or None."""
        if self._skew_ms is None:
            return "the chain's time was not seen yet"
        if self._skew_ms > self._max_skew_ms:
            return (
                f"the clocks of the chain, of another operator and of this machine differ by"
                f" {self._skew_ms // MS_PER_S} s, {self._max_skew_ms // MS_PER_S} s at most"
            )
        return self._paused

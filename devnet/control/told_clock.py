"""The clock that clients are told to follow: chain time, unless the two are set apart."""

from __future__ import annotations

from devnet.witness_node import WitnessNode


class ToldClock:
    """What `/devnet/clock` says the time is.

    Neither clock ever goes back: the one that shall be ahead skips time.
    """

    def __init__(self, node: WitnessNode) -> None:
        self._node = node
        self._skew_ms = 0

    @property
    def skew_ms(self) -> int:
        """By how much the chain is ahead of what clients are told; below 0 it is behind."""
        return self._skew_ms

    def now_ms(self) -> int:
        """The time that clients are told."""
        return self._node.clock.now_ms() - self._skew_ms

    def set_skew(self, skew_ms: int) -> None:
        """Let the chain be ahead of what clients are told, or behind it."""
        ahead_ms = skew_ms - self._skew_ms
        if ahead_ms > 0:
            self._node.jump(ahead_ms)
        self._skew_ms = skew_ms

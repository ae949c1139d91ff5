"""The loop that makes a block whenever a slot begins."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from devnet.witness_node import WitnessNode


class Producer:
    """Waits for the next slot, or for somebody to touch the clock."""

    def __init__(self, node: WitnessNode) -> None:
        self._node = node
        self._touched = asyncio.Event()

    def time_changed(self) -> None:
        """Look at the clock again."""
        self._touched.set()

    async def run(self) -> None:
        """Make blocks until cancelled."""
        while True:
            self._touched.clear()
            if not self._node.clock.is_manual and self._node.mine_if_due():
                await asyncio.sleep(0)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._touched.wait(), self._seconds_to_wait())

    def _seconds_to_wait(self) -> float | None:
        due_ms = self._node.next_slot_ms()
        if self._node.clock.is_manual or due_ms is None:
            return None
        return self._node.clock.real_seconds_until(due_ms)

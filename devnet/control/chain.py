"""Orders about time, blocks and witnesses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devnet.control import orders
from devnet.control.orders import BadOrderError
from devnet.control.paths import ControlPath, Order, shown_tip
from devnet.control.told_clock import ToldClock
from devnet.forks import Fate
from devnet.witness_node import WitnessNode

_BLOCKS_BETWEEN_BREATHS = 100
_SEED_MAX = 2**31
_CLOCK = "the clock"


@dataclass(frozen=True, kw_only=True)
class ChainDesk:
    """Moves the clock and makes, withholds and replaces blocks.

    Attributes:
        time_changed: Called when the producer must look at the clock again.
    """

    node: WitnessNode
    told: ToldClock
    time_changed: Callable[[], None]

    def clock(self, _order: Order) -> Order:
        """The time that clients are told, how the chain differs from it, and both heights."""
        return {
            "now_ms": self.told.now_ms(),
            "speed": self.node.clock.speed,
            "skew_ms": self.told.skew_ms,
            "head": shown_tip(self.node.main.head),
            "solid": shown_tip(self.node.main.solid),
        }

    async def mine(self, order: Order) -> Order:
        """Make blocks now; the clock moves to the last one's slot."""
        for made in range(1, orders.count_of(order.get("blocks", 1), "blocks") + 1):
            self.node.mine()
            if made % _BLOCKS_BETWEEN_BREATHS == 0:
                await asyncio.sleep(0)
        return self._changed(order)

    def speed(self, order: Order) -> Order:
        """Let time run at another speed from now on."""
        self.node.clock.set_speed(orders.speed_of(order.get("speed")))
        return self._changed(order)

    def jump(self, order: Order) -> Order:
        """Skip time forward; the slots in between are missed."""
        self.node.jump(orders.milliseconds_of(order.get("seconds")))
        return self._changed(order)

    def skew(self, order: Order) -> Order:
        """Let the chain be ahead of the clock that clients follow, or behind it."""
        self.told.set_skew(orders.skew_ms_of(order.get("seconds")))
        return self._changed(order)

    def reorganise(self, order: Order) -> Order:
        """Let a branch replace the last blocks at once."""
        depth = orders.count_of(order.get("depth"), "depth")
        fate = orders.fate_of(order.get("fate", Fate.WAIT.value))
        seed = orders.whole_of(order.get("seed", 0), "seed", low=0, high=_SEED_MAX)
        try:
            returned = self.node.reorganise(depth, fate=fate, seed=seed)
        except ValueError as error:
            raise BadOrderError(str(error)) from error
        self.time_changed()
        return {
            "head": shown_tip(self.node.main.head),
            "returned_txids": [txid.hex() for txid in returned],
        }

    def miss_slots(self, order: Order) -> Order:
        """Let the next slots pass without blocks."""
        self.node.miss_slots(orders.count_of(order.get("slots", 1), "slots"))
        return self._changed(order)

    def absent(self, order: Order) -> Order:
        """Let some witnesses miss all their slots."""
        try:
            self.node.set_absent(orders.places_of(order.get("places")))
        except ValueError as error:
            raise BadOrderError(str(error)) from error
        return self._changed(order)

    def stall_solid(self, order: Order) -> Order:
        """Let blocks be made but none become solid."""
        self.node.stall_solid()
        return self._changed(order)

    def stall_head(self, order: Order) -> Order:
        """Make no blocks."""
        self.node.stall_head()
        return self._changed(order)

    def resume(self, order: Order) -> Order:
        """Let all witnesses make blocks again."""
        self.node.resume()
        return self._changed(order)

    def paths(self) -> Sequence[ControlPath]:
        """What can be asked and told here."""

        def told(
            name: str,
            carry_out: Callable[..., object],
            body: str = "",
            example: Order | None = None,
        ) -> ControlPath:
            return ControlPath(
                method="POST",
                path=f"/devnet/{name}",
                carry_out=carry_out,
                body=body,
                reply=_CLOCK,
                example=example or {},
            )

        return (
            ControlPath(
                method="GET",
                path="/devnet/clock",
                carry_out=self.clock,
                reply='`now_ms`, `speed`, `skew_ms`, `head`, `solid`; both are `{"number", '
                '"block_id", "timestamp_ms"}`',
            ),
            told("mine", self.mine, '`{"blocks": 1}`', {"blocks": 3}),
            told("step", self.mine, "the same", {"blocks": 1}),
            told("speed", self.speed, '`{"speed": 20}`, 0 is by hand', {"speed": 0}),
            told("jump", self.jump, '`{"seconds": 3600}`', {"seconds": 60}),
            told(
                "skew",
                self.skew,
                '`{"seconds": 90}`: the chain is so far ahead of `now_ms`, below 0 behind',
                {"seconds": 0},
            ),
            told("slots/miss", self.miss_slots, '`{"slots": 5}`', {"slots": 2}),
            told(
                "witnesses/absent",
                self.absent,
                '`{"places": [0, 1, 2]}`: these of 27, and no others',
                {"places": [0, 1]},
            ),
            told("solid/stall", self.stall_solid),
            told("head/stall", self.stall_head),
            told("resume", self.resume),
            ControlPath(
                method="POST",
                path="/devnet/reorganise",
                carry_out=self.reorganise,
                body='`{"depth": 2, "fate"?: "wait", "seed"?: 0}`; fates as under Forks',
                reply='`{"head", "returned_txids": […]}`',
                example={"depth": 1, "fate": "reinclude"},
            ),
        )

    def _changed(self, order: Order) -> Order:
        self.time_changed()
        return self.clock(order)

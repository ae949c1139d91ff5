"""Orders about single nodes, what they were asked, and the load on the chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devnet.control import orders
from devnet.control.orders import BadOrderError
from devnet.control.paths import ControlPath, Order, shown_tip
from devnet.lagging import MAX_LAG_BLOCKS
from devnet.scenarios.effect import Seat
from devnet.traffic import PER_BLOCK_MAX, Load, Traffic

_BLOCKS_MAX = 10**9
_SEED_MAX = 2**53
_REQUESTS = '`{"total", "paths": {path: count}}`'


@dataclass(frozen=True, kw_only=True)
class NodeDesk:
    """Shows the nodes, lets them lag, counts their requests, and fills their blocks.

    Attributes:
        urls: Where the nodes listen, in their order, as soon as they do.
    """

    seats: Sequence[Seat]
    urls: Sequence[str]
    traffic: Traffic

    def nodes(self, _order: Order) -> Order:
        """All nodes; number 0 makes the blocks."""
        return {"nodes": [self._shown(number) for number in range(len(self.seats))]}

    def node(self, _order: Order, number: int) -> Order:
        """One node."""
        self._seat(number)
        return self._shown(number)

    def lag(self, order: Order, number: int) -> Order:
        """Let a node show the chain as it was some blocks ago."""
        seat = self._seat(number)
        lag = order.get("lag_blocks")
        blocks = orders.whole_of(lag, "lag_blocks", low=0, high=MAX_LAG_BLOCKS)
        try:
            seat.node.lag(blocks)
        except ValueError as error:
            raise BadOrderError(str(error)) from error
        return self._shown(number)

    def requests(self, _order: Order, number: int = 0) -> Order:
        """How often each path of a node was asked."""
        counted = self._seat(number).app.requests
        return {"total": counted.total(), "paths": dict(counted)}

    def reset_requests(self, order: Order, number: int = 0) -> Order:
        """Count from 0 again."""
        self._seat(number).app.requests.clear()
        return self.requests(order, number)

    def start_traffic(self, order: Order) -> Order:
        """Fill the blocks from the next one on."""
        load = Load(
            per_block=orders.whole_of(
                order.get("per_block", 300), "per_block", low=1, high=PER_BLOCK_MAX
            ),
            blocks=orders.whole_of(order.get("blocks", 0), "blocks", low=0, high=_BLOCKS_MAX),
            seed=orders.whole_of(order.get("seed", 0), "seed", low=0, high=_SEED_MAX),
        )
        self.traffic.start(load)
        return self.traffic.status()

    def traffic_status(self, _order: Order) -> Order:
        """The load and what came of it."""
        return self.traffic.status()

    def stop_traffic(self, _order: Order) -> Order:
        """Let the blocks be."""
        self.traffic.stop()
        return self.traffic.status()

    def paths(self) -> Sequence[ControlPath]:
        """What can be asked and told here."""
        node, zero = "/devnet/nodes/{number:int}", {"number": "0"}
        shown = '`{"node", "url", "head", "solid", "lag_blocks", "waiting", "peers", "requests"}`'
        status = (
            '`{"running", "per_block", "seed", "blocks", "blocks_left", "transactions", '
            '"failed", "work_ms", "blocks_per_s"}`'
        )
        return (
            ControlPath(
                method="GET",
                path="/devnet/nodes",
                carry_out=self.nodes,
                reply='`{"nodes": […]}`',
            ),
            ControlPath(method="GET", path=node, carry_out=self.node, reply=shown, filled=zero),
            ControlPath(
                method="POST",
                path=f"{node}/lag",
                carry_out=self.lag,
                body='`{"lag_blocks": 5}`, 0 catches up',
                reply="the node",
                example={"lag_blocks": 0},
                filled=zero,
            ),
            ControlPath(
                method="GET",
                path=f"{node}/requests",
                carry_out=self.requests,
                reply=_REQUESTS,
                filled=zero,
            ),
            ControlPath(
                method="DELETE",
                path=f"{node}/requests",
                carry_out=self.reset_requests,
                reply="the same, empty",
                filled=zero,
            ),
            ControlPath(
                method="GET",
                path="/devnet/requests",
                carry_out=self.requests,
                reply=f"{_REQUESTS} of node 0",
            ),
            ControlPath(
                method="DELETE",
                path="/devnet/requests",
                carry_out=self.reset_requests,
                reply="the same, empty",
            ),
            ControlPath(
                method="POST",
                path="/devnet/traffic",
                carry_out=self.start_traffic,
                body='`{"per_block"?: 300, "blocks"?: 0, "seed"?: 0}`, 0 blocks until stopped',
                reply=status,
                example={"per_block": 300, "blocks": 5, "seed": 1},
            ),
            ControlPath(
                method="GET",
                path="/devnet/traffic",
                carry_out=self.traffic_status,
                reply="the same",
            ),
            ControlPath(
                method="DELETE",
                path="/devnet/traffic",
                carry_out=self.stop_traffic,
                reply="the same",
            ),
        )

    def _seat(self, number: int) -> Seat:
        if number >= len(self.seats):
            raise BadOrderError(f"the nodes are 0 to {len(self.seats) - 1}")
        return self.seats[number]

    def _shown(self, number: int) -> Order:
        node, app = self.seats[number].node, self.seats[number].app
        return {
            "node": number,
            "url": self.urls[number] if number < len(self.urls) else None,
            "head": shown_tip(node.chain.head),
            "solid": shown_tip(node.chain.solid),
            "lag_blocks": node.lag_blocks,
            "waiting": len(node.pool),
            "peers": len(node.peers),
            "requests": app.requests.total(),
        }

"""Orders about what goes wrong: faults, scenarios, and the log of what struck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devnet.control import orders
from devnet.control.chain import ChainDesk
from devnet.control.orders import BadOrderError
from devnet.control.paths import ControlPath, Order
from devnet.faults import ArmedFault, Faults
from devnet.forks import Fate
from devnet.scenarios.director import Director
from devnet.scenarios.strikes import PAGE_MAX

_SEQ_MAX = 2**53
_FAULTS = '`{"faults": […]}`'
_ARMED = '`{"armed": [{"id", "scenario", "order", "left", "struck", "lasts", "ends_at"}]}`'


@dataclass(frozen=True, kw_only=True)
class FailureDesk:
    """Arms and disarms, and shows what is left and what has struck.

    Attributes:
        faults: Of the first node.
    """

    director: Director
    faults: Faults
    chain: ChainDesk

    def arm_fault(self, order: Order) -> Order:
        """Arm a fault, or reorganise the chain at once."""
        if order.get("kind") == "reorg":
            drop = orders.flag_of(order.get("drop", False), "drop")
            fate = Fate.DROP if drop else Fate.WAIT
            return self.chain.reorganise({"depth": order.get("depth"), "fate": fate.value})
        self.faults.arm(orders.fault_of(order))
        return self.armed_faults(order)

    def armed_faults(self, _order: Order) -> Order:
        """The faults that are still to come."""
        return {"faults": [_shown_fault(each) for each in self.faults.armed()]}

    def disarm_faults(self, order: Order) -> Order:
        """Forget all faults."""
        self.faults.disarm()
        return self.armed_faults(order)

    def scenarios(self, _order: Order) -> Order:
        """Everything that can be armed."""
        return {"scenarios": [each.shown() for each in self.director.scenarios.values()]}

    def armed(self, _order: Order) -> Order:
        """What is armed or lasts."""
        return {"armed": [each.shown() for each in self.director.armed()]}

    def arm(self, order: Order, name: str) -> Order:
        """Arm a scenario."""
        return self.director.arm(name, order).shown()

    def disarm(self, order: Order, name: str) -> Order:
        """Disarm all that is armed under a name."""
        self.director.scenario(name)
        self.director.disarm(name=name)
        return self.armed(order)

    def disarm_one(self, order: Order, number: int) -> Order:
        """Disarm one."""
        if not self.director.disarm(number=number):
            raise BadOrderError(f"nothing is armed under {number}")
        return self.armed(order)

    def disarm_all(self, order: Order) -> Order:
        """Disarm everything; faults stay."""
        self.director.disarm()
        return self.armed(order)

    def log(self, order: Order) -> Order:
        """What has struck, oldest first."""
        after = orders.number_in(order, "after", default=0, low=0, high=_SEQ_MAX)
        limit = orders.number_in(order, "limit", default=PAGE_MAX, low=1, high=PAGE_MAX)
        strikes = self.director.log.after(after, limit)
        return {
            "strikes": [each.shown() for each in strikes],
            "next": strikes[-1].seq if strikes else after,
        }

    def clear_log(self, _order: Order) -> Order:
        """Forget what has struck."""
        self.director.log.clear()
        return self.log({})

    def paths(self) -> Sequence[ControlPath]:
        """What can be asked and told here."""
        return (
            ControlPath(
                method="GET",
                path="/devnet/scenarios",
                carry_out=self.scenarios,
                reply="all scenarios with their parameters",
            ),
            ControlPath(
                method="GET",
                path="/devnet/scenarios/armed",
                carry_out=self.armed,
                reply=_ARMED,
            ),
            ControlPath(
                method="POST",
                path="/devnet/scenarios/{name}",
                carry_out=self.arm,
                body="the scenario's parameters",
                reply="one of `armed`",
                example={"count": 2},
                filled={"name": "reply_lost"},
            ),
            ControlPath(
                method="DELETE",
                path="/devnet/scenarios/armed/{number:int}",
                carry_out=self.disarm_one,
                reply=_ARMED,
                filled={"number": "1"},
            ),
            ControlPath(
                method="DELETE",
                path="/devnet/scenarios/{name}",
                carry_out=self.disarm,
                reply=_ARMED,
                filled={"name": "reply_lost"},
            ),
            ControlPath(
                method="DELETE",
                path="/devnet/scenarios",
                carry_out=self.disarm_all,
                reply=_ARMED,
            ),
            ControlPath(
                method="GET",
                path="/devnet/log",
                carry_out=self.log,
                body="`?after=0&limit=1000`",
                reply='`{"strikes": [{"seq", "at_ms", "scenario", "cause", "node", "path", '
                '"head", "note"}], "next"}`; the last 10,000 are kept',
            ),
            ControlPath(
                method="DELETE", path="/devnet/log", carry_out=self.clear_log, reply="the empty log"
            ),
            ControlPath(
                method="POST",
                path="/devnet/faults",
                carry_out=self.arm_fault,
                body="see Faults",
                reply=_FAULTS,
                example={"kind": "reply_lost", "count": 1},
            ),
            ControlPath(
                method="GET", path="/devnet/faults", carry_out=self.armed_faults, reply=_FAULTS
            ),
            ControlPath(
                method="DELETE", path="/devnet/faults", carry_out=self.disarm_faults, reply=_FAULTS
            ),
        )


def _shown_fault(armed: ArmedFault) -> Order:
    return {
        "kind": armed.fault,
        "left": armed.left,
        "path": armed.path,
        "txid": armed.txid,
        "status": armed.status,
        "body": armed.body,
        "delay_ms": armed.delay_ms,
    }

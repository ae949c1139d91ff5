"""The control listener: plain JSON, amounts as decimal strings, 400 with a reason if unclear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.applications import Starlette

from devnet.control.chain import ChainDesk
from devnet.control.failures import FailureDesk
from devnet.control.money import MoneyDesk
from devnet.control.nodes import NodeDesk
from devnet.control.paths import ControlPath


@dataclass(frozen=True, kw_only=True)
class Control:
    """All who carry orders out."""

    chain: ChainDesk
    money: MoneyDesk
    nodes: NodeDesk
    failures: FailureDesk

    def paths(self) -> Sequence[ControlPath]:
        """Every path of the control API, in the order in which they are tried."""
        return (
            *self.chain.paths(),
            *self.money.paths(),
            *self.nodes.paths(),
            *self.failures.paths(),
        )


def control_app(control: Control) -> Starlette:
    """The paths of the control API."""
    return Starlette(routes=[each.route() for each in control.paths()])

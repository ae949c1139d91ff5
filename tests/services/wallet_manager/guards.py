"""The guards of wallet-manager on a till: policy, approvals, kill switch and audit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from services.wallet_manager.domain.approvals import ApprovalKind
from services.wallet_manager.domain.rulebook import COOLING_OFF_MS, Caps, Rulebook, default_rules
from services.wallet_manager.domain.sends import Send
from services.wallet_manager.service.approvals import Approvals
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.guard import Gate, Guard
from services.wallet_manager.service.keeper import KeeperDesk
from services.wallet_manager.service.killswitch import KillSwitch
from services.wallet_manager.service.policies import Policies
from services.wallet_manager.service.policy import PolicyGate, PolicyGuard
from shared.ledger_clock import LedgerClock
from shared.models.tron_transactions import BroadcastingView, MayLandView
from shared.money import Currency
from shared.peers.caller import PeerUnavailable
from shared.tron.address import Address
from tests.services.wallet_manager.till import TRX, USDT, Till

USDT_CAPS = Caps(
    currency=Currency.USDT,
    per_send=100 * TRX,
    per_hour=150 * TRX,
    per_day=300 * TRX,
    per_destination=200 * TRX,
    unproved_per_day=30 * TRX,
    agreed_above=80 * TRX,
)
TRX_CAPS = replace(USDT_CAPS, currency=Currency.TRX)
QUORUM = 2


def rulebook(**changes: object) -> Rulebook:
    rules = default_rules(
        usdt_contract=USDT, caps=(USDT_CAPS, TRX_CAPS), fees_per_hour_sun=500 * TRX, quorum=QUORUM
    )
    return replace(rules, **changes)  # type: ignore[arg-type]


class Broadcaster:
    """Plays tron-client's switch.

    Attributes:
        away: True while no call gets through.
        stopped: the owners whose bytes are held back; an empty text for everybody.
        may_land: what it says may still get into a block.
        on_release: what happens while it is told to let bytes go.
    """

    def __init__(self) -> None:
        self.away = False
        self.on_release: Callable[[], None] = lambda: None
        self.stopped: set[str] = set()
        self.may_land: list[MayLandView] = []

    async def set_broadcasting(
        self, *, stopped: bool, reason: str, owners: Sequence[Address] = ()
    ) -> BroadcastingView:
        if self.away:
            raise PeerUnavailable("tron-client did not answer")
        assert reason
        if not stopped:
            self.on_release()
        (self.stopped.update if stopped else self.stopped.difference_update)(owners or [""])
        return BroadcastingView(
            stopped_for_all="" in self.stopped,
            stopped_owners=sorted(Address(one) for one in self.stopped if one),
            may_land=self.may_land,
        )


class Meanwhile:
    """A guard whose first answer takes so long that something else is done before it comes.

    Attributes:
        act: what is done; a task of its own that the round does not wait for for ever.
    """

    def __init__(self) -> None:
        self.act: Callable[[], Awaitable[int]] | None = None
        self._acting: asyncio.Future[int] | None = None

    def reason(self) -> str | None:
        return None

    async def open(self, sends: Sequence[Send], *, now_ms: int) -> KeeperDesk:
        del sends, now_ms
        if self._acting is None and self.act is not None:
            self._acting = asyncio.ensure_future(self.act())
            await asyncio.wait({self._acting}, timeout=0.2)
        return KeeperDesk(None)

    async def outcome(self) -> int:
        """Return what came of it."""
        assert self._acting is not None
        return await self._acting


@dataclass(slots=True, kw_only=True)
class Guards:
    """Everything that guards a till."""

    audit: Audit
    approvals: Approvals
    policies: Policies
    switch: KillSwitch
    ledger: LedgerClock
    broadcaster: Broadcaster
    operators: list[int]


async def guarded(
    till: Till,
    folder: Path,
    *,
    gates: list[Gate],
    guards: list[Guard],
    rules: Rulebook | None = None,
    quorums: int = 1,
    ledger: LedgerClock | None = None,
) -> Guards:
    """Put a till under guard; the lists are those that it was made with."""
    audit = Audit(store=till.store, clock=till.clock)
    if ledger is None:
        ledger = LedgerClock(till.storage, till.clock)
        await ledger.load()
        await ledger.observe(till.clock.now_ms())
    numbers = iter(range(1, 10_000))
    approvals = Approvals(
        store=till.store,
        audit=audit,
        clock=till.clock,
        new_id=lambda prefix: f"{prefix}_{next(numbers):04d}",
        quorums=dict.fromkeys(ApprovalKind, quorums),
        lifetime_ms=86_400_000,
    )
    policies = Policies(
        store=till.store,
        audit=audit,
        approvals=approvals,
        ledger=ledger,
        default=rules or rulebook(),
        cooling_off_ms=COOLING_OFF_MS,
        books_lock=till.books_lock,
    )
    broadcaster = Broadcaster()
    switch = KillSwitch(
        store=till.store,
        audit=audit,
        approvals=approvals,
        broadcaster=broadcaster,
        clock=till.clock,
        folder=folder,
        books_lock=till.books_lock,
    )
    await switch.load()
    operators = [2]
    guard = PolicyGuard(
        store=till.store,
        policies=policies,
        audit=audit,
        ledger=ledger,
        clock=till.clock,
        operators=lambda: operators[0],
    )
    gates.append(PolicyGate(policies=policies, approvals=approvals, audit=audit))
    guards.extend([switch, guard])
    return Guards(
        audit=audit,
        approvals=approvals,
        policies=policies,
        switch=switch,
        ledger=ledger,
        broadcaster=broadcaster,
        operators=operators,
    )

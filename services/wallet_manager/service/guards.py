"""Everything that stands before the keys, as one part of the service."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Final

from services.wallet_manager.domain.approvals import ApprovalKind
from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.rulebook import EVERY_WALLET, Policy, Rulebook
from services.wallet_manager.domain.stops import ALL
from services.wallet_manager.domain.wallets import UnknownWallet, Wallet
from services.wallet_manager.service.approvals import Approvals
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.killswitch import KillSwitch, StopReport
from services.wallet_manager.service.mainnet import Preflight
from services.wallet_manager.service.policies import Policies
from services.wallet_manager.service.policy import PolicyGate, PolicyGuard
from services.wallet_manager.service.timekeeping import Timekeeper
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from shared.errors import Unavailable
from shared.ids import fingerprint
from shared.ledger_clock import LedgerClock
from shared.logs import get_logger
from shared.storage import StaleRecord, StorageError, written

log = get_logger(__name__)

LOOK_S: Final = 1.0
"""How long a stop waits for a database that may be stuck to say that there is such a wallet."""


class Decided:
    """What the policy for every wallet says, as it was when it was last looked at.

    Attributes:
        is_explicit: whether a person decided on it.
        rules: in force; None until it was looked at.
    """

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self.is_explicit = False
        self.rules: Rulebook | None = None

    async def look(self) -> None:
        """Look again."""
        policy = await self._policies.stored(EVERY_WALLET)
        self.is_explicit = policy.explicit
        with contextlib.suppress(Unavailable):  # no time is known yet to judge a coming one by
            self.rules = self._policies.rules(policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """The guards of the keys, loaded once and kept up by two loops.

    Attributes:
        books_lock: held by a signing round from what it reads until it is stored.
    """

    store: WalletStore
    audit: Audit
    approvals: Approvals
    policies: Policies
    decided: Decided
    gate: PolicyGate
    guard: PolicyGuard
    switch: KillSwitch
    preflight: Preflight
    ledger: LedgerClock
    timekeeper: Timekeeper
    books_lock: asyncio.Lock

    async def load(self) -> None:
        """Read what is stored, and the clocks if tron-client is there."""
        await self.ledger.load()
        await self.switch.load()
        with contextlib.suppress(Unavailable):
            await self.timekeeper.look()
        await self.decided.look()

    async def look(self) -> bool:
        """Read the clocks and the policy again."""
        await self.decided.look()
        return await self.timekeeper.look()

    async def end_agreements(self) -> int:
        """End what people agreed to and has not happened here: it may have after a copy was made.

        A large send keeps its agreement, for it is paid once only, and not before its caller asks for
        it again.
        """
        return await self.approvals.end_standing()

    async def in_force(self) -> str:
        """Say which policy and which stops are in force after a restore."""
        policy = await self.policies.stored(EVERY_WALLET)
        stops = ", ".join(self.switch.scopes()) or "nothing"
        return (
            f"policy revision {policy.revision} is in force and {stops} is stopped; later changes of"
            " policies, stops, locks and cancellations are forgotten"
        )

    async def policy(self, scope: str) -> Policy:
        """Return the policy for a scope; raises UnknownWallet."""
        if scope != EVERY_WALLET:
            await self._require_wallet(scope)
        return await self.policies.stored(scope)

    async def turn(self, scope: str, *, stopped: bool, reason: str, by: str) -> StopReport:
        """Stop a scope, or let it sign again.

        Raises:
            UnknownWallet: there is no such wallet; where that cannot be found out, it is stopped.
            ApprovalNeeded: people have to agree to the end of a stop.
        """
        if scope != ALL:
            with contextlib.suppress(StorageError, TimeoutError):
                async with asyncio.timeout(LOOK_S if stopped else None):
                    await self._require_wallet(scope)
        if stopped:
            return await self.switch.stop(scope, reason=reason, by=by)
        return await self.switch.lift(scope, reason=reason, by=by)

    async def set_lock(self, wallet: Wallet, *, is_locked: bool, reason: str, by: str) -> Wallet:
        """Stop a wallet from signing, or let it sign again; what was signed before is not touched.

        Once it is locked nothing more is signed: a round that saw it unlocked is over by then.

        Raises:
            ApprovalNeeded: people have to agree to an unlock.
            Unavailable: the wallet was changed meanwhile.
        """
        changed = wallet.locked() if is_locked else wallet.unlocked()
        if changed.status is wallet.status:
            return wallet
        change = Change()
        if not is_locked:
            await self.approvals.require(
                change,
                ApprovalKind.UNLOCK,
                wallet.id,
                content=fingerprint({"unlock": wallet.id, "lock": wallet.locks}),
                reason=reason,
                by=by,
            )
        act = Act.WALLET_LOCKED if is_locked else Act.WALLET_UNLOCKED
        change.wallet(changed)
        change.decide(self.audit.decision(act, wallet.id, who=by, why=reason))
        try:
            async with self.books_lock:
                await self.store.commit(change)
        except StaleRecord:
            raise Unavailable("it was changed meanwhile; try again", retry_after_s=1) from None
        log.warning("wallet.relocked", wallet_id=wallet.id, locked=is_locked, by=by, reason=reason)
        return written(changed)

    async def _require_wallet(self, wallet_id: str) -> None:
        if await self.store.wallet(wallet_id) is None:
            raise UnknownWallet("there is no such wallet", wallet_id=wallet_id)

"""A change of sends and books that happens as one."""

from collections.abc import Iterable
from dataclasses import replace

from services.wallet_manager.domain.approvals import Approval
from services.wallet_manager.domain.audit import Decision
from services.wallet_manager.domain.books import (
    JournalEntryLine,
    Position,
)
from services.wallet_manager.domain.recovery import Unclaimed
from services.wallet_manager.domain.rulebook import Policy
from services.wallet_manager.domain.sends import Attempt, Send
from services.wallet_manager.domain.wallets import Wallet
from services.wallet_manager.store.schema import (
    APPROVALS,
    ATTEMPTS,
    CURSORS,
    JOURNAL,
    POLICIES,
    POSITIONS,
    SEND_FEED,
    SENDS,
    SPENT,
    UNCLAIMED,
    WALLETS,
    Cursor,
)
from shared.models.wallet_sends import SendView
from shared.storage import (
    Lease,
    Tally,
    Unit,
)


class Change:
    """A change of sends and books that happens as one: built up, then committed."""

    def __init__(self) -> None:
        self._sends: dict[str, tuple[Send, SendView | None]] = {}
        self._attempts: list[Attempt] = []
        self._positions: dict[str, Position] = {}
        self._wallets: dict[str, Wallet] = {}
        self._lines: dict[str, JournalEntryLine] = {}
        self._cursor: Cursor | None = None
        self._claims: dict[str, Unclaimed] = {}
        self._leases: list[Lease] = []
        self._tallies: dict[str, Tally] = {}
        self._used: dict[str, Approval] = {}
        self._policies: list[Policy] = []
        self.decisions: list[Decision] = []

    def send(self, send: Send, view: SendView | None) -> None:
        """Store a send as changed; with a view, tell the feed."""
        self._sends[send.id] = (send, view)

    def lease(self, lease: Lease) -> None:
        """Insist that a lease is still ours and give it up."""
        self._leases.append(lease)

    def attempt(self, attempt: Attempt) -> None:
        """Store an attempt, new or with more signatures."""
        self._attempts.append(attempt)

    def position(self, position: Position) -> None:
        """Store a position as changed."""
        self._positions[position.id] = position

    def wallet(self, wallet: Wallet) -> None:
        """Store a wallet as changed."""
        self._wallets[wallet.id] = wallet

    def claim(self, claim: Unclaimed) -> None:
        """Store a transaction that was found unexplained, or what it turned out to be."""
        self._claims[claim.id] = claim

    def tally(self, tally: Tally) -> None:
        """Store what was spent under a cap, unless somebody else counted meanwhile (hazard H14)."""
        self._tallies[tally.id] = tally

    def counted_at(self, at_ms: int) -> None:
        """Say when the attempts of this change were counted under the caps, to give it back by."""
        self._attempts = [replace(attempt, counted_ms=at_ms) for attempt in self._attempts]

    def policy(self, policy: Policy) -> None:
        """Store a policy as changed."""
        self._policies.append(policy)

    def approval(self, approval: Approval) -> None:
        """Store a request for approval, new or changed."""
        self._used[approval.id] = approval

    def decide(self, decision: Decision) -> None:
        """Write a decision down together with what it decides."""
        self.decisions.append(decision)

    def journal(self, lines: Iterable[JournalEntryLine]) -> None:
        """Add lines to the journal."""
        self._lines.update({line.id: line for line in lines})

    def cursor(self, cursor: Cursor, text: str) -> None:
        """Move a feed's cursor."""
        if cursor.cursor != text:
            self._cursor = replace(cursor, cursor=text)

    def is_empty(self) -> bool:
        """True when there is nothing to commit."""
        changed = (
            self._sends,
            self._attempts,
            self._lines,
            self._wallets,
            self._claims,
            self._cursor,
            self._tallies,
            self._used,
            self._policies,
            self.decisions,
        )
        return not any(changed)

    def unit(self, into: Unit | None = None) -> Unit:
        """Return the unit of work, or the given one with this change added."""
        unit = into or Unit()
        for lease in self._leases:
            unit.release(SENDS, lease)
        for position in self._positions.values():
            (unit.update if position.version else unit.insert)(POSITIONS, position)
        for attempt in self._attempts:
            (unit.update if attempt.version else unit.insert)(ATTEMPTS, attempt)
        for line in self._lines.values():
            unit.insert(JOURNAL, line)
        for wallet in self._wallets.values():
            unit.update(WALLETS, wallet)
        for claim in self._claims.values():
            (unit.update if claim.version else unit.insert)(UNCLAIMED, claim)
        self._put_guards(unit)
        for send, view in self._sends.values():
            (unit.update if send.version else unit.insert)(SENDS, send)
            if view is not None:
                _announce(unit, send, view)
        if self._cursor is not None:
            (unit.update if self._cursor.version else unit.insert)(CURSORS, self._cursor)
        return unit

    def _put_guards(self, unit: Unit) -> None:
        for tally in self._tallies.values():
            tally.put(unit, SPENT)
        for policy in self._policies:
            (unit.update if policy.version else unit.insert)(POLICIES, policy)
        for approval in self._used.values():
            (unit.update if approval.version else unit.insert)(APPROVALS, approval)


def _announce(unit: Unit, send: Send, view: SendView) -> Unit:
    return unit.publish(
        SEND_FEED,
        id=f"{send.id}.{send.version + 1}",
        type=f"send.{send.state.value}",
        at_ms=send.updated_at_ms,
        object=view.model_dump(mode="json"),
    )

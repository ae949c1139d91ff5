"""What transactions spent whose records were lost: counted under the caps again (hazard H5)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from services.wallet_manager.domain.caps import BUCKET_MS, counted, subjects_of
from services.wallet_manager.domain.rulebook import DAY_MS
from services.wallet_manager.domain.sends import Hold, Send
from services.wallet_manager.service.spent import load_tallies
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from shared.clock import Clock

REMEMBERED_MS: Final = DAY_MS + BUCKET_MS
"""No cap looks back for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A transaction that is counted again.

    Attributes:
        send: as it was before the attempt.
        hold: what it may take at worst.
        expires_at_ms: it was signed before then.
        moved: False when it is in a block and failed, so that it took its fee alone.
    """

    send: Send
    hold: Hold
    expires_at_ms: int
    moved: bool = True


class Recount:
    """Counts what was found under the caps; a copy has forgotten what was spent after it was made.

    Args:
        ledger: the clock that caps run on.
    """

    def __init__(self, *, store: WalletStore, ledger: Clock) -> None:
        self._store = store
        self._ledger = ledger

    def moment_ms(self, found: Found) -> int:
        """Return when a transaction is counted: never before it was signed; 0 if no cap looks back so far.

        Raises:
            LedgerTimeUnknown: there is no time yet.
        """
        now_ms = self._ledger.now_ms()
        return (
            min(found.expires_at_ms, now_ms) if now_ms - found.expires_at_ms < REMEMBERED_MS else 0
        )

    async def count(self, change: Change, found: Iterable[Found]) -> None:
        """Put what the transactions spent into the change that stores their records.

        Raises:
            LedgerTimeUnknown: there is no time yet to count it at.
        """
        moments = [(one, at_ms) for one in found if (at_ms := self.moment_ms(one))]
        subjects = [subject for one, _ in moments for subject in subjects_of(one.send)]
        tallies = await load_tallies(self._store, subjects)
        for one, at_ms in sorted(moments, key=lambda pair: pair[1]):
            for subject, amount in counted(one.send, one.hold).items():
                if one.moved or subject.endswith("|fees"):
                    tallies[subject] = tallies[subject].add(amount, at_ms=at_ms)
                    change.tally(tallies[subject])

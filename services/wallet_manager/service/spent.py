"""What was spent under a cap, loaded for a round and given back when it did not happen (H14)."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from services.wallet_manager.domain.caps import (
    BUCKET_MS,
    BUCKETS,
    counted,
    subjects_of,
)
from services.wallet_manager.domain.sends import Attempt, Send
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import SPENT
from shared.models.wallet_sends import SendState
from shared.storage import MAX_ROWS, Tally

OPERATORS_TO_PROVE: Final = 2
"""Node operators that have to agree before an absence is proved (hazard H1)."""


class SpentBack:
    """Gives back what an attempt was counted with, once a verdict says that it did not happen.

    It is given back in the commit that stores the verdict, and only by a final negative one.
    """

    def __init__(self, tallies: dict[str, Tally]) -> None:
        self._tallies = tallies
        self._changed: set[str] = set()

    @classmethod
    async def load(cls, store: WalletStore, sends: Iterable[Send]) -> "SpentBack":
        """Load every sum that these sends may have been counted in."""
        return cls(
            await load_tallies(store, [subject for send in sends for subject in subjects_of(send)])
        )

    def settle(self, before: Send, attempt: Attempt, after: Send, *, operators: int) -> None:
        """Take back the amount of an attempt that ended, and its fee if it never reached a block.

        What did not happen on the word of one operator alone stays counted: were that a lie, it is paid,
        and with the next attempts the caps would be passed (hazard H1).
        """
        if attempt.number != before.attempt or before.state is SendState.QUEUED:
            return
        if operators < OPERATORS_TO_PROVE:
            return
        match after.state:
            case SendState.QUEUED | SendState.EXPIRED:
                self._back(before, attempt, keeps_fee=False)
            case SendState.FAILED:
                self._back(before, attempt, keeps_fee=True)

    def write(self, change: Change) -> None:
        """Store what was given back."""
        for subject in sorted(self._changed):
            change.tally(self._tallies[subject])

    def _back(self, send: Send, attempt: Attempt, *, keeps_fee: bool) -> None:
        spent = counted(_as_counted(send), send.hold)
        for subject, amount in spent.items():
            if keeps_fee and subject.endswith("|fees"):
                continue
            tally = self._tallies[subject]
            bucket = dict(tally.buckets).get(attempt.counted_ms // tally.width_ms, 0)
            if attempt.counted_ms and bucket:
                back = tally.give_back(min(amount, bucket), added_ms=attempt.counted_ms)
                self._tallies[subject] = back
                self._changed.add(subject)


async def load_tallies(store: WalletStore, subjects: Iterable[str]) -> dict[str, Tally]:
    """Return what was spent by subject, empty sums included."""
    wanted = sorted(set(subjects))
    found: dict[str, Tally] = {}
    for start in range(0, len(wanted), MAX_ROWS):
        found |= await store.storage.get_many(SPENT, wanted[start : start + MAX_ROWS])
    empty = {
        one: Tally.begin(one, width_ms=BUCKET_MS, kept=BUCKETS)
        for one in wanted
        if one not in found
    }
    return found | empty


def _as_counted(send: Send) -> Send:
    """Return the send as it was when its attempt was counted: before the attempt."""
    return replace(send, attempt=send.attempt - 1)

"""Sums over windows of time, for limits that hold whoever adds at the same moment.

What was spent under a limit is one versioned record that holds its recent past in buckets of equal
width. Whoever adds to it loads it, judges the sum, and stores it in the unit that stores what the
limit is about: of two that judged the same sum, one has to look again (hazard H14).

A bucket is counted whole or not at all. A period that is a multiple of the bucket's width, such as a
UTC day in hours, is therefore summed exactly, and a rolling window never too low: what was spent
counts up to one bucket's width longer than the window.

Time only moves forward: at an earlier time than that of the newest bucket, the sums are those of the
newest bucket and so is what is added, so that a clock set back opens no window again (hazard H2).
"""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

from shared.storage.schema import Collection, Index
from shared.storage.unit import Unit

MAX_BUCKETS: Final = 1_000
"""The most buckets of one tally: 41 days of hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one subject has spent lately; ``begin`` makes the first of a subject.

    Attributes:
        id: the subject, such as a recipient and a currency.
        version: of the record.
        width_ms: width of a bucket; bucket ``n`` begins at ``n * width_ms`` since the epoch.
        kept: how many buckets reach back from the newest, itself included.
        buckets: number and sum of those that are not empty, oldest first.
        over_ms: when the newest bucket falls out of every window; 0 while there is none.
    """

    id: str
    version: int = 0
    width_ms: int
    kept: int
    buckets: tuple[tuple[int, int], ...] = ()
    over_ms: int = 0

    def __post_init__(self) -> None:
        if self.width_ms < 1 or not 1 <= self.kept <= MAX_BUCKETS:
            raise ValueError(f"a tally keeps 1 to {MAX_BUCKETS} buckets of some width")
        numbers = [number for number, _ in self.buckets]
        if numbers != sorted(set(numbers)) or any(total < 0 for _, total in self.buckets):
            raise ValueError("buckets are in order, and their sums are not negative")

    @classmethod
    def begin(cls, subject: str, *, width_ms: int, kept: int) -> Self:
        """Make the tally of a subject that has spent nothing."""
        return cls(id=subject, width_ms=width_ms, kept=kept)

    def time(self, at_ms: int) -> int:
        """Return the time that counts for the tally: never before its newest bucket."""
        return max(at_ms, self.buckets[-1][0] * self.width_ms) if self.buckets else at_ms

    def since(self, start_ms: int, *, at_ms: int) -> int:
        """Sum the buckets that end after a moment.

        Args:
            start_ms: the moment, such as the beginning of a month.
            at_ms: the time now, by the clock that the moment was taken from.

        Raises:
            ValueError: the buckets do not reach back that far.
        """
        first = start_ms // self.width_ms
        if at_ms // self.width_ms - first >= self.kept:
            raise ValueError(
                f"{self.kept} buckets of {self.width_ms} ms are shorter than the window"
            )
        return sum(total for number, total in self.buckets if number >= first)

    def rolling(self, length_ms: int, *, at_ms: int) -> int:
        """Sum the last so many milliseconds, never too low.

        Raises:
            ValueError: the buckets do not reach back that far.
        """
        now_ms = self.time(at_ms)
        return self.since(now_ms - length_ms, at_ms=now_ms)

    def period(self, length_ms: int, *, at_ms: int) -> int:
        """Sum the current one of the periods that follow each other from the epoch: UTC hours, days.

        Raises:
            ValueError: the period is no multiple of the width, or the buckets are fewer.
        """
        if length_ms < self.width_ms or length_ms % self.width_ms:
            raise ValueError(f"a period of {length_ms} ms is no multiple of {self.width_ms} ms")
        now_ms = self.time(at_ms)
        return self.since(now_ms - now_ms % length_ms, at_ms=now_ms)

    def add(self, amount: int, *, at_ms: int) -> Self:
        """Count an amount as spent at a time, and drop the buckets that are out of reach.

        Raises:
            ValueError: the amount is negative.
        """
        if amount < 0:
            raise ValueError("what is spent is not negative; give back what was added")
        newest = self.time(at_ms) // self.width_ms
        return self._with(newest, dict(self.buckets).get(newest, 0) + amount, newest)

    def give_back(self, amount: int, *, added_ms: int) -> Self:
        """Take out again what ``add`` counted; nothing is left of it once its bucket is dropped.

        Args:
            amount: what was added.
            added_ms: what ``time`` returned when it was.

        Raises:
            ValueError: the amount is negative, or more than was added then.
        """
        number = added_ms // self.width_ms
        known = dict(self.buckets)
        if number not in known:
            return self
        if not 0 <= amount <= known[number]:
            raise ValueError(f"{amount} was not added, only {known[number]}")
        return self._with(number, known[number] - amount, self.buckets[-1][0])

    def put(self, unit: Unit, collection: Collection[Any]) -> Unit:
        """Store the tally with a unit, on the condition that nobody else did since it was loaded."""
        return unit.update(collection, self) if self.version else unit.insert(collection, self)

    def _with(self, number: int, total: int, newest: int) -> Self:
        known = dict(self.buckets) | {number: total}
        reach = newest - self.kept
        buckets = tuple(sorted(each for each in known.items() if each[0] > reach))
        return replace(self, buckets=buckets, over_ms=(newest + self.kept) * self.width_ms)


def tallies(name: str) -> Collection[Tally]:
    """Return a collection of tallies.

    Its index ``over`` is for retention: ``prune(…, "over", at_most=…)`` removes tallies whose every
    bucket is out of reach. Leave a margin for the clock: a removed tally has forgotten its time.
    """
    return Collection(name, Tally, (Index("over", ("over_ms",)),))

"""What the chain says an account has, against what the books say it had at that moment."""

from dataclasses import dataclass, replace
from typing import Final

from shared.errors import Conflict
from shared.money import Currency
from shared.tron.address import Address


class NotBookable(Conflict):
    """There is no such difference between the books and the chain, or not for long enough."""

    code = "LUCID_ERR_9362"
    title = "No such difference"


PATIENCE: Final = 3
"""Looks in a row that find a difference before a person is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a node said of an account at its head.

    Attributes:
        account: an address, or one of its accounts: ``staked:…``, ``unfreezing:…``.
        amount: sun or base units of the token.
        height: of the head; ``at_ms`` its time.
    """

    account: str
    currency: Currency
    amount: int
    height: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How an account compared, the last time that the books had come to the measured block.

    Attributes:
        id: ``account:currency``.
        owner: the address whose account it is.
        books: what the journal says it had at that block.
        chain: what the node said.
        in_flight: what transactions without a verdict may have taken by then.
        looks: how many looks in a row found a difference that this does not explain.
        since_height: block of the first of them; ``since_ms`` its time.
        height: block of the last look; ``at_ms`` its time.
    """

    id: str
    version: int = 0
    owner: Address
    currency: Currency
    books: int
    chain: int
    in_flight: int
    looks: int = 0
    since_height: int | None = None
    since_ms: int | None = None
    height: int
    at_ms: int

    @property
    def difference(self) -> int:
        """What the chain has more than the books; below zero when money is missing."""
        return self.chain - self.books

    @property
    def is_explained(self) -> bool:
        """True when what is in flight accounts for the difference."""
        return -self.in_flight <= self.difference <= 0

    @property
    def wants_a_person(self) -> bool:
        """True when it was seen often enough to be no accident."""
        return self.looks >= PATIENCE

    def require(self, difference: int) -> None:
        """Raise NotBookable unless this difference was found often enough."""
        if not self.wants_a_person or self.difference != difference:
            raise NotBookable(
                "the last look did not find that difference, or it was found too rarely",
                difference_base_units=str(self.difference),
                looks=self.looks,
                needed_looks=PATIENCE,
            )

    def settled(self) -> "Finding":
        """Return the finding after its difference was booked."""
        return replace(self, books=self.chain, looks=0, since_height=None, since_ms=None)

    def causes(self) -> tuple[str, ...]:
        """Return what may be behind it, the likeliest first."""
        if self.is_explained:
            return ()
        if self.difference > 0:
            return (
                "a transfer to this address that the scan has not told of",
                "income without a transfer: rewards, or TRX that came back from staking",
                "a send whose books are too high: an energy fee that was given back",
            )
        return (
            "a transaction that was signed elsewhere with this key",
            "a send that took more than its receipt told: a fee or a token's own charge",
            "a transaction whose record was lost and that waits to be claimed",
        )


def compare(
    before: Finding | None, measured: Measured, *, owner: Address, books: int, in_flight: int
) -> Finding:
    """Return the finding of a look, counting on from the one before."""
    now = Finding(
        id=f"{measured.account}:{measured.currency}",
        version=before.version if before else 0,
        owner=owner,
        currency=measured.currency,
        books=books,
        chain=measured.amount,
        in_flight=in_flight,
        height=measured.height,
        at_ms=measured.at_ms,
    )
    if now.is_explained:
        return now
    if before is None or before.is_explained:
        return replace(now, looks=1, since_height=now.height, since_ms=now.at_ms)
    return replace(
        now,
        looks=before.looks + 1,
        since_height=before.since_height,
        since_ms=before.since_ms,
    )

"""Who lends which stake to whom, and until when (java-tron's DelegatedResourceStore and index)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from devnet.chain_pb2 import ENERGY
from devnet.state import State

_LOAN = "loan"
_BORROWERS = "loan_borrowers"
_LENDERS = "loan_lenders"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """Stake that one account lends to another, locked or not; nothing locked has no expiry."""

    net_sun: int = 0
    net_expires_ms: int = 0
    energy_sun: int = 0
    energy_expires_ms: int = 0

    def amount_sun(self, resource: int) -> int:
        """The part for one resource."""
        return self.energy_sun if resource == ENERGY else self.net_sun

    def expires_ms(self, resource: int) -> int:
        """When the lock of one resource ends."""
        return self.energy_expires_ms if resource == ENERGY else self.net_expires_ms

    def changed(self, resource: int, change_sun: int, expires_ms: int) -> Loan:
        """More or less of one resource, and another end of its lock."""
        if resource == ENERGY:
            return replace(
                self, energy_sun=self.energy_sun + change_sun, energy_expires_ms=expires_ms
            )
        return replace(self, net_sun=self.net_sun + change_sun, net_expires_ms=expires_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A lender and a borrower."""

    lender: bytes
    borrower: bytes

    def loan(self, state: State, *, locked: bool) -> Loan | None:
        """The record of what is lent with a lock, or of what is lent without."""
        found: Loan | None = state.get((_LOAN, self._key(locked=locked)))
        return found

    def put_loan(self, state: State, loan: Loan, *, locked: bool) -> None:
        """Keep a record; an empty one is dropped."""
        kept = loan if loan.net_sun or loan.energy_sun else None
        state.put((_LOAN, self._key(locked=locked)), kept)

    def unlocked_sun(self, state: State, resource: int, now_ms: int) -> int:
        """What may be taken back: lent without a lock, or with one that ended before now."""
        free, locked = self.loan(state, locked=False), self.loan(state, locked=True)
        amount_sun = 0 if free is None else free.amount_sun(resource)
        if locked is not None and locked.expires_ms(resource) < now_ms:
            amount_sun += locked.amount_sun(resource)
        return amount_sun

    def unlock_expired(self, state: State, now_ms: int) -> None:
        """Move what is no longer locked to the other record (unLockExpireResource)."""
        locked = self.loan(state, locked=True)
        if locked is None:
            return
        free = self.loan(state, locked=False) or Loan()
        if locked.energy_expires_ms < now_ms:
            free = replace(free, energy_sun=free.energy_sun + locked.energy_sun)
            locked = replace(locked, energy_sun=0, energy_expires_ms=0)
        if locked.net_expires_ms < now_ms:
            free = replace(free, net_sun=free.net_sun + locked.net_sun)
            locked = replace(locked, net_sun=0, net_expires_ms=0)
        self.put_loan(state, free, locked=False)
        self.put_loan(state, locked, locked=True)

    def enter(self, state: State) -> None:
        """Put both into each other's list, last."""
        for key, other in self._places():
            others: tuple[bytes, ...] = state.get(key) or ()
            state.put(key, (*(each for each in others if each != other), other))

    def leave(self, state: State) -> None:
        """Take both out of each other's list."""
        for key, other in self._places():
            others: tuple[bytes, ...] = state.get(key) or ()
            state.put(key, tuple(each for each in others if each != other) or None)

    def _places(self) -> tuple[tuple[tuple[str, bytes], bytes], ...]:
        return ((_BORROWERS, self.lender), self.borrower), ((_LENDERS, self.borrower), self.lender)

    def _key(self, *, locked: bool) -> bytes:
        return self.lender + self.borrower + bytes([locked])


def borrowers(state: State, lender: bytes) -> tuple[bytes, ...]:
    """To whom an account lends, in the order of the latest loans."""
    return state.get((_BORROWERS, lender)) or ()


def lenders(state: State, borrower: bytes) -> tuple[bytes, ...]:
    """Who lends to an account, in the order of the latest loans."""
    return state.get((_LENDERS, borrower)) or ()

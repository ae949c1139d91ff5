"""The positions that one commit changes."""

from collections.abc import Iterable

from services.wallet_manager.domain.books import Position, Posting, position_id
from services.wallet_manager.domain.sends import Hold
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from shared.money import Currency
from shared.tron.address import Address


class Ledger:
    """Positions as they were loaded, and as they are to be stored."""

    def __init__(self, store: WalletStore) -> None:
        self._store = store
        self._loaded: dict[str, Position] = {}
        self._changed: dict[str, Position] = {}

    async def load(self, pairs: Iterable[tuple[str, Currency]]) -> None:
        """Load positions, besides those that are loaded."""
        missing = [pair for pair in pairs if position_id(*pair) not in self._loaded]
        self._loaded |= await self._store.positions(missing)

    def book(self, postings: Iterable[Posting]) -> None:
        """Book the postings whose account is a position that was loaded."""
        for posting in postings:
            id_ = f"{posting.account}:{posting.currency}"
            if id_ in self._loaded:
                self._set(self._loaded[id_].book(posting.amount))

    def release(self, owner: Address, hold: Hold) -> None:
        """Give a hold back; raises Overdrawn if it was never taken."""
        for currency in Currency:
            if amount := hold.of(currency):
                self._set(self._loaded[position_id(owner, currency)].release(amount))

    def reserve(self, owner: Address, hold: Hold) -> None:
        """Set aside what a transaction may take that left already, covered or not."""
        for currency in Currency:
            if amount := hold.of(currency):
                self._set(self._loaded[position_id(owner, currency)].reserve(amount))

    def write(self, change: Change) -> None:
        """Store what changed with a change."""
        for position in self._changed.values():
            change.position(position)

    def _set(self, position: Position) -> None:
        self._loaded[position.id] = position
        self._changed[position.id] = position

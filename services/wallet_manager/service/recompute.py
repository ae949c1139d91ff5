"""Every balance computed again from the journal and from the sends under way."""

from typing import Final

from services.wallet_manager.domain.books import Position, Recomputed, Wrong
from services.wallet_manager.store import WalletStore

PAGE: Final = 1_000
TRIES: Final = 5
"""Times that a position is read again that changed while its journal was added up."""


class Recompute:
    """Compares positions with what they are made of; changes nothing."""

    def __init__(self, store: WalletStore) -> None:
        self._store = store

    async def all(self) -> Recomputed:
        """Compute every position again."""
        wrong: list[Wrong] = []
        count, cursor = 0, None
        while True:
            page = await self._store.all_positions(cursor=cursor, limit=PAGE)
            looked_at = [await self._look(position) for position in page.items]
            wrong += [found for found in looked_at if found is not None]
            count += len(page.items)
            cursor = page.next
            if cursor is None:
                return Recomputed(positions=count, wrong=tuple(wrong))

    async def _look(self, position: Position) -> Wrong | None:
        """Return what is wrong with a position; one that never stands still is passed over."""
        for _ in range(TRIES):
            settled = await self._settled(position)
            held = await self._held(position)
            pair = (position.account, position.currency)
            after = (await self._store.positions([pair]))[position.id]
            if after.version == position.version:
                is_right = (settled, held) == (position.settled, position.held)
                return None if is_right else Wrong(position=position, settled=settled, held=held)
            position = after
        return None

    async def _settled(self, position: Position) -> int:
        total, cursor = 0, None
        while True:
            page = await self._store.journal(position.account, cursor=cursor, limit=PAGE)
            total += sum(line.amount for line in page.items if line.currency is position.currency)
            cursor = page.next
            if cursor is None:
                return total

    async def _held(self, position: Position) -> int:
        if position.account != position.address:
            return 0
        sends = await self._store.under_way(position.address)
        claims = await self._store.open_claims_of(position.address)
        holds = [*(send.hold for send in sends), *(claim.hold for claim in claims)]
        return sum(hold.of(position.currency) for hold in holds)

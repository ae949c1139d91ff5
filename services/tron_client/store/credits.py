"""Credits that wait to be borne out, and what was credited on one operator's word."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.tron_client.domain.credits import Doubt
from services.tron_client.domain.transfers import Transfer
from services.tron_client.store import ChainStore
from services.tron_client.store.balances import BalanceStore
from services.tron_client.store.schema import DOUBTS, ONE_WORD_SUMS, TRANSFERS
from shared.storage import Unit
from shared.storage.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A doubt that is over, with the transfer it was about if that is confirmed now."""

    doubt: Doubt
    transfer: Transfer | None
    sums: tuple[Tally, ...] = ()


class CreditStore:
    """Records of credits in doubt."""

    def __init__(self, store: ChainStore) -> None:
        self._store = store

    async def due(self, *, now_ms: int, limit: int) -> list[Doubt]:
        """Return the doubts to look at again, the longest due first."""
        page = await self._store.storage.list(DOUBTS, "next", at_most=now_ms, limit=limit)
        return page.items

    async def count(self) -> int:
        """Count the credits that wait."""
        return await self._store.storage.count(DOUBTS, "next")

    async def doubts(self, ids: Sequence[str]) -> dict[str, Doubt]:
        """Return those of any number of transfers that are in doubt."""
        return await self._store.many(DOUBTS, ids)

    async def transfer(self, transfer_id: str) -> Transfer | None:
        """Return a transfer as it is stored."""
        return await self._store.storage.get(TRANSFERS, transfer_id)

    async def others_of(self, transfer: Transfer) -> list[Transfer] | None:
        """Return the transfers from and to a transfer's recipient; None when they are too many."""
        return await BalanceStore(self._store).transfers_of(transfer.recipient)

    async def sums(self, ids: Sequence[str]) -> dict[str, Tally]:
        """Return what was credited on one word, by currency."""
        return await self._store.many(ONE_WORD_SUMS, ids)

    async def wait(self, doubt: Doubt) -> None:
        """Store a doubt that goes on."""
        await self._store.storage.commit(Unit().update(DOUBTS, doubt))

    async def release(self, release: Release) -> None:
        """End a doubt and tell of the confirmed transfer, together."""
        unit = Unit().delete(DOUBTS, release.doubt)
        if release.transfer is not None:
            self._store.put_transfer(unit, release.transfer)
        self._store.put_doubts(unit, (), release.sums)
        await self._store.storage.commit(unit)

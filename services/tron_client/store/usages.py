"""What was asked of the nodes today."""

from collections.abc import Iterable

from services.tron_client.domain.budgets import Usage
from services.tron_client.store import ChainStore
from services.tron_client.store.schema import USAGES
from shared.storage import Unit, written


class UsageStore:
    """One record for each endpoint."""

    def __init__(self, store: ChainStore) -> None:
        self._store = store

    async def load(self, endpoints: Iterable[str]) -> dict[str, Usage]:
        """Return what is stored, by the name of the endpoint."""
        return await self._store.storage.get_many(USAGES, sorted(endpoints))

    async def save(self, usages: Iterable[Usage]) -> list[Usage]:
        """Store them in one commit and return them as stored."""
        unit, changed = Unit(), list(usages)
        for each in changed:
            self._store.put(unit, USAGES, each)
        await self._store.storage.commit(unit)
        return [written(each) for each in changed]

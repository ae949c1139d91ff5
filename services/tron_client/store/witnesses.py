"""The witnesses as they are known."""

from services.tron_client.domain.witnesses import SET_ID, WitnessSet
from services.tron_client.store import ChainStore
from services.tron_client.store.schema import WITNESSES
from shared.storage import Unit, written


class WitnessStore:
    """The one record of who may sign blocks."""

    def __init__(self, store: ChainStore) -> None:
        self._store = store

    async def load(self) -> WitnessSet | None:
        """Return what is stored, None before anything was learned."""
        return await self._store.storage.get(WITNESSES, SET_ID)

    async def save(self, witnesses: WitnessSet) -> WitnessSet:
        """Store it and return it as stored."""
        unit = Unit()
        self._store.put(unit, WITNESSES, witnesses)
        await self._store.storage.commit(unit)
        return written(witnesses)

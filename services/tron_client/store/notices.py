"""Notices that wait for the alarms to hear of them, and the chain parameters as last read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.tron_client.domain.notices import Notice, parameter_notices
from services.tron_client.domain.parameters import READING_ID, Reading
from services.tron_client.store import ChainStore
from services.tron_client.store.schema import NOTICES, READINGS
from shared.storage import MAX_ROWS, Unit


class NoticeStore:
    """Records of what somebody must know of."""

    def __init__(self, store: ChainStore) -> None:
        self._store = store

    async def waiting(self) -> list[Notice]:
        """Return notices that were not announced yet, oldest first, a page at most."""
        page = await self._store.storage.list(NOTICES, "announced", 0, limit=MAX_ROWS)
        return page.items

    async def announced(self, heard: Sequence[Notice]) -> None:
        """Note that the alarms have heard of them."""
        unit = Unit()
        for notice in heard:
            unit.update(NOTICES, notice.announced())
        await self._store.storage.commit(unit)

    async def prune(self, *, before_ms: int, now_ms: int) -> int:
        """Drop announced notices of that age; returns how many, a page at most."""
        return await self._store.storage.prune(
            NOTICES, "announced", 1, at_most=before_ms, limit=MAX_ROWS, now_ms=now_ms
        )

    async def note_parameters(self, values: Mapping[str, int], *, now_ms: int) -> None:
        """Compare with what was read before; a change is stored with the notice that tells of it."""
        before = await self._store.storage.get(READINGS, READING_ID)
        if before is not None and before.values == values:
            return
        unit = Unit()
        if before is None:
            unit.insert(READINGS, Reading(values=dict(values), read_at_ms=now_ms))
        else:
            unit.update(READINGS, replace(before, values=dict(values), read_at_ms=now_ms))
            for notice in parameter_notices(
                before.values, values, reading=before.version, now_ms=now_ms
            ):
                self._store.put_notice(unit, notice)
        await self._store.storage.commit(unit)

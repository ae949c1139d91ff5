"""Holds signed bytes back when somebody said so: in memory, in the database, or by a file (H23)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from services.tron_client.domain.broadcasting import Broadcasting
from services.tron_client.store import ChainStore
from shared.clock import Clock
from shared.logs import get_logger
from shared.storage import written
from shared.tron.address import Address

log = get_logger(__name__)

_BY_FILE = "the file that stops broadcasting is there"


class BroadcastGate:
    """Whether bytes may go out; any one of memory, database and file suffices to stop them."""

    def __init__(
        self, *, store: ChainStore, clock: Clock, is_stopped_by_file: Callable[[], bool]
    ) -> None:
        self._store = store
        self._clock = clock
        self._is_stopped_by_file = is_stopped_by_file
        self._state = Broadcasting()
        self._lock = asyncio.Lock()

    @property
    def state(self) -> Broadcasting:
        """What was said last."""
        return self._state

    async def load(self) -> None:
        """Take up what is stored."""
        self._state = await self._store.broadcasting() or self._state

    def is_shut(self) -> bool:
        """True when everybody's bytes are held back."""
        return self._state.reason is not None or self._is_stopped_by_file()

    def reason_for(self, owner: Address) -> str | None:
        """Say why the bytes of an owner are held back, or None."""
        if self._is_stopped_by_file():
            return _BY_FILE
        return self._state.reason_for(owner)

    async def stop(self, owners: Sequence[Address], *, reason: str, by: str) -> None:
        """Hold bytes back, at once; then also across restarts.

        Raises:
            StorageError: it could not be stored; it holds for this process all the same.
        """
        async with self._lock:
            stopped = self._state.stopped(owners, reason=reason, by=by, at_ms=self._clock.now_ms())
            self._state = stopped
            log.warning("broadcasting.stopped", by=by, reason=reason, owners=len(owners) or "all")
            await self._save(stopped)

    async def release(self, owners: Sequence[Address], *, by: str, reason: str) -> None:
        """Let bytes go again, once that is stored; a file has to be removed by hand."""
        async with self._lock:
            released = self._state.released(owners, by=by, at_ms=self._clock.now_ms())
            await self._save(released)
            log.warning("broadcasting.released", by=by, reason=reason, owners=len(owners) or "all")

    async def _save(self, state: Broadcasting) -> None:
        """Store the switch over what is stored, which nobody can tell after a failure."""
        stored = await self._store.broadcasting()
        state = replace(state, version=stored.version if stored else 0)
        await self._store.save_broadcasting(state)
        self._state = written(state)

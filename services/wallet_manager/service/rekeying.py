"""One master key after another: announced, every record rewrapped, the files settled, the ring moved on.

Each step is stored before the next begins, and doing one twice changes nothing: whoever has the newest
master key finishes what was broken off anywhere.
"""

import asyncio
from dataclasses import replace
from typing import Final

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import KEY_RINGS, SECRETS
from services.wallet_manager.vault import KeyRing, WrongMasterKey, wipe
from services.wallet_manager.vault.keyfiles import KeyFiles
from services.wallet_manager.vault.records import Argon2
from services.wallet_manager.vault.wrapping import generation_of, key_before, rewrapped
from shared.logs import get_logger
from shared.storage import Unit, written

log = get_logger(__name__)

SUBJECT: Final = "vault"


class Rekeying:
    """The steps of a re-key; its caller sees to it that one is made at a time."""

    def __init__(self, *, store: WalletStore, audit: Audit, files: KeyFiles, network: str) -> None:
        self._store = store
        self._audit = audit
        self._files = files
        self._network = network

    async def begun(
        self,
        ring: KeyRing,
        old: bytearray,
        new: bytearray,
        argon2: Argon2 | None,
        *,
        by: str,
        why: str,
    ) -> KeyRing:
        """Announce the next master key, with the one before sealed under it; returns the ring."""
        number = ring.current.number + 1
        coming = generation_of(new, network=self._network, number=number, argon2=argon2, before=old)
        begun = replace(ring, next=coming)
        begins = self._audit.decision(
            Act.VAULT_REKEYED, SUBJECT, who=by, why=why, step="begun", generation=number
        )
        await self._store.record(Unit().update(KEY_RINGS, begun), [begins])
        return written(begun)

    async def finished(self, ring: KeyRing, key: bytearray) -> KeyRing:
        """Rewrap what a re-key left, oldest first; the ring moves on after the last one.

        Args:
            ring: as it is stored; without a next master key it is returned as it is.
            key: the newest master key.

        Raises:
            WrongMasterKey: the next master key or a record is not what a re-key wrote.
        """
        coming = ring.next
        if coming is None:
            return ring
        old = key_before(key, coming, network=self._network)
        if old is None:
            raise WrongMasterKey("the next master key has no link to the one before")
        while records := await self._store.sealed_secrets(up_to=ring.current.number):
            for record in records:
                moved = rewrapped(
                    record, old=old, new=key, network=self._network, generation=coming.number
                )
                await self._store.storage.commit(Unit().update(SECRETS, moved))
        await asyncio.to_thread(self._settle_files, ring, old, key)
        done = replace(ring, current=replace(coming, link=None), next=None)
        ends = self._audit.decision(
            Act.VAULT_REKEYED, SUBJECT, step="done", generation=coming.number
        )
        await self._store.record(Unit().update(KEY_RINGS, done), [ends])
        wipe(old)
        log.warning("vault.rekeyed", generation=coming.number)
        return written(done)

    def _settle_files(self, ring: KeyRing, old: bytearray, new: bytearray) -> None:
        if ring.newest.argon2 is None:
            self._files.take_next(new, old=old, replaced=ring.current.number)
        else:
            self._files.retire(old, replaced=ring.current.number)

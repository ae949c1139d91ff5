"""Opens and locks the vault, and replaces its master key record by record."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from services.wallet_manager.domain.audit import Act, Decision
from services.wallet_manager.domain.sends import Hold, Send
from services.wallet_manager.domain.unlocking import WrongPassphrase, require_strong
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.guard import Objection
from services.wallet_manager.store import KEY_RINGS, SECRETS, UNLOCK_TRIES, Change, WalletStore
from services.wallet_manager.vault import KeyRing, Vault, WrongMasterKey, migrated, wipe
from services.wallet_manager.vault.keyfiles import KeyFiles
from services.wallet_manager.vault.records import Argon2
from services.wallet_manager.vault.wrapping import (
    MASTER_KEY_BYTES,
    fits,
    generation_of,
    key_before,
    new_argon2,
    rewrapped,
    stretch,
)
from shared.clock import Clock, rfc3339
from shared.config import ConfigurationMissing
from shared.errors import Conflict
from shared.logs import get_logger
from shared.storage import Unit, written

log = get_logger(__name__)

SUBJECT = "vault"
LOCKED = "the vault is locked: nothing is signed until its owner unlocks it"


class NeedsPassphrase(Conflict):
    """The master key is made of a passphrase, which was not given."""

    code = "LUCID_ERR_9344"
    title = "Passphrase needed"


class Keeper:
    """Stands between the vault and its owner; one change at a time.

    Args:
        unlock_ms: how long an unlock lasts; 0 is until it is locked.
        memory_mib: what a new passphrase costs to try.
    """

    def __init__(
        self,
        *,
        store: WalletStore,
        vault: Vault,
        audit: Audit,
        clock: Clock,
        files: KeyFiles,
        network: str,
        memory_mib: int,
        unlock_ms: int,
    ) -> None:
        self._store = store
        self._vault = vault
        self._audit = audit
        self._clock = clock
        self._files = files
        self._network = network
        self._memory_mib = memory_mib
        self._unlock_ms = unlock_ms
        self._until_ms: int | None = None
        self._ring: KeyRing | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Open the vault if its key lies in a file; else leave it locked.

        A seed of the first format is resealed, and a re-key that was broken off is finished.

        Raises:
            ConfigurationMissing: there is no seed, or no file with its master key.
        """
        async with self._turn:
            ring = self._ring = await self._loaded()
            if ring.newest.argon2 is None:
                key = await asyncio.to_thread(self._key_in_files, ring)
                await self._open(ring, key)
            self._log_standing()

    def reason(self) -> str | None:
        """Say that the vault is locked, or None; ends an unlock whose time is over."""
        if self._until_ms is not None and self._clock.now_ms() >= self._until_ms:
            self._vault.lock()
        return None if self._vault.is_open else LOCKED

    async def open(self, sends: Sequence[Send], *, now_ms: int) -> "KeeperDesk":
        """Ask once for a signing round."""
        del sends, now_ms
        return KeeperDesk(self.reason())

    def standing(self) -> dict[str, Any]:
        """Return what ``/status`` says of the vault."""
        is_locked = self.reason() is not None
        ring = self._ring
        return {
            "is_locked": is_locked,
            "locks_at": rfc3339(self._until_ms) if self._until_ms and not is_locked else None,
            "generation": ring and ring.newest.number,
            "is_rekeying": ring is not None and ring.next is not None,
            "has_passphrase": ring is not None and ring.newest.argon2 is not None,
        }

    async def keep_up(self) -> bool:
        """Write down that the time of an unlock is over."""
        if self._until_ms is not None and self.reason() is not None:
            self._until_ms = None
            await self._audit.note(self._decision(Act.VAULT_LOCKED, why="its time is over"))
            log.warning("vault.locked")
        return False

    async def unlock(self, passphrase: bytearray | None, *, by: str) -> None:
        """Open the vault, for a time if its key is made of a passphrase.

        Raises:
            NeedsPassphrase: none was given.
            TriedTooOften: after wrong ones.
            WrongPassphrase: it is another one.
        """
        async with self._turn:
            ring = await self._loaded()
            key = await self._key(ring, passphrase, by=by)
            await self._open(ring, key)
            await self._audit.note(self._decision(Act.VAULT_UNLOCKED, who=by))
            log.warning("vault.unlocked", by=by)

    async def lock(self, *, by: str) -> None:
        """Drop every key from memory at once, and again after an unlock that was under way.

        What was signed before is not touched.
        """
        self._vault.lock()
        async with self._turn:
            self._vault.lock()
            self._until_ms = None
            log.warning("vault.locked", by=by)
            await self._audit.note(self._decision(Act.VAULT_LOCKED, who=by))

    async def rekey(self, passphrase: bytearray | None, *, by: str) -> int:
        """Replace the master key by a fresh one; returns its generation.

        A passphrase stays and gets a fresh salt; a key in a file is drawn anew.

        Raises:
            NeedsPassphrase: as ``unlock``; so TriedTooOften and WrongPassphrase.
        """
        async with self._turn:
            ring = await self._loaded()
            old = await self._key(ring, passphrase, by=by)
            ring = await self._finish(ring, old)
            if passphrase is not None and ring.current.argon2 is not None:
                argon2 = new_argon2(self._memory_mib)
                new = await asyncio.to_thread(stretch, passphrase, argon2)
                return await self._replace(ring, old, new, argon2, by=by)
            new = bytearray(os.urandom(MASTER_KEY_BYTES))
            await asyncio.to_thread(self._files.write_next, new)
            return await self._replace(ring, old, new, None, by=by)

    async def set_passphrase(self, passphrase: bytearray, *, now: bytearray | None, by: str) -> int:
        """Let the master key be made of a passphrase from now on; returns its generation.

        Args:
            passphrase: the new one.
            now: the one in force, if there is one.
            by: who asks.

        Raises:
            WeakPassphrase: it is too short.
            NeedsPassphrase: as ``unlock``; so TriedTooOften and WrongPassphrase.
        """
        require_strong(passphrase)
        async with self._turn:
            ring = await self._loaded()
            old = await self._key(ring, now, by=by)
            ring = await self._finish(ring, old)
            argon2 = new_argon2(self._memory_mib)
            new = await asyncio.to_thread(stretch, passphrase, argon2)
            return await self._replace(ring, old, new, argon2, by=by)

    async def _loaded(self) -> KeyRing:
        ring = await self._store.key_ring()
        if ring is None:
            await self._migrate()
            ring = await self._store.key_ring()
        if ring is None:
            raise ConfigurationMissing(
                "there is no seed yet: run 'python -m services init' while wallet-manager is stopped"
            )
        return ring

    async def _migrate(self) -> None:
        key = await asyncio.to_thread(self._files.current)
        first = await self._store.first_seed()
        if first is None:
            return
        await self._store.found(migrated(key, first, network=self._network), replaces=first)
        wipe(key)
        log.info("vault.resealed")

    def _key_in_files(self, ring: KeyRing) -> bytearray:
        for key in self._files.every():
            if fits(key, ring.newest, network=self._network):
                return key
            wipe(key)
        wipe(self._files.current())  # says so where it is missing
        raise WrongMasterKey(
            "the seed does not open under this master key: it belongs to another installation or network"
        )

    async def _key(self, ring: KeyRing, passphrase: bytearray | None, *, by: str) -> bytearray:
        """Return the newest master key; a passphrase is counted before it is looked at."""
        newest = ring.newest
        if newest.argon2 is None:
            return await asyncio.to_thread(self._key_in_files, ring)
        if passphrase is None:
            raise NeedsPassphrase("the master key is made of a passphrase: give it")
        tries = (await self._store.tries()).one_more(now_ms=self._clock.now_ms())
        await self._store.record(_put(tries), [])
        key = await asyncio.to_thread(stretch, passphrase, newest.argon2)
        if not fits(key, newest, network=self._network):
            refused = self._decision(Act.VAULT_UNLOCK_REFUSED, who=by, failed=tries.failed)
            await self._audit.note(refused)
            raise WrongPassphrase("this is not the passphrase", failed=tries.failed)
        await self._store.record(_put(written(tries).cleared()), [])
        return key

    async def _open(self, ring: KeyRing, key: bytearray) -> None:
        await self._finish(ring, key)
        self._vault.open(key, await self._store.sealed_secrets())
        self._begin_time(ring)
        wipe(key)

    def _begin_time(self, ring: KeyRing) -> None:
        is_timed = self._unlock_ms and ring.newest.argon2 is not None
        self._until_ms = self._clock.now_ms() + self._unlock_ms if is_timed else None

    async def _replace(
        self,
        ring: KeyRing,
        old: bytearray,
        new: bytearray,
        argon2: Argon2 | None,
        *,
        by: str,
    ) -> int:
        number = ring.current.number + 1
        coming = generation_of(new, network=self._network, number=number, argon2=argon2, before=old)
        begun = replace(ring, next=coming)
        begins = self._decision(Act.VAULT_REKEYED, who=by, why="begun", generation=number)
        await self._store.record(Unit().update(KEY_RINGS, begun), [begins])
        self._ring = written(begun)
        done = await self._finish(written(begun), new)
        if self._vault.is_open:
            self._begin_time(done)
        wipe(old, new)
        return number

    async def _finish(self, ring: KeyRing, key: bytearray) -> KeyRing:
        """Rewrap what a re-key left, oldest first; the ring moves on after the last one."""
        coming = ring.next
        if coming is None:
            self._ring = ring
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
        ends = self._decision(Act.VAULT_REKEYED, why="done", generation=coming.number)
        await self._store.record(Unit().update(KEY_RINGS, done), [ends])
        wipe(old)
        log.warning("vault.rekeyed", generation=coming.number)
        self._ring = written(done)
        return self._ring

    def _settle_files(self, ring: KeyRing, old: bytearray, new: bytearray) -> None:
        if ring.newest.argon2 is None:
            self._files.take_next(new, old=old, replaced=ring.current.number)
        else:
            self._files.retire(old, replaced=ring.current.number)

    def _decision(self, act: Act, **said: Any) -> Decision:
        return self._audit.decision(act, SUBJECT, **said)

    def _log_standing(self) -> None:
        if not self._vault.is_open:
            log.warning("vault.starts_locked")


class KeeperDesk:
    """One signing round: while the vault is open, or not at all."""

    def __init__(self, reason: str | None) -> None:
        self._reason = reason

    def objection(self, send: Send, hold: Hold) -> Objection | None:
        """Say that the vault is locked, or None."""
        del send, hold
        return None if self._reason is None else Objection(rule="vault", detail=self._reason)

    def take(self, send: Send, hold: Hold) -> None:
        """Count nothing."""

    def write(self, change: Change) -> None:
        """Store nothing."""


def _put(tries: Any) -> Unit:
    unit = Unit()
    return (unit.update if tries.version else unit.insert)(UNLOCK_TRIES, tries)

"""Attempts to open the vault, or to have it sign, without what its owner has."""

import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.sends import Hold, Send
from services.wallet_manager.domain.unlocking import LOCK_OUT_AFTER, LOCK_OUT_MS, Tries
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.guard import Objection
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.changes import Change
from services.wallet_manager.store.schema import KEY_RINGS, SECRETS
from services.wallet_manager.vault import Vault, VaultLocked, WrongMasterKey
from services.wallet_manager.vault.records import KeyRing
from services.wallet_manager.vault.wrapping import generation_of, new_argon2, stretch
from shared.config import ConfigurationMissing
from shared.models.wallet_sends import SendState
from shared.storage import Unit
from tests.services.wallet_manager.safe import (
    LEAST_MEMORY_MIB,
    Fuse,
    Killed,
    Safe,
    founded_in,
    key_path,
    safe_in,
    secret,
)
from tests.services.wallet_manager.till import Chain, intent, open_storage, rules, till_on
from tests.support import START_MS

MINE = b"a passphrase of the thief"


@pytest.fixture
async def safe(tmp_path: Path) -> AsyncIterator[Safe]:
    await founded_in(tmp_path)
    safe = await safe_in(tmp_path)
    await safe.keeper.start()
    yield safe
    await safe.storage.close()


async def ring_of(safe: Safe) -> KeyRing:
    ring = await safe.store.key_ring()
    assert ring is not None
    return ring


# The files


async def starting_says(root: Path) -> str:
    safe = await safe_in(root)
    with pytest.raises(ConfigurationMissing) as refused:
        await safe.keeper.start()
    assert not safe.vault.is_open
    await safe.storage.close()
    return str(refused.value)


async def test_a_key_file_behind_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    await founded_in(tmp_path)
    key_path(tmp_path).rename(tmp_path / "elsewhere")
    key_path(tmp_path).symlink_to(tmp_path / "elsewhere")

    assert "MASTER_KEY_FILE" in await starting_says(tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
async def test_a_key_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    await founded_in(tmp_path)
    key_path(tmp_path).chmod(mode)

    assert "chmod 600" in await starting_says(tmp_path)


@pytest.mark.parametrize("length", [0, 1, 63])
async def test_a_key_file_that_was_cut_off_is_refused_and_not_repeated(
    tmp_path: Path, length: int
) -> None:
    await founded_in(tmp_path)
    text = key_path(tmp_path).read_text()
    key_path(tmp_path).write_text(text[:length])

    said = await starting_says(tmp_path)
    assert text[:length] not in said or length < 2


async def test_a_folder_that_takes_no_new_key_stops_a_rekey_before_it_begins(
    tmp_path: Path, safe: Safe
) -> None:
    (tmp_path / "master.key.next.draft").mkdir()

    with pytest.raises(ConfigurationMissing, match="no key file can be written"):
        await safe.keeper.rekey(None, by="owner")

    ring = await ring_of(safe)
    assert (ring.current.number, ring.next) == (1, None)
    assert safe.vault.is_open


# The records


async def test_a_forged_next_generation_gets_nothing_rewrapped(tmp_path: Path, safe: Safe) -> None:
    """Who can write to the database announces a master key of their own, and knows its passphrase."""
    ring, before = await ring_of(safe), await safe.store.sealed_secrets()
    argon2 = new_argon2(LEAST_MEMORY_MIB)
    mine = stretch(bytearray(MINE), argon2)
    forged = generation_of(mine, network="devnet", number=2, argon2=argon2, before=bytes(32))
    await safe.storage.commit(Unit().update(KEY_RINGS, replace(ring, next=forged)))
    await safe.storage.close()

    again = await safe_in(tmp_path)
    await again.keeper.start()
    with pytest.raises(WrongMasterKey):
        await again.keeper.unlock(bytearray(MINE), by="thief")

    assert not again.vault.is_open
    assert await again.store.sealed_secrets() == before
    audit = Audit(store=WalletStore(again.storage), clock=again.clock)
    told = [one async for _, _, one in audit.decisions(after=1, limit=10)]
    assert [(one.act, one.who) for one in told] == [(Act.VAULT_UNLOCK_REFUSED, "thief")]
    await again.storage.close()


async def test_a_ring_of_another_key_opens_no_record(tmp_path: Path, safe: Safe) -> None:
    ring = await ring_of(safe)
    argon2 = new_argon2(LEAST_MEMORY_MIB)
    mine = stretch(bytearray(MINE), argon2)
    forged = generation_of(mine, network="devnet", number=1, argon2=argon2)
    await safe.storage.commit(Unit().update(KEY_RINGS, replace(ring, current=forged)))
    await safe.storage.close()

    again = await safe_in(tmp_path)
    await again.keeper.start()
    with pytest.raises(WrongMasterKey):
        await again.keeper.unlock(bytearray(MINE), by="thief")
    assert not again.vault.is_open
    await again.storage.close()


async def test_cheaper_parameters_make_another_key_and_not_a_cheaper_guess(
    tmp_path: Path, safe: Safe
) -> None:
    await safe.keeper.set_passphrase(secret(), now=None, by="owner")
    ring = await ring_of(safe)
    assert ring.current.argon2 is not None
    cheaper = replace(ring.current.argon2, iterations=1)
    forged = replace(ring, current=replace(ring.current, argon2=cheaper))
    await safe.storage.commit(Unit().update(KEY_RINGS, forged))
    await safe.storage.close()

    again = await safe_in(tmp_path)
    await again.keeper.start()
    with pytest.raises(Exception, match="not the passphrase"):
        await again.keeper.unlock(secret(), by="owner")
    assert not again.vault.is_open
    await again.storage.close()


@pytest.mark.parametrize("id_", ["seed", "mark"])
async def test_a_record_that_is_gone_opens_nothing(tmp_path: Path, safe: Safe, id_: str) -> None:
    known = {one.id: one for one in await safe.store.sealed_secrets()}
    await safe.storage.commit(Unit().delete(SECRETS, known[id_]))
    await safe.storage.close()

    assert "not stored" in await starting_says(tmp_path)


# The time


async def test_the_vault_itself_ends_at_its_time_whoever_asks(tmp_path: Path) -> None:
    await founded_in(tmp_path)
    safe = await safe_in(tmp_path, unlock_ms=1_000)
    await safe.keeper.start()
    await safe.keeper.set_passphrase(secret(), now=None, by="owner")
    assert safe.vault.is_open

    safe.clock.advance(milliseconds=1_000)
    with pytest.raises(VaultLocked):
        safe.vault.stamp_ms("a:b:0", 1, floor_of_ms=START_MS)
    assert repr(safe.vault) == "Vault(locked)"
    await safe.storage.close()


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("after_the_write", [False, True])
async def test_an_unlock_that_could_not_be_written_down_opens_nothing(
    tmp_path: Path, step: int, *, after_the_write: bool
) -> None:
    await founded_in(tmp_path)
    safe = await safe_in(tmp_path)
    await safe.keeper.start()
    await safe.keeper.set_passphrase(secret(), now=None, by="owner")
    await safe.storage.close()

    fuse = Fuse()
    again = await safe_in(tmp_path, fuse=fuse)
    await again.keeper.start()
    fuse.left, fuse.after_the_write = step, after_the_write
    with pytest.raises(Killed):
        await again.keeper.unlock(secret(), by="owner")
    assert not again.vault.is_open
    await again.storage.close()


def test_a_clock_that_was_set_back_does_not_lock_the_owner_out_for_ever() -> None:
    tries = Tries(failed=LOCK_OUT_AFTER, not_before_ms=START_MS + LOCK_OUT_MS)
    year_ms = 365 * 86_400_000

    again = tries.one_more(now_ms=START_MS - year_ms)

    assert again.failed == LOCK_OUT_AFTER + 1
    assert again.not_before_ms == START_MS - year_ms + LOCK_OUT_MS


# The race


class LocksInBetween:
    """A guard of whom the owner takes the keys away while a batch is being signed."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._asked = 0

    def reason(self) -> str | None:
        return None

    async def open(self, sends: Sequence[Send], *, now_ms: int) -> "LocksInBetween":
        del sends, now_ms
        return self

    def objection(self, send: Send, hold: Hold) -> Objection | None:
        del send, hold
        self._asked += 1
        if self._asked == 2:
            self._vault.lock()
        return None

    def take(self, send: Send, hold: Hold) -> None:
        """Count nothing."""

    def write(self, change: Change) -> None:
        """Store nothing."""


async def test_a_lock_in_the_middle_of_a_batch_leaves_no_signature_of_it(tmp_path: Path) -> None:
    await founded_in(tmp_path)
    safe = await safe_in(tmp_path)
    await safe.keeper.start()
    till = till_on(
        safe.storage,
        clock=safe.clock,
        chain=Chain(safe.clock),
        vault=safe.vault,
        ids=itertools.count(1),
        rules=rules(),
        guards=(LocksInBetween(safe.vault),),
    )
    await till.recovery.begin()
    await till.treasury()
    wanted = [intent(name) for name in ("one", "two")]
    for one in wanted:
        await till.taken(one)

    with pytest.raises(VaultLocked):
        await till.sender.sign_due()

    for one in wanted:
        send = await till.read(one.send_key)
        assert (send.state, send.hold) == (SendState.QUEUED, Hold())
        assert await till.attempts(send) == []
    await safe.storage.close()


async def test_two_processes_have_no_vault_in_common(tmp_path: Path, safe: Safe) -> None:
    with pytest.raises(Exception, match="open in another process"):
        await open_storage(tmp_path)
    assert safe.vault.is_open

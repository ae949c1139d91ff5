"""The master key is replaced, and a kill at any step loses nothing."""

import asyncio
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.sends import first_stamp_ms
from services.wallet_manager.domain.unlocking import WrongPassphrase
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.store import WalletStore
from services.wallet_manager.store.schema import SECRETS, WALLET_KEYS
from services.wallet_manager.vault import Imported, SealedSeed, WrongMasterKey
from services.wallet_manager.vault.sealing import first_label, seal
from services.wallet_manager.vault.wrapping import seal_secret
from shared.config import ConfigurationMissing
from shared.storage import Unit
from shared.tron.hd import AccountPublicKey, PrivateNode, phrase_from_entropy, seed_from_phrase
from shared.tron.signing import SigningKey
from tests.services.wallet_manager.safe import (
    PASSPHRASE,
    Fuse,
    Killed,
    Safe,
    founded_in,
    key_path,
    safe_in,
    secret,
    write_key,
)
from tests.services.wallet_manager.till import MASTER_KEY, open_storage
from tests.support import START_MS

ENTROPY = bytes(range(32))
ADDRESS = SigningKey(ENTROPY).address


async def seed_of_the_first_format(root: Path) -> None:
    write_key(root)
    data_key = bytes(range(32, 64))
    storage = await open_storage(root)
    seed = SealedSeed(
        network="devnet",
        wrapped_key=seal(MASTER_KEY, data_key, first_label("devnet", "seed", "data-key")),
        sealed=seal(data_key, ENTROPY, first_label("devnet", "seed", "entropy")),
        created_at_ms=START_MS,
    )
    await storage.commit(Unit().insert(WALLET_KEYS, seed))
    await storage.close()


def branch_of(words: str) -> AccountPublicKey:
    tree = PrivateNode.from_seed(seed_from_phrase(words))
    return tree.account(coin_type=1, account=0).public()


async def reopened(root: Path, passphrase: bytes | None = None) -> Safe:
    safe = await safe_in(root)
    await safe.keeper.start()
    if passphrase is not None and not safe.vault.is_open:
        await safe.keeper.unlock(secret(passphrase), by="owner")
    return safe


async def marks_of(root: Path) -> tuple[int, AccountPublicKey]:
    safe = await reopened(root)
    found = safe.mark(), safe.vault.branch(0)
    await safe.storage.close()
    return found


async def test_h6_a_seed_of_the_first_format_is_resealed_with_its_marks(tmp_path: Path) -> None:
    await seed_of_the_first_format(tmp_path)
    old_mark_key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"lucid send mark").derive(
        MASTER_KEY
    )

    safe = await reopened(tmp_path)

    assert safe.mark() == first_stamp_ms(old_mark_key, "a:b:0", 1, floor_of_ms=START_MS)
    assert safe.vault.branch(0) == branch_of(phrase_from_entropy(ENTROPY))
    assert await safe.store.first_seed() is None
    await safe.storage.close()


@pytest.mark.parametrize("after_the_write", [False, True])
async def test_a_kill_while_resealing_leaves_the_old_or_the_new(
    tmp_path: Path, *, after_the_write: bool
) -> None:
    await seed_of_the_first_format(tmp_path)
    safe = await safe_in(tmp_path, fuse=Fuse(left=1, after_the_write=after_the_write))
    with pytest.raises(Killed):
        await safe.keeper.start()
    assert (await safe.store.first_seed() is None) is after_the_write
    assert (await safe.store.key_ring() is None) is not after_the_write
    await safe.storage.close()

    assert (await marks_of(tmp_path))[1] == branch_of(phrase_from_entropy(ENTROPY))


async def test_a_seed_of_the_first_format_under_another_key_is_left_alone(tmp_path: Path) -> None:
    await seed_of_the_first_format(tmp_path)
    write_key(tmp_path, bytes(32))
    safe = await safe_in(tmp_path)

    with pytest.raises(WrongMasterKey):
        await safe.keeper.start()

    assert await safe.store.first_seed() is not None
    await safe.storage.close()


async def test_h6_a_rekey_changes_the_file_and_no_mark_and_no_address(tmp_path: Path) -> None:
    await founded_in(tmp_path)
    before = await marks_of(tmp_path)
    safe = await reopened(tmp_path)
    sealed = {record.id: record.sealed for record in await safe.store.sealed_secrets()}

    assert await safe.keeper.rekey(None, by="owner") == 2

    records = await safe.store.sealed_secrets()
    assert {record.generation for record in records} == {2}
    assert {record.id: record.sealed for record in records} == sealed
    assert (safe.mark(), safe.vault.branch(0)) == before
    await safe.storage.close()
    assert key_path(tmp_path).read_text() != MASTER_KEY.hex()
    assert key_path(tmp_path).stat().st_mode & 0o777 == 0o600
    assert await marks_of(tmp_path) == before


async def test_the_old_master_key_opens_nothing_after_a_rekey(tmp_path: Path) -> None:
    await founded_in(tmp_path)
    safe = await reopened(tmp_path)
    await safe.keeper.rekey(None, by="owner")
    await safe.storage.close()
    write_key(tmp_path)

    again = await safe_in(tmp_path)
    with pytest.raises(WrongMasterKey):
        await again.keeper.start()
    await again.storage.close()


def database(root: Path) -> Path:
    return root / "wallets.sqlite3"


def put_back(root: Path, copy: bytes) -> None:
    for left in root.glob("wallets.sqlite3*"):
        left.unlink()
    database(root).write_bytes(copy)


def old_keys(root: Path) -> list[str]:
    return sorted(path.read_text() for path in root.glob("master.key.old-*"))


async def test_a_backup_from_before_a_rekey_opens_with_the_key_that_was_kept(
    tmp_path: Path,
) -> None:
    await founded_in(tmp_path)
    before = await marks_of(tmp_path)
    copy = database(tmp_path).read_bytes()
    safe = await reopened(tmp_path)
    await safe.keeper.rekey(None, by="owner")
    await safe.storage.close()
    newer = key_path(tmp_path).read_text()
    put_back(tmp_path, copy)

    assert await marks_of(tmp_path) == before
    safe = await reopened(tmp_path)
    await safe.keeper.rekey(None, by="owner")
    await safe.storage.close()
    assert await marks_of(tmp_path) == before
    assert newer in old_keys(tmp_path)


async def test_a_backup_from_before_another_passphrase_opens_with_the_one_of_its_time(
    tmp_path: Path,
) -> None:
    other = b"staple battery horse correct"
    await founded_in(tmp_path)
    before = await marks_of(tmp_path)
    safe = await reopened(tmp_path)
    await safe.keeper.set_passphrase(secret(), now=None, by="owner")
    await safe.storage.close()
    copy = database(tmp_path).read_bytes()
    safe = await reopened(tmp_path, PASSPHRASE)
    await safe.keeper.set_passphrase(secret(other), now=secret(), by="owner")
    await safe.storage.close()
    put_back(tmp_path, copy)

    safe = await reopened(tmp_path)
    with pytest.raises(WrongPassphrase):
        await safe.keeper.unlock(secret(other), by="owner")
    await safe.keeper.unlock(secret(), by="owner")
    assert (safe.mark(), safe.vault.branch(0)) == before
    await safe.storage.close()


async def test_a_backup_from_before_the_first_passphrase_opens_with_the_key_that_was_kept(
    tmp_path: Path,
) -> None:
    await founded_in(tmp_path)
    before, copy = await marks_of(tmp_path), database(tmp_path).read_bytes()
    safe = await reopened(tmp_path)
    await safe.keeper.set_passphrase(secret(), now=None, by="owner")
    await safe.storage.close()
    put_back(tmp_path, copy)

    assert await marks_of(tmp_path) == before


async def test_a_backup_whose_key_was_thrown_away_is_refused_and_says_which(
    tmp_path: Path,
) -> None:
    await founded_in(tmp_path)
    copy = database(tmp_path).read_bytes()
    safe = await reopened(tmp_path)
    await safe.keeper.rekey(None, by="owner")
    await safe.storage.close()
    put_back(tmp_path, copy)
    (old_key,) = await asyncio.to_thread(lambda: list(tmp_path.glob("master.key.old-*")))
    old_key.unlink()

    safe = await safe_in(tmp_path)
    with pytest.raises(WrongMasterKey, match=r"generation 1.*not among the key files"):
        await safe.keeper.start()
    assert len(await safe.store.sealed_secrets()) == 2
    await safe.storage.close()


async def founded_with_a_key(root: Path) -> None:
    """Make the seed, and a wallet's key beside it."""
    await asyncio.to_thread(root.mkdir)
    await founded_in(root)
    storage = await open_storage(root)
    brought = seal_secret(
        MASTER_KEY, ENTROPY, id="wal_1", network="devnet", generation=1, at_ms=START_MS
    )
    await storage.commit(Unit().insert(SECRETS, brought))
    await storage.close()


async def steps_of_a_rekey(root: Path, passphrase: bytes | None) -> int:
    """Run one re-key without a kill and count its writes."""
    await founded_with_a_key(root)
    fuse = Fuse()
    safe = await safe_in(root, fuse=fuse)
    await safe.keeper.start()
    fuse.burnt = 0
    await change(safe, passphrase)
    await safe.storage.close()
    return fuse.burnt


async def change(safe: Safe, passphrase: bytes | None) -> None:
    if passphrase is None:
        await safe.keeper.rekey(None, by="owner")
    else:
        await safe.keeper.set_passphrase(secret(passphrase), now=None, by="owner")


@pytest.mark.parametrize("passphrase", [None, b"correct horse battery staple"])
@pytest.mark.parametrize("after_the_write", [False, True])
async def test_h25_a_rekey_killed_at_any_step_resumes_and_loses_nothing(
    tmp_path: Path, passphrase: bytes | None, *, after_the_write: bool
) -> None:
    steps = await steps_of_a_rekey(tmp_path / "whole", passphrase)
    assert steps >= 6
    for step in range(1, steps + 1):
        root = tmp_path / str(step)
        await founded_with_a_key(root)
        before = await marks_of(root)
        fuse = Fuse()
        safe = await safe_in(root, fuse=fuse)
        await safe.keeper.start()
        fuse.left, fuse.after_the_write = step, after_the_write
        with pytest.raises(Killed):
            await change(safe, passphrase)
        await safe.storage.close()

        again = await reopened(root, passphrase)
        assert (again.mark(), again.vault.branch(0)) == before
        assert again.vault._keys().signing_key(Imported(wallet_id="wal_1")).address == ADDRESS
        ring = await again.store.key_ring()
        assert ring is not None
        assert ring.next is None
        assert {one.generation for one in await again.store.sealed_secrets()} == {
            ring.current.number
        }
        await again.keeper.rekey(secret(passphrase) if passphrase else None, by="owner")
        assert again.mark() == before[0]
        await again.storage.close()


async def test_h25_a_resumed_rekey_killed_again_resumes_again(tmp_path: Path) -> None:
    await founded_in(tmp_path)
    before = await marks_of(tmp_path)
    safe = await safe_in(tmp_path)
    await safe.keeper.start()
    await safe.storage.close()
    fuse = Fuse()
    safe = await safe_in(tmp_path, fuse=fuse)
    await safe.keeper.start()
    fuse.left, fuse.after_the_write = 2, True
    with pytest.raises(Killed):
        await safe.keeper.rekey(None, by="owner")
    await safe.storage.close()
    for _ in range(3):
        dying = await safe_in(tmp_path, fuse=Fuse(left=1, after_the_write=True))
        with pytest.raises(Killed):
            await dying.keeper.start()
        await dying.storage.close()

    assert await marks_of(tmp_path) == before


async def test_a_half_written_next_key_is_ignored(tmp_path: Path) -> None:
    await founded_in(tmp_path)
    before = await marks_of(tmp_path)
    draft = tmp_path / "master.key.next.draft"
    draft.touch(mode=0o600)
    draft.write_text("00ff")

    assert await marks_of(tmp_path) == before


async def test_without_the_key_file_it_says_which_one_is_missing(tmp_path: Path) -> None:
    await founded_in(tmp_path)
    key_path(tmp_path).unlink()
    safe = await safe_in(tmp_path)

    with pytest.raises(ConfigurationMissing, match=r"master\.key does not exist"):
        await safe.keeper.start()
    await safe.storage.close()


async def test_a_record_put_back_from_before_the_rekey_is_refused(tmp_path: Path) -> None:
    await founded_in(tmp_path)
    safe = await reopened(tmp_path)
    old = await safe.store.sealed_secrets()
    await safe.keeper.rekey(None, by="owner")

    with pytest.raises(WrongMasterKey):
        safe.vault.open(bytes.fromhex(key_path(tmp_path).read_text()), old)
    await safe.storage.close()


async def test_a_rekey_is_written_down(tmp_path: Path) -> None:
    await founded_in(tmp_path)
    safe = await reopened(tmp_path)
    await safe.keeper.rekey(None, by="uid 1000", why="every quarter")

    audit = Audit(store=WalletStore(safe.storage), clock=safe.clock)
    told = [one async for _, _, one in audit.decisions(after=0, limit=10)]
    assert [(one.act, one.who, one.why) for one in told] == [
        (Act.VAULT_UNLOCKED, "wallet-manager", "its master key lies in a file"),
        (Act.VAULT_REKEYED, "uid 1000", "every quarter"),
        (Act.VAULT_REKEYED, "wallet-manager", ""),
    ]
    assert [one.facts for one in told[1:]] == [
        (("step", "begun"), ("generation", "2")),
        (("step", "done"), ("generation", "2")),
    ]
    assert (await audit.verify()).broken is None
    await safe.storage.close()

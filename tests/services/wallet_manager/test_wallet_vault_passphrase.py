"""A vault whose master key is made of a passphrase: locked at first, for a time, against guessing."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.wallet_manager.domain.audit import Act
from services.wallet_manager.domain.unlocking import (
    FREE_TRIES,
    LOCK_OUT_AFTER,
    LOCK_OUT_MS,
    TriedTooOften,
    Tries,
    WeakPassphrase,
    WrongPassphrase,
    pause_ms,
)
from services.wallet_manager.service.audit import Audit
from services.wallet_manager.service.keeper import LOCKED, NeedsPassphrase
from services.wallet_manager.store import WalletStore
from services.wallet_manager.vault import Leaf, VaultLocked
from shared.clock import HeldClock
from shared.models.wallet_manager import AddressRequest, WalletRequest
from shared.models.wallet_sends import SendState
from tests.services.wallet_manager.safe import (
    Fuse,
    Killed,
    Safe,
    founded_in,
    keeper_on,
    key_path,
    safe_in,
    secret,
)
from tests.services.wallet_manager.till import Chain, intent, rules, till_on
from tests.support import START_MS

WRONG = b"correct horse battery stable"
MINUTE_MS = 60_000


@pytest.fixture
async def root(tmp_path: Path) -> Path:
    """A folder whose vault has a passphrase."""
    await founded_in(tmp_path)
    safe = await safe_in(tmp_path)
    await safe.keeper.start()
    await safe.keeper.set_passphrase(secret(), now=None, by="owner")
    await safe.storage.close()
    return tmp_path


@pytest.fixture
async def safe(root: Path) -> AsyncIterator[Safe]:
    safe = await safe_in(root, unlock_ms=MINUTE_MS)
    await safe.keeper.start()
    yield safe
    await safe.storage.close()


async def test_it_starts_locked_and_says_so(safe: Safe) -> None:
    assert not safe.vault.is_open
    assert safe.keeper.reason() == LOCKED
    assert safe.keeper.standing() == {
        "is_locked": True,
        "locks_at": None,
        "generation": 2,
        "is_rekeying": False,
        "has_passphrase": True,
    }


async def test_the_passphrase_opens_it_and_the_key_file_is_no_longer_in_use(
    root: Path, safe: Safe
) -> None:
    await safe.keeper.unlock(secret(), by="owner")

    assert safe.keeper.reason() is None
    assert not key_path(root).exists()


async def test_it_locks_when_its_time_is_over_and_that_is_written_down(safe: Safe) -> None:
    await safe.keeper.unlock(secret(), by="owner")
    safe.clock.advance(milliseconds=MINUTE_MS - 1)
    await safe.keeper.keep_up()
    assert repr(safe.vault) == "Vault(open)"

    safe.clock.advance(milliseconds=1)
    await safe.keeper.keep_up()
    await safe.keeper.keep_up()

    assert repr(safe.vault) == "Vault(locked)"
    told = [one async for _, _, one in audit_of(safe).decisions(after=3, limit=10)]
    assert [(one.act, one.why) for one in told] == [
        (Act.VAULT_UNLOCKED, ""),
        (Act.VAULT_LOCKED, "its time is over"),
    ]


async def test_an_expired_unlock_signs_nothing_even_before_the_loop_has_looked(safe: Safe) -> None:
    await safe.keeper.unlock(secret(), by="owner")
    safe.clock.advance(milliseconds=MINUTE_MS)

    assert safe.keeper.reason() == LOCKED
    with pytest.raises(VaultLocked):
        safe.vault.branch(0)


async def test_its_owner_locks_it_at_once(safe: Safe) -> None:
    await safe.keeper.unlock(secret(), by="owner")
    await safe.keeper.lock(by="owner")

    assert not safe.vault.is_open
    assert safe.keeper.standing()["locks_at"] is None


async def test_a_lock_wins_over_an_unlock_under_way(safe: Safe) -> None:
    unlocking = asyncio.create_task(safe.keeper.unlock(secret(), by="owner"))
    locking = asyncio.create_task(safe.keeper.lock(by="owner"))
    await asyncio.gather(unlocking, locking)

    assert not safe.vault.is_open
    assert safe.keeper.standing()["is_locked"] is True


async def test_guesses_made_at_once_count_each(safe: Safe) -> None:
    guesses = [safe.keeper.unlock(secret(WRONG), by="owner") for _ in range(6)]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)

    assert [type(one) for one in outcomes] == [WrongPassphrase] * 3 + [TriedTooOften] * 3
    assert (await safe.store.tries()).failed == 3


async def test_without_a_time_it_stays_open_until_it_is_locked(root: Path) -> None:
    safe = await safe_in(root)
    await safe.keeper.start()
    await safe.keeper.unlock(secret(), by="owner")
    safe.clock.advance(seconds=10_000_000)
    await safe.keeper.keep_up()

    assert safe.vault.is_open
    await safe.storage.close()


async def test_a_wrong_passphrase_opens_nothing_and_is_written_down(safe: Safe) -> None:
    with pytest.raises(WrongPassphrase):
        await safe.keeper.unlock(secret(WRONG), by="uid 7")

    assert not safe.vault.is_open
    told = [one async for _, _, one in audit_of(safe).decisions(after=3, limit=10)]
    assert [(one.act, one.who) for one in told] == [(Act.VAULT_UNLOCK_REFUSED, "uid 7")]


async def test_no_passphrase_is_no_try(safe: Safe) -> None:
    with pytest.raises(NeedsPassphrase):
        await safe.keeper.unlock(None, by="owner")

    assert (await safe.store.tries()).failed == 0


async def test_after_wrong_ones_even_the_right_one_waits(safe: Safe) -> None:
    for _ in range(FREE_TRIES + 1):
        with pytest.raises(WrongPassphrase):
            await safe.keeper.unlock(secret(WRONG), by="owner")

    with pytest.raises(TriedTooOften) as refusal:
        await safe.keeper.unlock(secret(), by="owner")
    assert refusal.value.retry_after_s == 1
    told = [one async for _, _, one in audit_of(safe).decisions(after=3, limit=10)]
    assert [one.act for one in told] == [Act.VAULT_UNLOCK_REFUSED] * (FREE_TRIES + 2)
    assert "wait 1 s" in told[-1].why
    safe.clock.advance(seconds=1)
    await safe.keeper.unlock(secret(), by="owner")

    assert (await safe.store.tries()).failed == 0


async def test_the_pause_survives_a_restart(root: Path, safe: Safe) -> None:
    for _ in range(FREE_TRIES + 1):
        with pytest.raises(WrongPassphrase):
            await safe.keeper.unlock(secret(WRONG), by="owner")
    await safe.storage.close()

    again = await safe_in(root)
    await again.keeper.start()
    with pytest.raises(TriedTooOften):
        await again.keeper.unlock(secret(), by="owner")
    await again.storage.close()


async def test_a_try_counts_before_it_is_made_so_a_kill_wins_none(root: Path) -> None:
    dying = await safe_in(root, fuse=Fuse(left=1, after_the_write=True))
    await dying.keeper.start()
    with pytest.raises(Killed):
        await dying.keeper.unlock(secret(WRONG), by="owner")

    assert (await dying.store.tries()).failed == 1
    await dying.storage.close()


def test_the_pause_doubles_up_to_the_lock_out() -> None:
    pauses = [pause_ms(failed) for failed in range(LOCK_OUT_AFTER + 2)]

    assert pauses == [
        0,
        0,
        0,
        1_000,
        2_000,
        4_000,
        8_000,
        16_000,
        32_000,
        64_000,
        *[LOCK_OUT_MS] * 2,
    ]


def test_a_thousand_days_of_guessing_are_at_most_24_guesses_a_day() -> None:
    tries, now_ms, guesses = Tries(), START_MS, 0
    while now_ms < START_MS + 1_000 * 86_400_000:
        tries = tries.one_more(now_ms=now_ms)
        now_ms = max(now_ms, tries.not_before_ms)
        guesses += 1

    assert guesses <= 24 * 1_000 + LOCK_OUT_AFTER


async def test_a_short_passphrase_is_refused_and_nothing_changes(safe: Safe) -> None:
    with pytest.raises(WeakPassphrase):
        await safe.keeper.set_passphrase(secret(b"elevenchars"), now=secret(), by="owner")

    await safe.keeper.unlock(secret(), by="owner")


async def test_another_passphrase_needs_the_one_in_force(safe: Safe) -> None:
    other = b"staple battery horse correct"
    with pytest.raises(WrongPassphrase):
        await safe.keeper.set_passphrase(secret(other), now=secret(WRONG), by="owner")
    await safe.keeper.set_passphrase(secret(other), now=secret(), by="owner")

    with pytest.raises(WrongPassphrase):
        await safe.keeper.unlock(secret(), by="owner")
    await safe.keeper.unlock(secret(other), by="owner")


async def test_a_rekey_keeps_the_passphrase_and_changes_the_salt(safe: Safe) -> None:
    before = await safe.store.key_ring()
    await safe.keeper.rekey(secret(), by="owner")
    after = await safe.store.key_ring()

    assert before is not None
    assert after is not None
    assert before.current.argon2 is not None
    assert after.current.argon2 is not None
    assert after.current.argon2.salt != before.current.argon2.salt
    assert not safe.vault.is_open
    await safe.keeper.unlock(secret(), by="owner")


async def test_while_locked_nothing_is_signed_and_deposit_addresses_still_derive(
    root: Path, safe: Safe
) -> None:
    clock = HeldClock(START_MS)
    till = till_on(
        safe.storage,
        clock=clock,
        chain=Chain(clock),
        vault=safe.vault,
        ids=itertools.count(1),
        rules=rules(),
        guards=(safe.keeper,),
    )
    keeper = keeper_on(till.store, safe.vault, clock, root)
    await till.recovery.begin()
    await keeper.unlock(secret(), by="owner")
    treasury = await till.treasury()
    wanted = intent()
    await till.taken(wanted)
    await keeper.lock(by="owner")

    assert await till.sender.sign_due() is False
    assert till.sender.unready_reason() == LOCKED
    send = await till.read(wanted.send_key)
    assert send.state is SendState.QUEUED
    assert await till.attempts(send) == []
    request = AddressRequest(request_id="r1", purpose="deposit")
    deposit, _ = await till.wallets.derive(treasury.id, request)
    with pytest.raises(VaultLocked):
        await till.wallets.create(WalletRequest(user_id="bob"), principal="p", key="k")

    await keeper.unlock(secret(), by="owner")
    assert (
        till.vault._keys().signing_key(Leaf(account=0, index=deposit.index)).address == deposit.id
    )
    await till.sender.sign_due()
    assert (await till.read(wanted.send_key)).state is SendState.SIGNED


def audit_of(safe: Safe) -> Audit:
    return Audit(store=WalletStore(safe.storage), clock=safe.clock)

"""What every engine keeps of leases: one holder at a time, and a token that never returns."""

import asyncio
from dataclasses import replace

import pytest

from shared.storage import (
    LeaseLost,
    StaleRecord,
    Storage,
    Unit,
    written,
)
from tests.shared.storage.contract.shop import (
    ENTRIES,
    ITEMS,
    Entry,
    Item,
    State,
    claim,
    insert,
)


async def test_claims_take_the_first_due_and_leave_the_rest(storage: Storage) -> None:
    dues = [30, 10, 20, 2_000, None]
    await insert(storage, *(Item(id=f"i{n}", due_ms=due) for n, due in enumerate(dues)))
    first = await claim(storage, "w1", 1_000, limit=2)
    assert [each.record.id for each in first] == ["i1", "i2"]
    assert [(each.lease.token, each.lease.until_ms) for each in first] == [(1, 1_100)] * 2
    assert [each.record.id for each in await claim(storage, "w2", 1_000)] == ["i0"]
    assert await claim(storage, "w2", 1_099) == []
    again = await claim(storage, "w2", 1_100)
    assert [(each.record.id, each.lease.token) for each in again] == [
        ("i1", 2),
        ("i2", 2),
        ("i0", 2),
    ]


async def test_concurrent_claims_never_share(storage: Storage) -> None:
    await insert(storage, *(Item(id=f"i{n}") for n in range(300)))
    claims = [claim(storage, f"w{n}", 1, limit=7) for n in range(64)]
    got = [each.record.id for batch in await asyncio.gather(*claims) for each in batch]
    assert len(got) == len(set(got)) == 300


async def test_a_fence_refuses_the_old_holder(storage: Storage) -> None:
    await insert(storage, Item(id="a"))
    (old,) = await claim(storage, "w1", 0)
    await storage.commit(Unit().fence(ITEMS, old.lease))
    (new,) = await claim(storage, "w2", 100)
    changed = replace(new.record, state=State.DONE)
    with pytest.raises(LeaseLost) as caught:
        await storage.commit(Unit().update(ITEMS, changed).fence(ITEMS, old.lease))
    assert (caught.value.id, caught.value.token) == ("a", 1)
    with pytest.raises(LeaseLost):
        await storage.renew(ITEMS, old.lease, until_ms=900)
    await storage.release(ITEMS, [old.lease])
    await storage.commit(Unit().update(ITEMS, changed).fence(ITEMS, new.lease))


async def test_of_two_clocks_the_token_decides_who_works(storage: Storage) -> None:
    """A claimant whose clock runs ahead takes a lease early; the slow one's work is refused then."""
    await insert(storage, Item(id="a"))
    (slow,) = await claim(storage, "slow", 1_000)
    assert await claim(storage, "fast", 1_099) == []
    (fast,) = await claim(storage, "fast", 5_000)
    assert (slow.lease.until_ms, fast.lease.until_ms) == (1_100, 5_100)
    assert fast.lease.token == slow.lease.token + 1
    assert await claim(storage, "slow", 1_050) == []
    done = replace(fast.record, state=State.DONE)
    for unit in (
        Unit().update(ITEMS, done).fence(ITEMS, slow.lease),
        Unit().fence(ITEMS, slow.lease).update(ITEMS, done),
        Unit().release(ITEMS, slow.lease),
    ):
        with pytest.raises(LeaseLost):
            await storage.commit(unit)
    with pytest.raises(LeaseLost):
        await storage.renew(ITEMS, slow.lease, until_ms=9_000)
    await storage.release(ITEMS, [slow.lease])
    await storage.commit(Unit().update(ITEMS, done).release(ITEMS, fast.lease))
    assert await storage.get(ITEMS, "a") == written(done)


async def test_claimants_with_skewed_clocks_do_each_job_once(storage: Storage) -> None:
    """Whatever their clocks say, what a unit does under its fence happens once for each record."""
    jobs = [f"i{n}" for n in range(50)]
    await insert(storage, *(Item(id=name) for name in jobs))
    worked: list[str] = []

    async def work(number: int) -> None:
        owner, now_ms = f"w{number}", 1_000 + 70 * number
        while True:
            claimed = await claim(storage, owner, now_ms, limit=5)
            for each in claimed:
                name = each.record.id
                unit = Unit().fence(ITEMS, each.lease)
                unit.update(ITEMS, replace(each.record, state=State.DONE))
                try:
                    await storage.commit(unit.insert(ENTRIES, Entry(id=name, amount=number)))
                except (LeaseLost, StaleRecord):
                    continue
                worked.append(name)
            if not claimed and not await storage.count(ITEMS, "due", "open", limit=1):
                return
            now_ms += 40

    await asyncio.gather(*map(work, range(10)))
    assert sorted(worked) == sorted(jobs)
    assert (await storage.get_many(ENTRIES, jobs)).keys() == set(jobs)


async def test_a_released_record_is_free_and_its_token_spent(storage: Storage) -> None:
    await insert(storage, Item(id="a"))
    (first,) = await claim(storage, "w1", 0)
    await storage.release(ITEMS, [first.lease])
    with pytest.raises(LeaseLost):
        await storage.commit(Unit().fence(ITEMS, first.lease))
    (second,) = await claim(storage, "w1", 0)
    assert second.lease.token == 2
    update = Unit().update(ITEMS, replace(second.record, note="worked"))
    await storage.commit(update.release(ITEMS, second.lease))
    with pytest.raises(LeaseLost):
        await storage.commit(Unit().release(ITEMS, second.lease))
    (third,) = await claim(storage, "w2", 0)
    assert (third.lease.token, third.record.note) == (3, "worked")


async def test_a_renewed_lease_lasts_longer_under_its_token(storage: Storage) -> None:
    await insert(storage, Item(id="a"))
    (held,) = await claim(storage, "w1", 0)
    renewed = await storage.renew(ITEMS, held.lease, until_ms=500)
    assert (renewed.token, renewed.until_ms) == (1, 500)
    assert await claim(storage, "w2", 499) == []
    assert len(await claim(storage, "w2", 500)) == 1


async def test_tokens_never_return_even_when_the_record_does(storage: Storage) -> None:
    await insert(storage, Item(id="a"))
    (old,) = await claim(storage, "w1", 0)
    await storage.commit(Unit().delete(ITEMS, old.record))
    with pytest.raises(LeaseLost):
        await storage.commit(Unit().fence(ITEMS, old.lease))
    await insert(storage, Item(id="a"))
    (new,) = await claim(storage, "w1", 0)
    assert new.lease.token > old.lease.token


async def test_leases_need_a_leased_collection(storage: Storage) -> None:
    await insert(storage, Item(id="a"))
    (held,) = await claim(storage, "w1", 0)
    with pytest.raises(ValueError, match="no leases"):
        Unit().fence(ENTRIES, held.lease)
    with pytest.raises(ValueError, match="no leases"):
        await storage.release(ENTRIES, [held.lease])

"""What every engine keeps of retention: the oldest go, what is held stays."""

import pytest

from shared.storage import (
    LeaseLost,
    Storage,
    Unit,
)
from tests.shared.storage.contract.shop import (
    ITEMS,
    Engine,
    Item,
    State,
    claim,
    insert,
    walk,
)


async def test_pruning_removes_the_oldest_in_bounded_steps(storage: Storage) -> None:
    dues = [5, None, 3, 9, 3, None, 7]
    await insert(storage, *(Item(id=f"i{n}", due_ms=due) for n, due in enumerate(dues)))
    await insert(storage, Item(id="done", state=State.DONE, due_ms=1))
    assert await storage.prune(ITEMS, "due", "open", at_most=7, limit=3, now_ms=0) == 3
    assert await walk(storage, "all", limit=9) == ["done", "i1", "i3", "i5", "i6"]
    assert await storage.prune(ITEMS, "due", "open", at_most=7, limit=3, now_ms=0) == 1
    assert await storage.prune(ITEMS, "due", "open", at_most=7, limit=3, now_ms=0) == 0
    assert await storage.prune(ITEMS, "due", "held", at_most=7, limit=3, now_ms=0) == 0
    assert await walk(storage, "all", limit=9) == ["done", "i1", "i3", "i5"]
    await insert(storage, Item(id="i0", key="again"))


async def test_pruning_spares_what_somebody_holds(storage: Storage) -> None:
    await insert(storage, *(Item(id=f"i{n}", due_ms=n) for n in range(3)))
    (held,) = await claim(storage, "w1", 0, limit=1)
    assert held.record.id == "i0"
    assert await storage.prune(ITEMS, "due", "open", at_most=9, limit=9, now_ms=99) == 2
    assert await walk(storage, "all", limit=9) == ["i0"]
    assert await storage.prune(ITEMS, "due", "open", at_most=9, limit=9, now_ms=100) == 1
    with pytest.raises(LeaseLost):
        await storage.commit(Unit().fence(ITEMS, held.lease))
    await insert(storage, Item(id="i0"))
    (again,) = await claim(storage, "w1", 0)
    assert again.lease.token > held.lease.token


async def test_what_was_pruned_stays_away_over_a_restart(engine: Engine) -> None:
    storage = await engine.open()
    await insert(storage, *(Item(id=f"i{n}", due_ms=n) for n in range(4)))
    assert await storage.prune(ITEMS, "unfinished", at_most=1, limit=9, now_ms=0) == 2
    await storage.close()
    storage = await engine.open()
    assert await walk(storage, "all", limit=9) == ["i2", "i3"]
    await storage.close()

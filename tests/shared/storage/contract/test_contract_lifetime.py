"""What every engine keeps over its life: restarts, stamps, backups, migrations."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from shared.storage import (
    Collection,
    Committed,
    DuplicateRecord,
    Index,
    Migration,
    Schema,
    SchemaTooNew,
    Stamp,
    Storage,
    StorageClosed,
    StorageError,
    Unit,
    WrongContract,
    WrongNetwork,
    WrongService,
    written,
)
from tests.shared.storage.contract.shop import (
    EVENTS,
    ITEMS,
    SCHEMA,
    STAMP,
    Engine,
    Item,
    claim,
    insert,
    published,
)


async def test_a_probe_of_healthy_storage_leaves_nothing_behind(storage: Storage) -> None:
    assert storage.trouble is None
    await storage.probe()
    assert storage.trouble is None
    assert await storage.count(ITEMS, "all") == 0
    assert (await storage.read_feed(EVENTS, after=0, limit=1)).end == 0


async def test_a_database_keeps_everything_over_a_restart(engine: Engine) -> None:
    first = await engine.open()
    await first.commit(published(Unit().insert(ITEMS, Item(id="a", key="k")), 1))
    await first.acknowledge(EVENTS, "c", 1, 0)
    await claim(first, "w", 0)
    incarnation = first.incarnation
    await first.close()
    second = await engine.open()
    assert second.incarnation == incarnation
    assert await second.find(ITEMS, "key", "alice", "k") == written(Item(id="a", key="k"))
    assert (await second.read_feed(EVENTS, after=0, limit=5)).end == 1
    assert await second.consumers(EVENTS) == {"c": 1}
    assert await claim(second, "w2", 99) == []
    assert await second.wait_feed(EVENTS, after=0, timeout_s=0)
    assert (await second.commit(published(Unit(), 2))).feed_numbers == {"events": (2,)}
    await second.close()


async def test_closing_finishes_what_is_queued(engine: Engine) -> None:
    storage = await engine.open()
    commits = [
        asyncio.ensure_future(storage.commit(Unit().insert(ITEMS, Item(id=f"i{n}"))))
        for n in range(50)
    ]
    waiting = asyncio.ensure_future(storage.wait_feed(EVENTS, after=0, timeout_s=60))
    await asyncio.sleep(0)
    await asyncio.gather(storage.close(), storage.close())
    assert all(isinstance(each, Committed) for each in await asyncio.gather(*commits))
    assert not await waiting
    for call in (
        storage.commit(Unit()),
        storage.get(ITEMS, "a"),
        storage.wait_feed(EVENTS, after=0, timeout_s=1),
    ):
        with pytest.raises(StorageClosed):
            await call
    again = await engine.open()
    assert await again.count(ITEMS, "all") == 50
    await again.close()


async def test_a_database_opens_only_for_what_it_is(engine: Engine) -> None:
    """H17: another network's data is refused, and left as it is."""
    newer = Schema("shop", 2, SCHEMA.collections, SCHEMA.feeds)
    storage = await engine.open(newer)
    await insert(storage, Item(id="a"))
    await storage.close()
    other = Schema("till", 2, SCHEMA.collections)
    others = [] if engine.is_shared else [(other, STAMP, WrongService, "shop")]
    for schema, stamp, error, found in (
        *others,
        (newer, Stamp("mainnet", "TContract"), WrongNetwork, "devnet"),
        (newer, Stamp("devnet", "TOther"), WrongContract, "TContract"),
        (SCHEMA, STAMP, SchemaTooNew, "2"),
    ):
        with pytest.raises(error) as caught:
            await engine.open(schema, stamp)
        assert isinstance(caught.value, StorageError)
        assert caught.value.found == found
    storage = await engine.open(newer)
    assert await storage.count(ITEMS, "all") == 1
    await storage.close()


async def test_a_backup_opens_and_equals(engine: Engine, storage: Storage, tmp_path: Path) -> None:
    """H5: a backup is another incarnation, so that consumers notice a restore."""
    items = [Item(id=f"i{n}", key=f"k{n}") for n in range(500)]
    await storage.commit(published(Unit(), 1))
    await insert(storage, *items)
    writes = [storage.commit(Unit().insert(ITEMS, Item(id=f"late{n}"))) for n in range(50)]
    path = tmp_path / "copy" / "shop.bak"
    path.parent.mkdir()
    await asyncio.gather(storage.backup(path), *writes)
    with pytest.raises(StorageError):
        await storage.backup(path)
    copy = await engine.open_backup(path)
    ids = [item.id for item in items]
    assert await copy.get_many(ITEMS, ids) == await storage.get_many(ITEMS, ids)
    assert (await copy.read_feed(EVENTS, after=0, limit=1)).end == 1
    assert copy.incarnation != storage.incarnation
    await copy.check()
    await storage.check()
    await copy.close()


async def test_migrations_carry_documents_forward(engine: Engine) -> None:
    storage = await engine.open()
    await insert(storage, *(Item(id=f"i{n:04}", note=f"{n}") for n in range(1_200)))
    await storage.close()
    steps = (
        Migration(3, "items", lambda doc: {**doc, "note": doc["note"] + "+three"}),
        Migration(2, "items", lambda doc: {**doc, "note": doc["note"] + "+two"}),
    )
    newer = Schema("shop", 3, SCHEMA.collections, SCHEMA.feeds, steps)
    for _ in range(2):
        storage = await engine.open(newer)
        found = await storage.find_many(ITEMS, "note", ["7+two+three"])
        assert found == [Item(id="i0007", note="7+two+three", version=1)]
        assert await storage.count(ITEMS, "all") == 1_200
        await storage.close()


async def test_a_migration_that_fails_changes_nothing(engine: Engine) -> None:
    storage = await engine.open()
    await insert(storage, *(Item(id=f"i{n}") for n in range(9)))
    await storage.close()
    broken = Migration(
        2, "items", lambda doc: {**doc, "note": 5 if doc["id"] == "i5" else "changed"}
    )
    with pytest.raises(StorageError):
        await engine.open(Schema("shop", 2, SCHEMA.collections, SCHEMA.feeds, (broken,)))
    storage = await engine.open()
    assert await storage.count(ITEMS, "note", "") == 9
    await storage.close()


async def test_new_indexes_are_filled_and_changed_ones_rebuilt(engine: Engine) -> None:
    bare = Collection("items", Item)
    storage = await engine.open(Schema("shop", 1, (bare,)))
    unit = Unit()
    for n in range(1_100):
        unit.insert(bare, Item(id=f"i{n}", key=f"k{n}", note=f"n{n % 2}"))
    await storage.commit(unit)
    await storage.close()

    storage = await engine.open()
    assert await storage.count(ITEMS, "note", "n1") == 550
    found = await storage.find(ITEMS, "key", "alice", "k77")
    assert found is not None
    assert len(await claim(storage, "w", 0)) == 10
    await storage.commit(Unit().update(ITEMS, replace(found, note="n1")))
    await storage.close()

    storage = await engine.open(Schema("shop", 1, (bare,)))
    await storage.commit(Unit().update(bare, replace(found, version=2, note="unseen")))
    await storage.close()
    storage = await engine.open()
    assert await storage.count(ITEMS, "note", "unseen") == 1
    await storage.close()

    unique_note = Collection("items", Item, (Index("note", ("note",), unique=True),))
    with pytest.raises(DuplicateRecord) as caught:
        await engine.open(Schema("shop", 1, (unique_note,)))
    assert caught.value.index == "note"

"""What the port is tried with: a small shop, kept by each of the engines."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from shared.storage import (
    Collection,
    Feed,
    Index,
    Lease,
    Schema,
    SqliteStorage,
    Stamp,
    Storage,
    Unit,
    tallies,
)
from shared.storage.mongo.engine import MongoStorage
from tests.mongo_server import Place


class State(StrEnum):
    OPEN = "open"
    HELD = "held"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    id: str
    version: int = 0
    owner: str = "alice"
    key: str | None = None
    state: State = State.OPEN
    due_ms: int | None = 0
    amount: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    id: str
    version: int = 0
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    id: str
    version: int = 0
    text: str


ITEMS = Collection(
    "items",
    Item,
    (
        Index("key", ("owner", "key"), unique=True),
        Index("one_held", ("owner",), unique=True, where=(("state", (State.HELD,)),)),
        Index("due", ("state", "due_ms")),
        Index("unfinished", ("due_ms",), where=(("state", (State.OPEN, State.HELD)),)),
        Index("note", ("note",)),
        Index("all", ("id",)),
    ),
    leased=True,
)
ENTRIES = Collection("entries", Entry)
BLOBS = Collection("blobs", Blob)
SPENT = tallies("spent")
EVENTS = Feed("events")
OTHER_EVENTS = Feed("other_events")
SCHEMA = Schema("shop", 1, (ITEMS, ENTRIES, BLOBS, SPENT), (EVENTS, OTHER_EVENTS))
STAMP = Stamp("devnet", "TContract")
LEASE = Lease(record_id="a", token=1, owner="w", until_ms=1)


class Engine(Protocol):
    """One database of some engine, which can be opened again and again.

    Attributes:
        is_shared: whether other services keep their records beside ours in it.
    """

    is_shared: bool

    async def open(self, schema: Schema = SCHEMA, stamp: Stamp = STAMP) -> Storage: ...

    async def open_backup(self, path: Path) -> Storage: ...


class SqliteEngine:
    is_shared = False

    def __init__(self, directory: Path) -> None:
        self.path = directory / "data" / "shop.db"

    async def open(self, schema: Schema = SCHEMA, stamp: Stamp = STAMP) -> Storage:
        return await SqliteStorage.open(self.path, schema, stamp)

    async def open_backup(self, path: Path) -> Storage:
        return await SqliteStorage.open(path, SCHEMA, STAMP)


class MongoEngine:
    is_shared = True

    def __init__(self, place: Place, directory: Path) -> None:
        self.place = place
        self.directory = directory

    async def open(self, schema: Schema = SCHEMA, stamp: Stamp = STAMP) -> Storage:
        options = self.place.options()
        return await MongoStorage.open(options, schema, stamp, copies=self.directory)

    async def open_backup(self, path: Path) -> Storage:
        return await SqliteStorage.open(path, SCHEMA, STAMP)


async def insert(storage: Storage, *items: Item) -> None:
    unit = Unit()
    for item in items:
        unit.insert(ITEMS, item)
    await storage.commit(unit)


def published(unit: Unit, number: int, at_ms: int = 0) -> Unit:
    return unit.publish(EVENTS, id=f"e{number}", type="made", at_ms=at_ms, object={"n": number})


async def walk(storage: Storage, index: str, *equals: str | int, **how: Any) -> list[str]:
    """Collect the ids of all pages of a list."""
    ids: list[str] = []
    cursor = None
    while True:
        page = await storage.list(ITEMS, index, *equals, cursor=cursor, **how)
        ids += [item.id for item in page.items]
        cursor = page.next
        if cursor is None:
            return ids


async def claim(storage: Storage, owner: str, now_ms: int, limit: int = 10) -> list[Any]:
    return await storage.claim(
        ITEMS, "due", "open", at_most=now_ms, limit=limit, owner=owner, now_ms=now_ms, lease_ms=100
    )

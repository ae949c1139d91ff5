"""What is stored, in the form in which every engine carries it to another."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

import msgspec
from bson import Int64
from pymongo.asynchronous.client_session import AsyncClientSession

from shared.storage.mongo import feeds
from shared.storage.mongo.connection import Connection, each_of
from shared.storage.mongo.documents import LEASE, VERSION, MongoDocuments, Stored
from shared.storage.mongo.indexes import ID
from shared.storage.mongo.names import STAMP, floor_of, followers_of, head_of
from shared.storage.mongo.stamps import INCARNATION, SCHEMA_VERSION
from shared.storage.mongo.units import FLOOR
from shared.storage.schema import Feed
from shared.storage.transfer.portable import (
    CollectionState,
    Contents,
    FeedState,
    Identity,
    StoredEvent,
    StoredRecord,
)

BATCH: Final = 500
"""Documents that the server sends at once."""

_NO_LEASE: Final = (0, None, None)


def record_of(documents: MongoDocuments[Any], stored: Stored) -> StoredRecord:
    """Return a stored record with its lease."""
    lease = None
    if documents.collection.leased:
        told = stored.get(LEASE)
        lease = (
            _NO_LEASE if told is None else (int(told["token"]), told["owner"], _int(told["until"]))
        )
    return StoredRecord(
        id=stored[ID],
        version=int(stored[VERSION]),
        document=documents.json(stored),
        lease=lease,
    )


def event_of(stored: Stored) -> StoredEvent:
    """Return a stored event."""
    told = stored["object"]
    document = (
        told.encode() if isinstance(told, str) else msgspec.json.encode(feeds.object_of(stored))
    )
    return StoredEvent(
        seq=int(stored[ID]),
        id=stored["id"],
        type=stored["type"],
        at_ms=int(stored["at_ms"]),
        document=document,
    )


async def read_records(
    connection: Connection,
    documents: MongoDocuments[Any],
    *,
    after: str = "",
    session: AsyncClientSession | None = None,
) -> AsyncGenerator[StoredRecord, None]:
    """Yield the records of a collection after an id, by id."""
    cursor = connection.collection(documents.name).find(
        {ID: {"$gt": after}}, sort=[(ID, 1)], batch_size=BATCH, session=session
    )
    async for stored in each_of(cursor):
        yield record_of(documents, stored)


async def read_events(
    connection: Connection,
    feed: str,
    *,
    after: int = 0,
    session: AsyncClientSession | None = None,
) -> AsyncGenerator[StoredEvent, None]:
    """Yield the events of a feed after a number."""
    cursor = connection.collection(connection.names.feed(feed)).find(
        {ID: {"$gt": Int64(after)}}, sort=[(ID, 1)], batch_size=BATCH, session=session
    )
    async for stored in each_of(cursor):
        yield event_of(stored)


async def read_contents(
    connection: Connection,
    documents: Mapping[str, MongoDocuments[Any]],
    known: Sequence[Feed],
    *,
    session: AsyncClientSession | None = None,
) -> Contents:
    """Return what a database says of itself."""
    cursor = connection.engine.find({}, session=session)
    held = {each[ID]: each async for each in each_of(cursor)}
    stamp = held[STAMP]
    collections = []
    for name, each in sorted(documents.items()):
        count = await connection.collection(each.name).count_documents({}, session=session)
        floor = int(held.get(floor_of(name), {}).get(FLOOR, 0))
        collections.append(CollectionState(name=name, count=count, token_floor=floor))
    return Contents(
        identity=Identity(
            service=stamp["service"],
            network=stamp["network"],
            contract=stamp["contract"],
            schema_version=int(stamp[SCHEMA_VERSION]),
            incarnation=stamp[INCARNATION],
        ),
        collections=tuple(collections),
        feeds=tuple(
            _feed_state(feed.name, held) for feed in sorted(known, key=lambda each: each.name)
        ),
    )


def _feed_state(feed: str, held: Mapping[str, Stored]) -> FeedState:
    followers = held[followers_of(feed)]
    consumers = [
        (each["name"], int(each["seq"]), int(each["at_ms"]))
        for each in sorted(followers[feeds.CONSUMERS], key=lambda each: str(each["name"]))
    ]
    return FeedState(
        name=feed,
        start=int(followers[feeds.TRIMMED]) + 1,
        end=int(held[head_of(feed)][feeds.END]),
        consumers=tuple(consumers),
    )


def _int(value: Any) -> int | None:
    return None if value is None else int(value)

"""A service's part of a MongoDB database opened for carrying: see ``shared.storage.transfer``."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from bson import Int64
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from shared.storage.errors import StorageCorrupt
from shared.storage.mongo import feeds
from shared.storage.mongo.carried import read_contents, read_events, read_records
from shared.storage.mongo.connection import Connection
from shared.storage.mongo.documents import LEASE, MongoDocuments, Stored
from shared.storage.mongo.failures import DUPLICATE_KEY
from shared.storage.mongo.indexes import ID
from shared.storage.mongo.leases import new_lease
from shared.storage.mongo.names import STAMP, Names, floor_of, followers_of, head_of
from shared.storage.mongo.options import MongoOptions
from shared.storage.mongo.stamps import INCARNATION, WITHHELD, read_stamp
from shared.storage.mongo.units import FLOOR
from shared.storage.mongo.upgrade import Opened, open_database
from shared.storage.schema import Feed, Schema, Stamp
from shared.storage.transfer.portable import (
    CHUNK_BYTES,
    CHUNK_ROWS,
    Contents,
    Mark,
    StoredEvent,
    StoredRecord,
)

P = TypeVar("P", StoredRecord, StoredEvent)

QUEUE_LIMIT: Final = 100


class MongoPortable:
    """A ``Portable`` in a MongoDB replica set that no service has open; ``open`` makes one."""

    def __init__(
        self,
        *,
        connection: Connection,
        opened: Opened,
        documents: Mapping[str, MongoDocuments[Any]],
        known: Sequence[Feed],
    ) -> None:
        self._connection = connection
        self._presence = opened.presence
        self._documents = documents
        self._known = known

    @classmethod
    async def exists(cls, options: MongoOptions, schema: Schema) -> bool:
        """Tell whether the service has a part of the database.

        Raises:
            StorageUnreachable: no primary answers.
        """
        connection = await Connection.open(
            options, Names(schema.service), service=schema.service, queue_limit=QUEUE_LIMIT
        )
        try:
            return await read_stamp(connection) is not None
        finally:
            await connection.close()

    @classmethod
    async def open(
        cls, options: MongoOptions, schema: Schema, stamp: Stamp, *, copies: Path
    ) -> Self:
        """Take the service's part of the database for this process alone; make it if there is none.

        Args:
            options: which server and database, and who connects.
            schema: what the service keeps.
            stamp: what the database is for.
            copies: the folder for a copy of an older release's documents before they change.

        Raises:
            StorageLocked: its service is running, or another process has it alone.
            StorageUnreachable: no primary answers.
            WrongStamp: it is for something else, or of a newer release.
        """
        names = Names(schema.service)
        documents = {
            each.name: MongoDocuments(each, names.collection(each.name))
            for each in schema.collections
        }
        connection = await Connection.open(
            options, names, service=schema.service, queue_limit=QUEUE_LIMIT
        )
        try:
            opened = await open_database(
                connection, schema, stamp, documents, copies=copies, alone=True
            )
        except BaseException:
            await connection.close()
            raise
        return cls(connection=connection, opened=opened, documents=documents, known=schema.feeds)

    @property
    def place(self) -> str:
        """Name hosts, database and collections."""
        return f"{self._connection.place} ({self._connection.names.engine.partition('.')[0]})"

    async def contents(self) -> Contents:
        """Return what the database says of itself."""
        with self._connection.noted():
            return await read_contents(self._connection, self._documents, self._known)

    async def mark(self) -> Mark | None:
        """Return what keeps services from opening it."""
        found = await read_stamp(self._connection)
        return Mark.decode(found[WITHHELD]) if found and WITHHELD in found else None

    async def set_mark(self, mark: Mark | None) -> None:
        """Set or remove what keeps services from opening it."""
        change = {"$unset": {WITHHELD: ""}} if mark is None else {"$set": {WITHHELD: mark.encode()}}
        await self._update(STAMP, change)

    async def records(self, collection: str, *, after: str) -> list[StoredRecord]:
        """Return the next piece of a collection by id."""
        with self._connection.noted():
            return await _piece(read_records(self._connection, self._of(collection), after=after))

    async def events(self, feed: str, *, after: int) -> list[StoredEvent]:
        """Return the next piece of a feed by number."""
        with self._connection.noted():
            return await _piece(read_events(self._connection, feed, after=after))

    async def last_record(self, collection: str) -> str:
        """Return the largest id of a collection."""
        return str(await self._last(self._of(collection).name) or "")

    async def last_event(self, feed: str) -> int:
        """Return the number of the newest event that is there."""
        return int(await self._last(self._connection.names.feed(feed)) or 0)

    async def put_records(self, collection: str, records: Sequence[StoredRecord]) -> None:
        """Store a piece in order: what is interrupted leaves its first part and nothing after it."""
        documents = self._of(collection)
        writes = [_replacing(_stored(documents, each)) for each in records]
        await self._presence.ensure()
        with self._connection.noted():
            try:
                await self._connection.collection(documents.name).bulk_write(writes)
            except BulkWriteError as error:
                refused = (error.details.get("writeErrors") or [{}])[0]
                if refused.get("code") != DUPLICATE_KEY:
                    raise
                record = documents.decode(records[int(refused["index"])].document)
                raise documents.refusal(refused, record) from error

    async def put_events(self, feed: str, events: Sequence[StoredEvent]) -> None:
        """Store a piece in order."""
        writes = [
            _replacing(
                {
                    ID: Int64(each.seq),
                    "id": each.id,
                    "type": each.type,
                    "at_ms": Int64(each.at_ms),
                    "object": feeds.stored_object(each.document),
                }
            )
            for each in events
        ]
        await self._presence.ensure()
        with self._connection.noted():
            await self._connection.collection(self._connection.names.feed(feed)).bulk_write(writes)

    async def put_contents(self, contents: Contents) -> None:
        """Take over incarnation, token floors, bounds of feeds and consumers."""
        with self._connection.noted():
            await self._connection.engine.delete_many({ID: {"$regex": "^floor:"}})
        for collection in contents.collections:
            if collection.token_floor:
                floor = {"$set": {FLOOR: Int64(collection.token_floor)}}
                await self._update(floor_of(collection.name), floor)
        for feed in contents.feeds:
            consumers = [
                {"name": name, "seq": Int64(seq), "at_ms": Int64(at_ms)}
                for name, seq, at_ms in feed.consumers
            ]
            trimmed = {feeds.TRIMMED: Int64(feed.start - 1), feeds.CONSUMERS: consumers}
            await self._update(
                followers_of(feed.name), {"$set": trimmed, "$inc": {feeds.REVISION: Int64(1)}}
            )
            await self._update(head_of(feed.name), {"$set": {feeds.END: Int64(feed.end)}})
        await self._update(STAMP, {"$set": {INCARNATION: contents.identity.incarnation}})

    async def clear(self) -> None:
        """Remove everything but the stamp and the mark."""
        with self._connection.noted():
            for each in self._documents.values():
                await self._connection.collection(each.name).delete_many({})
            await self._connection.engine.delete_many({ID: {"$regex": "^floor:"}})
            for feed in self._known:
                events = self._connection.collection(self._connection.names.feed(feed.name))
                await events.delete_many({})
                for fresh in (feeds.new_head(feed.name), feeds.new_followers(feed.name)):
                    await self._connection.engine.replace_one({ID: fresh[ID]}, fresh, upsert=True)

    async def close(self) -> None:
        """Let go of the database."""
        await self._presence.end()
        await self._connection.close()

    def _of(self, collection: str) -> MongoDocuments[Any]:
        if collection not in self._documents:
            raise ValueError(f"collection {collection} is not of this schema")
        return self._documents[collection]

    async def _last(self, name: str) -> Any:
        with self._connection.noted():
            found = await self._connection.collection(name).find_one({}, {ID: 1}, sort=[(ID, -1)])
        return found[ID] if found else None

    async def _update(self, id_: str, change: Stored) -> None:
        await self._presence.ensure()
        with self._connection.noted():
            await self._connection.engine.update_one({ID: id_}, change, upsert=True)


def _replacing(stored: Stored) -> ReplaceOne[Stored]:
    """Write a document so that it can be written again."""
    return ReplaceOne({ID: stored[ID]}, stored, upsert=True)


def _stored(documents: MongoDocuments[Any], carried: StoredRecord) -> Stored:
    """Return a carried record as it is stored.

    Raises:
        StorageCorrupt: its document is another record's, or cannot be held exactly.
    """
    stored = documents.stored_of(carried.document)
    if (stored[ID], int(stored["version"])) != (carried.id, carried.version):
        raise StorageCorrupt(documents.name, f"{carried.id} holds another record")
    if documents.collection.leased:
        token, owner, until = carried.lease or (0, None, None)
        end = None if until is None else Int64(until)
        stored[LEASE] = new_lease(token) | {"owner": owner, "until": end}
    return stored


async def _piece(rows: AsyncGenerator[P, None]) -> list[P]:
    piece: list[P] = []
    size = 0
    async with aclosing(rows):
        async for row in rows:
            piece.append(row)
            size += len(row.document)
            if len(piece) >= CHUNK_ROWS or size >= CHUNK_BYTES:
                break
    return piece

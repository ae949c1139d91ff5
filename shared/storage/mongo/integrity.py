"""Whether what is stored is what was stored: every document read back, every feed without a gap."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.storage.errors import StorageCorrupt
from shared.storage.mongo.carried import read_contents, read_events
from shared.storage.mongo.connection import Connection, each_of
from shared.storage.mongo.documents import MongoDocuments
from shared.storage.mongo.indexes import ID, bson
from shared.storage.schema import Feed


async def check(
    connection: Connection,
    documents: Mapping[str, MongoDocuments[Any]],
    known: Sequence[Feed],
) -> None:
    """Read everything as of one moment.

    Raises:
        StorageCorrupt: a document is not what this release wrote, or a feed has a gap.
    """
    async with connection.moment() as session:
        contents = await read_contents(connection, documents, known, session=session)
        for each in documents.values():
            cursor = connection.collection(each.name).find({}, session=session)
            async for stored in each_of(cursor):
                _check(each, stored)
        for feed in contents.feeds:
            expected = feed.start
            async for event in read_events(connection, feed.name, session=session):
                if event.seq != expected:
                    told = f"feed {feed.name} has {event.seq} where {expected} should be"
                    raise StorageCorrupt(connection.place, told)
                expected += 1
            if expected != feed.end + 1:
                told = f"feed {feed.name} ends before {feed.end}"
                raise StorageCorrupt(connection.place, told)


def _check(documents: MongoDocuments[Any], stored: dict[str, Any]) -> None:
    record = documents.read(stored)
    held = dict(zip(documents.fields, map(bson, documents.values(record)), strict=True))
    if record.id != stored[ID] or any(stored.get(key) != value for key, value in held.items()):
        raise StorageCorrupt(documents.name, f"{stored[ID]!r} is indexed by what it does not hold")

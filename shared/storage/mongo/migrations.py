"""How older documents become today's: beside the old ones first, then in their place.

The new documents are written into a collection of their own with all its indexes, so that a migration
that fails leaves the old ones untouched. Only when all are there does the stamp say which collections
take whose place; from then on an interrupted migration is finished by the next start.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from bson import Int64

from shared.storage.errors import StorageCorrupt
from shared.storage.mongo import backup
from shared.storage.mongo.alignment import make_collection, make_indexes
from shared.storage.mongo.connection import Connection, each_of
from shared.storage.mongo.documents import LEASE, MongoDocuments, Stored
from shared.storage.mongo.indexes import ID
from shared.storage.mongo.names import STAMP
from shared.storage.mongo.stamps import SCHEMA_VERSION, read_stamp
from shared.storage.schema import Migration, Schema

NEXT: Final = ".next"
"""What is added to the name of a collection whose documents are being made."""

REPLACING: Final = "replacing"
"""The key in the stamp of the collections that are to be replaced."""

CHUNK: Final = 500


def is_due(found: Stored, schema: Schema) -> bool:
    """Tell whether a database has to be brought to a schema."""
    return REPLACING in found or int(found[SCHEMA_VERSION]) != schema.version


async def migrate(
    connection: Connection,
    schema: Schema,
    documents: Mapping[str, MongoDocuments[Any]],
    *,
    copies: Path,
) -> None:
    """Carry every document to the schema's version; nobody else has the database open.

    Args:
        connection: where.
        schema: with the migrations.
        documents: the collections of the schema by name.
        copies: the folder for the copy that is made first.
    """
    found = await read_stamp(connection)
    if found is None:
        raise StorageCorrupt(connection.place, "its stamp is gone")
    if REPLACING not in found:
        since = int(found[SCHEMA_VERSION])
        copy = copies / f"{schema.service}.mongodb.schema-{since}"
        copy.unlink(missing_ok=True)  # of an upgrade that did not get through
        await backup.copy(connection, documents, schema.feeds, copy)
        due = _due(schema, documents, since)
        with connection.noted(), connection.patiently():
            await _prepare(connection, documents, due)
            replacing = [documents[name].name for name in due]
            update = {REPLACING: replacing, SCHEMA_VERSION: Int64(schema.version)}
            await connection.engine.update_one({ID: STAMP}, {"$set": update})
    await _finish(connection)


def _due(
    schema: Schema, documents: Mapping[str, MongoDocuments[Any]], since: int
) -> dict[str, list[Migration]]:
    due: dict[str, list[Migration]] = {name: [] for name in documents}
    for each in sorted(schema.migrations, key=lambda each: each.to_version):
        if each.to_version > since:
            due[each.collection].append(each)
    return {name: steps for name, steps in due.items() if steps}


async def _prepare(
    connection: Connection,
    documents: Mapping[str, MongoDocuments[Any]],
    due: Mapping[str, list[Migration]],
) -> None:
    try:
        for name, steps in due.items():
            await _fill(connection, documents[name], steps)
    except BaseException:
        for name in due:
            await connection.collection(documents[name].name + NEXT).drop()
        raise


async def _fill(
    connection: Connection, documents: MongoDocuments[Any], steps: list[Migration]
) -> None:
    name = documents.name + NEXT
    await connection.collection(name).drop()
    await make_collection(connection, name, validator=documents.validator())
    await make_indexes(connection, documents, name)
    target = connection.collection(name)
    chunk: list[Stored] = []
    async for stored in each_of(connection.collection(documents.name).find(sort=[(ID, 1)])):
        chunk.append(_migrated(documents, stored, steps))
        if len(chunk) >= CHUNK:
            await target.insert_many(chunk)
            chunk = []
    if chunk:
        await target.insert_many(chunk)


def _migrated(documents: MongoDocuments[Any], stored: Stored, steps: list[Migration]) -> Stored:
    """Return a document as the last of the migrations leaves it, id, version and lease kept."""
    document = msgspec.json.decode(documents.json(stored))
    record_id, version = document["id"], document["version"]
    for step in steps:
        document = step.transform(document)
    doc = msgspec.json.encode({**document, "id": record_id, "version": version})
    today = documents.stored_of(doc)
    return {**today, LEASE: stored[LEASE]} if LEASE in stored else today


async def _finish(connection: Connection) -> None:
    """Put what is ready into its place; what already is stays."""
    with connection.noted(), connection.patiently():
        found = await connection.engine.find_one({ID: STAMP})
        existing = await connection.existing()
        for name in (found or {}).get(REPLACING, ()):
            if name + NEXT in existing:
                await connection.collection(name + NEXT).rename(name, dropTarget=True)
        await connection.engine.update_one({ID: STAMP}, {"$unset": {REPLACING: ""}})

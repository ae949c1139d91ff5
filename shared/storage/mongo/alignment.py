"""Collections, validators and indexes as the schema wants them.

Several processes may bring a database to the same schema at once. What is new is made before what is old
goes, so that a refusal leaves everything as it was.
"""

from collections.abc import Mapping
from typing import Any, Final

from pymongo import UpdateOne
from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure

from shared.storage.errors import DuplicateRecord
from shared.storage.mongo import feeds
from shared.storage.mongo.connection import Connection, each_of
from shared.storage.mongo.documents import MongoDocuments, Stored
from shared.storage.mongo.failures import NAMESPACE_EXISTS
from shared.storage.mongo.indexes import ID, ID_INDEX, Specification
from shared.storage.schema import Schema

CHUNK: Final = 500


async def align(
    connection: Connection, schema: Schema, documents: Mapping[str, MongoDocuments[Any]]
) -> None:
    """Make what the schema wants, and drop the indexes that it does not.

    Raises:
        DuplicateRecord: a new unique index does not hold for what is stored.
    """
    existing = await connection.existing()
    for each in documents.values():
        await _align_collection(connection, each, existing.get(each.name))
    for feed in schema.feeds:
        name = connection.names.feed(feed.name)
        if name not in existing:
            await make_collection(connection, name)
        for document in (feeds.new_head(feed.name), feeds.new_followers(feed.name)):
            rest = {key: value for key, value in document.items() if key != ID}
            await connection.engine.update_one(
                {ID: document[ID]}, {"$setOnInsert": rest}, upsert=True
            )


async def _align_collection(
    connection: Connection, documents: MongoDocuments[Any], options: Stored | None
) -> None:
    name, validator = documents.name, documents.validator()
    if options is None:
        await make_collection(connection, name, validator=validator)
    elif options.get("validator") != validator:
        await _fill(connection, documents)
        await connection.command("collMod", name, validator=validator)
    await make_indexes(connection, documents, name)
    wanted = {each.name for each in documents.specifications()} | {ID_INDEX}
    for held in await _indexes(connection, name):
        if held not in wanted:
            await connection.collection(name).drop_index(held)


async def make_collection(connection: Connection, name: str, **options: Any) -> None:
    """Make a collection, unless another process of the service just did."""
    try:
        await connection.create(name, **options)
    except CollectionInvalid:
        return
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:
            raise


async def make_indexes(connection: Connection, documents: MongoDocuments[Any], name: str) -> None:
    """Make the indexes that a collection lacks or has otherwise.

    Raises:
        DuplicateRecord: a unique one does not hold.
    """
    held = await _indexes(connection, name)
    collection = connection.collection(name)
    for each in documents.specifications():
        if each.name in held:
            if held[each.name] == _told(each):
                continue
            await collection.drop_index(each.name)
        keys = [(field, 1) for field in each.fields]
        try:
            await collection.create_index(keys, **each.options())
        except DuplicateKeyError as error:
            index = each.name.removesuffix(".unique")
            raise DuplicateRecord(collection=documents.collection.name, index=index) from error


async def _indexes(connection: Connection, name: str) -> dict[str, Stored]:
    cursor = await connection.collection(name).list_indexes()
    return {
        each["name"]: {
            "key": list(each["key"].items()),
            "unique": bool(each.get("unique")),
            "partial": dict(each.get("partialFilterExpression", {})),
        }
        async for each in cursor
    }


def _told(wanted: Specification) -> Stored:
    return {
        "key": [(field, 1) for field in wanted.fields],
        "unique": wanted.unique,
        "partial": wanted.partial,
    }


async def _fill(connection: Connection, documents: MongoDocuments[Any]) -> None:
    """Give documents of an older release the indexed fields that they lack."""
    if not documents.fields:
        return
    collection = connection.collection(documents.name)
    lacking = {"$or": [{field: {"$exists": False}} for field in documents.fields]}
    changes: list[UpdateOne] = []
    async for stored in each_of(collection.find(lacking)):
        changes.append(UpdateOne({ID: stored[ID]}, {"$set": documents.missing(stored)}))
        if len(changes) >= CHUNK:
            await collection.bulk_write(changes, ordered=False)
            changes = []
    if changes:
        await collection.bulk_write(changes, ordered=False)

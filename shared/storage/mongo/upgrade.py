"""Opening a database: whose it is, what its collections lack, and what the server is to insist on."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson import Int64
from pymongo.errors import DuplicateKeyError

from shared.storage.errors import StorageCorrupt, StorageWithheld
from shared.storage.mongo import feeds, migrations
from shared.storage.mongo.alignment import align
from shared.storage.mongo.connection import Connection
from shared.storage.mongo.documents import MongoDocuments, Stored
from shared.storage.mongo.indexes import ID
from shared.storage.mongo.names import STAMP
from shared.storage.mongo.presence import Presence
from shared.storage.mongo.stamps import (
    INCARNATION,
    SCHEMA_VERSION,
    WITHHELD,
    check_stamp,
    read_stamp,
)
from shared.storage.schema import Schema, Stamp
from shared.storage.transfer.portable import Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A database that is ready for its service.

    Attributes:
        incarnation: identifies this history of the database.
        heads: number of the newest event of each feed.
        presence: by which others see that it is open.
    """

    incarnation: str
    heads: Mapping[str, int]
    presence: Presence


async def open_database(
    connection: Connection,
    schema: Schema,
    stamp: Stamp,
    documents: Mapping[str, MongoDocuments[Any]],
    *,
    copies: Path,
    alone: bool = False,
) -> Opened:
    """Open or create the database; a refusal leaves it untouched.

    Args:
        connection: where.
        schema: what the service keeps.
        stamp: what the database is for.
        documents: the collections of the schema by name.
        copies: the folder of this process, where a copy goes as an older release knew it.
        alone: take it for this process alone, even one that services must not use.

    Raises:
        StorageLocked: another process has it alone, or has it open when it is wanted alone.
        StorageWithheld: it is being filled, or was moved elsewhere.
        WrongStamp: it belongs to another network or contract, or to a newer release.
        StorageCorrupt: somebody else's documents lie where ours would.
        DuplicateRecord: a new unique index does not hold for what is stored.
    """
    found = await read_stamp(connection)
    if found is None:
        await _check_empty(connection, documents)
        found = await _stamp(connection, schema, stamp)
    check_stamp(connection.place, found, schema, stamp)
    if not alone and WITHHELD in found:
        raise StorageWithheld(connection.place, Mark.decode(found[WITHHELD]).told)
    presence = await Presence.begin(connection, folder=copies, alone=alone)
    try:
        if migrations.is_due(found, schema):
            if alone:
                await migrations.migrate(connection, schema, documents, copies=copies)
            else:
                async with presence.alone():
                    await migrations.migrate(connection, schema, documents, copies=copies)
        with connection.noted(), connection.patiently():
            await align(connection, schema, documents)
            heads = await feeds.heads(connection, [feed.name for feed in schema.feeds])
    except BaseException:
        await presence.end()
        raise
    return Opened(incarnation=found[INCARNATION], heads=heads, presence=presence)


async def _check_empty(
    connection: Connection, documents: Mapping[str, MongoDocuments[Any]]
) -> None:
    for each in documents.values():
        with connection.noted():
            if await connection.collection(each.name).find_one({}, {ID: 1}) is not None:
                told = f"collection {each.name} holds documents of some other program"
                raise StorageCorrupt(connection.place, told)


async def _stamp(connection: Connection, schema: Schema, stamp: Stamp) -> Stored:
    """Say whose the database is, unless another process of the service just did."""
    told = {
        ID: STAMP,
        "service": schema.service,
        "network": stamp.network,
        "contract": stamp.contract,
        SCHEMA_VERSION: Int64(schema.version),
        INCARNATION: uuid.uuid4().hex,
    }
    with connection.noted():
        try:
            await connection.engine.insert_one(told)
        except DuplicateKeyError:
            found = await connection.engine.find_one({ID: STAMP})
            return found or told
    return told

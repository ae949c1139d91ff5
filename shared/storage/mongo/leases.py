"""Leases: the right to work on a record, taken and given back in conditional writes of one document."""

import uuid
from collections.abc import Sequence
from typing import Any, Final

from bson import Int64
from pymongo import UpdateOne

from shared.storage.errors import LeaseLost
from shared.storage.mongo.connection import Connection, each_of
from shared.storage.mongo.documents import LEASE, MongoDocuments, Stored
from shared.storage.mongo.indexes import ID, Condition
from shared.storage.mongo.queries import Rows, collection_of, together
from shared.storage.port import Leased
from shared.storage.schema import R
from shared.storage.unit import Lease

TOKEN: Final = f"{LEASE}.token"
OWNER: Final = f"{LEASE}.owner"
UNTIL: Final = f"{LEASE}.until"
CLAIM: Final = f"{LEASE}.claim"

FREED: Final[dict[str, Any]] = {"$set": {OWNER: None, UNTIL: None, CLAIM: None}}
"""The update that gives a lease up."""


def new_lease(token: int) -> Stored:
    """Return the lease of a record that nobody held, above every token of one that is gone."""
    return {"token": Int64(token), "owner": None, "until": None, "claim": None}


def free(now_ms: int) -> Condition:
    """Return the condition under which nobody holds a document at a time."""
    return {"$or": [{UNTIL: None}, {UNTIL: {"$lte": Int64(now_ms)}}]}


def held(lease: Lease) -> Condition:
    """Return the condition under which a lease is still its owner's."""
    return {ID: lease.record_id, TOKEN: Int64(lease.token), OWNER: lease.owner}


async def claim(
    connection: Connection,
    chosen: Rows[R],
    *,
    limit: int,
    owner: str,
    now_ms: int,
    until_ms: int,
) -> list[Leased[R]]:
    """Lease the first free documents of a selection.

    Each is taken by a conditional write of its own, under the name of this claim, so that of several
    processes that chose it one gets it; what others took is made up for by what follows.
    """
    collection = collection_of(connection, chosen.documents)
    name, taken = uuid.uuid4().hex, list[Leased[R]]()
    terms = [*chosen.terms(), free(now_ms)]
    take = {
        "$inc": {TOKEN: Int64(1)},
        "$set": {OWNER: owner, UNTIL: Int64(until_ms), CLAIM: name},
    }

    async def choose() -> list[str]:
        cursor = collection.find(
            together(terms),
            {ID: 1},
            sort=chosen.sort(chosen.order(), descending=False) or None,
            limit=limit - len(taken),
            hint=chosen.listing.name,
        )
        return [each[ID] async for each in each_of(cursor)]

    async def got(ids: list[str]) -> dict[str, Stored]:
        ours = collection.find({ID: {"$in": ids}, CLAIM: name})
        return {each[ID]: each async for each in each_of(ours)}

    while len(taken) < limit:
        ids = await connection.repeat(choose)
        if not ids:
            break
        wanted = together([{ID: {"$in": ids}}, *terms])
        await connection.repeat(lambda wanted=wanted: collection.update_many(wanted, take))  # type: ignore[misc]
        ours = await connection.repeat(lambda ids=ids: got(ids))  # type: ignore[misc]
        taken += [
            Leased(record=chosen.documents.read(ours[id_]), lease=_lease(ours[id_]))
            for id_ in ids
            if id_ in ours
        ]
    return taken


async def renew(
    connection: Connection, documents: MongoDocuments[R], lease: Lease, until_ms: int
) -> Lease:
    """Move the end of a lease.

    Raises:
        LeaseLost: it is not this owner's any more.
    """
    update = {"$set": {UNTIL: Int64(until_ms)}}
    done = await collection_of(connection, documents).update_one(held(lease), update)
    if not done.matched_count:
        name = documents.collection.name
        raise LeaseLost(collection=name, id=lease.record_id, token=lease.token)
    return Lease(record_id=lease.record_id, token=lease.token, owner=lease.owner, until_ms=until_ms)


async def release(
    connection: Connection, documents: MongoDocuments[Any], leases: Sequence[Lease]
) -> None:
    """Give up those of the leases that are still their owners'."""
    updates = [UpdateOne(held(lease), FREED) for lease in leases]
    await collection_of(connection, documents).bulk_write(updates, ordered=False)


def _lease(stored: Stored) -> Lease:
    told = stored[LEASE]
    return Lease(
        record_id=stored[ID],
        token=int(told["token"]),
        owner=told["owner"],
        until_ms=int(told["until"]),
    )

"""Retention: records whose time is over are removed in bounded steps."""

from pymongo.asynchronous.client_session import AsyncClientSession

from shared.storage.mongo.connection import Connection, each_of
from shared.storage.mongo.indexes import ID
from shared.storage.mongo.leases import free
from shared.storage.mongo.queries import Rows, collection_of, together
from shared.storage.mongo.units import highest_token, raise_floor
from shared.storage.schema import R


async def prune(
    connection: Connection,
    session: AsyncClientSession,
    chosen: Rows[R],
    *,
    limit: int,
    now_ms: int,
) -> int:
    """Remove the first documents of a selection, held ones excepted, and return how many.

    Runs in a transaction: whoever claims one of them meanwhile makes it begin again.
    """
    documents = chosen.documents
    terms = chosen.terms()
    if documents.collection.leased:
        terms.append(free(now_ms))
    collection = collection_of(connection, documents)
    cursor = collection.find(
        together(terms),
        {ID: 1},
        sort=chosen.sort(chosen.order(), descending=False) or None,
        limit=limit,
        hint=chosen.listing.name,
        session=session,
    )
    ids = [each[ID] async for each in each_of(cursor)]
    if not ids:
        return 0
    if documents.collection.leased:
        token = await highest_token(connection, session, documents, ids)
        if token:
            await raise_floor(connection, session, documents, token)
    removed = await collection.delete_many({ID: {"$in": ids}}, session=session)
    return removed.deleted_count

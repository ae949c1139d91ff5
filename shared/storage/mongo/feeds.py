"""Feeds whose numbers are taken from one document inside the transaction: commit order is order.

Transactions that publish to a feed change that document, so that of two the server lets one wait or
begin again; numbers therefore have no gaps. Consumers and what was trimmed are one document besides,
changed by compare-and-set, so that trimming and registering never pass each other.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from bson import Int64
from pymongo import ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession

from shared.storage.documents import event_object
from shared.storage.errors import FeedTrimmed, InvalidCursor, StorageCorrupt
from shared.storage.mongo.bson_values import TooDeep, from_bson, to_bson
from shared.storage.mongo.connection import Connection, each_of
from shared.storage.mongo.documents import MAX_NATIVE_BYTES, Stored
from shared.storage.mongo.names import followers_of, head_of
from shared.storage.port import MAX_CONSUMERS, Event, FeedPage
from shared.storage.unit import Publish
from shared.storage.values import check_limit, plain

TRIM_EVENTS: Final = 1_000
"""Events removed in one transaction, so that a large trim does not hold up the units."""

END: Final = "end"
REVISION: Final = "revision"
TRIMMED: Final = "trimmed"
CONSUMERS: Final = "consumers"


def new_head(feed: str) -> Stored:
    """Return the document of the newest number of a feed that has no events."""
    return {"_id": head_of(feed), END: Int64(0)}


def new_followers(feed: str) -> Stored:
    """Return the document of the consumers of a feed that has none."""
    return {"_id": followers_of(feed), REVISION: Int64(0), TRIMMED: Int64(0), CONSUMERS: []}


def stored_event(event: Publish) -> Stored:
    """Return an event as it is stored, but for its number.

    Raises:
        LimitExceeded: it is larger than an event may be.
        TypeError: its object is no JSON object.
    """
    told = stored_object(event_object(event))
    return {"id": event.id, "type": str(event.type), "at_ms": Int64(event.at_ms), "object": told}


def stored_object(document: bytes) -> Stored | str:
    """Return the object of an event as it is stored: natively, or as text where it is too large."""
    if len(document) <= MAX_NATIVE_BYTES:
        try:
            native: Stored = to_bson(msgspec.json.decode(document))
        except TooDeep:
            pass
        else:
            return native
    return document.decode()


def object_of(stored: Stored) -> Any:
    """Return what an event happened to."""
    told = stored["object"]
    return msgspec.json.decode(told) if isinstance(told, str) else from_bson(told)


async def publish(
    connection: Connection, session: AsyncClientSession, feed: str, events: Sequence[Stored]
) -> int:
    """Append events under the next numbers and return the last of these."""
    head = await connection.engine.find_one_and_update(
        {"_id": head_of(feed)},
        {"$inc": {END: Int64(len(events))}},
        return_document=ReturnDocument.AFTER,
        session=session,
    )
    if head is None:
        raise StorageCorrupt(connection.place, f"feed {feed} has lost its numbers")
    end = int(head[END])
    first = end - len(events) + 1
    numbered = [{"_id": Int64(first + n), **event} for n, event in enumerate(events)]
    await connection.collection(connection.names.feed(feed)).insert_many(numbered, session=session)
    return end


async def heads(connection: Connection, feeds: Sequence[str]) -> dict[str, int]:
    """Return the number of the newest event of each feed."""
    ids = [head_of(feed) for feed in feeds]
    found = connection.engine.find({"_id": {"$in": ids}})
    return {each["_id"].partition(":")[2]: int(each[END]) async for each in each_of(found)}


async def read(connection: Connection, feed: str, after: int, limit: int) -> FeedPage:
    """Read a part of a feed.

    First how far it has come, then the events up to there, which are all there as long as nobody
    trimmed them; whether somebody did is looked at last.
    """
    end, followers = await _state(connection, feed, None)
    _check(feed, after, int(followers[TRIMMED]) + 1, end)
    cursor = connection.collection(connection.names.feed(feed)).find(
        {"_id": {"$gt": Int64(after), "$lte": Int64(end)}}, sort=[("_id", 1)], limit=limit
    )
    stored = [each async for each in each_of(cursor)]
    _, followers = await _state(connection, feed, None)
    start = int(followers[TRIMMED]) + 1
    _check(feed, after, start, end)
    numbers = [int(each["_id"]) for each in stored]
    if numbers != list(range(after + 1, after + 1 + min(limit, end - after))):
        raise StorageCorrupt(connection.place, f"feed {feed} has a gap after {after}")
    events = tuple(
        Event(
            seq=int(each["_id"]),
            id=each["id"],
            type=each["type"],
            at_ms=int(each["at_ms"]),
            object=object_of(each),
        )
        for each in stored
    )
    return FeedPage(events=events, start=start, end=end)


async def acknowledge(
    connection: Connection, feed: str, consumer: str, seq: int, at_ms: int
) -> None:
    """Set what a consumer is done with; it may go back as far as the feed still reaches."""
    plain(consumer, f"{feed} consumer")

    def change(end: int, followers: Stored) -> list[Stored]:
        _check(feed, seq, int(followers[TRIMMED]) + 1, end)
        others = [each for each in followers[CONSUMERS] if each["name"] != consumer]
        check_limit(f"consumers of {feed}", len(others) + 1, MAX_CONSUMERS)
        return [*others, {"name": consumer, "seq": Int64(seq), "at_ms": Int64(at_ms)}]

    await _change(connection, feed, change)


async def dismiss(connection: Connection, feed: str, consumer: str) -> bool:
    """Forget a consumer."""
    known = False

    def change(_end: int, followers: Stored) -> list[Stored] | None:
        nonlocal known
        others = [each for each in followers[CONSUMERS] if each["name"] != consumer]
        if len(others) == len(followers[CONSUMERS]):
            return None
        known = True
        return others

    await _change(connection, feed, change)
    return known


async def consumers(connection: Connection, feed: str) -> dict[str, int]:
    """Return what each consumer is done with, by name."""
    _, followers = await _state(connection, feed, None)
    return {each["name"]: int(each["seq"]) for each in _by_name(followers)}


async def trim(
    connection: Connection, session: AsyncClientSession, feed: str, keep_after_ms: int
) -> int:
    """Remove up to ``TRIM_EVENTS`` events from the front and return how many.

    Stops at the first event that is recent enough or that the slowest consumer has not
    acknowledged, so that what remains has no holes.
    """
    events = connection.collection(connection.names.feed(feed))
    _, followers = await _state(connection, feed, session)
    trimmed = int(followers[TRIMMED])
    slowest = min((int(each["seq"]) for each in followers[CONSUMERS]), default=None)
    until = trimmed
    front = events.find({}, {"at_ms": 1}, sort=[("_id", 1)], limit=TRIM_EVENTS, session=session)
    async for event in each_of(front):
        number = int(event["_id"])
        if event["at_ms"] >= keep_after_ms or (slowest is not None and number > slowest):
            break
        until = number
    if until == trimmed:
        return 0
    removed = await events.delete_many({"_id": {"$lte": Int64(until)}}, session=session)
    await connection.engine.update_one(
        {"_id": followers_of(feed)},
        {"$set": {TRIMMED: Int64(until)}, "$inc": {REVISION: Int64(1)}},
        session=session,
    )
    return removed.deleted_count


async def _change(
    connection: Connection, feed: str, change: Callable[[int, Stored], list[Stored] | None]
) -> None:
    """Give a feed other consumers, on the condition that nobody else does meanwhile."""
    while True:
        end, followers = await _state(connection, feed, None)
        wanted = change(end, followers)
        if wanted is None:
            return
        known = {"_id": followers["_id"], REVISION: followers[REVISION]}
        update = {"$set": {CONSUMERS: wanted}, "$inc": {REVISION: Int64(1)}}
        if (await connection.engine.update_one(known, update)).matched_count:
            return


async def _state(
    connection: Connection, feed: str, session: AsyncClientSession | None
) -> tuple[int, Stored]:
    wanted = {"_id": {"$in": [head_of(feed), followers_of(feed)]}}
    cursor = connection.engine.find(wanted, session=session)
    found = {each["_id"]: each async for each in each_of(cursor)}
    if len(found) != len(wanted["_id"]["$in"]):
        raise StorageCorrupt(connection.place, f"feed {feed} has lost its numbers")
    return int(found[head_of(feed)][END]), found[followers_of(feed)]


def _check(feed: str, after: int, start: int, end: int) -> None:
    if after < 0 or after > end:
        raise InvalidCursor(str(after))
    if after < start - 1:
        raise FeedTrimmed(feed=feed, after=after, start=start)


def _by_name(followers: Stored) -> list[Stored]:
    return sorted(followers[CONSUMERS], key=lambda each: str(each["name"]))

"""Units as conditional writes: planned beside the caller, carried out in a transaction.

Units that are queued together share a transaction and, for each collection, one request. When one of
them meets a guard that says no, nothing of the transaction happened, and each is carried out by
itself, step by step, to find out whose guard it was and what it said.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

from bson import Int64
from pymongo import DeleteOne, InsertOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError

from shared.storage.errors import (
    GuardFailed,
    LeaseLost,
    RecordMissing,
    StaleRecord,
)
from shared.storage.known import Known, operations_of
from shared.storage.mongo import feeds
from shared.storage.mongo.connection import Connection, each_of
from shared.storage.mongo.documents import LEASE, TOUCHED, VERSION, MongoDocuments, Stored
from shared.storage.mongo.failures import DUPLICATE_KEY
from shared.storage.mongo.indexes import ID
from shared.storage.mongo.leases import FREED, TOKEN, held, new_lease
from shared.storage.mongo.names import floor_of
from shared.storage.mongo.queries import collection_of
from shared.storage.port import Committed
from shared.storage.unit import (
    Delete,
    Fence,
    Insert,
    Lease,
    Operation,
    Publish,
    Release,
    Require,
    Unit,
    Update,
)
from shared.storage.values import plain

Request = InsertOne[Stored] | UpdateOne | DeleteOne

FLOOR: Final = "token"
ENDS: Final = "ends"


class Unmet(Exception):
    """Some guard in a transaction said no.

    Attributes:
        duplicate: what the server says of the unique index; None when a document was not met.
    """

    def __init__(self, duplicate: Stored | None = None) -> None:
        super().__init__("a guard said no")
        self.duplicate = duplicate


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One guarded write of one document.

    Attributes:
        documents: of which collection.
        id: of the record.
        request: makes the write, of the token that a new lease begins at and the transaction's name.
        refusal: what it means that the write met no document.
        record: what is inserted or updated.
        begins: whether a record begins, which needs to know the tokens of those that are gone.
        ends: whether a record ends, which has to leave its token behind.
    """

    documents: MongoDocuments[Any]
    id: str
    request: Callable[[int, str], Request]
    refusal: Callable[[bool], GuardFailed]
    record: Any = None
    begins: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A unit, ready to be carried out.

    Attributes:
        changes: its guarded writes in their order.
        events: what it tells each feed, in order.
        touches: every (collection, id) that it reads or writes.
    """

    changes: list[Change] = field(default_factory=list)
    events: dict[str, list[Stored]] = field(default_factory=dict)
    touches: set[tuple[str, str]] = field(default_factory=set)

    @property
    def is_small(self) -> bool:
        """Whether it takes no more requests step by step than together."""
        return len({change.documents.name for change in self.changes}) == len(self.changes)

    @property
    def size(self) -> int:
        """How many writes it takes."""
        return len(self.changes) + sum(map(len, self.events.values()))


def plan(known: Known[MongoDocuments[Any]], unit: Unit) -> Plan:
    """Return a unit as writes; all encoding is done by then.

    Raises:
        LimitExceeded: the unit or something in it is too large.
        ValueError: something in it is not of this schema.
    """
    planned = Plan()
    for operation in operations_of(unit):
        _add(known, planned, operation)
    return planned


def _add(known: Known[MongoDocuments[Any]], plan: Plan, operation: Operation) -> None:
    match operation:
        case Insert() | Update() | Delete() | Require():
            documents = known.stored(operation.collection)
            change = _RECORD_CHANGES[type(operation)](documents, operation.record)
        case Fence() | Release():
            documents = known.stored(operation.collection)
            change = _LEASE_CHANGES[type(operation)](documents, operation.lease)
        case Publish():
            name = known.feed(operation.feed)
            plan.events.setdefault(name, []).append(feeds.stored_event(operation))
            return
        case _:
            assert_never(operation)
    plan.changes.append(change)
    plan.touches.add((documents.name, change.id))


class Execution:
    """Carries plans out inside a transaction that somebody else begins and commits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def together(
        self, session: AsyncClientSession, name: str, plans: Sequence[Plan]
    ) -> Stored:
        """Carry out plans that touch nothing in common; returns the ends of the feeds they told.

        Raises:
            Unmet: a guard of one of them said no.
        """
        by_collection: dict[str, list[Change]] = defaultdict(list)
        for plan in plans:
            for change in plan.changes:
                by_collection[change.documents.name].append(change)
        for changes in by_collection.values():
            await self._write(session, name, changes)
        return await self._publish(session, plans)

    async def step_by_step(self, session: AsyncClientSession, name: str, plan: Plan) -> Stored:
        """Carry out one plan in its order.

        Raises:
            GuardFailed: the first guard that said no.
        """
        for change in plan.changes:
            try:
                await self._write(session, name, [change])
            except Unmet as unmet:
                if unmet.duplicate is not None:
                    raise change.documents.refusal(unmet.duplicate, change.record) from unmet
                there = await self._is_there(session, change)
                raise change.refusal(there) from None
        return await self._publish(session, [plan])

    async def _write(
        self, session: AsyncClientSession, name: str, changes: Sequence[Change]
    ) -> None:
        documents = changes[0].documents
        floor = await self._floor(session, documents, changes)
        requests = [change.request(floor, name) for change in changes]
        collection = collection_of(self._connection, documents)
        try:
            done = await collection.bulk_write(requests, session=session)
        except BulkWriteError as error:
            refused = error.details.get("writeErrors")
            if not refused or refused[0]["code"] != DUPLICATE_KEY:
                raise
            raise Unmet(refused[0]) from error
        if done.inserted_count + done.matched_count + done.deleted_count != len(changes):
            raise Unmet

    async def _floor(
        self,
        session: AsyncClientSession,
        documents: MongoDocuments[Any],
        changes: Sequence[Change],
    ) -> int:
        """Return the token below which no new lease begins, raised by the records that end here."""
        ending = [change.id for change in changes if change.ends]
        if not documents.collection.leased or not (
            ending or any(change.begins for change in changes)
        ):
            return 0
        floor = await self._connection.engine.find_one(
            {ID: floor_of(documents.collection.name)}, session=session
        )
        known = int(floor[FLOOR]) if floor else 0
        tokens = await highest_token(self._connection, session, documents, ending)
        if tokens > known:
            await raise_floor(self._connection, session, documents, tokens)
        return max(known, tokens)

    async def _publish(self, session: AsyncClientSession, plans: Sequence[Plan]) -> Stored:
        told: dict[str, list[Stored]] = defaultdict(list)
        for plan in plans:
            for feed, events in plan.events.items():
                told[feed] += events
        ends = {
            feed: Int64(await feeds.publish(self._connection, session, feed, told[feed]))
            for feed in sorted(
                told
            )  # in one order, so that no two transactions wait for each other
        }
        return {ENDS: ends}

    async def _is_there(self, session: AsyncClientSession, change: Change) -> bool:
        collection = collection_of(self._connection, change.documents)
        return await collection.find_one({ID: change.id}, {ID: 1}, session=session) is not None


def numbers_of(plans: Sequence[Plan], outcome: Stored) -> list[Committed]:
    """Return what each plan's events were numbered, from the ends of the feeds."""
    begins = {
        feed: int(end) - sum(len(plan.events.get(feed, ())) for plan in plans)
        for feed, end in outcome[ENDS].items()
    }
    committed = []
    for plan in plans:
        taken: dict[str, tuple[int, ...]] = {}
        for feed, events in plan.events.items():
            first = begins[feed] + 1
            begins[feed] += len(events)
            taken[feed] = tuple(range(first, first + len(events)))
        committed.append(Committed(feed_numbers=taken))
    return committed


async def highest_token(
    connection: Connection,
    session: AsyncClientSession,
    documents: MongoDocuments[Any],
    ids: Sequence[str],
) -> int:
    """Return the highest fencing token among some records, 0 when there are none."""
    if not ids:
        return 0
    cursor = collection_of(connection, documents).find(
        {ID: {"$in": list(ids)}}, {TOKEN: 1}, session=session
    )
    tokens = [int(each.get(LEASE, {}).get("token", 0)) async for each in each_of(cursor)]
    return max(tokens, default=0)


async def raise_floor(
    connection: Connection,
    session: AsyncClientSession,
    documents: MongoDocuments[Any],
    token: int,
) -> None:
    """Make later records of a collection begin above a token."""
    await connection.engine.update_one(
        {ID: floor_of(documents.collection.name)},
        {"$max": {FLOOR: Int64(token)}},
        upsert=True,
        session=session,
    )


def _insert(documents: MongoDocuments[Any], record: Any) -> Change:
    fields = documents.fields_of(record, 1)

    def request(floor: int, _name: str) -> Request:
        stored = {ID: record.id, **fields}
        if documents.collection.leased:
            stored[LEASE] = new_lease(floor)
        return InsertOne(stored)

    return Change(
        documents=documents,
        id=record.id,
        request=request,
        refusal=_stale(documents, record),
        record=record,
        begins=True,
    )


def _update(documents: MongoDocuments[Any], record: Any) -> Change:
    update = documents.replacing(documents.fields_of(record, record.version + 1))
    return Change(
        documents=documents,
        id=record.id,
        request=lambda _floor, _name: UpdateOne(_loaded(record), update),
        refusal=_stale(documents, record),
        record=record,
    )


def _delete(documents: MongoDocuments[Any], record: Any) -> Change:
    return Change(
        documents=documents,
        id=_id(documents, record.id),
        request=lambda _floor, _name: DeleteOne(_loaded(record)),
        refusal=_stale(documents, record),
        ends=True,
    )


def _require(documents: MongoDocuments[Any], record: Any) -> Change:
    """A read would not keep others from changing the record before this commits: a write does."""
    return Change(
        documents=documents,
        id=_id(documents, record.id),
        request=lambda _floor, name: UpdateOne(_loaded(record), {"$set": {TOUCHED: name}}),
        refusal=_stale(documents, record),
    )


def _fence(documents: MongoDocuments[Any], lease: Lease) -> Change:
    return Change(
        documents=documents,
        id=lease.record_id,
        request=lambda _floor, name: UpdateOne(held(lease), {"$set": {TOUCHED: name}}),
        refusal=_lost(documents, lease),
    )


def _release(documents: MongoDocuments[Any], lease: Lease) -> Change:
    return Change(
        documents=documents,
        id=lease.record_id,
        request=lambda _floor, _name: UpdateOne(held(lease), FREED),
        refusal=_lost(documents, lease),
    )


def _loaded(record: Any) -> Stored:
    return {ID: record.id, VERSION: Int64(record.version)}


def _id(documents: MongoDocuments[Any], id_: Any) -> str:
    plain(id_, f"{documents.collection.name}.id")
    return str(id_)


def _stale(documents: MongoDocuments[Any], record: Any) -> Callable[[bool], GuardFailed]:
    name = documents.collection.name

    def refusal(there: bool) -> GuardFailed:  # noqa: FBT001 - what the one question found
        if there:
            return StaleRecord(collection=name, id=record.id, version=record.version)
        return RecordMissing(collection=name, id=record.id)

    return refusal


def _lost(documents: MongoDocuments[Any], lease: Lease) -> Callable[[bool], GuardFailed]:
    name = documents.collection.name
    return lambda _there: LeaseLost(collection=name, id=lease.record_id, token=lease.token)


_RECORD_CHANGES: Final[dict[type[Operation], Callable[[MongoDocuments[Any], Any], Change]]] = {
    Insert: _insert,
    Update: _update,
    Delete: _delete,
    Require: _require,
}
_LEASE_CHANGES: Final[dict[type[Operation], Callable[[MongoDocuments[Any], Lease], Change]]] = {
    Fence: _fence,
    Release: _release,
}

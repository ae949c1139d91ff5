"""The engine as its users see it: every method of the port, each handed to where it is done."""

import asyncio
import builtins
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from shared.storage.errors import LimitExceeded, StorageClosed, StorageCorrupt, StorageError
from shared.storage.mongo import backup, feeds, integrity, leases, queries, retention
from shared.storage.mongo.connection import Connection
from shared.storage.mongo.documents import MongoDocuments, Stored
from shared.storage.mongo.leases import release as give_up
from shared.storage.mongo.names import Names
from shared.storage.mongo.options import MongoOptions
from shared.storage.mongo.queries import Rows
from shared.storage.mongo.transactions import Body
from shared.storage.mongo.units import Planner
from shared.storage.mongo.upgrade import Opened, open_database
from shared.storage.mongo.watch import HeadWatch
from shared.storage.mongo.writer import Writer
from shared.storage.port import MAX_COUNT, MAX_ROWS, Committed, FeedPage, Leased, Page
from shared.storage.schema import Collection, Feed, R, Schema, Stamp
from shared.storage.selection import Selection, read_cursor, write_cursor
from shared.storage.unit import Lease, Unit
from shared.storage.values import check_limit
from shared.storage.watch import FeedWatch

T = TypeVar("T")

DEFAULT_QUEUE_LIMIT = 10_000
DEFAULT_COMMIT_TIMEOUT_S = 30.0

REMOVED = "removed"


class MongoStorage:
    """A ``Storage`` in a MongoDB replica set; ``open`` makes one, and ``close`` lets go of it."""

    def __init__(
        self,
        *,
        connection: Connection,
        opened: Opened,
        documents: Mapping[str, MongoDocuments[Any]],
        schema: Schema,
        queue_limit: int,
        commit_timeout_s: float,
    ) -> None:
        self._connection = connection
        self._presence = opened.presence
        self._incarnation = opened.incarnation
        self._documents = documents
        self._feeds = schema.feeds
        self._planner = Planner(documents, schema.feeds)
        self._closing: asyncio.Future[None] | None = None
        self._watch = FeedWatch(opened.heads)
        self._heads = HeadWatch(connection, [feed.name for feed in schema.feeds], self._watch)
        self._writer = Writer(
            connection,
            opened.presence,
            queue_limit=queue_limit,
            timeout_s=commit_timeout_s,
            settled=self._settled,
        )

    @classmethod
    async def open(
        cls,
        options: MongoOptions,
        schema: Schema,
        stamp: Stamp,
        *,
        copies: Path,
        queue_limit: int = DEFAULT_QUEUE_LIMIT,
        commit_timeout_s: float = DEFAULT_COMMIT_TIMEOUT_S,
    ) -> Self:
        """Open the service's part of the database, make it if there is none, bring it to the schema.

        Args:
            options: which server and database.
            schema: what the service keeps.
            stamp: what the database is for.
            copies: the folder of this process, which must exist: copies of an older release's
                documents go there before they change.
            queue_limit: units, and reads, that may wait.
            commit_timeout_s: how long a unit may wait before it is begun.

        Raises:
            StorageUnreachable: no primary answers.
            StorageUnsuitable: the server is no replica set, or too old.
            StorageRefused: the user, the password or the role is refused.
            StorageLocked: the database is being copied or migrated.
            StorageCorrupt: somebody else's documents lie where ours would.
            WrongStamp: the database is for something else.
        """
        names = Names(schema.service)
        documents = {
            each.name: MongoDocuments(each, names.collection(each.name))
            for each in schema.collections
        }
        connection = await Connection.open(
            options, names, service=schema.service, queue_limit=queue_limit
        )
        try:
            opened = await open_database(connection, schema, stamp, documents, copies=copies)
        except BaseException:
            await connection.close()
            raise
        return cls(
            connection=connection,
            opened=opened,
            documents=documents,
            schema=schema,
            queue_limit=queue_limit,
            commit_timeout_s=commit_timeout_s,
        )

    @property
    def incarnation(self) -> str:
        """Identify this history of the database: a restored backup has another."""
        return self._incarnation

    @property
    def trouble(self) -> StorageError | None:
        """Say what last kept a call from being carried out, until a probe finds it gone."""
        return self._connection.trouble.now

    async def probe(self) -> None:
        """Find out, by storing something small, whether the trouble is over."""
        known = self.trouble
        if isinstance(known, StorageCorrupt):
            raise known
        await self._writer.run(self._presence.beat)
        self._connection.trouble.over(known)

    async def get(self, collection: Collection[R], id: str) -> R | None:  # noqa: A002 - the record's own word
        """Return the record with that id, if there is one."""
        return (await self.get_many(collection, [id])).get(id)

    async def get_many(self, collection: Collection[R], ids: Sequence[str]) -> dict[str, R]:
        """Return the records that exist among these ids, by id."""
        documents: MongoDocuments[R] = self._planner.documents(collection)
        if not ids:
            return {}
        check_limit("ids", len(ids))
        return await self._read(lambda: queries.get_many(self._connection, documents, ids))

    async def find(self, collection: Collection[R], index: str, *equals: str | int) -> R | None:
        """Return the record under these values of a unique index."""
        chosen = self._select(collection, index, equals)
        known = chosen.selection.index
        if not known.unique or len(equals) != len(known.fields):
            raise ValueError(f"find needs a unique index and all its fields, not {index!r}")
        return await self._read(lambda: queries.find(self._connection, chosen))

    async def find_many(
        self, collection: Collection[R], index: str, values: Sequence[str | int]
    ) -> builtins.list[R]:
        """Return the records under these values of an index of one field."""
        chosen = self._select(collection, index, ())
        if len(chosen.selection.index.fields) != 1:
            raise ValueError(f"find_many needs an index of one field, not {index!r}")
        if not values:
            return []
        check_limit("values", len(values))
        return await self._read(lambda: queries.find_many(self._connection, chosen, values))

    async def list(
        self,
        collection: Collection[R],
        index: str,
        *equals: str | int,
        limit: int,
        cursor: str | None = None,
        descending: bool = False,
        at_least: str | int | None = None,
        at_most: str | int | None = None,
    ) -> Page[R]:
        """Return a page of an index."""
        check_limit("rows of a page", limit)
        chosen = self._select(collection, index, equals, at_least=at_least, at_most=at_most)
        position = read_cursor(chosen.selection, cursor, descending=descending)
        items, following = await self._read(
            lambda: queries.page(
                self._connection, chosen, limit=limit, position=position, descending=descending
            )
        )
        return Page(
            items=items, next=write_cursor(chosen.selection, following, descending=descending)
        )

    async def count(
        self,
        collection: Collection[R],
        index: str,
        *equals: str | int,
        at_least: str | int | None = None,
        at_most: str | int | None = None,
        limit: int = MAX_COUNT,
    ) -> int:
        """Count the records of an index, up to a limit."""
        check_limit("counted records", limit, MAX_COUNT)
        chosen = self._select(collection, index, equals, at_least=at_least, at_most=at_most)
        return await self._read(lambda: queries.count(self._connection, chosen, limit))

    async def claim(
        self,
        collection: Collection[R],
        index: str,
        *equals: str | int,
        at_most: str | int | None = None,
        limit: int,
        owner: str,
        now_ms: int,
        lease_ms: int,
    ) -> builtins.list[Leased[R]]:
        """Lease the first free records in the order of the index."""
        self._check_leased(collection)
        check_limit("claimed records", limit)
        if not owner or lease_ms <= 0:
            raise ValueError("a claim needs an owner and a lease that lasts")
        chosen = self._select(collection, index, equals, at_most=at_most)
        return await self._writer.run(
            lambda: leases.claim(
                self._connection,
                chosen,
                limit=limit,
                owner=owner,
                now_ms=now_ms,
                until_ms=now_ms + lease_ms,
            )
        )

    async def renew(self, collection: Collection[R], lease: Lease, *, until_ms: int) -> Lease:
        """Move the end of a lease that is still ours."""
        documents = self._check_leased(collection)
        return await self._repeat(
            lambda: leases.renew(self._connection, documents, lease, until_ms)
        )

    async def release(self, collection: Collection[R], leases: Sequence[Lease]) -> None:
        """Give up leases; those that are not ours any more are left alone."""
        documents = self._check_leased(collection)
        if leases:
            check_limit("leases", len(leases))
            await self._repeat(lambda: give_up(self._connection, documents, leases))

    async def prune(
        self,
        collection: Collection[R],
        index: str,
        *equals: str | int,
        at_most: str | int,
        limit: int,
        now_ms: int,
    ) -> int:
        """Remove the first records in the order of the index whose time is over."""
        check_limit("removed records", limit)
        chosen = self._select(collection, index, equals, at_most=at_most)

        async def body(session: Any, _name: str) -> Stored:
            removed = await retention.prune(
                self._connection, session, chosen, limit=limit, now_ms=now_ms
            )
            return {REMOVED: removed}

        return int((await self._transact(body))[REMOVED])

    async def commit(self, unit: Unit) -> Committed:
        """Carry out the unit, all or nothing, and return once a majority has it on disk."""
        (outcome,) = await self._writer.run_all([self._planner.plan(unit)])
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def commit_all(self, units: Sequence[Unit]) -> builtins.list[Committed | StorageError]:
        """Commit independent units together; each has its own outcome, in order."""
        if len(units) > MAX_ROWS:
            raise LimitExceeded("units", limit=MAX_ROWS, got=len(units))
        outcomes = await self._writer.run_all([self._planner.plan(unit) for unit in units])
        told: builtins.list[Committed | StorageError] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, StorageError):
                raise outcome
            told.append(outcome)
        return told

    async def read_feed(self, feed: Feed, *, after: int, limit: int) -> FeedPage:
        """Return events after a number."""
        name = self._planner.feed(feed)
        check_limit("events", limit)
        return await self._read(lambda: feeds.read(self._connection, name, after, limit))

    async def wait_feed(self, feed: Feed, *, after: int, timeout_s: float) -> bool:
        """Wait for an event after a number, this process's or another's; False when none came."""
        name = self._planner.feed(feed)
        if self._closing is not None:
            raise StorageClosed
        if await self._watch.wait(name, after, 0):
            return True
        await self._heads.look()
        async with self._heads.following():
            return await self._watch.wait(name, after, timeout_s)

    async def acknowledge(self, feed: Feed, consumer: str, seq: int, at_ms: int) -> None:
        """Register the consumer and note what it is done with."""
        name = self._planner.feed(feed)
        await self._repeat(lambda: feeds.acknowledge(self._connection, name, consumer, seq, at_ms))

    async def dismiss(self, feed: Feed, consumer: str) -> bool:
        """Forget a consumer that will not come back."""
        name = self._planner.feed(feed)
        return await self._repeat(lambda: feeds.dismiss(self._connection, name, consumer))

    async def consumers(self, feed: Feed) -> dict[str, int]:
        """Return what each registered consumer acknowledged."""
        name = self._planner.feed(feed)
        return await self._read(lambda: feeds.consumers(self._connection, name))

    async def trim_feed(self, feed: Feed, *, keep_after_ms: int) -> int:
        """Remove the oldest events before a time, in steps that let units in between."""
        name = self._planner.feed(feed)

        async def body(session: Any, _name: str) -> Stored:
            return {REMOVED: await feeds.trim(self._connection, session, name, keep_after_ms)}

        removed = 0
        while step := int((await self._transact(body))[REMOVED]):
            removed += step
        return removed

    async def check(self) -> None:
        """Verify the database as a whole."""
        await self._read(lambda: integrity.check(self._connection, self._documents, self._feeds))

    async def backup(self, path: Path) -> None:
        """Write a copy that opens by itself, as of one moment, while calls go on."""
        await self._read(lambda: backup.copy(self._connection, self._documents, self._feeds, path))

    async def close(self) -> None:
        """Finish what is queued and let go of the server; a second call waits for the first."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._watch.close()
        await self._connection.drain()
        await self._writer.close()
        self._heads.close()
        await self._presence.end()
        await self._connection.close()

    async def _read(self, work: Callable[[], Awaitable[T]]) -> T:
        return await self._connection.read(work)

    async def _repeat(self, work: Callable[[], Awaitable[T]]) -> T:
        """Write something idempotent in its turn."""
        return await self._writer.run(lambda: self._connection.repeat(work))

    async def _transact(self, body: Body) -> Stored:
        return await self._writer.run(lambda: self._writer.transactions.run(body))

    def _settled(self, committed: Committed) -> None:
        """Wake whoever waits for the events of a unit."""
        for feed, numbers in committed.feed_numbers.items():
            self._watch.advance(feed, numbers)

    def _check_leased(self, collection: Collection[R]) -> MongoDocuments[R]:
        if not collection.leased:
            raise ValueError(f"collection {collection.name} has no leases")
        return self._planner.documents(collection)

    def _select(
        self,
        collection: Collection[R],
        index: str,
        equals: tuple[str | int, ...],
        *,
        at_least: str | int | None = None,
        at_most: str | int | None = None,
    ) -> Rows[R]:
        documents: MongoDocuments[R] = self._planner.documents(collection)
        selection = Selection(collection, collection.index(index), equals, at_least, at_most)
        return Rows(documents, selection)

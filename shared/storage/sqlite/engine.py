"""The engine as its users see it: every method of the port, each handed to where it runs."""

import asyncio
import builtins
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from shared.storage.errors import LimitExceeded, StorageClosed, StorageCorrupt, StorageError
from shared.storage.port import MAX_COUNT, MAX_ROWS, Committed, FeedPage, Leased, Page
from shared.storage.schema import Collection, Feed, R, Schema, Stamp
from shared.storage.selection import Selection, read_cursor, write_cursor
from shared.storage.sqlite import backup, feeds, integrity, leases, queries, retention, trouble
from shared.storage.sqlite.connection import own
from shared.storage.sqlite.leases import release as give_up
from shared.storage.sqlite.queries import Rows
from shared.storage.sqlite.reader import Reader
from shared.storage.sqlite.steps import Planner
from shared.storage.sqlite.tables import Table
from shared.storage.sqlite.upgrade import Opened, open_database
from shared.storage.sqlite.writer import Writer
from shared.storage.trouble import Trouble
from shared.storage.unit import Lease, Unit
from shared.storage.values import check_limit
from shared.storage.watch import FeedWatch

T = TypeVar("T")

DEFAULT_QUEUE_LIMIT = 10_000
DEFAULT_COMMIT_TIMEOUT_S = 30.0


class SqliteStorage:
    """A ``Storage`` in one SQLite file; ``open`` makes one, and ``close`` lets go of it."""

    def __init__(
        self,
        *,
        path: Path,
        lock: int,
        opened: Opened,
        planner: Planner,
        queue_limit: int,
        commit_timeout_s: float,
    ) -> None:
        self._path = path
        self._lock = lock
        self._incarnation = opened.incarnation
        self._planner = planner
        self._closing: asyncio.Future[None] | None = None
        self._watch = FeedWatch(opened.heads)
        self._trouble = Trouble()
        self._reader = Reader(path, queue_limit=queue_limit, trouble=self._trouble)
        self._writer = Writer(
            opened.connection,
            path,
            queue_limit=queue_limit,
            timeout_s=commit_timeout_s,
            trouble=self._trouble,
            settled=self._settled,
        )

    @classmethod
    async def open(
        cls,
        path: Path,
        schema: Schema,
        stamp: Stamp,
        *,
        queue_limit: int = DEFAULT_QUEUE_LIMIT,
        commit_timeout_s: float = DEFAULT_COMMIT_TIMEOUT_S,
    ) -> Self:
        """Open the database, create it if there is none, and bring it to the schema.

        Args:
            path: the file; its directory is created if it is missing.
            schema: what the service keeps.
            stamp: what the database is for.
            queue_limit: units, and reads, that may wait.
            commit_timeout_s: how long a unit may wait before it is begun.

        Raises:
            StorageLocked: another process owns the file.
            StorageUnwritable: a path cannot be written.
            StorageCorrupt: the file is damaged or not ours.
            WrongStamp: the database is for something else.
        """
        tables = {each.name: Table(each) for each in schema.collections}
        lock = await asyncio.to_thread(own, path)
        try:
            opened = await asyncio.to_thread(open_database, path, schema, stamp, tables)
            return cls(
                path=path,
                lock=lock,
                opened=opened,
                planner=Planner(tables, schema.feeds),
                queue_limit=queue_limit,
                commit_timeout_s=commit_timeout_s,
            )
        except BaseException:
            os.close(lock)
            raise

    @property
    def incarnation(self) -> str:
        """Identify this history of the database: a restored backup has another."""
        return self._incarnation

    @property
    def trouble(self) -> StorageError | None:
        """Say what last kept a call from being carried out, until a probe finds it gone."""
        return self._trouble.now

    async def probe(self) -> None:
        """Find out, by storing and removing something small, whether the trouble is over."""
        known = self._trouble.now
        if isinstance(known, StorageCorrupt):
            raise known
        await self._write(trouble.fill)
        await self._write(trouble.clear)
        self._trouble.over(known)

    async def get(self, collection: Collection[R], id: str) -> R | None:  # noqa: A002 - the record's own word
        """Return the record with that id, if there is one."""
        return (await self.get_many(collection, [id])).get(id)

    async def get_many(self, collection: Collection[R], ids: Sequence[str]) -> dict[str, R]:
        """Return the records that exist among these ids, by id."""
        table: Table[R] = self._planner.table(collection)
        if not ids:
            return {}
        check_limit("ids", len(ids))
        return await self._read(lambda connection: queries.get_many(connection, table, ids))

    async def find(self, collection: Collection[R], index: str, *equals: str | int) -> R | None:
        """Return the record under these values of a unique index."""
        chosen = self._select(collection, index, equals)
        known = chosen.selection.index
        if not known.unique or len(equals) != len(known.fields):
            raise ValueError(f"find needs a unique index and all its fields, not {index!r}")
        return await self._read(lambda connection: queries.find(connection, chosen))

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
        return await self._read(lambda connection: queries.find_many(connection, chosen, values))

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
            lambda connection: queries.page(
                connection, chosen, limit=limit, position=position, descending=descending
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
        return await self._read(lambda connection: queries.count(connection, chosen, limit))

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
        return await self._write(
            lambda connection: leases.claim(
                connection,
                chosen,
                limit=limit,
                owner=owner,
                now_ms=now_ms,
                until_ms=now_ms + lease_ms,
            )
        )

    async def renew(self, collection: Collection[R], lease: Lease, *, until_ms: int) -> Lease:
        """Move the end of a lease that is still ours."""
        table = self._check_leased(collection)
        return await self._write(
            lambda connection: leases.renew(connection, table, lease, until_ms)
        )

    async def release(self, collection: Collection[R], leases: Sequence[Lease]) -> None:
        """Give up leases; those that are not ours any more are left alone."""
        table = self._check_leased(collection)
        if leases:
            check_limit("leases", len(leases))
            await self._write(lambda connection: give_up(connection, table, leases))

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
        return await self._write(
            lambda connection: retention.prune(connection, chosen, limit=limit, now_ms=now_ms)
        )

    async def commit(self, unit: Unit) -> Committed:
        """Carry out the unit, all or nothing, and return once it survives a power cut."""
        return await self._write(self._planner.plan(unit))

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
        return await self._read(lambda connection: feeds.read(connection, name, after, limit))

    async def wait_feed(self, feed: Feed, *, after: int, timeout_s: float) -> bool:
        """Wait for an event after a number; False when none came in time."""
        if self._closing is not None:
            raise StorageClosed
        return await self._watch.wait(self._planner.feed(feed), after, timeout_s)

    async def acknowledge(self, feed: Feed, consumer: str, seq: int, at_ms: int) -> None:
        """Register the consumer and note what it is done with."""
        name = self._planner.feed(feed)
        await self._write(
            lambda connection: feeds.acknowledge(connection, name, consumer, seq, at_ms)
        )

    async def dismiss(self, feed: Feed, consumer: str) -> bool:
        """Forget a consumer that will not come back."""
        name = self._planner.feed(feed)
        return await self._write(lambda connection: feeds.dismiss(connection, name, consumer))

    async def consumers(self, feed: Feed) -> dict[str, int]:
        """Return what each registered consumer acknowledged."""
        name = self._planner.feed(feed)
        return await self._read(lambda connection: feeds.consumers(connection, name))

    async def trim_feed(self, feed: Feed, *, keep_after_ms: int) -> int:
        """Remove the oldest events before a time, in steps that let units in between."""
        name = self._planner.feed(feed)
        removed = 0
        while step := await self._write(
            lambda connection: feeds.trim(connection, name, keep_after_ms)
        ):
            removed += step
        return removed

    async def check(self) -> None:
        """Verify the database as a whole."""
        await self._read(lambda connection: integrity.check(connection, self._path))

    async def backup(self, path: Path) -> None:
        """Write a copy that opens by itself, as of one moment, while calls go on."""
        await self._read(lambda connection: backup.copy(connection, path))

    async def close(self) -> None:
        """Finish what is queued and let go of the database; a second call waits for the first."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._watch.close()
        await self._reader.close()
        await self._writer.close()
        os.close(self._lock)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._reader.run(work)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._writer.run(work)

    def _settled(self, outcomes: Sequence[Any]) -> None:
        """Wake whoever waits for the events that a batch published."""
        for outcome in outcomes:
            if isinstance(outcome, Committed):
                for feed, numbers in outcome.feed_numbers.items():
                    self._watch.advance(feed, numbers)

    def _check_leased(self, collection: Collection[R]) -> Table[R]:
        if not collection.leased:
            raise ValueError(f"collection {collection.name} has no leases")
        return self._planner.table(collection)

    def _select(
        self,
        collection: Collection[R],
        index: str,
        equals: tuple[str | int, ...],
        *,
        at_least: str | int | None = None,
        at_most: str | int | None = None,
    ) -> Rows[R]:
        table: Table[R] = self._planner.table(collection)
        selection = Selection(collection, collection.index(index), equals, at_least, at_most)
        return Rows(table, selection)

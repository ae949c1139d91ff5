"""The engine as its users see it: every method of the port, each handed to where it is done."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from shared.storage.engine import DEFAULT_COMMIT_TIMEOUT_S, DEFAULT_QUEUE_LIMIT, Engine
from shared.storage.errors import StorageCorrupt, StorageError
from shared.storage.known import Known
from shared.storage.mongo import backup, feeds, integrity, leases, queries, retention
from shared.storage.mongo.connection import Connection
from shared.storage.mongo.documents import MongoDocuments, Stored
from shared.storage.mongo.names import Names
from shared.storage.mongo.options import MongoOptions
from shared.storage.mongo.queries import Rows
from shared.storage.mongo.transactions import Body
from shared.storage.mongo.units import plan
from shared.storage.mongo.upgrade import Opened, open_database
from shared.storage.mongo.watch import HeadWatch
from shared.storage.mongo.writer import Writer
from shared.storage.port import Committed, FeedPage, Leased
from shared.storage.schema import Schema, Stamp
from shared.storage.selection import Selection
from shared.storage.unit import Lease, Unit
from shared.storage.values import Value
from shared.storage.watch import FeedWatch

T = TypeVar("T")

REMOVED = "removed"


class MongoStorage(Engine[MongoDocuments[Any]]):
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
        super().__init__(
            known=Known(documents, schema.feeds),
            incarnation=opened.incarnation,
            watch=FeedWatch(opened.heads),
        )
        self._connection = connection
        self._presence = opened.presence
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

    async def check(self) -> None:
        """Verify the database as a whole."""
        await self._read(
            lambda: integrity.check(self._connection, self._known.by_name, self._known.feeds)
        )

    async def backup(self, path: Path) -> None:
        """Write a copy that opens by itself, as of one moment, while calls go on."""
        await self._read(
            lambda: backup.copy(self._connection, self._known.by_name, self._known.feeds, path)
        )

    async def _get_many(self, stored: MongoDocuments[Any], ids: Sequence[str]) -> dict[str, Any]:
        return await self._read(lambda: queries.get_many(self._connection, stored, ids))

    async def _find(self, stored: MongoDocuments[Any], selection: Selection[Any]) -> Any:
        rows = Rows(stored, selection)
        return await self._read(lambda: queries.find(self._connection, rows))

    async def _find_many(
        self, stored: MongoDocuments[Any], selection: Selection[Any], values: Sequence[str | int]
    ) -> list[Any]:
        rows = Rows(stored, selection)
        return await self._read(lambda: queries.find_many(self._connection, rows, values))

    async def _page(
        self,
        stored: MongoDocuments[Any],
        selection: Selection[Any],
        *,
        limit: int,
        position: list[Value] | None,
        descending: bool,
    ) -> tuple[list[Any], list[Value] | None]:
        rows = Rows(stored, selection)
        return await self._read(
            lambda: queries.page(
                self._connection, rows, limit=limit, position=position, descending=descending
            )
        )

    async def _count(
        self, stored: MongoDocuments[Any], selection: Selection[Any], limit: int
    ) -> int:
        rows = Rows(stored, selection)
        return await self._read(lambda: queries.count(self._connection, rows, limit))

    async def _claim(
        self,
        stored: MongoDocuments[Any],
        selection: Selection[Any],
        *,
        limit: int,
        owner: str,
        now_ms: int,
        until_ms: int,
    ) -> list[Leased[Any]]:
        rows = Rows(stored, selection)
        return await self._writer.run(
            lambda: leases.claim(
                self._connection, rows, limit=limit, owner=owner, now_ms=now_ms, until_ms=until_ms
            )
        )

    async def _renew(self, stored: MongoDocuments[Any], lease: Lease, until_ms: int) -> Lease:
        return await self._repeat(lambda: leases.renew(self._connection, stored, lease, until_ms))

    async def _release(self, stored: MongoDocuments[Any], held: Sequence[Lease]) -> None:
        await self._repeat(lambda: leases.release(self._connection, stored, held))

    async def _prune(
        self, stored: MongoDocuments[Any], selection: Selection[Any], *, limit: int, now_ms: int
    ) -> int:
        rows = Rows(stored, selection)

        async def body(session: Any, _name: str) -> Stored:
            removed = await retention.prune(
                self._connection, session, rows, limit=limit, now_ms=now_ms
            )
            return {REMOVED: removed}

        return int((await self._transact(body))[REMOVED])

    async def _commit_each(self, units: Sequence[Unit]) -> Sequence[Committed | BaseException]:
        return await self._writer.run_all([plan(self._known, unit) for unit in units])

    async def _read_feed(self, feed: str, after: int, limit: int) -> FeedPage:
        return await self._read(lambda: feeds.read(self._connection, feed, after, limit))

    async def _wait_feed(self, feed: str, after: int, timeout_s: float) -> bool:
        """Wait for an event, this process's or another's."""
        if await self._watch.wait(feed, after, 0):
            return True
        await self._heads.look()
        async with self._heads.following():
            return await self._watch.wait(feed, after, timeout_s)

    async def _acknowledge(self, feed: str, consumer: str, seq: int, at_ms: int) -> None:
        await self._repeat(lambda: feeds.acknowledge(self._connection, feed, consumer, seq, at_ms))

    async def _dismiss(self, feed: str, consumer: str) -> bool:
        return await self._repeat(lambda: feeds.dismiss(self._connection, feed, consumer))

    async def _consumers(self, feed: str) -> dict[str, int]:
        return await self._read(lambda: feeds.consumers(self._connection, feed))

    async def _trim(self, feed: str, keep_after_ms: int) -> int:
        async def body(session: Any, _name: str) -> Stored:
            return {REMOVED: await feeds.trim(self._connection, session, feed, keep_after_ms)}

        return int((await self._transact(body))[REMOVED])

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

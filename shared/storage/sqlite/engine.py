"""The engine as its users see it: every method of the port, each handed to where it runs."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from shared.storage.engine import DEFAULT_COMMIT_TIMEOUT_S, DEFAULT_QUEUE_LIMIT, Engine
from shared.storage.errors import StorageCorrupt, StorageError
from shared.storage.known import Known
from shared.storage.port import Committed, FeedPage, Leased
from shared.storage.schema import Schema, Stamp
from shared.storage.selection import Selection
from shared.storage.sqlite import backup, feeds, integrity, leases, queries, retention, trouble
from shared.storage.sqlite.connection import own
from shared.storage.sqlite.queries import Rows
from shared.storage.sqlite.reader import Reader
from shared.storage.sqlite.steps import plan
from shared.storage.sqlite.tables import Table
from shared.storage.sqlite.upgrade import Opened, open_database
from shared.storage.sqlite.writer import Writer
from shared.storage.trouble import Trouble
from shared.storage.unit import Lease, Unit
from shared.storage.values import Value
from shared.storage.watch import FeedWatch

T = TypeVar("T")


class SqliteStorage(Engine[Table[Any]]):
    """A ``Storage`` in one SQLite file; ``open`` makes one, and ``close`` lets go of it."""

    def __init__(
        self,
        *,
        path: Path,
        lock: int,
        opened: Opened,
        known: Known[Table[Any]],
        queue_limit: int,
        commit_timeout_s: float,
    ) -> None:
        super().__init__(known=known, incarnation=opened.incarnation, watch=FeedWatch(opened.heads))
        self._path = path
        self._lock = lock
        self._trouble = Trouble()
        self._reader = Reader(path, queue_limit=queue_limit, trouble=self._trouble)
        self._writer = Writer(
            opened.connection,
            path,
            queue_limit=queue_limit,
            timeout_s=commit_timeout_s,
            trouble=self._trouble,
            settled=self._settle,
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
                known=Known(tables, schema.feeds),
                queue_limit=queue_limit,
                commit_timeout_s=commit_timeout_s,
            )
        except BaseException:
            os.close(lock)
            raise

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

    async def check(self) -> None:
        """Verify the database as a whole."""
        await self._read(lambda connection: integrity.check(connection, self._path))

    async def backup(self, path: Path) -> None:
        """Write a copy that opens by itself, as of one moment, while calls go on."""
        await self._read(lambda connection: backup.copy(connection, path))

    async def _get_many(self, stored: Table[Any], ids: Sequence[str]) -> dict[str, Any]:
        return await self._read(lambda connection: queries.get_many(connection, stored, ids))

    async def _find(self, stored: Table[Any], selection: Selection[Any]) -> Any:
        rows = Rows(stored, selection)
        return await self._read(lambda connection: queries.find(connection, rows))

    async def _find_many(
        self, stored: Table[Any], selection: Selection[Any], values: Sequence[str | int]
    ) -> list[Any]:
        rows = Rows(stored, selection)
        return await self._read(lambda connection: queries.find_many(connection, rows, values))

    async def _page(
        self,
        stored: Table[Any],
        selection: Selection[Any],
        *,
        limit: int,
        position: list[Value] | None,
        descending: bool,
    ) -> tuple[list[Any], list[Value] | None]:
        rows = Rows(stored, selection)
        return await self._read(
            lambda connection: queries.page(
                connection, rows, limit=limit, position=position, descending=descending
            )
        )

    async def _count(self, stored: Table[Any], selection: Selection[Any], limit: int) -> int:
        rows = Rows(stored, selection)
        return await self._read(lambda connection: queries.count(connection, rows, limit))

    async def _claim(
        self,
        stored: Table[Any],
        selection: Selection[Any],
        *,
        limit: int,
        owner: str,
        now_ms: int,
        until_ms: int,
    ) -> list[Leased[Any]]:
        rows = Rows(stored, selection)
        return await self._write(
            lambda connection: leases.claim(
                connection, rows, limit=limit, owner=owner, now_ms=now_ms, until_ms=until_ms
            )
        )

    async def _renew(self, stored: Table[Any], lease: Lease, until_ms: int) -> Lease:
        return await self._write(
            lambda connection: leases.renew(connection, stored, lease, until_ms)
        )

    async def _release(self, stored: Table[Any], held: Sequence[Lease]) -> None:
        await self._write(lambda connection: leases.release(connection, stored, held))

    async def _prune(
        self, stored: Table[Any], selection: Selection[Any], *, limit: int, now_ms: int
    ) -> int:
        rows = Rows(stored, selection)
        return await self._write(
            lambda connection: retention.prune(connection, rows, limit=limit, now_ms=now_ms)
        )

    async def _commit_each(self, units: Sequence[Unit]) -> Sequence[Committed | BaseException]:
        return await self._writer.run_all([plan(self._known, unit) for unit in units])

    async def _read_feed(self, feed: str, after: int, limit: int) -> FeedPage:
        return await self._read(lambda connection: feeds.read(connection, feed, after, limit))

    async def _wait_feed(self, feed: str, after: int, timeout_s: float) -> bool:
        return await self._watch.wait(feed, after, timeout_s)

    async def _acknowledge(self, feed: str, consumer: str, seq: int, at_ms: int) -> None:
        await self._write(
            lambda connection: feeds.acknowledge(connection, feed, consumer, seq, at_ms)
        )

    async def _dismiss(self, feed: str, consumer: str) -> bool:
        return await self._write(lambda connection: feeds.dismiss(connection, feed, consumer))

    async def _consumers(self, feed: str) -> dict[str, int]:
        return await self._read(lambda connection: feeds.consumers(connection, feed))

    async def _trim(self, feed: str, keep_after_ms: int) -> int:
        return await self._write(lambda connection: feeds.trim(connection, feed, keep_after_ms))

    async def _close(self) -> None:
        self._watch.close()
        await self._reader.close()
        await self._writer.close()
        os.close(self._lock)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._reader.run(work)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._writer.run(work)

    def _settle(self, outcomes: Sequence[Any]) -> None:
        """Wake whoever waits for the events that a batch published."""
        for outcome in outcomes:
            if isinstance(outcome, Committed):
                self._settled(outcome)

"""Reads: two read-only connections, used on threads of their own so that the event loop never waits."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from shared.storage.errors import StorageBusy, StorageClosed
from shared.storage.sqlite.connection import connect, meaning, sqlite_errors
from shared.storage.trouble import Trouble

T = TypeVar("T")

READERS: Final = 2


class Reader:
    """Runs reads, each on one snapshot of the database.

    Args:
        path: an existing database.
        queue_limit: reads that may be under way or waiting.
        trouble: told of everything that keeps reads from being done.
    """

    def __init__(self, path: Path, *, queue_limit: int, trouble: Trouble) -> None:
        self._path = path
        self._queue_limit = queue_limit
        self._trouble = trouble
        self._under_way = 0
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="storage-reader")
        self._idle: deque[sqlite3.Connection] = deque()
        with sqlite_errors(path):
            for _ in range(READERS):
                self._idle.append(connect(path, mode="ro"))

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what the work finds on one snapshot.

        Raises:
            StorageBusy: too many reads are waiting.
            StorageClosed: the reader was closed.
        """
        if self._closed:
            raise StorageClosed
        if self._under_way >= self._queue_limit:
            raise self._trouble.note(StorageBusy("too many reads are waiting"))
        self._under_way += 1
        try:
            return await self._loop.run_in_executor(self._threads, self._read, work)
        finally:
            self._under_way -= 1

    async def close(self) -> None:
        """Finish the reads that are under way and close the connections."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)
        while self._idle:
            self._idle.pop().close()

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._idle.pop()  # as many connections as threads: never empty
        try:
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._trouble.note(meaning(self._path, error)) from error
        finally:
            self._idle.append(connection)

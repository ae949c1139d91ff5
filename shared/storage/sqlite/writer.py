"""The one writing thread: what callers queue shares a transaction, each behind its own savepoint."""

import asyncio
import contextlib
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from shared.storage.errors import StorageBusy, StorageClosed, StorageError
from shared.storage.sqlite.connection import meaning
from shared.storage.sqlite.wal import WriteAheadLog
from shared.storage.trouble import Trouble

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]

MAX_BATCH: Final = 512
"""The most jobs that share one transaction."""


class Job(Generic[T]):
    """Something to do inside a transaction, and who waits for its outcome."""

    __slots__ = ("future", "work")

    def __init__(self, work: Work[T], future: asyncio.Future[T]) -> None:
        self.work = work
        self.future = future


class Writer:
    """Owns the writing connection and the thread that uses it.

    Args:
        connection: ready to write; closed by the writer at the end.
        path: the database, for errors.
        queue_limit: jobs that may wait.
        timeout_s: how long a job may wait before it is begun.
        trouble: told of everything that keeps jobs from being done.
        settled: called on the event loop with the results of a batch, before anyone awaits them.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        queue_limit: int,
        timeout_s: float,
        trouble: Trouble,
        settled: Callable[[Sequence[Any]], None],
    ) -> None:
        self._connection = connection
        self._path = path
        self._queue_limit = queue_limit
        self._timeout_s = timeout_s
        self._trouble = trouble
        self._log = WriteAheadLog(path)
        self._settled = settled
        self._loop = asyncio.get_running_loop()
        self._queue: OrderedDict[Job[Any], None] = OrderedDict()
        self._changed = threading.Condition()
        self._closing = False
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="storage-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Work[T]) -> T:
        """Do one thing in a transaction, and return once it is durable.

        Raises:
            StorageBusy: the queue is full, or the time was over before it was begun.
            StorageClosed: the writer is closing.
        """
        (outcome,) = await self.run_all([work])
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def run_all(self, works: Sequence[Work[T]]) -> list[T | BaseException]:
        """Queue several things next to each other; each succeeds or fails by itself."""
        jobs = self._enqueue(works)
        timer = self._loop.call_later(self._timeout_s, self._expire, jobs)
        futures = [job.future for job in jobs]
        try:
            if len(futures) > 1:
                await asyncio.wait(futures)
            elif futures:
                return [await futures[0]]
        except asyncio.CancelledError:
            self._withdraw(jobs)
            raise
        except Exception as error:  # noqa: BLE001 - handed to the caller as the outcome
            return [error]
        finally:
            timer.cancel()
        return [future.exception() or future.result() for future in futures]

    async def close(self) -> None:
        """Finish what is queued, then end the thread and close the connection."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.shield(self._closed)

    def _enqueue(self, works: Sequence[Work[T]]) -> list[Job[T]]:
        jobs = [Job(work, self._loop.create_future()) for work in works]
        with self._changed:
            if self._closing:
                raise StorageClosed
            if len(self._queue) + len(jobs) > self._queue_limit:
                raise self._trouble.note(StorageBusy())
            self._queue.update(dict.fromkeys(jobs))
            self._changed.notify()
        return jobs

    def _withdraw(self, jobs: Sequence[Job[Any]]) -> list[Job[Any]]:
        """Take out of the queue what the thread has not begun, and return it.

        What was begun is not given up: its caller waits for the outcome, whatever it is.
        """
        with self._changed:
            waiting = [job for job in jobs if job in self._queue]
            for job in waiting:
                del self._queue[job]
        return waiting

    def _expire(self, jobs: Sequence[Job[Any]]) -> None:
        for job in self._withdraw(jobs):
            if not job.future.done():
                late = StorageBusy("the unit waited too long to be written")
                job.future.set_exception(self._trouble.note(late))

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                outcomes = self._write(batch)
                self._tell(self._settle, batch, outcomes)
                self._contain_log()
        finally:
            self._connection.close()
            self._tell(self._finish)

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Call back on the event loop; when it is closed, nobody waits any more."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _next_batch(self) -> list[Job[Any]]:
        """Wait for jobs and take them; an empty batch is the end."""
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            size = min(len(self._queue), MAX_BATCH)
            return [self._queue.popitem(last=False)[0] for _ in range(size)]

    def _write(self, batch: Sequence[Job[Any]]) -> list[Any]:
        """Do a batch in one transaction and return its outcomes, errors included.

        A failure of SQLite, such as a full disk, undoes the batch as a whole; then each job is tried
        by itself, so that none is refused for its neighbours.
        """
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(job) for job in batch]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            refusal = self._undo(error)
            if len(batch) > 1 and not isinstance(refusal, StorageBusy):
                return [self._write([job])[0] for job in batch]
            return [self._trouble.note(refusal)] * len(batch)
        return outcomes

    def _attempt(self, job: Job[Any]) -> Any:
        """Do one job behind a savepoint; whatever it raises is its outcome, and undoes only it."""
        self._connection.execute("SAVEPOINT job")
        try:
            outcome = job.work(self._connection)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the caller as the outcome
            self._connection.execute("ROLLBACK TO job")
            outcome = error
        self._connection.execute("RELEASE job")
        return outcome

    def _contain_log(self) -> None:
        """Keep the log small; what fails here failed no job, and the next batch meets it again."""
        with contextlib.suppress(sqlite3.Error):
            self._log.contain(self._connection)

    def _undo(self, error: sqlite3.Error) -> StorageError:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as worse:
            return meaning(self._path, worse)
        return meaning(self._path, error)

    def _settle(self, batch: Sequence[Job[Any]], outcomes: Sequence[Any]) -> None:
        self._settled(outcomes)
        for job, outcome in zip(batch, outcomes, strict=True):
            if job.future.done():
                continue
            if isinstance(outcome, BaseException):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)

    def _finish(self) -> None:
        if not self._closed.done():
            self._closed.set_result(None)

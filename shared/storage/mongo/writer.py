"""The one lane of writes: what callers queue is written in order, units that fit in one transaction."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from pymongo.errors import PyMongoError

from shared.storage.errors import GuardFailed, StorageBusy, StorageClosed, StorageError
from shared.storage.mongo.connection import Connection
from shared.storage.mongo.failures import meaning
from shared.storage.mongo.presence import Presence
from shared.storage.mongo.transactions import Transactions
from shared.storage.mongo.units import Execution, Plan, Unmet, numbers_of
from shared.storage.port import Committed

T = TypeVar("T")

MAX_BATCH: Final = 128
"""The most units that share one transaction."""

MAX_BATCH_WRITES: Final = 2_000
"""A transaction takes no further unit once it has so many writes."""


class Job(Generic[T]):
    """Something to write, and who waits for its outcome.

    Attributes:
        plan: a unit; None when it is something else.
        work: what it is then.
        after: how many batches had been written when it was queued.
    """

    __slots__ = ("after", "future", "plan", "work")

    def __init__(
        self,
        future: asyncio.Future[T],
        *,
        plan: Plan | None = None,
        work: Callable[[], Awaitable[T]] | None = None,
    ) -> None:
        self.future = future
        self.plan = plan
        self.work = work
        self.after = 0


class Writer:
    """Writes what is queued, on a task of its own.

    Args:
        connection: where.
        presence: says that this engine is there before anything is written.
        queue_limit: jobs that may wait.
        timeout_s: how long a job may wait before it is begun.
        settled: told of every committed unit before its caller is.
    """

    def __init__(
        self,
        connection: Connection,
        presence: Presence,
        *,
        queue_limit: int,
        timeout_s: float,
        settled: Callable[[Committed], None],
    ) -> None:
        self._connection = connection
        self._presence = presence
        self._execution = Execution(connection)
        self.transactions = Transactions(connection, presence)
        self._queue_limit = queue_limit
        self._timeout_s = timeout_s
        self._settled = settled
        self._loop = asyncio.get_running_loop()
        self._queue: OrderedDict[Job[Any], None] = OrderedDict()
        self._batches = 0
        self._touched: dict[tuple[str, str], int] = {}
        self._changed = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._serve(), name="storage-writer")

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something else than a unit in its turn.

        Raises:
            StorageBusy: the queue is full, or the time was over before it was begun.
            StorageClosed: the writer is closing.
        """
        job: Job[T] = Job(self._loop.create_future(), work=work)
        (outcome,) = await self._outcomes([job])
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def run_all(self, plans: Sequence[Plan]) -> list[Committed | BaseException]:
        """Queue several units next to each other; each succeeds or fails by itself."""
        jobs: list[Job[Committed]] = [Job(self._loop.create_future(), plan=plan) for plan in plans]
        return await self._outcomes(jobs)

    async def close(self) -> None:
        """Finish what is queued."""
        self._closing = True
        self._changed.set()
        await asyncio.shield(self._task)

    async def _outcomes(self, jobs: Sequence[Job[T]]) -> list[T | BaseException]:
        self._enqueue(jobs)
        timer = self._loop.call_later(self._timeout_s, self._expire, jobs)
        try:
            if jobs:
                await asyncio.wait([job.future for job in jobs])
        except asyncio.CancelledError:
            self._withdraw(jobs)
            for job in jobs:  # what was begun is carried through, and nobody asks how it went
                job.future.add_done_callback(_forget)
            raise
        finally:
            timer.cancel()
        return [job.future.exception() or job.future.result() for job in jobs]

    def _enqueue(self, jobs: Sequence[Job[Any]]) -> None:
        if self._closing:
            raise StorageClosed
        if len(self._queue) + len(jobs) > self._queue_limit:
            raise self._connection.trouble.note(StorageBusy())
        for job in jobs:
            job.after = self._batches
            self._queue[job] = None
        self._changed.set()

    def _withdraw(self, jobs: Sequence[Job[Any]]) -> list[Job[Any]]:
        """Take out of the queue what was not begun, and return it."""
        waiting = [job for job in jobs if job in self._queue]
        for job in waiting:
            del self._queue[job]
            job.future.cancel()
        return waiting

    def _expire(self, jobs: Sequence[Job[Any]]) -> None:
        for job in jobs:
            if job in self._queue:
                del self._queue[job]
                late = StorageBusy("the unit waited too long to be written")
                job.future.set_exception(self._connection.trouble.note(late))

    async def _serve(self) -> None:
        while True:
            while not self._queue:
                if self._closing:
                    return
                self._changed.clear()
                await self._changed.wait()
            batch = self._next_batch()
            outcomes = await self._written(batch)
            self._note_touched(batch)
            for job, outcome in zip(batch, outcomes, strict=True):
                self._settle(job, outcome)

    def _next_batch(self) -> list[Job[Any]]:
        """Take the first job, and with a unit those that follow and touch nothing that it touches."""
        first, _ = self._queue.popitem(last=False)
        batch = [first]
        if first.plan is None or self._is_suspect(first):
            return batch
        touched, writes = set(first.plan.touches), first.plan.size
        while self._queue and len(batch) < MAX_BATCH and writes < MAX_BATCH_WRITES:
            job = next(iter(self._queue))
            if job.plan is None or self._is_suspect(job):
                break
            if not touched.isdisjoint(job.plan.touches):
                break
            del self._queue[job]
            batch.append(job)
            touched |= job.plan.touches
            writes += job.plan.size
        return batch

    def _is_suspect(self, job: Job[Any]) -> bool:
        """Tell whether a unit touches what was touched after it was queued: its guards likely fail."""
        touches = job.plan.touches if job.plan else ()
        return any(self._touched.get(each, 0) > job.after for each in touches)

    def _note_touched(self, batch: Sequence[Job[Any]]) -> None:
        self._batches += 1
        if not self._queue:
            self._touched.clear()
            return
        for job in batch:
            if job.plan is not None:
                self._touched.update(dict.fromkeys(job.plan.touches, self._batches))

    async def _written(self, batch: Sequence[Job[Any]]) -> list[Any]:
        """Write a batch and return its outcomes, errors included."""
        try:
            await self._presence.ensure()
            if batch[0].work is not None:
                return [await self._worked(batch[0].work)]
            plans = [job.plan for job in batch if job.plan is not None]
            if not any(plan.size for plan in plans):
                return [Committed(feed_numbers={}) for _ in plans]
            if len(plans) == 1 and (plans[0].is_small or self._is_suspect(batch[0])):
                return [await self._alone(plans[0])]
            return await self._committed(plans)
        except Exception as error:  # noqa: BLE001 - handed to the callers as the outcome
            return [error] * len(batch)

    async def _worked(self, work: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await work()
        except PyMongoError as error:
            raise meaning(self._connection.place, error) from error

    async def _committed(self, plans: Sequence[Plan]) -> list[Committed | BaseException]:
        try:
            outcome = await self.transactions.run(
                lambda session, name: self._execution.together(session, name, plans)
            )
        except Unmet:
            return [await self._alone(plan) for plan in plans]
        return list(numbers_of(plans, outcome))

    async def _alone(self, plan: Plan) -> Committed | BaseException:
        try:
            outcome = await self.transactions.run(
                lambda session, name: self._execution.step_by_step(session, name, plan)
            )
        except Exception as error:  # noqa: BLE001 - handed to the caller as the outcome
            return error
        return numbers_of([plan], outcome)[0]

    def _settle(self, job: Job[Any], outcome: Any) -> None:
        if isinstance(outcome, Committed):
            self._settled(outcome)
        if isinstance(outcome, StorageError) and not isinstance(outcome, GuardFailed):
            self._connection.trouble.note(outcome)
        if job.future.done():
            return
        if isinstance(outcome, BaseException):
            job.future.set_exception(outcome)
        else:
            job.future.set_result(outcome)


def _forget(future: "asyncio.Future[Any]") -> None:
    """Look at an outcome that nobody waits for any more."""
    with contextlib.suppress(asyncio.CancelledError):
        future.exception()

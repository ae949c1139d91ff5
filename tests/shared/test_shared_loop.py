import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from shared.clock import HeldClock
from shared.loop import Loop, LoopSpec, backoff_s
from shared.metrics import Metrics

NEVER_S = 3_600.0


class Work:
    """Does what each round is scripted to do; later rounds find nothing."""

    def __init__(self, *script: bool | Exception) -> None:
        self._script = list(script)
        self._changed = asyncio.Condition()
        self.rounds = 0

    async def __call__(self) -> bool:
        async with self._changed:
            self.rounds += 1
            self._changed.notify_all()
        outcome = self._script.pop(0) if self._script else False
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def reached(self, rounds: int) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: self.rounds >= rounds)
        for _ in range(5):  # lets the round end and the pause begin
            await asyncio.sleep(0)


class Elapsed:
    """A monotonic counter that its holder moves."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


def made(
    work: Callable[[], Awaitable[bool]],
    *,
    metrics: Metrics | None = None,
    elapsed: Elapsed | None = None,
    interval_s: float = NEVER_S,
) -> Loop:
    return Loop(
        LoopSpec(name="sweep", interval_s=interval_s, work=work, max_backoff_s=NEVER_S),
        clock=HeldClock(1_795_000_000_000),
        metrics=metrics or Metrics(),
        monotonic=elapsed or Elapsed(),
    )


@asynccontextmanager
async def running(loop: Loop) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(loop.run())
    yield task
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.parametrize(
    ("failures", "pause_s"),
    [(0, 0.5), (1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (7, 30.0), (1_000_000, 30.0)],
)
def test_the_pause_doubles_with_each_failure_up_to_a_limit(failures: int, pause_s: float) -> None:
    assert backoff_s(failures, base_s=0.5, longest_s=30) == pause_s


@pytest.mark.parametrize("times", [{"interval_s": 0}, {"stale_after_s": 0}, {"max_backoff_s": -1}])
def test_a_loop_without_a_pause_cannot_be_built(times: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        LoopSpec(**{"name": "sweep", "interval_s": 1, "work": Work(), **times})  # type: ignore[arg-type]


async def test_a_loop_goes_on_at_once_while_there_is_more_to_do() -> None:
    work = Work(True, True, True)
    async with running(made(work)):
        await work.reached(4)
        assert work.rounds == 4


async def test_a_loop_that_is_woken_does_not_wait() -> None:
    work = Work()
    loop = made(work)
    async with running(loop):
        await work.reached(1)
        loop.wake()
        await work.reached(2)


async def test_a_wake_during_a_round_is_not_lost() -> None:
    rounds: list[int] = []
    second = asyncio.Event()

    async def work() -> bool:
        rounds.append(1)
        if len(rounds) == 1:
            loop.wake()
        else:
            second.set()
        return False

    loop = made(work)
    async with running(loop), asyncio.timeout(5):
        await second.wait()


async def test_a_failure_is_counted_and_told_until_a_round_succeeds() -> None:
    metrics = Metrics()
    work = Work(RuntimeError("http://ada:pw@node is away"), RuntimeError("still away"))
    loop = made(work, metrics=metrics)
    assert loop.unready_reason() is None
    async with running(loop):
        await work.reached(1)
        assert loop.unready_reason() == "sweep: RuntimeError: http://[redacted]@node is away"
        loop.wake()
        await work.reached(2)
        assert loop.unready_reason() == "sweep: RuntimeError: still away"
        assert b'lucid_loop_failures_total{loop="sweep"} 2.0' in metrics.render()
        loop.wake()
        await work.reached(3)
        assert loop.unready_reason() is None
    assert b'lucid_loop_last_success_timestamp_seconds{loop="sweep"} 1.795e+09' in metrics.render()


async def test_a_failing_loop_tries_again_by_itself() -> None:
    work = Work(OSError("disk"), TimeoutError(), ValueError("three"))
    async with running(made(work, interval_s=0.001)):
        await work.reached(4)


async def test_a_long_error_is_told_in_short() -> None:
    work = Work(RuntimeError("x" * 10_000))
    loop = made(work)
    async with running(loop):
        await work.reached(1)
        assert len(loop.unready_reason() or "") < 400


async def test_a_loop_that_hangs_makes_the_service_unready() -> None:
    elapsed = Elapsed()
    begun = asyncio.Event()

    async def hang() -> bool:
        begun.set()
        await asyncio.Event().wait()
        return False

    loop = made(hang, elapsed=elapsed)
    async with running(loop), asyncio.timeout(5):
        await begun.wait()
        elapsed.s += 60
        assert loop.unready_reason() is None
        elapsed.s += 1
        assert loop.unready_reason() == "sweep: last did its work 61 s ago"


async def test_cancellation_ends_a_loop_within_a_round() -> None:
    begun = asyncio.Event()
    undone = asyncio.Event()

    async def work() -> bool:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            undone.set()
        return False

    async with running(made(work)) as task, asyncio.timeout(5):
        await begun.wait()
        task.cancel()
        await undone.wait()

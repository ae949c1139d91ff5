"""What a node grants in a second and in a day, and for whom it is kept (hazard H22)."""

import bisect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.tron_client.node import Lane
from services.tron_client.node.budgets import DAY_MS, Budget
from services.tron_client.node.client import Node
from services.tron_client.node.errors import NodeUnavailable
from services.tron_client.node.lanes import SHARES, Pacer
from services.tron_client.service.endpoints import (
    NODE_BUDGET,
    NODE_DOWN,
    VERDICT_CALLS,
    Endpoints,
)
from services.tron_client.service.vigil import STOP_SIGNING, WRONG_CHAIN
from services.tron_client.store import ChainStore
from services.tron_client.store.schema import SCHEMA
from services.tron_client.store.usages import UsageStore
from shared.alarms import Alarms
from shared.clock import HeldClock
from shared.ids import new_id
from shared.models.alarms import Severity
from shared.storage import SqliteStorage, Stamp
from tests.services.tron_client.bench import TOKEN
from tests.services.tron_client.pooling import NOON_MS, Player, Pooled, Times, pooled

GOOD = {"it": "is"}
LANES = list(Lane)


def spend(pacer: Pacer, lane: Lane, times: Times, *, seconds: float) -> int:
    """Count the calls of a lane that may start within some seconds, when it always has more to ask."""
    started, end_s = 0, times.passed_s + seconds
    while True:
        times.passed_s += pacer.delay_s(lane)
        if times.passed_s >= end_s:
            return started
        started += 1


@pytest.mark.parametrize("lane", list(SHARES))
def test_a_lane_alone_gets_nearly_all_there_is(lane: Lane) -> None:
    times = Times()
    pacer = Pacer(12, now_s=lambda: times.passed_s)
    got = spend(pacer, lane, times, seconds=100)
    assert 0.7 * 1_200 <= got <= 1_200 + 2 * 12


@pytest.mark.parametrize("lane", list(SHARES))
def test_h22_a_lane_has_its_share_however_much_another_asks(lane: Lane) -> None:
    times = Times()
    pacer = Pacer(20, now_s=lambda: times.passed_s)
    (greedy,) = [each for each in SHARES if each is not lane][:1]
    for _ in range(16):  # as many as may be under way
        pacer.delay_s(greedy)
    waits = []
    for _ in range(100):
        waits.append(pacer.delay_s(lane))
        times.passed_s += 1 / (SHARES[lane] * 20)
        pacer.delay_s(greedy)
    assert max(waits) <= 1 / (SHARES[lane] * 20) + 0.001


def test_all_lanes_together_never_pass_what_is_granted() -> None:
    times = Times()
    pacer = Pacer(10, now_s=lambda: times.passed_s)
    starts = []
    for step in range(2_000):
        times.passed_s = step * 0.01
        for lane in SHARES:
            delay_s = pacer.delay_s(lane)
            starts.append(times.passed_s + delay_s)
    for second in range(5, 60):
        within = sum(second <= start < second + 10 for start in starts)
        assert within <= 10 * 10 + 10 + len(SHARES)


@pytest.mark.parametrize("rate", [1, 4, 12])
@pytest.mark.parametrize("later_s", [0, 5])
def test_h22_what_was_not_used_is_never_made_up_for_at_once(rate: int, later_s: int) -> None:
    """A node that is asked too much in one second shuts everybody out, broadcasts too."""
    times = Times()
    pacer = Pacer(rate, now_s=lambda: times.passed_s)
    times.pass_s(3_600)
    free = [(3_600.0, Lane.CATCH_UP)] * 16
    free += [(3_600.0 + later_s, lane) for lane in SHARES if lane is not Lane.CATCH_UP] * 16
    free.sort()
    starts: list[float] = []
    while free[0][0] < 3_660:
        times.passed_s, lane = free.pop(0)
        starts.append(times.passed_s + pacer.delay_s(lane))
        bisect.insort(free, (starts[-1] + 0.05, lane))
    starts.sort()
    most = rate + len(SHARES) - 1  # one of each other lane that has asked for nothing lately
    for first, one_too_many in zip(starts, starts[most:], strict=False):
        assert one_too_many - first > 0.999
    assert sum(start < 3_660 for start in starts) >= 0.7 * 60 * rate


def test_a_broadcast_never_waits() -> None:
    pacer = Pacer(1, now_s=lambda: 0.0)
    assert [pacer.delay_s(Lane.BROADCAST) for _ in range(50)] == [0.0] * 50


@pytest.mark.parametrize(
    ("used", "admitted"),
    [
        (0, LANES),
        (79, LANES),
        (80, [Lane.BROADCAST, Lane.VERDICT, Lane.CHAIN]),
        (89, [Lane.BROADCAST, Lane.VERDICT, Lane.CHAIN]),
        (90, [Lane.BROADCAST, Lane.VERDICT]),
        (99, [Lane.BROADCAST, Lane.VERDICT]),
        (100, [Lane.BROADCAST]),
    ],
)
def test_h22_the_end_of_a_day_is_kept_for_broadcasts_and_verdicts(
    used: int, admitted: list[Lane]
) -> None:
    budget = Budget("n", 100, now_ms=lambda: NOON_MS)
    for _ in range(used):
        budget.count()
    assert [lane for lane in LANES if budget.admits(lane)] == admitted
    assert budget.left() == 100 - used


def test_a_day_ends_at_midnight_utc() -> None:
    times = Times()
    budget = Budget("n", 10, now_ms=lambda: times.wall_ms)
    for _ in range(10):
        budget.count()
    assert not budget.admits(Lane.VERDICT)
    times.wall_ms = (NOON_MS // DAY_MS + 1) * DAY_MS - 1
    assert not budget.admits(Lane.VERDICT)
    times.wall_ms += 1
    assert budget.admits(Lane.READ)
    assert budget.usage().calls == 0


def test_the_forecast_goes_on_as_it_was() -> None:
    times = Times(wall_ms=NOON_MS)
    budget = Budget("n", 100_000, now_ms=lambda: times.wall_ms)
    for _ in range(3_600):
        budget.count()
        times.wall_ms += 1_000
    assert budget.forecast() == 3_600 + 11 * 3_600


async def test_h22_a_spent_node_is_passed_over_and_the_next_one_asked() -> None:
    few = {"calls_per_day": 10}
    pooled_ = pooled(Player([GOOD]), Player([GOOD]), endpoints=[few])
    for _ in range(12):
        await pooled_.ask(Lane.READ)
    assert pooled_.counts()[0] == 7, "the genesis block was a call too, and a fifth is kept"
    for _ in range(12):
        await pooled_.ask(Lane.VERDICT)
    assert pooled_.counts() == [9, 15]
    assert pooled_.nodes[0].budget.usage().calls == 10


async def test_h22_reads_stop_and_broadcasts_go_on_at_the_only_node() -> None:
    pooled_ = pooled(Player([GOOD]), endpoints=[{"calls_per_day": 10}])
    for _ in range(7):
        await pooled_.ask(Lane.READ)
    with pytest.raises(NodeUnavailable, match="the day's calls for read are spent"):
        await pooled_.ask(Lane.READ)
    assert await pooled_.ask(Lane.BROADCAST) == GOOD


class Watched:
    """A pool that is looked after, on a database that can be opened again."""

    def __init__(self, path: Path, times: Times) -> None:
        self.path = path
        self.clock = HeldClock(times.wall_ms)
        self.storage: SqliteStorage | None = None

    async def open(self, pooled_: Pooled) -> tuple[Endpoints, Alarms]:
        await self.close()
        self.storage = await SqliteStorage.open(
            self.path, SCHEMA, Stamp(network="devnet", contract=TOKEN)
        )
        alarms = Alarms(
            storage=self.storage, clock=self.clock, new_id=new_id, metrics=pooled_.metrics
        )
        await alarms.load()
        store = ChainStore(self.storage, clock=self.clock, new_id=new_id)
        endpoints = Endpoints(
            pool=pooled_.pool,
            node=Node(pooled_.pool, checks_root=True),
            checks_root=True,
            store=UsageStore(store),
            alarms=alarms,
            clock=self.clock,
            metrics=pooled_.metrics,
        )
        return endpoints, alarms

    async def close(self) -> None:
        if self.storage is not None:
            await self.storage.close()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    found = Watched(tmp_path / "tron-client.sqlite3", Times())
    yield found
    await found.close()


def open_alarms(alarms: Alarms) -> list[tuple[str, str, Severity]]:
    return [(each.kind, each.subject, each.severity) for each in alarms.open()]


async def test_what_was_used_is_known_after_a_restart(watched: Watched) -> None:
    first = pooled(Player([GOOD]), endpoints=[{"calls_per_day": 100}])
    endpoints, _ = await watched.open(first)
    for _ in range(30):
        await first.ask()
    await endpoints.watch()
    second = pooled(Player([GOOD]), endpoints=[{"calls_per_day": 100}])
    endpoints, _ = await watched.open(second)
    await second.ask()
    await endpoints.watch()
    await endpoints.watch()
    assert second.nodes[0].budget.usage().calls == 31 + 2
    next_day = Times(wall_ms=NOON_MS + DAY_MS)
    third = pooled(Player([GOOD]), endpoints=[{"calls_per_day": 100}], times=next_day)
    endpoints, _ = await watched.open(third)
    await endpoints.watch()
    assert third.nodes[0].budget.usage().calls == 0


async def test_h22_somebody_is_called_before_a_day_is_spent_and_again_when_it_is(
    watched: Watched,
) -> None:
    pooled_ = pooled(Player([GOOD]), endpoints=[{"calls_per_day": 1_000}])
    endpoints, alarms = await watched.open(pooled_)
    await pooled_.ask()
    await endpoints.watch()
    assert open_alarms(alarms) == []
    for _ in range(100):
        await pooled_.ask()
    await endpoints.watch()
    assert open_alarms(alarms) == [(NODE_BUDGET, "n0", Severity.WARNING)], "forecast"
    for _ in range(900):
        await pooled_.ask(Lane.BROADCAST)
    await endpoints.watch()
    assert open_alarms(alarms) == [(NODE_BUDGET, "n0", Severity.CRITICAL)]
    assert "nothing is asked for" in alarms.open()[0].detail
    pooled_.times.wall_ms += DAY_MS
    await endpoints.watch()
    assert open_alarms(alarms) == []


async def test_h22_nothing_is_signed_whose_verdict_could_not_be_paid_for(watched: Watched) -> None:
    limit = VERDICT_CALLS * 10
    pooled_ = pooled(Player([GOOD]), endpoints=[{"calls_per_day": limit}])
    endpoints, _ = await watched.open(pooled_)
    assert "not known yet" in str(endpoints.cannot_pay()), "an earlier process may have spent all"
    await pooled_.ask()
    await endpoints.watch()
    assert endpoints.cannot_pay() is None
    for _ in range(limit * 9 // 10 - VERDICT_CALLS - 2):
        pooled_.nodes[0].budget.count()
    assert endpoints.cannot_pay() is None
    pooled_.nodes[0].budget.count()
    assert str(VERDICT_CALLS) in (endpoints.cannot_pay() or "")
    unlimited = pooled(Player([GOOD]), Player([GOOD]), endpoints=[{"calls_per_day": 1}])
    endpoints, _ = await watched.open(unlimited)
    await unlimited.ask()
    await endpoints.watch()
    assert endpoints.cannot_pay() is None, "another node can be asked"
    unlimited.players[1].answers = [httpx.ConnectError("away")]
    for _ in range(3):
        with pytest.raises(NodeUnavailable):
            await unlimited.ask()
    assert endpoints.cannot_pay() is None
    unlimited.times.pass_s(121)
    assert endpoints.cannot_pay() is not None, "one that is down pays for nothing"


async def test_h22_what_was_asked_before_a_restart_counts_when_it_is_said_what_is_left(
    watched: Watched,
) -> None:
    limit = VERDICT_CALLS * 10
    first = pooled(Player([GOOD]), endpoints=[{"calls_per_day": limit}])
    endpoints, _ = await watched.open(first)
    for _ in range(limit - VERDICT_CALLS):
        first.nodes[0].budget.count()
    await endpoints.watch()
    second = pooled(Player([GOOD]), endpoints=[{"calls_per_day": limit}])
    endpoints, _ = await watched.open(second)
    await endpoints.watch()
    assert str(VERDICT_CALLS) in (endpoints.cannot_pay() or "")


async def test_h17_a_node_of_another_network_calls_a_person_and_stops_signing(
    watched: Watched,
) -> None:
    pooled_ = pooled(Player([GOOD], genesis="ab" * 32), Player([GOOD]))
    endpoints, alarms = await watched.open(pooled_)
    await pooled_.ask()
    await endpoints.watch()
    assert open_alarms(alarms) == [(WRONG_CHAIN, "n0", Severity.CRITICAL)]
    assert WRONG_CHAIN in STOP_SIGNING
    pooled_.players[0].genesis = "00" * 32
    await endpoints.look()
    pooled_.players[0].answers = [httpx.ConnectError("away")]
    await endpoints.watch()
    assert open_alarms(alarms) == []


async def test_h17_a_node_that_was_taken_out_of_the_list_stops_signing_no_longer(
    watched: Watched,
) -> None:
    stranger = Player([GOOD], genesis="ff" * 32)
    endpoints, alarms = await watched.open(pooled(Player([GOOD]), stranger))
    await endpoints.look()
    await endpoints.watch()
    assert open_alarms(alarms) == [(WRONG_CHAIN, "n1", Severity.CRITICAL)]
    endpoints, alarms = await watched.open(pooled(Player([GOOD]), stranger))
    await endpoints.watch()
    assert open_alarms(alarms) == [(WRONG_CHAIN, "n1", Severity.CRITICAL)]
    endpoints, alarms = await watched.open(pooled(Player([GOOD])))
    await endpoints.watch()
    assert open_alarms(alarms) == []


async def test_a_node_that_stays_away_is_told_of(watched: Watched) -> None:
    pooled_ = pooled(Player([httpx.ConnectError("away")]), Player([GOOD]))
    endpoints, alarms = await watched.open(pooled_)
    for _ in range(4):
        await pooled_.ask()
    pooled_.times.pass_s(119)
    await endpoints.watch()
    assert open_alarms(alarms) == []
    pooled_.times.pass_s(2)
    await endpoints.watch()
    assert open_alarms(alarms) == [(NODE_DOWN, "n0", Severity.WARNING)]
    pooled_.players[0].answers = [GOOD]
    await pooled_.ask()
    await endpoints.watch()
    assert open_alarms(alarms) == []


async def test_the_status_of_a_node_says_all_but_its_key(watched: Watched) -> None:
    secret = {
        "url": "http://user:hidden@n0/base?key=hidden",
        "api_key": "hidden",
        "calls_per_day": 50,
    }
    pooled_ = pooled(Player([GOOD]), Player([GOOD]), endpoints=[secret])
    endpoints, _ = await watched.open(pooled_)
    pooled_.players[0].answers = [httpx.Response(429, text="suspended for 9 s")]
    await pooled_.ask()
    told: list[dict[str, Any]] = endpoints.standing()
    assert "hidden" not in str(told)
    assert "hidden" not in repr(pooled_.nodes[0].endpoint)
    assert told[0] | {"problem": "", "calls_forecast": 0} == {
        "name": "n0",
        "operator": "operator0",
        "url": "http://n0/base",
        "state": "quiet",
        "problem": "",
        "quiet_s": 9,
        "height": None,
        "head_age_s": None,
        "calls_today": 1,
        "calls_per_day": 50,
        "calls_forecast": 0,
    }
    assert told[1]["calls_per_day"] is None

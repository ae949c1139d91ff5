import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from shared.access import Role
from shared.alarms import (
    ALARM_COLLECTIONS,
    ALARM_FEED,
    ALARM_FEEDS,
    ALARMS,
    KEPT_MS,
    MAX_DETAIL_CHARACTERS,
    MAX_OPEN_OF_A_KIND,
    THE_OTHERS,
    AlarmCleared,
    Alarms,
    UnknownAlarm,
)
from shared.clock import HeldClock
from shared.config import ServiceSettings
from shared.metrics import Metrics
from shared.models.alarms import AlarmState, Severity
from shared.storage import Schema, Stamp, Storage, StorageClosed, Unit
from shared.web.alarms import router, watch_alarms
from shared.web.application import application
from shared.web.runtime import Runtime
from tests.engines import Engine, MongoEngine, SqliteEngine
from tests.support import START_MS, Keys, serving, settings_in

SCHEMA = Schema(service="usdt-manager", version=1, collections=ALARM_COLLECTIONS, feeds=ALARM_FEEDS)

Written = Callable[[], list[dict[str, Any]]]


def numbered() -> Callable[[str], str]:
    numbers = itertools.count(1)
    return lambda prefix: f"{prefix}_{next(numbers):04d}"


STAMP = Stamp(network="devnet", contract="usdt")


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongodb)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "sqlite":
        return SqliteEngine(tmp_path)
    return MongoEngine(request.getfixturevalue("mongo_place"), tmp_path)


@pytest.fixture
async def storage(engine: Engine) -> AsyncIterator[Storage]:
    database = await engine.open(SCHEMA, STAMP)
    yield database
    await database.close()


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock(START_MS)


NEW_ID = numbered()


def alarms_of(storage: Storage, clock: HeldClock, metrics: Metrics | None = None) -> Alarms:
    return Alarms(storage=storage, clock=clock, new_id=NEW_ID, metrics=metrics or Metrics())


async def told(storage: Storage) -> list[str]:
    page = await storage.read_feed(ALARM_FEED, after=0, limit=1_000)
    return [f"{event.type} {event.object['subject']}" for event in page.events]


async def test_an_alarm_survives_the_end_of_the_process(engine: Engine, clock: HeldClock) -> None:
    before = await engine.open(SCHEMA, STAMP)
    await alarms_of(before, clock).raise_alarm("solid_stall", "chain", detail="no new block")
    await before.close()

    after = await engine.open(SCHEMA, STAMP)
    alarms = alarms_of(after, clock)
    assert alarms.reason() is None
    await alarms.load()
    assert alarms.reason() == "alarm solid_stall for chain: no new block"
    assert await told(after) == ["alarm.raised chain"]
    await after.close()


async def test_raising_an_open_alarm_again_counts_and_refreshes_it(
    storage: Storage, clock: HeldClock, written: Written
) -> None:
    alarms = alarms_of(storage, clock)
    for number in range(5):
        await alarms.raise_alarm("head_lag", "node-1", detail=f"{number} blocks behind")
        clock.advance(seconds=1)
    (alarm,) = alarms.open()
    assert (alarm.count, alarm.detail) == (5, "4 blocks behind")
    assert (alarm.raised_at_ms, alarm.last_at_ms) == (START_MS, START_MS + 4_000)
    assert await told(storage) == ["alarm.raised node-1"]
    lines = [line for line in written() if line["event"] == "alarm.raised"]
    assert [line["level"] for line in lines] == ["critical"]

    await alarms.keep()
    again = alarms_of(storage, clock)
    await again.load()
    assert again.open() == alarms.open()


async def test_what_is_cleared_is_told_once_and_can_be_raised_anew(
    storage: Storage, clock: HeldClock, written: Written
) -> None:
    alarms = alarms_of(storage, clock)
    for _ in range(2):
        await alarms.raise_alarm("head_lag", "node-1", detail="behind")
        await alarms.clear("head_lag", "node-1")
        await alarms.clear("head_lag", "node-1")
    assert alarms.open() == []
    assert await told(storage) == ["alarm.raised node-1", "alarm.cleared node-1"] * 2
    assert [line["event"] for line in written()] == ["alarm.raised", "alarm.cleared"] * 2
    page = await alarms.page(AlarmState.CLEARED, cursor=None, limit=10)
    assert [each.closed_by for each in page.items] == [None, None]


async def test_only_critical_alarms_that_nobody_took_on_keep_a_service_from_being_ready(
    storage: Storage, clock: HeldClock
) -> None:
    alarms = alarms_of(storage, clock)
    await alarms.raise_alarm("fees", "chain", detail="dearer", severity=Severity.WARNING)
    assert alarms.reason() is None
    await alarms.raise_alarm("pause", "usdt", detail="USDT is paused")
    await alarms.raise_alarm("stall", "chain", detail="nothing new")
    assert alarms.reason() == "alarm pause for usdt: USDT is paused (and 1 more)"
    for alarm in alarms.open():
        await alarms.acknowledge(alarm.id, by="ada", note="calling the issuer")
    assert alarms.reason() is None
    assert [each.acknowledged_by for each in alarms.open()] == ["ada"] * 3


async def test_an_alarm_that_got_worse_has_to_be_acknowledged_anew(
    storage: Storage, clock: HeldClock
) -> None:
    alarms = alarms_of(storage, clock)
    await alarms.raise_alarm("lag", "node", detail="slow", severity=Severity.WARNING)
    await alarms.acknowledge(alarms.open()[0].id, by="ada", note="seen")
    await alarms.raise_alarm("lag", "node", detail="stuck", severity=Severity.CRITICAL)
    assert alarms.reason() == "alarm lag for node: stuck"
    await alarms.raise_alarm("lag", "node", detail="slow again", severity=Severity.WARNING)
    assert alarms.open()[0].severity is Severity.CRITICAL


async def test_a_person_closes_what_no_program_can(storage: Storage, clock: HeldClock) -> None:
    alarms = alarms_of(storage, clock)
    await alarms.raise_alarm("permission_changed", "TXYZ", detail="owner permission changed")
    alarm = alarms.open()[0]
    closed = await alarms.close(alarm.id, by="ada", note="it was us")
    assert (closed.state, closed.closed_by, closed.note) == (
        AlarmState.CLEARED,
        "ada",
        "it was us",
    )
    assert alarms.open() == []
    with pytest.raises(AlarmCleared):
        await alarms.close(alarm.id, by="ada", note="once more")
    with pytest.raises(UnknownAlarm):
        await alarms.acknowledge("alm_none", by="ada", note="?")


async def test_an_alarm_put_into_a_unit_stands_exactly_when_the_unit_does(
    storage: Storage, clock: HeldClock, written: Written
) -> None:
    alarms = alarms_of(storage, clock)
    lost, kept = Unit(), Unit()
    alarms.put(lost, "blacklisted", "TLOST", detail="frozen")
    alarms.put(kept, "blacklisted", "TKEPT", detail="frozen")
    await storage.commit(kept)
    await alarms.keep()
    await alarms.keep()
    assert [each.subject for each in alarms.open()] == ["TKEPT"]
    assert await told(storage) == ["alarm.raised TKEPT"]
    assert [line["event"] for line in written()] == ["alarm.raised"]


async def test_what_was_put_twice_before_it_showed_becomes_one_alarm(
    storage: Storage, clock: HeldClock
) -> None:
    alarms = alarms_of(storage, clock)
    for number in (1, 2, 3):
        unit = Unit()
        alarms.put(unit, "blacklisted", "TKEPT", detail=f"time {number}")
        await storage.commit(unit)
    await alarms.keep()
    (alarm,) = alarms.open()
    assert (alarm.count, alarm.detail) == (3, "time 3")
    assert await storage.count(ALARMS, "raised", AlarmState.OPEN) == 1
    unit = Unit()
    alarms.put(unit, "blacklisted", "TKEPT", detail="open already")
    assert unit.operations == ()


async def test_an_alarm_raised_while_another_of_its_name_was_put_becomes_one_with_it(
    storage: Storage, clock: HeldClock
) -> None:
    alarms = alarms_of(storage, clock)
    unit = Unit()
    alarms.put(unit, "pause", "usdt", detail="seen in a block")
    await alarms.raise_alarm("pause", "usdt", detail="said by the contract")
    await storage.commit(unit)
    await alarms.keep()
    assert [each.count for each in alarms.open()] == [2]
    await alarms.clear("pause", "usdt")
    await alarms.keep()
    assert alarms.open() == []


async def test_an_alarm_stands_even_when_the_database_does_not_take_it(
    engine: Engine, clock: HeldClock
) -> None:
    storage = await engine.open(SCHEMA, STAMP)
    await storage.close()
    alarms = alarms_of(storage, clock)
    await alarms.raise_alarm("disk", "usdt-manager", detail="no space")
    assert alarms.reason() == "alarm disk for usdt-manager: no space"
    with pytest.raises(StorageClosed):
        await alarms.clear("disk", "usdt-manager")
    with pytest.raises(StorageClosed):
        await alarms.keep()
    assert alarms.is_open("disk", "usdt-manager")


async def test_more_subjects_than_a_person_can_read_are_counted_together(
    storage: Storage, clock: HeldClock
) -> None:
    alarms = alarms_of(storage, clock)
    for number in range(MAX_OPEN_OF_A_KIND + 5):
        await alarms.raise_alarm("blacklisted", f"T{number}", detail="frozen")
    assert len(alarms.open()) == MAX_OPEN_OF_A_KIND + 1
    (others,) = [each for each in alarms.open() if each.subject == THE_OTHERS]
    assert others.count == 5
    await alarms.raise_alarm("pause", "usdt", detail="another kind has room of its own")
    assert alarms.is_open("pause", "usdt")


async def test_details_are_cut_and_carry_no_secret(storage: Storage, clock: HeldClock) -> None:
    alarms = alarms_of(storage, clock)
    secret = "https://user:hush@node.example/ "
    await alarms.raise_alarm("node", "n" * 500, detail=secret + "x" * 10_000)
    (alarm,) = alarms.open()
    assert len(alarm.detail) == MAX_DETAIL_CHARACTERS
    assert "hush" not in alarm.detail
    await alarms.clear("node", "n" * 500)
    assert alarms.open() == []


@pytest.mark.parametrize(
    ("kind", "subject"), [("", "x"), ("Upper", "x"), ("kind", ""), ("a b", "x")]
)
async def test_an_alarm_without_a_proper_name_is_refused(
    storage: Storage, clock: HeldClock, kind: str, subject: str
) -> None:
    with pytest.raises(ValueError, match="an alarm has a kind"):
        await alarms_of(storage, clock).raise_alarm(kind, subject, detail="")


async def test_alarms_that_were_cleared_long_ago_are_dropped_and_open_ones_never(
    storage: Storage, clock: HeldClock
) -> None:
    alarms = alarms_of(storage, clock)
    await alarms.raise_alarm("lag", "old", detail="over")
    await alarms.raise_alarm("lag", "open", detail="not over")
    await alarms.clear("lag", "old")
    clock.advance(milliseconds=KEPT_MS - 1)
    await alarms.keep()
    assert await storage.count(ALARMS, "cleared", AlarmState.CLEARED) == 1
    clock.advance(milliseconds=1)
    await alarms.keep()
    assert await storage.count(ALARMS, "cleared", AlarmState.CLEARED) == 0
    assert [each.subject for each in alarms.open()] == ["open"]


async def test_open_alarms_are_a_metric_by_kind_and_severity(
    storage: Storage, clock: HeldClock
) -> None:
    metrics = Metrics()
    alarms = alarms_of(storage, clock, metrics)
    for subject in ("a", "b", "b"):
        await alarms.raise_alarm("lag", subject, detail="", severity=Severity.WARNING)
    await alarms.raise_alarm("lag", "c", detail="")
    shown = metrics.render().decode()
    assert 'lucid_alarms_open{kind="lag",severity="warning"} 2.0' in shown
    assert 'lucid_alarms_open{kind="lag",severity="critical"} 1.0' in shown
    assert 'lucid_alarms_raised_total{kind="lag"} 4.0' in shown
    await alarms.clear_kind("lag")
    assert "lucid_alarms_open{" not in metrics.render().decode()


class Bell:
    """A service that has nothing but alarms."""

    def __init__(self, alarms: Alarms) -> None:
        self.alarms = alarms


def bell_tower(root: Path, clock: HeldClock) -> FastAPI:
    runtime = Runtime(
        service="usdt-manager", settings=settings_in(root, ServiceSettings), clock=clock
    )

    async def build(runtime: Runtime) -> Bell:
        storage = await runtime.storage(SCHEMA)
        alarms = Alarms(
            storage=storage, clock=runtime.clock, new_id=NEW_ID, metrics=runtime.metrics
        )
        await alarms.load()
        await runtime.run(watch_alarms(alarms, runtime))
        await alarms.raise_alarm("pause", "usdt", detail="USDT is paused")
        return Bell(alarms)

    return application(runtime, build=build, routers=(router,), description="A bell tower.")


@pytest.mark.usefixtures("written")
async def test_a_person_sees_acknowledges_and_closes_alarms_over_http(
    tmp_path: Path, clock: HeldClock
) -> None:
    keys = Keys(tmp_path, clock)
    admin, reader = keys.person(Role.SUPER_ADMIN), keys.person(Role.ADMIN)
    async with serving(bell_tower(tmp_path, clock)) as client:
        ready = await client.get("/health/ready")
        assert ready.status_code == 503
        assert "USDT is paused" in ready.json()["detail"]
        listed = (await client.get("/api/v1/ops/alarms", headers=reader)).json()
        assert (listed["open"], listed["alarms"][0]["kind"]) == (1, "pause")
        path = f"/api/v1/ops/alarms/{listed['alarms'][0]['alarm_id']}"

        note = {"note": "the issuer knows"}
        denied = await client.post(f"{path}/acknowledge", json=note, headers=reader)
        assert denied.status_code == 403
        empty = await client.post(f"{path}/acknowledge", json={"note": ""}, headers=admin)
        assert empty.status_code == 400
        taken = await client.post(f"{path}/acknowledge", json=note, headers=admin)
        assert (taken.status_code, taken.json()["note"]) == (200, "the issuer knows")
        assert (await client.get("/health/ready")).status_code == 200
        status = (await client.get("/status", headers=reader)).json()
        assert (status["alarms"]["open"], status["alarms"]["critical"]) == (1, 1)
        assert "alarms" not in (await client.get("/status")).json()

        closed = await client.post(f"{path}/close", json=note, headers=admin)
        assert (closed.status_code, closed.json()["state"]) == (200, "cleared")
        again = await client.post(f"{path}/close", json=note, headers=admin)
        assert (again.status_code, again.json()["code"]) == (409, AlarmCleared.code)
        nowhere = await client.post("/api/v1/ops/alarms/x/close", json=note, headers=admin)
        assert nowhere.status_code == 404

        feed = (await client.get("/api/v1/ops/alarms/feed", headers=reader)).json()
        assert [item["type"] for item in feed["items"]] == [
            "alarm.raised",
            "alarm.acknowledged",
            "alarm.cleared",
        ]
        noted = await client.put(
            "/api/v1/ops/alarms/feed/consumers/pager",
            json={"cursor": feed["next"]},
            headers=reader,
        )
        assert noted.status_code == 200

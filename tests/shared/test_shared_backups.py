import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.access import Role
from shared.backups import RESERVE_BYTES, Backups, NoSpace, stamp_of
from shared.clock import HeldClock, rfc3339
from shared.config import ServiceSettings
from shared.errors import NotReady
from shared.metrics import Metrics
from shared.sealing import KEY_BYTES, RecoveryKey, new_recovery_key, unseal
from shared.storage import Feed, Schema, SqliteStorage, Stamp, Storage, StorageCorrupt, Unit
from shared.web.application import application
from shared.web.operations import (
    FIRST_AFTER_MS,
    MS_PER_HOUR,
    RECOVERY_KEY,
    RETRY_AFTER_MS,
    BackupRunning,
    BackupSchedule,
    Operations,
)
from shared.web.runtime import Runtime
from tests.support import START_MS, Keys, answers, nobody_there, serving, settings_in

SERVICE = "usdt-manager"
NEWS = Feed("news")
SCHEMA = Schema(service=SERVICE, version=1, collections=(), feeds=(NEWS,))
STAMP = Stamp(network="devnet", contract="usdt")
OFF = BackupSchedule(interval_ms=0, overdue_ms=0)
DAILY = BackupSchedule(interval_ms=24 * MS_PER_HOUR, overdue_ms=48 * MS_PER_HOUR)


class Desk:
    """A service's database with its backups, in one folder."""

    def __init__(self, root: Path, storage: SqliteStorage, key: RecoveryKey) -> None:
        self.root = root
        self.storage = storage
        self.key = key
        self.clock = HeldClock(START_MS)
        self.free_bytes = 10**12
        self.metrics = Metrics()
        self.backups = Backups(
            service=SERVICE,
            recovery_key=root / "keys" / RECOVERY_KEY,
            folder=root / "backups",
            work=root / SERVICE,
            keep=2,
            clock=self.clock,
            free_bytes=lambda _: self.free_bytes,
        )

    def operations(self, schedule: BackupSchedule = OFF) -> Operations:
        return Operations(
            service=SERVICE,
            backups=self.backups,
            schedule=schedule,
            clock=self.clock,
            metrics=self.metrics,
        )

    async def attached(self, schedule: BackupSchedule = OFF) -> Operations:
        operations = self.operations(schedule)
        await operations.attach(self.storage, lambda: 100_000)
        return operations

    def files(self) -> list[str]:
        return sorted(path.name for path in (self.root / "backups").glob("*"))

    def everything(self) -> list[Path]:
        return [path for path in self.root.rglob("*") if path.is_file()]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    storage = await SqliteStorage.open(tmp_path / SERVICE / f"{SERVICE}.sqlite3", SCHEMA, STAMP)
    key = new_recovery_key()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / RECOVERY_KEY).write_text(key.public + "\n")
    yield Desk(tmp_path, storage, key)
    await storage.close()


async def publish(storage: Storage, count: int) -> None:
    unit = Unit()
    for number in range(count):
        unit.publish(NEWS, id=f"e{number}", type="n.told", at_ms=START_MS, object={})
    await storage.commit(unit)


async def test_a_backup_says_what_is_in_it_and_opens_with_the_recovery_key(desk: Desk) -> None:
    await publish(desk.storage, 3)
    operations = await desk.attached()
    asked = await operations.begin_backup()
    assert (asked.state, asked.phase, asked.total_bytes) == ("running", "copying", 100_000)
    await operations.settled()

    told = await operations.backups()
    assert told.job is not None
    made = told.job.backup
    assert made is not None
    assert (told.job.job_id, told.job.state) == (asked.job_id, "done")
    assert told.job.done_bytes == told.job.total_bytes == made.database_bytes
    assert (made.incarnation, made.feeds, made.schema_version) == (
        desk.storage.incarnation,
        {"news": 3},
        1,
    )
    assert made.made_at == rfc3339(START_MS)
    opened = desk.root / "opened"
    await unseal(desk.root / "backups" / made.file, opened, secret=desk.key.secret)
    with closing(sqlite3.connect(opened)) as database:
        meta = dict(database.execute("SELECT key, value FROM meta"))
    assert meta["backup_of"] == desk.storage.incarnation
    assert meta["backup_at"] == rfc3339(START_MS)


async def test_h5_a_copy_has_another_incarnation_than_what_it_is_a_copy_of(desk: Desk) -> None:
    operations = await desk.attached()
    await operations.begin_backup()
    await operations.settled()
    (name,) = desk.files()
    await unseal(desk.root / "backups" / name, desk.root / "opened", secret=desk.key.secret)
    with closing(sqlite3.connect(desk.root / "opened")) as database:
        meta = dict(database.execute("SELECT key, value FROM meta"))
    assert meta["incarnation"] != desk.storage.incarnation


async def test_h25_nothing_plain_is_left_and_only_the_owner_reads_what_is_sealed(
    desk: Desk,
) -> None:
    operations = await desk.attached()
    await operations.begin_backup()
    await operations.settled()
    (name,) = desk.files()
    sealed = desk.root / "backups" / name
    assert sealed.stat().st_mode & 0o777 == 0o600
    assert b"SQLite" not in sealed.read_bytes()
    assert not [path for path in desk.everything() if ".backup" in path.name]


@pytest.mark.parametrize("name", [".backup-usdt-manager", ".backup-usdt-manager.partial"])
async def test_h25_what_a_killed_process_left_behind_is_removed_at_the_next_start(
    desk: Desk, name: str
) -> None:
    (desk.root / "backups").mkdir()
    plain = desk.root / SERVICE / name
    plain.write_bytes(b"SQLite format 3")
    half = desk.root / "backups" / f"{SERVICE}-20261122T100000.000Z.sealed.partial"
    of_another = desk.root / "backups" / "tron-client-20261122T100000.000Z.sealed.partial"
    half.write_bytes(b"half")
    of_another.write_bytes(b"half")
    await desk.attached()
    assert not plain.exists()
    assert desk.files() == [of_another.name]


async def test_one_backup_of_a_service_at_a_time(desk: Desk) -> None:
    operations = await desk.attached()
    outcomes = await asyncio.gather(
        *(operations.begin_backup() for _ in range(5)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BackupRunning)]
    assert len(refused) == 4
    await operations.settled()
    assert len(desk.files()) == 1
    desk.clock.advance(seconds=1)
    await operations.begin_backup()
    await operations.settled()
    assert len(desk.files()) == 2


async def test_the_newest_copies_stay_and_those_of_other_services_too(desk: Desk) -> None:
    operations = await desk.attached()
    folder = desk.root / "backups"
    folder.mkdir()
    others = {"tron-client-20200101T000000.000Z.sealed", f"{SERVICE}-before-the-move.sealed"}
    for name in others:
        (folder / name).write_bytes(b"x")
    for _ in range(4):
        await operations.begin_backup()
        await operations.settled()
        desk.clock.advance(seconds=60)
    own = sorted(set(desk.files()) - others)
    assert [stamp_of(name, SERVICE) for name in own] == [START_MS + 120_000, START_MS + 180_000]
    assert others <= set(desk.files())


async def test_a_disk_that_is_too_full_is_said_before_anything_is_written(desk: Desk) -> None:
    operations = await desk.attached()
    desk.free_bytes = RESERVE_BYTES + 200_000
    with pytest.raises(NoSpace) as refusal:
        await operations.begin_backup()
    assert refusal.value.facts["free_bytes"] == desk.free_bytes
    assert desk.files() == []
    desk.free_bytes += 10_000
    await operations.begin_backup()
    await operations.settled()
    assert len(desk.files()) == 1


@pytest.mark.parametrize("key", [None, "", "zz" * KEY_BYTES, "ab" * 31])
async def test_without_a_recovery_key_nothing_is_copied(desk: Desk, key: str | None) -> None:
    path = desk.root / "keys" / RECOVERY_KEY
    path.unlink()
    if key is not None:
        path.write_text(key)
    operations = await desk.attached()
    with pytest.raises(NotReady, match=r"recovery\.pub"):
        await operations.begin_backup()
    assert desk.files() == []


class CopiesThat:
    """A database whose copying goes wrong in some way."""

    def __init__(self, inner: SqliteStorage, spoil: Callable[[Path], Awaitable[None]]) -> None:
        self._inner = inner
        self._spoil = spoil
        self.incarnation = inner.incarnation

    async def backup(self, path: Path) -> None:
        await self._inner.backup(path)
        await self._spoil(path)


async def spoiled(desk: Desk, spoil: Callable[[Path], Awaitable[None]]) -> Operations:
    operations = desk.operations()
    storage: Any = CopiesThat(desk.storage, spoil)
    await operations.attach(storage, lambda: 1)
    await operations.begin_backup()
    return operations


async def damage(path: Path) -> None:
    await asyncio.to_thread(overwrite, path)


def overwrite(path: Path) -> None:
    held = bytearray(path.read_bytes())
    held[4_096:] = b"\xa5" * (len(held) - 4_096)
    path.write_bytes(held)


async def fail(_: Path) -> None:
    raise StorageCorrupt("/data/x", "page 7")


async def fill_up(_: Path) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (damage, "the database of usdt-manager is damaged"),
        (fail, "page 7"),
        (fill_up, "No space left"),
    ],
)
async def test_a_backup_that_fails_says_why_leaves_nothing_and_is_counted(
    desk: Desk, spoil: Callable[[Path], Awaitable[None]], told: str
) -> None:
    operations = await spoiled(desk, spoil)
    await operations.settled()
    job = (await operations.backups()).job
    assert job is not None
    assert job.state == "failed"
    assert told in (job.problem or "")
    assert operations.standing()["problem"] == job.problem
    assert desk.files() == []
    assert not [path for path in desk.everything() if ".backup" in path.name]
    assert b"lucid_backup_failures_total 1.0" in desk.metrics.render()


async def test_a_backup_under_way_ends_with_its_service_and_leaves_nothing(desk: Desk) -> None:
    reached = asyncio.Event()

    async def hang(_: Path) -> None:
        reached.set()
        await asyncio.Event().wait()

    operations = await spoiled(desk, hang)
    await asyncio.wait_for(reached.wait(), 30)
    await operations.detach()
    job = (await operations.backups()).job
    assert job is not None
    assert (job.state, job.problem) == ("failed", "the service is stopping")
    assert not [path for path in desk.everything() if ".backup" in path.name]
    with pytest.raises(NotReady):
        await operations.begin_backup()


async def test_h25_a_backup_that_is_broken_off_by_the_end_leaves_nothing_plain(desk: Desk) -> None:
    """The database goes on copying until it is closed, whatever became of who asked for it."""
    operations = await desk.attached()
    await operations.begin_backup()
    await operations.detach()
    await desk.storage.close()
    await operations.tidy()
    assert not [path for path in desk.everything() if ".backup" in path.name]
    assert not [name for name in desk.files() if name.endswith(".partial")]


async def test_a_recovery_key_that_seals_nothing_fails_the_backup_and_says_so(desk: Desk) -> None:
    (desk.root / "keys" / RECOVERY_KEY).write_text("0" * 64)
    operations = await desk.attached()
    await operations.begin_backup()
    await operations.settled()
    assert operations.standing()["problem"]
    assert desk.files() == []
    await operations.begin_backup()
    await operations.settled()


async def test_the_schedule_makes_the_first_soon_and_then_one_every_interval(desk: Desk) -> None:
    operations = await desk.attached(DAILY)
    made: list[int] = []
    for _ in range(60):
        await operations.keep_up()
        await operations.settled()
        newest = desk.backups.newest()
        if newest and newest.made_ms not in made:
            made.append(newest.made_ms)
        desk.clock.advance(seconds=3_600)
    first = START_MS + MS_PER_HOUR
    assert made == [first, first + 24 * MS_PER_HOUR, first + 48 * MS_PER_HOUR]
    assert first - START_MS >= FIRST_AFTER_MS


async def test_a_restart_does_not_put_the_next_backup_off(desk: Desk) -> None:
    operations = await desk.attached(DAILY)
    desk.clock.advance(seconds=FIRST_AFTER_MS // 1_000)
    await operations.keep_up()
    await operations.settled()
    for _ in range(3):
        desk.clock.advance(seconds=8 * 3_600)
        operations = await desk.attached(DAILY)
        await operations.keep_up()
        await operations.settled()
    assert len(desk.files()) == 2


async def test_without_an_interval_no_backup_is_made_by_itself(desk: Desk) -> None:
    operations = await desk.attached(OFF)
    desk.clock.advance(seconds=10**7)
    await operations.keep_up()
    assert (await operations.backups()).job is None


async def test_a_scheduled_backup_that_fails_is_tried_again_later_and_is_no_crash(
    desk: Desk,
) -> None:
    operations = await desk.attached(DAILY)
    desk.free_bytes = 0
    desk.clock.advance(seconds=FIRST_AFTER_MS // 1_000)
    for _ in range(3):
        assert await operations.keep_up() is False
    assert b"lucid_backup_failures_total 1.0" in desk.metrics.render()
    assert "bytes" in operations.standing()["problem"]
    desk.free_bytes = 10**12
    await operations.keep_up()
    assert desk.files() == []
    desk.clock.advance(seconds=RETRY_AFTER_MS // 1_000)
    await operations.keep_up()
    await operations.settled()
    assert len(desk.files()) == 1
    assert operations.standing()["problem"] is None


async def test_a_last_backup_that_is_too_old_is_told_in_status_metrics_and_the_log(
    desk: Desk, written: Callable[[], list[dict[str, Any]]]
) -> None:
    operations = await desk.attached(BackupSchedule(interval_ms=0, overdue_ms=48 * MS_PER_HOUR))
    await operations.begin_backup()
    await operations.settled()
    for hours in (0, 47, 2, 1):
        desk.clock.advance(seconds=hours * 3_600)
        await operations.keep_up()
    assert operations.standing() == {
        "last_made_at": rfc3339(START_MS),
        "age_s": 50 * 3_600,
        "is_overdue": True,
        "problem": None,
    }
    assert b"lucid_backup_overdue 1.0" in desk.metrics.render()
    assert [line["event"] for line in written()].count("backup.overdue") == 1
    await operations.begin_backup()
    await operations.settled()
    assert operations.standing()["is_overdue"] is False
    assert b"lucid_backup_overdue 0.0" in desk.metrics.render()


async def test_a_service_that_never_made_a_backup_says_so_in_time(desk: Desk) -> None:
    operations = await desk.attached(BackupSchedule(interval_ms=0, overdue_ms=48 * MS_PER_HOUR))
    assert operations.standing()["is_overdue"] is False
    desk.clock.advance(seconds=49 * 3_600)
    await operations.keep_up()
    assert operations.standing() | {"problem": None} == {
        "last_made_at": None,
        "age_s": None,
        "is_overdue": True,
        "problem": None,
    }


@pytest.mark.parametrize(
    "name",
    [
        "usdt-manager-.sealed",
        "usdt-manager-2026.sealed",
        "usdt-manager-20269999T999999.999Z.sealed",
        "tron-client-20261122T100000.000Z.sealed",
    ],
)
def test_a_file_that_is_not_named_like_a_copy_of_the_service_is_none(name: str) -> None:
    assert stamp_of(name, SERVICE) is None


@asynccontextmanager
async def service_in(root: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Serve nothing but what every service has."""
    settings = settings_in(root, ServiceSettings)
    runtime = Runtime(
        service=SERVICE,
        settings=settings,
        clock=HeldClock(START_MS),
        transport=answers(nobody_there),
    )

    async def build(runtime: Runtime) -> Storage:
        return await runtime.storage(SCHEMA)

    app = application(runtime, build=build, routers=(), description="")
    async with serving(app) as client:
        yield client


async def test_an_operator_asks_over_http_and_sees_it_in_status(tmp_path: Path) -> None:
    keys = Keys(tmp_path, HeldClock(START_MS))
    (tmp_path / "keys" / RECOVERY_KEY).write_text(new_recovery_key().public)
    operator = keys.person(Role.SUPER_ADMIN)
    async with service_in(tmp_path) as client:
        assert (await client.post("/api/v1/ops/backup")).status_code == 401
        user = keys.person(Role.ADMIN)
        assert (await client.post("/api/v1/ops/backup", headers=user)).status_code == 403
        asked = await client.post("/api/v1/ops/backup", headers=operator)
        assert asked.status_code == 202
        async with asyncio.timeout(30):
            told = asked.json()
            while told["state"] == "running":
                told = (await client.get("/api/v1/ops/backup", headers=user)).json()["job"]
        assert told["state"] == "done"
        listed = (await client.get("/api/v1/ops/backup", headers=user)).json()
        assert [copy["file"] for copy in listed["copies"]] == [told["backup"]["file"]]
        status = (await client.get("/status", headers=user)).json()
        assert status["backup"]["last_made_at"] == told["backup"]["made_at"]
        assert "backup" not in (await client.get("/status")).json()

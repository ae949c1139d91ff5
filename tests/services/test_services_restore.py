import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from services.backup import Manifest
from services.engines import Opener, schema_of, stamp_for
from services.restore import NotRestored, Wanted, restore, restore_into
from services.restore import main as restore_command
from services.stack import TREE
from services.wallet_manager.settings import Settings
from shared.backups import Advance, Backups
from shared.clock import HeldClock, rfc3339
from shared.config import ServiceSettings, process_environment
from shared.models.operations import BackupView
from shared.sealing import PIECE_BYTES, NotOpened, RecoveryKey, new_recovery_key, seal
from shared.storage import (
    Feed,
    Schema,
    SchemaTooNew,
    SqliteStorage,
    Stamp,
    Storage,
    StorageCorrupt,
    StorageLocked,
    StorageWithheld,
    Unit,
    WrongContract,
    WrongNetwork,
    WrongService,
)
from shared.storage.mongo.engine import MongoStorage
from shared.storage.mongo.portable import MongoPortable
from shared.storage.sqlite.portable import SqlitePortable
from shared.storage.sqlite.replacement import put_in_place
from shared.storage.sqlite.snapshot import inspect
from shared.storage.transfer import (
    Mark,
    MarkKind,
    Portable,
    StoredEvent,
    TransferRefused,
    move,
)
from shared.tron.networks import Network
from shared.web.operations import RECOVERY_KEY, backup_view
from tests.mongo_server import Place as MongoPlace
from tests.support import START_MS

TRX = "trx-staking"
PAYOUTS = "payout-router"


class Installation:
    """The databases of some services, and a backup of them."""

    def __init__(self, root: Path) -> None:
        self.settings = Settings(tron_network=Network.DEVNET, data_dir=root)
        self.key: RecoveryKey = new_recovery_key()
        self.clock = HeldClock(START_MS)
        (root / "keys").mkdir(parents=True)
        (root / "keys" / RECOVERY_KEY).write_text(self.key.public)

    def database(self, service: str) -> Path:
        return self.settings.database_path(service)

    async def open(self, service: str) -> SqliteStorage:
        return await SqliteStorage.open(
            self.database(service), schema_of(service), stamp_for(self.settings)
        )

    async def publish(self, service: str, count: int) -> str:
        """Publish events; returns the incarnation."""
        storage = await self.open(service)
        unit = Unit()
        for number in range(count):
            feed = feed_of(service)
            unit.publish(feed, id=f"e{number}", type="n.told", at_ms=START_MS, object={})
        await storage.commit(unit)
        incarnation = storage.incarnation
        await storage.close()
        return incarnation

    async def end(self, service: str) -> int:
        storage = await self.open(service)
        page = await storage.read_feed(feed_of(service), after=0, limit=1)
        await storage.close()
        return page.end

    async def incarnation(self, service: str) -> str:
        storage = await self.open(service)
        await storage.close()
        return storage.incarnation

    async def back_up(self, *services: str) -> dict[str, BackupView]:
        return {service: await self._back_up(service) for service in services}

    async def _back_up(self, service: str) -> BackupView:
        return await self.back_up_from(await self.open(service), service)

    async def back_up_from(self, storage: Storage, service: str) -> BackupView:
        """Back up a database of whatever engine, and close it."""
        backups = Backups(
            service=service,
            recovery_key=self.settings.keys_path() / RECOVERY_KEY,
            folder=self.settings.backups_path(),
            work=self.database(service).parent,
            keep=100,
            clock=self.clock,
        )
        public = backups.check(1)
        made = await backups.make(storage, public=public, advance=Advance(1))
        await storage.close()
        return backup_view(service, made)

    def wanted(self, made: dict[str, BackupView]) -> list[Wanted]:
        folder = self.settings.backups_path()
        return [
            Wanted(service=service, sealed=folder / view.file, sha256=view.sha256)
            for service, view in made.items()
        ]

    async def restore(self, wanted: list[Wanted], *, secret: str | None = None) -> list[str]:
        return await restore(self.settings, wanted, secret=secret or self.key.secret)

    def files(self, service: str) -> dict[str, bytes]:
        """Return everything in a service's folder but the lock."""
        folder = self.database(service).parent
        return {
            path.name: path.read_bytes()
            for path in sorted(folder.iterdir())
            if path.suffix not in {".lock", ".db-shm", ".sqlite3-shm"} and path.stat().st_size
        }


def feed_of(service: str) -> Feed:
    return schema_of(service).feeds[0]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "data")


async def test_a_restored_database_holds_what_was_there_at_the_backup(
    installation: Installation,
) -> None:
    await installation.publish(PAYOUTS, 3)
    await installation.publish(TRX, 5)
    made = await installation.back_up(PAYOUTS, TRX)
    await installation.publish(PAYOUTS, 4)
    told = await installation.restore(installation.wanted(made))
    assert (await installation.end(PAYOUTS), await installation.end(TRX)) == (3, 5)
    assert rfc3339(START_MS) in told[0]
    assert f"{feed_of(PAYOUTS).name} to 3" in told[0]


async def test_what_was_there_is_kept_aside_whole_and_opens_again(
    installation: Installation,
) -> None:
    before = await installation.publish(PAYOUTS, 3)
    made = await installation.back_up(PAYOUTS)
    await installation.publish(PAYOUTS, 4)
    await installation.restore(installation.wanted(made))
    database = installation.database(PAYOUTS)
    (former,) = database.parent.glob("*.before-*")
    former.rename(database)
    assert await installation.end(PAYOUTS) == 7
    assert await installation.incarnation(PAYOUTS) == before


async def test_h5_every_restore_is_another_incarnation_the_same_backup_twice_too(
    installation: Installation,
) -> None:
    seen = [await installation.publish(PAYOUTS, 1)]
    made = await installation.back_up(PAYOUTS)
    assert made[PAYOUTS].incarnation == seen[0]
    for _ in range(2):
        await installation.restore(installation.wanted(made))
        seen.append(await installation.incarnation(PAYOUTS))
    assert len(set(seen)) == 3


async def test_a_database_is_restored_where_there_is_none(installation: Installation) -> None:
    await installation.publish(PAYOUTS, 3)
    made = await installation.back_up(PAYOUTS)
    for path in installation.database(PAYOUTS).parent.iterdir():
        path.unlink()
    installation.database(PAYOUTS).parent.rmdir()
    (told,) = await installation.restore(installation.wanted(made))
    assert "what was there: nothing" in told
    assert await installation.end(PAYOUTS) == 3
    assert installation.database(PAYOUTS).stat().st_mode & 0o777 == 0o600


async def test_a_database_that_is_damaged_is_replaced_with_its_log(
    installation: Installation,
) -> None:
    await installation.publish(PAYOUTS, 3)
    made = await installation.back_up(PAYOUTS)
    database = installation.database(PAYOUTS)
    database.write_bytes(b"rubbish" * 1_000)
    database.with_name(database.name + "-wal").write_bytes(b"rubbish" * 1_000)
    await installation.restore(installation.wanted(made))
    assert await installation.end(PAYOUTS) == 3
    assert min(path.name[-4:] for path in database.parent.glob("*.before-*")) == "-wal"


Spoil = Callable[[Installation, Wanted], Wanted]


def cut_off(_: Installation, wanted: Wanted) -> Wanted:
    wanted.sealed.write_bytes(wanted.sealed.read_bytes()[:-1])
    return replace(wanted, sha256=None)


def tampered(_: Installation, wanted: Wanted) -> Wanted:
    held = bytearray(wanted.sealed.read_bytes())
    held[len(held) // 2] ^= 1
    wanted.sealed.write_bytes(held)
    return replace(wanted, sha256=None)


def not_the_one_of_the_manifest(_: Installation, wanted: Wanted) -> Wanted:
    return replace(wanted, sha256="0" * 64)


def plain(installation: Installation, wanted: Wanted) -> Wanted:
    wanted.sealed.write_bytes(installation.database(TRX).read_bytes())
    return replace(wanted, sha256=None)


def of_another_service(_: Installation, wanted: Wanted) -> Wanted:
    return replace(wanted, service="usdt-manager")


def missing(_: Installation, wanted: Wanted) -> Wanted:
    wanted.sealed.unlink()
    return wanted


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (cut_off, NotOpened),
        (tampered, NotOpened),
        (not_the_one_of_the_manifest, NotRestored),
        (plain, NotOpened),
        (of_another_service, WrongService),
        (missing, OSError),
    ],
)
async def test_a_file_that_is_not_what_it_should_be_changes_nothing_anywhere(
    installation: Installation, spoil: Spoil, error: type[Exception]
) -> None:
    await installation.publish(PAYOUTS, 3)
    await installation.publish(TRX, 3)
    made = await installation.back_up(PAYOUTS, TRX)
    await installation.publish(PAYOUTS, 1)
    good, bad = installation.wanted(made)
    bad = spoil(installation, bad)
    before = installation.files(PAYOUTS), installation.files(TRX)
    with pytest.raises(error):
        await installation.restore([good, bad])
    assert (installation.files(PAYOUTS), installation.files(TRX)) == before
    assert await installation.end(PAYOUTS) == 4


async def test_the_wrong_key_changes_nothing(installation: Installation) -> None:
    await installation.publish(PAYOUTS, 3)
    made = await installation.back_up(PAYOUTS)
    before = installation.files(PAYOUTS)
    with pytest.raises(NotOpened, match="does not open with this key"):
        await installation.restore(installation.wanted(made), secret=new_recovery_key().secret)
    assert installation.files(PAYOUTS) == before


async def sealed_with(
    installation: Installation, schema: Schema, stamp: Stamp, *, damage: bool = False
) -> Wanted:
    """Seal a database that fits no installation, or none at all."""
    path = installation.settings.data_dir / "strange.sqlite3"
    storage = await SqliteStorage.open(path, schema, stamp)
    copy = path.with_suffix(".copy")
    await storage.backup(copy)
    await storage.close()
    sealed = path.with_suffix(".sealed")
    if damage:
        overwrite(copy)
    await seal(copy, sealed, public=installation.key.public)
    return Wanted(service=PAYOUTS, sealed=sealed, sha256=None)


def overwrite(path: Path) -> None:
    held = bytearray(path.read_bytes())
    held[4_096:] = b"\xa5" * (len(held) - 4_096)
    path.write_bytes(held)


async def test_a_backup_of_another_network_contract_or_release_is_refused(
    installation: Installation,
) -> None:
    schema, stamp = schema_of(PAYOUTS), stamp_for(installation.settings)
    cases: list[tuple[Schema, Stamp, type[Exception]]] = [
        (schema, replace(stamp, network="mainnet"), WrongNetwork),
        (schema, replace(stamp, contract="TOther"), WrongContract),
        (replace(schema, version=schema.version + 1), stamp, SchemaTooNew),
    ]
    await installation.publish(PAYOUTS, 1)
    before = installation.files(PAYOUTS)
    for strange_schema, strange_stamp, error in cases:
        wanted = await sealed_with(installation, strange_schema, strange_stamp)
        with pytest.raises(error):
            await installation.restore([wanted])
        discard(installation)
    assert installation.files(PAYOUTS) == before


def discard(installation: Installation) -> None:
    for path in installation.settings.data_dir.glob("strange*"):
        path.unlink()


async def test_a_sealed_database_that_is_damaged_is_refused(installation: Installation) -> None:
    schema, stamp = schema_of(PAYOUTS), stamp_for(installation.settings)
    wanted = await sealed_with(installation, schema, stamp, damage=True)
    with pytest.raises(StorageCorrupt):
        await installation.restore([wanted])
    assert installation.files(PAYOUTS) == {}


async def test_a_running_service_keeps_its_database_and_all_the_others(
    installation: Installation,
) -> None:
    await installation.publish(PAYOUTS, 1)
    await installation.publish(TRX, 1)
    made = await installation.back_up(PAYOUTS, TRX)
    running = await installation.open(TRX)
    before = await installation.incarnation(PAYOUTS)
    with pytest.raises(StorageLocked, match=TRX):
        await installation.restore(installation.wanted(made))
    await running.close()
    assert await installation.incarnation(PAYOUTS) == before


async def test_nothing_is_restored_beside_a_database_that_was_moved_elsewhere(
    installation: Installation, tmp_path: Path
) -> None:
    await installation.publish(PAYOUTS, 1)
    made = await installation.back_up(PAYOUTS)
    schema, stamp = schema_of(PAYOUTS), stamp_for(installation.settings)
    source = await SqlitePortable.open(installation.database(PAYOUTS), schema, stamp)
    target = await SqlitePortable.open(tmp_path / "elsewhere.sqlite3", schema, stamp)
    await move(source, target, progress=lambda _: None)
    await source.close()
    await target.close()
    with pytest.raises(StorageWithheld, match="was moved to"):
        await installation.restore(installation.wanted(made))


class Killed(BaseException):
    """The process is gone."""


class Killer:
    """Ends a replacement just before its next rename or removal, once so many were done."""

    def __init__(self) -> None:
        self.left: int | None = None
        sys.addaudithook(self._hook)

    def _hook(self, event: str, _arguments: object) -> None:
        if self.left is None or event not in {"os.rename", "os.remove"}:
            return
        if self.left == 0:
            raise Killed
        self.left -= 1

    def after(self, count: int, work: Callable[[], object]) -> bool:
        """Do the work; True if it was ended."""
        self.left = count
        try:
            work()
        except Killed:
            return True
        finally:
            self.left = None
        return False


async def test_a_restore_that_is_killed_at_any_rename_keeps_the_service_closed_until_repeated(
    tmp_path: Path,
) -> None:
    """Between two renames the database lies under a note, and no log lies beside another's file."""
    killer, cuts, was_killed = Killer(), 0, True
    while was_killed:
        installation = Installation(tmp_path / str(cuts))
        await installation.publish(PAYOUTS, 3)
        made = await installation.back_up(PAYOUTS)
        await leave_a_log(installation)
        database = installation.database(PAYOUTS)
        prepared = database.with_name("prepared")
        prepared.write_bytes(database.read_bytes())
        former = database.with_name(f"{database.name}.before-first")
        was_killed = killer.after(cuts, partial(put_in_place, database, prepared, former))
        if was_killed:
            with pytest.raises(StorageWithheld, match="run it again"):
                await installation.open(PAYOUTS)
        await installation.restore(installation.wanted(made))
        assert await installation.end(PAYOUTS) == 3
        kept = [path for path in database.parent.glob("*.before-*") if path.name[-4:] != "-wal"]
        assert most_events(kept) == 7, "what was there is whole under one of the names"
        cuts += 1
    assert cuts > 4


async def leave_a_log(installation: Installation) -> None:
    """Leave the last events in the log alone, as a process that was killed does."""
    database = installation.database(PAYOUTS)
    log = database.with_name(database.name + "-wal")
    held, named = database.read_bytes(), feed_of(PAYOUTS)
    storage = await installation.open(PAYOUTS)
    unit = Unit()
    for number in range(4):
        unit.publish(named, id=f"late{number}", type="n.told", at_ms=START_MS, object={})
    await storage.commit(unit)
    kept = log.read_bytes()
    await storage.close()
    database.write_bytes(held)
    log.write_bytes(kept)


def most_events(databases: list[Path]) -> int:
    return max(inspect(path).feed_ends[feed_of(PAYOUTS).name] for path in databases)


@pytest.fixture
def opened(mongo_place: MongoPlace, tmp_path: Path) -> Opener:
    async def open_(settings: ServiceSettings, service: str) -> Portable:
        return await MongoPortable.open(
            mongo_place.options(), schema_of(service), stamp_for(settings), copies=tmp_path
        )

    return open_


async def open_mongo(
    installation: Installation, place: MongoPlace, service: str, tmp_path: Path
) -> MongoStorage:
    schema, stamp = schema_of(service), stamp_for(installation.settings)
    return await MongoStorage.open(place.options(), schema, stamp, copies=tmp_path)


@pytest.mark.mongodb
async def test_h5_a_backup_is_restored_into_the_other_engine_as_another_history(
    installation: Installation, mongo_place: MongoPlace, opened: Opener, tmp_path: Path
) -> None:
    before = await installation.publish(PAYOUTS, 3)
    await installation.publish(TRX, 2)
    made = await installation.back_up(PAYOUTS, TRX)
    wanted = installation.wanted(made)
    told = await restore_into(opened, installation.settings, wanted, secret=installation.key.secret)
    assert "mongodb://" in told[0]
    storage = await open_mongo(installation, mongo_place, PAYOUTS, tmp_path)
    page = await storage.read_feed(feed_of(PAYOUTS), after=0, limit=10)
    assert (len(page.events), page.end) == (3, 3)
    assert storage.incarnation not in {before, made[PAYOUTS].incarnation}
    await storage.close()
    assert await installation.incarnation(PAYOUTS) == before, "the files are as they were"
    assert not list(installation.settings.data_dir.rglob("*.restored*"))

    with pytest.raises(TransferRefused, match="is not empty"):
        await restore_into(opened, installation.settings, wanted, secret=installation.key.secret)


@pytest.mark.mongodb
async def test_a_backup_of_the_other_engine_is_restored_as_a_file(
    installation: Installation, mongo_place: MongoPlace, tmp_path: Path
) -> None:
    storage = await open_mongo(installation, mongo_place, PAYOUTS, tmp_path)
    unit = Unit()
    for number in range(3):
        feed = feed_of(PAYOUTS)
        unit.publish(feed, id=f"e{number}", type="n.told", at_ms=START_MS, object={"n": 10**30})
    await storage.commit(unit)
    installation.database(PAYOUTS).parent.mkdir(parents=True)
    made = await installation.back_up_from(storage, PAYOUTS)
    assert made.feeds[feed_of(PAYOUTS).name] == 3
    await installation.restore(installation.wanted({PAYOUTS: made}))
    restored = await installation.open(PAYOUTS)
    page = await restored.read_feed(feed_of(PAYOUTS), after=0, limit=10)
    assert [event.object for event in page.events] == [{"n": 10**30}] * 3
    assert restored.incarnation != storage.incarnation
    await restored.close()


@pytest.mark.mongodb
async def test_a_wrong_key_leaves_the_other_engine_empty(
    installation: Installation, opened: Opener
) -> None:
    await installation.publish(PAYOUTS, 3)
    wanted = installation.wanted(await installation.back_up(PAYOUTS))
    with pytest.raises(NotOpened):
        await restore_into(opened, installation.settings, wanted, secret=new_recovery_key().secret)
    target = await opened(installation.settings, PAYOUTS)
    assert (await target.contents()).is_empty
    assert await target.mark() is None
    await target.close()


@pytest.mark.mongodb
async def test_a_restore_into_the_other_engine_that_was_interrupted_is_begun_again(
    installation: Installation, opened: Opener
) -> None:
    await installation.publish(PAYOUTS, 3)
    wanted = installation.wanted(await installation.back_up(PAYOUTS))
    target = await opened(installation.settings, PAYOUTS)
    await target.set_mark(Mark(kind=MarkKind.INCOMING, transfer_id="x", told="not complete"))
    event = StoredEvent(seq=1, id="of another backup", type="t", at_ms=1, document=b"{}")
    await target.put_events(feed_of(PAYOUTS).name, [event])
    await target.close()
    await restore_into(opened, installation.settings, wanted, secret=installation.key.secret)
    target = await opened(installation.settings, PAYOUTS)
    assert [one.id for one in await target.events(feed_of(PAYOUTS).name, after=0)] == [
        "e0",
        "e1",
        "e2",
    ]
    assert await target.mark() is None
    await target.close()


async def manifest_of(installation: Installation, made: dict[str, BackupView]) -> Path:
    manifest = Manifest(
        made_at=rfc3339(START_MS), network="devnet", services=made, missing=("usdt-manager",)
    )
    assert Manifest.decode(manifest.encode()) == manifest
    path = installation.settings.backups_path() / "backup-1.json"
    path.write_text(manifest.encode())
    return path


def run_restore(installation: Installation, *arguments: str | Path, given: str = "") -> str:
    """Run the command as an operator does; returns what it says."""
    environment = {
        **process_environment(),
        "TRON_NETWORK": "devnet",
        "LUCID_DATA_DIR": str(installation.settings.data_dir),
    }
    done = subprocess.run(
        [sys.executable, "-m", "services", "restore", *map(str, arguments)],
        cwd=TREE,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


async def test_the_command_restores_what_a_manifest_names(installation: Installation) -> None:
    await installation.publish(PAYOUTS, 3)
    await installation.publish(TRX, 2)
    path = await manifest_of(installation, await installation.back_up(PAYOUTS, TRX))
    await installation.publish(PAYOUTS, 1)
    key = installation.settings.data_dir / "recovery.key"
    key.write_text(installation.key.secret + "\n")
    told = await asyncio.to_thread(run_restore, installation, path, "--key-file", key)
    assert told.startswith("0\n")
    assert f"as of {rfc3339(START_MS)}" in told
    assert "wallet-manager   left as it is" in told
    assert installation.key.secret not in told
    assert await installation.end(PAYOUTS) == 3


async def test_the_key_can_come_through_a_descriptor(installation: Installation) -> None:
    await installation.publish(PAYOUTS, 3)
    made = await installation.back_up(PAYOUTS)
    sealed = installation.settings.backups_path() / made[PAYOUTS].file
    told = await asyncio.to_thread(
        run_restore, installation, sealed, "--key-fd", "0", given=installation.key.secret
    )
    assert told.startswith("0\n")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.json", "{}", "no manifest"),
        ("x.json", "not json", "no manifest"),
        ("x.json", '{"format": "lucid-backup-1", "services": []}', "no complete manifest"),
        ("x.sealed", "x", "not named like a sealed copy"),
        ("payout-router-yesterday.sealed", "x", "not named like a sealed copy"),
        (f"{PAYOUTS}-20261122T100000.000Z.sealed", "x" * PIECE_BYTES, "no sealed file"),
    ],
)
def test_a_file_that_is_no_backup_is_said_to_be_none(
    installation: Installation, name: str, content: str, says: str
) -> None:
    path = installation.settings.data_dir / name
    path.write_text(content)
    told = run_restore(installation, path, "--key-fd", "0", given=installation.key.secret)
    assert told.startswith("1\n")
    assert says in told


def test_a_manifest_cannot_name_files_elsewhere(installation: Installation) -> None:
    view = {
        "service": PAYOUTS,
        "file": "../../payout-router-20261122T100000.000Z.sealed",
        "size_bytes": 1,
        "sha256": "0" * 64,
        "database_bytes": 1,
        "incarnation": "x",
        "schema_version": 1,
        "feeds": {},
        "made_at": rfc3339(START_MS),
    }
    path = installation.settings.data_dir / "x.json"
    told = {"format": "lucid-backup-1", "made_at": "x", "network": "devnet", "missing": []}
    path.write_text(json.dumps({**told, "services": {PAYOUTS: view}}))
    assert "no sealed copy of a service" in run_restore(installation, path, "--key-fd", "0")


def test_a_service_is_restored_once(installation: Installation) -> None:
    folder = installation.settings.data_dir
    names = [f"{PAYOUTS}-20261122T10000{second}.000Z.sealed" for second in range(2)]
    for name in names:
        (folder / name).write_text("x")
    told = run_restore(installation, *(folder / name for name in names), "--key-fd", "0")
    assert "payout-router is named twice" in told


def test_the_key_is_no_argument(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        restore_command(["--recovery-key", "ab" * 32, "x.json"])
    assert "unrecognized arguments" in capsys.readouterr().err

"""What only the embedded engine can do wrong: files, locks, full disks, query plans."""

# ruff: noqa: ASYNC240 - small files of a test

import asyncio
import functools
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.storage import (
    Collection,
    Committed,
    Feed,
    Index,
    Migration,
    Schema,
    SqliteStorage,
    Stamp,
    StorageBusy,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageLocked,
    StorageUnwritable,
    Unit,
    WrongNetwork,
)
from shared.storage.selection import Selection
from shared.storage.sqlite import integrity
from shared.storage.sqlite.connection import WAL_LIMIT_BYTES, connect, create, prepare_writer
from shared.storage.sqlite.queries import Rows, stretches
from shared.storage.sqlite.tables import Table
from shared.storage.sqlite.wal import WriteAheadLog, log_of
from shared.storage.values import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    id: str
    version: int = 0
    kind: str = "plain"
    at_ms: int | None = 0
    text: str = ""


NOTES = Collection(
    "notes",
    Note,
    (
        Index("kind", ("kind", "at_ms")),
        Index("plain", ("at_ms",), where=(("kind", ("plain", "it's")),)),
    ),
)
EVENTS = Feed("events")
SCHEMA = Schema("notebook", 1, (NOTES,), (EVENTS,))
STAMP = Stamp("devnet", "TContract")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "notes.db"


@pytest.fixture
async def storage(path: Path) -> AsyncIterator[SqliteStorage]:
    opened = await SqliteStorage.open(path, SCHEMA, STAMP)
    yield opened
    await opened.close()


@pytest.fixture
async def impatient(path: Path) -> AsyncIterator[SqliteStorage]:
    opened = await SqliteStorage.open(path, SCHEMA, STAMP, queue_limit=4, commit_timeout_s=0.05)
    yield opened
    await opened.close()


def insert(name: str, text: str = "") -> Unit:
    return Unit().insert(NOTES, Note(id=name, text=text))


def trouble_of(storage: SqliteStorage) -> StorageError | None:
    return storage.trouble


class StalledDisk:
    """Holds the writing thread inside a transaction until it is let go."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.over = threading.Event()

    def __call__(self, _connection: sqlite3.Connection) -> None:
        self.reached.set()
        self.over.wait(10)


async def test_files_belong_to_the_service_alone(storage: SqliteStorage, path: Path) -> None:
    await storage.commit(insert("a"))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    names = {each.name for each in path.parent.iterdir()}
    assert names == {"notes.db", "notes.db-wal", "notes.db-shm", "notes.db.lock"}
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}
    copy = path.with_name("copy.db")
    await storage.backup(copy)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert not copy.with_name("copy.db.partial").exists()


async def test_commits_are_flushed_in_full(storage: SqliteStorage) -> None:
    def pragmas(connection: sqlite3.Connection) -> list[object]:
        names = ("synchronous", "foreign_keys", "mmap_size")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await storage._write(pragmas) == [2, 1, 0]
    (mode,) = await storage._read(lambda each: each.execute("PRAGMA journal_mode").fetchone())
    assert mode == "wal"


async def test_a_second_owner_is_refused(storage: SqliteStorage, path: Path) -> None:
    with pytest.raises(StorageLocked) as caught:
        await SqliteStorage.open(path, SCHEMA, STAMP)
    assert caught.value.path == str(path)
    taken = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", taken, f"{path}.lock"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert "BlockingIOError" in child.stderr
    await storage.close()
    again = await SqliteStorage.open(path, SCHEMA, STAMP)
    await again.close()


async def test_a_refused_open_lets_go_of_the_lock_and_the_file(
    storage: SqliteStorage, path: Path
) -> None:
    await storage.commit(insert("a"))
    await storage.close()
    before = path.read_bytes()
    with pytest.raises(WrongNetwork):
        await SqliteStorage.open(path, SCHEMA, Stamp("mainnet", "TContract"))
    assert path.read_bytes() == before
    again = await SqliteStorage.open(path, SCHEMA, STAMP)
    await again.close()


async def test_an_unwritable_directory_is_named_with_its_fix(path: Path) -> None:
    """H25: start-up names the exact path and the fix."""
    path.parent.mkdir()
    path.parent.chmod(0o500)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65532)
    try:
        with pytest.raises(StorageUnwritable) as caught:
            await SqliteStorage.open(path, SCHEMA, STAMP)
        assert str(path.parent) in caught.value.path
        assert f"chown -R {os.geteuid()} " in caught.value.fix
    finally:
        if is_root:
            os.seteuid(0)
        path.parent.chmod(0o700)


async def test_a_directory_that_is_a_file_is_named(path: Path) -> None:
    path.parent.write_text("in the way")
    with pytest.raises(StorageUnwritable) as caught:
        await SqliteStorage.open(path, SCHEMA, STAMP)
    assert caught.value.path == str(path.parent)


async def test_what_is_not_a_database_of_ours_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"certainly not a database" * 100)
    with pytest.raises(StorageCorrupt):
        await SqliteStorage.open(path, SCHEMA, STAMP)
    assert path.read_bytes() == b"certainly not a database" * 100
    path.unlink()
    foreign = sqlite3.connect(path)
    foreign.execute("CREATE TABLE theirs (a)")
    foreign.close()
    with pytest.raises(StorageCorrupt, match="other program"):
        await SqliteStorage.open(path, SCHEMA, STAMP)


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 4096)


async def test_a_damaged_database_does_not_open_and_says_what_to_do(
    storage: SqliteStorage, path: Path
) -> None:
    """H25: the path and the way out are in the refusal, and the file is left as it is."""
    await storage.commit_all([insert(f"n{n}", "x" * 900) for n in range(200)])
    await storage.close()
    damage(path)
    before = path.read_bytes()
    with pytest.raises(StorageCorrupt, match="restore the newest backup") as caught:
        await SqliteStorage.open(path, SCHEMA, STAMP)
    assert caught.value.path == str(path)
    assert path.read_bytes() == before


async def test_damage_found_after_a_crash_leaves_the_log_too(
    storage: SqliteStorage, path: Path, tmp_path: Path
) -> None:
    """H25: what a person has to save is not written over by the look at it."""
    await storage.commit_all([insert(f"n{n}", "x" * 900) for n in range(200)])
    crashed = tmp_path / "crashed" / path.name
    await storage.close()
    storage = await SqliteStorage.open(path, SCHEMA, STAMP)
    await storage.commit(insert("late"))
    shutil.copytree(path.parent, crashed.parent)
    await storage.close()
    damage(crashed)
    before = crashed.read_bytes(), log_of(crashed).read_bytes()
    assert all(before)
    with pytest.raises(StorageCorrupt):
        await SqliteStorage.open(crashed, SCHEMA, STAMP)
    assert (crashed.read_bytes(), log_of(crashed).read_bytes()) == before


async def test_a_check_finds_damage_that_came_later(storage: SqliteStorage, path: Path) -> None:
    await storage.commit_all([insert(f"n{n}", "x" * 900) for n in range(200)])
    await storage.close()
    opened = await SqliteStorage.open(path, SCHEMA, STAMP)
    damage(path)
    with pytest.raises(StorageCorrupt) as caught:
        await opened.check()
    assert caught.value.path == str(path)
    assert caught.value.detail
    await opened.close()


async def test_a_glance_of_no_time_says_that_it_did_not_see_all(
    storage: SqliteStorage, path: Path
) -> None:
    await storage.commit_all([insert(f"n{n}", "x" * 9_000) for n in range(999)])
    await storage.close()
    connection = connect(path, mode="ro")
    assert integrity.glance(connection, path, within_s=60)
    assert not integrity.glance(connection, path, within_s=0)
    assert integrity.glance(connection, path, within_s=60)
    connection.close()


async def test_damage_met_by_a_read_is_trouble_that_stays(
    storage: SqliteStorage, path: Path
) -> None:
    await storage.commit_all([insert(f"n{n}", "x" * 900) for n in range(200)])
    await storage.close()
    opened = await SqliteStorage.open(path, SCHEMA, STAMP)
    damage(path)
    with pytest.raises(StorageCorrupt):
        await opened.list(NOTES, "kind", limit=200)
    assert isinstance(trouble_of(opened), StorageCorrupt)
    with pytest.raises(StorageCorrupt):
        await opened.probe()
    assert isinstance(trouble_of(opened), StorageCorrupt)
    await opened.close()


def grow(connection: sqlite3.Connection, rows: int) -> None:
    row = ("x" * 1_000,)
    for _ in range(rows):
        connection.execute("INSERT INTO notes VALUES (?)", row)


def test_the_log_is_emptied_although_somebody_always_reads(tmp_path: Path) -> None:
    """A reader that stays lets the log grow to the next mark; the next, that leaves, ends it."""
    path, limit = tmp_path / "log.db", 200_000
    create(path)
    writer = connect(path, mode="rw")
    prepare_writer(writer)
    writer.execute("CREATE TABLE notes (text)")
    log = WriteAheadLog(path, limit_bytes=limit)
    first, second = connect(path, mode="ro"), connect(path, mode="ro")
    first.execute("BEGIN")
    first.execute("SELECT count(*) FROM notes").fetchone()
    while log_of(path).stat().st_size < limit:
        grow(writer, 10)
    log.contain(writer)
    assert log_of(path).stat().st_size >= limit

    second.execute("BEGIN")
    second.execute("SELECT count(*) FROM notes").fetchone()
    first.execute("ROLLBACK")
    began = log_of(path).stat().st_size
    while log_of(path).stat().st_size < began + limit:
        grow(writer, 10)
    leaving = threading.Timer(0.02, second.execute, ["ROLLBACK"])
    leaving.start()
    log.contain(writer)
    leaving.join()
    assert log_of(path).stat().st_size == 0
    assert writer.execute("PRAGMA busy_timeout").fetchone() == (5_000,)
    for connection in (first, second, writer):
        connection.close()
    assert not log_of(path).exists()


async def test_a_log_that_a_long_read_let_grow_is_cut_back(
    storage: SqliteStorage, path: Path
) -> None:
    reading = StalledDisk()

    def read(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT count(*) FROM meta").fetchone()
        reading(connection)

    held = asyncio.ensure_future(storage._read(read))
    await asyncio.to_thread(reading.reached.wait, 10)
    number = 0
    while log_of(path).stat().st_size < 1.5 * WAL_LIMIT_BYTES:
        number += 1
        await storage.commit(insert(f"n{number}", "x" * 500_000))
    reading.over.set()
    await held
    for n in range(3):
        await storage.commit(insert(f"after{n}", "x" * 500_000))
    assert log_of(path).stat().st_size <= WAL_LIMIT_BYTES
    await storage.check()


async def test_a_full_disk_refuses_the_large_and_goes_on_serving(storage: SqliteStorage) -> None:
    await storage.commit(insert("first"))
    pages = await storage._write(lambda each: each.execute("PRAGMA page_count").fetchone()[0])

    def limit(connection: sqlite3.Connection, most: int) -> None:
        connection.execute(f"PRAGMA max_page_count={most}").fetchall()

    await storage._write(lambda each: limit(each, pages + 2))
    large = insert("large", "x" * 50_000).publish(EVENTS, id="e", type="t", at_ms=0, object={})
    before, refused, after = await storage.commit_all([insert("a"), large, insert("b")])
    assert isinstance(before, Committed)
    assert isinstance(refused, StorageFull)
    assert isinstance(after, Committed)
    assert await storage.get(NOTES, "large") is None
    assert (await storage.read_feed(EVENTS, after=0, limit=1)).end == 0
    with pytest.raises(StorageFull):
        await storage.commit(large)
    assert isinstance(trouble_of(storage), StorageFull)
    with pytest.raises(StorageFull):
        await storage.probe()
    assert isinstance(trouble_of(storage), StorageFull)
    await storage._write(lambda each: limit(each, 1_000_000))
    await storage.probe()
    assert trouble_of(storage) is None
    assert (await storage.commit(large)).feed_numbers == {"events": (1,)}
    await storage.check()


async def test_a_stalled_disk_bounds_the_queue_and_the_wait(impatient: SqliteStorage) -> None:
    stalled = StalledDisk()
    holding = asyncio.ensure_future(impatient._write(stalled))
    await asyncio.to_thread(stalled.reached.wait, 10)
    commits = [asyncio.ensure_future(impatient.commit(insert(f"n{n}"))) for n in range(6)]
    outcomes = await asyncio.gather(*commits, return_exceptions=True)
    assert all(isinstance(each, StorageBusy) for each in outcomes)
    assert sum("waited too long" in str(each) for each in outcomes) == 4
    assert isinstance(trouble_of(impatient), StorageBusy)
    stalled.over.set()
    await holding
    await impatient.probe()
    assert trouble_of(impatient) is None
    await impatient.commit(insert("after"))
    assert await impatient.get_many(NOTES, [f"n{n}" for n in range(6)]) == {}


async def test_a_unit_that_was_begun_is_waited_for(impatient: SqliteStorage) -> None:
    stalled = StalledDisk()
    holding = asyncio.ensure_future(impatient._write(stalled))
    await asyncio.to_thread(stalled.reached.wait, 10)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(holding), 0.1)
    stalled.over.set()
    await holding


async def test_an_upgrade_keeps_a_copy_of_the_older_database(
    storage: SqliteStorage, path: Path
) -> None:
    await storage.commit(insert("a", "old"))
    await storage.close()
    step = Migration(2, "notes", lambda doc: {**doc, "text": "new"})
    newer = await SqliteStorage.open(
        path, Schema("notebook", 2, (NOTES,), (EVENTS,), (step,)), STAMP
    )
    assert await newer.get(NOTES, "a") == Note(id="a", version=1, text="new")
    await newer.close()
    copy = await SqliteStorage.open(path.with_name("notes.db.schema-1"), SCHEMA, STAMP)
    assert await copy.get(NOTES, "a") == Note(id="a", version=1, text="old")
    await copy.close()


async def test_a_backup_into_nowhere_says_where(storage: SqliteStorage, path: Path) -> None:
    with pytest.raises(StorageUnwritable) as caught:
        await storage.backup(path.parent / "missing" / "copy.db")
    assert "missing" in caught.value.path
    with pytest.raises(StorageError):
        await storage.backup(path)


def explain(sql: str, values: list[Value], connection: sqlite3.Connection) -> str:
    rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
    return " ".join(row[3] for row in rows)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("position", [None, [5, "x"], [None, "x"]])
async def test_pages_are_served_by_their_index_without_sorting(
    storage: SqliteStorage, position: list[Value] | None, *, descending: bool
) -> None:
    table = Table(NOTES)
    for name, equals in (("kind", ("plain",)), ("plain", ())):
        for at_most in (None, 9):
            chosen = Rows(table, Selection(NOTES, NOTES.index(name), equals, None, at_most))
            for sql, values in stretches(chosen, position, descending=descending):
                told = await storage._read(functools.partial(explain, sql, values))
                assert "TEMP B-TREE" not in told, sql
                assert f"USING INDEX x_notes__{name}" in told, sql

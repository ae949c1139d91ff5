"""A full disk, as a caller of a service meets it: refused cleanly, said in readiness, and over again."""

import asyncio
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import httpx
import pytest
from fastapi import APIRouter, Request

from shared.access import Scope
from shared.auth import Principal
from shared.clock import HeldClock
from shared.config import ServiceSettings
from shared.errors import Unavailable
from shared.models.wire import Request as Body
from shared.storage import (
    Collection,
    Feed,
    Index,
    Schema,
    SqliteStorage,
    Stamp,
    StorageFull,
    Unit,
)
from shared.web.application import application, service_of
from shared.web.database import DatabaseWatch
from shared.web.runtime import Runtime
from shared.web.security import requires
from tests.support import START_MS, Keys, serving, settings_in

SERVICE = "usdt-manager"
DISK_BYTES = 4 * 1024 * 1024
LARGE = "x" * 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    id: str
    version: int = 0
    text: str


NOTES = Collection("notes", Note, (Index("all", ("id",)),))
EVENTS = Feed("notes")
SCHEMA = Schema(SERVICE, 1, (NOTES,), (EVENTS,))
STAMP = Stamp("devnet", "TContract")


def unit(name: str, text: str) -> Unit:
    made = Unit().insert(NOTES, Note(id=name, text=text))
    return made.publish(EVENTS, id=name, type="note.made", at_ms=0, object={})


class SmallDisk(Protocol):
    """Where a database lies that can be left without space."""

    async def fill(self, storage: SqliteStorage) -> None: ...

    async def free(self, storage: SqliteStorage) -> None: ...


class PageLimit:
    """The engine's own limit of pages plays the disk."""

    async def fill(self, storage: SqliteStorage) -> None:
        def limit(connection: Any) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages + 2}").fetchall()

        await storage._write(limit)

    async def free(self, storage: SqliteStorage) -> None:
        await storage._write(lambda each: each.execute("PRAGMA max_page_count=1000000").fetchall())


class Tmpfs:
    """A file system of a few megabytes; another file takes up what is left of it."""

    def __init__(self, directory: Path) -> None:
        self._other = directory / "somebody-elses-file"

    async def fill(self, storage: SqliteStorage) -> None:
        assert storage.trouble is None
        with self._other.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096) == 4096:
                    pass
            except OSError:
                return

    async def free(self, storage: SqliteStorage) -> None:
        assert storage.trouble is not None
        self._other.unlink()


@pytest.fixture(params=["page limit", "tmpfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    if request.param == "page limit":
        yield PageLimit()
        return
    directory = tmp_path / SERVICE
    directory.mkdir()
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}"]
    made = subprocess.run([*mount, "tmpfs", str(directory)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("only who may mount can have a disk of a few megabytes")
    try:
        yield Tmpfs(directory)
    finally:
        umount = [shutil.which("umount") or "umount", str(directory)]
        subprocess.run(umount, capture_output=True, check=True)


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[SqliteStorage]:
    opened = await SqliteStorage.open(tmp_path / SERVICE / "notes.db", SCHEMA, STAMP)
    yield opened
    await opened.close()


# The engine


async def test_what_a_full_disk_refuses_is_not_there_and_what_it_took_is(
    disk: SmallDisk, storage: SqliteStorage
) -> None:
    """Many writers run into the end of the disk together; feed and records agree afterwards."""
    await disk.fill(storage)
    names = [f"n{n}" for n in range(64)]
    commits = [storage.commit(unit(name, LARGE)) for name in names]
    outcomes = await asyncio.gather(*commits, return_exceptions=True)
    refused = {
        name for name, told in zip(names, outcomes, strict=True) if isinstance(told, StorageFull)
    }
    assert refused
    assert all(
        isinstance(told, StorageFull) or not isinstance(told, Exception) for told in outcomes
    )
    found = await storage.get_many(NOTES, names)
    assert found.keys() == set(names) - refused
    page = await storage.read_feed(EVENTS, after=0, limit=1_000)
    assert {event.id for event in page.events} == found.keys()
    assert page.end == len(found)

    await disk.free(storage)
    await storage.probe()
    for name in sorted(refused):
        await storage.commit(unit(name, LARGE[:5_000]))
    assert await storage.count(NOTES, "all") == len(names)
    await storage.check()


async def test_a_database_that_met_a_full_disk_opens_again(
    disk: SmallDisk, storage: SqliteStorage, tmp_path: Path
) -> None:
    await storage.commit(unit("before", "kept"))
    await disk.fill(storage)
    outcomes = await storage.commit_all([unit(f"n{n}", LARGE) for n in range(100)])
    assert any(isinstance(told, StorageFull) for told in outcomes)
    known = await storage.count(NOTES, "all")
    await disk.free(storage)
    await storage.close()
    again = await SqliteStorage.open(tmp_path / SERVICE / "notes.db", SCHEMA, STAMP)
    assert await again.count(NOTES, "all") == known
    await again.check()
    await again.close()


# Through the web layer


class Notebook:
    """The service behind the application."""

    def __init__(self, storage: SqliteStorage) -> None:
        self.storage = storage


class NoteRequest(Body):
    text: str


router = APIRouter()
Reader = Annotated[Principal, requires(Scope.USDT_READ)]


@router.post("/notes/{name}", status_code=201)
async def write_note(request: Request, _: Reader, name: str, body: NoteRequest) -> dict[str, str]:
    await service_of(request, Notebook).storage.commit(unit(name, body.text))
    return {}


@router.get("/notes/{name}")
async def read_note(request: Request, _: Reader, name: str) -> dict[str, bool]:
    return {"found": await service_of(request, Notebook).storage.get(NOTES, name) is not None}


async def open_notebook(runtime: Runtime) -> Notebook:
    storage = await runtime.storage(SCHEMA)
    assert isinstance(storage, SqliteStorage)
    return Notebook(storage)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    clock = HeldClock(START_MS)
    headers = Keys(tmp_path, clock).person()
    settings = settings_in(tmp_path, ServiceSettings)
    runtime = Runtime(service=SERVICE, settings=settings, clock=clock)
    app = application(runtime, build=open_notebook, routers=(router,), description="notes")
    app.state.runtime = runtime
    async with serving(app) as client:
        client.headers.update(headers)
        yield client


def behind(client: httpx.AsyncClient) -> tuple[SqliteStorage, DatabaseWatch]:
    """Return the database of the application behind a client, and its watch."""
    transport: Any = client._transport
    state = transport.app.state
    return state.starter.service.storage, state.runtime.database


async def fail_to_write(client: httpx.AsyncClient, text: str) -> httpx.Response:
    """Write until a note is refused."""
    for n in range(100):
        answer = await client.post(f"/notes/n{n}", json={"text": text})
        if answer.status_code != 201:
            return answer
    raise AssertionError("the disk took everything")


async def refused_cleanly(client: httpx.AsyncClient, answer: httpx.Response, why: str) -> None:
    """The caller is told to come again, nothing of the note is there, and readiness says why."""
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["code"] == Unavailable.code
    assert "nothing was stored" in answer.json()["detail"]
    assert (await client.get(answer.url.path)).json() == {"found": False}
    unready = await client.get("/ready")
    assert unready.status_code == 503
    assert [why in reason for reason in unready.json()["reasons"]] == [True]


async def test_a_full_disk_is_a_503_in_readiness_and_heals(
    disk: SmallDisk, client: httpx.AsyncClient
) -> None:
    """Nothing half-written, reads go on, and once there is space again calls are taken."""
    storage, watch = behind(client)
    assert (await client.post("/notes/first", json={"text": "kept"})).status_code == 201
    assert (await client.get("/ready")).status_code == 200

    await disk.fill(storage)
    answer = await fail_to_write(client, LARGE)
    await refused_cleanly(client, answer, "no space left")
    assert (await client.get("/notes/first")).json() == {"found": True}
    await watch.look()
    assert (await client.get("/ready")).status_code == 503

    await disk.free(storage)
    await watch.look()
    assert (await client.get("/ready")).status_code == 200
    assert (await client.post("/notes/last", json={"text": "x" * 5_000})).status_code == 201


async def test_a_file_that_another_program_locks_is_a_503_in_readiness_and_heals(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    storage, watch = behind(client)
    await storage._write(lambda each: each.execute("PRAGMA busy_timeout=1").fetchall())
    path = settings_in(tmp_path, ServiceSettings).database_path(SERVICE)
    shell = sqlite3.connect(path, isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    answer = await client.post("/notes/locked", json={"text": "late"})
    await refused_cleanly(client, answer, "another program")
    await watch.look()
    assert (await client.get("/ready")).status_code == 503

    shell.execute("ROLLBACK")
    shell.close()
    await watch.look()
    assert (await client.get("/ready")).status_code == 200
    assert (await client.post("/notes/locked", json={"text": "late"})).status_code == 201


@pytest.mark.usefixtures("client")
async def test_a_service_looks_at_its_database_by_itself() -> None:
    assert "loop storage" in {task.get_name() for task in asyncio.all_tasks()}

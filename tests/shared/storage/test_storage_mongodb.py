"""What only the MongoDB engine can do wrong: lost answers, other processes, servers that will not do."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from services.stack import TREE
from shared.storage import (
    Collection,
    Committed,
    DuplicateRecord,
    Feed,
    Index,
    Migration,
    Schema,
    SqliteStorage,
    StaleRecord,
    Stamp,
    StorageCorrupt,
    StorageLocked,
    StorageUncertain,
    StorageUnreachable,
    StorageUnsuitable,
    StorageWithheld,
    Unit,
    written,
)
from shared.storage.mongo.documents import TEXT, MongoDocuments
from shared.storage.mongo.engine import MongoStorage
from shared.storage.mongo.options import MongoOptions
from shared.storage.mongo.queries import Rows, stretches, together
from shared.storage.selection import Selection
from shared.storage.values import Value
from tests.mongo_proxy import ProxyThatLosesReplies
from tests.mongo_server import Place, StandIn, database, stand_in

pytestmark = pytest.mark.mongodb

Client = MongoClient[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: str
    version: int = 0
    key: str | None = None
    due_ms: int | None = 0
    amount: int = 0
    facts: dict[str, Any] | None = None


JOBS = Collection(
    "jobs",
    Job,
    (
        Index("key", ("key",), unique=True),
        Index("due", ("due_ms",)),
        Index("named", ("due_ms",), where=(("key", ("a", "b")),)),
        Index("all", ("id",)),
    ),
    leased=True,
)
PAYOUTS = Collection("payouts", Job)
NEWS = Feed("news")
SCHEMA = Schema("back-office", 1, (JOBS, PAYOUTS), (NEWS,))
STAMP = Stamp("devnet", "TContract")


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    """A server of these tests' own, since they make it fail."""
    with stand_in() as server:
        yield server


@pytest.fixture
def place(server: StandIn) -> Iterator[Place]:
    with database(server.url) as place:
        yield place


@pytest.fixture
async def storage(place: Place, tmp_path: Path) -> AsyncIterator[MongoStorage]:
    opened = await opened_at(place, tmp_path)
    yield opened
    await opened.close()


async def opened_at(
    place: Place, copies: Path, schema: Schema = SCHEMA, **changes: Any
) -> MongoStorage:
    return await MongoStorage.open(place.options(**changes), schema, STAMP, copies=copies)


@contextmanager
def failing(server: StandIn, mode: dict[str, int], **data: Any) -> Iterator[None]:
    """Have the server fail commands, until it has or the test is over."""
    with Client(server.url) as client:
        point = {"configureFailPoint": "failCommand"}
        client.admin.command({**point, "mode": mode, "data": data})
        try:
            yield
        finally:
            client.admin.command({**point, "mode": "off"})


def told(unit: Unit, name: str) -> Unit:
    return unit.publish(NEWS, id=name, type="t", at_ms=0, object={"n": name})


async def is_applied_once(storage: MongoStorage) -> None:
    """Commit a unit of everything; it is there once, and the next one follows it."""
    await storage.commit(Unit().insert(JOBS, Job(id="old", amount=1)))
    old = written(Job(id="old", amount=1))
    unit = told(Unit().insert(PAYOUTS, Job(id="new")), "e1")
    unit.update(JOBS, replace(old, amount=2))
    assert await storage.commit(unit) == Committed(feed_numbers={"news": (1,)})
    assert await storage.get(JOBS, "old") == Job(id="old", amount=2, version=2)
    assert await storage.get(PAYOUTS, "new") == Job(id="new", version=1)
    page = await storage.read_feed(NEWS, after=0, limit=9)
    assert [(event.seq, event.id) for event in page.events] == [(1, "e1")]
    assert (await storage.commit(told(Unit(), "e2"))).feed_numbers == {"news": (2,)}


# Lost answers

CONFLICT = {"errorCode": 112, "errorLabels": ["TransientTransactionError"]}
GONE = {"errorCode": 251, "errorLabels": ["TransientTransactionError"]}


@pytest.mark.parametrize(
    ("times", "data"),
    [
        (2, {"failCommands": ["commitTransaction"], "closeConnection": True}),
        (3, {"failCommands": ["commitTransaction"], "closeConnection": True}),
        (1, {"failCommands": ["commitTransaction"], **GONE}),
        (3, {"failCommands": ["update", "insert"], **CONFLICT}),
        (2, {"failCommands": ["update"], "closeConnection": True}),
        (1, {"failCommands": ["findAndModify"], **CONFLICT}),
        (
            1,
            {
                "failCommands": ["commitTransaction"],
                "writeConcernError": {"code": 64, "errmsg": "waiting for replication timed out"},
            },
        ),
    ],
    ids=[
        "the commit's connection breaks twice",
        "the commit's connection breaks three times",
        "the commit is refused in passing",
        "writes conflict three times",
        "a write's connection breaks twice",
        "the feed's number is contended",
        "the commit waits too long for a majority",
    ],
)
async def test_a_unit_is_applied_once_although(
    storage: MongoStorage, server: StandIn, times: int, data: dict[str, Any]
) -> None:
    with failing(server, {"times": times}, **data):
        await is_applied_once(storage)


@pytest.mark.parametrize("count", [1, 2])
async def test_a_commit_whose_answer_is_lost_is_applied_once(
    server: StandIn, place: Place, tmp_path: Path, count: int
) -> None:
    async with ProxyThatLosesReplies(server.port) as proxy:
        storage = await opened_at(replace(place, url=proxy.url), tmp_path)
        proxy.lose("commitTransaction", count)
        await is_applied_once(storage)
        assert proxy.lost == count
        await storage.close()


async def test_a_commit_that_the_server_forgot_is_found_by_its_receipt(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    """The answer is lost, and the repeat is told that there is no such transaction: it is not redone."""
    async with ProxyThatLosesReplies(server.port) as proxy:
        storage = await opened_at(replace(place, url=proxy.url), tmp_path)
        await storage.commit(Unit().insert(JOBS, Job(id="a", amount=1)))
        forgetting = failing(server, {"times": 1}, failCommands=["commitTransaction"], **GONE)
        proxy.lose("commitTransaction", on_loss=forgetting.__enter__)
        changed = replace(written(Job(id="a")), amount=2)
        committed = await storage.commit(told(Unit().update(JOBS, changed), "e1"))
        forgetting.__exit__(None, None, None)
        assert committed == Committed(feed_numbers={"news": (1,)})
        assert await storage.get(JOBS, "a") == Job(id="a", amount=2, version=2)
        assert (await storage.read_feed(NEWS, after=0, limit=9)).end == 1
        await storage.close()


@pytest.mark.parametrize("command", ["update", "find"])
async def test_a_claim_whose_answer_is_lost_takes_each_record_once(
    server: StandIn, place: Place, tmp_path: Path, command: str
) -> None:
    async with ProxyThatLosesReplies(server.port) as proxy:
        storage = await opened_at(replace(place, url=proxy.url), tmp_path)
        for name in ("a", "b", "c"):
            await storage.commit(Unit().insert(JOBS, Job(id=name)))
        proxy.lose(command)
        how: dict[str, Any] = {"limit": 2, "owner": "w", "now_ms": 1, "lease_ms": 9}
        taken = await storage.claim(JOBS, "due", **how)
        assert [(each.record.id, each.lease.token) for each in taken] == [("a", 1), ("b", 1)]
        assert [each.record.id for each in await storage.claim(JOBS, "due", **how)] == ["c"]
        assert proxy.lost == 1
        await storage.close()


async def test_a_server_that_stays_away_over_a_commit_leaves_it_uncertain(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    """Nobody is told that nothing is stored when it may be: here it is."""
    async with ProxyThatLosesReplies(server.port) as proxy:
        behind = replace(place, url=proxy.url)
        storage = await opened_at(behind, tmp_path, deadline_s=1, selection_timeout_s=1)
        proxy.lose("commitTransaction", 1_000)
        with pytest.raises(StorageUncertain):
            await storage.commit(Unit().insert(JOBS, Job(id="a")))
        proxy.lose("commitTransaction", 0)
        assert await storage.get(JOBS, "a") == Job(id="a", version=1)
        await storage.close()


# Several processes


async def test_two_processes_share_leases_numbers_and_events(
    storage: MongoStorage, place: Place, tmp_path: Path
) -> None:
    """H13, H14: what one of them does the other sees at once, and neither does it again."""
    other = await opened_at(place, tmp_path)
    waiting = asyncio.ensure_future(other.wait_feed(NEWS, after=0, timeout_s=10))
    await asyncio.sleep(0)
    names = [f"j{n:02}" for n in range(40)]
    both = [storage, other]
    commits = [
        both[n % 2].commit(told(Unit().insert(JOBS, Job(id=name)), name))
        for n, name in enumerate(names)
    ]
    committed = await asyncio.gather(*commits)
    assert await asyncio.wait_for(waiting, 10)
    numbers = sorted(each.feed_numbers["news"][0] for each in committed)
    assert numbers == list(range(1, 41))
    page = await other.read_feed(NEWS, after=0, limit=99)
    assert sorted(event.id for event in page.events) == names

    claims = [
        both[n % 2].claim(JOBS, "due", limit=6, owner=f"w{n}", now_ms=1, lease_ms=9)
        for n in range(10)
    ]
    taken = [each.record.id for batch in await asyncio.gather(*claims) for each in batch]
    assert sorted(taken) == names
    seen = await storage.get(JOBS, "j00")
    assert seen is not None
    updates = [each.commit(Unit().update(JOBS, replace(seen, amount=5))) for each in both]
    outcomes = await asyncio.gather(*updates, return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["Committed", "StaleRecord"]
    await other.close()


async def test_units_that_require_what_the_other_changes_do_not_both_happen(
    storage: MongoStorage, place: Place, tmp_path: Path
) -> None:
    """H14: of two that each judged by what the other is changing, one has to look again."""
    other = await opened_at(place, tmp_path)
    for n in range(10):
        left, right = Job(id=f"l{n}", amount=1), Job(id=f"r{n}", amount=1)
        await storage.commit(Unit().insert(JOBS, left).insert(JOBS, right))
        left, right = written(left), written(right)
        one = Unit().require(JOBS, left).update(JOBS, replace(right, amount=0))
        two = Unit().require(JOBS, right).update(JOBS, replace(left, amount=0))
        outcomes = await asyncio.gather(
            storage.commit(one), other.commit(two), return_exceptions=True
        )
        assert sum(isinstance(each, StaleRecord) for each in outcomes) == 1
        held = await storage.get_many(JOBS, [left.id, right.id])
        assert sum(job.amount for job in held.values()) == 1
    await other.close()


async def test_a_migration_waits_until_nobody_else_has_the_database_open(
    storage: MongoStorage, place: Place, tmp_path: Path
) -> None:
    await storage.commit(Unit().insert(JOBS, Job(id="a")))
    step = Migration(2, "jobs", lambda doc: {**doc, "amount": doc["amount"] + 1})
    newer = Schema("back-office", 2, SCHEMA.collections, SCHEMA.feeds, (step,))
    with pytest.raises(StorageLocked):
        await opened_at(place, tmp_path, newer)
    await storage.commit(Unit().insert(JOBS, Job(id="b")))
    await storage.close()
    migrated = await opened_at(place, tmp_path, newer)
    assert await migrated.get(JOBS, "b") == Job(id="b", version=1, amount=1)
    await migrated.close()
    copy = await SqliteStorage.open(tmp_path / "back-office.mongodb.schema-1", SCHEMA, STAMP)
    assert await copy.get(JOBS, "b") == Job(id="b", version=1)
    await copy.close()


async def test_a_migration_that_was_interrupted_is_finished_by_the_next_start(
    storage: MongoStorage, place: Place, tmp_path: Path
) -> None:
    """The process ended when all documents were made and one of two collections was in its place."""
    unit = Unit().insert(JOBS, Job(id="a")).insert(PAYOUTS, Job(id="b"))
    await storage.commit(unit)
    await storage.close()
    with Client(place.url) as client:
        held = client[place.database]
        for name in ("back_office.jobs", "payouts"):
            (document,) = held[name].find()
            held[f"{name}.next"].insert_one({**document, "amount": 7})
        held["payouts.next"].rename("payouts", dropTarget=True)
        replacing = {"replacing": ["back_office.jobs", "payouts"], "schema_version": 2}
        held["back_office.engine"].update_one({"_id": "stamp"}, {"$set": replacing})
    newer = Schema("back-office", 2, SCHEMA.collections, SCHEMA.feeds)
    again = await opened_at(place, tmp_path, newer)
    assert await again.get(JOBS, "a") == Job(id="a", version=1, amount=7)
    assert await again.get(PAYOUTS, "b") == Job(id="b", version=1, amount=7)
    assert await again.find(JOBS, "key", "none") is None
    await again.close()


async def test_a_process_that_was_taken_for_dead_writes_nothing_more(
    storage: MongoStorage, place: Place
) -> None:
    await storage.commit(Unit().insert(JOBS, Job(id="a")))
    with Client(place.url) as client:
        engine = client[place.database]["back_office.engine"]
        engine.delete_many({"_id": {"$regex": "^(session|receipt):"}})
    with pytest.raises(StorageWithheld, match="restart"):
        await storage.commit(Unit().insert(JOBS, Job(id="b")))
    with pytest.raises(StorageWithheld):
        await storage.probe()
    assert isinstance(storage.trouble, StorageWithheld)
    assert await storage.get(JOBS, "b") is None


# How it is stored


async def test_records_lie_in_the_database_as_anyone_would_look_for_them(
    storage: MongoStorage, place: Place
) -> None:
    facts = {"a.b": 1, "$c": [2**70, -(2**63)], "~": {"": None}, "x\0": 1.5}
    job = Job(id="a", key="k", due_ms=None, amount=2**63, facts=facts)
    await storage.commit(told(Unit().insert(PAYOUTS, job).insert(JOBS, job), "e"))
    assert await storage.get(PAYOUTS, "a") == written(job)
    with Client(place.url) as client:
        held = client[place.database]
        assert held["payouts"].find_one() == {
            "_id": "a",
            "version": 1,
            "key": "k",
            "due_ms": None,
            "amount": {"~integer": "9223372036854775808"},
            "facts": {
                "a~1b": 1,
                "~2c": [{"~integer": str(2**70)}, -(2**63)],
                "~~": {"": None},
                "x~0": 1.5,
            },
        }
        names = {"payouts", "back_office.jobs", "back_office.feed.news", "back_office.engine"}
        assert set(held.list_collection_names()) == names


async def test_what_bson_cannot_hold_is_kept_as_text_and_found_by_its_fields(
    storage: MongoStorage, place: Place
) -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    large = {"many": [1] * 2_000_000}
    jobs = [Job(id="deep", key="a", facts={"d": deep}), Job(id="large", key="b", facts=large)]
    for job in jobs:
        await storage.commit(Unit().insert(JOBS, job))
        assert await storage.find(JOBS, "key", str(job.key)) == written(job)
    found = await storage.get(JOBS, "deep")
    assert found is not None
    flat = replace(found, facts={"d": 1})
    await storage.commit(Unit().update(JOBS, flat))
    assert await storage.get(JOBS, "deep") == replace(flat, version=2)
    with Client(place.url) as client:
        stored = client[place.database]["back_office.jobs"]
        kept = stored.find_one({"_id": "large"})
        assert kept is not None
        assert {"_id", "version", "key", "due_ms", TEXT} <= kept.keys()
        assert "facts" not in kept
        kept = stored.find_one({"_id": "deep"})
        assert kept is not None
        assert TEXT not in kept


async def test_the_server_refuses_what_no_release_of_ours_wrote(
    storage: MongoStorage, place: Place
) -> None:
    await storage.commit(Unit().insert(JOBS, Job(id="a", key="k")))
    with Client(place.url) as client:
        jobs = client[place.database]["back_office.jobs"]
        for wrong in ({"due_ms": "soon"}, {"version": 0}, {"key": 7}):
            with pytest.raises(Exception, match="validation"):
                jobs.update_one({"_id": "a"}, {"$set": wrong})
        await storage.check()
        jobs.update_one({"_id": "a"}, {"$set": {"amount": "much"}})
    with pytest.raises(StorageCorrupt, match="amount"):
        await storage.check()


async def test_a_check_finds_a_feed_with_a_gap(storage: MongoStorage, place: Place) -> None:
    for n in range(4):
        await storage.commit(told(Unit(), f"e{n}"))
    with Client(place.url) as client:
        client[place.database]["back_office.feed.news"].delete_one({"_id": 2})
    with pytest.raises(StorageCorrupt, match="3 where 2"):
        await storage.check()
    with pytest.raises(StorageCorrupt, match="gap"):
        await storage.read_feed(NEWS, after=0, limit=9)


async def test_documents_of_another_program_are_left_alone(place: Place, tmp_path: Path) -> None:
    with Client(place.url) as client:
        client[place.database]["payouts"].insert_one({"theirs": 1})
        with pytest.raises(StorageCorrupt, match="payouts holds documents of some other program"):
            await opened_at(place, tmp_path)
        assert client[place.database].list_collection_names() == ["payouts"]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("position", [None, [5, "x"], [None, "x"]])
async def test_lists_are_served_by_their_index_without_sorting(
    storage: MongoStorage, place: Place, position: list[Value] | None, *, descending: bool
) -> None:
    await storage.commit(Unit().insert(JOBS, Job(id="j", due_ms=1)))
    documents = MongoDocuments(JOBS, "back_office.jobs")
    with Client(place.url) as client:
        for name in ("due", "named"):
            chosen = Rows(documents, Selection(JOBS, JOBS.index(name), ()))
            for terms, order in stretches(chosen, position, descending=descending):
                sort = chosen.sort(order, descending=descending)
                find = {"find": documents.name, "filter": together(terms), "sort": dict(sort)}
                asked = {"explain": {**find, "hint": name}, "verbosity": "queryPlanner"}
                plan = client[place.database].command(asked)["queryPlanner"]["winningPlan"]
                assert f"'indexName': '{name}'" in str(plan)
                equal = chosen.listing.fields[: -len(sort)]
                assert [key for key, _ in sort] == list(chosen.listing.fields[len(equal) :])
                held = {key: how for term in terms for key, how in term.items()}
                assert all(not isinstance(held[key], dict) for key in equal)


# Servers that will not do


async def test_a_server_that_is_no_replica_set_is_refused_with_the_fix(tmp_path: Path) -> None:
    with (
        stand_in("--standalone") as alone,
        database(alone.url) as place,
        pytest.raises(StorageUnsuitable, match=r"rs\.initiate"),
    ):
        await opened_at(place, tmp_path)


async def test_a_server_that_is_too_old_is_refused(
    server: StandIn, place: Place, tmp_path: Path
) -> None:
    def older(reply: bytes) -> bytes:
        field = b"maxWireVersion\0"
        return reply.replace(field + (27).to_bytes(4, "little"), field + (13).to_bytes(4, "little"))

    async with ProxyThatLosesReplies(server.port, older) as proxy:
        with pytest.raises(StorageUnsuitable, match=r"older than MongoDB 6\.0"):
            await opened_at(replace(place, url=proxy.url), tmp_path)


async def test_a_server_that_does_not_answer_is_named_without_a_credential(tmp_path: Path) -> None:
    options = MongoOptions(
        url="mongodb://operator:s3cr3t@127.0.0.1:1/?appName=x",
        database="money",
        selection_timeout_s=1,
        connect_timeout_s=1,
    )
    with pytest.raises(StorageUnreachable) as caught:
        await MongoStorage.open(options, SCHEMA, STAMP, copies=tmp_path)
    shown = f"{caught.value} {caught.value.path} {options!r}"
    assert "mongodb://127.0.0.1:1/money" in shown
    assert "s3cr3t" not in shown
    assert "operator" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://operator:s3cr3t/t@h@localhost/",
        "mongodb://operator:s3:cr3t@localhost:port/",
        "mongodb://operator:s3cr3t@",
        "mongodb://operator:s3cr3t@h/?tls=maybe&tlsCAFile=/none",
    ],
)
async def test_a_url_that_is_none_is_refused_without_showing_it(tmp_path: Path, url: str) -> None:
    options = MongoOptions(url=url, database="money", selection_timeout_s=1)
    with pytest.raises(StorageUnsuitable) as caught:
        await MongoStorage.open(options, SCHEMA, STAMP, copies=tmp_path)
    assert "cr3t" not in f"{caught.value} {caught.value.__cause__}"
    assert "operator" not in str(caught.value)


# A server that dies


async def test_kill_9_of_the_server_loses_no_acknowledged_unit_and_tears_none(
    tmp_path: Path,
) -> None:
    """Writers go on through kills and restarts; what they were told is there, once and whole."""
    acknowledged: set[str] = set()
    uncertain: set[str] = set()
    enough = asyncio.Event()
    rounds, goal = 3, 60

    async def write(storage: MongoStorage, number: int) -> None:
        count = 0
        while not enough.is_set():
            name = f"w{number}-{count}"
            count += 1
            unit = Unit().insert(JOBS, Job(id=name)).insert(PAYOUTS, Job(id=name))
            try:
                await storage.commit(told(unit, name))
            except (StorageUncertain, StorageUnreachable):
                uncertain.add(name)
            else:
                acknowledged.add(name)
                progress.set()

    progress = asyncio.Event()
    with stand_in() as server, database(server.url) as place:
        storage = await opened_at(place, tmp_path, selection_timeout_s=20, deadline_s=60)
        writers = [asyncio.ensure_future(write(storage, number)) for number in range(8)]
        for round_number in range(1, rounds + 1):
            while len(acknowledged) < round_number * goal:
                progress.clear()
                await progress.wait()
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        while len(acknowledged) < (rounds + 1) * goal:
            progress.clear()
            await progress.wait()
        enough.set()
        await asyncio.gather(*writers)

        jobs = await everything(storage)
        names = sorted(acknowledged | uncertain)
        held: set[str] = set()
        for first in range(0, len(names), 500):
            held |= (await storage.get_many(PAYOUTS, names[first : first + 500])).keys()
        assert acknowledged <= jobs
        assert jobs == held
        assert jobs <= acknowledged | uncertain
        page = await storage.read_feed(NEWS, after=0, limit=1_000)
        assert sorted(event.id for event in page.events) == sorted(jobs)
        await storage.check()
        await storage.close()


async def everything(storage: MongoStorage) -> set[str]:
    found: set[str] = set()
    cursor = None
    while True:
        page = await storage.list(JOBS, "all", limit=500, cursor=cursor)
        found |= {job.id for job in page.items}
        cursor = page.next
        if cursor is None:
            return found


# What others are spared


def test_a_service_on_the_embedded_engine_never_loads_the_driver(tmp_path: Path) -> None:
    program = """
import asyncio, pathlib, sys
from services.payout_router import app, store
from services.payout_router.settings import Settings
from shared.storage import Stamp
from shared.storage.opening import open_storage

async def main():
    settings = Settings(tron_network="devnet", data_dir=pathlib.Path(sys.argv[1]))
    storage = await open_storage(settings, "payout-router", store.SCHEMA, Stamp("devnet", "T"))
    await storage.close()
    print(type(storage).__name__, [name for name in sys.modules if name in {"pymongo", "bson"}])

asyncio.run(main())
"""
    child = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        cwd=TREE,
        env={"PYTHONPATH": str(TREE)},
        text=True,
        check=True,
    )
    assert child.stdout == "SqliteStorage []\n"


def test_every_index_keeps_apart_what_the_schema_says() -> None:
    documents = MongoDocuments(JOBS, "back_office.jobs")
    made = {each.name: each for each in documents.specifications()}
    assert set(made) == {"key", "key.unique", "due", "named"}
    assert made["key.unique"].unique
    assert made["key.unique"].partial == {"key": {"$type": ["string"]}}
    assert made["due"].fields == ("due_ms", "_id")
    assert made["named"].partial == {"key": {"$in": ["a", "b"]}}


async def test_a_duplicate_of_another_unit_is_no_success(storage: MongoStorage) -> None:
    """Two callers that insert the very same record are told apart: one of them did not store it."""
    unit = Unit().insert(PAYOUTS, Job(id="same"))
    outcomes = await asyncio.gather(
        storage.commit(unit), storage.commit(unit), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Committed", "DuplicateRecord"]
    assert any(isinstance(each, DuplicateRecord) for each in outcomes)

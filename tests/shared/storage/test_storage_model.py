"""Any sequence of calls leaves the storage equal to a dictionary that does the same."""

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.storage import (
    Collection,
    Feed,
    GuardFailed,
    Index,
    Lease,
    Schema,
    SqliteStorage,
    Stamp,
    Unit,
    written,
)

T = TypeVar("T")

LEASE_MS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: str
    version: int = 0
    key: str | None
    due_ms: int | None
    size: int


JOBS = Collection(
    "jobs",
    Job,
    (Index("key", ("key",), unique=True), Index("due", ("due_ms", "size"))),
    leased=True,
)
EVENTS = Feed("events")
SCHEMA = Schema("model", 1, (JOBS,), (EVENTS,))
STAMP = Stamp("devnet", "TContract")

ids = st.sampled_from([f"j{n}" for n in range(6)])
dues = st.none() | st.integers(0, 3)
jobs = st.builds(
    Job,
    id=ids,
    version=st.integers(0, 3),
    key=st.none() | st.sampled_from("abc"),
    due_ms=dues,
    size=st.integers(-1, 1),
)
operations = st.tuples(st.sampled_from(["insert", "update", "delete", "require", "fresh"]), jobs)


class Refused(Exception):
    """The model would not do it."""


class StorageMachine(RuleBasedStateMachine):
    """Drives the engine and the model side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.records: dict[str, Job] = {}
        self.leases: dict[str, Lease] = {}
        self.events: list[str] = []
        self.now_ms = 0

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    @initialize()
    def open(self) -> None:
        path = Path(self.directory.name) / "model.db"
        self.storage = self.run(SqliteStorage.open(path, SCHEMA, STAMP))

    @rule()
    def reopen(self) -> None:
        self.run(self.storage.close())
        self.open()

    @rule(steps=st.lists(operations, min_size=1, max_size=4), event=st.booleans())
    def commit(self, steps: list[tuple[str, Job]], *, event: bool) -> None:
        unit, records = Unit(), dict(self.records)
        expected = True
        for kind, given in steps:
            held = records.get(given.id)
            how, job = kind, given
            if kind == "fresh":  # the likely case: what is there is updated as it was read
                how = "update" if held else "insert"
                job = replace(given, version=held.version if held else 0)
            else:
                job = replace(given, version=0 if kind == "insert" else given.version or 1)
            getattr(unit, how)(JOBS, job)
            try:
                self.apply(records, how, job)
            except Refused:
                expected = False
        if event:
            unit.publish(EVENTS, id=str(len(self.events)), type="t", at_ms=0, object={})
        self.settle(unit, records, expected=expected, event=event)

    def apply(self, records: dict[str, Job], how: str, job: Job) -> None:
        held = records.get(job.id)
        if how == "insert" and held is not None:
            raise Refused
        if how != "insert" and (held is None or held.version != job.version):
            raise Refused
        others = [each.key for each in records.values() if each.id != job.id]
        if how in {"insert", "update"} and job.key is not None and job.key in others:
            raise Refused
        if how == "delete":
            del records[job.id]
        elif how != "require":
            records[job.id] = written(job)

    def settle(self, unit: Unit, records: dict[str, Job], *, expected: bool, event: bool) -> None:
        try:
            committed = self.run(self.storage.commit(unit))
        except GuardFailed:
            assert not expected
            return
        assert expected
        if event:
            self.events.append(str(len(self.events)))
            assert committed.feed_numbers == {"events": (len(self.events),)}
        for gone in self.records.keys() - records.keys():
            self.leases.pop(gone, None)
        self.records = records

    @rule(limit=st.integers(1, 3), at_most=st.none() | st.integers(0, 3), later=st.integers(0, 9))
    def claim(self, limit: int, at_most: int | None, later: int) -> None:
        self.now_ms += later
        claimed = self.run(
            self.storage.claim(
                JOBS,
                "due",
                at_most=at_most,
                limit=limit,
                owner="w",
                now_ms=self.now_ms,
                lease_ms=LEASE_MS,
            )
        )
        free = [job for job in self.ordered() if self.is_free(job)]
        if at_most is not None:
            free = [job for job in free if job.due_ms is not None and job.due_ms <= at_most]
        assert [each.record for each in claimed] == free[:limit]
        for each in claimed:
            before = self.leases.get(each.record.id)
            assert before is None or each.lease.token == before.token + 1
            self.leases[each.record.id] = each.lease

    @rule(limit=st.integers(1, 4), descending=st.booleans(), bound=st.none() | st.integers(0, 3))
    def page(self, limit: int, bound: int | None, *, descending: bool) -> None:
        expected = self.ordered()
        if bound is not None:
            expected = [job for job in expected if job.due_ms is not None and job.due_ms >= bound]
        if descending:
            expected.reverse()
        found: list[Job] = []
        cursor = None
        while True:
            page = self.run(
                self.storage.list(
                    JOBS, "due", limit=limit, cursor=cursor, descending=descending, at_least=bound
                )
            )
            found += page.items
            cursor = page.next
            if cursor is None:
                break
            assert len(page.items) == limit
        assert found == expected

    @rule(limit=st.integers(1, 3), at_most=st.integers(0, 3), later=st.integers(0, 9))
    def prune(self, limit: int, at_most: int, later: int) -> None:
        self.now_ms += later
        gone = [
            job.id
            for job in self.ordered()
            if job.due_ms is not None and job.due_ms <= at_most and self.is_free(job)
        ][:limit]
        call = self.storage.prune(JOBS, "due", at_most=at_most, limit=limit, now_ms=self.now_ms)
        assert self.run(call) == len(gone)
        for each in gone:
            del self.records[each]
            self.leases.pop(each, None)

    @rule(limit=st.integers(1, 9), at_most=dues, at_least=dues)
    def count(self, limit: int, at_most: int | None, at_least: int | None) -> None:
        low, high = 0 if at_least is None else at_least, 3 if at_most is None else at_most
        unbounded = at_most is None and at_least is None
        expected = sum(
            unbounded or (job.due_ms is not None and low <= job.due_ms <= high)
            for job in self.records.values()
        )
        call = self.storage.count(JOBS, "due", at_least=at_least, at_most=at_most, limit=limit)
        assert self.run(call) == min(limit, expected)

    @invariant()
    def storage_and_model_are_equal(self) -> None:
        if not hasattr(self, "storage"):
            return
        assert self.run(self.storage.get_many(JOBS, [f"j{n}" for n in range(6)])) == self.records
        for key in "abc":
            expected = next((job for job in self.records.values() if job.key == key), None)
            assert self.run(self.storage.find(JOBS, "key", key)) == expected
        page = self.run(self.storage.read_feed(EVENTS, after=0, limit=1000))
        assert [event.id for event in page.events] == self.events

    def is_free(self, job: Job) -> bool:
        return job.id not in self.leases or self.leases[job.id].until_ms <= self.now_ms

    def ordered(self) -> list[Job]:
        return sorted(
            self.records.values(),
            key=lambda job: (job.due_ms is not None, job.due_ms or 0, job.size, job.id),
        )

    def teardown(self) -> None:
        if hasattr(self, "storage"):
            self.run(self.storage.close())
        self.runner.close()
        self.directory.cleanup()


StorageMachine.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, derandomize=True, database=None
)
TestStorageEqualsADictionary = StorageMachine.TestCase

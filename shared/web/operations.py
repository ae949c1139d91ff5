"""Backup and integrity check, inside the process that owns the database (hazard H25)."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter
from prometheus_client import Counter, Gauge
from uuid6 import uuid7

from shared.access import Scope
from shared.auth import Principal
from shared.backups import Advance, Backups, Made, NoSpace, Phase, SealedCopy
from shared.clock import MS_PER_S, Clock, rfc3339
from shared.errors import Conflict, NotReady, Problem
from shared.logs import get_logger
from shared.metrics import Metrics
from shared.models.operations import (
    BackupJobState,
    BackupJobView,
    BackupsView,
    BackupView,
    IntegrityView,
    SealedCopyView,
)
from shared.storage import Storage, StorageCorrupt, StorageError
from shared.web.problems import declares
from shared.web.security import requires

log = get_logger(__name__)

RECOVERY_KEY: Final = "recovery.pub"
MS_PER_HOUR: Final = 3_600 * MS_PER_S

FIRST_AFTER_MS: Final = 600 * MS_PER_S
"""How long after its start a service that has no backup yet makes the first by itself."""

RETRY_AFTER_MS: Final = MS_PER_HOUR
"""How long after one that failed the next is made by itself."""

Operator = Annotated[Principal, requires(Scope.OPS_ADMIN)]
Observer = Annotated[Principal, requires(Scope.OPS_READ)]


class BackupRunning(Conflict):
    """A backup of this service is being made already."""

    code = "LUCID_ERR_1405"
    title = "A backup is being made"


class DatabaseDamaged(Problem):
    """The check of the whole database found damage; the operator is told what and where."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "LUCID_ERR_1905"
    title = "The database is damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSchedule:
    """When a service makes backups by itself, and when it says that the last is too old.

    Attributes:
        interval_ms: from one to the next; 0 for never.
        overdue_ms: age from which on the last is overdue; 0 for never.
    """

    interval_ms: int
    overdue_ms: int


class BackupJob:
    """A backup that was asked for."""

    def __init__(self, *, service: str, started_ms: int, size_bytes: int) -> None:
        self.id = uuid7().hex
        self.service = service
        self.started_ms = started_ms
        self.advance = Advance(size_bytes)
        self.state = BackupJobState.RUNNING
        self.made: Made | None = None
        self.problem: str | None = None

    def view(self) -> BackupJobView:
        """Return it as its caller sees it."""
        return BackupJobView(
            job_id=self.id,
            service=self.service,
            state=self.state,
            phase=self.advance.phase.value,
            done_bytes=self.advance.done_bytes,
            total_bytes=self.advance.total_bytes,
            started_at=rfc3339(self.started_ms),
            backup=backup_view(self.service, self.made) if self.made else None,
            problem=self.problem,
        )


class Operations:
    """What the operator may ask of a service's database.

    Args:
        service: its name.
        backups: makes the sealed copies.
        schedule: when by itself.
        clock: the time.
        metrics: where the age of the last backup is told.
    """

    def __init__(
        self,
        *,
        service: str,
        backups: Backups,
        schedule: BackupSchedule,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._service = service
        self._backups = backups
        self._schedule = schedule
        self._clock = clock
        self._size: Callable[[], int] = lambda: 0
        self._job: BackupJob | None = None
        self._task: asyncio.Task[None] | None = None
        self._newest: SealedCopy | None = None
        self._attached_ms = clock.now_ms()
        self._was_overdue = False
        self._storage: Storage | None = None
        self._last_success = Gauge(
            "lucid_backup_last_success_timestamp_seconds",
            "As of when the newest sealed copy is; 0 while there is none.",
            registry=metrics.registry,
        )
        self._last_size = Gauge(
            "lucid_backup_last_size_bytes", "Its size.", registry=metrics.registry
        )
        self._overdue = Gauge(
            "lucid_backup_overdue",
            "1 while the newest sealed copy is older than it should be.",
            registry=metrics.registry,
        )
        self._failures = Counter(
            "lucid_backup_failures_total", "Backups that failed.", registry=metrics.registry
        )

    async def attach(self, storage: Storage, size: Callable[[], int]) -> None:
        """Take the database that is open from now on.

        Args:
            storage: the database.
            size: tells about how many bytes a copy of it takes up.
        """
        self._storage, self._size = storage, size
        self._attached_ms = self._clock.now_ms()
        with contextlib.suppress(OSError):  # where nothing can be removed, a backup will say so
            await asyncio.to_thread(self._backups.tidy)
        await self._look()

    async def detach(self) -> None:
        """Let go of the database, which is about to be closed; a backup under way ends."""
        self._storage = None
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def tidy(self) -> None:
        """Remove what a backup that was broken off left, once the database is closed."""
        await asyncio.to_thread(self._backups.tidy)

    async def begin_backup(self) -> BackupJobView:
        """Begin a backup, which goes on by itself.

        Raises:
            BackupRunning: one is being made already.
            NotReady: the database is not open, or there is no recovery key to seal to.
            NoSpace: the disk is too full.
        """
        storage = self._open()
        if self._task is not None and not self._task.done():
            raise BackupRunning("a backup of this service is being made already", retry_after_s=30)
        size = await asyncio.to_thread(self._size)
        if self._newest is not None:  # all that is known of a database on another machine
            size = max(size, self._newest.size_bytes)
        public = await asyncio.to_thread(self._backups.check, size)
        if self._task is not None and not self._task.done():  # begun while this one looked
            raise BackupRunning("a backup of this service is being made already", retry_after_s=30)
        job = BackupJob(service=self._service, started_ms=self._clock.now_ms(), size_bytes=size)
        self._job = job
        self._task = asyncio.create_task(self._make(job, storage, public), name="backup")
        return job.view()

    async def settled(self) -> None:
        """Wait until no backup is under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def backups(self) -> BackupsView:
        """Say what there is of backups, and how far the one under way is."""
        copies = await asyncio.to_thread(self._backups.folder.copies)
        if self._job and self._job.advance.phase is Phase.COPYING:
            self._job.advance.done_bytes = await asyncio.to_thread(self._backups.copied_bytes)
        self._note(copies[-1] if copies else None)
        return BackupsView(
            service=self._service,
            job=self._job.view() if self._job else None,
            copies=[
                SealedCopyView(
                    file=copy.path.name, made_at=rfc3339(copy.made_ms), size_bytes=copy.size_bytes
                )
                for copy in copies
            ],
            last_made_at=rfc3339(self._newest.made_ms) if self._newest else None,
            age_s=self._age_s(),
            is_overdue=self._is_overdue(),
        )

    def standing(self) -> dict[str, Any]:
        """Say in few words how old the last backup is, for ``/status``."""
        return {
            "last_made_at": rfc3339(self._newest.made_ms) if self._newest else None,
            "age_s": self._age_s(),
            "is_overdue": self._is_overdue(),
            "problem": self._job.problem if self._job else None,
        }

    async def keep_up(self) -> bool:
        """Make a backup if the schedule says so, and say when the last is too old."""
        await self._look()
        now_ms = self._clock.now_ms()
        if self._storage is None or not self._is_due(now_ms):
            return False
        try:
            await self.begin_backup()
        except (NotReady, NoSpace, BackupRunning, OSError) as error:
            self._fail(BackupJob(service=self._service, started_ms=now_ms, size_bytes=0), error)
        return False

    async def check(self) -> IntegrityView:
        """Check the database as a whole.

        Raises:
            DatabaseDamaged: it is damaged.
        """
        storage = self._open()
        try:
            await storage.check()
        except StorageCorrupt as error:
            log.critical("storage.damaged", reason=error.detail)
            raise DatabaseDamaged(str(error), finding=error.detail) from error
        return IntegrityView(
            service=self._service,
            sound=True,
            incarnation=storage.incarnation,
            checked_at=rfc3339(self._clock.now_ms()),
        )

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(prefix="/api/v1/ops", tags=["operations"])

        async def begin_backup(_: Operator) -> BackupJobView:
            """Begin a sealed copy of this service's database; GET says how far it is."""
            return await self.begin_backup()

        async def backups(_: Observer) -> BackupsView:
            """Say how far the last backup is, and which sealed copies there are."""
            return await self.backups()

        async def integrity_check(_: Operator) -> IntegrityView:
            """Check this service's database as a whole."""
            return await self.check()

        router.add_api_route(
            "/backup",
            begin_backup,
            methods=["POST"],
            status_code=202,
            responses=declares(NotReady, NoSpace, BackupRunning),
        )
        router.add_api_route("/backup", backups, methods=["GET"])
        router.add_api_route(
            "/integrity-check",
            integrity_check,
            methods=["POST"],
            responses=declares(NotReady, DatabaseDamaged),
        )
        return router

    async def _make(self, job: BackupJob, storage: Storage, public: str) -> None:
        try:
            made = await self._backups.make(storage, public=public, advance=job.advance)
        except asyncio.CancelledError:
            job.state, job.problem = BackupJobState.FAILED, "the service is stopping"
            raise
        except Exception as error:  # noqa: BLE001 - the task's edge: whatever it is ends the job
            self._fail(job, error)
            return
        job.made, job.state = made, BackupJobState.DONE
        self._note(made.copy)

    def _fail(self, job: BackupJob, error: Exception) -> None:
        job.state, job.problem = BackupJobState.FAILED, str(error) or type(error).__name__
        self._job = job
        self._failures.inc()
        expected = isinstance(error, StorageError | OSError | Problem)
        kind = type(error).__name__
        log.error("backup.failed", error=kind, reason=str(error), exc_info=not expected)

    def _is_due(self, now_ms: int) -> bool:
        if not self._schedule.interval_ms or (self._task and not self._task.done()):
            return False
        if self._job and self._job.state is BackupJobState.FAILED:
            return now_ms - self._job.started_ms >= RETRY_AFTER_MS
        if self._newest is None:
            return now_ms - self._attached_ms >= FIRST_AFTER_MS
        return now_ms - self._newest.made_ms >= self._schedule.interval_ms

    async def _look(self) -> None:
        """Look what is in the folder: the operator may have moved copies away."""
        try:
            self._note(await asyncio.to_thread(self._backups.newest))
        except OSError as error:
            log.warning("backup.folder_unreadable", error=str(error))

    def _note(self, newest: SealedCopy | None) -> None:
        self._newest = newest
        self._last_success.set(newest.made_ms / MS_PER_S if newest else 0)
        self._last_size.set(newest.size_bytes if newest else 0)
        overdue = self._is_overdue()
        self._overdue.set(1 if overdue else 0)
        if overdue and not self._was_overdue:
            log.error("backup.overdue", age_s=self._age_s())
        self._was_overdue = overdue

    def _age_s(self) -> int | None:
        if self._newest is None:
            return None
        return max(0, self._clock.now_ms() - self._newest.made_ms) // MS_PER_S

    def _is_overdue(self) -> bool:
        """Tell whether the last is too old; one that never was is as old as this start."""
        if not self._schedule.overdue_ms:
            return False
        since_ms = self._newest.made_ms if self._newest else self._attached_ms
        return self._clock.now_ms() - since_ms > self._schedule.overdue_ms

    def _open(self) -> Storage:
        if self._storage is None:
            raise NotReady("the database is not open", retry_after_s=5)
        return self._storage


def backup_view(service: str, made: Made) -> BackupView:
    """Return a backup as its caller sees it."""
    return BackupView(
        service=service,
        file=made.copy.path.name,
        size_bytes=made.copy.size_bytes,
        sha256=made.sha256,
        database_bytes=made.plain_bytes,
        incarnation=made.incarnation,
        schema_version=made.snapshot.identity.schema_version,
        feeds=dict(made.snapshot.feed_ends),
        made_at=rfc3339(made.copy.made_ms),
    )


def files_size(database: Path) -> int:
    """Return how many bytes an embedded database takes up, its log included."""
    total = 0
    for path in (database, database.with_name(database.name + "-wal")):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total

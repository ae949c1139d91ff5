"""Sealed copies of a service's database: made online by the process that owns it, kept in a number.

A copy is first written as a plain file, because that is what the database can write at one moment; it
lies in the service's own data folder, for its owner alone, until it is sealed, and is removed at the
next start if the process ended in between (hazard H25). Only sealed copies reach the backups folder.
"""

import asyncio
import contextlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from shared.clock import MS_PER_S, Clock, rfc3339
from shared.errors import NotReady, Unavailable
from shared.logs import get_logger
from shared.sealing import KEY_BYTES, seal, sealed_size
from shared.storage import Storage, StorageCorrupt
from shared.storage.sqlite.snapshot import Snapshot, inspect, note

log = get_logger(__name__)

RESERVE_BYTES: Final = 64 * 1024 * 1024
"""What a backup leaves free on the disk besides what it needs itself."""

SUFFIX: Final = ".sealed"
PLAIN: Final = ".backup"
_STAMP: Final = re.compile(r"([0-9]{8}T[0-9]{6}\.[0-9]{3}Z)", re.ASCII)


class NoSpace(Unavailable):
    """There is too little space for a backup, so none was begun."""

    code = "LUCID_ERR_1904"
    title = "Too little space for a backup"


class Phase(StrEnum):
    """What is being done for a backup."""

    COPYING = "copying"
    CHECKING = "checking"
    SEALING = "sealing"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedCopy:
    """A sealed copy in the backups folder.

    Attributes:
        path: the file.
        made_ms: as of when, in Unix milliseconds.
        size_bytes: its size.
    """

    path: Path
    made_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that was made.

    Attributes:
        copy: the sealed file.
        sha256: its digest.
        plain_bytes: size of the database in it.
        snapshot: what the database in it says of itself.
        incarnation: of the database that it is a copy of.
    """

    copy: SealedCopy
    sha256: str
    plain_bytes: int
    snapshot: Snapshot
    incarnation: str


class Advance:
    """How far a backup is.

    Attributes:
        phase: what is being done.
        done_bytes: of it.
        total_bytes: of it; an estimate while copying.
    """

    def __init__(self, total_bytes: int) -> None:
        self.phase = Phase.COPYING
        self.done_bytes = 0
        self.total_bytes = total_bytes

    def enter(self, phase: Phase, total_bytes: int) -> None:
        """Begin with the next thing."""
        self.phase, self.done_bytes, self.total_bytes = phase, 0, total_bytes

    def add(self, count: int) -> None:
        """Note bytes that are done."""
        self.done_bytes += count


class BackupFolder:
    """The sealed copies of one service, by the time in their names.

    Args:
        folder: where sealed copies of every service lie.
        service: whose are meant.
    """

    def __init__(self, folder: Path, service: str) -> None:
        self.path = folder
        self._service = service

    def name(self, made_ms: int) -> Path:
        """Return the file for a copy as of a moment."""
        stamp = rfc3339(made_ms).replace(":", "").replace("-", "")
        return self.path / f"{self._service}-{stamp}{SUFFIX}"

    def copies(self) -> list[SealedCopy]:
        """Return what is there, oldest first."""
        found = []
        for path in self.path.glob(f"{self._service}-*{SUFFIX}"):
            made_ms = stamp_of(path.name, self._service)
            if made_ms is None:
                continue
            with contextlib.suppress(FileNotFoundError):  # moved away at this very moment
                size = path.stat().st_size
                found.append(SealedCopy(path=path, made_ms=made_ms, size_bytes=size))
        return sorted(found, key=lambda copy: copy.made_ms)

    def keep(self, count: int) -> list[Path]:
        """Remove all but the newest copies; returns what was removed."""
        surplus = [copy.path for copy in self.copies()[:-count]]
        for path in surplus:
            path.unlink(missing_ok=True)
        return surplus

    def tidy(self) -> None:
        """Remove what a process that was killed left half sealed."""
        for path in self.path.glob(f"{self._service}-*{SUFFIX}.partial"):
            path.unlink(missing_ok=True)


def stamp_of(name: str, service: str) -> int | None:
    """Return the time in the name of a service's sealed copy; None if it is not named like one."""
    match = _STAMP.fullmatch(name.removeprefix(f"{service}-").removesuffix(SUFFIX))
    if match is None:
        return None
    try:
        moment = datetime.strptime(match[1], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * MS_PER_S + moment.microsecond // 1_000


class Backups:
    """Makes the sealed copies of one service's database.

    Args:
        service: whose.
        recovery_key: file with the public key that copies are sealed to.
        folder: where sealed copies go.
        work: the service's own data folder, for the plain copy.
        keep: how many sealed copies stay.
        clock: the time.
        free_bytes: tells what is free on the disk of a folder.
    """

    def __init__(
        self,
        *,
        service: str,
        recovery_key: Path,
        folder: Path,
        work: Path,
        keep: int,
        clock: Clock,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self.folder = BackupFolder(folder, service)
        self._service = service
        self._recovery_key = recovery_key
        self._plain = work / f"{PLAIN}-{service}"
        self._keep = keep
        self._clock = clock
        self._free_bytes = free_bytes

    def tidy(self) -> None:
        """Remove what an earlier process left behind: a plain copy above all."""
        for path in (self._plain, self._plain.with_name(self._plain.name + ".partial")):
            path.unlink(missing_ok=True)
        self.folder.tidy()

    def newest(self) -> SealedCopy | None:
        """Return the newest sealed copy."""
        copies = self.folder.copies()
        return copies[-1] if copies else None

    def check(self, size_bytes: int) -> str:
        """Return the public key to seal to, if everything is there that a backup needs.

        Args:
            size_bytes: about how large the database is.

        Raises:
            NotReady: there is no recovery key, or it is none.
            NoSpace: the disk is too full.
        """
        for folder in (self._plain.parent, self.folder.path):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        public = self._public_key()
        needed = {self._plain.parent: size_bytes, self.folder.path: sealed_size(size_bytes)}
        if len({folder.stat().st_dev for folder in needed}) == 1:
            needed = {self.folder.path: sum(needed.values())}
        for folder, size in needed.items():
            free = self._free_bytes(folder)
            if free < size + RESERVE_BYTES:
                raise NoSpace(
                    f"a backup needs {size + RESERVE_BYTES} bytes in {folder}, {free} are free",
                    needed_bytes=size + RESERVE_BYTES,
                    free_bytes=free,
                )
        return public

    async def make(self, storage: Storage, *, public: str, advance: Advance) -> Made:
        """Copy the database online, check the copy, seal it, and keep only the sealed one.

        Raises:
            StorageError: the database cannot be copied, or the copy is damaged.
            OSError: something cannot be written.
        """
        now_ms = self._clock.now_ms()
        path = self.folder.name(now_ms)
        await asyncio.to_thread(self.tidy)
        try:
            await storage.backup(self._plain)
            size = (await asyncio.to_thread(self._plain.stat)).st_size
            advance.enter(Phase.CHECKING, size)
            snapshot = await asyncio.to_thread(self._inspect)
            facts = {"backup_of": storage.incarnation, "backup_at": rfc3339(now_ms)}
            await asyncio.to_thread(note, self._plain, facts)
            advance.enter(Phase.SEALING, size)
            sealed = await seal(self._plain, path, public=public, progress=advance.add)
        finally:
            await asyncio.to_thread(self.tidy)
        removed = await asyncio.to_thread(self.folder.keep, self._keep)
        copy = SealedCopy(path=path, made_ms=now_ms, size_bytes=sealed.size_bytes)
        log.info("backup.made", file=path.name, size_bytes=sealed.size_bytes, removed=len(removed))
        return Made(
            copy=copy,
            sha256=sealed.sha256,
            plain_bytes=size,
            snapshot=snapshot,
            incarnation=storage.incarnation,
        )

    def _inspect(self) -> Snapshot:
        """Look at the plain copy: what is wrong with it is wrong with the database."""
        try:
            return inspect(self._plain)
        except StorageCorrupt as error:
            raise StorageCorrupt(f"the database of {self._service}", error.detail) from error

    def copied_bytes(self) -> int:
        """Return how much of the plain copy is written, while it is."""
        try:
            return self._plain.with_name(self._plain.name + ".partial").stat().st_size
        except FileNotFoundError:
            return 0

    def _public_key(self) -> str:
        try:
            public = self._recovery_key.read_text().strip()
        except FileNotFoundError:
            raise NotReady(
                f"there is no recovery key to seal to: {self._recovery_key} is missing;"
                " run 'python -m services init'"
            ) from None
        if not re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", public):
            raise NotReady(f"{self._recovery_key} is no recovery key: restore it")
        return public

"""Restore databases from their sealed copies, while the services are stopped.

Every copy is opened and checked before anything is put into place: with a wrong key, a damaged file or
another service's, nothing changes. What was there is kept aside under a dated name. Each restored
database is another history of it, so that whoever follows its feeds notices (hazard H5).
"""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from tqdm import tqdm

from services.backup import (
    Manifest,
    add_key_arguments,
    advance,
    byte_bar,
    check_stopped,
    recovery_key,
)
from services.engines import Opener, made_mongodb, schema_of, stamp_for
from services.wallet_manager.settings import Settings
from shared.backups import SUFFIX, stamp_of
from shared.clock import SystemClock, rfc3339
from shared.config import SERVICES, ConfigurationMissing, explain
from shared.sealing import NotOpened, file_digest, unseal
from shared.storage import (
    Schema,
    SchemaTooNew,
    Stamp,
    StorageError,
    WrongContract,
    WrongNetwork,
    WrongService,
)
from shared.storage.sqlite.connection import lock_file
from shared.storage.sqlite.portable import SqlitePortable
from shared.storage.sqlite.replacement import check_replaceable, put_in_place
from shared.storage.sqlite.snapshot import Snapshot, inspect, renew, verify
from shared.storage.transfer import PASSES, MarkKind, Portable, TransferRefused, load

PREPARED: Final = ".restored"


class NotRestored(Exception):
    """What was given cannot be restored; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A sealed copy that is to be restored.

    Attributes:
        service: whose database it is said to be.
        sealed: the file.
        sha256: its digest, if a manifest names it.
    """

    service: str
    sealed: Path
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A copy that was opened and checked, and lies beside the database it is to replace.

    Attributes:
        wanted: where it is from.
        database: where it is to go.
        plain: where it lies.
        snapshot: what it says of itself.
        incarnation: the fresh one that it has by now.
    """

    wanted: Wanted
    database: Path
    plain: Path
    snapshot: Snapshot
    incarnation: str


def main(arguments: Sequence[str] = ()) -> int:
    """Run the command; returns the exit status."""
    asked = _arguments(arguments)
    try:
        settings = Settings()
        wanted = list(_wanted(asked.files))
        secret = recovery_key(asked)
        check_stopped(settings, [each.service for each in wanted])
        told = asyncio.run(_restored(settings, wanted, secret))
    except ValidationError as error:
        print(f"restore: {explain(error)}", file=sys.stderr)
        return 2
    except (NotRestored, NotOpened, ConfigurationMissing, StorageError, OSError) as error:
        print(f"restore: {error}", file=sys.stderr)
        return 1
    print("\n".join(told))
    for service in SERVICES:
        if service not in {each.service for each in wanted}:
            print(f"{service:<16} left as it is")
    print(AFTERWARDS)
    return 0


async def _restored(settings: Settings, wanted: Sequence[Wanted], secret: str) -> list[str]:
    """Restore into the engine that the settings name."""
    if settings.mongodb_url is None:
        return await restore(settings, wanted, secret=secret)
    return await restore_into(made_mongodb, settings, wanted, secret=secret)


async def restore(settings: Settings, wanted: Sequence[Wanted], *, secret: str) -> list[str]:
    """Put sealed copies into the place of the embedded databases; returns what was done.

    Raises:
        NotRestored: a file is not what it should be.
        NotOpened: a file does not open with this key.
        StorageLocked: a service is running.
        StorageError: a copy is damaged, or a path cannot be written.
    """
    with ExitStack() as stack:
        for each in wanted:
            lock = lock_file(settings.database_path(each.service))
            stack.callback(os.close, lock)
            check_replaceable(settings.database_path(each.service))
        prepared = [
            stack.enter_context(_removed_at_the_end(await _prepare(settings, each, secret)))
            for each in wanted
        ]
        stamp = rfc3339(SystemClock().now_ms()).replace(":", "").replace("-", "")
        return [_put_in_place(each, stamp) for each in prepared]


async def restore_into(
    opened: Opener, settings: Settings, wanted: Sequence[Wanted], *, secret: str
) -> list[str]:
    """Fill empty databases of another engine from sealed copies; returns what was done.

    Args:
        opened: opens a service's database, and makes it if there is none.
        settings: of this installation.
        wanted: what is to be restored.
        secret: the recovery key.

    Raises:
        NotRestored: a file is not what it should be.
        NotOpened: a file does not open with this key.
        StorageLocked: a service is running.
        TransferRefused: a database is not empty.
        StorageError: a copy is damaged, or a database cannot be written.
    """
    async with AsyncExitStack() as stack:
        targets = []
        for each in wanted:
            target = await opened(settings, each.service)
            stack.push_async_callback(target.close)
            await _check_fillable(target)
            targets.append(target)
        prepared = [
            stack.enter_context(_removed_at_the_end(await _prepare(settings, each, secret)))
            for each in wanted
        ]
        return [
            await _fill(settings, each, target)
            for each, target in zip(prepared, targets, strict=True)
        ]


async def _prepare(settings: Settings, wanted: Wanted, secret: str) -> Prepared:
    """Open, check and renew a copy beside the database that it is to replace."""
    database = settings.database_path(wanted.service)
    plain = database.with_name(database.name + PREPARED)
    size = (await asyncio.to_thread(wanted.sealed.stat)).st_size
    await asyncio.to_thread(plain.unlink, missing_ok=True)  # of a restore that was killed
    with byte_bar(wanted.service, 2 * size) as bar:
        progress = partial(advance, bar)
        if wanted.sha256 not in {None, await file_digest(wanted.sealed, progress=progress)}:
            raise NotRestored(f"{wanted.sealed} is not the file that the manifest names")
        await unseal(wanted.sealed, plain, secret=secret, progress=progress)
    try:
        snapshot = await asyncio.to_thread(inspect, plain)
        await asyncio.to_thread(verify, plain)
        _check_stamp(wanted, snapshot, schema_of(wanted.service), stamp_for(settings))
        notes = {"restored_from": wanted.sealed.name, "restored_at": _now()}
        incarnation = await asyncio.to_thread(renew, plain, notes)
    except BaseException:
        plain.unlink(missing_ok=True)
        raise
    return Prepared(
        wanted=wanted,
        database=database,
        plain=plain,
        snapshot=snapshot,
        incarnation=incarnation,
    )


def _check_stamp(wanted: Wanted, snapshot: Snapshot, schema: Schema, stamp: Stamp) -> None:
    found, path = snapshot.identity, str(wanted.sealed)
    if found.service != schema.service:
        raise WrongService(path, expected=schema.service, found=found.service)
    if found.network != stamp.network:
        raise WrongNetwork(path, expected=stamp.network, found=found.network)
    if found.contract != stamp.contract:
        raise WrongContract(path, expected=stamp.contract, found=found.contract)
    if found.schema_version > schema.version:
        raise SchemaTooNew(path, expected=str(schema.version), found=str(found.schema_version))


def _put_in_place(prepared: Prepared, stamp: str) -> str:
    database = prepared.database
    former = database.with_name(f"{database.name}.before-{stamp}")
    there = put_in_place(database, prepared.plain, former)
    return "\n".join(
        [*_told(prepared), f"{'':<16} what was there: {former if there else 'nothing'}"]
    )


def _told(prepared: Prepared) -> list[str]:
    notes, ends = prepared.snapshot.notes, prepared.snapshot.feed_ends
    feeds = ", ".join(f"{feed} to {end}" for feed, end in sorted(ends.items()))
    return [
        f"{prepared.wanted.service:<16} as of {notes.get('backup_at', 'an unknown time')}",
        f"{'':<16} incarnation {notes.get('backup_of', 'unknown')} → {prepared.incarnation}",
        f"{'':<16} feeds: {feeds or 'none'}",
    ]


async def _check_fillable(target: Portable) -> None:
    """Empty what an interrupted restore left behind; anything else has to be empty already."""
    mark = await target.mark()
    if mark is not None and mark.kind is MarkKind.INCOMING:
        await target.clear()
    elif mark is not None:
        raise TransferRefused(f"{target.place} is not in use: {mark.told}")
    elif not (await target.contents()).is_empty:
        raise TransferRefused(f"{target.place} is not empty: name another database, or drop it")


async def _fill(settings: Settings, prepared: Prepared, target: Portable) -> str:
    service = prepared.wanted.service
    source = await SqlitePortable.open(prepared.plain, schema_of(service), stamp_for(settings))
    try:
        total = PASSES * (await source.contents()).count
        with tqdm(desc=f"{service:<16}", total=total, disable=None) as bar:
            progress = partial(advance, bar)
            await load(source, target, incarnation=prepared.incarnation, progress=progress)
    finally:
        await source.close()
    return "\n".join([*_told(prepared), f"{'':<16} into {target.place}"])


@contextlib.contextmanager
def _removed_at_the_end(prepared: Prepared) -> Iterator[Prepared]:
    """Remove the opened copy, unless it was put into place by then."""
    try:
        yield prepared
    finally:
        for part in ("", "-wal", "-shm", ".lock"):
            prepared.plain.with_name(prepared.plain.name + part).unlink(missing_ok=True)


def _wanted(files: Sequence[Path]) -> Iterator[Wanted]:
    """Return what is to be restored, each service once.

    Raises:
        NotRestored: a file is neither a manifest nor named like a sealed copy, or is missing.
    """
    found: dict[str, Wanted] = {}
    for path in files:
        for each in _named(path):
            if each.service in found:
                raise NotRestored(f"{each.service} is named twice")
            if not each.sealed.is_file():
                raise NotRestored(f"{each.sealed} does not exist")
            found[each.service] = each
    yield from found.values()


def _named(path: Path) -> Iterator[Wanted]:
    if path.suffix != SUFFIX:
        yield from _in_manifest(path)
        return
    for service in SERVICES:
        if stamp_of(path.name, service) is not None:
            yield Wanted(service=service, sealed=path, sha256=None)
            return
    raise NotRestored(f"{path} is not named like a sealed copy: SERVICE-TIME{SUFFIX}")


def _in_manifest(path: Path) -> Iterator[Wanted]:
    try:
        manifest = Manifest.decode(path.read_text())
    except ValueError as error:
        raise NotRestored(f"{path} is no manifest: {error}") from error
    for service, view in manifest.services.items():
        if service not in SERVICES or Path(view.file).name != view.file:
            raise NotRestored(f"{path} names what is no sealed copy of a service: {view.file!r}")
        yield Wanted(service=service, sealed=path.parent / view.file, sha256=view.sha256)


def _now() -> str:
    return rfc3339(SystemClock().now_ms())


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m services restore",
        description="Restore databases from sealed copies. The services must be stopped.",
    )
    parser.add_argument(
        "files", type=Path, nargs="+", help="a manifest, or sealed copies of single services"
    )
    add_key_arguments(parser)
    return parser.parse_args(arguments)


AFTERWARDS: Final = """
Start the services now. What happened after the backup is not in it: tron-client's searches and
wallet-manager's books catch up with the chain, callers repeat what they asked for under its key, and
what needs a person is said in /status."""

"""Carrying: fill a database from another, read everything back, then let exactly one be used.

A target is marked as incoming before its first record, and the mark goes last, so that no service
opens one that is not complete. A source that was moved is marked before its target is let go: at no
moment can both be opened, whatever is killed when (the same payout would be paid from both).
"""

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from shared.storage.errors import StorageError
from shared.storage.transfer.canonical import Digest, same
from shared.storage.transfer.portable import (
    Contents,
    Mark,
    MarkKind,
    Portable,
    StoredEvent,
    StoredRecord,
)

T = TypeVar("T", StoredRecord, StoredEvent)

Progress = Callable[[int], None]
"""Is told how many records and events were dealt with since the last time."""

PASSES: Final = 2
"""Every record is dealt with twice: carried, and read back."""


class TransferRefused(StorageError):
    """Source or target are not in a state to be carried; nothing was changed."""


class VerificationFailed(StorageError):
    """Something differs between source and target; the target stays closed.

    Attributes:
        part: name of the collection or feed, or ``state``.
        key: the first record or event that differs.
    """

    def __init__(self, part: str, key: str) -> None:
        super().__init__(
            f"{part} {key} differs between source and target: begin the copy anew, with --afresh"
        )
        self.part = part
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A collection or feed that is the same on both sides.

    Attributes:
        part: its name, with ``c_`` before a collection and ``f_`` before a feed.
        count: how many records or events.
        sha256: digest over all of them in their order, the same on every engine.
    """

    part: str
    count: int
    sha256: str


async def move(source: Portable, target: Portable, *, progress: Progress) -> list[Carried]:
    """Carry everything; afterwards the target is the database and the source does not open any more.

    The history goes on: incarnation, feed numbers and cursors stay valid. Meanwhile neither opens.
    What fails leaves the source as it was; what is killed is finished by the same call again, or
    given up with ``abandon``.

    Raises:
        TransferRefused: the source is not in use, or the target holds something.
        VerificationFailed: what was read back differs.
    """
    there, here = await source.mark(), await target.mark()
    transfer_id = here.transfer_id if here else uuid.uuid4().hex
    if there is not None and not _is_ours(there, transfer_id):
        raise TransferRefused(f"{source.place} is not in use: {there.told}")
    contents = await source.contents()
    await _begin(source, target, contents, transfer_id)
    try:
        if there is None:
            await source.set_mark(_moving(target, transfer_id))
        carried = await _fill(source, target, contents, progress)
    except BaseException:
        await source.set_mark(there)
        raise
    await source.set_mark(_moved(target, transfer_id))
    await target.set_mark(None)
    return carried


async def abandon(source: Portable, target: Portable) -> None:
    """Give up a move that was interrupted: the source opens again, the target is emptied.

    Raises:
        TransferRefused: there is none, or it was finished but for its last step.
    """
    there, here = await source.mark(), await target.mark()
    if here is None or here.kind is not MarkKind.INCOMING:
        raise TransferRefused(f"{target.place} holds no unfinished copy")
    if there is not None and there.kind is not MarkKind.MOVING:
        raise TransferRefused(f"{source.place} is not in use: {there.told}")
    await target.clear()
    if there is not None:
        await source.set_mark(None)
    await target.set_mark(None)


async def discard(target: Portable) -> None:
    """Empty a database that services do not open, so that it can be filled anew; any other stays.

    Raises:
        TransferRefused: it holds something and is in use, or is being moved itself.
    """
    mark = await target.mark()
    if mark is None and (await target.contents()).is_empty:
        return
    if mark is None or mark.kind is MarkKind.MOVING:
        raise TransferRefused(f"{target.place} holds no copy that was left behind")
    told = "it was emptied to be filled anew: run the copy again"
    kept = Mark(kind=MarkKind.INCOMING, transfer_id=uuid.uuid4().hex, told=told)
    if mark.kind is not MarkKind.INCOMING:
        await target.set_mark(kept)
    await target.clear()


async def load(
    source: Portable, target: Portable, *, incarnation: str, progress: Progress
) -> list[Carried]:
    """Fill an empty database with what a backup holds, as another history of it (hazard H5).

    Args:
        source: the opened backup; it stays as it is.
        target: an empty database.
        incarnation: a fresh one.
        progress: is told how far it is.

    Raises:
        TransferRefused: the target holds something.
        VerificationFailed: what was read back differs.
    """
    contents = await source.contents()
    here = await target.mark()
    await _begin(source, target, contents, here.transfer_id if here else uuid.uuid4().hex)
    fresh = replace(contents, identity=replace(contents.identity, incarnation=incarnation))
    carried = await _fill(source, target, fresh, progress)
    await target.set_mark(None)
    return carried


def _is_ours(mark: Mark, transfer_id: str) -> bool:
    """Tell whether this very transfer was interrupted after its source had been marked."""
    return mark.kind is not MarkKind.INCOMING and mark.transfer_id == transfer_id


def _moving(target: Portable, transfer_id: str) -> Mark:
    told = (
        f"it is being moved to {target.place}: run the same copy again to finish it, or with"
        " --abandon to give it up"
    )
    return Mark(kind=MarkKind.MOVING, transfer_id=transfer_id, told=told)


def _moved(target: Portable, transfer_id: str) -> Mark:
    told = (
        f"it was moved to {target.place}; keep it as a copy or remove it, and set the services to"
        " use the other"
    )
    return Mark(kind=MarkKind.MOVED, transfer_id=transfer_id, told=told)


async def _begin(source: Portable, target: Portable, contents: Contents, transfer_id: str) -> None:
    """Mark the target as being filled, once it is clear that it may be.

    Raises:
        TransferRefused: it may not be.
    """
    held, mark = await target.contents(), await target.mark()
    ours = replace(held.identity, incarnation=contents.identity.incarnation)
    if ours != contents.identity:
        raise TransferRefused(f"{source.place} and {target.place} are not for the same service")
    unknown = _named(contents) - _named(held)
    if unknown:
        told = ", ".join(sorted(unknown))
        raise TransferRefused(f"{source.place} holds what this release does not know: {told}")
    if mark is not None and mark.kind is not MarkKind.INCOMING:
        raise TransferRefused(f"{target.place} is not empty: {mark.told}")
    if mark is None and not held.is_empty:
        raise TransferRefused(
            f"{target.place} is not empty: it holds {held.count} records and events"
        )
    told = f"it is being filled from {source.place} and is not complete: run the same command again"
    await target.set_mark(Mark(kind=MarkKind.INCOMING, transfer_id=transfer_id, told=told))


def _named(contents: Contents) -> set[str]:
    collections = {each.name for each in contents.collections}
    return collections | {f"feed {each.name}" for each in contents.feeds}


async def _fill(
    source: Portable, target: Portable, contents: Contents, progress: Progress
) -> list[Carried]:
    for collection in contents.collections:
        await _carry_records(source, target, collection.name, progress)
    for feed in contents.feeds:
        await _carry_events(source, target, feed.name, progress)
    await target.put_contents(contents)
    carried = [
        await _compare(
            f"c_{each.name}", records(source, each.name), records(target, each.name), progress
        )
        for each in contents.collections
    ]
    carried += [
        await _compare(
            f"f_{each.name}", events(source, each.name), events(target, each.name), progress
        )
        for each in contents.feeds
    ]
    if _known(await target.contents(), contents) != contents:
        raise VerificationFailed("state", "of collections, feeds or consumers")
    return carried


def _known(held: Contents, contents: Contents) -> Contents:
    """Leave out of a target what its source does not have, as long as it is empty."""
    collections = {each.name for each in contents.collections}
    feeds = {each.name for each in contents.feeds}
    return replace(
        held,
        collections=tuple(e for e in held.collections if e.name in collections or e.count),
        feeds=tuple(e for e in held.feeds if e.name in feeds or e.end),
    )


async def _carry_records(
    source: Portable, target: Portable, collection: str, progress: Progress
) -> None:
    """Go on after the last record that is there: pieces are stored in their order."""
    after = await target.last_record(collection)
    while piece := await source.records(collection, after=after):
        await target.put_records(collection, piece)
        after = piece[-1].id
        progress(len(piece))


async def _carry_events(source: Portable, target: Portable, feed: str, progress: Progress) -> None:
    after = await target.last_event(feed)
    while piece := await source.events(feed, after=after):
        await target.put_events(feed, piece)
        after = piece[-1].seq
        progress(len(piece))


async def _compare(
    part: str, left: AsyncIterator[T], right: AsyncIterator[T], progress: Progress
) -> Carried:
    """Read both sides in step.

    Raises:
        VerificationFailed: at the first that differs.
    """
    digest = Digest()
    while (expected := await anext(left, None)) is not None:
        found = await anext(right, None)
        if found is None or not same(expected, found):
            raise VerificationFailed(part, _key(expected))
        digest.add(expected)
        progress(1)
    if (surplus := await anext(right, None)) is not None:
        raise VerificationFailed(part, _key(surplus))
    return Carried(part=part, count=digest.count, sha256=digest.hexdigest())


def _key(held: StoredRecord | StoredEvent) -> str:
    return held.id if isinstance(held, StoredRecord) else str(held.seq)


async def records(portable: Portable, collection: str) -> AsyncIterator[StoredRecord]:
    """Yield a collection by id."""
    piece = await portable.records(collection, after="")
    while piece:
        for record in piece:
            yield record
        piece = await portable.records(collection, after=piece[-1].id)


async def events(portable: Portable, feed: str) -> AsyncIterator[StoredEvent]:
    """Yield a feed by number."""
    piece = await portable.events(feed, after=0)
    while piece:
        for event in piece:
            yield event
        piece = await portable.events(feed, after=piece[-1].seq)

"""Who is watched, from which height on, and what must be scanned once more for that (H11)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.tron_client.domain.progress import Watch
from services.tron_client.domain.rescans import ImpossibleRange, Rescan, Span, scheduled
from services.tron_client.store.addresses import packed
from services.tron_client.store.coverage import CoverageStore
from services.tron_client.store.sight import Sight
from shared.clock import Clock
from shared.errors import Conflict
from shared.ids import NewId
from shared.logs import get_logger
from shared.storage import Page
from shared.tron.address import Address
from shared.watching import digest_text

log = get_logger(__name__)

_NAMED_AT_MOST: Final = 10


class NeverUnwatched(Conflict):
    """An address that was or may have been paid is watched for ever."""

    code = "LUCID_ERR_9162"
    title = "These addresses stay watched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was promised: how many are watched in all, and from which height on these are told."""

    count: int
    birth_height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchDigest:
    """The watch list in one line."""

    count: int
    digest: str
    rescans_pending: int


class Coverage:
    """Keeps the watch list, and schedules rescans for what was scanned without a watch."""

    def __init__(self, *, store: CoverageStore, sight: Sight, clock: Clock, new_id: NewId) -> None:
        self._store = store
        self._sight = sight
        self._clock = clock
        self._new_id = new_id

    async def watch(
        self, addresses: Sequence[Address], *, birth_height: int | None = None
    ) -> Watched:
        """Watch addresses from a height on, or from now; returns once that is durable.

        The scanner knows them from the moment the head is read, and they are stored after that: a
        crash in between has promised nothing yet. When storing them fails the scanner goes on
        looking for them, for nobody can tell what of it became durable after all.

        Raises:
            NothingScanned: before the first block.
            TooManyRescans: no other range of the past can be taken on now.
        """
        wanted = list(dict.fromkeys(addresses))
        async with self._sight.watching:
            known = await self._store.watches(wanted)
            fresh = [each for each in wanted if each not in known]
            seen_as = [packed(each) for each in fresh]
            async with self._sight.lock:
                head_height = self._sight.current().head.height
                self._sight.watched.update(seen_as)
            births = await self._keep(fresh, known, head_height, birth_height)
        return Watched(count=len(self._sight.watched), birth_height=max(births))

    async def _keep(
        self,
        fresh: Sequence[Address],
        known: dict[str, Watch],
        head_height: int,
        birth_height: int | None,
    ) -> list[int]:
        """Store the watches with the rescan they need; returns the heights that are promised."""
        birth = head_height if birth_height is None else min(birth_height, head_height)
        earlier = [
            replace(each, birth_height=birth)
            for each in known.values()
            if birth_height is not None and birth < each.birth_height
        ]
        last = max(
            [head_height if fresh else 0, *(known[each.id].birth_height for each in earlier)]
        )
        rescan = None
        if birth < last:
            span = Span(first=birth + 1, last=last)
            rescan = await self._scheduled(span, "watched from an earlier height")
        await self._store.save_watches(
            [*earlier, *(Watch(id=each, birth_height=birth) for each in fresh)], rescan=rescan
        )
        kept = known | {each.id: each for each in earlier}
        return [*(each.birth_height for each in kept.values()), *([birth] if fresh else [])]

    async def unwatch(self, addresses: Sequence[Address]) -> int:
        """Forget addresses that nobody was ever shown; returns how many are watched after that.

        That they were never shown is the caller's word. It is not believed of an address that a
        transfer names, nor while the past of any is still being scanned.

        Raises:
            NeverUnwatched: one of them must stay; then all of them do.
        """
        wanted = list(dict.fromkeys(addresses))
        async with self._sight.watching, self._sight.lock:
            if await self._store.pending_count():
                raise NeverUnwatched(
                    "the past is still being scanned: nobody knows yet who was paid",
                    retry_after_s=60,
                )
            known = await self._store.watches(wanted)
            paid = sorted({each async for each in self._store.moved(list(known))})
            if paid:
                raise NeverUnwatched(
                    f"{len(paid)} of these addresses have transfers and stay watched",
                    addresses=paid[:_NAMED_AT_MOST],
                )
            await self._store.forget(list(known.values()))
            for each in known:
                self._sight.watched.discard(packed(each))
        log.info("watches.dropped", count=len(known))
        return len(self._sight.watched)

    async def page(self, *, cursor: str | None, limit: int) -> Page[Watch]:
        """Return a page of the watch list, ordered by address."""
        return await self._store.watch_page(cursor=cursor, limit=limit)

    def count(self) -> int:
        """Count what is watched."""
        return len(self._sight.watched)

    async def digest(self) -> WatchDigest:
        """Return the count and digest of the watch list, and how many rescans it waits for."""
        watched = self._sight.watched
        return WatchDigest(
            count=len(watched),
            digest=digest_text(watched.digest),
            rescans_pending=await self._store.pending_count(),
        )

    async def rescan(
        self, first_height: int, last_height: int, *, reason: str = "asked for by an operator"
    ) -> Rescan:
        """Have a range scanned once more; one that waits already with all of it is returned instead.

        Raises:
            ImpossibleRange: the heights are the wrong way round or above the scanned head.
            TooManyRescans: no other range can be taken on now.
        """
        span = Span(first=first_height, last=last_height)
        head_height = self._sight.current().head.height
        if last_height > head_height:
            raise ImpossibleRange(
                f"only heights up to {head_height} were scanned", scanned_height=head_height
            )
        async with self._sight.watching:
            rescan = await self._scheduled(span, reason)
            if rescan is not None:
                await self._store.save_rescan(rescan)
            pending = await self._store.pending()
            return next(each for each in pending if each.holds(span))

    async def rescans(self, *, cursor: str | None, limit: int) -> Page[Rescan]:
        """Return a page of the rescans, newest first."""
        return await self._store.rescan_page(cursor=cursor, limit=limit)

    async def _scheduled(self, span: Span, reason: str) -> Rescan | None:
        rescan = scheduled(
            await self._store.pending(),
            span,
            reason=reason,
            id_=self._new_id("rsc"),
            now_ms=self._clock.now_ms(),
        )
        if rescan is not None:
            log.info("rescan.scheduled", first=span.first, last=span.last, reason=reason)
        return rescan

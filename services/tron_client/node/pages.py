"""Go through a gateway's ``/v1`` interface page by page, to its end or as far as the bounds allow.

The next page is asked for by the fingerprint of the last one and the parameters that all pages share.
The link that a gateway gives besides is never followed: it could lead anywhere, and the key with it.

Source: TronGrid's envelope of data, success and meta.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from services.tron_client.domain.history import (
    History,
    InconsistentHistory,
    PastTokenMove,
    PastTransaction,
    Question,
)
from services.tron_client.node.errors import NodeUnavailable
from shared.loop import backoff_s

PAGE_ITEMS: Final = 200
"""The most that a gateway gives at once."""

_FINGERPRINT: Final = "fingerprint"
_MAX_PARAMETERS: Final = 32
_TRIES: Final = 3
_BACKOFF_S: Final = 0.1
_SHORT_S: Final = 1

_Mark = Annotated[str, msgspec.Meta(min_length=1, max_length=1_024)]

Past = PastTransaction | PastTokenMove
K = TypeVar("K")
T = TypeVar("T", bound=Past)


class Gateway(Protocol):
    """A node that keeps histories by address."""

    @property
    def operator(self) -> str:
        """Return who runs it."""
        ...

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        """Return the decoded answer to a GET; raises NodeUnavailable, NodeRefused, WrongChain."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far a history is followed before it is told incomplete.

    Attributes:
        pages: of 200 items each.
        seconds: after which no further page is asked for.
    """

    pages: int
    seconds: float


class _Links(msgspec.Struct):
    next: str | None = None


class _Meta(msgspec.Struct):
    page_size: int
    fingerprint: _Mark | None = None
    links: _Links | None = None


class _Envelope(msgspec.Struct):
    data: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=PAGE_ITEMS)]
    success: bool
    meta: _Meta


class Kind(Protocol[T]):
    """What one kind of item is read with."""

    def read(self, item: dict[str, Any]) -> T:
        """Read an item of a page."""
        ...

    def fresh(self, page: Sequence[T]) -> list[T]:
        """Return what was not told before."""
        ...


@dataclass(frozen=True, slots=True)
class Walk:
    """Goes from page to page."""

    gateway: Gateway
    path: str
    query: Mapping[str, str]
    bounds: Bounds

    async def to_the_end(self, question: Question, kind: Kind[T]) -> History[T]:
        """Read pages until there is none left, or the bounds are reached."""
        items: list[T] = []
        told = pages = 0
        marks: set[str] = set()
        mark: str | None = None
        oldest_ms = question.until_ms
        loop = asyncio.get_running_loop()
        stop_s = loop.time() + self.bounds.seconds
        while True:
            page = await self._page(mark)
            pages += 1
            read = [kind.read(item) for item in page.data]
            oldest_ms = _in_order(read, oldest_ms, question.since_ms)
            told += len(read)
            items += kind.fresh(read)
            mark = self._next(page.meta)
            if mark is None or pages >= self.bounds.pages or loop.time() >= stop_s:
                break
            if mark in marks:
                raise InconsistentHistory("its pages lead in a circle")
            marks.add(mark)
        return History(
            question=question,
            items=tuple(items),
            is_complete=mark is None,
            pages=pages,
            repeated=told - len(items),
            operator=self.gateway.operator,
        )

    async def _page(self, mark: str | None) -> _Envelope:
        query = dict(self.query) if mark is None else {**self.query, _FINGERPRINT: mark}
        page = convert(await self._got(query), _Envelope, "a page")
        if not page.success or page.meta.page_size != len(page.data):
            raise InconsistentHistory("a page does not hold what it says")
        return page

    async def _got(self, query: Mapping[str, str]) -> Any:
        """Return an answer; once more after a moment, unless the gateway wants quiet for longer."""
        for attempt in range(1, _TRIES):
            try:
                return await self.gateway.get(self.path, query)
            except NodeUnavailable as error:
                if (error.retry_after_s or 0) > _SHORT_S:
                    raise
            await asyncio.sleep(backoff_s(attempt, base_s=_BACKOFF_S, longest_s=_SHORT_S))
        return await self.gateway.get(self.path, query)

    def _next(self, meta: _Meta) -> str | None:
        """Return the next page's fingerprint; where only a link is given, the one in it."""
        if meta.fingerprint is not None or meta.links is None or not meta.links.next:
            return meta.fingerprint
        marks = _marks_in(meta.links.next, self.path)
        if len(marks) != 1:
            raise InconsistentHistory("its next page is somewhere else")
        return marks[0]


def _marks_in(link: str, path: str) -> list[str]:
    """Return the fingerprints of a link to the same path."""
    try:
        parts = urlsplit(link)
        marks = parse_qs(parts.query, max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        return []
    return marks.get(_FINGERPRINT, []) if parts.path.endswith(path) else []


def _in_order(page: Sequence[Past], newest_ms: int, since_ms: int) -> int:
    """Check that a page goes on where the last one ended; returns the moment of its last item."""
    for each in page:
        if not since_ms <= each.at_ms <= newest_ms:
            raise InconsistentHistory("a page holds other moments than were asked for")
        newest_ms = each.at_ms
    return newest_ms


def convert(answer: Any, kind: type[K], what: str) -> K:
    """Check the types of what a gateway said; raises InconsistentHistory."""
    try:
        return msgspec.convert(answer, kind)
    except msgspec.ValidationError as error:
        raise InconsistentHistory(f"{what} is malformed: {error}") from None

"""Pages of an address's past: which blocks count, which places pass, where the next page begins."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from devnet.chain import Chain
from devnet.trongrid.index import Place, unpacked
from devnet.trongrid.query import Query

Print = Callable[[Place], dict[str, Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some items, and the place of the last one if there are more behind it."""

    items: list[dict[str, Any]]
    last: int | None = None


def heights(chain: Chain, query: Query, *, of_events: bool = False) -> range:
    """The blocks that the parameters leave, by finality, number and time."""
    low, high = 1, chain.head.number
    if query.flag("only_confirmed"):
        high = chain.solid_number
    elif query.flag("only_unconfirmed"):
        low = chain.solid_number + 1
    number = query.integer("block_number") if of_events else None
    if number is not None:
        low, high = max(low, number), min(high, number)
    prefix = "min_block_timestamp" if of_events else "min_timestamp"
    earliest = query.integer(prefix)
    latest = query.integer("max_block_timestamp" if of_events else "max_timestamp")
    times = _Times(chain)
    if earliest is not None:
        low = max(low, bisect_left(times, earliest))
    if latest is not None:
        high = min(high, bisect_right(times, latest) - 1)
    return range(low, max(low, high + 1))


def page(places: Sequence[int], query: Query, show: Print) -> Page:
    """The first items behind the cursor that can be shown."""
    limit = query.limit
    items: list[dict[str, Any]] = []
    last: int | None = None
    for number in _behind(places, query):
        item = show(unpacked(number))
        if item is None:
            continue
        if len(items) == limit:
            return Page(items=items, last=last)
        items.append(item)
        last = number
    return Page(items=items)


def _behind(places: Sequence[int], query: Query) -> Iterator[int]:
    cursor = query.cursor
    if query.is_ascending:
        start = 0 if cursor is None else bisect_right(places, cursor)
        return iter(places[start:])
    end = len(places) if cursor is None else bisect_left(places, cursor)
    return reversed(places[:end])


class _Times(Sequence[int]):
    """The times of all blocks, to be searched."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def __len__(self) -> int:
        return self._chain.head.number + 1

    def __getitem__(self, number: Any) -> Any:
        return self._chain.tip(number).time_ms

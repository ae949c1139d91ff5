"""Change one thing at a time in what a node answers: a value, its type, a member, an order."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

Path = tuple[str | int, ...]

INT64_MAX = 2**63 - 1

GONE = object()
"""Take a member or an element out."""

TWICE = object()
"""Put an element beside itself."""

FLIPPED = object()
"""Change one character of a text, or a number by one."""

OF_OTHER_TYPE: list[Any] = [
    None,
    True,
    "",
    "zz",
    "1",
    "é",
    [],
    {},
    [None],
    {"a": 1},
    1.5,
    1.0,
    2.0**62,
]
NUMBERS: list[Any] = [0, 1, -1, 2**53 + 1, INT64_MAX, INT64_MAX + 1, 2**64, -(2**63) - 1, 10**300]
TEXTS: list[Any] = [
    "",
    "0",
    "00",
    "ab" * 20,
    "AB" * 32,
    "ab" * 32,
    "é" * 32,
    "0" * 65,
    "g" * 64,
    "-1",
]


@dataclass(frozen=True)
class Spoiled:
    """An answer with one thing changed.

    Attributes:
        answer: what is left of it.
        path: where, for whoever reads a failure.
        before: what was there.
        after: what is there now; None when something was taken out or put in.
        keeps_type: what was put in has the type of what was there, and could be true.
    """

    answer: Any
    path: Path
    before: Any
    after: Any
    keeps_type: bool


def places(answer: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of everything in an answer, itself included."""
    yield path
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield from places(value, (*path, name))
    elif isinstance(answer, list):
        for index, value in enumerate(answer):
            yield from places(value, (*path, index))


def at(answer: Any, path: Path) -> Any:
    for step in path:
        answer = answer[step]
    return answer


Pick = Callable[[int], int]
"""Chooses a number below another: drawn by hypothesis, or by a seeded chance."""


def spoil(pick: Pick, answer: Any) -> Spoiled:
    """Return an answer with one thing changed."""
    path = one_of(pick, list(places(answer)))
    before = at(answer, path)
    after = one_of(pick, _changes(before, path))
    whole = [copy.deepcopy(answer)]
    parent, last = at(whole, (0, *path)[:-1]), (0, *path)[-1]
    if after is GONE:
        del parent[last]
        return Spoiled(whole[0], path, before, None, keeps_type=False)
    if after is TWICE:
        parent.insert(last, copy.deepcopy(before))
        return Spoiled(whole[0], path, before, None, keeps_type=False)
    if after is FLIPPED:
        after = _flipped(pick, before)
    parent[last] = after
    return Spoiled(whole[0], path, before, after, keeps_type=_could_be(before, after))


def one_of(pick: Pick, choices: Sequence[T]) -> T:
    """Choose by position: what is chosen from may be too long to print."""
    return choices[pick(len(choices))]


def _changes(before: Any, path: Path) -> list[Any]:
    found = [*OF_OTHER_TYPE, *NUMBERS, *TEXTS]
    if path:
        found.append(GONE)
    if path and isinstance(path[-1], int):
        found.append(TWICE)
    if (isinstance(before, str) and before) or type(before) is int:
        found += [FLIPPED] * 5
    return found


def _flipped(pick: Pick, before: Any) -> Any:
    if isinstance(before, int):
        return before + one_of(pick, [-1, 1, 1_000_000])
    place = pick(len(before))
    other = one_of(pick, [each for each in "0123456789abcdefA" if each != before[place]])
    return f"{before[:place]}{other}{before[place + 1 :]}"


def _could_be(before: Any, after: Any) -> bool:
    if type(before) is not type(after):
        return False
    return type(after) is not int or abs(after) <= INT64_MAX

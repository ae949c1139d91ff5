"""Storage: durable units by clients, and reads that do not slow down as records become many."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.bench import growth, units
from tests.bench.engines import Engine
from tests.bench.table import Row


def rows(
    place: Path, engines: Mapping[str, Engine], *, units: int, sizes: Mapping[str, Sequence[int]]
) -> Iterable[Row]:
    """Measure every engine in folders of their own."""
    for name, engine in engines.items():
        yield from _units(place, name, engine, units)
        yield from _growth(place, name, engine, sizes[name])


def _units(place: Path, name: str, engine: Engine, count: int) -> Iterable[Row]:
    folder = place / f"{name}-units"
    folder.mkdir()
    return asyncio.run(units.measure(folder, name, engine, count))


def _growth(place: Path, name: str, engine: Engine, sizes: Sequence[int]) -> Iterable[Row]:
    folder = place / f"{name}-growth"
    folder.mkdir()
    return asyncio.run(growth.measure(folder, name, engine, sizes))

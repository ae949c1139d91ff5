"""Print how fast and how large the stack is, beside a rival's or a limit's figure.

``BENCH=storage make bench`` measures one part; sizes and rounds are set in the same way.
"""

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

from shared.config import process_environment
from tests.bench import scanning, signing, stack, storage
from tests.bench.engines import ENGINES, SIZES
from tests.bench.table import Row, show

PARTS = ("stack", "storage", "scanning", "signing")


def main() -> None:
    """Measure what was asked for and print the table."""
    asked = _arguments()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in asked.bench or PARTS:
            place = Path(folder) / part
            place.mkdir()
            rows += _rows(part, place, asked)
    show(rows)


def _rows(part: str, place: Path, asked: argparse.Namespace) -> Iterable[Row]:
    if part == "stack":
        return stack.rows(place, asked.rounds)
    if part == "scanning":
        return scanning.rows(place)
    if part == "signing":
        return signing.rows(place)
    engines = {name: ENGINES[name] for name in asked.engines or ENGINES}
    sizes = {name: asked.records or SIZES[name] for name in engines}
    return storage.rows(place, engines, units=asked.units, sizes=sizes)


def _arguments() -> argparse.Namespace:
    environment = process_environment()

    def listed(name: str, default: str = "") -> list[str]:
        return [each for each in environment.get(name, default).split(",") if each]

    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--bench", nargs="*", choices=PARTS, default=listed("BENCH"), help="what to measure"
    )
    parser.add_argument(
        "--rounds", type=int, default=int(environment.get("ROUNDS", "3")), help="of the stack"
    )
    parser.add_argument(
        "--engines", nargs="*", choices=ENGINES, default=listed("ENGINES"), help="of storage"
    )
    parser.add_argument(
        "--units",
        type=int,
        default=int(environment.get("UNITS", "4000")),
        help="that are committed by each number of clients",
    )
    parser.add_argument(
        "--records",
        type=int,
        nargs="*",
        default=list(map(int, listed("RECORDS"))),
        help="at which reads are measured, smallest first; the default depends on the engine",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

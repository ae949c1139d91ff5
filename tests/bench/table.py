"""What was measured, as lines of one table."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        what: was measured.
        measured: the figure, with its unit.
        beside: a rival's or a limit's figure.
    """

    what: str
    measured: str
    beside: str


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    width = max((len(row.what) for row in rows), default=4)
    print(f"\n{'what':<{width}}  {'measured':<34}  beside")
    for row in rows:
        print(f"{row.what:<{width}}  {row.measured:<34}  {row.beside}")

"""Keeps the generated parts of the README: ``make docs`` writes them, a test compares them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from services.catalogue import scopes_table, settings_table

README: Final = Path(__file__).parents[1] / "README.md"

SECTIONS: Final[Mapping[str, Callable[[], str]]] = {
    "settings": settings_table,
    "scopes": scopes_table,
}


def filled(text: str) -> str:
    """Return the text with every generated section as it should be."""
    for name, table in SECTIONS.items():
        section = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = section.sub(lambda found, table=table: f"{found[1]}{table()}\n{found[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))

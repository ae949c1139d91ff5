"""Writes what the code knows of itself into devnet/README.md: paths, scenarios, hazards."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from devnet.app import assemble
from devnet.scenarios.parameters import Parameter
from devnet.scenarios.registry import HAZARDS, NOT_OURS, SCENARIOS
from devnet.scenarios.scenario import OPTIONS, Occasion, Scenario
from devnet.settings import Settings

README = Path(__file__).parents[1] / "README.md"
_CONTROL = "http://127.0.0.1:18099"
_OCCASIONS = {
    Occasion.REQUEST: "Scenarios for requests",
    Occasion.BLOCK: "Scenarios for blocks",
    Occasion.LASTING: "Scenarios that last",
    Occasion.MIXTURE: "A random mixture",
}


def paths_table() -> str:
    """Every path of the control API."""
    devnet = assemble(Settings(speed=0))
    try:
        paths = devnet.control.paths()
    finally:
        devnet.node.close()
    rows = [
        (f"`{each.method} {each.path.replace(':int', '')}`", each.body, each.reply)
        for each in paths
    ]
    return _table(("request", "body", "reply"), rows)


def scenarios_text() -> str:
    """Every scenario by its occasion, with an example."""
    parts = []
    for occasion, title in _OCCASIONS.items():
        options = "; ".join(_described(each) for each in OPTIONS[occasion])
        rows = [
            (
                f"`{each.name}`",
                each.does,
                ", ".join(f"H{number}" for number in each.hazards),
                "; ".join(_described(one) for one in each.parameters),
                f"`{_command(each)}`",
            )
            for each in SCENARIOS.values()
            if each.occasion is occasion
        ]
        heads = ("name", "what happens", "plays", "parameters", "example")
        parts.append(f"### {title}\n\nAll of them take {options}.\n\n{_table(heads, rows)}")
    return "\n\n".join(parts)


def hazards_table() -> str:
    """Which scenarios play which hazard, and why some have none."""
    rows = []
    for number, name in HAZARDS.items():
        players = [
            f"`{each.name}`"
            for each in SCENARIOS.values()
            if number in each.hazards and each.occasion is not Occasion.MIXTURE
        ]
        rows.append((f"H{number}", name, ", ".join(players) or f"none: {NOT_OURS[number]}"))
    return _table(("number", "hazard", "scenarios"), rows)


SECTIONS: Mapping[str, Callable[[], str]] = {
    "control paths": paths_table,
    "scenarios": scenarios_text,
    "hazards": hazards_table,
}


def filled(text: str) -> str:
    """The text with every generated section as it should be."""
    for name, written in SECTIONS.items():
        section = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        body = written()
        text = section.sub(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)  # type: ignore[misc]
    return text


def _command(scenario: Scenario) -> str:
    order = json.dumps(scenario.example)
    return f"curl -d '{order}' {_CONTROL}/devnet/scenarios/{scenario.name}"


def _described(parameter: Parameter) -> str:
    """A parameter in one phrase."""
    shown = f"`{parameter.name}` {parameter.meaning}"
    if parameter.is_required:
        return f"{shown} (required)"
    if parameter.default is None:
        return shown
    return f"{shown} (`{json.dumps(parameter.default)}`)"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))

"""Whoever is called at night finds each alarm in the guide."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from services.tron_client.domain.notices import EFFECTS, Calls
from tests.docs import README


def kinds_in(path: Path) -> Iterator[str]:
    """Yield the kinds that a module raises, written there or by the name of a constant."""
    name = ".".join(path.relative_to(README.parent).with_suffix("").parts).removesuffix(".__init__")
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        if getattr(node.func, "attr", getattr(node.func, "id", "")) in {"raise_alarm", "Stall"}:
            match node.args[0]:
                case ast.Constant(value=str(kind)):
                    yield kind
                case ast.Name(id=constant) if constant.isupper():
                    yield str(getattr(import_module(name), constant))


def test_every_alarm_that_is_raised_is_in_the_guide_and_no_other() -> None:
    raised = {
        kind
        for folder in ("services", "shared")
        for path in (README.parent / folder).rglob("*.py")
        for kind in kinds_in(path)
    } | {effect.alarm.value for effect in EFFECTS.values() if isinstance(effect, Calls)}
    guide = README.read_text().partition("### Alarms")[2].partition("\n##")[0]
    rows = [line.split("|")[1] for line in guide.splitlines() if line.startswith("| `")]
    assert {kind for row in rows for kind in re.findall(r"`([a-z_]+)`", row)} == raised

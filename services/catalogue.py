"""What the documentation is generated from: settings, scopes and error codes, as Markdown tables."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Final

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from services.run import RunSettings
from shared.access import ROLE_SCOPES, Role, Scope
from shared.config import SERVICES, ServiceSettings, python_name

COMMON: Final = "every service"
STACK: Final = "make run, make demo"


def settings_table() -> str:
    """Return a row for every setting: who reads it, its default, what it is."""
    rows = [("setting", "read by", "default", "meaning"), ("---", "---", "---", "---")]
    rows += [_row(COMMON, field) for field in ServiceSettings.model_fields.values()]
    for service in SERVICES:
        settings = _settings_class(service)
        rows += [_row(service, field) for field in _own_fields(settings)]
    rows += [
        _row(STACK, field)
        for field in RunSettings.model_fields.values()
        if _variables(field) != ["LUCID_DATA_DIR"]
    ]
    return _table(rows)


def scopes_table() -> str:
    """Return a row for every scope with the roles that have it."""
    rows = [("scope", *(role.value for role in Role)), ("---",) * (len(Role) + 1)]
    for scope in Scope:
        marks = tuple("yes" if scope in ROLE_SCOPES[role] else "" for role in Role)
        rows.append((f"`{scope.value}`", *marks))
    return _table(rows)


def main() -> int:
    """Print the tables; returns the exit status."""
    print(settings_table())
    print()
    print(scopes_table())
    return 0


def _settings_class(service: str) -> type[ServiceSettings]:
    module = import_module(f"services.{python_name(service)}.settings")
    settings: type[ServiceSettings] = module.Settings
    return settings


def _own_fields(settings: type[ServiceSettings]) -> Iterator[FieldInfo]:
    for name, field in settings.model_fields.items():
        if name not in ServiceSettings.model_fields:
            yield field


def _variables(field: FieldInfo) -> list[str]:
    match field.validation_alias:
        case str() as variable:
            return [variable]
        case AliasChoices(choices=choices):
            return [str(choice) for choice in choices]
        case _:
            raise ValueError("a setting names its environment variable")


def _row(reader: str, field: FieldInfo) -> tuple[str, str, str, str]:
    names = " or ".join(f"`{variable}`" for variable in _variables(field))
    return names, reader, _default(field), str(field.description)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "none: must be said"
    default = field.default
    if field.default_factory is not None or default is None:
        return ""
    if isinstance(default, bool):
        return "yes" if default else "no"
    text = str(default)
    return (
        f"`{text}`"
        if text and "/" not in text.removeprefix("http://").removeprefix("https://")
        else ""
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)

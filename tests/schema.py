"""Hold an answer against what its route describes (JSON Schema, as far as the descriptions use it)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_NOTES: Final = {"title", "description", "examples", "default", "format"}
_UNDERSTOOD: Final = {
    *_NOTES,
    "$ref",
    "anyOf",
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
}


class NotUnderstood(Exception):
    """A schema says more than is checked here."""


def mismatches(
    value: Any, schema: Mapping[str, Any], *, whole: Mapping[str, Any], at: str = "$"
) -> Iterator[str]:
    """Yield where a value is not as its schema says; a member that it does not name is one too.

    Raises:
        NotUnderstood: the schema has a keyword that is not known here.
    """
    if unknown := set(schema) - _UNDERSTOOD:
        raise NotUnderstood(f"{at}: {sorted(unknown)}")
    if "$ref" in schema:
        yield from mismatches(value, _named(schema["$ref"], whole), whole=whole, at=at)
    if "anyOf" in schema:
        tries = [list(mismatches(value, each, whole=whole, at=at)) for each in schema["anyOf"]]
        if all(tries):
            yield min(tries, key=len)[0]
    if "type" in schema and not _is_of(schema["type"], value):
        yield f"{at}: {value!r} is no {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    yield from _beyond(value, schema, at)
    if isinstance(value, dict):
        yield from _members(value, schema, whole, at)
    if isinstance(value, list) and "items" in schema:
        for index, each in enumerate(value):
            yield from mismatches(each, schema["items"], whole=whole, at=f"{at}[{index}]")


def _members(
    value: Mapping[str, Any], schema: Mapping[str, Any], whole: Mapping[str, Any], at: str
) -> Iterator[str]:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", not properties)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}: {name} is missing"
    for name, each in value.items():
        inner = properties.get(name, others)
        if inner is False:
            yield f"{at}: {name} is not described"
        elif inner is not True:
            yield from mismatches(each, inner, whole=whole, at=f"{at}.{name}")


def _beyond(value: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if isinstance(value, str):
        if "pattern" in schema and re.search(schema["pattern"], value) is None:
            yield f"{at}: {value[:80]!r} does not match {schema['pattern']}"
        yield from _sized(len(value), schema, "Length", at)
    if isinstance(value, list):
        yield from _sized(len(value), schema, "Items", at)
    if isinstance(value, int | float):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            yield f"{at}: {value} is out of bounds"
        if value <= schema.get("exclusiveMinimum", value - 1):
            yield f"{at}: {value} is out of bounds"


def _sized(size: int, schema: Mapping[str, Any], what: str, at: str) -> Iterator[str]:
    if not schema.get(f"min{what}", 0) <= size <= schema.get(f"max{what}", size):
        yield f"{at}: a size of {size} is out of bounds"


def _is_of(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _named(reference: str, whole: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = whole
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found  # type: ignore[no-any-return]

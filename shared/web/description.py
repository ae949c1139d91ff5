"""The OpenAPI description, as callers meet the service: problems instead of FastAPI's 422, bearer tokens."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI

from shared.access import OPEN_PATHS
from shared.errors import InvalidFields, MissingScope, NotReady, TooManyRequests, Unauthenticated
from shared.web.problems import declares

_METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})
_NOT_OURS: Final = ("HTTPValidationError", "ValidationError")


def describe(app: FastAPI, *, open_prefixes: tuple[str, ...]) -> Callable[[], dict[str, Any]]:
    """Return what takes the place of ``app.openapi``: the schema, made once."""
    generated = app.openapi
    known: dict[str, Any] = {}

    def described() -> dict[str, Any]:
        if not known:
            known.update(_mended(generated(), open_prefixes))
        return known

    return described


def _mended(schema: dict[str, Any], open_prefixes: tuple[str, ...]) -> dict[str, Any]:
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _NOT_OURS:
        schemas.pop(name, None)
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    for path, item in schema["paths"].items():
        is_open = path in OPEN_PATHS or (bool(open_prefixes) and path.startswith(open_prefixes))
        for method, operation in item.items():
            if method in _METHODS:
                _mend(operation, is_open=is_open)
    return schema


def _mend(operation: dict[str, Any], *, is_open: bool) -> None:
    answers = operation["responses"]
    if answers.pop("422", None) is not None:
        _declare(answers, declares(InvalidFields))
    if is_open:
        return
    operation["security"] = [{"bearer": []}]
    _declare(answers, declares(Unauthenticated, MissingScope, TooManyRequests, NotReady))


def _declare(answers: dict[str, Any], declared: dict[int | str, dict[str, Any]]) -> None:
    for status, answer in declared.items():
        answers.setdefault(str(status), answer)

"""The OpenAPI description, as callers meet the service: problems instead of FastAPI's 422, bearer tokens."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI

from shared.access import OPEN_PATHS
from shared.errors import (
    BadRequest,
    InvalidFields,
    MissingScope,
    NotReady,
    TooManyRequests,
    Unauthenticated,
)
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
        _declare(answers, declares(InvalidFields, BadRequest))
    if is_open:
        return
    operation["security"] = [{"bearer": []}]
    _declare(answers, declares(Unauthenticated, MissingScope, TooManyRequests, NotReady))


def _declare(answers: dict[str, Any], declared: dict[int | str, dict[str, Any]]) -> None:
    """Add what every route may answer to what its own declaration says of the same status."""
    for status, answer in declared.items():
        told = answers.setdefault(str(status), answer)
        if answer["description"] not in told["description"]:
            told["description"] += f"; {answer['description']}"

"""Every service can describe itself: each route has an operation, and each operation its answers."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from shared.config import SERVICES
from tests.support import settings_in


def application_of(service: str, path: Path) -> FastAPI:
    package = f"services.{service.replace('-', '_')}"
    settings = settings_in(path, import_module(f"{package}.settings").Settings)
    app: FastAPI = import_module(f"{package}.app").create(settings)
    return app


def operations_of(description: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, item in description["paths"].items()
        for method, operation in item.items()
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_describes_every_route_that_it_serves(service: str, tmp_path: Path) -> None:
    app = application_of(service, tmp_path)
    described = operations_of(app.openapi())
    served = {
        (method, str(route.path))
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute) and route.include_in_schema
        for method in route.methods or ()
    }
    assert served == set(described)
    names = [each["operationId"] for each in described.values()]
    assert len(set(names)) == len(names)
    for name, operation in described.items():
        assert any(status.startswith("2") for status in operation["responses"]), name
        assert operation.get("description"), name

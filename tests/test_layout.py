"""What the tree promises of itself: where things lie, what nobody writes, who may do what."""

import ast
import importlib
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import grimp
import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from shared.access import OPEN_PATHS
from shared.clock import HeldClock
from shared.config import SERVICES, ServiceSettings, python_name
from shared.tron.networks import Network
from shared.web.problems import MEDIA_TYPE
from shared.web.runtime import Runtime
from tests.support import START_MS, serving

TREE: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = ("services", "shared", "devnet")
SERVICE_PACKAGES: Final = tuple(sorted(python_name(service) for service in SERVICES))
MARKED_OPEN: Final = re.compile(r"open_prefixes=\(([^)]*)\)")

NEEDED: Final = frozenset(
    {"__init__", "__main__", "app", "settings", "routes", "loops", "service", "store", "domain"}
)
VAGUE: Final = frozenset(
    {"utils", "util", "helpers", "helper", "common", "constants", "managers", "misc"}
)


def sources(*roots: str) -> list[Path]:
    found = (path for root in roots for path in (TREE / root).rglob("*.py"))
    return sorted(path for path in found if not path.name.endswith("_pb2.py"))


@cache
def text_of(path: Path) -> str:
    return path.read_text()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path), str(path))


def place(path: Path) -> str:
    return path.relative_to(TREE).as_posix()


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((TREE / "pyproject.toml").read_text())


def layers() -> dict[str, bool]:
    """Return each module a service may have, and whether it must."""
    contracts = project()["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if one.get("exhaustive"))
    assert sorted(contract["containers"]) == [f"services.{name}" for name in SERVICE_PACKAGES]
    named = (part.strip() for layer in contract["layers"] for part in layer.split("|"))
    return {part.strip("()"): not part.startswith("(") for part in named}


def modules_in(folder: Path) -> list[str]:
    """Return the modules and packages of a folder by name, once for each file or folder."""
    files = [path.stem for path in folder.glob("*.py")]
    folders = [path.name for path in folder.iterdir() if any(path.glob("*.py"))]
    return sorted(files + folders)


# Where things lie


def test_the_services_are_these_six_and_no_other() -> None:
    packages = {path.parent.name for path in (TREE / "services").glob("*/__init__.py")}
    assert packages == set(SERVICE_PACKAGES)


@pytest.mark.parametrize("name", SERVICE_PACKAGES)
def test_every_service_has_the_same_files(name: str) -> None:
    allowed = layers() | {"__init__": True}
    modules = modules_in(TREE / "services" / name)
    assert len(set(modules)) == len(modules), "a file and a folder share a name"
    assert set(modules) <= allowed.keys()
    assert {module for module, is_needed in allowed.items() if is_needed} <= set(modules)


def test_the_layers_name_every_file_of_the_layout() -> None:
    assert layers().keys() >= NEEDED - {"__init__"}


@pytest.mark.parametrize("name", SERVICE_PACKAGES)
def test_every_service_says_in_one_paragraph_what_it_owns(name: str) -> None:
    told = ast.get_docstring(tree_of(TREE / "services" / name / "__init__.py"))
    assert told
    assert "never" in told.lower()


@pytest.mark.parametrize("root", PACKAGES)
def test_no_module_is_named_like_one_of_the_standard_library(root: str) -> None:
    found = {
        place(path)
        for path in sources(root)
        if {path.stem, path.parent.name} & (sys.stdlib_module_names - {"__main__"})
    }
    assert not found


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = {place(path) for path in sources(*PACKAGES, "tests") if path.stem in VAGUE}
    folders = {place(path.parent) for path in sources(*PACKAGES) if path.parent.name in VAGUE}
    assert not named | folders


@pytest.mark.parametrize("root", PACKAGES)
def test_our_packages_are_ours(root: str) -> None:
    assert not importlib.metadata.packages_distributions().get(root)
    spec = find_spec(root)
    assert spec is not None
    assert spec.origin == str(TREE / root / "__init__.py")


def test_every_folder_of_ours_is_a_regular_package() -> None:
    folders = {path.parent for path in sources(*PACKAGES)}
    assert not [place(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_the_import_linter_saw_every_file() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    expected = set()
    for root in PACKAGES:
        for path in (TREE / root).rglob("*.py"):
            parts = path.relative_to(TREE).with_suffix("").parts
            expected.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    assert graph.modules == expected


# What nobody writes

BANNED: Final = {
    "a patched object": re.compile(r"\bmock\.patch|unittest\.mock|monkeypatch\.setattr"),
    "something left to do": re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"),
    "a swallowed error": re.compile(r"except (?:Base)?Exception:\s*(?:pass|\.\.\.)|except:\s"),
    "a path of one machine": re.compile(
        r"""["' (=](?:/(?:work|root|home|Users)/(?!nonroot)\w|[A-Z]:\\\\)"""
    ),
    "a word of another trade": re.compile(
        r"(?i)\b(?:chat|coding|ai)[ -]?(?:assistant|session)s?\b|\b(?:this|the|our) session\b"
    ),
    "a clock of its own": re.compile(r"datetime\.(?:now|utcnow|today)\(|\btime\.time\(\)"),
    "the environment": re.compile(r"\bos\.(?:environ|getenv)\b"),
}
CHOSEN_IN_TESTS: Final = {"the environment"}
"""Tests that start programs say what these see."""

WRITTEN_IN: Final = {"the environment": {"shared/config.py"}}


@pytest.mark.parametrize("what", BANNED)
def test_nobody_writes(what: str) -> None:
    allowed = WRITTEN_IN.get(what, set()) | {place(Path(__file__))}
    found = [
        f"{place(path)}: {match.group().strip()}"
        for path in sources(*PACKAGES, *(() if what in CHOSEN_IN_TESTS else ("tests",)))
        if place(path) not in allowed
        for match in BANNED[what].finditer(text_of(path))
    ]
    assert not found


def test_no_file_beside_the_code_names_a_path_of_one_machine() -> None:
    beside = [path for path in TREE.iterdir() if path.suffix in {"", ".md", ".toml", ".txt"}]
    beside += [
        path for name in ("docker", "compose", "devnet") for path in (TREE / name).rglob("*.*")
    ]
    files = [path for path in beside if path.is_file() and path.suffix not in {".py", ".pyc"}]
    machine = re.compile(r"/(?:work|root|home|Users)/\w")
    assert len(files) > 5
    assert not [place(path) for path in files if machine.search(path.read_text(errors="replace"))]


def test_money_is_never_divided_or_floated() -> None:
    money = [
        TREE / "shared" / "money.py",
        *sources(*(f"services/{name}" for name in SERVICE_PACKAGES)),
    ]
    domain = [path for path in money if "domain" in place(path) or path.name == "money.py"]
    assert len(domain) > len(SERVICE_PACKAGES)
    found = []
    for path in domain:
        for node in ast.walk(tree_of(path)):
            divides = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
            floats = isinstance(node, ast.Name) and node.id == "float"
            literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            if divides or floats or literal:
                found.append(f"{place(path)}:{getattr(node, 'lineno', 0)}")
    assert not found


def test_nothing_swallows_every_exception() -> None:
    found = [
        f"{place(path)}:{node.lineno}"
        for path in sources(*PACKAGES)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
        and all(isinstance(step, ast.Pass | ast.Expr | ast.Continue) for step in node.body)
        and not any(
            isinstance(step, ast.Expr) and isinstance(step.value, ast.Call) for step in node.body
        )
    ]
    assert not found


# Who may do what

SIGNING: Final = frozenset({"SigningKey", "PrivateNode"})


def test_only_the_vault_touches_a_key_that_signs() -> None:
    users = set()
    for path in sources("services", "shared"):
        for node in ast.walk(tree_of(path)):
            names = {
                ast.Name: lambda one: {one.id},
                ast.Attribute: lambda one: {one.attr},
                ast.ImportFrom: lambda one: {alias.name for alias in one.names},
            }.get(type(node))
            if names is not None and names(node) & SIGNING:
                users.add(place(path))
    outside = {user for user in users if not user.startswith("shared/tron/")}
    assert outside == {"services/wallet_manager/vault/keys.py"}


# What stands beside the code


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-prod.txt", "constraints.txt"])
def test_every_requirement_is_pinned(name: str) -> None:
    lines = [line.strip() for line in (TREE / name).read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith(("#", "-r ", "-c "))]
    pinned = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][A-Za-z0-9.!+]*")
    assert wanted
    assert not [line for line in wanted if not pinned.fullmatch(line)]


def settings_classes() -> list[type[ServiceSettings]]:
    named = [
        importlib.import_module(f"services.{name}.settings").Settings for name in SERVICE_PACKAGES
    ]
    return [ServiceSettings, *named]


def fields() -> Iterator[tuple[str, FieldInfo]]:
    for settings in settings_classes():
        for name, field in settings.model_fields.items():
            yield f"{settings.__module__}.{name}", field


UNIT: Final = re.compile(r"_(?:s|ms|bytes|percent|sun|trx|usdt|days|blocks)$")
NEEDS_UNIT: Final = re.compile(
    r"timeout|interval|lifetime|leeway|window|grace|ladder|age|wait|delay|skew|_size|bytes|ttl|expir"
)
WITHOUT_UNIT_TYPE: Final = (bool, str, Path)


def test_every_setting_is_described() -> None:
    assert not [name for name, field in fields() if not field.description]


def test_every_setting_names_its_variable() -> None:
    for name, field in fields():
        alias = field.validation_alias
        named = alias.choices if isinstance(alias, AliasChoices) else [alias]
        assert all(isinstance(one, str) and one.isupper() for one in named), name


def test_a_setting_that_is_a_time_or_a_size_ends_in_its_unit() -> None:
    plain = [
        name
        for name, field in fields()
        if NEEDS_UNIT.search(name.rpartition(".")[2])
        and field.annotation is int
        and not UNIT.search(name)
    ]
    assert not plain


def test_one_variable_means_one_thing() -> None:
    meanings: dict[str, set[str]] = {}
    for name, field in fields():
        meanings.setdefault(str(field.validation_alias), set()).add(name.rpartition(".")[2])
    assert not {alias: names for alias, names in meanings.items() if len(names) > 1}


# What is open


def app_of(name: str, data_dir: Path) -> FastAPI:
    create = importlib.import_module(f"services.{name}.app").create
    settings = importlib.import_module(f"services.{name}.settings").Settings
    chosen = settings(tron_network=Network.DEVNET, data_dir=data_dir)
    service = next(service for service in SERVICES if python_name(service) == name)
    runtime = Runtime(service=service, settings=chosen, clock=HeldClock(START_MS))
    app: FastAPI = create(chosen, runtime)
    return app


def open_prefixes(name: str) -> tuple[str, ...]:
    found = MARKED_OPEN.search(text_of(TREE / "services" / name / "app.py"))
    return tuple(re.findall(r'"([^"]+)"', found[1])) if found else ()


@pytest.mark.parametrize("name", SERVICE_PACKAGES)
async def test_every_route_but_the_open_list_says_401_without_a_token(
    name: str, tmp_path: Path
) -> None:
    app = app_of(name, tmp_path)
    allowed, answered = open_prefixes(name), set()
    async with serving(app) as client:
        assert (await client.get("/health")).status_code == httpx.codes.OK
        assert (await client.get("/ready")).status_code == httpx.codes.SERVICE_UNAVAILABLE
        for route in iter_route_contexts(app.routes):
            path = str(route.path)
            for method in sorted(route.methods or ()):
                response = await client.request(method, re.sub(r"\{[^}]*\}", "x", path))
                if response.status_code != httpx.codes.UNAUTHORIZED:
                    answered.add(path)
                    continue
                assert response.headers["content-type"] == MEDIA_TYPE, path
                assert response.headers["www-authenticate"] == "Bearer", path
                if method != "HEAD":
                    assert response.json()["instance"].startswith("/"), path
    answered -= {path for path in answered if allowed and path.startswith(allowed)}
    assert answered == OPEN_PATHS


@pytest.mark.parametrize("name", SERVICE_PACKAGES)
def test_what_is_open_by_an_unguessable_path_belongs_to_the_gateway(name: str) -> None:
    assert name == "payment_gateway" or not open_prefixes(name)

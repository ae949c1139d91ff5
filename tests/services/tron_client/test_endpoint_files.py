"""The operator's list of nodes: taken as it was meant, or refused with entry and field."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.tron_client.app import create
from services.tron_client.node.endpoints import Endpoint
from services.tron_client.node.files import (
    MAX_ENDPOINTS,
    MAX_FILE_BYTES,
    BadEndpoints,
    read_endpoints,
)
from services.tron_client.settings import Settings
from shared.config import ConfigurationMissing, explain
from shared.tron.networks import Network
from shared.web.runtime import Runtime
from tests.services.tron_client.bench import Wire, World
from tests.support import Keys, serving, settings_in

TREE = Path(__file__).resolve().parents[3]
KEY = "0ab1c2d3-secret-key"

PLAIN: dict[str, Any] = {
    "name": "own",
    "operator": "ourselves",
    "url": "https://node.example:8090/base",
    "calls_per_s": 0,
    "calls_per_day": 0,
}
FULL: dict[str, Any] = {
    "name": "trongrid",
    "operator": "trongrid",
    "url": "https://api.trongrid.io",
    "api_key_file": "key",
    "priority": 3,
    "weight": 2,
    "calls_per_s": 12,
    "calls_per_day": 100_000,
    "concurrency": 8,
    "provides_history": True,
}


def listed(folder: Path, *entries: Any) -> Path:
    path = folder / "endpoints.json"
    path.write_text(json.dumps(entries))
    return path


def put_key(folder: Path, content: str = KEY + "\n", *, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.touch(mode=0o600)
    path.write_text(content)
    path.chmod(mode)
    return path


def told(path: Path) -> str:
    """Return what is said of a list that is refused."""
    with pytest.raises(ConfigurationMissing) as refused:
        read_endpoints(path)
    return str(refused.value)


def test_a_list_is_read_in_its_order_with_its_keys(tmp_path: Path) -> None:
    put_key(tmp_path)
    assert read_endpoints(listed(tmp_path, FULL, PLAIN)) == [
        Endpoint(
            name="trongrid",
            operator="trongrid",
            url="https://api.trongrid.io",
            api_key=KEY,
            priority=3,
            weight=2,
            calls_per_s=12,
            calls_per_day=100_000,
            concurrency=8,
            provides_history=True,
        ),
        Endpoint(
            name="own",
            operator="ourselves",
            url="https://node.example:8090/base",
            api_key=None,
            priority=0,
            weight=1,
            calls_per_s=0,
            calls_per_day=0,
            concurrency=16,
            provides_history=False,
        ),
    ]


def test_the_example_can_be_used_as_it_is_once_its_key_is_there(tmp_path: Path) -> None:
    example = TREE / "compose" / "endpoints.example.json"
    (tmp_path / "endpoints.json").write_text(example.read_text())
    assert "trongrid-api-key" in told(tmp_path / "endpoints.json")
    put_key(tmp_path).rename(tmp_path / "trongrid-api-key")
    found = read_endpoints(tmp_path / "endpoints.json")
    assert {each.operator for each in found} == {"trongrid", "ourselves"}
    assert [each.api_key for each in found] == [KEY, None]
    assert [each.provides_history for each in found] == [True, False]


def test_a_key_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    key = put_key(tmp_path / "keys")
    (found,) = read_endpoints(listed(tmp_path, FULL | {"api_key_file": str(key)}))
    assert found.api_key == KEY


def test_no_key_is_seen_where_an_endpoint_is_printed(tmp_path: Path) -> None:
    put_key(tmp_path)
    (found,) = read_endpoints(listed(tmp_path, FULL))
    assert KEY not in repr(found)
    assert KEY not in str(found)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"name": "Own"}, "name"),
        ({"name": "a" * 33}, "name"),
        ({"name": ""}, "name"),
        ({"operator": "Our Selves"}, "operator"),
        ({"operator": 7}, "operator"),
        ({"url": None}, "url"),
        ({"url": ""}, "url"),
        ({"url": "node.example:8090"}, "url"),
        ({"url": "ftp://node.example"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://node.example:99999"}, "url"),
        ({"url": "https://node.example:x"}, "url"),
        ({"url": "https://[::1"}, "url"),
        ({"url": "https://node example"}, "url"),
        ({"url": "https://node.exämple"}, "url"),
        ({"url": "https://node.example/\n"}, "url"),
        ({"url": "https://user:secret@node.example"}, "url"),
        ({"url": "https://secret@node.example"}, "url"),
        ({"url": "https://node.example?api_key=secret"}, "url"),
        ({"url": "https://node.example/?"}, "url"),
        ({"url": "https://node.example/#secret"}, "url"),
        ({"api_key_file": ""}, "api_key_file"),
        ({"api_key_file": "nowhere"}, "api_key_file"),
        ({"priority": -1}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"weight": 0}, "weight"),
        ({"weight": True}, "weight"),
        ({"calls_per_s": "12"}, "calls_per_s"),
        ({"calls_per_s": None}, "calls_per_s"),
        ({"calls_per_day": -1}, "calls_per_day"),
        ({"calls_per_day": 2**63}, "calls_per_day"),
        ({"concurrency": 0}, "concurrency"),
        ({"provides_history": "yes"}, "provides_history"),
        ({"api_key": "secret"}, "api_key"),
        ({"wieght": 2}, "wieght"),
    ],
)
def test_a_malformed_entry_is_named_with_its_field_and_nothing_secret(
    tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    first = PLAIN | {"name": "first", "url": "https://first.example"}
    said = told(listed(tmp_path, first, PLAIN | change))
    name = {**PLAIN, **change}["name"]
    assert ("node 2" in said) or (f"node {name}" in said)
    assert field in said
    assert "secret" not in said


@pytest.mark.parametrize("field", ["name", "operator", "url", "calls_per_s", "calls_per_day"])
def test_what_has_no_safe_default_must_be_said(tmp_path: Path, field: str) -> None:
    said = told(listed(tmp_path, {key: value for key, value in PLAIN.items() if key != field}))
    assert "node 1" in said
    assert f"`{field}`" in said


def test_two_nodes_share_neither_name_nor_place(tmp_path: Path) -> None:
    twin = PLAIN | {"url": "https://other.example"}
    assert "node 2 (own): name" in told(listed(tmp_path, PLAIN, twin))
    for url in (PLAIN["url"], PLAIN["url"] + "/", "HTTPS://NODE.example:8090/base"):
        other = PLAIN | {"name": "other", "operator": "another", "url": url}
        assert "node 2 (other): url" in told(listed(tmp_path, PLAIN, other))


def test_a_key_goes_nowhere_in_the_clear(tmp_path: Path) -> None:
    put_key(tmp_path)
    assert "url" in told(listed(tmp_path, FULL | {"url": "http://node.example"}))
    onion = f"http://{'a' * 56}.onion"
    assert read_endpoints(listed(tmp_path, FULL | {"url": onion}))[0].api_key == KEY


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    put_key(tmp_path, mode=mode)
    said = told(listed(tmp_path, FULL))
    assert "trongrid" in said
    assert "chmod 600" in said
    assert KEY not in said


@pytest.mark.parametrize("content", ["", " \n", "two words", "a\nb", "kéy", "x" * 300, "\udcff"])
def test_what_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    put_key(tmp_path)
    (tmp_path / "key").write_bytes(content.encode(errors="surrogateescape"))
    assert "trongrid" in told(listed(tmp_path, FULL))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[1]",
        b"[[]]",
        b'["own"]',
        b"[{}",
        b'[{"name": "a", "name": "b"}]',
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * (MAX_FILE_BYTES + 1),
        json.dumps([PLAIN] * (MAX_ENDPOINTS + 1)).encode(),
    ],
)
def test_what_is_no_list_of_nodes_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "endpoints.json"
    path.write_bytes(content)
    with pytest.raises(BadEndpoints):
        read_endpoints(path)


def test_a_list_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    assert "endpoints.json" in told(tmp_path / "endpoints.json")
    assert "cannot be read" in told(tmp_path)


# Settings


def test_a_list_and_a_single_node_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_in(
            tmp_path, Settings, endpoints_file=tmp_path / "x", node_url="http://127.0.0.1:1"
        )
    assert "TRON_ENDPOINTS_FILE" in explain(refused.value)


@pytest.mark.parametrize("url", ["socks5://tor:9050", "socks5h://user:secret@tor:9050", "tor"])
def test_a_proxy_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_in(tmp_path, Settings, node_proxy_url=url)
    said = explain(refused.value)
    assert "node_proxy_url" in said or "NODE_PROXY_URL" in said
    assert "secret" not in said


def settings_of(root: Path, network: Network, **changes: Any) -> Settings:
    return Settings(tron_network=network, data_dir=root, **changes)


def test_without_a_list_there_is_one_node(tmp_path: Path) -> None:
    put_secret = tmp_path / "secrets" / "tron-client"
    put_secret.mkdir(parents=True)
    put_key(put_secret).rename(put_secret / "trongrid-api-key")
    (only,) = settings_of(tmp_path, Network.MAINNET).endpoints()
    assert (only.operator, only.api_key, only.provides_history) == ("trongrid.io", KEY, True)
    assert (only.calls_per_s, only.calls_per_day) == (12, 100_000)

    own = settings_of(tmp_path, Network.MAINNET, node_url="https://trongrid.io.example")
    assert [(each.operator, each.provides_history) for each in own.endpoints()] == [
        ("io.example", False)
    ]


@pytest.mark.parametrize("which", ["node_url", "second_node_url"])
def test_a_single_nodes_key_goes_nowhere_in_the_clear_either(tmp_path: Path, which: str) -> None:
    folder = tmp_path / "secrets" / "tron-client"
    folder.mkdir(parents=True)
    put_key(folder).rename(
        folder / {"node_url": "trongrid-api-key", "second_node_url": "second-api-key"}[which]
    )
    open_node = {which: "http://node.example"}
    with pytest.raises(ConfigurationMissing, match="https://") as refused:
        settings_of(tmp_path, Network.MAINNET, **open_node).endpoints()
    assert KEY not in str(refused.value)
    assert settings_of(tmp_path, Network.DEVNET, **open_node).endpoints()


def test_with_a_list_the_nodes_are_those_of_the_list(tmp_path: Path) -> None:
    path = listed(tmp_path, PLAIN)
    settings = settings_of(tmp_path, Network.MAINNET, endpoints_file=path)
    assert settings.endpoints() == read_endpoints(path)


def test_a_hidden_node_needs_a_proxy_and_a_proxy_of_tor_no_open_node(tmp_path: Path) -> None:
    hidden = PLAIN | {"name": "hidden", "url": f"http://{'a' * 56}.onion:8090"}
    path = listed(tmp_path, PLAIN, hidden)
    with pytest.raises(ConfigurationMissing, match="NODE_PROXY_URL"):
        settings_of(tmp_path, Network.NILE, endpoints_file=path).endpoints()
    through_tor = {"node_proxy_url": "socks5h://tor:9050"}
    behind = settings_of(tmp_path, Network.NILE, endpoints_file=path, **through_tor)
    assert len(behind.endpoints()) == 2

    listed(tmp_path, PLAIN | {"url": "http://node.example:8090"}, hidden)
    with pytest.raises(ConfigurationMissing, match="https"):
        behind.endpoints()


async def test_a_list_that_cannot_be_used_keeps_the_service_from_being_ready_and_says_why(
    world: World, tmp_path: Path
) -> None:
    path = listed(tmp_path, PLAIN | {"weight": 0})
    settings = settings_in(tmp_path, Settings, endpoints_file=path)
    runtime = Runtime(service="tron-client", settings=settings, clock=world.devnet.node.clock)
    Keys(tmp_path, runtime.clock)
    app = create(settings, runtime, node_transport=Wire(world.devnet))
    async with serving(app) as http:
        told = ""
        for _ in range(500):
            response = await http.get("/ready")
            assert response.status_code == 503
            told = response.text
            if "node 1 (own)" in told:
                break
            await asyncio.sleep(0.02)
        assert "node 1 (own)" in told
        assert "weight" in told

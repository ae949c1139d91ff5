"""What can be said of the Tor overlay without an engine: no way to a node but through the proxy."""

import asyncio
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from services.tron_client.node.proxying import check_proxy
from shared.config import process_environment
from tests.services.tron_client.socks import Reader, SocksProxy, Writer, listening, port_of

TREE: Final = Path(__file__).resolve().parents[2]
DOCKER: Final = shutil.which("docker")
TORRC: Final = (TREE / "docker" / "tor" / "torrc").read_text()
DOCKERFILE: Final = (TREE / "docker" / "tor" / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """What compose makes of the stack with the overlay."""
    if DOCKER is None:
        pytest.skip("there is no docker to read compose files with")
    command = [DOCKER, "compose", "--env-file", "/dev/null"]
    for name in ("compose.yaml", "tor.yaml"):
        command += ["--file", str(TREE / "compose" / name)]
    done = subprocess.run(
        [*command, "config", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        env=process_environment() | {"TRON_NETWORK": "nile"},
    )
    if "is not a docker command" in done.stderr:
        pytest.skip("this docker has no compose")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _members(composed: dict[str, Any], network: str) -> list[str]:
    services = composed["services"].items()
    return sorted(name for name, each in services if network in (each.get("networks") or {}))


def test_tron_client_has_no_way_out_of_its_own(composed: dict[str, Any]) -> None:
    service = composed["services"]["tron-client"]
    assert service["networks"].keys() == {"isolated", "tor"}
    assert service["networks"]["isolated"]["aliases"] == ["lucid-tron-client"]
    for name in service["networks"]:
        assert composed["networks"][name]["internal"] is True
    assert service["dns"] == ["127.0.0.1"]


def test_its_proxy_is_one_that_can_be_used(composed: dict[str, Any]) -> None:
    url = composed["services"]["tron-client"]["environment"]["NODE_PROXY_URL"]
    assert check_proxy(url) == url == "socks5h://tor:9050"
    assert composed["services"]["tron-client"]["depends_on"]["tor"] == {
        "condition": "service_healthy",
        "required": True,
    }
    assert re.search(r"(?m)^SocksPort 0\.0\.0\.0:9050\b", TORRC)


def test_only_tron_client_reaches_tor_and_only_tor_gets_out(composed: dict[str, Any]) -> None:
    assert _members(composed, "tor") == ["tor", "tron-client"]
    assert _members(composed, "tor-egress") == ["tor"]
    assert _members(composed, "egress") == []


def test_tor_is_confined_like_the_services_and_publishes_nothing(composed: dict[str, Any]) -> None:
    tor, service = composed["services"]["tor"], composed["services"]["tron-client"]
    for name in ("user", "read_only", "cap_drop", "security_opt", "logging", "restart"):
        assert tor[name] == service[name]
    assert int(tor["mem_limit"]) <= 256 * 1024**2
    assert tor["pids_limit"] <= service["pids_limit"]
    assert "ports" not in tor
    assert [(each["source"], each["target"]) for each in tor["volumes"]] == [
        ("data-tor", "/data/tor")
    ]


def test_the_configuration_is_a_clients_alone() -> None:
    lines = dict(line.split(maxsplit=1) for line in TORRC.splitlines() if not line.startswith("#"))
    assert lines["ClientOnly"] == "1"
    assert lines["SafeSocks"] == "1"
    assert lines["SocksPolicy"] == "reject *", "the last policy"
    assert lines["DataDirectory"] == "/data/tor"
    assert not lines.keys() & {"ORPort", "DirPort", "ControlPort", "HiddenServiceDir", "ExitRelay"}


def test_the_image_is_built_like_the_egress_proxys() -> None:
    other = (TREE / "docker" / "egress-proxy" / "Dockerfile").read_text()
    for line in other.splitlines():
        if line.startswith(("FROM", "USER", "STOPSIGNAL", "ARG B", "ARG R", "    --mount", "RUN")):
            assert line in DOCKERFILE, f"no line {line!r}"


async def test_the_health_check_tells_a_proxy_from_others() -> None:
    path = TREE / "docker" / "tor" / "health.py"
    spec = importlib.util.spec_from_file_location("tor_health", path)
    assert spec is not None
    assert spec.loader is not None
    health: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(health)

    async def hangs_up(_: Reader, writer: Writer) -> None:
        writer.close()

    async def welcomes_nobody(reader: Reader, writer: Writer) -> None:
        await reader.readexactly(3)
        writer.write(b"\x05\xff")
        await reader.read()

    async def told(port: int) -> int:
        return int(await asyncio.to_thread(health.main, port))

    async with listening(SocksProxy(port=0).serve) as server:
        assert await told(port_of(server)) == 0
        port = port_of(server)
    assert await told(port) == 1
    for serve in (hangs_up, welcomes_nobody):
        async with listening(serve) as server:
            assert await told(port_of(server)) == 1
    assert re.search(rf"(?m)^SocksPort 0\.0\.0\.0:{health.PORT}\b", TORRC)

"""The images by themselves: what is in them, how they run, on both architectures."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from shared.config import python_name
from tests.containers.engine import HARDENED, SERVICES, TWO, Engine

pytestmark = pytest.mark.containers

ALL: Final = (*SERVICES, "operator", "devnet", "egress-proxy", "tor")


def config(engine: Engine, image: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(engine.docker("image", "inspect", image))
    settings: dict[str, Any] = found[0]["Config"]
    return settings


def listing(engine: Engine, tree: Path, image: str) -> list[str]:
    """Return every path in an image; each is looked into once."""
    key = engine.docker("image", "inspect", "--format", "{{.Id}}", image)
    if key not in _LISTINGS:
        _LISTINGS[key] = _exported(engine, tree, image)
    return _LISTINGS[key]


_LISTINGS: Final[dict[str, list[str]]] = {}


def _exported(engine: Engine, tree: Path, image: str) -> list[str]:
    archive = tree.parent / f"{image.replace('/', '-')}.tar"
    container = engine.docker("create", image)
    try:
        engine.docker("export", "--output", str(archive), container)
        return engine.run("tar", "-tf", str(archive)).stdout.splitlines()
    finally:
        engine.docker("rm", container)
        archive.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def alone(engine: Engine, tree: Path) -> Iterator[dict[str, str]]:  # noqa: ARG001 - has images built
    """The six, each given its network and log level and nothing else."""
    started = {}
    for service in SERVICES:
        image = f"pickme/lucid-{service}"
        name = f"alone-{service}"
        started[service] = engine.docker("run", "--detach", "--name", name, *HARDENED, *TWO, image)
    yield started
    engine.docker("rm", "--force", *started.values())


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_given_only_its_network_and_log_level_is_healthy(
    engine: Engine, alone: dict[str, str], service: str
) -> None:
    engine.wait_healthy(alone[service], timeout_s=60)


@pytest.mark.parametrize("service", SERVICES)
def test_nobody_in_the_container_has_rights(
    engine: Engine, alone: dict[str, str], service: str
) -> None:
    engine.wait_healthy(alone[service], timeout_s=60)
    status = engine.python_in(alone[service], "print(open('/proc/1/status').read())").stdout
    assert re.search(r"(?m)^Uid:\s+65532\s+65532", status)
    for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
        assert re.search(rf"(?m)^Cap{kind}:\s+0000000000000000$", status)
    assert re.search(r"(?m)^NoNewPrivs:\s+1$", status)
    for place in ("/", "/opt/app", "/data/payment-systems", "/home/nonroot"):
        assert engine.python_in(alone[service], f"open('{place}/x', 'w')").returncode != 0


@pytest.mark.parametrize("name", ALL)
def test_an_image_has_no_shell_no_secret_and_its_own_code_alone(
    engine: Engine, tree: Path, name: str
) -> None:
    paths = listing(engine, tree, f"pickme/lucid-{name}")
    programs = {Path(path).name for path in paths if "bin/" in path}
    assert not programs & {"sh", "bash", "dash", "busybox", "pip", "pip3", "apt", "apt-get"}
    data = [path for path in paths if path.startswith("data/") and not path.endswith("/")]
    assert not data
    kinds = (".pem", ".key", ".token", ".sqlite3", ".env", "pip_ca")
    suspicious = [path for path in paths if path.endswith(kinds) and "certifi" not in path]
    assert not suspicious
    own = {path.split("/")[3] for path in paths if path.startswith("opt/app/services/")}
    packages = {part for part in own if part and not part.startswith("_") and ".py" not in part}
    expected: dict[str, set[str]] = {each: set() for each in ("devnet", "egress-proxy", "tor")}
    expected["operator"] = {"wallet_manager"}
    assert packages == expected.get(name, {python_name(name)})


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_says_what_it_is_and_starts_from_bytecode(
    engine: Engine, tree: Path, service: str
) -> None:
    image = f"pickme/lucid-{service}"
    settings = config(engine, image)
    labels = settings["Labels"]
    version = labels["org.opencontainers.image.version"]
    assert config(engine, f"{image}:{version}") == settings
    assert labels["lucid.service"] == service
    assert labels["lucid.cluster"] == "tron-payment"
    assert labels["lucid.plane"] == "wallet"
    assert labels["lucid.isolation"] == "payment-only"
    assert settings["User"] == "65532:65532"
    assert settings["StopSignal"] == "SIGTERM"
    assert settings["Healthcheck"]["Test"][0] == "CMD"
    paths = listing(engine, tree, image)
    assert "opt/app/bill-of-materials.cdx.json" in paths
    for module in ("usr/lib/python3.13/__pycache__/ssl", "opt/deps/fastapi/__pycache__/routing"):
        assert f"{module}.cpython-313.pyc" in paths


def test_a_health_check_costs_next_to_nothing(engine: Engine, alone: dict[str, str]) -> None:
    container = alone["tron-client"]
    engine.wait_healthy(container, timeout_s=60)
    check = config(engine, "pickme/lucid-tron-client")["Healthcheck"]["Test"][1:]
    code = (
        "import os, resource, subprocess\n"
        f"done = [subprocess.run({check!r}).returncode for _ in range(10)]\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(max(done), (used.ru_utime + used.ru_stime) / 10)"
    )
    worst, seconds = engine.python_in(container, code).stdout.split()
    assert worst == "0"
    assert float(seconds) < 0.1


def test_sizes_are_told(engine: Engine, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print()  # noqa: T201 - figures for whoever reads the run
        for name in ALL:
            archive = tree.parent / "size.tar"
            container = engine.docker("create", f"pickme/lucid-{name}")
            engine.docker("export", "--output", str(archive), container)
            engine.docker("rm", container)
            size_mb = archive.stat().st_size / 1e6
            archive.unlink()
            print(f"  pickme/lucid-{name:<16} {size_mb:6.1f} MB unpacked")  # noqa: T201
            assert size_mb < 250


def test_two_builds_of_every_image_are_the_same_bytes(engine: Engine, tree: Path) -> None:
    def ids(tag: str) -> dict[str, str]:
        inspect = ("image", "inspect", "--format", "{{.Id}} {{.Created}} {{json .RootFS.Layers}}")
        return {name: engine.docker(*inspect, f"pickme/lucid-{name}:{tag}") for name in ALL}

    first = ids("latest")
    bake = engine.run("make", "--dry-run", "images", cwd=tree).stdout
    again = {"TAG": "again"}
    engine.run("/bin/bash", "-ec", f"{bake.rstrip()} --no-cache", cwd=tree, more=again)
    assert ids("again") == first


def test_a_release_holds_both_architectures_and_says_how_each_was_built(
    engine: Engine, tree: Path
) -> None:
    """The bill of materials of BuildKit's own scanner is left out: the scanner comes from a registry."""
    archive = tree.parent / "release.tar"
    bake = engine.run("make", "--dry-run", "release", "REGISTRY=local/", cwd=tree).stdout
    bake = bake.splitlines()[-1].replace(" release --push", " usdt-manager-release")
    told = ("--set *.attest=type=sbom,disabled=true", f"--set *.output=type=oci,dest={archive}")
    engine.run("/bin/bash", "-ec", " ".join((bake, *told)), cwd=tree)
    engine.run("tar", "-xf", str(archive), "--one-top-level=release", cwd=tree.parent)
    blobs = tree.parent / "release" / "blobs" / "sha256"

    def blob(digest: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((blobs / digest.removeprefix("sha256:")).read_text())
        return document

    (top,) = json.loads((blobs.parents[1] / "index.json").read_text())["manifests"][:1]
    entries = blob(top["digest"])["manifests"]
    platforms = {entry["platform"]["architecture"]: entry["digest"] for entry in entries}
    assert set(platforms) == {"amd64", "arm64", "unknown"}
    attested = [
        entry
        for entry in entries
        if entry.get("annotations", {}).get("vnd.docker.reference.type") == "attestation-manifest"
    ]
    assert len(attested) == 2
    for entry in attested:
        (layer,) = blob(entry["digest"])["layers"]
        statement = blob(layer["digest"])
        assert statement["predicateType"].startswith("https://slsa.dev/provenance/")
        assert "pip_ca" not in json.dumps(
            statement["predicate"].get("invocation", {}).get("environment", {})
        )

"""The documentation's Raspberry Pi section, as far as an amd64 machine with emulation can follow it.

What is not particular to the Pi (up, smoke test, demo, backup, stop) is in test_stack, from the same clone.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.containers.engine import BUILDER, HARDENED, SERVICES, TWO, Engine
from tests.containers.stack import DOCUMENTATION, Stack

pytestmark = pytest.mark.containers

SAVE: Final = """\
docker save --output lucid-arm64.tar $(docker image ls --format '{{.Repository}}:{{.Tag}}' \\
  --filter 'reference=pickme/lucid-*:latest-arm64')"""
LOAD: Final = "docker load --input lucid-arm64.tar"
EMULATED: Final = ("devnet", "tron-client")
"""Started by compose; the other five by themselves, because a whole stack takes minutes emulated."""


@pytest.fixture
def carried(engine: Engine, tree: Path) -> None:
    """The images for the Raspberry Pi: built, saved, removed, and loaded as the documentation says."""
    engine.run("make", "images-arm", cwd=tree, timeout_s=900)
    reference = "pickme/lucid-*:*-arm64"
    listed = ("image", "ls", "--filter", f"reference={reference}")
    before = engine.docker(*listed, "--format", "{{.Repository}} {{.ID}}")
    assert SAVE in _unindented(DOCUMENTATION)
    assert LOAD in DOCUMENTATION
    engine.run("/bin/bash", "-ec", SAVE, cwd=tree)
    names = engine.docker(*listed, "--format", "{{.Repository}}:{{.Tag}}").split()
    engine.docker("image", "rm", "--force", *names)
    assert not engine.docker(*listed, "--quiet")
    engine.run("/bin/bash", "-ec", LOAD, cwd=tree)
    after = engine.docker(*listed, "--format", "{{.Repository}} {{.ID}}")
    assert set(after.splitlines()) == set(before.splitlines())


def _unindented(text: str) -> str:
    """Return a text without the indentation of a list's items."""
    return re.sub(r"(?m)^   ", "", text)


@pytest.fixture
def emulated(engine: Engine, tree: Path, carried: None) -> Iterator[Stack]:  # noqa: ARG001 - loaded
    """The Pi's installation, with patience for an emulated processor."""
    patience = {"healthcheck": {"start_period": "300s", "timeout": "20s"}}
    overlay = {"services": dict.fromkeys(EMULATED, patience)}
    (tree / "compose" / "emulated.yaml").write_text(json.dumps(overlay))
    with engine.emulating_arm64():
        stack = Stack(engine, tree)
        file = tree / ".env"
        more = "compose/debug.yaml:compose/emulated.yaml"
        text = file.read_text().replace("compose/debug.yaml", more)
        file.write_text(f"{text}TAG=latest-arm64\nDEVNET_SPEED=1\n")
        try:
            yield stack
        finally:
            stack.compose("down", "--volumes", "--timeout", "0")
            file.unlink()


def test_the_raspberry_pis_images_are_carried_over_and_answer_under_emulation(
    engine: Engine, emulated: Stack
) -> None:
    started = []
    try:
        for service in SERVICES:
            image = f"pickme/lucid-{service}:latest-arm64"
            assert engine.docker("image", "inspect", "-f", "{{.Architecture}}", image) == "arm64"
            if service not in EMULATED:
                run = ("run", "--detach", "--platform", "linux/arm64", "--health-timeout", "15s")
                patience = ("--health-start-period", "300s")
                started.append(engine.docker(*run, *patience, *HARDENED, *TWO, image))
        emulated.compose("up", "--detach", "--wait", "tron-client", timeout_s=600)
        assert emulated.compose("run", "--rm", "-T", "setup", "token").count(".") == 2
        url = f"http://127.0.0.1:{emulated.ports.services['tron-client']}/health/ready"
        assert httpx.get(url, timeout=30, trust_env=False).status_code == 200
        for container in started:
            engine.wait_healthy(container, timeout_s=300)
    finally:
        if started:
            engine.docker("rm", "--force", *started)


def test_the_preparation_script_installs_what_a_pi_lacks(engine: Engine, tree: Path) -> None:
    """In a Debian 13 without engine, memory limits and systemd, as far as a container can be one."""
    script = """
set -e
apt-get -qq update
apt-get -qq install -y --no-install-recommends mount > /dev/null
mkdir -p /boot/firmware
printf 'console=tty1 root=/dev/mmcblk0p2 rootwait\\n' > /boot/firmware/cmdline.txt
mount -t tmpfs none /sys/fs/cgroup
for time in first second; do
  echo "== $time"
  /tree/docker/prepare-pi.sh --install --any-machine || true
done
cat /boot/firmware/cmdline.txt
docker --version
docker compose version
docker buildx version
command -v dockerd iptables
"""
    run = ("run", "--rm", "--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined")
    mount = ("--volume", f"{tree}:/tree:ro")
    told = engine.docker(*run, *mount, BUILDER, "/bin/bash", "-c", script, timeout_s=600)
    first, second = told.split("== second")
    assert "turned on in /boot/firmware/cmdline.txt: reboot" in first
    for part in (first, second):
        assert re.search(r"(?m)^ok +compose 2\.", part)
        assert re.search(r"(?m)^ok +buildx is there", part)
        assert re.search(r"(?m)^FAILED +the engine does not answer", part)
        assert re.search(r"(?m)^note +the callers' network is not closed", part)
    assert told.count("cgroup_enable=memory cgroup_memory=1") == 1
    assert "rootwait cgroup_enable=memory cgroup_memory=1\n" in told
    assert "/usr/sbin/iptables" in told

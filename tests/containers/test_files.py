"""What can be said of images and stack without an engine."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from services.catalogue import settings_table
from shared.config import SERVICES, port_variable, python_name

TREE: Final = Path(__file__).resolve().parents[2]
COMPOSE: Final = (TREE / "compose" / "compose.yaml").read_text()
BAKE: Final = (TREE / "docker" / "docker-bake.hcl").read_text()
EXAMPLE: Final = (TREE / ".env.example").read_text()
SCRIPTS: Final = sorted([*(TREE / "docker").glob("*.sh"), *(TREE / "compose").glob("*.sh")])


def dockerfile(name: str) -> str:
    return (TREE / "docker" / name / "Dockerfile").read_text()


def neutral(service: str) -> str:
    """Return a service's Dockerfile with its names and its port taken out."""
    return (
        dockerfile(service)
        .replace(port_variable(service), "@PORT_VARIABLE@")
        .replace(str(SERVICES[service]), "@PORT@")
        .replace(service, "@SERVICE@")
        .replace(f"services.{python_name(service)}", "services.@PACKAGE@")
        .replace(f"services/{python_name(service)}", "services/@PACKAGE@")
    )


def without_comments(text: str) -> str:
    return re.sub(r"(?m)^#.*$", "", text)


def test_the_six_dockerfiles_differ_in_names_and_port_alone() -> None:
    assert len({neutral(service) for service in SERVICES}) == 1


def test_every_image_is_built_in_the_same_way() -> None:
    for name in ("devnet", "operator"):
        for line in neutral("tron-client").splitlines():
            if line.startswith(("FROM", "COPY", "USER", "STOPSIGNAL", "    --mount", "RUN")):
                assert line in dockerfile(name), f"{name} has no line {line!r}"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_dockerfile_bake_target_and_compose_service(service: str) -> None:
    assert dockerfile(service)
    assert f'"{service}"' in BAKE
    assert re.search(rf"(?m)^  {service}:$", COMPOSE)
    assert f"dockerfile: docker/{service}/Dockerfile" in COMPOSE


def test_no_line_goes_to_a_registry_before_the_base_images_are_needed() -> None:
    for path in (TREE / "docker").glob("*/Dockerfile"):
        text = path.read_text()
        assert "# syntax=" not in text
        assert "@sha256:" not in text


def test_the_example_names_every_setting_with_its_default() -> None:
    table = [line.split("|") for line in settings_table().splitlines()[2:]]
    for _, names, _, default, *_ in table:
        name = re.findall(r"`(\w+)`", names)[0]
        assert re.search(rf"\b{name}\b", EXAMPLE), f"{name} is not in .env.example"
        given = re.findall(rf"(?m)^#{name}=(.*)$", EXAMPLE)
        told = {"yes": "true", "no": "false"}.get(default.strip(), default.strip().strip("`"))
        if given and told:
            assert given == [told], name


def test_the_example_holds_no_secret() -> None:
    assert not re.search(r"(?mi)^#?\w*(KEY|SECRET|TOKEN|PASSWORD)=", EXAMPLE)


def test_every_setting_of_the_stack_itself_is_in_the_example() -> None:
    overlays = "".join(path.read_text() for path in (TREE / "compose").glob("*.yaml"))
    for name in set(re.findall(r"\$\{(\w+)[:}]", without_comments(overlays))) - {"VERSION"}:
        assert re.search(rf"(?m)^#?{name}=", EXAMPLE), f"{name} is not in .env.example"


def test_the_lock_names_every_requirement_in_its_version() -> None:
    lock = (TREE / "docker" / "requirements.lock").read_text()
    for line in (TREE / "requirements-prod.txt").read_text().splitlines():
        if "==" in line:
            assert f"\n{line.lower().replace('_', '-')} \\\n" in lock, f"{line}: run docker/lock.py"


def test_the_bill_of_materials_names_every_wheel_of_the_lock_with_its_hashes() -> None:
    lock = TREE / "docker" / "requirements.lock"
    command = [sys.executable, str(TREE / "docker" / "bill.py"), str(lock), "lucid-x", "1.0"]
    bill = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    listed = {f"{part['name']}=={part['version']}" for part in bill["components"]}
    assert listed == set(re.findall(r"(?m)^[a-z0-9.-]+==\S+", lock.read_text()))
    hashes = [one["content"] for part in bill["components"] for one in part["hashes"]]
    assert sorted(hashes) == sorted(re.findall(r"sha256:(\w+)", lock.read_text()))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_can_be_read_by_their_shell(script: Path) -> None:
    shell = script.read_text().splitlines()[0].removeprefix("#!")
    subprocess.run([shell, "-n", str(script)], check=True)
    assert script.stat().st_mode & 0o111, "not executable"


def test_the_preparation_script_checks_and_changes_nothing() -> None:
    done = subprocess.run(
        [str(TREE / "docker" / "prepare-pi.sh"), "--any-machine"],
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout
    assert re.search(r"(?m)^(ok|note) .*64-bit", told)
    for subject in ("memory:", "disk:", "clock:", "engine"):
        assert subject in told
    assert done.returncode == ("FAILED" in told)


def test_the_preparation_script_refuses_what_it_does_not_know() -> None:
    done = subprocess.run(
        [str(TREE / "docker" / "prepare-pi.sh"), "--force"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--install" in done.stderr

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from services.stack import TREE, free_ports
from shared.config import SERVICES, port_variable, process_environment, python_name

pytestmark = pytest.mark.system


def _environment(data_dir: Path) -> dict[str, str]:
    ports = free_ports()
    return {
        **process_environment(),
        **{port_variable(name): str(port) for name, port in ports.services.items()},
        "DEVNET_PORT": str(ports.node),
        "DEVNET_CONTROL_PORT": str(ports.control),
        "DEVNET_SPEED": "20",
        "LUCID_DATA_DIR": str(data_dir),
    }


@contextmanager
def _running(environment: dict[str, str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "services", "run"],
            cwd=TREE,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_run_serves_prints_a_call_that_works_and_leaves_nothing_behind(
    tmp_path: Path, until: Callable[..., None]
) -> None:
    output = tmp_path / "output"
    with _running(_environment(tmp_path / "data"), output) as process:
        until(lambda: "Ctrl-C stops everything" in output.read_text(), "run says where things are")
        told = output.read_text()
        call = re.search(r"^  (curl .*)$", told, re.MULTILINE)
        assert call is not None
        answer = subprocess.run(
            ["/bin/sh", "-c", call.group(1)], capture_output=True, text=True, check=True
        )
        assert '"block_height"' in answer.stdout, answer.stdout
        words = re.search(r"^  ((?:[a-z]+ ){23}[a-z]+)$", told, re.MULTILINE)
        assert words is not None, "the seed's words are shown once"
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == len(SERVICES) + 1

        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0

        assert not [child for child in children if child.is_running()]
    logs = "".join(path.read_text() for path in (tmp_path / "data" / "logs").iterdir())
    assert words.group(1) not in logs
    assert "Traceback" not in logs


def test_a_killed_run_takes_its_children_with_it(
    tmp_path: Path, until: Callable[..., None]
) -> None:
    output = tmp_path / "output"
    with _running(_environment(tmp_path / "data"), output) as process:
        until(lambda: "Ctrl-C stops everything" in output.read_text(), "run says where things are")
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        until(
            lambda: not [child for child in children if _lives(child)],
            "the children are gone",
            timeout_s=20,
        )


def test_a_busy_port_is_named_with_the_setting_that_moves_it(tmp_path: Path) -> None:
    environment = _environment(tmp_path / "data")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = subprocess.run(
            [sys.executable, "-m", "services", "run"],
            cwd=TREE,
            env={**environment, "PAYOUT_ROUTER_PORT": str(port)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 1
    assert f"port {port} is taken" in run.stderr
    assert "PAYOUT_ROUTER_PORT" in run.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_start_with_nothing_but_network_and_log_level_is_healthy_and_says_what_it_lacks(
    tmp_path: Path, service: str, until: Callable[..., None]
) -> None:
    port = free_ports().services[service]
    environment = {
        "PATH": os.environ["PATH"],  # noqa: TID251
        "HOME": str(tmp_path / "nobody"),
        "TRON_NETWORK": "mainnet",
        "LOG_LEVEL": "INFO",
        port_variable(service): str(port),
    }
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{python_name(service)}"],
            cwd=TREE,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        base = f"http://127.0.0.1:{port}"
        until(lambda: httpx.get(f"{base}/health", trust_env=False).is_success, "it is healthy")
        ready = httpx.get(f"{base}/health/ready", trust_env=False)
        assert ready.status_code == 503
        assert "python -m services init" in ready.json()["detail"]
        assert httpx.get(f"{base}/api/v1/anything", trust_env=False).status_code == 401
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()


def test_a_start_without_a_network_names_the_setting(tmp_path: Path) -> None:
    environment = {
        key: value for key, value in process_environment().items() if key != "TRON_NETWORK"
    }
    start = subprocess.run(
        [sys.executable, "-m", "services.wallet_manager"],
        cwd=TREE,
        env={**environment, "LUCID_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert start.returncode == 2
    assert "TRON_NETWORK" in start.stderr


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_calls_of_the_readme_work(tmp_path: Path, until: Callable[..., None]) -> None:
    readme = (TREE / "README.md").read_text()
    calls = [
        block for block in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) if "curl" in block
    ]
    assert len(calls) >= 4
    environment = _environment(tmp_path / "data")
    with _running(environment, tmp_path / "output"):
        until(lambda: "Ctrl-C" in (tmp_path / "output").read_text(), "run says where things are")
        token = (tmp_path / "data" / "secrets" / "operator" / "operator.token").read_text()
        urls = {
            f"{python_name(name).upper()}_URL": f"http://127.0.0.1:{environment[port_variable(name)]}"
            for name in SERVICES
        }
        for call in calls:
            answer = subprocess.run(
                ["/bin/sh", "-c", call.replace("curl -sS", "curl -sS --fail-with-body")],
                env={**environment, **urls, "TOKEN": token},
                capture_output=True,
                text=True,
                check=False,
            )
            assert answer.returncode == 0, shlex.join([call, answer.stdout, answer.stderr])

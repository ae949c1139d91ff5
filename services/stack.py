"""The six services and the devnet as processes of this machine: started, awaited, stopped.

Every child is told to die with its parent, so that nothing is left behind even after a kill -9.
"""

import contextlib
import ctypes
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import httpx

from shared.config import SERVICES, port_variable, process_environment, python_name

DEVNET: Final = "devnet"
DEVNET_PORT: Final = 18_090
DEVNET_CONTROL_PORT: Final = 18_099
TREE: Final = Path(__file__).resolve().parents[1]

_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.1
_STOP_S: Final = 12
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class PortBusy(Exception):
    """A port that is needed is taken."""

    def __init__(self, *, port: int, variable: str, program: str) -> None:
        super().__init__(
            f"port {port} is taken, and {program} needs it: free it, or move it with {variable}"
        )
        self.port = port
        self.variable = variable


class StackBroken(Exception):
    """A program of the stack ended or did not become ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where everything listens.

    Attributes:
        services: port by service name.
        node: the devnet's node.
        control: the devnet's control port.
    """

    services: dict[str, int] = field(default_factory=lambda: dict(SERVICES))
    node: int = DEVNET_PORT
    control: int = DEVNET_CONTROL_PORT

    def named(self) -> Iterator[tuple[str, int, str]]:
        """Return (program, port, variable) of every port."""
        yield DEVNET, self.node, "DEVNET_PORT"
        yield DEVNET, self.control, "DEVNET_CONTROL_PORT"
        for service, port in self.services.items():
            yield service, port, port_variable(service)

    def check_free(self) -> None:
        """Raise PortBusy for the first port that is taken."""
        for program, port, variable in self.named():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    raise PortBusy(port=port, variable=variable, program=program) from None


def free_ports() -> Ports:
    """Return ports that were free a moment ago, for stacks beside the usual one."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(len(SERVICES) + 2)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        node, control, *rest = (probe.getsockname()[1] for probe in probes)
    return Ports(services=dict(zip(SERVICES, rest, strict=True)), node=node, control=control)


class Stack:
    """Devnet and services as child processes.

    Args:
        data_dir: where all data and logs go.
        ports: where everything listens.
        speed: how many chain seconds pass in one.
        extra: further environment for the services.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        ports: Ports,
        speed: float = 1.0,
        extra: dict[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.ports = ports
        self.speed = speed
        self.extra = extra or {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def control_url(self) -> str:
        """The devnet's control port."""
        return f"http://127.0.0.1:{self.ports.control}"

    def url(self, service: str) -> str:
        """Return where a service listens."""
        return f"http://127.0.0.1:{self.ports.services[service]}"

    def environment(self) -> dict[str, str]:
        """Return what every service of this stack is given."""
        moved = {port_variable(name): str(port) for name, port in self.ports.services.items()}
        peers = {f"{python_name(name).upper()}_URL": self.url(name) for name in SERVICES}
        return {
            **process_environment(),
            **moved,
            **peers,
            "TRON_NETWORK": "devnet",
            "LUCID_DATA_DIR": str(self.data_dir),
            "TRON_HTTP_ENDPOINT": f"http://127.0.0.1:{self.ports.node}",
            "DEVNET_CONTROL_URL": self.control_url,
            "BACKUP_INTERVAL_S": "0",  # play money, and hours that pass in minutes
            **self.extra,
        }

    def start(self, program: str) -> None:
        """Start one program; it may have been killed before."""
        if program == DEVNET:
            state = self.data_dir / DEVNET / "chain.blocks"
            state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            ports = ["--port", str(self.ports.node), "--control-port", str(self.ports.control)]
            command = ["-m", DEVNET, *ports, "--speed", str(self.speed), "--state", str(state)]
        else:
            command = ["-m", f"services.{python_name(program)}"]
        log_path = self.log_path(program)
        log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with log_path.open("ab") as output:
            self._children[program] = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, *command],
                cwd=TREE,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches this process alone, which then stops them
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads run here yet
            )

    def pid(self, program: str) -> int:
        """Return the process id of a program."""
        return self._children[program].pid

    def kill(self, program: str) -> None:
        """End a program as a power cut would: SIGKILL."""
        self._children[program].kill()
        self._children[program].wait()

    def log_path(self, program: str) -> Path:
        """Return where a program's output goes."""
        return self.data_dir / "logs" / f"{program}.log"

    def running(self) -> Iterable[str]:
        """Return the programs that have been started."""
        return tuple(self._children)

    def check_alive(self) -> None:
        """Raise StackBroken if a program has ended by itself."""
        for program, child in self._children.items():
            status = child.poll()
            if status is not None:
                tail = self.log_path(program).read_text(errors="replace")[-2_000:]
                raise StackBroken(f"{program} ended with status {status}:\n{tail}")

    def wait_ready(
        self, program: str, *, timeout_s: float, told: Callable[[str], None] = lambda _: None
    ) -> None:
        """Wait until a program is ready; raises StackBroken with its reasons.

        Args:
            program: which.
            timeout_s: how long at most.
            told: is given the reason of the moment while it waits.
        """
        url = f"{self.control_url}/devnet/clock"
        if program != DEVNET:
            url = f"{self.url(program)}/health/ready"
        deadline, reason = time.monotonic() + timeout_s, "not answering yet"
        while time.monotonic() < deadline:
            self.check_alive()
            with contextlib.suppress(httpx.HTTPError, ValueError):
                answer = httpx.get(url, timeout=2, trust_env=False)
                if answer.is_success:
                    return
                reason = str(answer.json().get("detail", answer.status_code))
            told(reason)
            time.sleep(_POLL_S)
        raise StackBroken(f"{program} did not become ready in {timeout_s:g} s: {reason}")

    def stop(self) -> None:
        """Stop the services, then the devnet, and wait for each; what does not stop is killed."""
        deadline = time.monotonic() + _STOP_S
        services = [child for name, child in self._children.items() if name != DEVNET]
        others = [child for name, child in self._children.items() if name == DEVNET]
        for children in (services, others):
            for child in children:
                child.terminate()
            for child in children:
                try:
                    child.wait(timeout=max(0.1, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
        self._children.clear()


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

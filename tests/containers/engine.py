"""A container engine of the tests' own: installed, started and stopped, with nothing left behind."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

HERE: Final = Path(__file__).resolve().parent
TREE: Final = HERE.parents[1]
DOCKER: Final = "/usr/bin/docker"
SERVICES: Final = (
    "tron-client",
    "payout-router",
    "wallet-manager",
    "usdt-manager",
    "trx-staking",
    "payment-gateway",
)
RUNTIME: Final = "gcr.io/distroless/python3-debian13:nonroot"
BUILDER: Final = "python:3.13-slim-trixie"
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
BINFMT: Final = Path("/proc/sys/fs/binfmt_misc")
FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
PROGRAMS: Final = ("dockerd", "docker", "containerd", "runc", "iptables", "mmdebstrap", "ip")

OUTSIDE: Final = "198.51.100.2"
OUTSIDE_TOO: Final = "198.51.100.3"
"""Addresses kept for documentation; here a host of the tests' own in a network namespace."""

HARDENED: Final = (  # the tmpfs is the container's own
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--network", "none"),  # noqa: S108
    *("--security-opt", "no-new-privileges", "--memory", "256m", "--pids-limit", "128"),
)
TWO: Final = ("--env", "TRON_NETWORK=devnet", "--env", "LOG_LEVEL=INFO")
"""A container by itself as compose confines it, and the two settings it is given."""

NAMESPACE: Final = "lucid-outside"
_LINK: Final = "lucid-out0"
_START_S: Final = 60
_UNREACHABLE: Final = 75
_PROBE: Final = ("unshare", "--net", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt")

_RUNTIME_DOCKERFILE: Final = """\
FROM scratch
ARG TARGETARCH
ADD rootfs-${TARGETARCH}.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt LANG=C.UTF-8
USER 65532
WORKDIR /home/nonroot
ENTRYPOINT ["/usr/bin/python3.13"]
"""
_BUILDER_DOCKERFILE: Final = """\
FROM scratch
ADD builder.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
CMD ["python"]
"""


def cannot_run() -> str | None:
    """Say why no engine can run here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "an engine needs root"
    if not Path("/etc/apt/sources.list.d/debian.sources").exists():
        return "the engine is installed from Debian's packages, and this is no Debian with them"
    if Path("/sys/class/net/docker0").exists():
        return "another engine is running here"
    if subprocess.run(_PROBE, capture_output=True, check=False).returncode:
        return "this root may not make namespaces and mounts"
    return None


class CannotInstall(Exception):
    """The engine's packages cannot be fetched here; says what apt said."""


class Engine:
    """The engine, its stand-in bases and a host outside; a context manager.

    Args:
        work: a folder of its own.
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        self._stack = ExitStack()
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(work),
            "DOCKER_HOST": f"unix://{work}/run/docker.sock",
            "DOCKER_CONFIG": str(work / "config"),
            "BUILDKIT_PROGRESS": "plain",
        }
        if CERTIFICATES.exists():
            environment["PIP_CA_FILE"] = str(CERTIFICATES)
        self.environment: Mapping[str, str] = environment

    def __enter__(self) -> Self:
        with self._stack:
            if not all(shutil.which(program) for program in PROGRAMS) or not _has_plugins():
                self._install()
            self._stack.enter_context(_forwarding_kept())
            self._stack.enter_context(_firewall_kept())
            self._stack.callback(_unmount_below, self.work)
            self._stack.enter_context(self._daemon())
            self._stack.callback(self._remove_containers)
            self._stack.enter_context(_host_outside())
            self._make_bases()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(
        self,
        *command: str,
        timeout_s: float = 300,
        cwd: Path = TREE,
        given: str | None = None,
        checks: bool = True,
        more: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; what it said is in the error if it fails and that is not expected."""
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**self.environment, **(more or {})},
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if checks and done.returncode:
            told = (done.stdout + done.stderr)[-4_000:]
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{told}")
        return done

    def docker(self, *arguments: str, timeout_s: float = 300) -> str:
        """Run docker and return what it printed."""
        return self.run(DOCKER, *arguments, timeout_s=timeout_s).stdout.strip()

    def python_in(self, container: str, code: str) -> subprocess.CompletedProcess[str]:
        """Run Python in a running container."""
        return self.run(DOCKER, "exec", container, "/usr/bin/python3.13", "-c", code, checks=False)

    def reaches(self, container: str, host: str, port: int) -> bool:
        """Tell whether a container can open a connection."""
        code = f"import socket; socket.create_connection(({host!r}, {port}), timeout=3).recv(1)"
        return self.python_in(container, code).returncode == 0

    def wait_healthy(self, container: str, *, timeout_s: float) -> float:
        """Wait until a container is healthy; returns the seconds that took."""
        started = time.monotonic()
        state = ""
        while time.monotonic() - started < timeout_s:
            state = self.docker(
                "inspect", "-f", "{{.State.Status}} {{.State.Health.Status}}", container
            )
            if state == "running healthy":
                return time.monotonic() - started
            time.sleep(0.25)
        logs = self.run(DOCKER, "logs", "--tail", "20", container)
        raise AssertionError(f"{container} is {state}:\n{logs.stdout}{logs.stderr}")

    @contextlib.contextmanager
    def emulating_arm64(self) -> Iterator[None]:
        """Let the kernel run arm64 programs through Debian's emulator."""
        mounted = not (BINFMT / "register").exists()
        if mounted:
            self.run("mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT))
        enabled = (BINFMT / "qemu-aarch64").exists()
        if not enabled:
            self.run("update-binfmts", "--enable", "qemu-aarch64")
        try:
            yield
        finally:
            if not enabled:
                self.run("update-binfmts", "--disable", "qemu-aarch64", checks=False)
            if mounted:
                self.run("umount", str(BINFMT), checks=False)

    @contextlib.contextmanager
    def _daemon(self) -> Iterator[None]:
        run = self.work / "run"
        run.mkdir(parents=True)
        (run / "daemon.json").write_text('{"features": {"containerd-snapshotter": true}}')
        command = ["dockerd", "--config-file", str(run / "daemon.json")]
        command += ["--data-root", str(self.work / "data"), "--exec-root", str(run / "exec")]
        command += ["--pidfile", str(run / "docker.pid"), "-H", self.environment["DOCKER_HOST"]]
        with (self.work / "dockerd.log").open("wb") as log:
            daemon = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._wait_for(daemon)
            yield
        finally:
            daemon.terminate()
            try:
                daemon.wait(timeout=60)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _wait_for(self, daemon: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and daemon.poll() is None:
            if not self.run(DOCKER, "info", checks=False).returncode:
                return
            time.sleep(0.3)
        raise AssertionError((self.work / "dockerd.log").read_text()[-4_000:])

    def _remove_containers(self) -> None:
        ids = self.docker("ps", "--all", "--quiet").split()
        if ids:
            self.docker("rm", "--force", "--volumes", *ids)
        for name in self.docker("network", "ls", "--filter", "type=custom", "-q").split():
            self.docker("network", "rm", name)

    def _install(self) -> None:
        command = (str(HERE / "engine.sh"), str(self.work / "packages"))
        done = self.run(*command, timeout_s=600, checks=False)
        if done.returncode == _UNREACHABLE:
            raise CannotInstall(done.stderr.strip()[-500:])
        assert done.returncode == 0, done.stderr[-4_000:]

    def _make_bases(self) -> None:
        bases = self.work / "bases"
        self.run(str(HERE / "bases.sh"), str(bases), timeout_s=600)
        (bases / "runtime.Dockerfile").write_text(_RUNTIME_DOCKERFILE)
        (bases / "builder.Dockerfile").write_text(_BUILDER_DOCKERFILE)
        both = "linux/amd64,linux/arm64"
        for name, tag, platforms in (
            ("runtime", RUNTIME, both),
            ("builder", BUILDER, "linux/amd64"),
        ):
            file = str(bases / f"{name}.Dockerfile")
            build = ("buildx", "build", "--platform", platforms, "--file", file, "--tag", tag)
            self.docker(*build, str(bases))
        for archive in bases.glob("*.tar"):
            archive.unlink()


def _has_plugins() -> bool:
    plugins = Path("/usr/libexec/docker/cli-plugins")
    return all((plugins / f"docker-{name}").exists() for name in ("compose", "buildx"))


def _host(*command: str, given: str | None = None) -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    return done.stdout


@contextlib.contextmanager
def _forwarding_kept() -> Iterator[None]:
    before = FORWARDING.read_text()
    try:
        yield
    finally:
        FORWARDING.write_text(before)


@contextlib.contextmanager
def _firewall_kept() -> Iterator[None]:
    """Put the packet filter back as it was, and take away the engine's first bridge."""
    tools = ("iptables", "ip6tables")
    before = {tool: _host(f"{tool}-save") for tool in tools}
    try:
        yield
    finally:
        _host("ip", "link", "delete", "docker0")
        for tool in tools:
            for table in ("nat", "filter"):
                _host(tool, "-t", table, "-F")
                _host(tool, "-t", table, "-X")
            _host(tool, "-P", "FORWARD", "ACCEPT")
            _host(f"{tool}-restore", given=before[tool])


@contextlib.contextmanager
def _host_outside() -> Iterator[None]:
    """Make a host that answers on ports 80 and 443, as far away as any on the Internet."""
    inside: Sequence[str] = ("ip", "netns", "exec", NAMESPACE)
    setup = (
        ("ip", "netns", "add", NAMESPACE),
        ("ip", "link", "add", _LINK, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE),
        ("ip", "address", "add", "198.51.100.1/24", "dev", _LINK),
        ("ip", "link", "set", _LINK, "up"),
        (*inside, "ip", "address", "add", f"{OUTSIDE}/24", "dev", "eth0"),
        (*inside, "ip", "address", "add", f"{OUTSIDE_TOO}/24", "dev", "eth0"),
        (*inside, "ip", "link", "set", "eth0", "up"),
        (*inside, "ip", "link", "set", "lo", "up"),
    )
    listeners = []
    try:
        for command in setup:
            subprocess.run(command, check=True)
        for address, port in ((OUTSIDE, "80"), (OUTSIDE, "443"), (OUTSIDE_TOO, "443")):
            listener = [*inside, sys.executable, "-c", _GREETER, address, port]
            listeners.append(subprocess.Popen(listener))
        yield
    finally:
        for process in listeners:
            process.kill()
            process.wait()
        _host("ip", "link", "delete", _LINK)
        _host("ip", "netns", "delete", NAMESPACE)


_GREETER: Final = """
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"hello")
"""


def _unmount_below(folder: Path) -> None:
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted(places, reverse=True):
        if Path(place).is_relative_to(folder):
            _host("umount", place)

"""A server that speaks MongoDB's protocol, for tests: a stand-in of their own, or a real replica set.

``TEST_MONGO_URL`` names a replica set that tests may use, each with a database of its own. Without it a
stand-in is started from the virtual environment that ``make test`` makes. A server that is missing
fails the tests: nothing that was not tried counts as passed.
"""

import os
import re
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final, Self

from pymongo import MongoClient

from shared.config import process_environment
from shared.storage.mongo.options import MongoOptions

TREE: Final = Path(__file__).resolve().parents[1]
ENVIRONMENT: Final = TREE / "build" / "mongo-server"
PROGRAM: Final = ENVIRONMENT / "bin" / "secantusd-py"
REAL: Final = "TEST_MONGO_URL"
LISTENING: Final = re.compile(rb"listening on [0-9.]+:([0-9]+)")
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - files in memory, in a folder of our own
STOP_S: Final = 20


class ServerMissing(Exception):
    """There is no server to test with."""

    def __init__(self) -> None:
        super().__init__(
            f"no MongoDB server to test with: run 'make mongo-server', or name a replica set in {REAL}"
        )


class StandIn:
    """A server process of the tests' own, durable over kill -9 and with failpoints.

    Args:
        folder: where it keeps its data and its log.
        arguments: further ones of its command line.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/"

    def start(self, *arguments: str) -> None:
        """Start it, on the port it had before if it was started before; returns once it listens."""
        if not PROGRAM.exists():
            raise ServerMissing
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        command = [PROGRAM, "--port", str(self.port), "--storage-path", data]
        command += ["--sync-on-commit", "--enable-test-commands", *self._arguments, *arguments]
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
        )
        output = self._process.stdout
        assert output is not None
        told = []
        for line in output:
            told.append(line)
            if found := LISTENING.search(line):
                self.port = int(found[1])
                break
        else:
            raise AssertionError(b"".join(told).decode())
        self._drain = threading.Thread(target=self._keep, args=(output,), daemon=True)
        self._drain.start()

    def kill(self) -> None:
        """End it as a power cut of the process would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def _keep(self, output: IO[bytes]) -> None:
        """Write down what it says, so that it never waits for a reader."""
        with output, (self._folder / "log").open("ab") as log:
            log.writelines(output)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._drain.join()
            self._process = None


@dataclass(frozen=True, slots=True)
class Place:
    """A database of one test.

    Attributes:
        url: of the server.
        database: its name.
    """

    url: str
    database: str

    def options(self, **changes: Any) -> MongoOptions:
        return MongoOptions(url=self.url, database=self.database, feed_poll_ms=50, **changes)


def described() -> str:
    """Say which server tests run against."""
    if process_environment().get(REAL):
        return f"the replica set that {REAL} names"
    found = list(ENVIRONMENT.glob("lib/python*/site-packages/[Ss]ecantus[Dd][Bb]-*.dist-info"))
    version = found[0].name.split("-")[1].removesuffix(".dist") if found else "missing"
    return f"SecantusDB {version}, a stand-in; a real replica set can be named in {REAL}"


@contextmanager
def stand_in(*arguments: str) -> Iterator[StandIn]:
    """Yield a server of its own, with data in memory where the machine has room for files there.

    It flushes each of its many small writes: on a disk that takes most of the time of the tests, and a
    killed process loses nothing that it wrote either way.
    """
    memory = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None
    with (
        TemporaryDirectory(prefix="mongo-server-", dir=memory) as folder,
        StandIn(Path(folder), *arguments) as server,
    ):
        yield server


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of the server, which ends with the context if it is a stand-in."""
    if real := process_environment().get(REAL):
        yield real
        return
    with stand_in() as started:
        yield started.url


@contextmanager
def database(url: str) -> Iterator[Place]:
    """Yield a database that nobody else uses; what a real server holds of it is removed."""
    place = Place(url, f"test_{uuid.uuid4().hex}")
    try:
        yield place
    finally:
        if process_environment().get(REAL):
            with MongoClient[dict[str, Any]](url) as client:
                client.drop_database(place.database)

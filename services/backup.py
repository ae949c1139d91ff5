"""Back up every running service, and open what was sealed.

Each service copies its own database and seals the copy; this command begins all six at nearly the same
moment, shows how far they are, and writes a manifest beside the sealed files: what ``restore`` reads.
"""

import argparse
import asyncio
import contextlib
import getpass
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import httpx
from pydantic import ValidationError
from tqdm import tqdm

from services.init import Layout
from services.wallet_manager.settings import Settings
from shared.clock import SystemClock, rfc3339
from shared.config import SERVICES, explain, python_name
from shared.models.operations import BackupJobState, BackupJobView, BackupView
from shared.sealing import NotOpened, parse_recovery_key, unseal
from shared.storage.transfer import TransferRefused
from shared.version import VERSION
from shared.web.operations import BackupRunning

FORMAT: Final = "lucid-backup-1"
CALL_TIMEOUT_S: Final = 60
LOOK_TIMEOUT_S: Final = 3
SILENCE_S: Final = 600
"""How long a backup may make no progress before it is given up."""

POLL_S: Final = 0.2
MAX_KEY_BYTES: Final = 1_024


class NotDone(Exception):
    """A service did not do what it was asked for; the message says why.

    Attributes:
        code: of the problem that the service answered with, if it did.
    """

    def __init__(self, told: str, *, code: str | None = None) -> None:
        super().__init__(told)
        self.code = code


class Owner:
    """A running service, asked by its operator."""

    def __init__(self, service: str, url: str, token: str) -> None:
        self.service = service
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=CALL_TIMEOUT_S,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, *, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        """Return what the service answers.

        Raises:
            NotDone: it is away or refuses.
        """
        try:
            answer = self._client.request(method, path, timeout=timeout_s)
            document = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise NotDone(f"{self.service}: {str(error) or type(error).__name__}") from error
        if not answer.is_success:
            detail = document.get("detail", answer.status_code)
            raise NotDone(f"{self.service}: {detail}", code=document.get("code"))
        return document

    def is_there(self) -> bool:
        """Tell whether anything answers where the service listens."""
        try:
            self._client.get("/health", timeout=LOOK_TIMEOUT_S)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return False
        except httpx.HTTPError:
            return True  # it took the connection
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one backup of the stack consists of.

    Attributes:
        made_at: when it was begun, RFC 3339.
        network: whose.
        services: each service's sealed copy.
        missing: services that made none.
    """

    made_at: str
    network: str
    services: Mapping[str, BackupView]
    missing: tuple[str, ...]

    def encode(self) -> str:
        """Write it as JSON."""
        told = {
            "format": FORMAT,
            "version": VERSION,
            "made_at": self.made_at,
            "network": self.network,
            "missing": list(self.missing),
            "services": {name: view.model_dump() for name, view in self.services.items()},
        }
        return json.dumps(told, indent=2) + "\n"

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read it back; raises ValueError when it is none."""
        told = json.loads(text)
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise ValueError(f"it is no manifest of the format {FORMAT}")
        try:
            return cls(
                made_at=str(told["made_at"]),
                network=str(told["network"]),
                missing=tuple(map(str, told["missing"])),
                services={
                    str(name): BackupView.model_validate(view)
                    for name, view in told["services"].items()
                },
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is no complete manifest: {error!r}") from error


def back_up(arguments: Sequence[str] = ()) -> int:
    """Ask every service for a sealed copy of its database; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m services backup",
        description="Write a sealed copy of every running service's database, and a manifest.",
    )
    parser.parse_args(arguments)
    try:
        settings = Settings()
        manifest, told = backed_up(settings)
        path = settings.backups_path() / f"backup-{_compact(manifest.made_at)}.json"
        if manifest.services:
            _write(path, manifest.encode())
            _forget_manifests(path.parent)
    except ValidationError as error:
        print(f"backup: {explain(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"backup: {error}", file=sys.stderr)
        return 1
    for service, view in manifest.services.items():
        print(f"{service:<16} {view.file}  {view.size_bytes} bytes  sha256 {view.sha256}")
    if manifest.services:
        print(f"{'manifest':<16} {path}")
    for line in told:
        print(line, file=sys.stderr)
    return 1 if told else 0


def backed_up(settings: Settings) -> tuple[Manifest, list[str]]:
    """Have every service back up; returns what was made and what went wrong.

    Raises:
        OSError: there is no operator's token.
    """
    made_at = rfc3339(SystemClock().now_ms())
    made: dict[str, BackupView] = {}
    told: list[str] = []
    with owners(settings) as asked:
        jobs = {owner: _begun(owner, told) for owner in asked}
        with ExitStack() as bars:
            followed = {
                owner: (job, bars.enter_context(byte_bar(owner.service, line=line)))
                for line, (owner, job) in enumerate(jobs.items())
                if job is not None
            }
            for owner, (job, bar) in followed.items():
                try:
                    made[owner.service] = _followed(owner, job, bar)
                except NotDone as error:
                    told.append(str(error))
    manifest = Manifest(
        made_at=made_at,
        network=settings.tron_network.value,
        services=made,
        missing=tuple(name for name in SERVICES if name not in made),
    )
    return manifest, told


@contextmanager
def owners(settings: Settings) -> Iterator[list[Owner]]:
    """Hand out every service of the stack; raises OSError when there is no operator's token."""
    token = Layout.of(settings).operator_token.read_text().strip()
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Owner(service, str(getattr(settings, f"{python_name(service)}_url")), token)
            )
            for service in SERVICES
        ]


def check_stopped(settings: Settings, services: Sequence[str]) -> None:
    """Make sure that no service answers, since an engine may let several processes in.

    Raises:
        TransferRefused: one does.
    """
    for service in services:
        url = str(getattr(settings, f"{python_name(service)}_url"))
        with Owner(service, url, "nobody") as owner:
            if owner.is_there():
                raise TransferRefused(f"{service} answers at {url}: stop the services first")


def open_sealed(arguments: Sequence[str] = ()) -> int:
    """Open a sealed file with the recovery key; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m services unseal", description="Open a sealed copy with the recovery key."
    )
    parser.add_argument("file", type=Path, help="the sealed file")
    parser.add_argument("--to", type=Path, help="where the database goes; default: beside it")
    add_key_arguments(parser)
    asked = parser.parse_args(arguments)
    plain = asked.to or asked.file.with_suffix(".sqlite3")
    try:
        secret = recovery_key(asked)
        with byte_bar("opening", asked.file.stat().st_size) as bar:
            progress = partial(advance, bar)
            asyncio.run(unseal(asked.file, plain, secret=secret, progress=progress))
    except (NotOpened, OSError) as error:
        print(f"unseal: {error}", file=sys.stderr)
        return 1
    print(f"opened as {plain}: it is not sealed any more, so remove it when it has served")
    return 0


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a command be given the recovery key, never on the command line itself."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--key-file", type=Path, help="file with the recovery key")
    group.add_argument("--key-fd", type=int, help="open file descriptor with the recovery key")


def recovery_key(asked: argparse.Namespace) -> str:
    """Return the recovery key from a file, from a descriptor, or from the terminal.

    Raises:
        NotOpened: it is none.
        OSError: it cannot be read.
    """
    if asked.key_file is not None:
        with asked.key_file.open("rb") as file:
            return parse_recovery_key(file.read(MAX_KEY_BYTES).decode(errors="replace"))
    if asked.key_fd is not None:
        with os.fdopen(asked.key_fd, "rb") as file:
            return parse_recovery_key(file.read(MAX_KEY_BYTES).decode(errors="replace"))
    try:
        return parse_recovery_key(getpass.getpass("recovery key: "))
    except EOFError:
        raise NotOpened("no recovery key was given") from None


def byte_bar(told: str, total: int | None = None, *, line: int = 0) -> "tqdm[Any]":
    """Return a bar that counts bytes; it shows nothing where there is no terminal."""
    return tqdm(
        desc=f"{told:<16}",
        total=total,
        unit="B",
        unit_scale=True,
        position=line,
        leave=False,
        disable=None,
    )


def advance(bar: "tqdm[Any]", count: int) -> None:
    """Move a bar on."""
    bar.update(count)


def _begun(owner: Owner, told: list[str]) -> BackupJobView | None:
    """Begin a backup; where one is being made by the schedule, that one is waited for first."""
    try:
        try:
            return BackupJobView.model_validate(owner.ask("POST", "/api/v1/ops/backup"))
        except NotDone as refusal:
            if refusal.code != BackupRunning.code:
                raise
            _await_other(owner)
            return BackupJobView.model_validate(owner.ask("POST", "/api/v1/ops/backup"))
    except NotDone as error:
        told.append(str(error))
        return None


def _await_other(owner: Owner) -> None:
    """Wait until the backup that somebody else began is over; raises NotDone."""
    other = _job(owner)
    if other is not None:
        with contextlib.suppress(NotDone), byte_bar(owner.service) as bar:
            _followed(owner, other, bar)


def _followed(owner: Owner, job: BackupJobView, bar: "tqdm[Any]") -> BackupView:
    """Show how far a backup is until it is over.

    Raises:
        NotDone: it failed, or goes no further.
    """
    since = time.monotonic()
    while job.state is BackupJobState.RUNNING:
        if time.monotonic() - since > SILENCE_S:
            raise NotDone(f"{owner.service}: no progress in {SILENCE_S} s")
        time.sleep(POLL_S)
        latest = _job(owner)
        if latest is None or latest.job_id != job.job_id:
            raise NotDone(f"{owner.service}: it was restarted, and the backup is gone")
        if (latest.phase, latest.done_bytes) != (job.phase, job.done_bytes):
            since = time.monotonic()
        job = latest
        bar.set_description_str(f"{owner.service:<16} {job.phase:<8}")
        bar.total = max(job.total_bytes, job.done_bytes)
        bar.n = job.done_bytes
        bar.refresh()
    if job.backup is None:
        raise NotDone(f"{owner.service}: {job.problem}")
    return job.backup


def _job(owner: Owner) -> BackupJobView | None:
    told = owner.ask("GET", "/api/v1/ops/backup")["job"]
    return BackupJobView.model_validate(told) if told else None


def _forget_manifests(folder: Path) -> None:
    """Remove the manifests of backups of which no sealed file is kept any more."""
    for path in folder.glob("backup-*.json"):
        with contextlib.suppress(ValueError):
            made = Manifest.decode(path.read_text()).services.values()
            if not any((folder / view.file).exists() for view in made):
                path.unlink()


def _compact(made_at: str) -> str:
    return made_at.replace(":", "").replace("-", "")


def _write(path: Path, text: str) -> None:
    """Write a file for its owner alone, complete before it has its name."""
    draft = path.with_name(path.name + ".partial")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)

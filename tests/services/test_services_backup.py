import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.backup import Manifest, backed_up, open_sealed
from services.init import Layout
from services.wallet_manager.settings import Settings
from shared.config import SERVICES, python_name
from shared.sealing import new_recovery_key, seal
from shared.tron.networks import Network

VIEW = {
    "file": "x-20261122T100000.000Z.sealed",
    "size_bytes": 7,
    "sha256": "ab" * 32,
    "database_bytes": 5,
    "incarnation": "inc",
    "schema_version": 1,
    "feeds": {"sends": 3},
    "made_at": "2026-11-22T10:00:00.000Z",
}


class Service:
    """Plays a service whose backup takes some looks; it may refuse, fail or be restarted."""

    def __init__(self, name: str, *, looks: int = 2) -> None:
        self.name = name
        self.looks = looks
        self.asked = 0
        self.seen_tokens: set[str] = set()
        self.busy_first = False
        self.fails: str | None = None
        self.forgets = False
        self._job = "own"

    def answer(self, method: str) -> tuple[int, dict[str, Any]]:
        if method == "POST":
            self.asked += 1
            if self.busy_first and self.asked == 1:
                self._job = "other"
                problem = {"code": "LUCID_ERR_1405", "detail": "a backup is being made"}
                return 409, problem
            self._job = "own"
            return 202, self._view("running")
        self.looks -= 1
        if self.forgets:
            return 200, {"job": None}
        if self.looks > 0:
            return 200, {"job": self._view("running")}
        return 200, {"job": self._view("failed" if self.fails else "done")}

    def _view(self, state: str) -> dict[str, Any]:
        made = VIEW | {"service": self.name}
        return {
            "job_id": self._job,
            "service": self.name,
            "state": state,
            "phase": "sealing",
            "done_bytes": 3,
            "total_bytes": 5,
            "started_at": VIEW["made_at"],
            "backup": made if state == "done" else None,
            "problem": self.fails if state == "failed" else None,
        }


def handler_of(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            service.seen_tokens.add(self.headers["Authorization"])
            status, document = service.answer(method)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    return Handler


@contextmanager
def listening(service: Service) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(service))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def six() -> dict[str, Service]:
    return {name: Service(name) for name in SERVICES}


@pytest.fixture
def run(
    six: dict[str, Service], tmp_path: Path
) -> Iterator[Callable[..., tuple[Manifest, list[str]]]]:
    """Return what backs up the six, but for those that are away."""
    with ExitStack() as stack:

        def back_up(*, away: tuple[str, ...] = ()) -> tuple[Manifest, list[str]]:
            urls = {
                f"{python_name(name)}_url": stack.enter_context(listening(service))
                for name, service in six.items()
            }
            urls |= {f"{python_name(name)}_url": "http://127.0.0.1:9" for name in away}
            settings = Settings.model_validate(
                {"tron_network": Network.DEVNET, "data_dir": tmp_path, **urls}
            )
            token = Layout.of(settings).operator_token
            token.parent.mkdir(parents=True)
            token.write_text("operator-token\n")
            return backed_up(settings)

        yield back_up


def test_every_service_is_asked_and_the_manifest_names_what_each_made(
    six: dict[str, Service], run: Callable[..., tuple[Manifest, list[str]]]
) -> None:
    manifest, told = run()
    assert told == []
    assert manifest.missing == ()
    assert list(manifest.services) == list(SERVICES)
    assert {view.service for view in manifest.services.values()} == set(SERVICES)
    assert all(one.asked == 1 for one in six.values())
    assert all(one.seen_tokens == {"Bearer operator-token"} for one in six.values())
    assert Manifest.decode(manifest.encode()) == manifest


def test_a_service_that_is_away_or_fails_is_named_and_the_others_are_backed_up(
    six: dict[str, Service], run: Callable[..., tuple[Manifest, list[str]]]
) -> None:
    six["trx-staking"].fails = "no space left"
    six["payout-router"].forgets = True
    manifest, told = run(away=("usdt-manager",))
    assert manifest.missing == ("payout-router", "usdt-manager", "trx-staking")
    assert len(told) == 3
    assert any("trx-staking: no space left" in line for line in told)
    assert any("payout-router: it was restarted" in line for line in told)
    assert any("usdt-manager" in line for line in told)


def test_a_backup_that_the_schedule_is_making_is_waited_for(
    six: dict[str, Service], run: Callable[..., tuple[Manifest, list[str]]]
) -> None:
    six["tron-client"].busy_first = True
    manifest, told = run()
    assert told == []
    assert manifest.missing == ()
    assert six["tron-client"].asked == 2


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": "lucid-backup-2"}', '{"format": "lucid-backup-1"}', "\x00"],
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"manifest|Expecting|Extra"):
        Manifest.decode(text)


async def test_unseal_opens_beside_the_file_and_never_over_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = new_recovery_key()
    (tmp_path / "plain").write_bytes(b"records")
    await seal(tmp_path / "plain", tmp_path / "a.sealed", public=key.public)
    (tmp_path / "key").write_text(key.secret)
    arguments = [str(tmp_path / "a.sealed"), "--key-file", str(tmp_path / "key")]
    outcomes: list[int] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: outcomes.append(open_sealed(arguments)))
        thread.start()
        thread.join()
    assert outcomes == [0, 1]
    assert (tmp_path / "a.sqlite3").read_bytes() == b"records"
    assert "exists already" in capsys.readouterr().err

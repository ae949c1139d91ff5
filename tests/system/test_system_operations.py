import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from services.demo import Caller
from services.run import start
from services.stack import Stack, free_ports
from shared.config import SERVICES
from shared.sealing import unseal
from tests.system.waiting import wait_until

pytestmark = pytest.mark.system


def test_a_backup_is_made_by_the_owner_sealed_and_opens_with_the_recovery_key_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Stack(data_dir=tmp_path, ports=free_ports(), speed=20) as stack:
        start(stack)
        shown = re.search(r"^  ([0-9a-f]{64})$", capsys.readouterr().out, re.MULTILINE)
        assert shown is not None, "the recovery key is shown once"
        with Caller(stack, (tmp_path / "secrets/operator/operator.token").read_text()) as caller:
            for service in SERVICES:
                _back_up(caller, service, tmp_path, secret=shown.group(1))
        assert not [path for path in (tmp_path / "backups").iterdir() if path.suffix != ".sealed"]
    everything = b"".join(
        path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and path.suffix != ".opened"
    )
    assert shown.group(1).encode() not in everything, "the recovery key is on this machine"


def _back_up(caller: Caller, service: str, data_dir: Path, *, secret: str) -> None:
    assert caller.post(service, "/api/v1/ops/integrity-check", {}, key="c")["sound"] is True
    caller.post(service, "/api/v1/ops/backup", {}, key="b")
    wait_until(lambda: job(caller, service)["state"] == "done", f"{service} is backed up")
    sealed = data_dir / "backups" / job(caller, service)["backup"]["file"]
    assert b"SQLite" not in sealed.read_bytes()
    opened = data_dir / f"{service}.opened"
    asyncio.run(unseal(sealed, opened, secret=secret))
    with closing(sqlite3.connect(opened)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def job(caller: Caller, service: str) -> dict[str, Any]:
    told: dict[str, Any] = caller.get(service, "/api/v1/ops/backup")["job"]
    return told

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from devnet.app import Running
from devnet.background import in_background
from devnet.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def running() -> Iterator[Running]:
    with in_background(Settings(port=0, control_port=0, speed=0, behind_s=200)) as running:
        httpx.post(f"{running.control_url}/devnet/mine", json={"blocks": 30})
        yield running


def test_a_lost_reply_leaves_an_accepted_transaction(running: Running, world: Any) -> None:
    built = httpx.post(
        f"{running.node_url}/wallet/createtransaction",
        json={
            "owner_address": world.payer.address.hex(),
            "to_address": world.payee.address.hex(),
            "amount": 5,
        },
    ).json()
    built["signature"] = [world.payer.sign(bytes.fromhex(built["txID"])).hex()]
    faults, path = f"{running.control_url}/devnet/faults", "/wallet/broadcasttransaction"

    httpx.post(faults, json={"kind": "request_lost"})
    with pytest.raises(httpx.TransportError):
        httpx.post(running.node_url + path, json=built)
    assert _pending(running) == 0
    httpx.post(faults, json={"kind": "reply_lost"})
    with pytest.raises(httpx.TransportError):
        httpx.post(running.node_url + path, json=built)
    assert _pending(running) == 1
    again = httpx.post(running.node_url + path, json=built).json()
    assert again["code"] == "DUP_TRANSACTION_ERROR"


def test_time_runs_by_itself_once_it_has_a_speed(running: Running) -> None:
    httpx.post(f"{running.control_url}/devnet/speed", json={"speed": 600})
    deadline = time.monotonic() + 30
    clock = httpx.get(f"{running.control_url}/devnet/clock").json()
    while clock["head"]["number"] < 50:
        assert time.monotonic() < deadline
        clock = httpx.get(f"{running.control_url}/devnet/clock").json()
    assert clock["head"]["number"] - clock["solid"]["number"] >= 18


def test_300_transactions_fit_a_block_that_is_served_whole(running: Running) -> None:
    order = {"from": "customer-1", "to": "customer-2", "amount": "0.1", "currency": "USDT"}
    with httpx.Client(base_url=running.control_url) as control:
        for _ in range(300):
            control.post("/devnet/transfer", json=order).raise_for_status()
        control.post("/devnet/mine")
    infos = httpx.post(
        f"{running.node_url}/wallet/gettransactioninfobyblocknum", json={"num": 31}
    ).json()
    assert len(infos) == 300


def test_the_program_keeps_its_chain_and_stops_when_told(tmp_path: Path) -> None:
    state = tmp_path / "chain.blocks"
    program, control = _started(state)
    block_id = httpx.post(f"{control}/devnet/mine", json={"blocks": 5}).json()["head"]["block_id"]
    _stop(program)

    program, control = _started(state)
    assert httpx.get(f"{control}/devnet/clock").json()["head"]["block_id"] == block_id
    _stop(program, signal.SIGINT)


def _started(state: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "devnet", "--port", "0", "--control-port", "0"]
    program = subprocess.Popen(
        [*command, "--speed", "0", "--state", str(state)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    match = re.search(r"control=(\S+)", program.stdout.readline())
    assert match is not None
    return program, match[1]


def _stop(program: subprocess.Popen[str], signum: signal.Signals = signal.SIGTERM) -> None:
    program.send_signal(signum)
    with program:
        assert program.wait(timeout=10) == 0


def _pending(running: Running) -> int:
    reply = httpx.post(f"{running.node_url}/wallet/getpendingsize").json()
    return int(reply.get("pendingSize", 0))

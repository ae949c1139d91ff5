"""The whole stack on this machine, beside rivals' figures.

Rivals' figures were measured once against the same kind of loopback node with a block every 3 s
(tron-shkeeper at its default settings).
"""

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
from tqdm import tqdm

from services.demo import Caller
from services.init import Layout
from services.run import ORDER, start
from services.stack import Stack, free_ports
from services.wallet_manager.settings import Settings
from shared.config import SERVICES
from shared.tron.address import EVM_LENGTH, address_from_bytes
from shared.tron.networks import Network
from tests.bench.table import Row
from tests.system.waiting import wait_until

BATCH = 10
CLIENTS = 16
BACKGROUND = {"/wallet/getnowblock", "/walletsolidity/getnowblock", "/wallet/getchainparameters"}


def rows(data_dir: Path, rounds: int) -> Iterable[Row]:
    """Measure the six services and the devnet as processes on this machine."""
    extra = {
        "RATE_LIMIT_REQUESTS": "1000000",
        "RATE_LIMIT_BURST": "1000000",
        "LOG_LEVEL": "WARNING",
    }
    extra |= {"DAILY_PAYOUT_LIMIT": "1000000000"}
    with ExitStack() as running:
        stack = Stack(data_dir=data_dir, ports=free_ports(), speed=1, extra=extra)
        running.enter_context(stack)
        start(stack)
        settings = Settings(tron_network=Network.DEVNET, data_dir=data_dir)
        caller = running.enter_context(
            Caller(stack, Layout.of(settings).operator_token.read_text().strip())
        )
        idle = _memory(stack)
        _fund(caller)
        batches = [_batch(stack, caller, number) for number in tqdm(range(rounds), desc="batches")]
        seconds = statistics.median(elapsed for elapsed, _ in batches)
        calls = statistics.median(sum(count.values()) / BATCH for _, count in batches)
        yield Row(
            what=f"batch of {BATCH} USDT payouts, accepted to on chain, 3 s blocks",
            measured=f"{seconds:.1f} s (median of {rounds})",
            beside="tron-shkeeper 34.0 s; two blocks 6 s",
        )
        by_path = sum((count for _, count in batches), Counter[str]())
        detail = ", ".join(
            f"{path.rsplit('/', 1)[1]} {count / rounds / BATCH:.1f}"
            for path, count in by_path.most_common(4)
        )
        yield Row(
            what="node calls per payout in a batch, beside the block scan",
            measured=f"{calls:.1f}",
            beside=f"tron-shkeeper 6.2; target 1.1 ({detail})",
        )
        yield _durable_payouts(stack, caller)
        total = 0
        for service in ORDER:
            total += idle[service]
            yield Row(
                what=f"memory of {service}, idle",
                measured=f"{idle[service] / 2**20:.0f} MiB",
                beside="target 80; bare Python with FastAPI 54",
            )
        yield Row(
            what="memory of the six together",
            measured=f"{total / 2**20:.0f} MiB",
            beside="target 400",
        )
    for service in SERVICES:
        times = [_start_up(service) for _ in range(rounds)]
        yield Row(
            what=f"{service}: process start to first /health",
            measured=f"{statistics.median(times):.2f} s",
            beside="target 1.5; bare FastAPI 0.9",
        )


def _memory(stack: Stack) -> dict[str, int]:
    return {service: psutil.Process(stack.pid(service)).memory_info().rss for service in ORDER}


def _fund(caller: Caller) -> None:
    body = {"user_id": "bench", "role": "treasury"}
    treasury = caller.post("wallet-manager", "/api/v1/wallets", body, key="treasury")["address"]
    caller.devnet("/devnet/faucet", {"address": treasury, "trx": "20000", "usdt": "100000"})
    caller.devnet("/devnet/speed", {"speed": 20})  # nothing is measured until the money is solid

    def booked() -> bool:
        path = f"/api/v1/wallets/{treasury}/balance"
        held = [caller.get("wallet-manager", path, currency=each) for each in ("TRX", "USDT")]
        return all(int(view["balance_base_units"]) > 0 for view in held)

    wait_until(booked, "the treasury is funded")
    caller.devnet("/devnet/speed", {"speed": 1})


def _batch(stack: Stack, caller: Caller, number: int) -> tuple[float, Counter[str]]:
    accounts = caller.devnet("/devnet/accounts")["accounts"]
    items = [
        {
            "user_id": "bench",
            "amount": "10",
            "recipient_address": accounts[position % len(accounts)]["address"],
        }
        for position in range(BATCH)
    ]
    httpx.delete(f"{stack.control_url}/devnet/requests", trust_env=False)
    began = time.monotonic()
    batch = caller.post(
        "payout-router", "/api/v1/payouts/batch", {"payouts": items}, key=f"bench-{number}"
    )
    ids = [item["payout"]["payout_id"] for item in batch["payouts"]]

    def on_chain() -> bool:
        views = [caller.get("payout-router", f"/api/v1/payouts/{id_}") for id_ in ids]
        return all(view["block_height"] is not None for view in views)

    wait_until(on_chain, "the batch is on chain")
    elapsed = time.monotonic() - began
    return elapsed, _own_calls(caller)


def _own_calls(caller: Caller) -> Counter[str]:
    recorded: dict[str, Any] = caller.devnet("/devnet/requests")
    paths: dict[str, int] = recorded.get("paths", recorded.get("by_path", {}))
    scan = ("getblock", "gettransactioninfobyblocknum")
    return Counter(
        {
            path: count
            for path, count in paths.items()
            if path not in BACKGROUND and not path.rsplit("/", 1)[1].startswith(scan)
        }
    )


def _durable_payouts(stack: Stack, caller: Caller, count: int = 400) -> Row:
    url = f"{stack.url('payout-router')}/api/v1/payouts"
    headers = {"Authorization": f"Bearer {caller.token}"}

    def create(number: int) -> float:
        began = time.monotonic()
        recipient = address_from_bytes(number.to_bytes(EVM_LENGTH, "big"))
        body = {
            "user_id": "bench",
            "amount": "1",
            "currency": "TRX",
            "recipient_address": recipient,
        }
        answer = client.post(url, json=body, headers={**headers, "Idempotency-Key": f"d{number}"})
        assert answer.status_code == 201, answer.text
        return time.monotonic() - began

    limits = httpx.Limits(max_connections=CLIENTS)
    with (
        httpx.Client(trust_env=False, limits=limits, timeout=60) as client,
        ThreadPoolExecutor(CLIENTS) as pool,
    ):
        began = time.monotonic()
        times = sorted(pool.map(create, range(1, count + 1)))
        elapsed = time.monotonic() - began
    return Row(
        what=f"durable POST /payouts, {CLIENTS} clients, whole stack on this machine",
        measured=f"{count / elapsed:.0f}/s, p99 {1000 * times[int(0.99 * count)]:.0f} ms",
        beside="target 1000/s, 50 ms; the clients share the cores",
    )


def _start_up(service: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        ports = free_ports()
        stack = Stack(data_dir=Path(folder), ports=ports)
        began = time.monotonic()
        with stack:
            stack.start(service)
            url = f"{stack.url(service)}/health"
            while True:
                stack.check_alive()
                try:
                    if httpx.get(url, timeout=1, trust_env=False).is_success:
                        return time.monotonic() - began
                except httpx.HTTPError:
                    time.sleep(0.01)

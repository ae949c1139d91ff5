"""The real process is killed with -9 again and again while it catches up, and resumes each time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.init import Layout
from services.run import prepare
from services.stack import DEVNET, Stack, free_ports
from services.wallet_manager.settings import Settings
from shared.tron.networks import Network
from tests.system.waiting import wait_until

pytestmark = pytest.mark.system

TRON_CLIENT = "tron-client"
PAYMENTS = 60
BLOCKS_BETWEEN = 8
KILLED_AFTER = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Shares of the outage that were scanned when it is killed."""


class Operator:
    """Talks to a tron-client and the devnet as an operator does."""

    def __init__(self, stack: Stack, token: str, client: httpx.Client) -> None:
        self.stack = stack
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self.stack.url(TRON_CLIENT)}/api/v1{path}"
        answer = self._client.request(method, url, headers=self._headers, **options)
        answer.raise_for_status()
        return answer.json()

    def devnet(self, path: str, body: dict[str, Any] | None = None) -> Any:
        url = f"{self.stack.control_url}/devnet/{path}"
        answer = self._client.post(url, json=body) if body else self._client.get(url)
        answer.raise_for_status()
        return answer.json()

    def scanned(self) -> int:
        return int(self.ask("GET", "/tron/network/status")["scanned_height"] or 0)

    def head(self) -> int:
        return int(self.devnet("clock")["head"]["number"])

    def restart(self) -> None:
        self.stack.start(TRON_CLIENT)

    def feed(self) -> list[Any]:
        """Return every event of the transfer feed."""
        found: list[Any] = []
        after = ""
        while page := self.ask("GET", "/transfers/feed", params={"after": after, "limit": 500}):
            if not page["items"]:
                return found
            found += page["items"]
            after = page["next"]
        return found


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    extra = {"SCAN_BATCH_BLOCKS": "4", "NODE_CALLS_PER_S": "300", "SCAN_INTERVAL_MS": "20"}
    with (
        Stack(data_dir=tmp_path, ports=free_ports(), speed=1, extra=extra) as stack,
        httpx.Client(timeout=30, trust_env=False) as client,
    ):
        prepare(tmp_path, extra)
        settings = Settings(tron_network=Network.DEVNET, data_dir=tmp_path)
        token = Layout.of(settings).operator_token.read_text().strip()
        for program in (DEVNET, TRON_CLIENT):
            stack.start(program)
            stack.wait_ready(program, timeout_s=60)
        yield Operator(stack, token, client)


def test_h11_h13_a_process_killed_while_catching_up_leaves_no_gap_and_repeats_nothing(
    operator: Operator,
) -> None:
    payee = operator.devnet("accounts")["accounts"][1]["address"]
    operator.ask("PUT", "/watches", json={"addresses": [payee]})
    operator.stack.kill(TRON_CLIENT)
    begin = operator.head()
    amounts = [str(1_000_000 + number) for number in range(PAYMENTS)]
    for amount in amounts:
        whole, part = divmod(int(amount), 10**6)
        operator.devnet("faucet", {"address": payee, "usdt": f"{whole}.{part:06d}"})
        operator.devnet("mine", {"blocks": BLOCKS_BETWEEN})
    operator.devnet("mine", {"blocks": 20})
    end = operator.head()

    for share in KILLED_AFTER:
        operator.restart()
        goal = begin + int(share * (end - begin))
        wait_until(lambda goal=goal: operator.scanned() >= goal, f"block {goal} is scanned")  # type: ignore[misc]
        operator.stack.kill(TRON_CLIENT)
    operator.restart()
    operator.devnet("mine", {"blocks": 20})
    final = operator.head()
    wait_until(lambda: operator.scanned() >= final, "everything is scanned")
    wait_until(lambda: len(operator.feed()) >= 2 * PAYMENTS, "everything is confirmed")

    events = operator.feed()
    assert [each["seq"] for each in events] == list(range(1, 2 * PAYMENTS + 1))
    for state in ("seen", "confirmed"):
        told = [e["object"] for e in events if e["type"] == f"transfer.{state}"]
        assert [each["amount_base_units"] for each in told] == amounts
        assert len({each["transfer_id"] for each in told}) == PAYMENTS

"""The drill: everything is backed up while it runs, the machine is lost, and the copies come back."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.backup import Manifest
from services.demo import Caller
from services.run import ORDER, start
from services.stack import DEVNET, TREE, Stack, free_ports
from shared.config import SERVICES
from shared.money import format_base_units
from tests.system.chain import ChainReader
from tests.system.waiting import wait_until

pytestmark = pytest.mark.system

AMOUNT = 10_000_000


@dataclass
class Drill:
    """A stack with its operator and its callers."""

    stack: Stack
    caller: Caller
    chain: ChainReader
    recovery_key: str
    accounts: list[dict[str, Any]]

    def command(self, *arguments: str, given: str = "") -> str:
        """Run an operator's command; returns what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "services", *arguments],
            cwd=TREE,
            env=self.stack.environment(),
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def treasury(self) -> str:
        body = {"user_id": "operator", "role": "treasury"}
        wallet = self.caller.post("wallet-manager", "/api/v1/wallets", body, key="treasury")
        address = str(wallet["address"])
        self.caller.devnet("/devnet/faucet", {"address": address, "trx": "5000", "usdt": "5000"})
        wait_until(lambda: self.booked(address) == 5_000_000_000, "the treasury is funded")
        return address

    def booked(self, address: str) -> int:
        path = f"/api/v1/wallets/{address}/balance"
        view = self.caller.get("wallet-manager", path, currency="USDT")
        return int(view["balance_base_units"])

    def ask_payout(self, number: int) -> str:
        """Ask for a payout under its key, again or for the first time; returns its id."""
        body = {
            "user_id": "u",
            "amount": format_base_units(AMOUNT + number),
            "recipient_address": self.accounts[1]["address"],
        }
        view = self.caller.post("payout-router", "/api/v1/payouts", body, key=f"pay-{number}")
        return str(view["payout_id"])

    def payout(self, payout_id: str) -> dict[str, Any]:
        return self.caller.get("payout-router", f"/api/v1/payouts/{payout_id}")

    def pay_out(self, *numbers: int) -> dict[int, str]:
        """Pay out and wait until it is confirmed."""
        ids = {number: self.ask_payout(number) for number in numbers}
        wait_until(
            lambda: all(self.payout(one)["status"] == "completed" for one in ids.values()),
            "the payouts are completed",
        )
        return ids

    def invoice(self, key: str) -> dict[str, Any]:
        body = {"amount": "25", "currency": "USDT"}
        return self.caller.post("payment-gateway", "/api/v1/invoices", body, key=key)

    def pay(self, invoice: dict[str, Any]) -> None:
        order = {
            "from": self.accounts[0]["name"],
            "to": invoice["pay_to_address"],
            "amount": "25",
            "currency": "USDT",
        }
        self.caller.devnet("/devnet/transfer", order)

    def is_paid(self, invoice: dict[str, Any]) -> bool:
        path = f"/api/v1/invoices/{invoice['invoice_id']}"
        return bool(self.caller.get("payment-gateway", path)["state"] == "paid")

    def paid(self, treasury: str) -> dict[int, int]:
        """Count what left the treasury on the chain, by the number of the payout."""
        return {
            value - AMOUNT: count
            for (sender, _, value), count in self.chain.usdt_transfers(1).items()
            if sender == treasury
        }

    def reasons(self, service: str) -> list[str]:
        answer = httpx.get(f"{self.stack.url(service)}/health/ready", trust_env=False)
        return [] if answer.is_success else list(answer.json()["reasons"])

    def alarms(self, service: str) -> set[tuple[str, str]]:
        """Say what the open alarms are about."""
        told = self.caller.get(service, "/api/v1/ops/alarms")["alarms"]
        return {(alarm["kind"], alarm["subject"]) for alarm in told}

    def close_alarms(self, service: str) -> None:
        """Say of every open alarm that it is over."""
        for alarm in self.caller.get(service, "/api/v1/ops/alarms")["alarms"]:
            path = f"/api/v1/ops/alarms/{alarm['alarm_id']}/close"
            self.caller.post(service, path, {"note": "the copy was restored on purpose"}, key=path)

    def start_services(self) -> None:
        self.stack.start(DEVNET)
        self.stack.wait_ready(DEVNET, timeout_s=60)
        for service in ORDER:
            self.stack.start(service)
        for service in SERVICES:
            url = f"{self.stack.url(service)}/health"
            wait_until(lambda url=url: httpx.get(url, trust_env=False).is_success, service)  # type: ignore[misc]


@pytest.fixture
def drill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Drill]:
    with Stack(data_dir=tmp_path / "stack", ports=free_ports(), speed=20) as stack:
        start(stack)
        shown = re.search(r"^  ([0-9a-f]{64})$", capsys.readouterr().out, re.MULTILINE)
        assert shown is not None
        token = (stack.data_dir / "secrets/operator/operator.token").read_text()
        with Caller(stack, token) as caller, ChainReader(stack) as chain:
            accounts = caller.devnet("/devnet/accounts")["accounts"]
            yield Drill(stack, caller, chain, shown[1], accounts)


def lose_every_database(data_dir: Path) -> None:
    for service in SERVICES:
        shutil.rmtree(data_dir / service)


def test_h5_h25_after_the_machine_is_lost_the_copies_bring_everything_back_and_nothing_is_paid_twice(
    drill: Drill, until: Callable[..., None]
) -> None:
    treasury = drill.treasury()
    before = drill.pay_out(1, 2)
    paid, open_one = drill.invoice("paid"), drill.invoice("open")
    drill.pay(paid)
    until(lambda: drill.is_paid(paid), "the invoice is paid")
    assert drill.command("check").count("sound") == len(SERVICES)

    told = drill.command("backup")
    manifest_path = Path(told.rsplit("manifest", 1)[1].strip())
    manifest = Manifest.decode(manifest_path.read_text())
    assert sorted(manifest.services) == sorted(SERVICES)
    assert all(made.feeds["sends"] > 0 for made in [manifest.services["wallet-manager"]])
    after = drill.pay_out(3, 4)
    drill.pay(open_one)
    until(lambda: drill.is_paid(open_one), "the other invoice is paid")
    assert drill.paid(treasury) == {1: 1, 2: 1, 3: 1, 4: 1}

    drill.stack.stop()
    lose_every_database(drill.stack.data_dir)
    told = drill.command("restore", str(manifest_path), "--key-fd", "0", given=drill.recovery_key)
    assert told.count("as of") == len(SERVICES)
    for made in manifest.services.values():
        assert f"incarnation {made.incarnation} → " in told
    drill.start_services()

    until(lambda: is_quarantined(drill), "nothing is signed while records may be missing")
    assert all(drill.payout(one)["status"] == "completed" for one in before.values())
    assert drill.is_paid(paid)
    until(lambda: drill.is_paid(open_one), "what was paid after the backup is found again")
    ready = [service for service in SERVICES if service != "wallet-manager"]
    for service in ready:
        until(lambda service=service: not drill.reasons(service), f"{service} is ready")

    again = {number: drill.ask_payout(number) for number in (1, 2, 3, 4)}
    assert again == {**before, **after}, "a key leads to the same payout after a restore too"
    assert {drill.payout(again[number])["status"] for number in (1, 2)} == {"completed"}
    until(
        lambda: all(drill.payout(again[number])["status"] == "completed" for number in (3, 4)),
        "the forgotten payouts find the transactions that paid them",
    )
    until(lambda: not is_quarantined(drill), "the quarantine is over")
    until(
        lambda: (
            drill.alarms("wallet-manager")
            == {
                ("decisions_restored", "all"),
                ("feed_restarted", "transfers"),
                ("feed_restarted", "transactions"),
            }
        ),
        "what was decided is to be looked at, and both feeds are said to have begun anew",
    )
    drill.close_alarms("wallet-manager")
    until(lambda: is_ready(drill), "the operator has looked")
    drill.pay_out(5)
    assert drill.paid(treasury) == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1}
    assert drill.booked(treasury) == 5_000_000_000 - 5 * AMOUNT - 15, "each is booked once"


def is_ready(drill: Drill) -> bool:
    reasons = drill.reasons("wallet-manager")
    assert not reasons, reasons
    return True


def is_quarantined(drill: Drill) -> bool:
    return any("quarantine" in reason for reason in drill.reasons("wallet-manager"))


def test_h5_services_that_were_set_back_beside_one_that_was_not_pay_nothing_twice(
    drill: Drill, until: Callable[..., None]
) -> None:
    """tron-client holds the send keys: what the restored services forgot it does not let out again."""
    treasury = drill.treasury()
    drill.pay_out(1)
    drill.command("backup")
    after = drill.pay_out(2, 3)
    drill.stack.stop()

    folder = drill.stack.data_dir / "backups"
    sealed = [
        str(next(folder.glob(f"{service}-*.sealed")))
        for service in ("wallet-manager", "payout-router")
    ]
    drill.command("restore", *sealed, "--key-fd", "0", given=drill.recovery_key)
    drill.start_services()
    again: dict[int, str] = {}

    def asked() -> bool:
        again.update({number: drill.ask_payout(number) for number in after})
        return True

    until(asked, "the callers repeat what they asked for at once")
    assert again == after
    until(
        lambda: all(drill.payout(one)["status"] == "completed" for one in after.values()),
        "the forgotten payouts find the transactions that paid them",
    )
    until(lambda: not is_quarantined(drill), "the quarantine is over")
    until(
        lambda: drill.alarms("wallet-manager") == {("decisions_restored", "all")},
        "what was decided is to be looked at",
    )
    drill.close_alarms("wallet-manager")
    until(lambda: is_ready(drill), "the operator has looked")
    drill.pay_out(4)
    assert drill.paid(treasury) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert not drill.reasons("tron-client")

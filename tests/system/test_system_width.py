"""The parts of the journey beside the main road: staking, TRX, and the webhook that tells of it."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from services.demo import Caller
from tests.system.chain import ChainReader

pytestmark = pytest.mark.system


class Receiver(ThreadingHTTPServer):
    """A merchant's endpoint that is down for the first two calls."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls = 0
        self.received: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        server.calls += 1
        if server.calls <= 2:
            self.send_response(503)
        else:
            server.received.append((dict(self.headers), body))
            self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_trx_is_staked_for_energy_and_taken_back(
    caller: Caller, funded: str, until: Callable[..., None]
) -> None:
    wallet = caller.get("wallet-manager", f"/api/v1/wallets/{funded}")["wallet_id"]

    def order(action: str, amount: str) -> dict[str, Any]:
        body = {"wallet_id": wallet, "amount": amount, "resource": "energy"}
        made = caller.post("trx-staking", f"/api/v1/staking/{action}", body, key=action)
        path = f"/api/v1/staking/orders/{made['stake_id']}"
        until(lambda: caller.get("trx-staking", path)["state"] == "completed", f"{action} is done")
        return caller.get("trx-staking", path)

    frozen = order("freeze", "1000")
    assert frozen["txid"]
    status = caller.get("trx-staking", f"/api/v1/staking/status/{funded}")
    assert status["staking_status"] == "active"
    assert {"resource": "energy", "amount_sun": "1000000000"} in status["frozen"]
    assert status["resources"]["energy_limit"] > 0

    order("unfreeze", "400")
    status = caller.get("trx-staking", f"/api/v1/staking/status/{funded}")
    assert {"resource": "energy", "amount_sun": "600000000"} in status["frozen"]
    assert [one["amount_sun"] for one in status["unfreezing"]] == ["400000000"]


def test_a_trx_invoice_is_paid_and_the_webhook_tells_of_it_though_the_receiver_was_down(
    caller: Caller, funded: str, receiver: Receiver, until: Callable[..., None]
) -> None:
    assert funded
    hook = caller.post("payment-gateway", "/api/v1/webhooks", {"url": receiver.url}, key="hook")
    body = {"amount": "7.5", "currency": "TRX", "order_id": "trx-1"}
    invoice = caller.post("payment-gateway", "/api/v1/invoices", body, key="trx-1")
    pay = {
        "from": "customer-2",
        "to": invoice["pay_to_address"],
        "amount": "7.5",
        "currency": "TRX",
    }
    caller.devnet("/devnet/transfer", pay)

    def told() -> list[dict[str, Any]]:
        verifier = Webhook(hook["secret"])
        return [verifier.verify(body, headers) for headers, body in list(receiver.received)]

    until(
        lambda: any(
            event["type"] == "invoice.paid" and event["data"]["invoice_id"] == invoice["invoice_id"]
            for event in told()
        ),
        "the webhook tells that the invoice is paid",
    )
    path = f"/api/v1/invoices/{invoice['invoice_id']}"
    assert caller.get("payment-gateway", path)["state"] == "paid"
    assert receiver.calls > len(receiver.received)


def test_a_trx_payout_activates_its_recipient_and_is_paid_once(
    caller: Caller, chain: ChainReader, funded: str, until: Callable[..., None]
) -> None:
    since = chain.head()
    stranger = "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH"
    body = {
        "user_id": "u",
        "amount": "3.000007",
        "currency": "TRX",
        "recipient_address": stranger,
    }
    payout = caller.post("payout-router", "/api/v1/payouts", body, key="trx-payout")
    path = f"/api/v1/payouts/{payout['payout_id']}"
    until(lambda: caller.get("payout-router", path)["status"] == "completed", "it is completed")

    assert int(caller.get("payout-router", path)["fee_sun"]) >= 1_000_000
    assert chain.trx_transfers(since)[funded, stranger, 3_000_007] == 1

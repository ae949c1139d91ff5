"""The gateway over HTTP, with real tokens and its siblings played."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.payment_gateway.app import create
from services.payment_gateway.settings import Settings
from shared.access import Role
from shared.clock import HeldClock
from shared.outbound import LOOPBACK, Outbound
from shared.web.runtime import Runtime
from tests.services.payment_gateway.doubles import resolves_to_public, unread
from tests.support import START_MS, Keys, address, answers, serving, settings_in, wallet_view

PAY_TO = address(0x77)


class Siblings:
    """Answers for every sibling over HTTP."""

    def __init__(self) -> None:
        self.wallets_away = False
        self.addresses: dict[str, str] = {}
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(f"{request.url.host} {path}")
        if request.url.host == "tron-client" and path.endswith("/transfers/feed"):
            return httpx.Response(200, json={"items": [], "next": "a.0", "incarnation": "a"})
        if "/feed/consumers/" in path:
            cursor = json.loads(request.content)["cursor"]
            return httpx.Response(200, json={"name": "payment-gateway", "cursor": cursor})
        if request.url.host == "wallet-manager" and not self.wallets_away:
            return self._wallets(request)
        if path.startswith("/api/v1/usdt/balance/"):
            return httpx.Response(200, json=self._balance(path.rpartition("/")[2]))
        return httpx.Response(503, json={"detail": "away"})

    def _wallets(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/treasury"):
            return httpx.Response(200, json=wallet_view().model_dump(mode="json"))
        if path.endswith("/addresses"):
            name = json.loads(request.content)["request_id"]
            made = self.addresses.setdefault(name, address(1_000 + len(self.addresses)))
            return httpx.Response(
                200,
                json={
                    "address": made,
                    "wallet_id": "wal_treasury",
                    "index": 1,
                    "derivation_path": "m",
                    "birth_height": 1,
                },
            )
        if path == "/api/v1/wallets":
            return httpx.Response(
                200, json={"wallets": [wallet_view().model_dump(mode="json")], "next": None}
            )
        return httpx.Response(404, json={"code": "LUCID_ERR_9310", "detail": "no such wallet"})

    def _balance(self, owner: str) -> dict[str, Any]:
        return {
            "address": owner,
            "balance": "1.5",
            "balance_base_units": "1500000",
            "currency": "USDT",
            "contract_address": address(0x51),
        }


class Served:
    """The application with everything a test speaks to."""

    def __init__(self, client: httpx.AsyncClient, keys: Keys, siblings: Siblings) -> None:
        self.client = client
        self.keys = keys
        self.siblings = siblings
        self.admin = keys.person(Role.ADMIN)
        self.root = keys.person(Role.SUPER_ADMIN, "root")

    async def invoice(
        self, body: dict[str, Any], key: str | None = None, who: dict[str, str] | None = None
    ) -> httpx.Response:
        headers = dict(who or self.admin)
        if key:
            headers["Idempotency-Key"] = key
        return await self.client.post("/api/v1/invoices", json=body, headers=headers)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    clock = HeldClock(START_MS)
    keys = Keys(tmp_path, clock)
    key_file = tmp_path / "secrets" / "payment-gateway" / "webhook.key"
    key_file.touch(mode=0o600)
    key_file.write_text("ab" * 32)
    siblings = Siblings()
    settings = settings_in(
        tmp_path,
        Settings,
        feed_wait_s=0,
        peer_attempts=1,
    )
    runtime = Runtime(
        service="payment-gateway", settings=settings, clock=clock, transport=answers(siblings)
    )
    outbound = Outbound(
        allowed=LOOPBACK,
        timeout_s=5,
        max_answer_bytes=1_000,
        resolver=resolves_to_public,
        transport=answers(lambda _: unread(httpx.Response(200))),
    )
    async with serving(create(settings, runtime, outbound=outbound)) as client:
        yield Served(client, keys, siblings)


async def test_an_invoice_is_made_read_and_listed(served: Served) -> None:
    made = await served.invoice({"amount": "12.50", "order_id": "o-1"})
    assert made.status_code == 201, made.text
    invoice = made.json()
    assert (invoice["amount"], invoice["amount_base_units"]) == ("12.5", "12500000")
    assert (invoice["state"], invoice["currency"]) == ("pending", "USDT")
    assert invoice["pay_to_address"] in served.siblings.addresses.values()
    path = f"/api/v1/invoices/{invoice['invoice_id']}"
    assert (await served.client.get(path, headers=served.admin)).json() == invoice
    listed = await served.client.get("/api/v1/invoices?state=pending", headers=served.admin)
    assert listed.json() == {"invoices": [invoice], "next": None}
    none = await served.client.get("/api/v1/invoices?state=paid", headers=served.admin)
    assert none.json()["invoices"] == []


async def test_pages_of_invoices_follow_each_other_newest_first(served: Served) -> None:
    made = [
        (await served.invoice({"amount": "1"}, key=f"k{number}")).json()["invoice_id"]
        for number in range(5)
    ]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = await served.client.get("/api/v1/invoices", params=params, headers=served.admin)
        seen += [invoice["invoice_id"] for invoice in page.json()["invoices"]]
        cursor = page.json()["next"]
    assert seen == sorted(made, reverse=True)
    bad = await served.client.get("/api/v1/invoices?cursor=nonsense", headers=served.admin)
    assert (bad.status_code, bad.json()["code"]) == (400, "LUCID_ERR_1003")


async def test_repeats_are_marked_and_other_bodies_refused(served: Served) -> None:
    first = await served.invoice({"amount": "5"}, key="k")
    again = await served.invoice({"amount": "5.0"}, key="k")
    other = await served.invoice({"amount": "6"}, key="k")
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert other.json()["code"] == "LUCID_ERR_1401"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"amount": "5"}, "LUCID_ERR_1002"),
        ({"amount": 5, "order_id": "o"}, "LUCID_ERR_1001"),
        ({"amount": "0.5", "order_id": "o"}, "LUCID_ERR_9602"),
        ({"amount": "5", "order_id": "o", "expires_in_s": 1}, "LUCID_ERR_1001"),
        ({"amount": "5", "order_id": "o", "extra": 1}, "LUCID_ERR_1001"),
    ],
)
async def test_bad_requests_are_refused(served: Served, body: dict[str, Any], code: str) -> None:
    refused = await served.invoice(body)
    assert (refused.status_code, refused.json()["code"]) == (400, code)


async def test_wallet_manager_away_shows_nothing_and_the_key_goes_on_later(
    served: Served,
) -> None:
    served.siblings.wallets_away = True
    away = await served.invoice({"amount": "5"}, key="k")
    assert away.status_code == 503
    assert "Retry-After" in away.headers
    served.siblings.wallets_away = False
    later = await served.invoice({"amount": "5"}, key="k")
    assert later.status_code == 201
    assert "idempotent-replayed" not in later.headers


async def test_users_see_their_own_alone(served: Served) -> None:
    made = (await served.invoice({"amount": "5"}, key="k")).json()["invoice_id"]
    user = served.keys.person(Role.USER, "eve")
    path = f"/api/v1/invoices/{made}"
    assert (await served.client.get(path, headers=user)).status_code == 404
    assert (await served.client.get("/api/v1/invoices", headers=user)).json()["invoices"] == []
    assert (await served.client.get("/api/v1/invoices/feed", headers=user)).status_code == 403
    assert (await served.invoice({"amount": "5"}, key="k", who=user)).status_code == 403
    assert (await served.client.get("/api/v1/webhooks", headers=user)).status_code == 403
    assert (await served.client.get("/api/v1/wallets", headers=user)).status_code == 403
    assert (await served.client.get(path)).status_code == 401


async def test_the_feed_of_invoices_is_followed_with_a_cursor(served: Served) -> None:
    made = (await served.invoice({"amount": "5"}, key="k")).json()
    page = (await served.client.get("/api/v1/invoices/feed", headers=served.admin)).json()
    (item,) = page["items"]
    assert (item["type"], item["object"]) == ("invoice.created", made)
    acknowledged = await served.client.put(
        "/api/v1/invoices/feed/consumers/books",
        json={"cursor": page["next"]},
        headers=served.admin,
    )
    assert acknowledged.json() == {"name": "books", "cursor": page["next"]}
    reset = await served.client.get("/api/v1/invoices/feed?after=other.0", headers=served.admin)
    assert (reset.status_code, reset.json()["code"]) == (409, "LUCID_ERR_1403")


async def test_webhooks_over_http(served: Served) -> None:
    body = {"url": "https://shop.example/hook", "events": ["invoice.*"]}
    refused = await served.client.post("/api/v1/webhooks", json=body, headers=served.admin)
    assert refused.status_code == 403
    made = await served.client.post("/api/v1/webhooks", json=body, headers=served.root)
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    inside = await served.client.post(
        "/api/v1/webhooks", json={"url": "https://192.168.0.1/"}, headers=served.root
    )
    assert (inside.status_code, inside.json()["code"]) == (400, "LUCID_ERR_9612")
    listed = await served.client.get("/api/v1/webhooks", headers=served.root)
    assert listed.json()["webhooks"] == [{**made.json(), "secret": None}]

    await served.invoice({"amount": "5"}, key="k")
    path = f"/api/v1/webhooks/{made.json()['webhook_id']}"
    page = (await served.client.get(f"{path}/deliveries", headers=served.root)).json()
    (delivery,) = page["deliveries"]
    again = await served.client.post(
        f"{path}/deliveries/{delivery['delivery_id']}/redeliver", headers=served.root
    )
    assert again.status_code in {202, 409}
    gone = await served.client.delete(path, headers=served.root)
    assert (gone.status_code, gone.json()["active"]) == (200, False)
    missing = await served.client.delete("/api/v1/webhooks/whk_none", headers=served.root)
    assert missing.status_code == 404


async def test_h24_aliases_pass_on_the_owners_answers(served: Served) -> None:
    async def get(path: str) -> httpx.Response:
        return await served.client.get(path, headers=served.admin)

    assert (await get("/wallets")).json() == (await get("/api/v1/wallets")).json()
    assert (await get("/wallets")).json()["wallets"][0]["wallet_id"] == "wal_treasury"
    for path in ("/balance/wal_x", "/api/v1/wallets/wal_x", "/api/v1/wallets/wal_x/transactions"):
        missing = await get(path)
        assert (missing.status_code, missing.json()["code"]) == (404, "LUCID_ERR_9310")
    balance = await get(f"/api/v1/usdt/balance/{PAY_TO}")
    assert (balance.json()["balance"], balance.json()["currency"]) == ("1.5", "USDT")
    assert (await get("/api/v1/usdt/balance/nonsense")).status_code == 400
    assert (await get("/api/v1/wallets/a%3Fb")).status_code == 400
    for path in (
        f"/api/v1/staking/status/{PAY_TO}",
        "/api/v1/tron/network/status",
        "/api/v1/tron/network/info",
        "/api/v1/tron/network/fees",
    ):
        assert (await get(path)).status_code == 503


async def test_counts_and_details_say_what_operators_need(served: Served) -> None:
    await served.invoice({"amount": "5"}, key="k")
    stats = (await served.client.get("/stats")).json()
    assert stats["counts"]["invoices"]["pending"] == 1
    assert stats["counts"]["deliveries"] == {"pending": 0, "failed": 0}
    status = (await served.client.get("/status", headers=served.admin)).json()
    assert status["details"]["transfers_cursor"] in {"", "a.0"}
    assert "details" not in (await served.client.get("/status")).json()


async def test_without_its_key_file_the_gateway_is_up_but_not_ready(tmp_path: Path) -> None:
    clock = HeldClock(START_MS)
    keys = Keys(tmp_path, clock)
    settings = settings_in(tmp_path, Settings)
    runtime = Runtime(service="payment-gateway", settings=settings, clock=clock)
    async with serving(create(settings, runtime)) as client:
        assert (await client.get("/health")).status_code == 200
        ready = await client.get("/ready")
        assert ready.status_code == 503
        assert "webhook.key" in ready.json()["detail"]
        call = await client.get("/api/v1/invoices", headers=keys.person())
        assert call.status_code == 503

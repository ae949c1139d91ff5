import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.payout_router.app import create
from services.payout_router.settings import Settings
from shared.access import Role, Scope
from shared.clock import HeldClock
from shared.web.runtime import Runtime
from tests.support import START_MS, Keys, address, answers, nobody_there, serving, settings_in

PAYOUT: dict[str, Any] = {
    "user_id": "u1",
    "amount": "25.50",
    "currency": "USDT",
    "recipient_address": address(1),
    "description": "rent",
}
TRANSFER: dict[str, Any] = {"to_address": address(1), "amount": "25.50"}


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock(START_MS)


@pytest.fixture
def keys(tmp_path: Path, clock: HeldClock) -> Keys:
    return Keys(tmp_path, clock)


@pytest.fixture
async def client(tmp_path: Path, clock: HeldClock, keys: Keys) -> AsyncIterator[httpx.AsyncClient]:
    settings = settings_in(tmp_path, Settings, peer_attempts=1)
    assert isinstance(keys, Keys)
    runtime = Runtime(
        service="payout-router", settings=settings, clock=clock, transport=answers(nobody_there)
    )
    async with serving(create(settings, runtime)) as client:
        yield client


def keyed(headers: dict[str, str], key: str = "k1") -> dict[str, str]:
    return {**headers, "Idempotency-Key": key}


@pytest.mark.parametrize("path", ["/api/v1/payouts", "/api/v1/payouts/initiate"])
async def test_a_payout_is_promised(client: httpx.AsyncClient, keys: Keys, path: str) -> None:
    answer = await client.post(path, json=PAYOUT, headers=keyed(keys.person()))
    assert answer.status_code == 201
    made = answer.json()
    assert made["status"] in {"pending", "processing"}
    assert (made["amount"], made["amount_base_units"]) == ("25.5", "25500000")
    read = await client.get(f"/api/v1/payouts/{made['payout_id']}", headers=keys.person())
    assert read.json()["payout_id"] == made["payout_id"]
    assert "Idempotent-Replayed" not in answer.headers


async def test_a_replay_says_so_and_the_aliases_share_their_keys(
    client: httpx.AsyncClient, keys: Keys
) -> None:
    headers = keyed(keys.person())
    first = await client.post("/api/v1/payouts", json=PAYOUT, headers=headers)
    again = await client.post("/api/v1/payouts/initiate", json=PAYOUT, headers=headers)
    assert again.status_code == 201
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["payout_id"] == first.json()["payout_id"]


async def test_a_natural_id_stands_for_the_key(client: httpx.AsyncClient, keys: Keys) -> None:
    body = {**PAYOUT, "request_id": "r1"}
    first = await client.post("/api/v1/payouts", json=body, headers=keys.person())
    again = await client.post("/api/v1/payouts", json=body, headers=keys.person())
    assert again.json()["payout_id"] == first.json()["payout_id"]
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("changes", "status", "code", "told"),
    [
        ({"amount": 25.5}, 400, "LUCID_ERR_1001", "amount"),
        ({"amount": "abc"}, 400, "LUCID_ERR_1001", "amount"),
        ({"amount": "1e3"}, 400, "LUCID_ERR_1001", "amount"),
        ({"amount": "0"}, 400, "LUCID_ERR_1001", "amount"),
        ({"recipient_address": address(1)[:-1] + "x"}, 400, "LUCID_ERR_1001", "recipient_address"),
        ({"recipient_address": ""}, 400, "LUCID_ERR_1001", "recipient_address"),
        ({"currency": "BTC"}, 400, "LUCID_ERR_1001", "currency"),
        ({"colour": "red"}, 400, "LUCID_ERR_1001", "colour"),
        ({"amount": "9.999999"}, 403, "LUCID_ERR_9201", "minimum"),
        ({"amount": "10000.000001"}, 403, "LUCID_ERR_9201", "maximum"),
    ],
)
async def test_what_is_wrong_is_told(
    client: httpx.AsyncClient,
    keys: Keys,
    changes: dict[str, object],
    status: int,
    code: str,
    told: str,
) -> None:
    answer = await client.post(
        "/api/v1/payouts", json={**PAYOUT, **changes}, headers=keyed(keys.person())
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/payouts", PAYOUT),
        ("/api/v1/payouts/initiate", PAYOUT),
        ("/api/v1/payouts/batch", {"payouts": []}),
        ("/transfer", TRANSFER),
    ],
)
async def test_h3_money_is_not_moved_without_a_key(
    client: httpx.AsyncClient, keys: Keys, path: str, body: dict[str, Any]
) -> None:
    if "payouts" in body:
        body = {"payouts": [PAYOUT]}
    answer = await client.post(path, json=body, headers=keys.person())
    assert (answer.status_code, answer.json()["code"]) == (400, "LUCID_ERR_1002")
    assert "Idempotency-Key" in answer.text
    assert "request_id" in answer.text


async def test_a_key_used_for_another_body_is_a_conflict(
    client: httpx.AsyncClient, keys: Keys
) -> None:
    headers = keyed(keys.person())
    await client.post("/api/v1/payouts", json=PAYOUT, headers=headers)
    answer = await client.post("/api/v1/payouts", json={**PAYOUT, "amount": "26"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "LUCID_ERR_1401")


async def test_a_key_of_more_than_255_characters_is_refused(
    client: httpx.AsyncClient, keys: Keys
) -> None:
    answer = await client.post(
        "/api/v1/payouts", json=PAYOUT, headers=keyed(keys.person(), "k" * 256)
    )
    assert answer.status_code == 400


async def test_nobody_without_a_token_comes_in(client: httpx.AsyncClient) -> None:
    for method, path in (
        ("POST", "/api/v1/payouts"),
        ("GET", "/api/v1/payouts"),
        ("POST", "/transfer"),
        ("GET", "/api/v1/payouts/feed"),
    ):
        answer = await client.request(method, path)
        assert answer.status_code == 401


async def test_a_batch_answers_for_each_item(client: httpx.AsyncClient, keys: Keys) -> None:
    items = [dict(PAYOUT) for _ in range(2)]
    items[1]["amount"] = "1"
    headers = keyed(keys.person())
    answer = await client.post("/api/v1/payouts/batch", json={"payouts": items}, headers=headers)
    assert answer.status_code == 201
    made = answer.json()
    assert made["payouts"][0]["payout"]["status"] in {"pending", "processing"}
    assert made["payouts"][1]["problem"]["code"] == "LUCID_ERR_9201"
    read = await client.get(f"/api/v1/payouts/batch/{made['batch_id']}", headers=keys.person())
    assert read.json()["batch_id"] == made["batch_id"]
    eve = keys.person(Role.USER, "eve")
    hidden = await client.get(f"/api/v1/payouts/batch/{made['batch_id']}", headers=eve)
    assert hidden.status_code == 404


async def test_lists_and_history_are_one(client: httpx.AsyncClient, keys: Keys) -> None:
    for number in range(3):
        headers = keyed(keys.person(), f"k{number}")
        await client.post("/api/v1/payouts", json=PAYOUT, headers=headers)
    for path in ("/api/v1/payouts", "/api/v1/payouts/history"):
        page = (await client.get(path, params={"limit": 2}, headers=keys.person())).json()
        assert len(page["payouts"]) == 2
        rest = await client.get(
            path, params={"limit": 2, "cursor": page["next"]}, headers=keys.person()
        )
        assert (len(rest.json()["payouts"]), rest.json()["next"]) == (1, None)
    for params in ({"limit": 101}, {"cursor": "nonsense"}, {"status": "odd"}):
        answer = await client.get("/api/v1/payouts", params=params, headers=keys.person())
        assert answer.status_code == 400


async def test_a_user_neither_sees_others_payouts_nor_the_feed(
    client: httpx.AsyncClient, keys: Keys
) -> None:
    made = await client.post("/api/v1/payouts", json=PAYOUT, headers=keyed(keys.person()))
    eve = keys.person(Role.USER, "eve")
    answer = await client.get(f"/api/v1/payouts/{made.json()['payout_id']}", headers=eve)
    assert answer.status_code == 404
    assert (await client.get("/api/v1/payouts", headers=eve)).json()["payouts"] == []
    assert (await client.get("/api/v1/payouts/feed", headers=eve)).status_code == 403


async def test_transfer_is_a_direct_payout_for_administrators_alone(
    client: httpx.AsyncClient, keys: Keys
) -> None:
    answer = await client.post("/transfer", json=TRANSFER, headers=keyed(keys.person()))
    assert (answer.status_code, answer.json()["router"]) == (201, "direct")
    eve = keyed(keys.person(Role.USER, "eve"))
    refused = await client.post("/transfer", json=TRANSFER, headers=eve)
    assert (refused.status_code, refused.json()["rule"]) == (403, "router")
    for content in (b"", b"{}", b"[]", b"{"):
        empty = await client.post("/transfer", content=content, headers=keyed(keys.person()))
        assert empty.status_code == 400


async def test_the_feed_tells_siblings_and_remembers_how_far_they_came(
    client: httpx.AsyncClient, keys: Keys
) -> None:
    await client.post("/api/v1/payouts", json=PAYOUT, headers=keyed(keys.person()))
    await client.post(
        "/api/v1/payouts/batch",
        json={"payouts": [{**PAYOUT, "amount": "1"}]},
        headers=keyed(keys.person()),
    )
    gateway = keys.service("payment-gateway", audience="payout-router", scope=Scope.PAYOUTS_READ)
    page = (await client.get("/api/v1/payouts/feed", headers=gateway)).json()
    created = [item["object"] for item in page["items"] if item["type"] == "payout.created"]
    assert created[0]["amount"] == "25.5"
    ended = [item["object"] for item in page["items"] if item["type"] == "batch.completed"]
    assert ended[0]["refused"] == 1
    answer = await client.put(
        "/api/v1/payouts/feed/consumers/payment-gateway",
        json={"cursor": page["next"]},
        headers=gateway,
    )
    assert answer.json() == {"name": "payment-gateway", "cursor": page["next"]}
    other = await client.get(
        "/api/v1/payouts/feed", params={"after": "elsewhere.1"}, headers=gateway
    )
    assert (other.status_code, other.json()["code"]) == (409, "LUCID_ERR_1403")


async def test_concurrent_repeats_over_http_make_one_payout(
    client: httpx.AsyncClient, keys: Keys
) -> None:
    headers = keyed(keys.person())
    made = await asyncio.gather(
        *(client.post("/api/v1/payouts", json=PAYOUT, headers=headers) for _ in range(16))
    )
    assert {answer.status_code for answer in made} == {201}
    assert len({answer.json()["payout_id"] for answer in made}) == 1


async def test_stats_count_without_money(client: httpx.AsyncClient, keys: Keys) -> None:
    await client.post("/api/v1/payouts", json=PAYOUT, headers=keyed(keys.person()))
    counts = (await client.get("/stats")).json()["counts"]
    assert sum(counts.values()) == 1
    assert (await client.get("/health")).status_code == 200


async def test_a_bare_container_is_healthy_and_refuses_calls(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, Settings)
    runtime = Runtime(service="payout-router", settings=settings, clock=HeldClock(START_MS))
    async with serving(create(settings, runtime)) as client:
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/api/v1/payouts")).status_code == 401

from collections.abc import Callable

import httpx
import pytest

from services.demo import Caller, Story
from services.stack import Stack
from shared.config import SERVICES
from tests.system.chain import ChainReader
from tests.system.conftest import SPEED

pytestmark = pytest.mark.system


def test_the_whole_story_is_told_and_everything_is_as_it_should_be(
    caller: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    Story(caller, speed=SPEED).tell()

    told = capsys.readouterr().out
    assert "invoice              paid 25 USDT (pending → seen → paid)" in told
    assert told.count("  fee ") == 3


def test_a_replayed_payout_is_the_same_payout_and_is_paid_once(
    caller: Caller, chain: ChainReader, funded: str, until: Callable[..., None]
) -> None:
    since = chain.head()
    recipient = caller.devnet("/devnet/accounts")["accounts"][7]["address"]
    body = {"user_id": "u", "amount": "10.123456", "recipient_address": recipient}
    first = caller.post("payout-router", "/api/v1/payouts", body, key="same-key")
    again = caller.post("payout-router", "/api/v1/payouts", body, key="same-key")
    assert first["payout_id"] == again["payout_id"]

    until(
        lambda: (
            caller.get("payout-router", f"/api/v1/payouts/{first['payout_id']}")["status"]
            == "completed"
        ),
        "the payout is completed",
    )
    assert chain.usdt_transfers(since)[funded, recipient, 10_123_456] == 1


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_is_ready_and_says_so_without_a_token(stack: Stack, service: str) -> None:
    for path in (
        "/health",
        "/health/live",
        "/health/ready",
        "/ready",
        "/info",
        "/status",
        "/stats",
    ):
        answer = httpx.get(stack.url(service) + path, trust_env=False)
        assert answer.status_code == 200, answer.text
    assert b"lucid_ready 1.0" in httpx.get(stack.url(service) + "/metrics", trust_env=False).content


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("amount", 10.5, "amount"),
        ("amount", "ten", "amount"),
        ("recipient_address", "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdh", "recipient_address"),
        ("colour", "blue", "colour"),
    ],
)
def test_bad_input_gets_a_problem_that_names_the_field(
    stack: Stack, token: str, field: str, value: object, named: str
) -> None:
    body = {
        "user_id": "u",
        "amount": "10",
        "recipient_address": "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH",
        field: value,
    }
    answer = httpx.post(
        f"{stack.url('payout-router')}/api/v1/payouts",
        json=body,
        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": f"bad-{field}-{value}"},
        trust_env=False,
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [named]


def test_too_small_an_amount_and_a_reused_key_each_get_their_own_refusal(
    stack: Stack, token: str
) -> None:
    body = {
        "user_id": "u",
        "amount": "9.999999",
        "recipient_address": "TUEZSdKsoDHQMeZwihtdoBiN46zxhGWYdH",
    }
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "one-key"}
    url = f"{stack.url('payout-router')}/api/v1/payouts"
    small = httpx.post(url, json=body, headers=headers, trust_env=False)
    assert (small.status_code, small.json()["rule"]) == (403, "minimum")

    first = httpx.post(url, json={**body, "amount": "10"}, headers=headers, trust_env=False)
    other = httpx.post(url, json={**body, "amount": "11"}, headers=headers, trust_env=False)
    assert (first.status_code, other.status_code) == (201, 409)
    assert other.json()["code"] == "LUCID_ERR_1401"

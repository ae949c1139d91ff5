"""wallet-manager behind its edge: tokens, fields, and answers without keys."""

import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from services.wallet_manager.app import NAME, create
from services.wallet_manager.cli import make_seed
from services.wallet_manager.routes import recovery, reports, wallets
from services.wallet_manager.settings import Settings
from shared.access import Role, Scope
from shared.clock import HeldClock
from shared.web.runtime import Runtime
from tests.services.wallet_manager.till import CUSTOMER, MASTER_KEY, USDT
from tests.support import START_MS, Keys, answers, nobody_there, serving, settings_in

ROUTES = sorted(
    (method, route.path)
    for router in (wallets.router, reports.router, recovery.router)
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
)
SENDS = "/api/v1/sends"
WALLETS = "/api/v1/wallets"


class TronClient:
    """Plays tron-client over HTTP: promises watches, and nothing else."""

    def __init__(self) -> None:
        self.away = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away or request.url.path != "/api/v1/watches":
            return nobody_there(request)
        addresses = json.loads(request.content)["addresses"]
        return httpx.Response(200, json={"watched": len(addresses), "birth_height": 7})


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    client: httpx.AsyncClient
    keys: Keys
    tron_client: TronClient
    words: str

    def service(self, name: str, scope: Scope) -> dict[str, str]:
        return self.keys.service(name, audience=NAME, scope=scope)

    async def post(
        self, path: str, body: object, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        answer = await self.client.post(path, json=body, headers=headers)
        return answer.status_code, answer.json()


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    clock = HeldClock(START_MS)
    keys = Keys(tmp_path, clock)
    master_key = tmp_path / "secrets" / NAME / "master.key"
    master_key.touch(mode=0o600)
    master_key.write_text(MASTER_KEY.hex())
    settings = settings_in(tmp_path, Settings, peer_attempts=1)
    shown: list[str] = []
    assert await make_seed(settings, show=shown.append)
    tron_client = TronClient()
    runtime = Runtime(service=NAME, settings=settings, clock=clock, transport=answers(tron_client))
    async with serving(create(settings, runtime)) as client:
        yield Edge(client=client, keys=keys, tron_client=tron_client, words=shown[0])


def intent_body(**changes: object) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "send_key": "payout-router:po_1:0",
        "origin": {"service": "payout-router", "principal": "ada"},
        "purpose": "payout",
        "wallet_id": "wal_1",
        "kind": "trc20_transfer",
        "params": {
            "amount_base_units": "5000000",
            "recipient": CUSTOMER,
            "contract_address": USDT,
        },
        "max_fee_sun": "100000000",
        "not_after": START_MS + 60_000,
    }
    return fields | changes


def params(**changes: object) -> dict[str, object]:
    return {**intent_body()["params"], **changes}


async def make_wallet(edge: Edge, **changes: object) -> dict[str, Any]:
    body = {"user_id": "operator", "role": "treasury", "request_id": "first"} | changes
    status, wallet = await edge.post(WALLETS, body, edge.keys.person())
    assert status == 201, wallet
    return wallet


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_h18_no_route_answers_without_a_token(edge: Edge, method: str, path: str) -> None:
    answer = await edge.client.request(
        method, path.format(wallet_id="x", send_id="x", name="x", txid="x")
    )

    assert answer.status_code == 401


@pytest.mark.parametrize("role", list(Role))
async def test_h18_people_ask_for_no_sends(edge: Edge, role: Role) -> None:
    status, problem = await edge.post(
        SENDS, {"intents": [intent_body()]}, edge.keys.person(role, role.value)
    )

    assert status == 403
    assert problem["scope"] == "wallets:send"


@pytest.mark.parametrize("role", [Role.USER, Role.NODE_OPERATOR])
async def test_h18_users_see_no_wallets(edge: Edge, role: Role) -> None:
    headers = edge.keys.person(role)

    assert (await edge.client.get(WALLETS, headers=headers)).status_code == 403
    assert (await edge.post(WALLETS, {"user_id": "u"}, headers))[0] == 403


async def test_a_wallet_is_locked_and_unlocked_by_the_operator_alone_and_with_a_reason(
    edge: Edge,
) -> None:
    wallet = await make_wallet(edge)
    path = f"{WALLETS}/{wallet['wallet_id']}/lock"

    async def put(body: dict[str, object], role: Role = Role.SUPER_ADMIN) -> httpx.Response:
        return await edge.client.put(path, json=body, headers=edge.keys.person(role))

    assert (await put({"locked": True, "reason": "looking"}, Role.ADMIN)).status_code == 403
    assert (await put({"locked": True})).json()["errors"][0]["field"] == "reason"
    assert (await put({"locked": True, "reason": "looking"})).json()["status"] == "locked"
    assert (await put({"locked": True, "reason": "again"})).json()["status"] == "locked"
    assert (await put({"locked": False, "reason": "looked"})).json()["status"] == "active"
    stored = await edge.client.get(f"{WALLETS}/{wallet['wallet_id']}", headers=edge.keys.person())
    assert stored.json()["status"] == "active"


async def test_h18_a_token_for_another_service_is_refused(edge: Edge) -> None:
    headers = edge.keys.service("payout-router", audience="tron-client", scope=Scope.WALLETS_SEND)

    assert (await edge.post(SENDS, {"intents": [intent_body()]}, headers))[0] == 401


async def test_h18_a_service_without_the_scope_is_refused(edge: Edge) -> None:
    headers = edge.service("tron-client", Scope.WALLETS_SEND)

    assert (await edge.post(SENDS, {"intents": [intent_body()]}, headers))[0] == 403


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (intent_body(params=params(amount_base_units=5.0)), "params.amount_base_units"),
        (intent_body(params=params(amount_base_units=5_000_000)), "params.amount_base_units"),
        (intent_body(params=params(amount_base_units="5.0")), "params.amount_base_units"),
        (intent_body(params=params(amount_base_units="-5")), "params.amount_base_units"),
        (intent_body(params=params(amount_base_units="\u0665")), "params.amount_base_units"),
        (intent_body(params=params(recipient=CUSTOMER[:-1] + "x")), "params.recipient"),
        (intent_body(params=params(recipient="41" + "00" * 20)), "params.recipient"),
        (intent_body(params=params(memo="x")), "params.memo"),
        (intent_body(max_fee_sun=1.5), "max_fee_sun"),
        (intent_body(surprise=1), "surprise"),
        (intent_body(kind="delegate_resource"), "kind"),
        (intent_body(purpose="gift"), "purpose"),
        (intent_body(send_key="po_1"), "send_key"),
        (intent_body(send_key="payout-router:po_1:-1"), "send_key"),
        (intent_body(not_after=0), "not_after"),
    ],
)
async def test_a_malformed_intent_is_refused_with_its_field(
    edge: Edge, body: dict[str, Any], field: str
) -> None:
    headers = edge.service("payout-router", Scope.WALLETS_SEND)
    status, problem = await edge.post(SENDS, {"intents": [body]}, headers)

    assert status == 400
    assert [error["field"] for error in problem["errors"]] == [f"intents.0.{field}"]


async def test_too_many_intents_at_once_are_refused(edge: Edge) -> None:
    headers = edge.service("payout-router", Scope.WALLETS_SEND)

    for intents in ([], [intent_body()] * 201):
        assert (await edge.post(SENDS, {"intents": intents}, headers))[0] == 400


async def test_amounts_beyond_measure_are_a_problem_of_their_intent_alone(edge: Edge) -> None:
    wallet = await make_wallet(edge)
    good = intent_body(wallet_id=wallet["wallet_id"], send_key="payout-router:po_2:0")
    huge = intent_body(wallet_id=wallet["wallet_id"], params=params(amount_base_units="9" * 78))
    headers = edge.service("payout-router", Scope.WALLETS_SEND)
    status, answer = await edge.post(SENDS, {"intents": [huge, good]}, headers)

    assert status == 200
    assert [one["problem"] and one["problem"]["status"] for one in answer["results"]] == [400, None]


async def test_a_money_post_without_a_key_names_both_ways_out(edge: Edge) -> None:
    status, problem = await edge.post(WALLETS, {"user_id": "ada"}, edge.keys.person())

    assert status == 400
    assert "Idempotency-Key" in problem["detail"]
    assert "request_id" in problem["detail"]


async def test_no_answer_holds_key_material(edge: Edge) -> None:
    wallet = await make_wallet(edge)
    reader = edge.keys.person()
    address = await edge.post(
        f"{WALLETS}/{wallet['wallet_id']}/addresses",
        {"request_id": "r", "purpose": "invoice"},
        reader,
    )
    assert address[0] == 200
    pages = [
        await edge.client.get(path, headers=reader)
        for path in (
            WALLETS,
            f"{WALLETS}/treasury",
            f"{WALLETS}/{wallet['address']}",
            f"{WALLETS}/{wallet['wallet_id']}/balance",
            f"{WALLETS}/{wallet['wallet_id']}/transactions",
            "/info",
            "/stats",
            "/metrics",
        )
    ]

    assert {page.status_code for page in pages} == {200}
    told = " ".join(page.text for page in pages) + json.dumps([wallet, address[1]])
    assert MASTER_KEY.hex() not in told
    assert not any(" ".join(pair) in told for pair in itertools.pairwise(edge.words.split()))
    for secret in ("branch", "chain_code", "xpub", "private", "entropy", "wrapped", "seed"):
        assert secret not in told
    assert set(wallet) == {
        "wallet_id",
        "address",
        "user_id",
        "wallet_type",
        "role",
        "status",
        "label",
        "network",
        "derivation_path",
        "created_at",
    }


async def test_a_repeat_says_that_it_is_one(edge: Edge) -> None:
    body = {"user_id": "ada"}
    headers = edge.keys.person() | {"Idempotency-Key": "k"}
    first = await edge.client.post(WALLETS, json=body, headers=headers)
    again = await edge.client.post(WALLETS, json=body, headers=headers)
    other = await edge.client.post(WALLETS, json={"user_id": "bob"}, headers=headers)

    assert first.json() == again.json()
    assert (first.status_code, first.headers["Idempotent-Replayed"]) == (201, "false")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "LUCID_ERR_1401")


async def test_h11_a_wallet_is_not_shown_while_tron_client_is_away(edge: Edge) -> None:
    edge.tron_client.away = True
    headers = edge.keys.person()
    status, problem = await edge.post(
        WALLETS, {"user_id": "ada", "role": "treasury", "request_id": "r"}, headers
    )

    assert status == 503
    assert "address" not in problem
    assert (await edge.client.get(f"{WALLETS}/treasury", headers=headers)).status_code == 503
    assert (await edge.client.get(WALLETS, headers=headers)).json()["wallets"] == []


async def test_an_accepted_send_can_be_read_looked_up_and_followed(edge: Edge) -> None:
    wallet = await make_wallet(edge)
    body = intent_body(wallet_id=wallet["wallet_id"])
    headers = edge.service("payout-router", Scope.WALLETS_SEND)
    status, answer = await edge.post(SENDS, {"intents": [body]}, headers)
    send = answer["results"][0]["send"]
    reader = edge.service("payout-router", Scope.WALLETS_READ)

    one = await edge.client.get(f"{SENDS}/{send['send_id']}", headers=reader)
    found = await edge.post(f"{SENDS}/lookup", {"send_keys": [body["send_key"]]}, reader)
    feed = (await edge.client.get(f"{SENDS}/feed", headers=reader)).json()
    noted = await edge.client.put(
        f"{SENDS}/feed/consumers/payout-router", json={"cursor": feed["next"]}, headers=reader
    )

    person = await edge.client.put(
        f"{SENDS}/feed/consumers/payout-router",
        json={"cursor": feed["next"]},
        headers=edge.keys.person(Role.ADMIN),
    )

    assert (person.status_code, person.json()["rule"]) == (403, "consumer")
    assert status == 200
    assert one.json()["send_key"] == body["send_key"]
    assert [each["send_id"] for each in found[1]["sends"]] == [send["send_id"]]
    assert feed["items"][0]["type"] == "send.queued"
    assert noted.status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{SENDS}/snd_nobody", 404),
        (f"{WALLETS}/wal_nobody", 404),
        (f"{WALLETS}/treasury", 404),
        (f"{WALLETS}/wal_nobody/balance", 404),
        (f"{WALLETS}?cursor=nonsense", 400),
        (f"{WALLETS}?limit=0", 400),
        (f"{SENDS}/feed?after=nonsense", 400),
        (f"{SENDS}/feed?after=other.1", 409),
    ],
)
async def test_what_is_not_there_is_a_problem_with_a_code(
    edge: Edge, path: str, status: int
) -> None:
    answer = await edge.client.get(path, headers=edge.keys.person())

    assert answer.status_code == status
    assert answer.json()["code"].startswith("LUCID_ERR_")


async def test_it_lives_and_counts_whatever_tron_client_does(edge: Edge) -> None:
    assert (await edge.client.get("/health/live")).status_code == 200
    assert (await edge.client.get("/stats")).json()["counts"]["sends_queued"] == 0


async def test_without_a_seed_it_says_what_is_missing(tmp_path: Path) -> None:
    clock = HeldClock(START_MS)
    keys = Keys(tmp_path, clock)
    settings = settings_in(tmp_path, Settings, peer_attempts=1)
    runtime = Runtime(service=NAME, settings=settings, clock=clock, transport=answers(nobody_there))
    async with serving(create(settings, runtime)) as client:
        ready = await client.get("/health/ready")
        business = await client.get(WALLETS, headers=keys.person())

    assert ready.status_code == business.status_code == 503
    assert "master.key" in ready.json()["detail"]

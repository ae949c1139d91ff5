"""The routes of policy, approvals, kill switch and audit, behind the edge."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from fastapi.routing import APIRoute

from services.wallet_manager.app import NAME, create
from services.wallet_manager.cli import make_seed
from services.wallet_manager.cli.door import door_of
from services.wallet_manager.routes import guards
from services.wallet_manager.settings import Settings
from shared.access import GATEWAY_TOKEN_SERVICES, Role, Scope
from shared.auth import OPERATOR
from shared.clock import MS_PER_S, HeldClock
from shared.models.tron_transactions import BroadcastingView
from shared.tron.signing import SigningKey
from shared.web.runtime import Runtime
from tests.services.wallet_manager.opening import opened_keystore
from tests.services.wallet_manager.test_wallet_cli import said
from tests.services.wallet_manager.till import MASTER_KEY, Chain
from tests.support import START_MS, Keys, nobody_there, serving, settings_in

API = "/api/v1"
SHARED_SECRET = "a secret that the gateway shares with two services"
ROUTES = sorted(
    (method, route.path)
    for route in guards.router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
)
WRITES = [
    ("PUT", "/policies/all"),
    ("PUT", "/stops/all"),
    ("POST", "/approvals/apr_1/agree"),
    ("POST", "/approvals/apr_1/deny"),
    ("GET", "/audit"),
    ("GET", "/audit/export"),
    ("POST", "/audit/verify"),
]


class TronClient:
    """Plays tron-client over HTTP: time, watches, and the switch of broadcasting."""

    def __init__(self, clock: HeldClock) -> None:
        self.chain = Chain(clock)
        self.away = False
        self.stopped = False

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            return nobody_there(request)
        if request.url.path == f"{API}/watches":
            count = len(json.loads(request.content)["addresses"])
            return httpx.Response(200, json={"watched": count, "birth_height": 7})
        if request.url.path == f"{API}/chain/signing-context":
            return httpx.Response(200, json=(await self.chain.signing_context()).model_dump())
        if request.url.path == f"{API}/broadcasting":
            self.stopped = json.loads(request.content)["stopped"]
            told = BroadcastingView(stopped_for_all=self.stopped, stopped_owners=[], may_land=[])
            return httpx.Response(200, json=told.model_dump())
        return nobody_there(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    client: httpx.AsyncClient
    keys: Keys
    tron_client: TronClient
    clock: HeldClock
    root: Path

    async def ask(
        self, method: str, path: str, body: object = None, *, by: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = by or self.keys.person(Role.SUPER_ADMIN)
        answer = await self.client.request(method, f"{API}{path}", json=body, headers=headers)
        return answer.status_code, answer.json()

    async def changed_policy(self, revision: int = 0) -> tuple[int, dict[str, Any]]:
        _, policy = await self.ask("GET", "/policies/all")
        rules = policy["rules"]
        rules["caps"][0]["per_send"] = str(int(rules["caps"][0]["per_send"]) - 1)
        body = {"revision": revision, "rules": rules, "reason": "a little less"}
        return await self.ask("PUT", "/policies/all", body)


async def an_edge(root: Path, **changes: Any) -> AsyncIterator[Edge]:
    clock = HeldClock(START_MS)
    keys = Keys(root, clock)
    folder = root / "secrets" / NAME
    for name, content in (
        ("master.key", MASTER_KEY.hex()),
        ("gateway-shared-secret", SHARED_SECRET),
    ):
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(content)
    settings = settings_in(root, Settings, peer_attempts=1, **changes)
    assert await make_seed(settings, show=lambda _: None)
    tron_client = TronClient(clock)
    transport = httpx.MockTransport(tron_client)
    runtime = Runtime(service=NAME, settings=settings, clock=clock, transport=transport)
    app = create(settings, runtime)
    async with serving(app) as client:
        yield Edge(client=client, keys=keys, tron_client=tron_client, clock=clock, root=root)


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async for made in an_edge(tmp_path):
        yield made


@pytest.fixture
async def four_eyes(tmp_path: Path) -> AsyncIterator[Edge]:
    async for made in an_edge(tmp_path, approval_quorum=2):
        yield made


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_h18_no_guard_answers_without_a_token(edge: Edge, method: str, path: str) -> None:
    filled = path.format(scope="all", approval_id="apr_1", revision=1)
    answer = await edge.client.request(method, filled)
    assert answer.status_code == 401


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("role", [Role.USER, Role.NODE_OPERATOR, Role.ADMIN])
async def test_h18_who_is_no_super_admin_turns_nothing(
    edge: Edge, method: str, path: str, role: Role
) -> None:
    status, problem = await edge.ask(method, path, {}, by=edge.keys.person(role))
    assert (status, problem["code"]) == (403, "LUCID_ERR_1201")


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_h18_a_token_of_the_shared_secret_opens_no_guard(
    edge: Edge, method: str, path: str
) -> None:
    assert NAME not in GATEWAY_TOKEN_SERVICES
    claims = {
        "iss": "lucid-gateway",
        "sub": "mallory",
        "role": Role.SUPER_ADMIN.value,
        "scope": "wallets:admin wallets:export",
        "aud": NAME,
        "iat": START_MS // MS_PER_S,
        "exp": START_MS // MS_PER_S + 60,
    }
    token = jwt.encode(claims, SHARED_SECRET, algorithm="HS256")
    status, _ = await edge.ask(method, path, {}, by={"Authorization": f"Bearer {token}"})
    assert status == 401


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_h18_headers_of_a_gateway_say_nothing(edge: Edge, method: str, path: str) -> None:
    told = {
        "X-User-Id": "ada",
        "X-User-Role": "SUPER_ADMIN",
        "X-User-Scopes": "wallets:admin",
        "X-Internal-Token": SHARED_SECRET,
    }
    assert (await edge.ask(method, path, {}, by=told))[0] == 401
    user = edge.keys.person(Role.USER) | told
    assert (await edge.ask(method, path, {}, by=user))[0] == 403


async def test_h18_a_service_changes_no_policy(edge: Edge) -> None:
    by = edge.keys.service("payout-router", audience=NAME, scope=Scope.WALLETS_ADMIN)
    assert (await edge.ask("PUT", "/policies/all", {}, by=by))[0] in {401, 403}


async def test_a_policy_is_read_changed_and_written_down(edge: Edge) -> None:
    status, policy = await edge.ask("GET", "/policies/all")
    assert (status, policy["revision"], policy["explicit"]) == (200, 0, False)
    status, changed = await edge.changed_policy()
    assert (status, changed["revision"], changed["explicit"]) == (200, 1, True)
    assert changed["coming"] is None
    status, problem = await edge.changed_policy()
    assert (status, problem["code"], problem["revision"]) == (409, "LUCID_ERR_9351", 1)
    _, audit = await edge.ask("GET", "/audit")
    assert [(one["act"], one["who"]) for one in audit["decisions"]] == [
        ("vault.unlocked", "wallet-manager"),
        ("policy.changed", "lucid-operator/ada"),
    ]
    assert audit["decisions"][1]["request_id"]


async def test_every_revision_of_a_policy_is_kept(edge: Edge) -> None:
    for revision in range(2):
        assert (await edge.changed_policy(revision))[0] == 200
    (_, first), (_, second) = [
        await edge.ask("GET", f"/policies/all/revisions/{number}") for number in (1, 2)
    ]
    assert [one["revision"] for one in (first, second)] == [1, 2]
    caps = [int(one["rules"]["caps"][0]["per_send"]) for one in (first, second)]
    assert caps[0] == caps[1] + 1
    assert second == (await edge.ask("GET", "/policies/all"))[1]
    for path, status in (
        ("all/revisions/3", 404),
        ("wal_1/revisions/1", 404),
        ("all/revisions/0", 400),
    ):
        assert (await edge.ask("GET", f"/policies/{path}"))[0] == status


async def test_what_a_policy_allows_more_is_shown_as_coming(edge: Edge) -> None:
    _, policy = await edge.ask("GET", "/policies/all")
    policy["rules"]["quorum"] = 1
    policy["rules"]["fees_per_hour_sun"] += "0"
    body = {"revision": 0, "rules": policy["rules"], "reason": "more fees"}
    _, changed = await edge.ask("PUT", "/policies/all", body)
    assert changed["coming"]["fees_per_hour_sun"] == policy["rules"]["fees_per_hour_sun"]
    assert changed["coming_at"] == "2026-11-19T11:06:40.000Z"


@pytest.mark.parametrize(
    ("field", "value"),
    [("fees_per_hour_sun", "-1"), ("fees_per_hour_sun", 5), ("quorum", 0), ("kinds", ["steal"])],
)
async def test_a_policy_that_makes_no_sense_is_refused(
    edge: Edge, field: str, value: object
) -> None:
    _, policy = await edge.ask("GET", "/policies/all")
    policy["rules"][field] = value
    body = {"revision": 0, "rules": policy["rules"], "reason": "nonsense"}
    assert (await edge.ask("PUT", "/policies/all", body))[0] == 400


async def test_an_unknown_wallet_has_no_policy_and_no_stop(edge: Edge) -> None:
    assert (await edge.ask("GET", "/policies/wal_x"))[0] == 404
    body = {"stopped": True, "reason": "theft"}
    assert (await edge.ask("PUT", "/stops/wal_x", body))[0] == 404


async def test_who_agrees_to_a_policy_sees_the_whole_of_it_and_not_its_reason_alone(
    four_eyes: Edge,
) -> None:
    _, policy = await four_eyes.ask("GET", "/policies/all")
    rules = policy["rules"]
    rules["caps"][0]["per_send"] += "0"
    body = {"revision": 0, "rules": rules, "reason": "a little less"}
    _, needed = await four_eyes.ask("PUT", "/policies/all", body)

    _, asked = await four_eyes.ask("GET", f"/approvals/{needed['approval_id']}")

    assert json.loads(asked["told"]) == rules


async def test_four_eyes_change_a_policy(four_eyes: Edge) -> None:
    status, needed = await four_eyes.changed_policy()
    assert (status, needed["code"]) == (403, "LUCID_ERR_9355")
    path = f"/approvals/{needed['approval_id']}"
    status, own = await four_eyes.ask("POST", f"{path}/agree", {})
    assert (status, own["code"], own["rule"]) == (403, "LUCID_ERR_9354", "self_approval")
    given: dict[str, Any] = {}
    for name in ("bob", "carol"):
        by = four_eyes.keys.person(Role.SUPER_ADMIN, name)
        status, given = await four_eyes.ask("POST", f"{path}/agree", {"note": "fine"}, by=by)
        assert status == 200
    assert (given["state"], [one["who"] for one in given["agreed"]]) == (
        "agreed",
        ["lucid-operator/bob", "lucid-operator/carol"],
    )
    status, changed = await four_eyes.changed_policy()
    assert (status, changed["revision"]) == (200, 1)
    _, used = await four_eyes.ask("GET", path)
    assert used["state"] == "used"
    _, listed = await four_eyes.ask("GET", "/approvals")
    assert [one["approval_id"] for one in listed["approvals"]] == [needed["approval_id"]]


async def test_h23_the_switch_is_turned_on_and_off_by_route_and_shown_in_readiness(
    edge: Edge,
) -> None:
    status, stop = await edge.ask("PUT", "/stops/all", {"stopped": True, "reason": "theft"})
    assert status == 200
    assert stop["places"] == ["memory", "file", "database"]
    assert (stop["quiet"], stop["broadcasting_stopped"]) == (True, True)
    assert edge.tron_client.stopped
    ready = await edge.client.get("/health/ready")
    assert "signing is stopped (memory, file, database): theft" in ready.json()["reasons"]
    _, stops = await edge.ask("GET", "/stops")
    assert [(one["scope"], one["reason"]) for one in stops["stops"]] == [("all", "theft")]
    status, gone = await edge.ask("PUT", "/stops/all", {"stopped": False, "reason": "found"})
    assert (status, gone["stopped"], gone["places"]) == (200, False, [])


async def test_h23_the_route_answers_while_tron_client_is_away(edge: Edge) -> None:
    edge.tron_client.away = True
    status, stop = await edge.ask("PUT", "/stops/all", {"stopped": True, "reason": "theft"})
    assert (status, stop["stopped"], stop["broadcasting_stopped"]) == (200, True, False)
    assert [one.partition(":")[0] for one in stop["troubles"]] == ["tron-client"]


async def test_the_audit_log_is_paged_exported_and_verified(edge: Edge) -> None:
    for revision in range(2):
        await edge.changed_policy(revision)
    _, first = await edge.ask("GET", "/audit?limit=2")
    assert ([one["number"] for one in first["decisions"]], first["next"]) == ([1, 2], 2)
    _, rest = await edge.ask("GET", f"/audit?limit=2&after={first['next']}")
    assert ([one["number"] for one in rest["decisions"]], rest["next"]) == ([3], None)

    by = edge.keys.person(Role.SUPER_ADMIN)
    answer = await edge.client.get(f"{API}/audit/export?after=1", headers=by)
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == [*first["decisions"][1:], *rest["decisions"]]

    _, whole = await edge.ask("POST", "/audit/verify", {})
    assert whole == {
        "whole": True,
        "count": 3,
        "digest": lines[-1]["digest"],
        "broken_at": None,
        "detail": None,
    }
    anchors = {"anchors": [{"number": 4, "digest": "ab" * 32}]}
    _, cut = await edge.ask("POST", "/audit/verify", anchors)
    assert (cut["whole"], cut["broken_at"]) == (False, 4)


@pytest.mark.parametrize("path", ["/audit", "/audit/export", "/policies/all/revisions"])
async def test_a_number_beyond_all_decisions_is_no_failure_of_ours(edge: Edge, path: str) -> None:
    for number in (2**63, 10**30):
        query = f"/{number}" if path.endswith("revisions") else f"?after={number}"
        answer = await edge.client.get(
            f"{API}{path}{query}", headers=edge.keys.person(Role.SUPER_ADMIN)
        )
        assert answer.status_code in {200, 400, 404}, (path, answer.text)


async def test_h17_outside_mainnet_findings_are_warnings_in_the_status(edge: Edge) -> None:
    status = await edge.client.get("/status", headers=edge.keys.person(Role.SUPER_ADMIN))
    guard = status.json()["mainnet_guard"]
    assert guard["is_enforced"] is False
    rules = {one["rule"] for one in guard["findings"]}
    assert {"second_switch", "master_key", "policy", "recovery_key", "backup"} <= rules
    terse = await edge.client.get("/status")
    assert "mainnet_guard" not in terse.json()


async def test_four_eyes_unlock_a_wallet_and_one_locks_it(four_eyes: Edge) -> None:
    by = four_eyes.keys.person(Role.SUPER_ADMIN)
    wanted = {"user_id": "operator", "role": "treasury", "request_id": "first"}
    status, wallet = await four_eyes.ask("POST", "/wallets", wanted, by=by)
    assert status == 201, wallet
    path = f"/wallets/{wallet['wallet_id']}/lock"
    status, locked = await four_eyes.ask("PUT", path, {"locked": True, "reason": "theft"})
    assert (status, locked["status"]) == (200, "locked")
    unlock = {"locked": False, "reason": "it was a drill"}
    status, needed = await four_eyes.ask("PUT", path, unlock)
    assert (status, needed["code"]) == (403, "LUCID_ERR_9355")
    for name in ("bob", "carol"):
        voice = four_eyes.keys.person(Role.SUPER_ADMIN, name)
        await four_eyes.ask("POST", f"/approvals/{needed['approval_id']}/agree", {}, by=voice)
    addresses = f"/wallets/{wallet['wallet_id']}/addresses"  # invoices go on meanwhile
    status, _ = await four_eyes.ask("POST", addresses, {"request_id": "i", "purpose": "invoice"})
    assert status == 200
    status, unlocked = await four_eyes.ask("PUT", path, unlock)
    assert (status, unlocked["status"]) == (200, "active")
    await four_eyes.ask("PUT", path, {"locked": True, "reason": "theft again"})
    status, again = await four_eyes.ask("PUT", path, unlock)
    assert status == 403
    assert again["approval_id"] != needed["approval_id"]
    _, audit = await four_eyes.ask("GET", "/audit?limit=50")
    acts = [one["act"] for one in audit["decisions"]]
    assert [act for act in acts if act.startswith("wallet.") and act != "wallet.made"] == [
        "wallet.locked",
        "wallet.unlocked",
        "wallet.locked",
    ]


async def test_h18_an_export_is_agreed_to_by_holders_of_its_scope_and_leaves_by_the_door(
    four_eyes: Edge,
) -> None:
    wanted = {"user_id": "operator", "request_id": "first"}
    status, wallet = await four_eyes.ask("POST", "/wallets", wanted)
    assert status == 201, wallet
    asked = {
        "command": "export",
        "wallet_id": wallet["wallet_id"],
        "file_passphrase": "a passphrase for the file",
        "reason": "another program takes over",
    }
    line = json.dumps(asked).encode() + b"\n"
    door = door_of(settings_in(four_eyes.root, Settings))
    refused = json.loads(await said(door, line))
    assert refused["code"] == "LUCID_ERR_9355"
    _, page = await four_eyes.ask("GET", "/approvals")
    (approval,) = page["approvals"]
    assert (approval["kind"], approval["subject"]) == ("export", wallet["wallet_id"])

    path = f"/approvals/{approval['approval_id']}/agree"
    narrow = narrowed(four_eyes, Scope.WALLETS_ADMIN)
    status, problem = await four_eyes.ask("POST", path, {"note": "yes"}, by=narrow)
    assert (status, problem["code"]) == (403, "LUCID_ERR_1201")
    for who in ("ada", "bob"):
        by = four_eyes.keys.person(Role.SUPER_ADMIN, who)
        assert (await four_eyes.ask("POST", path, {"note": "yes"}, by=by))[0] == 200

    given = json.loads(await said(door, line))
    opened = opened_keystore(given["keystore"], b"a passphrase for the file")
    assert SigningKey(opened).address == wallet["address"]
    assert json.loads(await said(door, line))["code"] == "LUCID_ERR_9355"


def narrowed(edge: Edge, scope: Scope) -> dict[str, str]:
    """Return the headers of a super admin whose token carries one scope alone."""
    claims = {
        "iss": OPERATOR,
        "sub": "eve",
        "role": Role.SUPER_ADMIN.value,
        "scope": scope.value,
        "aud": NAME,
        "iat": START_MS // MS_PER_S,
        "exp": START_MS // MS_PER_S + 600,
        "jti": "eve-token",
    }
    token = jwt.encode(claims, edge.keys._private[OPERATOR], algorithm="EdDSA")
    return {"Authorization": f"Bearer {token}"}

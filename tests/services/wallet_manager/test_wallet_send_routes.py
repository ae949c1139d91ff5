"""The routes of sends behind the edge: who may ask, what is refused, what an operator can do."""

import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from services.wallet_manager.app import NAME, create
from services.wallet_manager.cli import make_seed
from services.wallet_manager.routes import sends
from services.wallet_manager.service import WalletManager
from services.wallet_manager.settings import Settings
from shared.access import Role, Scope
from shared.clock import HeldClock
from shared.models.tron_client import PermissionKeyView, PermissionsView, PermissionView
from shared.models.wallet_sends import Intent, Purpose, SendKind
from shared.money import Currency
from shared.tron.address import Address
from shared.tron.signing import SigningKey
from shared.web.runtime import Runtime
from tests.services.wallet_manager import bench
from tests.services.wallet_manager.test_wallet_kinds import KINDS, asked
from tests.services.wallet_manager.till import (
    CUSTOMER,
    MASTER_KEY,
    Chain,
    intent,
    page,
    transfer,
)
from tests.support import START_MS, Keys, serving, settings_in

API = "/api/v1"
TRX = 1_000_000
ONE, TWO, STRANGE = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))
ROUTES = sorted(
    (method, route.path)
    for route in sends.router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
)
NEEDS = {
    ("POST", "/sends"): Scope.WALLETS_SEND,
    ("POST", "/sends/lookup"): Scope.WALLETS_READ,
    ("GET", "/sends/feed"): Scope.WALLETS_READ,
    ("PUT", "/sends/feed/consumers/{name}"): Scope.WALLETS_READ,
    ("GET", "/sends"): Scope.WALLETS_READ,
    ("GET", "/sends/stuck"): Scope.WALLETS_READ,
    ("GET", "/sends/{send_id}"): Scope.WALLETS_READ,
    ("POST", "/sends/{send_id}/cancel"): Scope.WALLETS_ADMIN,
    ("GET", "/sends/{send_id}/unsigned"): Scope.WALLETS_ADMIN,
    ("POST", "/sends/{send_id}/signatures"): Scope.WALLETS_ADMIN,
}
STAKES = {SendKind.FREEZE_BALANCE, SendKind.UNFREEZE_BALANCE}
Json = dict[str, Any]


class TronClient(bench.TronClient):
    """Also tells of accounts."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        path, _, owner = request.url.path.rpartition("/")
        if path == f"{API}/accounts":
            view = await self.chain.account(Address(owner))
            return httpx.Response(200, json=view.model_dump(mode="json"))
        return await super().__call__(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    client: httpx.AsyncClient
    keys: Keys
    clock: HeldClock
    chain: Chain
    service: WalletManager
    wallet: Json

    async def ask(
        self, method: str, path: str, body: object = None, *, by: dict[str, str] | None = None
    ) -> tuple[int, Json]:
        headers = by or self.keys.person(Role.SUPER_ADMIN)
        answer = await self.client.request(method, f"{API}{path}", json=body, headers=headers)
        return answer.status_code, answer.json()

    async def good(self, method: str, path: str, body: object = None) -> Json:
        status, answer = await self.ask(method, path, body)
        assert status == 200, answer
        return answer

    async def send(self, *intents: Intent | Json) -> tuple[int, Json]:
        bodies = [one if isinstance(one, dict) else one.model_dump(mode="json") for one in intents]
        headers = self.as_service(bodies[0]["origin"]["service"])
        return await self.ask("POST", "/sends", {"intents": bodies}, by=headers)

    async def taken(self, wanted: Intent) -> Json:
        status, answer = await self.send(wanted)
        (result,) = answer["results"]
        assert (status, result["problem"]) == (200, None)
        send: Json = result["send"]
        return send

    async def signed(self, wanted: Intent) -> Json:
        send = await self.taken(wanted)
        await self.service.sender.sign_due()
        return await self.good("GET", f"/sends/{send['send_id']}")

    def as_service(self, name: str, scope: Scope = Scope.WALLETS_SEND) -> dict[str, str]:
        return self.keys.service(name, audience=NAME, scope=scope)

    def intent(self, name: str = "one", **changes: Any) -> Intent:
        return intent(name, wallet_id=self.wallet["wallet_id"], **changes)


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async with an_edge(tmp_path) as made:
        yield made


@asynccontextmanager
async def an_edge(root: Path, **changes: Any) -> AsyncIterator[Edge]:
    clock = HeldClock(START_MS)
    keys = Keys(root, clock)
    master_key = root / "secrets" / NAME / "master.key"
    master_key.touch(mode=0o600)
    master_key.write_text(MASTER_KEY.hex())
    settings = settings_in(root, Settings, peer_attempts=1, **changes)
    await make_seed(settings, show=lambda _: None)
    chain = Chain(clock)
    transport = httpx.MockTransport(TronClient(chain))
    runtime = Runtime(service=NAME, settings=settings, clock=clock, transport=transport)
    app = create(settings, runtime)
    async with serving(app) as client:
        body = {"user_id": "operator", "role": "treasury", "request_id": "first"}
        made = await client.post(f"{API}/wallets", json=body, headers=keys.person())
        wallet = made.raise_for_status().json()
        service = app.state.starter.service
        assert isinstance(service, WalletManager)
        own = [transfer(10**10, one, recipient=Address(wallet["address"])) for one in Currency]
        await service.books.apply_transfers(page(own, next_="a.1"))
        yield Edge(
            client=client, keys=keys, clock=clock, chain=chain, service=service, wallet=wallet
        )


def filled(path: str) -> str:
    return re.sub(r"{\w+}", "x", path)


def body_of(name: str = "one", **changes: Any) -> Json:
    return intent(name).model_dump(mode="json") | changes


def with_params(**changes: Any) -> Json:
    body = body_of()
    return body | {"params": body["params"] | changes}


def test_every_route_of_sends_is_known_here() -> None:
    assert {(method, f"{API}{path}") for method, path in NEEDS} == set(ROUTES)


async def test_h18_no_route_of_sends_answers_without_a_token(edge: Edge) -> None:
    for method, path in NEEDS:
        answer = await edge.client.request(method, f"{API}{filled(path)}", json={})
        assert (answer.status_code, answer.json()["code"]) == (401, "LUCID_ERR_1100"), path


async def test_h18_a_service_needs_just_the_scope_of_the_route(edge: Edge) -> None:
    scopes = (Scope.WALLETS_SEND, Scope.WALLETS_READ, Scope.WALLETS_ADMIN)
    for (method, path), scope in itertools.product(NEEDS, scopes):
        by = edge.as_service("payout-router", scope)
        status, problem = await edge.ask(method, filled(path), {}, by=by)
        is_let_in = scope is NEEDS[method, path] and scope is not Scope.WALLETS_ADMIN
        assert (status in {401, 403}) is not is_let_in, (path, scope, problem)


async def test_h18_a_user_reads_and_turns_nothing(edge: Edge) -> None:
    for method, path in NEEDS:
        status, _ = await edge.ask(method, filled(path), {}, by=edge.keys.person(Role.USER))
        assert status == 403, path


async def test_h18_a_service_asks_for_its_own_sends_alone(edge: Edge) -> None:
    body = {"intents": [body_of(wallet_id=edge.wallet["wallet_id"])]}
    for service in ("payment-gateway", "trx-staking"):
        status, answer = await edge.ask("POST", "/sends", body, by=edge.as_service(service))
        assert status == 200
        assert answer["results"][0]["problem"]["facts"]["rule"] == "caller"
    status, answer = await edge.ask("POST", "/sends", body, by=edge.as_service("tron-client"))
    assert (status, answer["code"]) == (403, "LUCID_ERR_1201")


async def test_h18_a_purpose_of_somebody_else_is_refused(edge: Edge) -> None:
    for purpose in ("refund", "stake", "sweep", "allowance", "maintenance"):
        wanted = edge.intent().model_dump(mode="json") | {"purpose": purpose}
        status, answer = await edge.send(wanted)
        problem = answer["results"][0]["problem"]
        assert (status, problem["status"], problem["facts"]["rule"]) == (200, 403, "purpose")


async def test_every_kind_has_a_body_that_is_well_formed(edge: Edge) -> None:
    """What the first policy does not name is refused by it, and by nothing before it."""
    opt_in = {SendKind.TRC20_APPROVE, SendKind.PERMISSION_UPDATE, SendKind.CONTRACT_CALL}
    for kind in SendKind:
        wanted = edge.intent(kind.value, kind=kind) if kind not in KINDS else asked(kind)
        wanted = wanted.model_copy(update={"wallet_id": edge.wallet["wallet_id"]})
        if kind in STAKES:
            wanted = edge.intent(kind.value, kind=kind, origin="trx-staking", purpose=Purpose.STAKE)
        status, answer = await edge.send(wanted)
        (result,) = answer["results"]
        rule = result["problem"] and result["problem"]["facts"]["rule"]
        expected = "policy_kind" if kind in opt_in else None
        if kind is SendKind.ACCOUNT_ACTIVATE:
            expected = "own_address"
        assert (status, rule) == (200, expected), (kind, result)
        assert (result["send"] is None) is (expected is not None)


BAD_FIELDS: list[tuple[Json, str]] = [
    (with_params(amount_base_units="1e3"), "params.amount_base_units"),
    (with_params(amount_base_units="\u0662\u0665"), "params.amount_base_units"),
    (with_params(amount_base_units="\uff12\uff15"), "params.amount_base_units"),
    (with_params(amount_base_units=" 25"), "params.amount_base_units"),
    (with_params(amount_base_units="+25"), "params.amount_base_units"),
    (with_params(amount_base_units="0x19"), "params.amount_base_units"),
    (with_params(amount_base_units=25), "params.amount_base_units"),
    (with_params(recipient=CUSTOMER.lower()), "params.recipient"),
    (with_params(contract_address="T" * 34), "params.contract_address"),
    (with_params(resource="gas"), "params.resource"),
    (with_params(lock_blocks=-1), "params.lock_blocks"),
    (with_params(votes=[]), "params.votes"),
    (with_params(data="0xd0e30db0"), "params.data"),
    (body_of(memo=""), "memo"),
    (body_of(memo="m" * 201), "memo"),
    (body_of(permission_id=10), "permission_id"),
    (body_of(reservation={"lease_id": "l", "energy": 0}), "reservation.energy"),
    (body_of(from_address=CUSTOMER[:-1]), "from_address"),
    (body_of(after="nobody"), "after"),
    (body_of(max_fee_sun="-1"), "max_fee_sun"),
    (body_of(not_after="soon"), "not_after"),
    (body_of(origin={"service": "payout-router"}), "origin.principal"),
    (body_of(from_="x"), "from_"),
]


async def test_a_bad_field_is_a_problem_that_names_it(edge: Edge) -> None:
    for body, field in BAD_FIELDS:
        status, problem = await edge.send(body)
        assert (status, problem.get("code")) == (400, "LUCID_ERR_1001"), field
        assert [error["field"] for error in problem["errors"]] == [f"intents.0.{field}"]


LACKING: list[tuple[str, Json, str]] = [
    ("trx_transfer", {"amount_base_units": "5"}, "recipient"),
    ("trx_transfer", {"amount_base_units": "0", "recipient": CUSTOMER}, "amount"),
    ("trc20_transfer", {"amount_base_units": "5", "recipient": CUSTOMER}, "contract_address"),
    ("trc20_transfer", {"amount_base_units": "9" * 30, "recipient": CUSTOMER}, "amount"),
]


async def test_what_a_kind_lacks_is_a_problem_of_its_intent(edge: Edge) -> None:
    for kind, params, field in LACKING:
        wallet_id = edge.wallet["wallet_id"]
        status, answer = await edge.send(body_of(kind=kind, params=params, wallet_id=wallet_id))
        problem = answer["results"][0]["problem"]
        assert (status, problem["status"]) == (200, 400)
        assert problem["facts"]["field"].startswith(field), problem


async def test_h4_a_key_is_replayed_and_never_used_for_another_transfer(edge: Edge) -> None:
    first = await edge.taken(edge.intent())
    _, again = await edge.send(edge.intent(max_fee_sun=7))
    _, other = await edge.send(edge.intent(amount=26 * TRX))
    _, twice = await edge.send(edge.intent("two"), edge.intent("two"))

    assert again["results"][0]["replayed"]
    assert again["results"][0]["send"]["send_id"] == first["send_id"]
    problem = other["results"][0]["problem"]
    assert (problem["status"], problem["code"]) == (409, "LUCID_ERR_9301")
    assert problem["facts"]["send_id"] == first["send_id"]
    assert len({one["send"]["send_id"] for one in twice["results"]}) == 1


async def test_sends_are_found_by_key_and_by_transaction(edge: Edge) -> None:
    signed = await edge.signed(edge.intent())
    body = {"send_keys": [signed["send_key"], "payout-router:none:0"], "txids": [signed["txid"]]}
    found = await edge.good("POST", "/sends/lookup", body)
    assert [one["send_id"] for one in found["sends"]] == [signed["send_id"]]
    assert found["by_txid"] == {signed["txid"]: signed["send_id"]}


async def test_sends_of_a_state_are_paged(edge: Edge) -> None:
    for number in range(3):
        await edge.signed(edge.intent(f"n{number}", amount=number + 1))
    await edge.service.sender.submit_signed()
    first = await edge.good("GET", "/sends?state=submitted&limit=2")
    rest = await edge.good("GET", f"/sends?state=submitted&limit=2&cursor={first['next']}")
    ids = [one["send_id"] for one in (*first["sends"], *rest["sends"])]
    assert (len(set(ids)), rest["next"]) == (3, None)
    for query in ("", "?state=lost", "?state=queued&limit=101", "?state=queued&cursor=x"):
        status, problem = await edge.ask("GET", f"/sends{query}")
        assert (status, problem["status"]) == (400, 400), query


async def test_the_feed_is_read_from_a_cursor_and_waits_for_the_next_change(edge: Edge) -> None:
    start = await edge.good("GET", "/sends/feed")
    assert start["items"] == []
    await edge.taken(edge.intent())
    query = f"/sends/feed?after={start['next']}&wait_s=30&limit=1"
    first = await edge.good("GET", query)
    assert [one["type"] for one in first["items"]] == ["send.queued"]
    await edge.service.sender.sign_due()
    second = await edge.good("GET", f"/sends/feed?after={first['next']}&wait_s=30")
    assert second["items"][0]["type"] == "send.signed"
    noted = {"cursor": second["next"]}
    assert (await edge.good("PUT", "/sends/feed/consumers/books", noted)) == {
        "name": "books",
        **noted,
    }
    for cursor, status in (("nonsense", 400), ("other.1", 409), (f"{start['next']}999", 409)):
        assert (await edge.ask("GET", f"/sends/feed?after={cursor}"))[0] == status


async def test_a_queued_send_is_cancelled_once_with_a_reason_and_a_signed_one_never(
    edge: Edge,
) -> None:
    edge.chain.reverts = True
    waiting = await edge.signed(edge.intent())
    path = f"/sends/{waiting['send_id']}/cancel"
    status, problem = await edge.ask("POST", path, {"reason": ""})
    assert (status, problem["errors"][0]["field"]) == (400, "reason")
    body = {"reason": "asked for twice"}
    for _ in range(2):
        ended = await edge.good("POST", path, body)
        assert (ended["state"], ended["refusal"]["rule"]) == ("refused", "cancelled")
        assert ended["refusal"]["detail"].endswith("ada: asked for twice")

    edge.chain.reverts = False
    signed = await edge.signed(edge.intent("two"))
    status, problem = await edge.ask("POST", f"/sends/{signed['send_id']}/cancel", body)
    assert (status, problem["code"]) == (409, "LUCID_ERR_9330")
    assert (await edge.ask("POST", "/sends/snd_nobody/cancel", body))[0] == 404
    _, refused = await edge.send(edge.intent(ordinal=1))
    assert refused["results"][0]["problem"] is None  # the next ordinal may follow


async def test_a_stuck_send_says_why_since_when_and_what_an_operator_can_do(edge: Edge) -> None:
    edge.chain.reverts = True
    waiting = await edge.signed(edge.intent())
    assert (await edge.good("GET", "/sends/stuck"))["sends"] == []
    edge.clock.advance(seconds=61)
    (stuck,) = (await edge.good("GET", "/sends/stuck"))["sends"]
    assert stuck["send"]["send_id"] == waiting["send_id"]
    assert stuck["reason"] == "the contract would revert: blacklisted"
    assert stuck["advice"].endswith("or cancel it: nothing of it was signed")
    assert stuck["since"] == waiting["created_at"]
    assert (await edge.good("GET", "/sends/stuck?state=signed"))["sends"] == []
    assert (await edge.ask("GET", "/sends/stuck?cursor=other|"))[0] == 400


async def test_h7_a_transaction_is_exported_signed_elsewhere_in_parts_and_goes_on_its_way(
    edge: Edge,
) -> None:
    edge.chain.permissions = two_of_two()
    wanted = edge.intent().model_copy(update={"permission_id": 2})
    send = await edge.signed(wanted)
    path = f"/sends/{send['send_id']}"
    exported = await edge.good("GET", f"{path}/unsigned")
    digest = sha256(bytes.fromhex(exported["raw_data"])).digest()
    one, two, strange = (key.sign(digest).hex() for key in (ONE, TWO, STRANGE))

    assert (send["state"], exported["txid"]) == ("awaiting_signature", digest.hex())
    assert (exported["threshold"], exported["weight"], exported["signers"]) == (2, 0, [])
    for bad, code in (([strange], "9332"), ([one[:-2]], "9332"), (["x"], "1001"), ([], "1001")):
        status, problem = await edge.ask("POST", f"{path}/signatures", {"signatures": bad})
        assert (status, problem["code"]) == (400, f"LUCID_ERR_{code}")
    body = {"reason": "too late"}
    assert (await edge.ask("POST", f"{path}/cancel", body))[1]["code"] == "LUCID_ERR_9330"

    for _ in range(2):  # a repeat weighs nothing
        part = await edge.good("POST", f"{path}/signatures", {"signatures": [one]})
        assert (part["weight"], part["signers"]) == (1, [ONE.address])
    assert (await edge.good("GET", path))["waiting_for"] == "signatures: 1 of 2 are there"
    whole = await edge.good("POST", f"{path}/signatures", {"signatures": [two]})
    assert whole["weight"] == 2
    await edge.service.sender.submit_signed()
    assert edge.chain.received[0].signatures == [one, two]
    status, problem = await edge.ask("GET", f"{path}/unsigned")
    assert (status, problem["code"]) == (409, "LUCID_ERR_9331")
    assert (await edge.ask("GET", "/sends/snd_nobody/unsigned"))[0] == 404


async def test_h7_the_fee_of_more_than_one_signature_is_that_of_the_chain(edge: Edge) -> None:
    edge.chain.permissions = two_of_two()

    async def worst(name: str, permission_id: int, **prices: int) -> int:
        edge.chain.prices_say = dict(prices)
        wanted = edge.intent(name).model_copy(update={"permission_id": permission_id})
        send = await edge.service.sender.send((await edge.signed(wanted))["send_id"])
        assert send is not None
        return send.hold.trx_sun

    dear, cheap = [await worst(f"n{fee}", 2, multi_sign_fee_sun=fee) for fee in (9 * TRX, 0)]
    alone = [await worst(f"a{fee}", 0, multi_sign_fee_sun=fee) for fee in (9 * TRX, 0)]
    assert dear - cheap == 9 * TRX
    assert alone[0] == alone[1]


def large(edge: Edge, name: str = "large", **changes: Any) -> Intent:
    """Return a send that people have to agree to, asked for by Ada through payout-router."""
    wanted = edge.intent(name, **changes)
    origin = wanted.origin.model_copy(update={"principal": "lucid-operator/ada"})
    return wanted.model_copy(update={"origin": origin})


async def test_a_large_send_is_signed_once_two_others_agreed_to_just_this_send(
    tmp_path: Path,
) -> None:
    async with an_edge(tmp_path, approval_quorum=2, policy_approval_above_usdt=10) as edge:
        send = await edge.signed(large(edge))
        asked = f"/approvals/apr_{send['send_id']}"

        async def agrees(who: str) -> tuple[int, Json]:
            by = edge.keys.person(Role.SUPER_ADMIN, who)
            return await edge.ask("POST", f"{asked}/agree", {"note": "I looked"}, by=by)

        assert send["waiting_for"].startswith("awaiting approval")
        assert (await edge.good("GET", asked))["reason"] == (
            f"trc20_transfer of {25 * TRX} to {CUSTOMER}"
        )
        status, problem = await agrees("ada")  # who asked for it through payout-router
        assert (status, problem["rule"]) == (403, "self_approval")
        assert (await agrees("bob"))[0] == 200
        status, problem = await agrees("bob")
        assert (status, problem["rule"]) == (403, "distinct_people")
        edge.clock.advance(seconds=4)
        await edge.service.sender.sign_due()
        assert (await edge.good("GET", f"/sends/{send['send_id']}"))["state"] == "queued"

        assert (await agrees("eve"))[0] == 200
        assert (await agrees("sam"))[1]["code"] == "LUCID_ERR_9353"
        _, changed = await edge.send(large(edge, amount=26 * TRX))
        assert changed["results"][0]["problem"]["code"] == "LUCID_ERR_9301"
        other = await edge.signed(large(edge, "other"))
        assert other["waiting_for"].startswith("awaiting approval")  # nobody agreed to this one

        edge.clock.advance(seconds=4)
        await edge.service.sender.sign_due()
        ended = await edge.good("GET", f"/sends/{send['send_id']}")
        assert ended["state"] in {"signed", "submitted"}
        told = await edge.good("GET", "/audit?limit=100")
        acts = [one["act"] for one in told["decisions"] if one["subject"] == send["send_id"]]
        assert acts == ["send.accepted", "send.signed"]


def two_of_two() -> PermissionsView:
    def permission(number: int, threshold: int, *keys: SigningKey) -> PermissionView:
        return PermissionView(
            permission_id=number,
            name="pay",
            threshold=threshold,
            operations=None,
            keys=[PermissionKeyView(address=key.address, weight=1) for key in keys],
        )

    return PermissionsView(
        owner=permission(0, 1, STRANGE), witness=None, active=[permission(2, 2, ONE, TWO)]
    )

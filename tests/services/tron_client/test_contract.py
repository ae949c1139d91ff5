"""Every route of tron-client, called as its description says, answers as its description says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.access import Role, Scope
from shared.models.tron_transactions import SubmitRequest
from shared.web.streams import Streams
from tests.schema import mismatches
from tests.services.tron_client.bench import BLOCKS_TO_SOLID, TOKEN, World, request_for, text
from tests.services.tron_client.calling import Caller, called

READ, WATCH, SUBMIT = Scope.CHAIN_READ, Scope.CHAIN_WATCH, Scope.CHAIN_SUBMIT
NOWHERE = "ab" * 32


@dataclass
class Reader:
    """Calls tron-client by its description, and holds each answer against it.

    Attributes:
        succeeded: the operations that gave what they are for.
    """

    caller: Caller
    described: dict[str, Any]
    succeeded: set[tuple[str, str]] = field(default_factory=set)

    async def ask(
        self, method: str, path: str, scope: Scope | None, **options: Any
    ) -> httpx.Response:
        """Ask as a sibling with a scope, or as the operator; path without the common prefix."""
        headers = options.pop("headers", {})
        if scope is None:
            headers |= self.caller.keys.person(Role.SUPER_ADMIN)
        else:
            headers |= self.caller.keys.service(
                "wallet-manager", audience="tron-client", scope=scope
            )
        response = await self.caller.http.request(
            method, f"/api/v1{path}", headers=headers, **options
        )
        self.compare(response)
        return response

    async def get(self, path: str, scope: Scope | None = READ, **options: Any) -> Any:
        response = await self.ask("GET", path, scope, **options)
        assert response.status_code == 200, response.text
        return response.json()

    def compare(self, response: httpx.Response) -> None:
        """Require that an answer is one of those that its operation describes."""
        method, path = response.request.method, response.request.url.path
        template = self._template(method, path)
        answers = self.described["paths"][template][method.lower()]["responses"]
        assert str(response.status_code) in answers, (method, template, response.text)
        content = answers[str(response.status_code)].get("content", {})
        kind = response.headers.get("content-type", "").partition(";")[0]
        if response.content:
            assert kind in content, (method, template, kind)
        if kind == "application/json":
            schema = content[kind]["schema"]
            found = list(mismatches(response.json(), schema, whole=self.described))
            assert found == [], (method, template)
        if kind == "application/problem+json":
            schema = {**content[kind]["schema"], "additionalProperties": True}
            assert list(mismatches(response.json(), schema, whole=self.described)) == []
            assert response.json()["code"] in answers[str(response.status_code)]["description"]
        if response.is_success:
            self.succeeded.add((method, template))

    def operations(self) -> set[tuple[str, str]]:
        return {
            (method.upper(), path)
            for path, item in self.described["paths"].items()
            if path.startswith("/api/v1")
            for method in item
        }

    def _template(self, method: str, path: str) -> str:
        found: list[str] = [
            template
            for template, item in self.described["paths"].items()
            if method.lower() in item
            and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path)
        ]
        return min(found, key=lambda each: str(each).count("{"))


@pytest.fixture
async def reader(world: World, tmp_path: Path) -> AsyncIterator[Reader]:
    async with called(world, tmp_path, streams=Streams(longest_s=0)) as caller:
        response = await caller.http.get("/openapi.json", headers=caller.keys.person())
        yield Reader(caller=caller, described=response.json())


FEEDS = ("/transfers/feed", "/token-transfers/feed", "/transactions/feed", "/chain/notices/feed")


async def test_every_route_answers_as_it_is_described(reader: Reader) -> None:
    world = reader.caller.world
    await watch_and_pay(reader)
    await read_the_chain(reader)
    await read_contracts(reader)
    await follow(reader)
    await operate(reader)
    left = reader.operations() - reader.succeeded
    assert {path for _, path in left if not path.startswith(ELSEWHERE)} == set()
    assert world.devnet.node.chain.head.number > BLOCKS_TO_SOLID


ELSEWHERE = ("/api/v1/ops/backup", "/api/v1/ops/integrity-check", "/api/v1/accounts/{address}/")
"""Operations that every service has are called in tests of their own, the indexer's history too."""


async def watch_and_pay(reader: Reader) -> None:
    world = reader.caller.world
    body = {"addresses": [world.to, text(world.payer.address)]}
    await reader.ask("PUT", "/watches", WATCH, json=body)
    await reader.ask("DELETE", "/watches", WATCH, json={"addresses": body["addresses"][1:]})
    await reader.get("/watches", WATCH, params={"limit": 1})
    await reader.get("/watches/digest", WATCH)
    submitted = SubmitRequest(
        transactions=[
            request_for(world.transfer(5)),
            request_for(world.called("transfer", world.payee.address, 7), send_key="test:two:0"),
            request_for(world.failing_call(), send_key="test:three:0"),
        ]
    )
    await reader.ask("POST", "/transactions", SUBMIT, json=submitted.model_dump())
    world.mine(BLOCKS_TO_SOLID + 1)
    await reader.get("/transfers/feed", params={"wait_s": 10})
    await reader.caller.until_ready()


async def read_the_chain(reader: Reader) -> None:
    world = reader.caller.world
    owner = text(world.payer.address)
    for path in ("status", "info", "fees", "parameters"):
        await reader.get(f"/tron/network/{path}")
    await reader.get("/chain/signing-context")
    stored = await reader.get("/transactions", SUBMIT, params={"owner": owner, "limit": 2})
    txids = [each["txid"] for each in stored["transactions"]]
    states = {}
    for each in (await reader.get("/transactions", SUBMIT, params={"owner": owner}))[
        "transactions"
    ]:
        found = await reader.get(f"/transactions/{each['txid']}", params={"wait_s": 10})
        states[found["send_key"]] = found["state"]
    assert states == {
        "test:one:0": "confirmed",
        "test:two:0": "confirmed",
        "test:three:0": "failed",
    }
    await reader.ask("POST", "/transactions/lookup", READ, json={"txids": [*txids, NOWHERE]})
    for txid in txids:
        chain = await reader.get(f"/chain/transactions/{txid}")
        await reader.get(f"/chain/blocks/{chain['block']['height']}")
        await reader.get(f"/chain/blocks/by-id/{chain['block']['block_id']}")
    body: dict[str, Any] = {"owners": [owner], "first_height": 1, "last_height": 100}
    await reader.ask("POST", "/chain/outgoing", READ, json=body)
    await reader.get(f"/accounts/{owner}")
    await reader.ask("POST", "/accounts/lookup", READ, json={"addresses": [owner, TOKEN]})
    for written in (owner, TOKEN, "nobody"):
        await reader.get(f"/addresses/{written}")


async def read_contracts(reader: Reader) -> None:
    world = reader.caller.world
    call = {"owner_address": world.to, "contract_address": TOKEN, "data": "313ce567"}
    await reader.ask("POST", "/contracts/estimate", READ, json=call)
    calls = {"calls": [call, {**call, "data": "00000000"}]}
    await reader.ask("POST", "/contracts/calls", READ, json=calls)
    body = {"function": "balanceOf", "arguments": [world.to]}
    await reader.ask("POST", f"/contracts/{TOKEN}/read", READ, json=body)


async def follow(reader: Reader) -> None:
    for feed in FEEDS:
        page = await reader.get(feed)
        body = {"cursor": page["next"]}
        await reader.ask("PUT", f"{feed}/consumers/books", READ, json=body)
    await reader.ask("GET", "/transfers/stream", READ)


async def operate(reader: Reader) -> None:
    body: dict[str, Any] = {
        "stopped": True,
        "reason": "a drill",
        "owners": [reader.caller.world.to],
    }
    await reader.ask("PUT", "/broadcasting", SUBMIT, json=body)
    await reader.get("/broadcasting", SUBMIT)
    await reader.ask("POST", "/chain/rescans", None, json={"first_height": 1, "last_height": 3})
    await reader.get("/chain/rescans", None)
    await reader.get("/ops/feeds", None)
    await reader.ask("DELETE", "/ops/feeds/transfers/consumers/books", None)
    service = reader.caller.service()
    for kind in ("drill_one", "drill_two"):
        await service.alarms.raise_alarm(kind, "chain", detail="a drill")
    one, two = (await reader.get("/ops/alarms", None))["alarms"]
    note = {"note": "seen"}
    await reader.ask("POST", f"/ops/alarms/{one['alarm_id']}/acknowledge", None, json=note)
    await reader.ask("POST", f"/ops/alarms/{two['alarm_id']}/close", None, json=note)
    page = await reader.get("/ops/alarms/feed", None)
    body = {"cursor": page["next"]}
    await reader.ask("PUT", "/ops/alarms/feed/consumers/pager", None, json=body)


REFUSED: list[tuple[str, str, Scope | None, Any, int]] = [
    ("GET", f"/transactions/{NOWHERE}", READ, None, 404),
    ("GET", "/transactions/short", READ, None, 400),
    ("GET", "/transactions?owner=nobody", SUBMIT, None, 400),
    ("GET", f"/transactions?owner={TOKEN}&cursor=none", SUBMIT, None, 400),
    ("POST", "/transactions", SUBMIT, {"transactions": []}, 400),
    ("POST", "/transactions", SUBMIT, {"transactions": [{"send_key": "a"}]}, 400),
    ("POST", "/transactions/lookup", READ, {"txids": [NOWHERE] * 1_001}, 400),
    ("GET", "/watches?cursor=none", WATCH, None, 400),
    ("GET", "/watches?limit=0", WATCH, None, 400),
    ("PUT", "/watches", WATCH, {"addresses": ["nobody"]}, 400),
    ("PUT", "/watches", WATCH, {"addresses": [TOKEN], "birth_height": -1}, 400),
    ("DELETE", "/watches", WATCH, {"addresses": []}, 400),
    ("PUT", "/transfers/feed/consumers/Books", READ, {"cursor": ""}, 400),
    ("PUT", "/transfers/feed/consumers/books", READ, {"cursor": "x"}, 400),
    ("PUT", "/transfers/feed/consumers/books", READ, {"cursor": "other.1"}, 409),
    ("GET", "/transfers/feed?after=other.1", READ, None, 409),
    ("GET", "/transfers/feed?after=nonsense", READ, None, 400),
    ("GET", "/transfers/feed?wait_s=31", READ, None, 400),
    ("GET", "/transfers/feed?wait_s=-1", READ, None, 400),
    ("GET", "/transfers/stream?after=other.1", READ, None, 409),
    ("GET", f"/transactions/{NOWHERE}?wait_s=31", READ, None, 400),
    ("GET", "/chain/blocks/9223372036854775808", READ, None, 400),
    ("GET", f"/chain/blocks/by-id/{'f' * 64}", READ, None, 404),
    ("GET", "/chain/blocks/by-id/" + "g" * 64, READ, None, 400),
    ("GET", f"/chain/transactions/{NOWHERE}", READ, None, 404),
    (
        "POST",
        "/chain/outgoing",
        READ,
        {"owners": [TOKEN], "first_height": 9, "last_height": 1},
        400,
    ),
    ("POST", "/chain/rescans", None, {"first_height": 9, "last_height": 1}, 400),
    ("POST", "/chain/rescans", None, {"first_height": 1, "last_height": 2**60}, 400),
    ("GET", "/accounts/nobody", READ, None, 400),
    ("POST", "/accounts/lookup", READ, {"addresses": [TOKEN] * 51}, 400),
    ("POST", "/contracts/estimate", READ, {"owner_address": TOKEN}, 400),
    ("POST", "/contracts/calls", READ, {"calls": []}, 400),
    ("POST", f"/contracts/{TOKEN}/read", READ, {"function": "transfer", "arguments": []}, 400),
    ("POST", f"/contracts/{TOKEN}/read", READ, {"function": "1; drop", "arguments": []}, 400),
    ("PUT", "/broadcasting", SUBMIT, {"stopped": True}, 400),
    ("GET", "/ops/alarms?state=gone", None, None, 400),
    ("GET", "/ops/alarms?cursor=none", None, None, 400),
    ("POST", "/ops/alarms/alm_none/acknowledge", None, {"note": "seen"}, 404),
    ("POST", "/ops/alarms/alm_none/close", None, {"note": "seen"}, 404),
    ("GET", "/ops/alarms/feed?after=other.1", None, None, 409),
    ("DELETE", "/ops/feeds/transfers/consumers/nobody", None, None, 404),
    ("DELETE", "/ops/feeds/none/consumers/nobody", None, None, 404),
]


async def test_every_refusal_is_a_described_problem(reader: Reader) -> None:
    for method, path, scope, body, status in REFUSED:
        options = {} if body is None else {"json": body}
        response = await reader.ask(method, path, scope, **options)
        assert response.status_code == status, (method, path, response.text)


async def test_no_route_takes_a_stranger_or_a_scope_that_is_not_its_own(reader: Reader) -> None:
    for method, template in sorted(reader.operations()):
        path = re.sub(r"\{[^}]+\}", "x", template).removeprefix("/api/v1")
        if template.startswith(ELSEWHERE):
            continue
        stranger = await reader.caller.http.request(method, f"/api/v1{path}")
        assert stranger.status_code == 401, template
        reader.compare(stranger)
        other = await reader.ask(method, path, Scope.WALLETS_SEND)
        assert other.status_code == 403, template


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b'{"a":1,"a":2}',
        b"[" * 5_000,
        b"\xff\xfe",
        b"NaN",
        b"0",
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_a_body_that_is_no_request_is_refused_everywhere(reader: Reader, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for method, template in sorted(reader.operations()):
        operation = reader.described["paths"][template][method.lower()]
        if "requestBody" not in operation:
            continue
        path = re.sub(r"\{[^}]+\}", TOKEN, template).removeprefix("/api/v1")
        for scope in (READ, WATCH, SUBMIT, None):
            response = await reader.ask(method, path, scope, content=body, headers=dict(headers))
            assert response.status_code in {400, 403}, (method, template, response.text)

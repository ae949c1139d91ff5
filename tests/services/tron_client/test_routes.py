"""The whole application in process, in front of a devnet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from devnet.genesis import GENESIS_BLOCK_ID
from services.tron_client.app import create
from services.tron_client.settings import Settings
from shared.access import Role, Scope
from shared.models.tron_transactions import SubmitRequest
from shared.web.runtime import Runtime
from shared.web.streams import Streams
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    TOKEN,
    Wire,
    World,
    request_for,
)
from tests.services.tron_client.calling import Caller, called
from tests.support import Keys, serving, settings_in


@pytest.fixture
async def caller(world: World, tmp_path: Path) -> AsyncIterator[Caller]:
    async with called(world, tmp_path) as caller:
        yield caller


async def test_the_network_is_described(caller: Caller) -> None:
    status = await caller.read("/tron/network/status")
    assert status["network_status"] == "synced"
    assert status["block_height"] == caller.world.devnet.node.chain.head.number
    info = await caller.read("/tron/network/info")
    assert info["genesis_block_id"] == GENESIS_BLOCK_ID
    assert info["usdt_contract_address"] == TOKEN
    fees = await caller.read("/tron/network/fees")
    assert (fees["energy_cost"], fees["bandwidth_cost"]) == ("100", "1000")
    context = await caller.read("/chain/signing-context")
    assert context["reference"]["height"] == caller.world.devnet.node.chain.solid_number
    assert context["parameters"]["free_bandwidth"] == 600
    assert (await caller.http.get("/ready")).status_code == 200


async def test_an_account_and_a_call_are_read_at_the_head(caller: Caller) -> None:
    account = await caller.read(f"/accounts/{caller.world.to}")
    assert account["activated"]
    assert account["balance_sun"] == "10000000000"
    body = {
        "calls": [
            {"owner_address": caller.world.to, "contract_address": TOKEN, "data": "313ce567"},
            {"owner_address": caller.world.to, "contract_address": TOKEN, "data": "00000000"},
        ]
    }
    answer = await caller.ask("POST", "/contracts/calls", Scope.CHAIN_READ, json=body)
    decimals, nothing = answer.json()["calls"]
    assert int(decimals["result"], 16) == 6
    assert nothing["reverted"]


async def test_a_call_that_the_node_does_not_run_holds_no_other_up(caller: Caller) -> None:
    calls = [
        {"owner_address": caller.world.to, "contract_address": contract, "data": "313ce567"}
        for contract in (caller.world.to, TOKEN)
    ]
    answer = await caller.ask("POST", "/contracts/calls", Scope.CHAIN_READ, json={"calls": calls})
    nothing, decimals = answer.json()["calls"]
    assert nothing["reverted"]
    assert "the node does not run this call" in nothing["revert_reason"]
    assert int(decimals["result"], 16) == 6


async def test_a_contract_is_read_by_its_own_abi(caller: Caller) -> None:
    async def read(address: str, function: str, *arguments: Any) -> httpx.Response:
        body = {"function": function, "arguments": list(arguments)}
        return await caller.ask("POST", f"/contracts/{address}/read", Scope.CHAIN_READ, json=body)

    assert (await read(TOKEN, "balanceOf", caller.world.to)).json() == {"result": "10000000000"}
    assert (await read(TOKEN, "transfer", caller.world.to, 1)).status_code == 400
    assert (await read(TOKEN, "balanceOf", "nobody")).status_code == 400
    assert (await read(caller.world.to, "balanceOf", TOKEN)).status_code == 404


async def test_a_watched_transfer_comes_over_the_feed(caller: Caller) -> None:
    body = {"addresses": [caller.world.to]}
    watched = await caller.ask("PUT", "/watches", Scope.CHAIN_WATCH, json=body)
    assert watched.json()["watched"] == 1
    listed = await caller.ask("GET", "/watches", Scope.CHAIN_WATCH, params={"limit": 5})
    assert listed.json() == {"addresses": [caller.world.to], "count": 1, "next": None}

    caller.world.pay_usdt(5)
    caller.world.mine()
    page = await caller.read("/transfers/feed", params={"wait_s": 5, "limit": 500})
    assert [item["type"] for item in page["items"]] == ["transfer.seen"]
    noted = await caller.ask(
        "PUT",
        "/transfers/feed/consumers/books",
        Scope.CHAIN_READ,
        json={"cursor": page["next"]},
    )
    assert noted.status_code == 200
    other = await caller.ask("GET", "/transfers/feed?after=other.1", Scope.CHAIN_READ)
    assert other.status_code == 409


@pytest.mark.parametrize("feed", ["transfers", "token-transfers", "transactions", "chain/notices"])
async def test_h18_nobody_says_for_a_service_how_far_it_has_come(caller: Caller, feed: str) -> None:
    """What is acknowledged may be dropped: said for somebody else, that would lose deposits (H13)."""
    path = f"/{feed}/feed/consumers"
    page = await caller.read(f"/{feed}/feed")
    body = {"cursor": page["next"]}
    refused = await caller.ask("PUT", f"{path}/payment-gateway", Scope.CHAIN_READ, json=body)
    assert (refused.status_code, refused.json()["rule"]) == (403, "consumer")
    for person in (Role.NODE_OPERATOR, Role.SUPER_ADMIN):
        answer = await caller.http.put(
            f"/api/v1{path}/wallet-manager", json=body, headers=caller.keys.person(person)
        )
        assert answer.status_code == 403
    own = await caller.ask("PUT", f"{path}/wallet-manager", Scope.CHAIN_READ, json=body)
    assert own.status_code == 200


async def test_a_person_sees_the_feeds_and_dismisses_a_consumer(caller: Caller) -> None:
    page = await caller.read("/transfers/feed")
    await caller.ask(
        "PUT", "/transfers/feed/consumers/gone", Scope.CHAIN_READ, json={"cursor": page["next"]}
    )
    admin = caller.keys.person(Role.SUPER_ADMIN)
    feeds = (await caller.http.get("/api/v1/ops/feeds", headers=admin)).json()["feeds"]
    assert {each["feed"] for each in feeds} == {
        "transfers",
        "token_transfers",
        "transactions",
        "notices",
        "alarms",
    }
    transfers = next(each for each in feeds if each["feed"] == "transfers")
    assert transfers["consumers"] == [{"name": "gone", "acknowledged": 0, "behind": 0}]
    path = "/api/v1/ops/feeds/transfers/consumers/gone"
    assert (await caller.http.delete(path, headers=admin)).status_code == 204
    assert (await caller.http.delete(path, headers=admin)).status_code == 404
    reader = caller.keys.person(Role.ADMIN)
    assert (await caller.http.delete(path, headers=reader)).status_code == 403


async def test_a_stream_begins_after_the_last_event_that_its_client_had(
    world: World, tmp_path: Path
) -> None:
    async with called(world, tmp_path, streams=Streams(longest_s=0)) as caller:
        await caller.ask("PUT", "/watches", Scope.CHAIN_WATCH, json={"addresses": [world.to]})
        world.pay_usdt(5)
        world.pay_usdt(7)
        world.mine()
        page = await caller.read("/transfers/feed", params={"wait_s": 5})
        first = f"{page['incarnation']}.{page['items'][0]['seq']}"
        path, keys = "/api/v1/transfers/stream", caller.keys
        headers = keys.service("wallet-manager", audience="tron-client", scope=Scope.CHAIN_READ)
        whole = await caller.http.get(path, headers=headers)
        assert whole.headers["content-type"].startswith("text/event-stream")
        assert whole.text.count("event: transfer.seen") == 2
        rest = await caller.http.get(path, headers={**headers, "Last-Event-ID": first})
        assert rest.text.count("event: transfer.seen") == 1
        other = await caller.http.get(path, headers={**headers, "Last-Event-ID": "other.1"})
        assert other.status_code == 409
        assert (await caller.http.get(path)).status_code == 401


async def test_one_reader_too_many_is_told_to_come_back(world: World, tmp_path: Path) -> None:
    async with called(world, tmp_path, streams=Streams(limit=0)) as caller:
        refused = await caller.ask("GET", "/transfers/stream", Scope.CHAIN_READ)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")


async def test_a_long_poll_ends_with_the_first_event_or_with_its_time(caller: Caller) -> None:
    async def poll(wait_s: int) -> Any:
        return await caller.read(
            "/transfers/feed", params={"after": start, "wait_s": wait_s, "limit": 500}
        )

    await caller.ask("PUT", "/watches", Scope.CHAIN_WATCH, json={"addresses": [caller.world.to]})
    start = (await caller.read("/transfers/feed"))["next"]
    assert (await poll(1))["items"] == []
    readers = [asyncio.create_task(poll(30)) for _ in range(20)]
    caller.world.pay_usdt(5)
    caller.world.mine()
    async with asyncio.timeout(25):
        pages = await asyncio.gather(*readers)
    assert {page["items"][0]["id"] for page in pages} == {pages[0]["items"][0]["id"]}


async def test_a_submitted_transaction_gets_its_verdict(caller: Caller) -> None:
    transaction = caller.world.transfer(5)
    body = SubmitRequest(transactions=[request_for(transaction)]).model_dump()
    answer = await caller.ask("POST", "/transactions", Scope.CHAIN_SUBMIT, json=body)
    (taken,) = answer.json()["transactions"]
    assert taken["outcome"] == "accepted"

    caller.world.mine(BLOCKS_TO_SOLID + 1)
    found = await caller.read(f"/transactions/{taken['txid']}", params={"wait_s": 10})
    assert found["state"] == "confirmed"
    page = await caller.read("/transactions/feed")
    assert [item["type"] for item in page["items"]][-1] == "transaction.confirmed"
    looked_up = await caller.ask(
        "POST", "/transactions/lookup", Scope.CHAIN_READ, json={"txids": [taken["txid"]]}
    )
    assert [each["txid"] for each in looked_up.json()["transactions"]] == [taken["txid"]]


@pytest.mark.parametrize(
    ("method", "path", "scope", "status"),
    [
        ("GET", "/transactions/" + "ab" * 32, Scope.CHAIN_READ, 404),
        ("GET", "/transactions/short", Scope.CHAIN_READ, 400),
        ("GET", "/accounts/nobody", Scope.CHAIN_READ, 400),
        ("GET", "/transfers/feed?limit=501", Scope.CHAIN_READ, 400),
        ("GET", "/transfers/feed?wait_s=31", Scope.CHAIN_READ, 400),
        ("POST", "/transactions", Scope.CHAIN_READ, 403),
        ("PUT", "/watches", Scope.CHAIN_READ, 403),
    ],
)
async def test_what_is_refused(
    caller: Caller, method: str, path: str, scope: Scope, status: int
) -> None:
    response = await caller.ask(method, path, scope, json={})
    assert response.status_code == status


async def test_without_a_node_it_is_alive_and_says_what_is_missing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, Settings)
    runtime = Runtime(service="tron-client", settings=settings)
    keys = Keys(tmp_path, runtime.clock)
    app = create(settings, runtime, node_transport=httpx.MockTransport(_nobody))
    async with serving(app) as http:
        assert (await http.get("/health")).status_code == 200
        ready = await http.get("/ready")
        assert ready.status_code == 503
        headers = keys.service("wallet-manager", audience="tron-client", scope=Scope.CHAIN_READ)
        context = await http.get("/api/v1/chain/signing-context", headers=headers)
        assert context.status_code == 503


def _nobody(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody there", request=request)


async def test_what_was_missing_may_be_provided_without_a_restart(
    world: World, tmp_path: Path
) -> None:
    key = tmp_path / "secrets" / "tron-client" / "trongrid-api-key"
    settings = settings_in(tmp_path, Settings, scan_interval_ms=20)
    runtime = Runtime(service="tron-client", settings=settings, clock=world.devnet.node.clock)
    keys = Keys(tmp_path, runtime.clock)
    key.write_text("a-key")
    key.chmod(0o644)
    app = create(settings, runtime, node_transport=Wire(world.devnet))
    async with serving(app) as http:
        assert "chmod 600" in (await http.get("/ready")).text
        key.chmod(0o600)
        await Caller(http=http, keys=keys, world=world).until_ready()

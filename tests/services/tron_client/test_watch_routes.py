"""The watch list, rescans and outgoing transactions over HTTP, as a sibling uses them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from shared.access import Role, Scope
from shared.models.tron_client import WatchDigestView
from shared.tron.address import EVM_LENGTH, Address, address_from_bytes, evm_bytes
from shared.watching import digest_text, watch_digest
from tests.services.tron_client.bench import World
from tests.services.tron_client.calling import Caller, called

WATCH = Scope.CHAIN_WATCH


@pytest.fixture
async def caller(world: World, tmp_path: Path) -> AsyncIterator[Caller]:
    async with called(world, tmp_path) as caller:
        yield caller


def addresses(count: int) -> list[Address]:
    return [
        address_from_bytes(number.to_bytes(EVM_LENGTH, "big")) for number in range(1, count + 1)
    ]


async def operate(
    caller: Caller, method: str, body: dict[str, int] | None = None
) -> httpx.Response:
    headers = caller.keys.person(Role.SUPER_ADMIN)
    return await caller.http.request(method, "/api/v1/chain/rescans", headers=headers, json=body)


async def digest(caller: Caller) -> WatchDigestView:
    response = await caller.ask("GET", "/watches/digest", WATCH)
    return WatchDigestView.model_validate_json(response.content)


async def test_h11_a_list_is_watched_compared_and_shortened(caller: Caller) -> None:
    wanted = addresses(40)
    watched = await caller.ask("PUT", "/watches", WATCH, json={"addresses": wanted})
    assert watched.json()["watched"] == 40
    found = await digest(caller)
    assert found.count == 40
    assert found.digest == digest_text(watch_digest(evm_bytes(each) for each in wanted))

    gone = await caller.ask("DELETE", "/watches", WATCH, json={"addresses": wanted[:3]})
    assert gone.json()["count"] == 37
    listed = await caller.ask("GET", "/watches", WATCH, params={"limit": 500})
    assert sorted(listed.json()["addresses"]) == sorted(wanted[3:])


async def test_h11_a_paid_address_stays_watched_and_the_refusal_says_why(caller: Caller) -> None:
    world = caller.world
    body = {"addresses": [world.to]}
    await caller.ask("PUT", "/watches", WATCH, json=body)
    world.pay_usdt(5)
    world.mine()
    await caller.read("/transfers/feed", params={"wait_s": 20})
    refused = await caller.ask("DELETE", "/watches", WATCH, json=body)
    assert refused.status_code == 409
    assert refused.json()["code"] == "LUCID_ERR_9162"
    assert refused.json()["addresses"] == [world.to]


async def test_a_hundred_thousand_addresses_go_in_one_request_and_no_more(caller: Caller) -> None:
    body = {"addresses": addresses(100_000)}
    answer = await caller.ask("PUT", "/watches", WATCH, json=body)
    assert answer.json()["watched"] == 100_000
    elsewhere = await caller.ask("POST", "/transactions/lookup", Scope.CHAIN_READ, json=body)
    assert elsewhere.status_code == 413
    too_many = await caller.ask("PUT", "/watches", WATCH, json={"addresses": addresses(100_001)})
    assert too_many.status_code == 400


async def test_h11_a_birth_in_the_past_is_told_over_the_feed(caller: Caller) -> None:
    world = caller.world
    birth = world.devnet.node.chain.head.number
    world.pay_usdt(5)
    world.mine(30)
    await caller.until_ready()
    body = {"addresses": [world.to], "birth_height": birth}
    watched = await caller.ask("PUT", "/watches", WATCH, json=body)
    assert watched.json()["birth_height"] == birth
    world.mine(30)
    page = await caller.read("/transfers/feed", params={"wait_s": 20})
    assert [each["type"] for each in page["items"]] == ["transfer.confirmed"]


async def test_a_rescan_is_asked_for_once_and_shows_its_progress(caller: Caller) -> None:
    body = {"first_height": 1, "last_height": 2}
    first = await operate(caller, "POST", body)
    assert first.status_code == 200
    assert first.json()["rescan_id"].startswith("rsc_")
    listed = await operate(caller, "GET")
    assert [each["first_height"] for each in listed.json()["rescans"]] == [1]
    assert (
        await caller.ask("POST", "/chain/rescans", Scope.CHAIN_READ, json=body)
    ).status_code == 403
    upside_down = {"first_height": 9, "last_height": 2}
    refused = await operate(caller, "POST", upside_down)
    assert refused.json()["code"] == "LUCID_ERR_9160"


async def test_h5_outgoing_transactions_come_with_their_bytes(caller: Caller) -> None:
    world = caller.world
    owner = address_from_bytes(world.payer.address)
    transaction = world.transfer(5)
    txid = world.devnet.node.broadcast(transaction).txid.hex()
    world.mine(25)
    await caller.until_ready()
    body = {"owners": [owner], "first_height": 1, "last_height": 10**6}
    answer = await caller.ask("POST", "/chain/outgoing", Scope.CHAIN_READ, json=body)
    (found,) = answer.json()["transactions"]
    assert (found["txid"], found["owner"], found["succeeded"]) == (txid, owner, True)
    assert answer.json()["last_height"] < 10**6
    raw_data = transaction.raw_data.SerializeToString(deterministic=True)
    assert found["raw_data"] == raw_data.hex()
    assert found["signatures"] == [each.hex() for each in transaction.signature]
    assert found["block"]["height"] == world.devnet.node.chain.height_of(bytes.fromhex(txid))


async def test_other_tokens_have_a_feed_that_is_acknowledged(caller: Caller) -> None:
    page = await caller.read("/token-transfers/feed")
    assert page["items"] == []
    done = await caller.ask(
        "PUT",
        "/token-transfers/feed/consumers/someone",
        Scope.CHAIN_READ,
        json={"cursor": page["next"]},
    )
    assert done.status_code == 200

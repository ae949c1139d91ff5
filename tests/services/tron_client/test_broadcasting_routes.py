"""What a signer asks tron-client for in an emergency and after a restore, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devnet.address import to_base58
from shared.access import Scope
from shared.models.tron_transactions import SubmitRequest
from tests.services.tron_client.bench import World, request_for
from tests.services.tron_client.calling import Caller, called


@pytest.fixture
async def caller(world: World, tmp_path: Path) -> AsyncIterator[Caller]:
    async with called(world, tmp_path) as caller:
        yield caller


async def _submit(caller: Caller, amount_sun: int, send_key: str) -> str:
    request = request_for(caller.world.transfer(amount_sun), send_key=send_key)
    body = SubmitRequest(transactions=[request]).model_dump()
    response = await caller.ask("POST", "/transactions", Scope.CHAIN_SUBMIT, json=body)
    assert response.status_code == 200, response.text
    (taken,) = response.json()["transactions"]
    return str(taken["txid"])


async def test_h23_bytes_are_held_back_and_let_go_over_http(caller: Caller) -> None:
    stop = {"stopped": True, "reason": "the drill of today"}
    response = await caller.ask("PUT", "/broadcasting", Scope.CHAIN_SUBMIT, json=stop)
    assert response.json() == {"stopped_for_all": True, "stopped_owners": [], "may_land": []}
    txid = await _submit(caller, 5, "test:one:0")
    (held,) = (await caller.ask("GET", "/broadcasting", Scope.CHAIN_SUBMIT)).json()["may_land"]
    assert (held["txid"], held["send_key"]) == (txid, "test:one:0")
    assert txid not in {each.hex() for each in caller.world.devnet.node.pool.txids()}
    go = {"stopped": False, "reason": "the drill is over"}
    released = await caller.ask("PUT", "/broadcasting", Scope.CHAIN_SUBMIT, json=go)
    assert not released.json()["stopped_for_all"]


async def test_a_reason_is_required_to_hold_bytes_back(caller: Caller) -> None:
    response = await caller.ask("PUT", "/broadcasting", Scope.CHAIN_SUBMIT, json={"stopped": True})
    assert response.status_code == 400
    assert "reason" in response.text


async def test_reading_rights_do_not_reach_the_switch(caller: Caller) -> None:
    stop = {"stopped": True, "reason": "not mine to say"}
    response = await caller.ask("PUT", "/broadcasting", Scope.CHAIN_READ, json=stop)
    assert response.status_code == 403


async def test_h5_a_signer_gets_its_transactions_back_with_their_bytes(caller: Caller) -> None:
    sent = [await _submit(caller, amount, f"test:{amount}:0") for amount in (5, 6, 7)]
    owner = to_base58(caller.world.payer.address)
    found: list[str] = []
    cursor: str | None = None
    while True:
        params = {"owner": owner, "limit": 2} | ({"cursor": cursor} if cursor else {})
        response = await caller.ask("GET", "/transactions", Scope.CHAIN_SUBMIT, params=params)
        page = response.json()
        for each in page["transactions"]:
            assert each["raw_data"]
            assert len(each["signatures"]) == 1
            assert each["owner"] == owner
        found += [each["txid"] for each in page["transactions"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(found) == sorted(sent)
    elsewhere = {"owner": caller.world.to}
    other = await caller.ask("GET", "/transactions", Scope.CHAIN_SUBMIT, params=elsewhere)
    assert other.json()["transactions"] == []

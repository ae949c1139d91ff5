"""Histories over HTTP, and the whole service behind a proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from devnet.genesis import GENESIS_BLOCK_ID
from services.tron_client.app import create
from services.tron_client.settings import Settings
from shared.access import Scope
from shared.models.tron_reads import PastTokenMovesView, PastTransactionsView
from shared.web.runtime import Runtime
from tests.services.tron_client.bench import BLOCKS_TO_SOLID, TOKEN, World
from tests.services.tron_client.calling import Caller, called
from tests.services.tron_client.socks import (
    REFUSED,
    NodeOnASocket,
    SocksProxy,
    listening,
    port_of,
)
from tests.support import Keys, serving, settings_in


@pytest.fixture
async def caller(world: World, tmp_path: Path) -> AsyncIterator[Caller]:
    async with called(world, tmp_path) as caller:
        yield caller


async def test_the_past_of_an_address_is_told_with_its_extent(caller: Caller) -> None:
    world = caller.world
    txid = world.pay_trx(7)
    moved = world.pay_usdt(5)
    world.mine(BLOCKS_TO_SOLID + 1)
    path = f"/accounts/{world.to}/history"

    told = PastTransactionsView.model_validate(await caller.read(f"{path}/transactions"))
    (past,) = told.transactions
    assert (past.txid, past.amount_sun, past.result) == (txid, "7", "SUCCESS")
    assert (past.contract_type, past.recipient_address) == ("TransferContract", world.to)
    assert told.extent.is_complete
    assert (told.extent.pages, told.extent.repeated, told.extent.only_solid) == (1, 0, True)
    assert told.extent.since == "1970-01-01T00:00:00.000Z"

    moves = PastTokenMovesView.model_validate(await caller.read(f"{path}/token-transfers"))
    (move,) = moves.token_transfers
    assert (move.txid, move.value, move.move.value) == (moved, "5", "transfer")
    assert (move.token_address, move.is_usdt) == (TOKEN, True)
    assert (move.claimed_symbol, move.claimed_decimals) == ("USDT", 6)

    other = await caller.read(f"{path}/token-transfers", params={"token": world.to})
    assert other["token_transfers"] == []
    before = await caller.read(f"{path}/transactions", params={"until_ms": 1})
    assert before["transactions"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/accounts/nobody/history/transactions", 400),
        ("/accounts/{to}/history/transactions?since_ms=2&until_ms=1", 400),
        ("/accounts/{to}/history/transactions?since_ms=-1", 400),
        ("/accounts/{to}/history/transactions?until_ms=253402300800000", 400),
        ("/accounts/{to}/history/token-transfers?token=nobody", 400),
        ("/accounts/{to}/history/other", 404),
    ],
)
async def test_what_cannot_be_asked_is_refused(caller: Caller, path: str, status: int) -> None:
    asked = path.format(to=caller.world.to)
    response = await caller.ask("GET", asked, Scope.CHAIN_READ)
    assert response.status_code == status, response.text


async def test_a_history_needs_the_right_to_read_the_chain(caller: Caller) -> None:
    path = f"/accounts/{caller.world.to}/history/transactions"
    assert (await caller.ask("GET", path, Scope.CHAIN_SUBMIT)).status_code == 403
    assert (await caller.http.get(f"/api/v1{path}")).status_code == 401


# Behind a proxy


@asynccontextmanager
async def proxied(
    world: World, root: Path, *, node_port: int, proxy_port: int
) -> AsyncIterator[tuple[httpx.AsyncClient, Keys]]:
    """The whole service, whose node could be reached directly and may be reached through a proxy."""
    settings = settings_in(
        root,
        Settings,
        scan_interval_ms=20,
        node_url=f"http://127.0.0.1:{node_port}",
        node_proxy_url=f"socks5h://127.0.0.1:{proxy_port}",
    )
    runtime = Runtime(service="tron-client", settings=settings, clock=world.devnet.node.clock)
    keys = Keys(root, runtime.clock)
    async with serving(create(settings, runtime)) as http:
        yield http, keys


async def reasons_until(http: httpx.AsyncClient, word: str) -> str:
    """Ask why the service is not ready until it says a word."""
    told = ""
    for _ in range(500):
        response = await http.get("/ready")
        told = response.text
        if word in told:
            assert response.status_code == 503
            return told
        await asyncio.sleep(0.02)
    raise AssertionError(told)


ANSWERS: dict[str, Any] = {"/wallet/getblockbynum": {"blockID": GENESIS_BLOCK_ID}}


async def test_with_its_proxy_down_the_service_is_not_ready_and_opens_no_connection(
    world: World, tmp_path: Path
) -> None:
    node = NodeOnASocket(ANSWERS)
    async with listening(node.serve) as behind:
        async with listening(SocksProxy(port=0).serve) as before:
            gone = port_of(before)
        async with proxied(world, tmp_path, node_port=port_of(behind), proxy_port=gone) as (
            http,
            keys,
        ):
            await reasons_until(http, "ProxyError")
            headers = keys.service("wallet-manager", audience="tron-client", scope=Scope.CHAIN_READ)
            for path in ("history/transactions", "history/token-transfers"):
                response = await http.get(f"/api/v1/accounts/{world.to}/{path}", headers=headers)
                assert response.status_code == 503
    assert node.connections == 0


async def test_with_a_proxy_that_refuses_the_service_opens_no_connection_either(
    world: World, tmp_path: Path
) -> None:
    node = NodeOnASocket(ANSWERS)
    async with listening(node.serve) as behind:
        proxy = SocksProxy(port=port_of(behind), code=REFUSED)
        async with listening(proxy.serve) as before:
            ports = {"node_port": port_of(behind), "proxy_port": port_of(before)}
            async with proxied(world, tmp_path, **ports) as (http, _):
                await reasons_until(http, "ProxyError")
    assert proxy.asked
    assert node.connections == 0

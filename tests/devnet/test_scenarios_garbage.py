"""Scenarios under requests that make no sense, many at once, and all armed together."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from devnet.scenarios.registry import SCENARIOS
from devnet.scenarios.scenario import Occasion
from devnet.scenarios.subject import BLOCKS, BROADCASTS, BY_TXID, RECEIPTS
from tests.devnet.scenario_net import PAYER, Net, fresh_net

__all__ = ["fresh_net"]

HEAD = "/wallet/getnowblock"
# Those that answer with a status of their own, and those that take time.
LOUD = {"http_error", "html_page", "too_many_requests", "suspended", "daily_quota"}
QUIET = {"slow", "slow_reply", "refused_by_node", "no_body", "half_body"}
BREAKING = {"request_lost", "reply_lost", "connection_reset"}
REWRITING = [
    each.name
    for each in SCENARIOS.values()
    if each.occasion is Occasion.REQUEST and each.name not in LOUD | QUIET | BREAKING
]
BODIES: list[Any] = [
    {},
    [],
    None,
    7,
    "x",
    {"num": "x"},
    {"num": -1},
    {"num": 0},
    {"num": 10**30},
    {"num": [1]},
    {"num": 21},
    {"num": 21, "visible": True},
    {"id_or_num": "21", "detail": False},
    {"id_or_num": 21},
    {"value": "zz"},
    {"value": "00"},
    {"value": 5},
    {"startNum": 1, "endNum": 10**12},
    {"startNum": 19, "endNum": 22},
    {"transaction": 5},
    {"raw_data": {"contract": [{}]}},
    {"raw_data": {"contract": [5]}, "signature": ["zz"]},
    {"address": "x"},
    {"address": PAYER.address.hex()},
    {"owner_address": "x", "contract_address": 7, "data": "zz", "function_selector": 5},
]
PATHS = [
    *sorted(f"/wallet/{name}" for name in BLOCKS | RECEIPTS | BY_TXID | BROADCASTS),
    "/walletsolidity/getnowblock",
    "/wallet/getaccount",
    "/wallet/getaccountresource",
    "/wallet/triggerconstantcontract",
    "/wallet/createtransaction",
    "/wallet/getsignweight",
    "/wallet/getchainparameters",
    "/wallet/nonsense",
    "/v1/accounts/x",
    "/jsonrpc",
    "/",
]


def busy(net: Net) -> None:
    net.paid(net.transfer(1), net.usdt(5), net.usdt(10**15))


def example_without_place(name: str) -> dict[str, Any]:
    order = {**SCENARIOS[name].example, "count": 0}
    for option in ("path", "from_block", "to_block"):
        order.pop(option, None)
    return order


@pytest.mark.parametrize("name", REWRITING)
def test_a_scenario_meets_nonsense_as_the_node_does(net: Net, name: str) -> None:
    busy(net)
    net.arm(name, **example_without_place(name))

    for path in PATHS:
        for body in BODIES:
            assert net.http.post(net.url() + path, json=body).status_code != 500, (path, body)
        for query in ("num=21&int64_as_string=true", "id_or_num=21&detail=1", "value=%ff"):
            assert net.http.get(f"{net.url()}{path}?{query}").status_code != 500, (path, query)


def test_all_scenarios_that_rewrite_can_be_armed_together(net: Net) -> None:
    busy(net)
    for name in REWRITING:
        net.arm(name, **example_without_place(name))

    for path in PATHS:
        for body in BODIES:
            assert net.http.post(net.url() + path, json=body).status_code != 500, (path, body)
    net.delete("scenarios")
    assert net.height() == 21


@pytest.mark.parametrize("name", ["http_error", "slow", "slow_reply", "head_back"])
async def test_many_requests_at_once_are_struck_no_more_often_than_told(
    net: Net, name: str
) -> None:
    net.arm(name, path=HEAD, count=7)
    net.arm("slow", path=HEAD, count=20, delay_ms=50)
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        replies = await asyncio.gather(*(http.post(net.url() + HEAD) for _ in range(40)))

    struck = net.strikes()
    assert len(replies) == 40
    assert struck.count(name) == (27 if name == "slow" else 7)
    assert net.armed() == []
    assert net.height() == 20

"""The control API over real connections: every path, the clock, the nodes, the recorder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devnet.control.paths import ControlPath
from devnet.settings import CONTROL_PORT, NODE_PORT
from tests.devnet.scenario_net import PAYEE, STRANGER, Net, fresh_net, open_net, text

__all__ = ["fresh_net"]

HEAD = "/wallet/getnowblock"


def test_every_path_carries_its_example_out(net: Net) -> None:
    paths = net.running.devnet.control.paths()
    skipped = {"/devnet/head/stall", "/devnet/scenarios/armed/{number:int}"}

    def carried_out(each: ControlPath) -> Any:
        url = each.path.replace(":int", "").format_map(each.filled)
        return net.http.request(each.method, net.running.control_url + url, json=each.example)

    for each in paths:
        if each.path in skipped:
            continue
        response = carried_out(each)
        assert response.status_code == 200, (each.method, each.path, response.text)
        assert isinstance(response.json(), dict)


def test_no_path_is_there_twice(net: Net) -> None:
    paths = [(each.method, each.path) for each in net.running.devnet.control.paths()]

    assert len(paths) == len(set(paths))


def test_a_step_is_one_block(net: Net) -> None:
    assert net.tell("step")["head"]["number"] == 21


def test_h2_the_told_clock_and_the_chain_s_never_go_back(net: Net) -> None:
    told, chain = [net.get("clock")["now_ms"]], [net.get("clock")["head"]["timestamp_ms"]]
    for seconds in (90, -90, 0, 30.5):
        net.tell("skew", seconds=seconds)
        clock = net.mine(2)
        told.append(clock["now_ms"])
        chain.append(clock["head"]["timestamp_ms"])
        assert clock["head"]["timestamp_ms"] - clock["now_ms"] == seconds * 1_000

    assert told == sorted(told)
    assert chain == sorted(chain)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("skew", {"seconds": "90"}),
        ("skew", {"seconds": 10**12}),
        ("jump", {"seconds": 10**12}),
        ("jump", {"seconds": True}),
        ("speed", {"speed": 1_001}),
        ("reorganise", {"depth": 1, "fate": "luck"}),
        ("reorganise", {"depth": 10_000}),
        ("slots/miss", {"slots": 0}),
        ("witnesses/absent", {"places": [27]}),
        ("witnesses/absent", {"places": "all"}),
        ("nodes/7/lag", {"lag_blocks": 1}),
        ("nodes/0/lag", {"lag_blocks": 65}),
        ("usdt/fee", {"rate": 20}),
        ("usdt/deprecate", {"successor": "Nobody"}),
        ("tokens/mint", {"address": "customer-1", "units": 0}),
        ("contracts/fail-next", {"result": "BAD_LUCK"}),
        ("router/pay", {"from": "customer-1", "payments": []}),
        ("router/pay", {"from": "customer-1", "payments": ["x"]}),
        ("traffic", {"per_block": 0}),
        ("traffic", {"per_block": 2_001}),
        ("energy-price", {"sun": -1}),
    ],
)
def test_an_unclear_order_is_refused(net: Net, path: str, body: Any) -> None:
    assert net.refusal(path, body)


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b"1"])
def test_a_body_that_is_no_object_is_refused(net: Net, body: bytes) -> None:
    response = net.http.post(f"{net.running.control_url}/devnet/mine", content=body)

    assert response.status_code == 400


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001"])
def test_a_page_of_the_log_has_bounds(net: Net, query: str) -> None:
    url = f"{net.running.control_url}/devnet/log?{query}"

    assert net.http.get(url).status_code == 400


def test_witnesses_stay_away_until_they_are_called_back(net: Net) -> None:
    net.tell("witnesses/absent", places=list(range(27)))
    assert net.mine(3)["head"]["number"] == 20
    net.tell("resume")

    assert net.mine(3)["head"]["number"] == 23


def test_nodes_are_listed_lag_and_catch_up(net: Net) -> None:
    net.tell("nodes/1/lag", lag_blocks=5)
    nodes = net.get("nodes")["nodes"]

    assert [each["url"] for each in nodes] == [net.url(0), net.url(1)]
    assert [(each["head"]["number"], each["lag_blocks"]) for each in nodes] == [(20, 0), (15, 5)]
    assert net.height(at=1) == 15
    assert net.tell("nodes/1/lag", lag_blocks=0)["head"]["number"] == 20


def test_requests_are_counted_for_each_node_and_reset_apart(net: Net) -> None:
    for at in (0, 1, 1):
        net.height(at=at)

    assert net.get("requests") == {"total": 1, "paths": {HEAD: 1}}
    assert net.get("nodes/1/requests") == {"total": 2, "paths": {HEAD: 2}}
    net.delete("nodes/1/requests")
    assert (net.get("nodes/0/requests")["total"], net.get("nodes/1/requests")["total"]) == (1, 0)


def test_usdt_is_paid_through_a_router_and_issued(net: Net) -> None:
    before = net.usdt_micro(PAYEE.address)
    net.tell("router/allow", **{"from": "customer-1"})
    pay = {"to": "customer-2", "amount": "1"}
    net.tell("router/pay", **{"from": "customer-1"}, payments=[pay, pay])
    net.tell("usdt/issue", address="customer-2", amount="5")
    net.tell("payer/pay", to=text(STRANGER), amount="3")
    net.mine()

    assert net.usdt_micro(PAYEE.address) - before == 7_000_000
    assert net.balance_sun(STRANGER.address) == 3_000_000


def test_orders_to_the_chain_survive_a_restart_and_armed_scenarios_do_not(tmp_path: Path) -> None:
    with open_net(state_path=tmp_path / "state") as net:
        net.tell("usdt/issue", address=text(STRANGER), amount="5")
        net.mine()
        net.tell("skew", seconds=90)
        net.arm("reply_lost")
        net.mine()
    with open_net(state_path=tmp_path / "state") as again:
        assert again.usdt_micro(STRANGER.address) == 5_000_000
        assert again.armed() == []
        assert again.get("clock")["skew_ms"] == 0


def test_the_help_names_every_option_and_the_ports() -> None:
    command = [sys.executable, "-m", "devnet", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert all(each in shown for each in (str(NODE_PORT), str(CONTROL_PORT), "--followers"))
    assert (NODE_PORT, CONTROL_PORT) == (18_090, 18_099)


@pytest.mark.parametrize(
    "arguments",
    [("--speed", "-1"), ("--speed", "nan"), ("--followers", "9"), ("--lag", "65"), ("--port", "x")],
)
def test_a_start_with_nonsense_is_refused(arguments: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "devnet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "error:" in done.stderr


def test_the_guide_shows_where_things_are_and_what_to_try() -> None:
    command = [sys.executable, "-m", "devnet", "--guide", "--port", "0", "--control-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "README" in line:
                break
        process.terminate()
    shown = "".join(lines)

    assert lines[0].startswith("devnet ready: node=http://127.0.0.1:")
    assert all(each in shown for each in ("faucet", "customer-10", "USDT", "curl -d"))
    assert process.returncode == 0

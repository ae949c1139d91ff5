"""The registry as a whole: what is listed, what is refused, and what the README says of it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devnet.scenarios.readme import filled
from devnet.scenarios.registry import HAZARDS, NOT_OURS, SCENARIOS
from tests.devnet.scenario_net import Net, fresh_net

__all__ = ["fresh_net"]

README = Path("devnet/README.md")


def test_every_hazard_that_a_node_or_a_chain_can_cause_has_a_scenario() -> None:
    caused = {number for each in SCENARIOS.values() for number in each.hazards}

    assert caused == set(HAZARDS) - set(NOT_OURS)
    assert set(HAZARDS) == set(range(1, 26))


def test_every_scenario_is_listed_with_its_parameters(net: Net) -> None:
    listed = net.get("scenarios")["scenarios"]

    assert [each["name"] for each in listed] == list(SCENARIOS)
    reorganise = next(each for each in listed if each["name"] == "reorganise")
    assert reorganise["hazards"] == ["H1", "H8", "H16"]
    assert {"name", "type", "meaning"} <= set(reorganise["parameters"][0])
    assert "default" not in reorganise["parameters"][0]


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_s_example_arms_it_and_can_be_taken_back(net: Net, name: str) -> None:
    scenario = SCENARIOS[name]
    order = net.arm(name, **scenario.example)
    net.delete(f"scenarios/{name}")
    net.mine()

    assert order["scenario"] == name
    assert net.armed() == []
    assert net.height() >= 21


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("nonsense", {}),
        ("reply_lost", {"count": -1}),
        ("reply_lost", {"count": True}),
        ("reply_lost", {"count": None}),
        ("reply_lost", {"often": 1}),
        ("reply_lost", {"node": 2}),
        ("reply_lost", {"node": -1}),
        ("reply_lost", {"path": "wallet"}),
        ("reply_lost", {"path": "/wal*let"}),
        ("reply_lost", {"txid": "00"}),
        ("reply_lost", {"from_block": 5, "to_block": 4}),
        ("receipts_missing", {"path": "/wallet/getnowblock"}),
        ("slow", {"delay_ms": 10**9}),
        ("broadcast_code", {}),
        ("broadcast_code", {"code": "SUCCESS"}),
        ("reorganise", {}),
        ("reorganise", {"depth": 1, "fate": "luck"}),
        ("invented_transfer", {"recipient": "T"}),
        ("invented_transfer", {"recipient": "customer-1", "amount": 5}),
        ("invented_chain", {"recipient": "customer-2", "amount": "999999"}),
        ("usdt_fee", {"rate": 20}),
        ("node_lags", {"node": 0, "blocks_behind": 65}),
        ("skew", {"seconds": 10**12}),
        ("chaos", {}),
        ("chaos", {"seed": 1, "only": ["nonsense"]}),
        ("chaos", {"seed": 1, "only": []}),
        ("chaos", {"seed": 1, "percent": 101}),
    ],
)
def test_an_unclear_order_is_refused_and_nothing_is_armed(
    net: Net, name: str, order: dict[str, Any]
) -> None:
    assert net.refusal(f"scenarios/{name}", order)
    assert net.armed() == []


def test_no_more_than_a_thousand_scenarios_are_armed(net: Net) -> None:
    for _ in range(1_000):
        net.arm("reply_lost")

    assert "armed already" in net.refusal("scenarios/reply_lost", {})
    net.delete("scenarios")
    net.arm("reply_lost")


def test_a_number_that_is_not_armed_is_refused(net: Net) -> None:
    url = f"{net.running.control_url}/devnet/scenarios/armed/7"

    assert net.http.delete(url).status_code == 400


def test_the_readme_says_what_the_code_says() -> None:
    text = README.read_text()

    assert filled(text) == text, "run 'make docs'"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are curl's")
def test_every_example_of_the_readme_works_on_a_new_devnet(net: Net) -> None:
    text = README.read_text()
    commands = re.findall(r"(?m)^    (curl .*)$|^\| `\w+` \|.*`(curl [^`]*)` \|$", text)
    assert len(commands) > len(SCENARIOS)
    for first, second in commands:
        command = shlex.split(first or second.replace("\\|", "|"))
        asked = [
            each.replace("http://127.0.0.1:18099", net.running.control_url).replace(
                "http://127.0.0.1:18090", net.url()
            )
            for each in command
        ]
        done = subprocess.run(
            [*asked, "-s", "-f", "--max-time", "10"], capture_output=True, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        json.loads(done.stdout)
        net.delete("scenarios")

"""Scenarios that change the chain itself, or how single nodes see it."""

from __future__ import annotations

from typing import Any

import pytest

from devnet.blocks import txid_of
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from tests.devnet.scenario_net import PAYEE, PAYER, STRANGER, Net, fresh_net, text

__all__ = ["fresh_net"]


def result_of(net: Net, payment: Any) -> str:
    value = txid_of(payment).hex()
    info = net.ask("/wallet/gettransactioninfobyid", value=value)
    return str(info["receipt"].get("result", "SUCCESS"))


@pytest.mark.parametrize(
    ("fate", "stays", "comes_back"),
    [("wait", False, True), ("reinclude", True, True), ("drop", False, False)],
)
def test_h8_a_branch_replaces_the_last_blocks(
    net: Net,
    fate: str,
    stays: bool,  # noqa: FBT001 (a case)
    comes_back: bool,  # noqa: FBT001 (a case)
) -> None:
    payment = net.transfer(1)
    height = net.paid(payment)
    old = net.block(height)["blockID"]
    net.arm("reorganise", depth=2, fate=fate)

    assert net.block(height)["blockID"] != old
    assert net.height() == height + 1
    assert net.is_included(payment) is stays
    net.mine()
    assert net.is_included(payment) is comes_back
    assert net.armed() == []


def test_h8_a_transfer_that_succeeded_fails_in_the_branch(net: Net) -> None:
    payment = net.usdt(5)
    net.paid(payment)
    assert result_of(net, payment) == "SUCCESS"
    net.arm("reorganise", depth=1, fate="fail")

    assert result_of(net, payment) == "REVERT"


def test_h16_transactions_are_put_into_another_order(net: Net) -> None:
    payments = [net.transfer(amount) for amount in (1, 2, 3)]
    height = net.paid(*payments)
    before = [each["txID"] for each in net.block(height)["transactions"]]
    net.arm("reorganise", depth=1, fate="reorder", seed=3)
    after = [each["txID"] for each in net.block(height)["transactions"]]

    assert sorted(after) == sorted(before)
    assert after != before


def test_a_reorganisation_waits_for_its_block_and_strikes_so_often(net: Net) -> None:
    net.arm("reorganise", depth=1, from_block=23, count=2)

    assert net.mine(2)["head"]["number"] == 22
    assert net.strikes() == []
    assert net.mine(1)["head"]["number"] == 24
    assert net.mine(1)["head"]["number"] == 26
    assert net.mine(1)["head"]["number"] == 27
    assert net.strikes() == ["reorganise", "reorganise"]


def test_a_reorganisation_that_is_not_possible_is_refused_or_written_down(net: Net) -> None:
    assert "only the blocks above" in net.refusal("scenarios/reorganise", {"depth": 500})
    assert net.armed() == []
    net.arm("reorganise", depth=500, from_block=22, to_block=22)
    net.mine(3)

    strikes = net.get("log")["strikes"]
    assert [each["note"][:13] for each in strikes] == ["not possible:"]
    assert net.armed() == []


def test_h19_slots_pass_without_blocks(net: Net) -> None:
    before = net.get("clock")["head"]["timestamp_ms"]
    net.arm("missed_slots", slots=7)

    assert net.mine()["head"]["timestamp_ms"] == before + 8 * 3_000


def test_h19_no_block_becomes_solid_that_is_made_while_witnesses_stay_away(net: Net) -> None:
    net.arm("stall_solid", blocks=60)

    assert net.mine(59)["solid"]["number"] <= 20
    assert net.armed() == ["stall_solid"]
    net.mine(1)
    assert net.armed() == []
    clock = net.mine(30)
    assert clock["head"]["number"] - clock["solid"]["number"] < 27


def test_h22_no_blocks_are_made_until_the_scenario_is_disarmed(net: Net) -> None:
    net.arm("stall_head")
    assert net.mine(5)["head"]["number"] == 20
    net.delete("scenarios/stall_head")

    assert net.mine(5)["head"]["number"] == 25


def test_h2_the_chain_runs_ahead_of_the_clock_that_clients_follow(net: Net) -> None:
    before = net.get("clock")
    net.arm("skew", seconds=90, blocks=5)
    ahead = net.get("clock")

    assert (ahead["skew_ms"], ahead["now_ms"]) == (90_000, before["now_ms"])
    mined = net.mine(1)
    assert mined["head"]["timestamp_ms"] - mined["now_ms"] == 90_000
    ended = net.mine(4)
    assert (ended["skew_ms"], ended["now_ms"]) == (0, ended["head"]["timestamp_ms"])


def test_h2_the_chain_falls_behind_the_clock_that_clients_follow(net: Net) -> None:
    net.arm("skew", seconds=-90)
    mined = net.mine(1)

    assert mined["now_ms"] - mined["head"]["timestamp_ms"] == 90_000


def test_h1_one_node_lags_while_the_other_does_not(net: Net) -> None:
    net.arm("node_lags", node=1, blocks_behind=5, blocks=3)
    net.mine(2)

    assert (net.height(at=0), net.height(at=1)) == (22, 17)
    net.mine(1)
    assert (net.height(at=0), net.height(at=1)) == (23, 23)


@pytest.mark.parametrize("stuck", [0, 1])
def test_h1_a_node_is_stuck_while_the_chain_goes_on(net: Net, stuck: int) -> None:
    payment = net.transfer(1)
    net.arm("node_stuck", node=stuck, blocks=70)
    assert net.broadcast(payment, at=1 - stuck)["result"] is True
    net.mine(69)

    assert net.height(at=stuck) == 20
    assert net.height(at=1 - stuck) == 89
    assert net.is_included(payment, at=1 - stuck)
    assert not net.is_included(payment, at=stuck)
    net.mine(1)
    assert net.height(at=stuck) == 90
    assert net.is_included(payment, at=stuck)


@pytest.mark.parametrize("liar", [0, 1])
def test_h9_a_node_invents_a_chain_that_becomes_solid_there(net: Net, liar: int) -> None:
    honest = 1 - liar
    armed = net.arm("invented_chain", node=liar, recipient=text(STRANGER), amount="1000", blocks=40)
    net.mine(30)

    assert net.height(at=liar) == net.height(at=honest) == 50
    assert net.balance_sun(STRANGER.address, at=liar) == 1_000_000_000
    assert net.balance_sun(STRANGER.address, at=honest) == 0
    solid = [
        net.ask("/walletsolidity/getblockbynum", at=at, num=20)["blockID"] for at in (liar, honest)
    ]
    assert solid[0] != solid[1]
    assert armed["lasts"]
    net.mine(10)
    assert net.balance_sun(STRANGER.address, at=liar) == 0


def test_only_one_view_of_a_node_lasts(net: Net) -> None:
    net.arm("node_lags", node=1, blocks_behind=5)
    net.arm("node_stuck", node=1)

    assert net.armed() == ["node_stuck"]
    net.delete("scenarios")
    net.mine(1)
    assert net.height(at=1) == 21


def test_h21_one_node_shows_calls_within_calls(net: Net) -> None:
    txid = net.tell("payer/pay", to=text(STRANGER), amount="3")["txid"]
    net.mine()
    net.arm("internal_calls_shown", node=1)
    shown = [
        "internal_transactions" in net.ask("/wallet/gettransactioninfobyid", at=at, value=txid)
        for at in (0, 1)
    ]

    assert shown == [False, True]


def test_h21_an_address_is_paid_in_several_ways_at_once(net: Net) -> None:
    net.arm("many_sources", recipient=text(STRANGER), amount="2")
    net.mine()

    assert net.usdt_micro(STRANGER.address) == 4_000_000
    assert net.balance_sun(STRANGER.address) == 2_000_000


@pytest.mark.parametrize(
    ("name", "order", "result"),
    [
        ("usdt_paused", {}, "REVERT"),
        ("usdt_black_list", {"address": "customer-1"}, "REVERT"),
    ],
)
def test_h10_transfers_of_usdt_revert_while_it_lasts(
    net: Net, name: str, order: dict[str, Any], result: str
) -> None:
    net.arm(name, blocks=2, **order)
    net.mine()
    failing = net.usdt(5)
    net.broadcast(failing)
    net.mine()
    assert result_of(net, failing) == result

    net.mine()
    paying = net.usdt(6)
    net.paid(paying)
    assert result_of(net, paying) == "SUCCESS"


def test_h10_less_usdt_arrives_than_was_sent(net: Net) -> None:
    net.arm("usdt_fee", rate=10, blocks=3)
    net.mine()
    net.paid(net.usdt(1_000_000))
    assert net.usdt_micro(PAYEE.address) == 10_000_999_000

    net.mine(2)
    net.paid(net.usdt(1_000_000))
    assert net.usdt_micro(PAYEE.address) == 10_001_999_000


def test_h10_usdt_hands_its_calls_to_another_contract(net: Net) -> None:
    net.arm("usdt_deprecated")
    net.mine()
    payment = net.usdt(5)
    height = net.paid(payment)
    log = next(each for each in net.receipts(height) if each["id"] == txid_of(payment).hex())["log"]

    assert USDT_CONTRACT_ADDRESS[1:].hex() not in [each["address"] for each in log]


def test_h10_black_funds_vanish_without_a_transfer_log(net: Net) -> None:
    net.arm("usdt_black_funds", address="customer-2")
    height = net.mine()["head"]["number"]

    assert net.usdt_micro(PAYEE.address) == 0
    topics = {log["topics"][0] for each in net.receipts(height) for log in each.get("log", [])}
    from_transfer = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    assert from_transfer not in topics


def test_h10_a_call_breaks_off_as_often_as_it_was_told(net: Net) -> None:
    net.arm("usdt_calls_fail", result="OUT_OF_TIME", times=1)
    net.mine()
    payments = [net.usdt(5), net.usdt(6)]
    net.paid(*payments)

    assert [result_of(net, each) for each in payments] == ["OUT_OF_TIME", "SUCCESS"]


def parameter(net: Net, name: str) -> int:
    entries = net.ask("/wallet/getchainparameters")["chainParameter"]
    return int(next(each["value"] for each in entries if each["key"] == name))


def test_h20_energy_is_dearer_for_some_blocks(net: Net) -> None:
    net.arm("energy_price", price_sun=420, blocks=2)
    net.mine()
    assert parameter(net, "getEnergyFee") == 420
    net.mine(2)

    assert parameter(net, "getEnergyFee") == 100


def test_h15_a_call_uses_more_energy_than_when_it_was_estimated(net: Net) -> None:
    def used(payment: Any) -> int:
        height = net.paid(payment)
        infos = net.receipts(height)
        info = next(each for each in infos if each["id"] == txid_of(payment).hex())
        return int(info["receipt"]["energy_usage_total"])

    before = used(net.usdt(5))
    net.arm("usdt_energy_factor", factor=50_000, blocks=3)
    net.mine()
    assert used(net.usdt(6)) > before
    net.mine(2)
    assert used(net.usdt(7)) == before


@pytest.mark.parametrize("currency", ["USDT", "TRX"])
def test_h20_an_address_is_paid_many_tiny_amounts(net: Net, currency: str) -> None:
    net.arm("dust", recipient=text(STRANGER), payments=25, currency=currency)
    net.mine()
    kept = net.usdt_micro if currency == "USDT" else net.balance_sun

    assert kept(STRANGER.address) == 25
    assert PAYER.address != STRANGER.address

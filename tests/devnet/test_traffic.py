"""Blocks full of signed transactions, and what a client makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from devnet.blocks import transaction_root, txid_of
from devnet.json_format import parsed_transaction
from devnet.keys import recover
from tests.devnet.scenario_net import Net, fresh_net, open_net

__all__ = ["fresh_net"]


def mix(net: Net, number: int) -> list[Any]:
    """What the transactions of a block say, without reference blocks, times and signatures."""
    return [
        each["raw_data"]["contract"][0]["parameter"]["value"]
        for each in net.block(number)["transactions"]
    ]


def test_blocks_are_filled_as_long_as_they_were_told(net: Net) -> None:
    net.tell("traffic", per_block=50, blocks=12, seed=1)
    net.mine(14)
    counts = [len(net.block(number).get("transactions", [])) for number in range(20, 35)]
    status = net.get("traffic")

    assert counts == [0, *[50] * 12, 0, 0]
    assert (status["running"], status["blocks"], status["transactions"]) == (False, 12, 600)
    assert status["blocks_per_s"] > 0


def test_every_transaction_is_signed_by_its_owner_and_under_the_block_s_root(net: Net) -> None:
    net.tell("traffic", per_block=60, blocks=11, seed=1)
    net.mine(11)
    block = net.block(31)
    transactions = [parsed_transaction(each) for each in block["transactions"]]
    owners = [value["owner_address"] for value in mix(net, 31)]

    signers = [recover(txid_of(each), each.signature[0]).hex() for each in transactions]
    assert signers == owners
    root = block["block_header"]["raw_data"]["txTrieRoot"]
    assert transaction_root(transactions).hex() == root
    assert [each["id"] for each in net.receipts(31)] == [
        each["txID"] for each in block["transactions"]
    ]


def test_there_are_all_kinds_of_transactions_and_failures(net: Net) -> None:
    net.tell("traffic", per_block=300, blocks=6, seed=1)
    net.mine(6)
    receipts = net.receipts(26)
    types = {each["raw_data"]["contract"][0]["type"] for each in net.block(26)["transactions"]}

    assert types == {"TransferContract", "TriggerSmartContract", "FreezeBalanceV2Contract"}
    results = {each["receipt"].get("result") for each in receipts}
    assert results == {None, "SUCCESS", "REVERT", "OUT_OF_ENERGY"}
    tokens = {log["address"] for each in receipts for log in each.get("log", [])}
    assert len(tokens) >= 3


def test_the_same_seed_gives_the_same_payments_and_another_seed_others() -> None:
    def paid(seed: int) -> list[Any]:
        with open_net(followers=0) as net:
            net.tell("traffic", per_block=100, blocks=6, seed=seed)
            net.mine(6)
            return mix(net, 26)

    first = paid(1)
    assert first == paid(1)
    assert first != paid(2)


def test_payments_of_clients_are_in_the_same_blocks(net: Net) -> None:
    net.tell("traffic", per_block=40, seed=1)
    payment = net.transfer(1)
    height = net.paid(payment)

    assert len(net.block(height)["transactions"]) == 41
    assert net.is_included(payment)
    assert net.delete("traffic")["running"] is False
    net.mine()
    assert "transactions" not in net.block(height + 1)


@pytest.mark.parametrize("fate", ["wait", "reinclude"])
def test_traffic_survives_a_reorganisation(net: Net, fate: str) -> None:
    net.tell("traffic", per_block=40, seed=1)
    net.mine(14)
    net.arm("reorganise", depth=2, fate=fate)
    net.mine(3)

    assert all(len(mix(net, number)) >= 40 for number in (36, 37, 38))


def test_a_second_load_on_the_same_chain_needs_no_funding(net: Net) -> None:
    for seed in (1, 2):
        net.tell("traffic", per_block=100, blocks=7, seed=seed)
        net.mine(7)

    faucet = net.running.devnet.node.main.record(28).block.transactions
    assert len(faucet) == 100
    owners = {value["owner_address"] for value in mix(net, 28)}
    assert len(owners) > 30

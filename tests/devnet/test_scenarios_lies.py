"""Scenarios in which a node tells something that is not so, over real connections."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from devnet.address import to_base58
from devnet.blocks import block_id_of, transaction_root, txid_of
from devnet.chain_pb2 import BlockHeader, Transaction
from devnet.contracts.abi import address_word, integer_word
from devnet.contracts.usdt import TRANSFER_TOPIC, USDT_CONTRACT_ADDRESS
from devnet.genesis import CUSTOMERS, GENESIS_BLOCK_ID
from devnet.json_format import parsed, parsed_transaction
from devnet.keys import recover
from tests.devnet.scenario_net import PAYEE, PAYER, STRANGER, Net, fresh_net, text

__all__ = ["fresh_net"]

BLOCK = "/wallet/getblockbynum"
RECEIPTS = "/wallet/gettransactioninfobyblocknum"


def header_of(block: Any) -> BlockHeader:
    return parsed(BlockHeader, block["block_header"], visible=False)


def signer_of(block: Any) -> bytes:
    header = header_of(block)
    digest = sha256(header.raw_data.SerializeToString(deterministic=True)).digest()
    return recover(digest, header.witness_signature)


def is_sealed(block: Any) -> bool:
    """True if the named witness signed the header, and the id is the header's."""
    header = header_of(block)
    own_id = block_id_of(header).hex() == block["blockID"]
    return own_id and signer_of(block) == header.raw_data.witness_address


def has_own_root(block: Any) -> bool:
    transactions = [parsed_transaction(each) for each in block.get("transactions", [])]
    return header_of(block).raw_data.txTrieRoot == transaction_root(transactions)


def busy_block(net: Net) -> int:
    """A block with a transfer of TRX, one of USDT, and a call that fails."""
    return net.paid(net.transfer(1_000_000), net.usdt(5), net.usdt(10**15))


def test_a_true_block_is_sealed_and_has_its_own_root(net: Net) -> None:
    block = net.block(busy_block(net))

    assert is_sealed(block)
    assert has_own_root(block)


@pytest.mark.parametrize(
    ("path", "form", "answer"),
    [(BLOCK, "same", {}), (RECEIPTS, "same", []), (RECEIPTS, "object", {}), (BLOCK, "list", [])],
)
def test_h1_something_that_is_there_is_shown_as_nothing(
    net: Net, path: str, form: str, answer: Any
) -> None:
    height = busy_block(net)
    net.arm("empty_answer", path=path, form=form, count=2)
    replies = [net.ask(path, num=height) for _ in range(3)]

    assert replies[:2] == [answer, answer]
    assert replies[2]
    assert net.armed() == []


def test_an_answer_that_is_empty_anyway_does_not_use_a_scenario_up(net: Net) -> None:
    net.arm("empty_answer", path=RECEIPTS)

    assert net.receipts(3) == []
    assert net.armed() == ["empty_answer"]


def test_h8_a_block_is_shown_without_its_transactions(net: Net) -> None:
    height = busy_block(net)
    net.arm("block_without_transactions", node=0)
    bare, whole = net.block(height), net.block(height)

    assert "transactions" not in bare
    assert bare["blockID"] == whole["blockID"]
    assert not has_own_root(bare)
    assert len(whole["transactions"]) == 3


def test_h1_one_node_hides_a_transaction_everywhere_and_another_does_not(net: Net) -> None:
    payment = net.transfer(1)
    height = net.paid(payment, net.usdt(5))
    value = txid_of(payment).hex()
    net.arm("hidden_transaction", hidden=value, node=0, count=0)

    for at, seen in ((0, False), (1, True)):
        block = net.block(height, at=at)
        assert (value in [each["txID"] for each in block["transactions"]]) is seen
        assert (value in [each["id"] for each in net.receipts(height, at=at)]) is seen
        assert bool(net.ask("/wallet/gettransactionbyid", at=at, value=value)) is seen
        assert net.is_included(payment, at=at) is seen
        assert has_own_root(block) is seen


def test_h9_a_hidden_transaction_can_be_hidden_under_a_forged_header(net: Net) -> None:
    payment = net.transfer(1)
    height = net.paid(payment)
    net.arm("hidden_transaction", hidden=txid_of(payment).hex(), rerooted=True)
    block = net.block(height)

    assert has_own_root(block)
    assert not is_sealed(block)


@pytest.mark.parametrize(
    ("order", "own_root", "sealed"),
    [
        ({}, False, True),
        ({"rerooted": True}, True, False),
        ({"rerooted": True, "seal": "forger"}, True, False),
        ({"rerooted": True, "seal": "witness"}, True, True),
    ],
)
def test_h9_a_block_shows_a_payment_that_never_happened(
    net: Net,
    order: dict[str, Any],
    own_root: bool,  # noqa: FBT001 (a case)
    sealed: bool,  # noqa: FBT001 (a case)
) -> None:
    height = busy_block(net)
    net.arm("invented_transfer", recipient=text(STRANGER), amount="7", **order)
    lie, truth = net.block(height), net.block(height)
    payment = lie["transactions"][-1]
    value = payment["raw_data"]["contract"][0]["parameter"]["value"]

    assert len(lie["transactions"]) == len(truth["transactions"]) + 1
    assert (value["to_address"], value["amount"]) == (STRANGER.address.hex(), 7_000_000)
    assert (has_own_root(lie), is_sealed(lie)) == (own_root, sealed)
    assert net.balance_sun(STRANGER.address) == 0


def test_h9_a_block_shows_a_transfer_to_somebody_else(net: Net) -> None:
    height = busy_block(net)
    net.arm("false_transaction", recipient=text(STRANGER), amount="9")
    lie = net.block(height)
    value = lie["transactions"][0]["raw_data"]["contract"][0]["parameter"]["value"]

    assert (value["to_address"], value["amount"]) == (STRANGER.address.hex(), 9_000_000)
    assert not has_own_root(lie)
    assert has_own_root(net.block(height))


@pytest.mark.parametrize("by", ["forger", "noise", "nobody"])
def test_h9_a_block_is_signed_by_no_witness(net: Net, by: str) -> None:
    net.arm("false_seal", by=by)
    lie, truth = net.block(10), net.block(10)

    assert lie["blockID"] == truth["blockID"]
    assert lie["block_header"]["raw_data"] == truth["block_header"]["raw_data"]
    if by == "nobody":
        assert not lie["block_header"]["witness_signature"]
    elif by == "forger":
        assert not is_sealed(lie)
    else:
        assert (
            lie["block_header"]["witness_signature"] != truth["block_header"]["witness_signature"]
        )


def test_h8_a_block_names_another_parent(net: Net) -> None:
    net.arm("false_parent", seal="witness")
    lie = net.block(10)

    assert is_sealed(lie)
    assert lie["block_header"]["raw_data"]["parentHash"] != net.block(9)["blockID"]
    assert net.block(10)["block_header"]["raw_data"]["parentHash"] == net.block(9)["blockID"]


@pytest.mark.parametrize("seconds", [72_000, -72_000])
@pytest.mark.parametrize("seal", ["kept", "witness"])
def test_h2_the_head_is_said_to_be_hours_ahead_or_behind(net: Net, seconds: int, seal: str) -> None:
    net.arm("false_time", seconds=seconds, seal=seal, path="/wallet/getnowblock")
    lie, truth = net.ask("/wallet/getnowblock"), net.ask("/wallet/getnowblock")
    times = [each["block_header"]["raw_data"]["timestamp"] for each in (lie, truth)]

    assert times[0] - times[1] == seconds * 1_000
    assert is_sealed(lie) is (seal == "witness")
    assert (lie["blockID"] == truth["blockID"]) is (seal == "kept")


@pytest.mark.parametrize("network", ["mainnet", "shasta", "nile"])
def test_h17_the_first_block_is_another_network_s(net: Net, network: str) -> None:
    net.arm("foreign_genesis", network=network, node=0)

    assert net.block(0)["blockID"] != GENESIS_BLOCK_ID
    assert net.block(0)["blockID"] == GENESIS_BLOCK_ID


def test_h8_receipts_are_missing(net: Net) -> None:
    height = busy_block(net)
    net.arm("receipts_missing", missing=2, first=2)
    lie, truth = net.receipts(height), net.receipts(height)

    assert lie == [truth[1]]
    assert len(truth) == 3


def test_h8_receipts_come_in_another_order(net: Net) -> None:
    height = busy_block(net)
    net.arm("receipts_reordered")
    lie, truth = net.receipts(height), net.receipts(height)

    assert lie == [truth[1], truth[2], truth[0]]


@pytest.mark.parametrize("relabelled", [False, True])
def test_h8_receipts_are_another_block_s(net: Net, relabelled: bool) -> None:  # noqa: FBT001 (a case)
    first, second = busy_block(net), busy_block(net)
    net.arm("receipts_of_another_block", offset=1, relabelled=relabelled)
    lie = net.receipts(second)

    assert [each["id"] for each in lie] == [each["id"] for each in net.receipts(first)]
    assert {each["blockNumber"] for each in lie} == {second if relabelled else first}
    assert net.receipts(second) != lie


def test_h10_a_log_that_never_was_is_added_to_a_real_call(net: Net) -> None:
    height = busy_block(net)
    net.arm("invented_receipt", recipient=text(STRANGER), amount="1000", count=1)
    lie, truth = net.receipts(height), net.receipts(height)
    log = {
        "address": USDT_CONTRACT_ADDRESS[1:].hex(),
        "topics": [
            TRANSFER_TOPIC.hex(),
            address_word(PAYER.address).hex(),
            address_word(STRANGER.address).hex(),
        ],
        "data": integer_word(1_000_000_000).hex(),
    }

    assert [each["id"] for each in lie] == [each["id"] for each in truth]
    assert lie[1]["log"] == [*truth[1]["log"], log]
    assert net.usdt_micro(STRANGER.address) == 0


def test_h8_a_receipt_is_invented_that_no_block_has_a_transaction_for(net: Net) -> None:
    height = busy_block(net)
    net.arm("invented_receipt", recipient=text(STRANGER), amount="1000", consistent=False)
    lie = net.receipts(height)
    bodies = {each["txID"] for each in net.block(height)["transactions"]}

    assert len(lie) == 4
    assert lie[3]["id"] not in bodies
    assert lie[3]["receipt"]["result"] == "SUCCESS"
    assert len(net.receipts(height)) == 3


def test_h10_a_failed_call_is_reported_as_a_success_and_the_other_way_round(net: Net) -> None:
    height = busy_block(net)
    net.arm("false_result")
    lie, truth = net.receipts(height), net.receipts(height)

    assert [each["receipt"].get("result") for each in truth] == [None, "SUCCESS", "REVERT"]
    assert [each["receipt"].get("result") for each in lie] == [None, "REVERT", "SUCCESS"]
    assert "result" not in lie[2]


def test_h15_balances_are_overstated_for_one_account(net: Net) -> None:
    net.arm("false_balance", percent=200, of=text(PAYER), count=2)

    assert net.balance_sun(PAYEE.address) == 10_000_000_000
    assert net.balance_sun(PAYER.address) == 20_000_000_000
    assert net.usdt_micro(PAYEE.address) == 10_000_000_000
    assert net.usdt_micro(PAYER.address) == 20_000_000_000
    assert net.balance_sun(PAYER.address) == 10_000_000_000


def test_h15_balances_of_one_currency_are_understated(net: Net) -> None:
    net.arm("false_balance", percent=50, currency="USDT")

    assert net.balance_sun(PAYER.address) == 10_000_000_000
    assert net.usdt_micro(PAYER.address) == 5_000_000_000
    assert net.armed() == []


def test_h16_limits_of_energy_and_bandwidth_are_overstated(net: Net) -> None:
    net.arm("false_resources", percent=300)
    asked: dict[str, Any] = {"address": PAYER.address.hex()}

    assert net.ask("/wallet/getaccountresource", **asked)["freeNetLimit"] == 1_800
    assert net.ask("/wallet/getaccountresource", **asked)["freeNetLimit"] == 600


def test_h20_energy_estimates_are_too_small(net: Net) -> None:
    def estimate() -> int:
        reply = net.ask(
            "/wallet/triggerconstantcontract",
            owner_address=PAYER.address.hex(),
            contract_address=USDT_CONTRACT_ADDRESS.hex(),
            function_selector="transfer(address,uint256)",
            parameter=(address_word(PAYEE.address) + integer_word(1)).hex(),
        )
        return int(reply["energy_used"])

    true = estimate()
    net.arm("understated_energy", percent=50)
    assert [estimate(), estimate()] == [true // 2, true]


def test_h20_a_chain_parameter_is_shown_with_another_value(net: Net) -> None:
    def price() -> int:
        entries = net.ask("/wallet/getchainparameters")["chainParameter"]
        return int(next(each["value"] for each in entries if each["key"] == "getEnergyFee"))

    net.arm("false_parameter", value=10)
    assert [price(), price()] == [10, 100]


@pytest.mark.parametrize("where", ["everywhere", "bytes", "shown"])
@pytest.mark.parametrize("visible", [False, True])
def test_h9_a_builder_pays_somebody_else_another_amount(
    net: Net,
    where: str,
    visible: bool,  # noqa: FBT001 (a case)
) -> None:
    thief = CUSTOMERS[8].key.address
    show = to_base58 if visible else bytes.hex
    asked: dict[str, Any] = {
        "owner_address": show(PAYER.address),
        "to_address": show(PAYEE.address),
        "amount": 5,
        "visible": visible,
    }
    net.arm("lying_builder", recipient=to_base58(thief), amount=77, where=where)
    built = net.ask("/wallet/createtransaction", **asked)
    value = built["raw_data"]["contract"][0]["parameter"]["value"]
    raw = bytes.fromhex(built["raw_data_hex"])

    lies = (show(thief), 77)
    truth = (show(PAYEE.address), 5)
    assert (value["to_address"], value["amount"]) == (truth if where == "bytes" else lies)
    assert (thief in raw) is (where != "shown")
    assert sha256(raw).hexdigest() == built["txID"]
    again = net.ask("/wallet/createtransaction", **asked)
    assert again["raw_data"]["contract"][0]["parameter"]["value"]["amount"] == 5


def test_h9_a_builder_of_token_transfers_lies_in_the_call_data(net: Net) -> None:
    net.arm("lying_builder", recipient=text(STRANGER), path="/wallet/triggersmartcontract")
    built = net.ask(
        "/wallet/triggersmartcontract",
        owner_address=PAYER.address.hex(),
        contract_address=USDT_CONTRACT_ADDRESS.hex(),
        function_selector="transfer(address,uint256)",
        parameter=(address_word(PAYEE.address) + integer_word(9)).hex(),
        fee_limit=100_000_000,
    )["transaction"]
    data = built["raw_data"]["contract"][0]["parameter"]["value"]["data"]

    assert data.endswith((address_word(STRANGER.address) + integer_word(9)).hex())
    raw = Transaction.raw.FromString(bytes.fromhex(built["raw_data_hex"]))
    assert raw.fee_limit == 100_000_000

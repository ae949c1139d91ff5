"""tronpy, unmodified, against a devnet that listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tronpy import Tron
from tronpy.exceptions import (
    AddressNotFound,
    ApiError,
    BadKey,
    BadSignature,
    BlockNotFound,
    TaposError,
    TransactionError,
    TransactionNotFound,
    TvmError,
    UnknownError,
    ValidationError,
)
from tronpy.keys import PrivateKey
from tronpy.providers import HTTPProvider

from devnet.address import to_base58
from devnet.background import in_background
from devnet.contracts.usdt import USDT_CONTRACT
from devnet.genesis import CUSTOMERS, GENESIS_BLOCK_ID, WITNESSES
from devnet.keys import Key
from devnet.settings import Settings

pytestmark = pytest.mark.clients

TRX = 1_000_000
DAY_S = 86_400
BLOCKS_BEFORE = 30
SOLID_AFTER = 19
FEE_LIMIT_SUN = 30_000_000
OPERATIONS = "7fff1fc0033efb0f" + "00" * 24

OWNER, KNOWN = CUSTOMERS[0].key, CUSTOMERS[1].key
RECIPIENT, STRANGER = Key(name="recipient"), Key(name="stranger")
owner, known, recipient, stranger = (
    to_base58(key.address) for key in (OWNER, KNOWN, RECIPIENT, STRANGER)
)
witness = to_base58(WITNESSES[0].address)


class Bench:
    """tronpy at a devnet that is mined by hand."""

    def __init__(self, node_url: str, control_url: str) -> None:
        self.tron = Tron(HTTPProvider(node_url), conf={"fee_limit": FEE_LIMIT_SUN})
        self.usdt = self.tron.get_contract(USDT_CONTRACT)
        self._node_url = node_url
        self._control_url = control_url

    def order(self, path: str, **body: Any) -> None:
        httpx.post(f"{self._control_url}/devnet/{path}", json=body).raise_for_status()

    def mine(self, blocks: int = 1) -> None:
        self.order("mine", blocks=blocks)

    def sent(self, builder: Any, *keys: Key) -> Any:
        """Build online, sign and broadcast."""
        transaction = builder.build()
        for key in keys or (OWNER,):
            transaction.sign(PrivateKey(key.secret))
        return transaction.broadcast()

    def confirmed(self, builder: Any, *keys: Key) -> dict[str, Any]:
        """The receipt, from the next block."""
        sent = self.sent(builder, *keys)
        self.mine()
        receipt: dict[str, Any] = sent.wait(interval=0.01)
        return receipt

    def called(self, call: Any, *, by: Key = OWNER) -> dict[str, Any]:
        """The receipt of a contract call."""
        return self.confirmed(call.with_owner(to_base58(by.address)), by)

    def carried_out_by_node(self, path: str, **body: Any) -> None:
        """The owner's transaction from the node's builder, whose expiration follows the chain."""
        body |= {"owner_address": OWNER.address.hex()}
        built = httpx.post(f"{self._node_url}/wallet/{path}", json=body).json()
        built["signature"] = [OWNER.sign(bytes.fromhex(built["txID"])).hex()]
        reply = httpx.post(f"{self._node_url}/wallet/broadcasttransaction", json=built).json()
        assert reply["result"] is True
        self.mine()


@contextmanager
def started(*, behind_s: int) -> Iterator[Bench]:
    settings = Settings(port=0, control_port=0, speed=0, behind_s=behind_s)
    with in_background(settings) as running:
        bench = Bench(running.node_url, running.control_url)
        bench.mine(BLOCKS_BEFORE)
        yield bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    # Blocks mined by hand must not run ahead of expirations, which tronpy takes from the wall clock.
    with started(behind_s=300) as bench:
        yield bench


def test_it_reads_blocks_accounts_and_parameters(bench: Bench) -> None:
    tron = bench.tron

    assert tron.get_latest_block_number() == BLOCKS_BEFORE
    assert tron.get_latest_solid_block_number() == BLOCKS_BEFORE - 18
    assert tron.get_latest_solid_block()["blockID"] == tron.get_latest_solid_block_id()
    assert tron.get_block(0)["blockID"] == GENESIS_BLOCK_ID
    head_id = tron.get_block()["blockID"]
    assert head_id == tron.get_latest_block_id()
    assert tron.get_block(head_id) == tron.get_block(BLOCKS_BEFORE)
    assert tron.get_account_balance(owner) == Decimal(10_000)
    assert tron.get_account_resource(owner)["freeNetLimit"] == 600
    assert tron.get_bandwidth(owner) == 600
    assert tron.get_account_permission(owner)["actives"][0]["operations"] == OPERATIONS
    parameters = {each["key"]: each.get("value", 0) for each in tron.get_chain_parameters()}
    assert parameters["getEnergyFee"] == 100
    assert len(tron.list_witnesses()) == 27
    assert tron.get_node_info()["configNodeInfo"]["codeVersion"] == "4.8.2"


def test_what_is_not_there_is_not_found(bench: Bench) -> None:
    with pytest.raises(BlockNotFound):
        bench.tron.get_block(10_000)
    with pytest.raises(TransactionNotFound):
        bench.tron.get_transaction("00" * 32)
    with pytest.raises(TransactionNotFound):
        bench.tron.get_transaction_info("00" * 32)
    with pytest.raises(AddressNotFound):
        bench.tron.get_account(stranger)


def test_trx_is_built_online_signed_sent_and_waited_for(bench: Bench) -> None:
    sent = bench.sent(bench.tron.trx.transfer(owner, recipient, 2 * TRX))

    assert bench.tron.get_transaction(sent.txid)["txID"] == sent.txid
    with pytest.raises(TransactionNotFound):
        bench.tron.get_transaction_info(sent.txid)
    bench.mine(1 + SOLID_AFTER)
    receipt = sent.wait(interval=0.01, solid=True)
    assert (receipt["fee"], receipt["receipt"]) == (1_100_000, {"net_fee": 100_000})
    assert bench.tron.get_account_balance(recipient) == 2
    assert bench.tron.get_account_balance(owner) == Decimal(10_000) - 2 - Decimal("1.1")


def test_a_transaction_built_offline_has_the_id_that_the_node_gives_it(bench: Bench) -> None:
    reference = bench.tron.get_latest_solid_block_id()
    builder = bench.tron.trx.transfer(owner, known, 7)

    offline = builder.build(offline=True, ref_block_id=reference)
    online = builder.build()

    assert offline.txid == online.txid


def test_a_memo_costs_its_fee(bench: Bench) -> None:
    receipt = bench.confirmed(bench.tron.trx.transfer(owner, known, 1).memo("né"))

    assert (receipt["fee"], receipt["receipt"]) == (1 * TRX, {"net_usage": 270})


def test_transfers_are_from_265_bytes_and_usdt_costs_its_known_fees(bench: Bench) -> None:
    sizes = [
        bench.confirmed(bench.tron.trx.transfer(owner, known, amount))["receipt"]["net_usage"]
        for amount in (1, 200)
    ]
    transfer = bench.usdt.functions.transfer

    first = bench.called(transfer(recipient, 1_500_000))
    second = bench.called(transfer(recipient, 2_500_000))

    assert sizes == [265, 266]
    assert (first["fee"], first["receipt"]["net_fee"]) == (13_373_500, 345_000)
    assert (second["fee"], second["receipt"]["net_fee"]) == (6_773_500, 345_000)
    assert first["receipt"]["energy_usage_total"] == 130_285
    assert second["receipt"]["energy_usage_total"] == 64_285
    assert bench.usdt.functions.balanceOf(recipient) == 4_000_000


def test_a_contract_is_known_by_the_abi_that_the_node_has(bench: Bench) -> None:
    functions = bench.usdt.functions

    assert (functions.name(), functions.symbol(), functions.decimals()) == ("Tether USD", "USDT", 6)
    assert functions.balanceOf(owner) == 10_000 * 10**6
    bench.called(functions.approve(known, 7_000_000))
    assert functions.allowance(owner, known) == 7_000_000
    receipt = bench.called(functions.transferFrom(owner, recipient, 7_000_000), by=KNOWN)
    assert receipt["receipt"]["result"] == "SUCCESS"
    assert functions.allowance(owner, known) == 0
    assert functions.balanceOf(recipient) == 7_000_000


def test_a_transfer_of_usdt_says_false_and_an_approval_true(bench: Bench) -> None:
    functions = bench.usdt.functions
    paid = bench.sent(functions.transfer(known, 1).with_owner(owner))
    approved = bench.sent(functions.approve(known, 1).with_owner(owner))
    bench.mine()

    assert paid.result(interval=0.01) is False
    assert approved.result(interval=0.01) is True


def test_a_reverted_call_raises_what_the_node_says(bench: Bench) -> None:
    functions = bench.usdt.functions
    uncovered = functions.transferFrom(known, recipient, 1)
    sent = bench.sent(uncovered.with_owner(owner))
    bench.mine()

    with pytest.raises(TvmError, match="REVERT opcode executed"):
        sent.result(interval=0.01)
    words = KNOWN.address[1:].hex().zfill(64) * 2 + f"{1:064x}"
    selector = "transferFrom(address,address,uint256)"
    with pytest.raises(TvmError, match="REVERT opcode executed"):
        bench.tron.trigger_constant_contract(owner, USDT_CONTRACT, selector, words)


def test_the_estimate_that_mainnet_nodes_refuse_is_refused(bench: Bench) -> None:
    with pytest.raises(ValidationError, match="this node does not support estimate energy"):
        bench.tron.get_estimated_energy(owner, USDT_CONTRACT, "pause()", "")


def test_it_stakes_lends_and_votes(bench: Bench) -> None:
    tron, trx = bench.tron, bench.tron.trx

    bench.confirmed(trx.freeze_balance(owner, 3_000 * TRX, "ENERGY"))
    bench.confirmed(trx.freeze_balance(owner, 500 * TRX, "BANDWIDTH"))
    assert tron.get_can_delegated_max_size(owner, "ENERGY") == {"max_size": 3_000 * TRX}
    bench.confirmed(trx.delegate_resource(owner, known, 1_000 * TRX, "ENERGY"))
    lock = trx.delegate_resource(owner, known, 100 * TRX, "BANDWIDTH", lock=True, lock_period=1_200)
    bench.confirmed(lock)
    free, locked = tron.get_delegated_resource_v2(owner, known)["delegatedResource"]
    assert free == {"from": owner, "to": known, "frozen_balance_for_energy": 1_000 * TRX}
    assert locked["frozen_balance_for_bandwidth"] == 100 * TRX
    index = tron.get_delegated_resource_account_index_v2(owner)
    assert index == {"account": owner, "toAccounts": [known]}
    assert tron.get_account_resource(known)["EnergyLimit"] == 9_424
    bench.confirmed(trx.undelegate_resource(owner, known, 400 * TRX, "ENERGY"))
    bench.confirmed(trx.vote_witness(owner, (witness, 1_500)))
    bench.confirmed(trx.unfreeze_balance(owner, "ENERGY", unfreeze_balance=2_300 * TRX))

    account = tron.get_account(owner)
    # Votes follow what is still staked.
    assert account["votes"] == [{"vote_address": witness, "vote_count": 1_200}]
    assert account["account_resource"]["delegated_frozenV2_balance_for_energy"] == 600 * TRX
    assert account["unfrozenV2"][0]["unfreeze_amount"] == 2_300 * TRX
    with pytest.raises(ValidationError, match="no unFreeze balance to withdraw"):
        bench.sent(trx.withdraw_stake_balance(owner))
    with pytest.raises(ValidationError, match="insufficient delegatedFrozenBalance"):
        bench.sent(trx.undelegate_resource(owner, known, 100 * TRX, "BANDWIDTH"))


def test_it_withdraws_what_was_unstaked_and_what_votes_have_earned() -> None:
    with started(behind_s=15 * DAY_S) as bench:
        stake = {"frozen_balance": 2_000 * TRX, "resource": "ENERGY"}
        bench.carried_out_by_node("freezebalancev2", **stake)
        vote = {"vote_address": WITNESSES[0].address.hex(), "vote_count": 1_000}
        bench.carried_out_by_node("votewitnessaccount", votes=[vote])
        back = {"unfreeze_balance": 500 * TRX, "resource": "ENERGY"}
        bench.carried_out_by_node("unfreezebalancev2", **back)
        bench.order("jump", seconds=DAY_S // 4)
        bench.mine(30)
        bench.order("jump", seconds=14 * DAY_S)
        bench.mine(2)

        withdrawn = bench.confirmed(bench.tron.trx.withdraw_stake_balance(owner))
        claimed = bench.confirmed(bench.tron.trx.withdraw_rewards(owner))

        assert withdrawn["withdraw_expire_amount"] == 500 * TRX
        assert claimed["withdraw_amount"] > 0
        with pytest.raises(ValidationError, match="less than 24 hours"):
            bench.sent(bench.tron.trx.withdraw_rewards(owner))


def test_two_keys_sign_together(bench: Bench) -> None:
    tron, trx = bench.tron, bench.tron.trx
    permissions = tron.get_account_permission(owner)
    permissions["actives"][0] |= {
        "threshold": 2,
        "keys": [{"address": address, "weight": 1} for address in (owner, known)],
    }
    update = bench.confirmed(trx.account_permission_update(owner, permissions))

    with pytest.raises(BadSignature, match="sig error"):
        bench.sent(trx.transfer(owner, recipient, 5 * TRX).permission_id(2), OWNER)
    with pytest.raises(BadKey):
        bench.sent(trx.transfer(owner, recipient, 5 * TRX).permission_id(2), STRANGER)
    paid = bench.confirmed(trx.transfer(owner, recipient, 5 * TRX).permission_id(2), OWNER, KNOWN)

    assert update["fee"] == 100 * TRX
    assert paid["fee"] == 1 * TRX + 100_000 + 1 * TRX
    assert tron.get_account_permission(owner)["actives"][0]["threshold"] == 2
    assert tron.get_account_balance(recipient) == 5


def test_a_foreign_or_broken_signature_is_bad(bench: Bench) -> None:
    built = bench.tron.trx.transfer(owner, recipient, 1).build()
    foreign = PrivateKey(STRANGER.secret).sign_msg_hash(bytes.fromhex(built.txid)).hex()

    for signature, words in (
        (foreign, "not contained of permission"),
        ("ab" * 64, "Signature size is 64"),
        ("ab" * 69, "Signature size is 69"),
        ("00" * 65, "Could not recover public key"),
    ):
        with pytest.raises(BadSignature, match=words):
            built.set_signature([signature]).broadcast()
    with pytest.raises(BadSignature, match="more than key counts"):
        built.set_signature([foreign, foreign]).broadcast()


def test_a_transaction_changed_after_it_was_signed_is_not_the_owners(bench: Bench) -> None:
    built = bench.tron.trx.transfer(owner, recipient, 1).build().sign(PrivateKey(OWNER.secret))
    document = built.to_json()
    document["raw_data"]["contract"][0]["parameter"]["value"]["amount"] = 2

    with pytest.raises(BadSignature, match="not contained of permission"):
        type(built).from_json(document, client=bench.tron).broadcast()


def test_a_reference_to_another_chain_is_a_tapos_error(bench: Bench) -> None:
    built = bench.tron.trx.transfer(owner, recipient, 1).build()
    document = built.to_json()
    document["raw_data"]["ref_block_hash"] = "ab" * 8
    resigned = bench.tron.get_sign_weight(built)["transaction"]["transaction"]["txID"]
    signature = OWNER.sign(bytes.fromhex(resigned)).hex()

    with pytest.raises(TaposError, match="Tapos check error"):
        built.set_signature([signature]).broadcast()


def test_an_expiration_that_is_no_good_is_a_transaction_error(bench: Bench) -> None:
    far = bench.tron.trx.transfer(owner, recipient, 1).expiration(2 * DAY_S * 1_000)
    past = bench.tron.trx.transfer(owner, recipient, 1).expiration(-DAY_S * 1_000).build()

    with pytest.raises(TransactionError, match="Transaction expired"):
        bench.sent(far)
    past.set_signature([OWNER.sign(bytes.fromhex(past.txid)).hex()])
    with pytest.raises(TransactionError, match="Transaction expired"):
        past.broadcast()


def test_a_fat_transaction_is_too_big(bench: Bench) -> None:
    with pytest.raises(TransactionError, match="Too big transaction"):
        bench.sent(bench.tron.trx.transfer(owner, known, 1).memo(bytes(520_000)))


def test_a_second_broadcast_is_a_duplicate(bench: Bench) -> None:
    built = bench.tron.trx.transfer(owner, known, 1).build().sign(PrivateKey(OWNER.secret))
    built.broadcast()

    with pytest.raises(UnknownError) as caught:
        built.broadcast()
    assert caught.value.args == ("Dup transaction.", "DUP_TRANSACTION_ERROR")


def test_what_cannot_be_paid_is_invalid(bench: Bench) -> None:
    trx = bench.tron.trx

    with pytest.raises(ValidationError, match="balance is not sufficient"):
        bench.sent(trx.transfer(owner, known, 10**16))
    with pytest.raises(ValidationError, match="does not exist"):
        bench.sent(trx.transfer(stranger, known, 1), STRANGER)
    with pytest.raises(ValidationError, match="Cannot transfer TRX to yourself"):
        bench.sent(trx.transfer(owner, owner, 1))
    with pytest.raises(
        ValidationError, match="frozenBalance must be greater than or equal to 1 TRX"
    ):
        bench.sent(trx.freeze_balance(owner, 1, "ENERGY"))


def test_nonsense_is_an_error_of_the_node(bench: Bench) -> None:
    built = bench.tron.trx.transfer(owner, known, 1).build()
    built.set_signature(["not hex"])

    with pytest.raises(ApiError, match="NullPointerException"):
        built.broadcast()
    assert bench.tron.get_latest_block_number() == BLOCKS_BEFORE

"""tronweb 6 from npm, unmodified, against a devnet that listens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from devnet.address import PREFIX, keccak256, to_base58
from devnet.background import in_background
from devnet.contracts.catalogue import FAKE_USDT
from devnet.contracts.usdt import USDT_CONTRACT, USDT_CONTRACT_ADDRESS
from devnet.genesis import CUSTOMERS, FAUCET, WITNESSES
from devnet.keys import Key
from devnet.settings import Settings
from tests.devnet.clients.tronweb import HERE, TronWeb, needs_tronweb

pytestmark = [pytest.mark.clients, needs_tronweb]

TRX = 1_000_000
BLOCKS_BEFORE = 30
OWNER, KNOWN = CUSTOMERS[0].key, CUSTOMERS[1].key
RECIPIENT, STRANGER = Key(name="recipient"), Key(name="stranger")

Journey = Callable[..., Any]


@pytest.fixture(scope="module")
def tronweb() -> Iterator[TronWeb]:
    with TronWeb() as tronweb:
        yield tronweb


class Chain:
    """The same devnet without tronweb in between."""

    def __init__(self, http: httpx.Client, node_url: str, control_url: str) -> None:
        self.node_url = node_url
        self.control_url = control_url
        self._http = http

    def mine(self, blocks: int) -> None:
        body = {"blocks": blocks}
        self._http.post(f"{self.control_url}/devnet/mine", json=body).raise_for_status()

    def node(self, path: str, **body: Any) -> Any:
        response = self._http.post(f"{self.node_url}/wallet/{path}", json=body)
        return response.raise_for_status().json()

    def account(self, key: Key) -> Any:
        return self.node("getaccount", address=key.address.hex())

    def balance_sun(self, key: Key) -> int:
        return int(self.account(key).get("balance", 0))

    def usdt_micro(self, key: Key) -> int:
        reply = self.node(
            "triggerconstantcontract",
            owner_address=key.address.hex(),
            contract_address=USDT_CONTRACT_ADDRESS.hex(),
            function_selector="balanceOf(address)",
            parameter=key.address[1:].hex().zfill(64),
        )
        return int(reply["constant_result"][0], 16)


@contextmanager
def started() -> Iterator[Chain]:
    """A devnet that is not behind the wall clock, which tronweb looks at for expirations."""
    with (
        in_background(Settings(port=0, control_port=0, speed=0)) as running,
        httpx.Client() as http,
    ):
        chain = Chain(http, running.node_url, running.control_url)
        chain.mine(BLOCKS_BEFORE)
        yield chain


def world_of(chain: Chain) -> dict[str, Any]:
    """Where a journey goes, and as whom."""
    return {
        "node_url": chain.node_url,
        "control_url": chain.control_url,
        "owner": to_base58(OWNER.address),
        "key": OWNER.secret.hex(),
        "known": to_base58(KNOWN.address),
        "known_key": KNOWN.secret.hex(),
        "recipient": to_base58(RECIPIENT.address),
        "stranger": to_base58(STRANGER.address),
        "stranger_key": STRANGER.secret.hex(),
        "witness": to_base58(WITNESSES[0].address),
        "witness_2": to_base58(WITNESSES[1].address),
        "usdt": USDT_CONTRACT,
    }


@pytest.fixture
def chain() -> Iterator[Chain]:
    with started() as chain:
        yield chain


@pytest.fixture
def journey(tronweb: TronWeb, chain: Chain) -> Journey:
    """Send tronweb on one of its journeys; what it saw comes back."""

    def go(name: str, **changes: Any) -> Any:
        return tronweb.ask(name, world=world_of(chain) | changes)

    return go


@pytest.fixture(scope="module")
def refusals(tronweb: TronWeb) -> Any:
    """What tronweb heard from a devnet that took nothing of it."""
    with started() as chain:
        heard = tronweb.ask("refusals", world=world_of(chain))
        assert chain.node("getpendingsize").get("pendingSize", 0) == 0
        assert chain.balance_sun(OWNER) == 10_000 * TRX
        return heard


def failed_with(receipt: Any) -> tuple[str, str, str]:
    return (
        receipt["result"],
        receipt["receipt"]["result"],
        bytes.fromhex(receipt["resMessage"]).decode(),
    )


def test_it_is_the_version_that_is_pinned(tronweb: TronWeb) -> None:
    package = json.loads((HERE / "package.json").read_text())

    assert tronweb.ask("version") == package["dependencies"]["tronweb"]


def test_it_reads_blocks_accounts_prices_and_parameters(journey: Journey) -> None:
    seen = journey("reading")

    assert seen["connected"] == {"fullNode": True, "solidityNode": True, "eventServer": True}
    assert seen["version"] == "4.8.2"
    latest = seen["latest"]["block_header"]["raw_data"]
    assert latest["number"] == BLOCKS_BEFORE
    assert seen["by_number"] == seen["by_id"] == seen["latest"]
    assert seen["solid"]["block_header"]["raw_data"]["number"] == BLOCKS_BEFORE - 18
    assert seen["range"] == [1, 2, 3, 4, 5]
    assert seen["missing_block"] == "Block not found"
    assert seen["missing_transaction"] == "Transaction not found"
    assert seen["balance"] == 10_000 * TRX
    assert seen["account"]["active_permission"][0]["id"] == 2
    assert (seen["bandwidth"], seen["resources"]["freeNetLimit"]) == (600, 600)
    parameters = {each["key"]: each.get("value", 0) for each in seen["parameters"]}
    assert (parameters["getEnergyFee"], parameters["getTransactionFee"]) == (100, 1000)
    assert seen["energy_prices"].endswith(":100")
    assert seen["bandwidth_prices"].endswith(":1000")
    assert (seen["witnesses"], seen["brokerage"]) == (27, 20)
    assert seen["maintenance_in_s"] > latest["timestamp"] // 1000


def test_it_reads_large_numbers_as_text_where_it_asks_for_them(journey: Journey) -> None:
    seen = journey("reading")

    assert seen["exact_balance"] == str(10_000 * TRX)
    assert seen["exact_block"]["block_header"]["raw_data"]["number"] == str(BLOCKS_BEFORE)


def test_it_sends_trx_in_every_way_it_knows(journey: Journey, chain: Chain) -> None:
    seen = journey("transfers")

    assert seen["sent"]["result"] is True
    assert seen["pending"]["txID"] == seen["sent"]["txid"]
    assert seen["again"] == {
        "taken": False,
        "code": "DUP_TRANSACTION_ERROR",
        "message": "Dup transaction.",
    }
    assert seen["info_before"] == {}
    assert (seen["activating"]["fee"], seen["activating"]["blockNumber"]) == (1_100_000, 31)
    assert seen["not_solid"] == "Transaction not found"
    assert seen["solid"]["txID"] == seen["sent"]["txid"]
    assert seen["balance"] == 2_000_000
    assert seen["easy"]["receipt"] == {"net_usage": 265}
    assert (seen["hex"]["result"], seen["hex"]["code"]) == (True, "SUCCESS")
    assert seen["memos_agree"]
    assert (seen["memo"]["fee"], seen["memo"]["receipt"]) == (1_270_000, {"net_fee": 270_000})
    assert seen["extended_by_ms"] == 600_000
    assert seen["extended"]["receipt"] == {"net_fee": 265_000}
    assert seen["created"]["fee"] == 1_100_000
    received_sun = 2_000_000 + 3 + 4 + 5 + 6
    fees_sun = 1_100_000 + 1_270_000 + 265_000 + 1_100_000
    assert chain.balance_sun(RECIPIENT) == received_sun
    assert chain.balance_sun(OWNER) == 10_000 * TRX - received_sun - fees_sun
    assert chain.account(STRANGER)["create_time"] > 0


def test_its_transfers_are_from_265_to_270_bytes(journey: Journey) -> None:
    amounts_sun = [1, 128, 20_000, 2_500_000, 300_000_000, 40_000_000_000]
    rich = {"owner": to_base58(FAUCET.key.address), "key": FAUCET.key.secret.hex()}

    assert journey("sizes", amounts_sun=amounts_sun, **rich) == [265, 266, 267, 268, 269, 270]


def test_it_calls_usdt_and_pays_the_known_fees(journey: Journey, chain: Chain) -> None:
    seen = journey("contracts")

    assert (seen["name"], seen["symbol"], seen["decimals"]) == ("Tether USD", "USDT", "6")
    assert seen["before"] == seen["read"] == str(10_000 * 10**6)
    assert seen["simulated"] == {"energy": 130_285, "penalty": 100_635}
    assert seen["size"] == 211
    for receipt, fee_sun, energy in (
        (seen["first"], 13_373_500, 130_285),
        (seen["second"], 6_773_500, 64_285),
    ):
        assert receipt["fee"] == fee_sun
        assert receipt["receipt"]["energy_usage_total"] == energy
        assert receipt["receipt"]["net_fee"] == 345_000
        assert receipt["contractResult"] == ["00" * 32]
    assert seen["received"] == "4000000"
    assert seen["allowance"] == ["7000000"]
    assert seen["approved"]["receipt"]["result"] == "SUCCESS"
    assert seen["spent"]["contractResult"] == ["01".zfill(64)]
    assert seen["polled"] is True
    assert chain.usdt_micro(RECIPIENT) == 11_000_000
    assert chain.usdt_micro(OWNER) == 10_000 * 10**6 - 11_000_000


def test_it_deploys_a_contract_and_uses_it(journey: Journey) -> None:
    seen = journey("deployment", token=to_base58(FAKE_USDT.address))

    created = PREFIX + keccak256(bytes.fromhex(seen["txid"]) + OWNER.address)[12:]
    assert seen["address"] == seen["created"]["contract_address"] == created.hex()
    assert seen["created"]["receipt"]["result"] == "SUCCESS"
    assert seen["contract"]["origin_address"] == OWNER.address.hex()
    assert (seen["contract"]["name"], seen["contract"]["trx_hash"]) == ("Copy", seen["txid"])
    assert seen["contract"]["consume_user_resource_percent"] == 30
    assert seen["moved"]["receipt"]["result"] == "SUCCESS"
    assert seen["moved"]["log"][0]["address"] == created[1:].hex()
    assert (seen["symbol"], seen["balances"]) == ("COPY", ["700", "300"])


def test_it_hears_why_a_call_failed(journey: Journey) -> None:
    seen = journey("failures")

    assert failed_with(seen["reverted"]) == ("FAILED", "REVERT", "REVERT opcode executed")
    assert seen["reverted"]["contractResult"] == [""]
    *result, message = failed_with(seen["starved"])
    assert result == ["FAILED", "OUT_OF_ENERGY"]
    assert message.startswith("Not enough energy for ")
    assert seen["starved"]["receipt"]["energy_fee"] == 1_000_000
    assert seen["polled"] == "REVERT opcode executed"
    assert seen["estimate"] == "this node does not support estimate energy"


def test_it_follows_events_page_by_page(journey: Journey) -> None:
    seen = journey("events")

    first, last = seen["pages"]
    events = first["data"] + last["data"]
    assert [event["transaction_id"] for event in events] == seen["txids"]
    assert [event["result"]["value"] for event in events] == ["1", "2", "3"]
    assert events[0]["result"]["from"] == "0x" + OWNER.address[1:].hex()
    assert events[0]["contract_address"] == USDT_CONTRACT
    assert "fingerprint" not in last["meta"]
    assert seen["of_transaction"]["data"] == events[:1]
    assert seen["of_block"]["data"] == seen["of_latest"]["data"] == events[2:]
    assert seen["confirmed"]["data"] == []
    assert "400" in seen["refused"]


def test_it_stakes_lends_votes_and_takes_everything_back(journey: Journey, chain: Chain) -> None:
    seen = journey("staking")
    owner, known = OWNER.address.hex(), KNOWN.address.hex()
    lent = {"from": owner, "to": known}
    receipts = seen["receipts"]

    assert seen["resources"]["tronPowerLimit"] == 3_500
    assert seen["lendable"] == {"max_size": 3_000 * TRX}
    unlocked, locked = seen["lent"]["delegatedResource"]
    assert unlocked == lent | {"frozen_balance_for_energy": 1_000 * TRX}
    expires_ms = receipts["lock"]["blockTimeStamp"] - 3_000 + 1_200 * 3_000
    assert locked == lent | {
        "frozen_balance_for_bandwidth": 100 * TRX,
        "expire_time_for_bandwidth": expires_ms,
    }
    assert seen["partners"] == {"account": owner, "toAccounts": [known]}
    # What 1,000 TRX of 19,100,003,000 yield of 180,000,000,000 energy a day.
    assert seen["borrower"]["EnergyLimit"] == 9_424
    assert "insufficient delegatedFrozenBalance(BANDWIDTH)" in seen["locked"]
    assert seen["left"]["delegatedResource"][0] == lent | {"frozen_balance_for_energy": 600 * TRX}
    assert seen["votes"] == [
        {"vote_address": WITNESSES[0].address.hex(), "vote_count": 1_000},
        {"vote_address": WITNESSES[1].address.hex(), "vote_count": 500},
    ]
    assert seen["slots"] == {"count": 31}
    cancelled = {
        each["key"]: each["value"] for each in receipts["cancel"]["cancel_unfreezeV2_amount"]
    }
    assert cancelled == {"BANDWIDTH": 0, "ENERGY": 700 * TRX, "TRON_POWER": 0}
    assert seen["too_early"].endswith("no unFreeze balance to withdraw ")
    assert seen["ripe"] == {"amount": 200 * TRX}
    assert receipts["withdraw"]["withdraw_expire_amount"] == 200 * TRX
    assert receipts["claim"]["withdraw_amount"] == seen["reward"] > 0
    assert "less than 24 hours" in seen["claimed_twice"]
    staked_sun = (300 + 2_400 + 100 + 600 - 100) * TRX
    fees_sun = sum(receipt.get("fee", 0) for receipt in receipts.values())
    assert chain.balance_sun(OWNER) == 10_000 * TRX - staked_sun - fees_sun + seen["reward"]
    assert chain.account(OWNER) == seen["account"]


def test_two_of_its_keys_sign_together(journey: Journey, chain: Chain) -> None:
    seen = journey("multisignature")
    owner, known = OWNER.address.hex(), KNOWN.address.hex()

    assert seen["update"]["fee"] == 100 * TRX
    assert seen["account"]["active_permission"][0]["threshold"] == 2
    assert seen["weight_of_one"]["current_weight"] == 1
    assert seen["weight_of_one"]["result"]["code"] == "NOT_ENOUGH_PERMISSION"
    assert seen["approved_by_one"]["approved_list"] == [owner]
    assert seen["too_light"]["code"] == "SIGERROR"
    assert seen["weight_of_two"]["current_weight"] == 2
    assert "code" not in seen["weight_of_two"]["result"]
    assert seen["approved_by_two"]["approved_list"] == [owner, known]
    # An account created, its bandwidth, and the fee for more than one signature.
    assert seen["paid"]["fee"] == 1 * TRX + 100_000 + 1 * TRX
    assert chain.balance_sun(RECIPIENT) == 5 * TRX
    assert chain.balance_sun(OWNER) == (10_000 - 100 - 5 - 2) * TRX - 100_000


def test_it_hears_whose_signature_does_not_count(journey: Journey, chain: Chain) -> None:
    seen = journey("multisignature")

    stranger, owner = to_base58(STRANGER.address), to_base58(OWNER.address)
    assert seen["outsider"] == f"Address {stranger} has no permission to sign"
    assert seen["no_such_permission"] == "Permission for this, does not exist!"
    assert seen["signed_twice"]["message"].endswith(f"{owner} has signed twice!")
    assert "should not be less than threshold" in seen["not_allowed"]
    assert chain.balance_sun(RECIPIENT) == 5 * TRX


SIGNATURE = "Validate signature error: "
VALIDATE = "Contract validate error : "


@pytest.mark.parametrize(
    ("attack", "code", "message"),
    [
        ("foreign_key", "SIGERROR", "but it is not contained of permission."),
        ("short_signature", "SIGERROR", f"{SIGNATURE}Signature size is 64"),
        ("long_signature", "SIGERROR", f"{SIGNATURE}Signature size is 69"),
        ("zero_signature", "SIGERROR", "Could not recover public key from signature"),
        ("doubled", "SIGERROR", "Signature count is 2 more than key counts of permission : 1"),
        ("altered", "SIGERROR", "but it is not contained of permission."),
        ("tapos", "TAPOS_ERROR", "Tapos check error."),
        ("expired", "TRANSACTION_EXPIRATION_ERROR", "Transaction expired"),
        ("too_distant", "TRANSACTION_EXPIRATION_ERROR", "Transaction expired"),
        ("too_big", "TOO_BIG_TRANSACTION_ERROR", "maxTxSize 512000"),
        (
            "too_poor",
            "CONTRACT_VALIDATE_ERROR",
            f"{VALIDATE}Validate TransferContract error, balance is not sufficient.",
        ),
        ("not_activated", "CONTRACT_VALIDATE_ERROR", "does not exist"),
    ],
)
def test_it_hears_why_a_transaction_is_not_taken(
    refusals: Any, attack: str, code: str, message: str
) -> None:
    told = refusals[attack]

    assert (told["taken"], told["code"]) == (False, code)
    assert message in told["message"]


def test_it_turns_other_errors_of_the_node_into_words(refusals: Any) -> None:
    stranger = to_base58(STRANGER.address)

    assert refusals["no_contract"].startswith("Error: Unknown error: ")
    assert refusals["trigger_no_contract"] == "No contract or not a valid smart contract"
    assert refusals["constant_revert"] == "REVERT opcode executed"
    assert refusals["send_too_poor"] == f"{VALIDATE}account [{stranger}] does not exist"
    assert "InvalidProtocolBufferException" in refusals["hex_garbage"]["Error"]
    assert refusals["still_alive"] == 64

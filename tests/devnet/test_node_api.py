from __future__ import annotations

from typing import Any

import pytest

from devnet.address import to_base58
from devnet.contracts.usdt import USDT_CONTRACT, USDT_CONTRACT_ADDRESS
from devnet.json_format import printed_transaction

REVERT_HEX = b"REVERT opcode executed".hex()


async def test_both_trees_show_blocks_up_to_their_own_height(world: Any, client: Any) -> None:
    world.mine(40)
    head = await client.post("/wallet/getnowblock")
    solid = await client.post("/walletsolidity/getnowblock")
    raw = head["block_header"]["raw_data"]

    assert raw["number"] - solid["block_header"]["raw_data"]["number"] == 18
    assert raw["witness_address"].startswith("41")
    assert "transactions" not in head
    assert head == await client.post("/wallet/getblockbynum", num=raw["number"])
    assert head == await client.post("/wallet/getblockbyid", value=head["blockID"])
    assert await client.post("/walletsolidity/getblockbynum", num=raw["number"]) == {}
    assert await client.post("/walletsolidity/getblockbyid", value=head["blockID"]) == {}
    blocks = await client.post("/wallet/getblockbylimitnext", startNum=40, endNum=60)
    assert [each["block_header"]["raw_data"]["number"] for each in blocks["block"]] == [40, 41]
    assert await client.post("/wallet/getblockbylimitnext", startNum=90, endNum=99) == {"block": []}


async def test_getblock_takes_a_height_an_id_or_nothing(world: Any, client: Any) -> None:
    world.confirmed(world.transfer(world.payee.address, 1))
    full = await client.post("/wallet/getblock", detail=True)
    header = await client.post("/wallet/getblock", id_or_num=full["blockID"])

    assert len(full["transactions"]) == 1
    assert header == {name: full[name] for name in ("blockID", "block_header")}
    assert await client.post("/wallet/getblock", id_or_num="99") == {}
    assert await client.post("/wallet/getblock", id_or_num="-1") == {
        "Error": "num must be non-positive number."
    }
    assert await client.post("/wallet/getblock", id_or_num="x") == {
        "Error": "id must be legal block hash."
    }


async def test_the_genesis_block_has_neither_number_nor_signature(client: Any) -> None:
    genesis = await client.post("/wallet/getblockbynum", num=0)

    assert "number" not in genesis["block_header"]["raw_data"]
    assert "witness_signature" not in genesis["block_header"]
    assert len(genesis["transactions"]) == 11


async def test_a_transaction_is_seen_in_two_steps(world: Any, client: Any) -> None:
    world.mine(30)
    transaction = world.usdt("transfer", world.payee.address, 5)
    body = printed_transaction(transaction, visible=False)
    reply = await client.post("/wallet/broadcasttransaction", **body)
    txid = reply["txid"]

    assert reply == {"result": True, "txid": body["txID"]}
    pending = await client.post("/wallet/gettransactionbyid", value=txid)
    assert pending["ret"] == [{"contractRet": "SUCCESS"}]
    assert await client.post("/wallet/gettransactioninfobyid", value=txid) == {}
    assert await client.post("/wallet/getpendingsize") == {"pendingSize": 1}
    assert await client.post("/wallet/gettransactionlistfrompending") == {"txId": [txid]}
    assert await client.post("/wallet/gettransactionfrompending", value=txid) == pending

    world.mine()
    info = await client.post("/wallet/gettransactioninfobyid", value=txid)
    assert info["receipt"] == {
        "energy_fee": 6_428_500,
        "energy_usage_total": 64_285,
        "net_usage": 345,
        "result": "SUCCESS",
        "energy_penalty_total": 49_635,
    }
    assert info["fee"] == 6_428_500
    assert info["contractResult"] == ["00" * 32]
    assert "result" not in info
    assert info["log"][0]["address"] == USDT_CONTRACT_ADDRESS[1:].hex()
    number = info["blockNumber"]
    assert await client.post("/wallet/gettransactioninfobyblocknum", num=number) == [info]
    assert await client.post("/walletsolidity/gettransactioninfobyid", value=txid) == {}
    assert await client.post("/walletsolidity/gettransactionbyid", value=txid) == {}
    assert await client.post("/walletsolidity/gettransactioninfobyblocknum", num=number) == []

    world.mine(18)
    assert await client.post("/walletsolidity/gettransactioninfobyid", value=txid) == info
    assert await client.post("/walletsolidity/gettransactioninfobyblocknum", num=number) == [info]
    assert await client.post("/wallet/gettransactioninfobyblocknum", num=0) == {}


async def test_visible_addresses_are_base58_and_other_bytes_stay_hex(
    world: Any, client: Any
) -> None:
    info = world.confirmed(world.usdt("transfer", world.payee.address, 10**15))
    shown = await client.post("/wallet/gettransactioninfobyid", value=info.id.hex(), visible=True)
    transaction = await client.post("/wallet/gettransactionbyid", value=info.id.hex(), visible=True)

    assert shown["contract_address"] == USDT_CONTRACT
    assert shown["result"] == "FAILED"
    assert shown["resMessage"] == "REVERT opcode executed"
    assert shown["contractResult"] == [""]
    assert transaction["ret"] == [{"contractRet": "REVERT"}]
    value = transaction["raw_data"]["contract"][0]["parameter"]["value"]
    assert value["owner_address"] == to_base58(world.payer.address)
    assert value["data"].startswith("a9059cbb")


async def test_an_account_shows_what_it_has(world: Any, client: Any, payer_text: str) -> None:
    world.confirmed(world.transfer(world.payee.address, 1))
    account = await client.post("/wallet/getaccount", address=payer_text, visible=True)
    hex_form = await client.post("/wallet/getaccount", address=world.payer.address.hex())

    assert account["address"] == payer_text
    assert account["balance"] == 9_999_999_999
    assert account["free_net_usage"] == 265
    assert account["frozenV2"] == [{}, {"type": "ENERGY"}, {"type": "TRON_POWER"}]
    assert account["owner_permission"]["keys"] == [{"address": payer_text, "weight": 1}]
    assert hex_form["address"] == world.payer.address.hex()
    unknown = to_base58(world.stranger.address)
    assert await client.post("/wallet/getaccount", address=unknown, visible=True) == {}
    assert await client.post("/wallet/getaccountresource", address=unknown, visible=True) == {}


async def test_resources_follow_the_stake(world: Any, client: Any, payer_text: str) -> None:
    built = await client.post(
        "/wallet/freezebalancev2",
        owner_address=payer_text,
        frozen_balance=5_000_000_000,
        resource="ENERGY",
        visible=True,
    )
    assert built["raw_data"]["contract"][0]["parameter"]["value"]["resource"] == "ENERGY"
    signature = world.payer.sign(bytes.fromhex(built["txID"])).hex()
    reply = await client.post("/wallet/broadcasttransaction", **built, signature=[signature])
    assert reply["result"] is True
    world.mine()
    resource = await client.post("/wallet/getaccountresource", address=payer_text, visible=True)
    account = await client.post("/wallet/getaccount", address=payer_text, visible=True)

    assert resource["EnergyLimit"] == 180_000_000_000 * 5_000 // 19_100_005_000
    assert resource["freeNetLimit"] == 600
    assert resource["TotalEnergyWeight"] == 19_100_005_000
    assert "NetLimit" not in resource
    assert account["frozenV2"][1] == {"type": "ENERGY", "amount": 5_000_000_000}

    unfreeze = await client.post(
        "/wallet/unfreezebalancev2",
        owner_address=world.payer.address.hex(),
        unfreeze_balance=1_000_000,
        resource="BANDWIDTH",
    )
    assert unfreeze == {
        "Error": "class org.tron.core.exception.ContractValidateException : "
        "no frozenBalance(BANDWIDTH)"
    }


async def test_a_builder_refuses_what_the_chain_would(world: Any, client: Any) -> None:
    reply = await client.post(
        "/wallet/createtransaction",
        owner_address=world.payer.address.hex(),
        to_address=world.payee.address.hex(),
        amount=10**18,
    )
    assert reply == {
        "Error": "class org.tron.core.exception.ContractValidateException : "
        "Validate TransferContract error, balance is not sufficient."
    }


async def test_broadcasts_say_why_they_fail(world: Any, client: Any) -> None:
    forged = world.signed(world.transfer(world.payee.address, 1), world.payee)
    body = printed_transaction(forged, visible=False)
    refused = await client.post("/wallet/broadcasttransaction", **body)
    raw = await client.post("/wallet/broadcasthex", transaction=forged.SerializeToString().hex())

    assert refused["code"] == raw["code"] == "SIGERROR"
    assert "result" not in refused
    message = bytes.fromhex(refused["message"]).decode()
    assert message == raw["message"]
    assert message.endswith(
        f"is signed by {to_base58(world.payee.address)} but it is not contained of permission."
    )
    assert raw["result"] is False
    assert set(raw) == {"result", "code", "message", "transaction", "txid"}
    empty = await client.post("/wallet/broadcasttransaction")
    assert empty == {"Error": "class java.lang.NullPointerException : null"}


async def test_broadcasthex_takes_exact_bytes(world: Any, client: Any) -> None:
    transaction = world.transfer(world.payee.address, 1)
    reply = await client.post(
        "/wallet/broadcasthex", transaction=transaction.SerializeToString().hex()
    )

    assert (reply["result"], reply["code"], reply["message"]) == (True, "SUCCESS", "")


async def test_constant_calls_tell_energy_and_reverts_apart(world: Any, client: Any) -> None:
    def call(owner: bytes, recipient: bytes, amount: int) -> dict[str, Any]:
        parameter = recipient[1:].rjust(32, b"\0") + amount.to_bytes(32, "big")
        return {
            "owner_address": owner.hex(),
            "contract_address": USDT_CONTRACT_ADDRESS.hex(),
            "function_selector": "transfer(address,uint256)",
            "parameter": parameter.hex(),
        }

    payer, payee, stranger = (k.address for k in (world.payer, world.payee, world.stranger))
    path = "/wallet/triggerconstantcontract"
    holder = await client.post(path, **call(payer, payee, 1))
    newcomer = await client.post(path, **call(payer, stranger, 1))
    broke = await client.post(path, **call(stranger, payee, 1))
    unknown = await client.post(path, **{**call(payer, payee, 1), "contract_address": payee.hex()})

    assert (holder["energy_used"], holder["energy_penalty"]) == (64_285, 49_635)
    assert (newcomer["energy_used"], newcomer["energy_penalty"]) == (130_285, 100_635)
    assert holder["constant_result"] == ["00" * 32]
    assert holder["transaction"]["ret"] == [{}]
    assert len(holder["logs"]) == 1
    assert broke["result"] == {"result": True, "message": REVERT_HEX}
    assert broke["transaction"]["ret"] == [{"ret": "FAILED"}]
    assert broke["constant_result"] == [""]
    assert unknown["result"] == {
        "code": "CONTRACT_VALIDATE_ERROR",
        "message": b"Smart contract is not exist.".hex(),
    }
    assert world.usdt_micro(stranger) == 0


@pytest.mark.parametrize(
    ("selector", "word"),
    [
        ("decimals()", 6),
        ("paused()", 0),
        ("deprecated()", 0),
        ("basisPointsRate()", 0),
        ("totalSupply()", 10**16),
        ("isBlackListed(address)", 0),
        ("balanceOf(address)", 10_000_000_000),
    ],
)
async def test_usdt_answers_questions(
    world: Any, client: Any, payer_text: str, selector: str, word: int
) -> None:
    reply = await client.post(
        "/wallet/triggersmartcontract",
        owner_address=payer_text,
        contract_address=USDT_CONTRACT,
        function_selector=selector,
        parameter=world.payer.address[1:].rjust(32, b"\0").hex(),
        visible=True,
    )
    assert int(reply["constant_result"][0], 16) == word


async def test_an_unknown_selector_reverts(client: Any, payer_text: str) -> None:
    reply = await client.post(
        "/walletsolidity/triggerconstantcontract",
        owner_address=payer_text,
        contract_address=USDT_CONTRACT,
        function_selector="nonsense()",
        visible=True,
    )
    assert reply["result"]["message"] == "REVERT opcode executed"


async def test_the_chain_describes_itself(world: Any, client: Any) -> None:
    world.mine(30)
    parameters = await client.post("/wallet/getchainparameters")
    values = {each["key"]: each.get("value") for each in parameters["chainParameter"]}
    info = await client.post("/wallet/getnodeinfo")
    now = await client.post("/wallet/getnowblock")

    assert values["getEnergyFee"] == 100
    assert values["getTransactionFee"] == 1_000
    assert {"key": "getAllowPBFT"} in parameters["chainParameter"]
    assert info["block"] == f"Num:31,ID:{now['blockID']}"
    assert info["solidityBlock"].startswith("Num:13,ID:")
    assert (await client.post("/wallet/getenergyprices"))["prices"].endswith(":100")
    assert (await client.post("/wallet/getbandwidthprices"))["prices"].endswith(":1000")


async def test_an_address_is_recognised_in_both_forms(client: Any, payer_text: str) -> None:
    async def verdict(text: str) -> Any:
        return await client.post("/wallet/validateaddress", address=text)

    assert await verdict(payer_text) == {"result": True, "message": "Base58check format"}
    assert (await verdict("41" + "00" * 20))["result"] is True
    assert (await verdict(payer_text[:-1] + "1"))["result"] is False
    assert await verdict("T") == {"result": False, "message": "Length error"}


async def test_getcontract_describes_usdt_and_nothing_else(client: Any, payer_text: str) -> None:
    shown = await client.post("/wallet/getcontract", value=USDT_CONTRACT, visible=True)

    assert shown["contract_address"] == USDT_CONTRACT
    assert "transfer" in {each["name"] for each in shown["abi"]["entrys"]}
    assert await client.post("/wallet/getcontract", value=payer_text, visible=True) == {}


async def test_paths_and_methods_are_strict(client: Any) -> None:
    async def status(method: str, path: str) -> tuple[int, bytes]:
        response = await client.http.request(method, path)
        return response.status_code, response.content

    assert (await status("GET", "/wallet/broadcasttransaction"))[0] == 405
    assert (await status("GET", "/wallet/freezebalancev2"))[0] == 405
    assert await status("GET", "/wallet/createtransaction") == (200, b"")
    assert (await status("POST", "/wallet/getNowBlock"))[0] == 404
    assert (await status("POST", "/walletsolidity/getaccountresource"))[0] == 404
    assert (await status("POST", "/walletsolidity/broadcasttransaction"))[0] == 404


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"address":"zz"}'])
async def test_nonsense_is_answered_with_a_java_error(client: Any, body: bytes) -> None:
    response = await client.http.post("/wallet/getaccount", content=body)

    assert response.status_code == 200
    assert response.json()["Error"].startswith("class org.tron.")


async def test_a_query_is_as_good_as_a_body(client: Any, payer_text: str) -> None:
    response = await client.http.get(f"/wallet/getaccount?address={payer_text}&visible=true")
    block = await client.http.get("/wallet/getnowblock?visible=true")

    assert response.json()["address"] == payer_text
    assert block.json()["block_header"]["raw_data"]["witness_address"].startswith("T")

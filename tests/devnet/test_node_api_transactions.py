from __future__ import annotations

import json
from typing import Any

import pytest

from devnet.address import to_base58
from devnet.api.builders import unsigned
from devnet.chain_pb2 import AccountPermissionUpdateContract, Key, Permission, TransferContract
from devnet.json_format import printed_transaction
from devnet.keys import Key as SigningKey

INVALID = "class org.tron.core.exception.ContractValidateException : "
NULL = {"Error": "class java.lang.NullPointerException : null"}
OPERATIONS = "7fff1fc0033efb0f" + "00" * 24


async def built(client: Any, world: Any, **changes: Any) -> Any:
    body = {
        "owner_address": world.payer.address.hex(),
        "to_address": world.payee.address.hex(),
        "amount": 5,
        **changes,
    }
    return await client.post("/wallet/createtransaction", **body)


async def test_a_built_transfer_has_exactly_these_fields(world: Any, client: Any) -> None:
    world.mine(30)
    transaction = await built(client, world)
    solid = world.node.chain.solid.block_id

    raw_hex, txid = transaction.pop("raw_data_hex"), transaction.pop("txID")
    timestamp = transaction["raw_data"].pop("timestamp")
    assert transaction == {
        "visible": False,
        "raw_data": {
            "contract": [
                {
                    "parameter": {
                        "value": {
                            "owner_address": world.payer.address.hex(),
                            "to_address": world.payee.address.hex(),
                            "amount": 5,
                        },
                        "type_url": "type.googleapis.com/protocol.TransferContract",
                    },
                    "type": "TransferContract",
                }
            ],
            "ref_block_bytes": solid[6:8].hex(),
            "ref_block_hash": solid[8:16].hex(),
            "expiration": world.node.chain.head.time_ms + 60_000,
        },
    }
    assert timestamp == world.node.clock.now_ms()
    assert (len(txid), raw_hex[:4]) == (64, "0a02")


async def test_a_builder_takes_a_permission_and_a_memo(world: Any, client: Any) -> None:
    hidden = await built(client, world, Permission_id=2, extra_data=b"memo".hex())
    shown = await built(
        client,
        world,
        owner_address=to_base58(world.payer.address),
        to_address=to_base58(world.payee.address),
        extra_data="memo",
        visible=True,
    )

    assert hidden["raw_data"]["contract"][0]["Permission_id"] == 2
    assert hidden["raw_data"]["data"] == shown["raw_data"]["data"] == b"memo".hex()
    assert "Permission_id" not in shown["raw_data"]["contract"][0]
    assert shown["visible"] is True


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"owner_address": "00"}, "Invalid ownerAddress!"),
        ({"to_address": "4100"}, "Invalid toAddress!"),
        ({"to_address": "payer"}, "Cannot transfer TRX to yourself."),
        (
            {"owner_address": "41" + "ab" * 20},
            "Validate TransferContract error, no OwnerAccount.",
        ),
        ({"amount": 0}, "Amount must be greater than 0."),
        ({"amount": -1}, "Amount must be greater than 0."),
        (
            {"amount": 10_000_000_001},
            "Validate TransferContract error, balance is not sufficient.",
        ),
        (
            {"to_address": "41" + "ab" * 20, "amount": 9_999_000_001},
            "Validate TransferContract error, balance is not sufficient.",
        ),
    ],
)
async def test_a_transfer_that_cannot_be_is_not_built(
    world: Any, client: Any, changes: dict[str, Any], error: str
) -> None:
    if changes.get("to_address") == "payer":
        changes = {**changes, "to_address": world.payer.address.hex()}

    assert await built(client, world, **changes) == {"Error": INVALID + error}


async def test_trx_may_be_sent_to_a_contract_and_be_lost(world: Any, client: Any) -> None:
    contract = await client.post("/wallet/getcontract", value="41" + "00" * 20)
    assert contract == {}
    usdt = world.usdt("name").raw_data.contract[0]
    recipient = printed_transaction(world.usdt("name"), visible=False)["raw_data"]["contract"][0]
    assert usdt.type == 31

    transaction = await built(
        client, world, to_address=recipient["parameter"]["value"]["contract_address"]
    )
    assert "txID" in transaction


async def test_accounts_are_created_for_a_fee(world: Any, client: Any) -> None:
    path, stranger = "/wallet/createaccount", world.stranger.address.hex()
    owner = world.payer.address.hex()
    transaction = await client.post(path, owner_address=owner, account_address=stranger)
    again = await client.post(path, owner_address=owner, account_address=world.payee.address.hex())

    assert transaction["raw_data"]["contract"][0]["type"] == "AccountCreateContract"
    assert again == {"Error": INVALID + "Account has existed"}


async def test_the_node_signs_off_what_it_rebuilds_not_what_it_is_told(
    world: Any, client: Any
) -> None:
    body = printed_transaction(world.transfer(world.payee.address, 5), visible=False)
    body["txID"], body["raw_data_hex"] = "00" * 32, "ff"
    taken = await client.post("/wallet/broadcasttransaction", **body)
    assert taken["result"] is True
    assert taken["txid"] != "00" * 32

    changed = printed_transaction(world.transfer(world.payee.address, 6), visible=False)
    changed["raw_data"]["contract"][0]["parameter"]["value"]["amount"] = 600
    refused = await client.post("/wallet/broadcasttransaction", **changed)
    assert refused["code"] == "SIGERROR"
    assert refused["txid"] != changed["txID"]


async def test_a_refusal_is_hex_unless_it_shall_be_visible(world: Any, client: Any) -> None:
    transaction = world.transfer(world.payee.address, 5)
    world.node.broadcast(transaction)
    path = "/wallet/broadcasttransaction"

    hidden = await client.post(path, **printed_transaction(transaction, visible=False))
    shown = await client.post(path, visible=True, **printed_transaction(transaction, visible=True))
    assert hidden == {
        "code": "DUP_TRANSACTION_ERROR",
        "txid": hidden["txid"],
        "message": b"Dup transaction.".hex(),
    }
    assert shown == {**hidden, "message": "Dup transaction."}


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"raw_data": 5},
        {"raw_data": {}},
        {"raw_data": {"contract": 5}},
        {"raw_data": {"contract": [], "expiration": "soon"}},
        {"raw_data": {"contract": [], "ref_block_bytes": "zz"}},
        {"raw_data": {"contract": []}, "signature": ["xyz"]},
    ],
)
async def test_a_malformed_broadcast_is_a_null_pointer(client: Any, broken: Any) -> None:
    assert await client.post("/wallet/broadcasttransaction", **broken) == NULL


@pytest.mark.parametrize(
    "contract",
    [
        5,
        {},
        {"type": "TransferContract"},
        {"type": "NoSuchContract", "parameter": {"value": {}}},
        {"type": "TransferContract", "parameter": {"value": {"amount": "5"}}},
        {"type": "TransferContract", "parameter": {"value": {"to_address": "zz"}}},
    ],
)
async def test_a_contract_that_cannot_be_read_is_no_contract(client: Any, contract: Any) -> None:
    reply = await client.post(
        "/wallet/broadcasttransaction", raw_data={"contract": [contract]}, signature=["00"]
    )

    assert reply["code"] == "CONTRACT_VALIDATE_ERROR"
    assert bytes.fromhex(reply["message"]).decode().startswith("Contract validate error : ")


async def test_broadcasthex_always_has_five_keys(world: Any, client: Any) -> None:
    transaction = world.transfer(world.payee.address, 1)
    data = transaction.SerializeToString().hex()
    taken = await client.post("/wallet/broadcasthex", transaction=data)
    again = await client.post("/wallet/broadcasthex", transaction=data)

    txid = printed_transaction(transaction, visible=False)["txID"]
    raw = json.loads(taken.pop("transaction"))
    assert taken == {"result": True, "code": "SUCCESS", "message": "", "txid": txid}
    assert raw["signature"] == [transaction.signature[0].hex()]
    assert raw["raw_data"]["contract"][0]["parameter"]["type_url"].endswith("TransferContract")
    assert isinstance(raw["raw_data"]["contract"][0]["parameter"]["value"], str)
    assert (again["result"], again["code"], again["message"]) == (
        False,
        "DUP_TRANSACTION_ERROR",
        "Dup transaction.",
    )


async def test_broadcasthex_says_what_no_bytes_are(client: Any) -> None:
    path = "/wallet/broadcasthex"

    not_hex = await client.post(path, transaction="zz")
    not_protobuf = await client.post(path, transaction="ffff")
    nothing = await client.post(path)
    assert not_hex["Error"].startswith("class org.bouncycastle.util.encoders.DecoderException")
    assert not_protobuf["Error"].startswith(
        "class com.google.protobuf.InvalidProtocolBufferException"
    )
    assert nothing["code"] == "CONTRACT_VALIDATE_ERROR"


async def test_a_pending_transaction_is_seen_on_the_full_tree_alone(
    world: Any, client: Any
) -> None:
    transaction = world.transfer(world.payee.address, 5)
    txid = world.node.broadcast(transaction).txid.hex()
    found = await client.post("/wallet/gettransactionbyid", value=txid, visible=True)

    assert found["ret"] == [{"contractRet": "SUCCESS"}]
    value = found["raw_data"]["contract"][0]["parameter"]["value"]
    assert value["to_address"] == to_base58(world.payee.address)
    pending = await client.http.get(f"/wallet/gettransactionfrompending?value={txid}&visible=true")
    assert pending.json() == found
    assert await client.post("/walletsolidity/gettransactionbyid", value=txid) == {}
    assert await client.post("/wallet/gettransactionreceiptbyid", value=txid) == {}
    world.mine()
    assert await client.post("/wallet/gettransactionfrompending", value=txid) == {}
    assert await client.post("/wallet/gettransactionlistfrompending") == {}
    assert await client.post("/wallet/getpendingsize") == {"pendingSize": 0}
    receipt = await client.post("/wallet/gettransactionreceiptbyid", value=txid)
    assert receipt == {"Receipt": {"net_usage": 265}}


async def test_a_plain_transfers_receipt_has_exactly_these_fields(world: Any, client: Any) -> None:
    info = world.confirmed(world.transfer(world.payee.address, 5))

    assert await client.post("/wallet/gettransactioninfobyid", value=info.id.hex()) == {
        "id": info.id.hex(),
        "blockNumber": 2,
        "blockTimeStamp": world.node.chain.head.time_ms,
        "contractResult": [""],
        "receipt": {"net_usage": 265},
    }


async def test_the_weight_of_signatures_is_told(world: Any, client: Any) -> None:
    transaction = unsigned(
        world.node,
        TransferContract(
            owner_address=world.payer.address, to_address=world.payee.address, amount=5
        ),
    )
    body = printed_transaction(transaction, visible=False)
    payer = world.payer.address.hex()
    bare = await client.post("/wallet/getsignweight", **body)
    signed = await client.post(
        "/wallet/getsignweight",
        **body,
        signature=[world.payer.sign(bytes.fromhex(body["txID"])).hex()],
    )

    permission = {
        "permission_name": "owner",
        "threshold": 1,
        "keys": [{"address": payer, "weight": 1}],
    }
    assert bare["result"] == {"code": "NOT_ENOUGH_PERMISSION"}
    assert bare["permission"] == permission
    assert "current_weight" not in bare
    assert bare["transaction"]["result"] == {"result": True}
    assert bare["transaction"]["transaction"] == body
    assert signed["result"] == {}
    assert (signed["approved_list"], signed["current_weight"]) == ([payer], 1)


async def test_a_strangers_signature_is_listed_but_weighs_nothing(world: Any, client: Any) -> None:
    forged = world.signed(world.transfer(world.payee.address, 5), world.payee)
    body = printed_transaction(forged, visible=True)
    weight = await client.post("/wallet/getsignweight", **body, visible=True)
    listed = await client.post("/wallet/getapprovedlist", **body, visible=True)

    payee = to_base58(world.payee.address)
    assert weight["result"]["code"] == "PERMISSION_ERROR"
    assert weight["result"]["message"].endswith(
        f"is signed by {payee} but it is not contained of permission."
    )
    assert listed["approved_list"] == [payee]
    assert listed["result"] == {}
    assert listed["transaction"]["txid"] == body["txID"]


async def test_signatures_of_nobodys_transaction_are_refused(world: Any, client: Any) -> None:
    orphan = world.signed(
        unsigned(
            world.node,
            TransferContract(
                owner_address=world.stranger.address, to_address=world.payee.address, amount=1
            ),
        ),
        world.stranger,
    )
    body = printed_transaction(orphan, visible=False)
    weight = await client.post("/wallet/getsignweight", **body)
    listed = await client.post("/wallet/getapprovedlist", **body)

    assert weight["result"] == {
        "code": "PERMISSION_ERROR",
        "message": "Account does not exist!",
    }
    assert listed["result"]["code"] == "OTHER_ERROR"
    assert listed["result"]["message"].endswith("PermissionException : Account does not exist!")
    short = {**body, "signature": ["00"]}
    assert (await client.post("/wallet/getsignweight", **short))["result"]["code"] != ""
    no_contract = await client.post("/wallet/getsignweight", raw_data={"contract": []})
    assert no_contract["result"] == {
        "code": "OTHER_ERROR",
        "message": "Invalid transaction: no valid contract",
    }


async def test_a_permission_update_is_built_and_then_weighs_two_keys(
    world: Any, client: Any
) -> None:
    keys = [SigningKey(name=f"multi-{number}") for number in (1, 2)]
    listed = [{"address": key.address.hex(), "weight": 1} for key in keys]
    payer = world.payer.address.hex()
    body = {
        "owner_address": payer,
        "owner": {
            "type": 0,
            "permission_name": "owner",
            "threshold": 1,
            "keys": [{"address": payer, "weight": 1}],
        },
        "actives": [
            {
                "type": 2,
                "permission_name": "pair",
                "threshold": 2,
                "operations": OPERATIONS,
                "keys": listed,
            }
        ],
    }
    path = "/wallet/accountpermissionupdate"
    made = await client.post(path, **body)
    value = made["raw_data"]["contract"][0]["parameter"]["value"]
    assert value["actives"][0]["keys"] == listed
    assert value["owner"]["permission_name"] == "owner"
    broken = await client.post(path, **{**body, "actives": [{**body["actives"][0], "keys": 5}]})
    assert broken["Error"].split(" : ")[1].endswith('Expected "{".')

    signature = world.payer.sign(bytes.fromhex(made["txID"])).hex()
    assert (await client.post("/wallet/broadcasttransaction", **made, signature=[signature]))[
        "result"
    ]
    world.mine()
    account = await client.post("/wallet/getaccount", address=payer)
    assert account["active_permission"][0]["keys"] == listed
    transfer = await built(client, world, Permission_id=2)
    first = {**transfer, "signature": [keys[0].sign(bytes.fromhex(transfer["txID"])).hex()]}
    weight = await client.post("/wallet/getsignweight", **first)
    assert weight["result"] == {"code": "NOT_ENOUGH_PERMISSION"}
    assert weight["current_weight"] == 1
    first["signature"].append(keys[1].sign(bytes.fromhex(transfer["txID"])).hex())
    assert (await client.post("/wallet/getsignweight", **first))["current_weight"] == 2
    assert (await client.post("/wallet/broadcasttransaction", **first))["result"] is True


async def test_nested_messages_keep_their_form(world: Any) -> None:
    permission = Permission(
        permission_name="owner", threshold=1, keys=[Key(address=world.payer.address, weight=1)]
    )
    message = AccountPermissionUpdateContract(owner_address=world.payer.address, owner=permission)
    shown = printed_transaction(unsigned(world.node, message), visible=True)

    value = shown["raw_data"]["contract"][0]["parameter"]["value"]
    assert value["owner"]["keys"] == [{"address": to_base58(world.payer.address), "weight": 1}]

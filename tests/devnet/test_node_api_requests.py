"""Paths, methods, bodies, forms and the envelopes of errors."""

from __future__ import annotations

from typing import Any

import pytest

from devnet.api.app import MAX_BODY_BYTES

PARSE = "class org.tron.core.services.http.JsonFormat$ParseException : "
TRANSFER = "/wallet/createtransaction"


def transfer(world: Any, **changes: Any) -> dict[str, Any]:
    return {
        "owner_address": world.payer.address.hex(),
        "to_address": world.payee.address.hex(),
        "amount": 5,
        **changes,
    }


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("amount", "5", 'Couldn\'t parse integer: For input string: ""5""'),
        ("amount", 1.5, 'Couldn\'t parse integer: For input string: "1.5"'),
        ("amount", True, 'Couldn\'t parse integer: For input string: "true"'),
        (
            "amount",
            2**63,
            (
                "Couldn't parse integer: Number out of range for 64-bit signed integer: "
                "9223372036854775808"
            ),
        ),
        ("to_address", 5, "Expected string."),
        ("to_address", "xy", "INVALID hex String"),
    ],
)
async def test_a_field_is_read_strictly_and_its_place_is_told(
    world: Any, client: Any, field: str, value: Any, reason: str
) -> None:
    body = {field: value, **{k: v for k, v in transfer(world).items() if k != field}}

    reply = await client.post(TRANSFER, **body)

    assert reply == {"Error": f"{PARSE}1:{len(field) + 5}: {reason}"}


async def test_the_place_counts_lines(client: Any) -> None:
    body = b'{\n "owner_address": "41",\n "to_address": "zz"}'
    response = await client.http.post(TRANSFER, content=body)

    assert response.json() == {"Error": f"{PARSE}3:16: INVALID hex String"}


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        ("GAS", 'Enum type "protocol.ResourceCode" has no value named "GAS".'),
        ("energy", 'Enum type "protocol.ResourceCode" has no value named "Energy".'),
        (7, 'Enum type "protocol.ResourceCode" has no value with number 7.'),
    ],
)
async def test_an_enum_is_a_name_or_a_number(
    world: Any, client: Any, resource: Any, reason: str
) -> None:
    path = "/wallet/freezebalancev2"
    body = {"owner_address": world.payer.address.hex(), "frozen_balance": 1_000_000}

    refused = await client.post(path, resource=resource, **body)
    by_number = await client.post(path, resource=1, **body)

    assert refused == {"Error": f"{PARSE}1:13: {reason}"}
    value = by_number["raw_data"]["contract"][0]["parameter"]["value"]
    assert value["resource"] == "ENERGY"


async def test_unknown_and_null_fields_are_ignored(world: Any, client: Any) -> None:
    built = await client.post(TRANSFER, **transfer(world, nonsense={"a": [1]}, amount=5, data=None))

    assert built["raw_data"]["contract"][0]["parameter"]["value"]["amount"] == 5


async def test_hex_may_have_0x_and_an_odd_digit(world: Any, client: Any) -> None:
    world.confirmed(world.transfer(world.payee.address, 1))
    block = await client.post("/wallet/getblockbynum", num=2)
    txid = block["transactions"][0]["txID"]

    found = await client.post("/wallet/gettransactionbyid", value="0x" + txid)
    assert found["txID"] == txid
    assert await client.post("/wallet/gettransactionbyid", value="abc") == {}


async def test_a_missing_body_is_a_missing_brace(client: Any) -> None:
    expected = {"Error": PARSE + '1:1: Expected "{".'}
    for path in (
        TRANSFER,
        "/wallet/getblockbynum",
        "/wallet/gettransactioninfobyblocknum",
        "/wallet/getaccount",
        "/walletsolidity/gettransactionbyid",
    ):
        assert (await client.http.post(path)).json() == expected
    for path in ("/wallet/getnowblock", "/wallet/getblock", "/wallet/getchainparameters"):
        assert "Error" not in (await client.http.post(path)).json()


async def test_a_broken_body_is_a_json_exception(client: Any) -> None:
    for body in (b"{", b"nonsense", b'{"num":', b"\xff\xfe", b"[1]", b'"text"'):
        reply = (await client.http.post("/wallet/getblockbynum", content=body)).json()
        assert reply["Error"].startswith("class org.tron.json.JSONException : ")


async def test_a_form_is_read_as_json_or_as_fields(client: Any) -> None:
    head = {"content-type": "application/x-www-form-urlencoded"}
    as_json = await client.http.post("/wallet/getblockbynum", content=b'{"num":1}', headers=head)
    as_fields = await client.http.post(
        "/wallet/getblock", content=b"id_or_num=1&visible=true", headers=head
    )

    assert as_json.json()["block_header"]["raw_data"]["number"] == 1
    raw = as_fields.json()["block_header"]["raw_data"]
    assert (raw["number"], raw["witness_address"][0]) == (1, "T")


@pytest.mark.parametrize("visible", [True, "true", "True"])
async def test_visible_may_be_a_text(client: Any, payer_text: str, visible: Any) -> None:
    account = await client.post("/wallet/getaccount", address=payer_text, visible=visible)

    assert account["address"] == payer_text


@pytest.mark.parametrize(
    "path",
    [
        "/wallet/getNowBlock",
        "/wallet/getreward",
        "/Wallet/getnowblock",
        "/wallet/getnowblock/",
        "/wallet/",
        "/",
        "/wallet/nosuchthing",
        *(
            f"/walletsolidity/{name}"
            for name in (
                "getaccountresource",
                "getaccountnet",
                "getcontract",
                "getchainparameters",
                "validateaddress",
                "createtransaction",
                "triggersmartcontract",
                "freezebalancev2",
                "broadcasttransaction",
                "broadcasthex",
                "getpendingsize",
                "getmemofee",
                "getsignweight",
            )
        ),
    ],
)
async def test_what_is_not_there_is_the_containers_page(client: Any, path: str) -> None:
    response = await client.http.post(path)

    assert response.status_code == 404
    assert response.headers["content-type"] == "text/html;charset=iso-8859-1"
    assert f"<tr><th>URI:</th><td>{path}</td></tr>" in response.text
    as_json = await client.http.post(path, headers={"accept": "application/json, */*"})
    assert as_json.json() == {"url": path, "status": "404", "message": "Not Found"}


async def test_a_path_cannot_write_into_the_page(client: Any) -> None:
    response = await client.http.get("/wallet/<script>")

    assert "<script>" not in response.text


async def test_methods_are_those_of_the_servlets(client: Any) -> None:
    async def answered(method: str, path: str) -> tuple[int, bytes]:
        response = await client.http.request(method, path)
        return response.status_code, response.content

    for path in ("broadcasttransaction", "broadcasthex", "createaccount", "delegateresource"):
        status, page = await answered("GET", f"/wallet/{path}")
        assert status == 405
        assert b"HTTP method GET is not supported by this URL" in page
    for path in ("createtransaction", "getsignweight", "votewitnessaccount", "withdrawbalance"):
        assert await answered("GET", f"/wallet/{path}") == (200, b"")
    for method in ("PUT", "DELETE", "PATCH"):
        assert (await answered(method, "/wallet/getnowblock"))[0] == 405


async def test_a_body_beyond_four_megabytes_is_not_read(client: Any) -> None:
    too_long = b'{"a":"' + b"x" * MAX_BODY_BYTES + b'"}'
    long = b'{"a":"' + b"x" * (MAX_BODY_BYTES - 8) + b'"}'
    path = "/wallet/getblock"

    assert (await client.http.post(path, content=too_long)).status_code == 413
    assert (await client.http.post(path, content=long)).status_code == 200


async def test_64_bit_integers_become_texts_on_request(world: Any, client: Any) -> None:
    world.confirmed(world.transfer(world.payee.address, 7))
    query = "?id_or_num=2&detail=true&int64_as_string=true"
    block = (await client.http.get("/wallet/getblock" + query)).json()
    raw = block["block_header"]["raw_data"]

    assert raw["number"] == "2"
    assert raw["version"] == 32
    value = block["transactions"][0]["raw_data"]["contract"][0]["parameter"]["value"]
    assert value["amount"] == "7"
    asked = {"address": world.payer.address.hex(), "int64_as_string": "true"}
    account = (await client.http.get("/wallet/getaccount", params=asked)).json()
    assert account["balance"] == "9999999993"
    assert account["net_window_optimized"] is True
    assert account["active_permission"][0]["id"] == 2


async def test_the_chain_describes_itself_and_says_that_it_is_a_devnet(
    world: Any, client: Any
) -> None:
    world.mine(20)
    info = await client.post("/wallet/getnodeinfo")
    first = await client.post("/wallet/getblockbynum", num=0)

    assert info["devnet"]["genesisBlockId"] == first["blockID"]
    assert info["devnet"]["chainId"] == int(first["blockID"][-8:], 16)
    assert (info["devnet"]["height"], info["devnet"]["solidHeight"]) == (21, 3)
    assert info["devnet"]["parameters"]["getEnergyFee"] == 100
    assert info["configNodeInfo"]["codeVersion"] == "4.8.2"
    assert info["peerList"] == []
    assert (await client.post("/monitor/getnodeinfo"))["block"] == info["block"]
    for path in ("/wallet/listnodes", "/net/listnodes"):
        assert await client.post(path) == {}


async def test_what_this_chain_has_none_of_is_nothing(client: Any) -> None:
    for name in ("getassetissuelist", "getassetissuebyid", "listexchanges", "getaccountbyid"):
        assert await client.post(f"/wallet/{name}", value="1") == {}
        assert await client.post(f"/walletsolidity/{name}", value="1") == {}
    for name in ("listproposals", "getproposalbyid", "getassetissuebyaccount"):
        assert await client.post(f"/wallet/{name}", id=1) == {}
        assert (await client.http.post(f"/walletsolidity/{name}")).status_code == 404


async def test_prices_are_histories(client: Any) -> None:
    async def prices(name: str) -> str:
        return str((await client.post(f"/wallet/{name}"))["prices"])

    assert (await prices("getenergyprices")).startswith("0:100,")
    assert (await prices("getbandwidthprices")).startswith("0:10,")
    memo = await prices("getmemofee")
    assert memo.startswith("0:0,")
    assert memo.endswith(":1000000")


async def test_json_rpc_tells_where_one_is(world: Any, client: Any) -> None:
    world.mine(4)

    async def asked(method: str) -> Any:
        return await client.post("/jsonrpc", jsonrpc="2.0", id=7, method=method, params=[])

    first = await client.post("/wallet/getblockbynum", num=0)
    chain_id = hex(int(first["blockID"][-8:], 16))
    assert await asked("eth_chainId") == {"jsonrpc": "2.0", "id": 7, "result": chain_id}
    assert (await asked("net_version"))["result"] == chain_id
    assert (await asked("eth_blockNumber"))["result"] == "0x5"
    assert (await asked("web3_clientVersion"))["result"].startswith("TRON/v")
    assert (await asked("eth_mine"))["error"]["code"] == -32601
    batch = await client.http.post("/jsonrpc", json=[{"id": 1, "method": "eth_blockNumber"}, 5])
    assert [each.get("result") for each in batch.json()] == ["0x5", None]
    assert (await client.http.post("/jsonrpc", content=b"{")).json()["error"]["code"] == -32700
    assert (await client.http.get("/jsonrpc")).status_code == 405

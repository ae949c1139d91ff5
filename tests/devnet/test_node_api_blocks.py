from __future__ import annotations

from typing import Any

import pytest

from devnet.json_format import printed_transaction


def numbers(reply: dict[str, Any]) -> list[int]:
    return [each["block_header"]["raw_data"].get("number", 0) for each in reply["block"]]


async def test_the_latest_blocks_come_lowest_first(world: Any, client: Any) -> None:
    world.mine(30)
    path = "/wallet/getblockbylatestnum"

    assert numbers(await client.post(path, num=3)) == [29, 30, 31]
    assert numbers(await client.post("/walletsolidity/getblockbylatestnum", num=2)) == [12, 13]
    assert len((await client.post(path, num=99))["block"]) == 32
    for refused in (0, -1, 100):
        assert await client.post(path, num=refused) == {}


async def test_a_range_is_half_open_and_at_most_a_hundred_blocks(world: Any, client: Any) -> None:
    world.mine(120)
    path = "/wallet/getblockbylimitnext"

    assert numbers(await client.post(path, startNum=5, endNum=8)) == [5, 6, 7]
    assert len((await client.post(path, startNum=0, endNum=100))["block"]) == 100
    for start, end in ((0, 101), (5, 5), (6, 5), (0, 0)):
        assert await client.post(path, startNum=start, endNum=end) == {}
    assert numbers(await client.post(path, startNum=120, endNum=130)) == [120, 121]


async def test_a_block_without_detail_has_no_transactions(world: Any, client: Any) -> None:
    world.confirmed(world.transfer(world.payee.address, 1))
    full = await client.post("/wallet/getblock", id_or_num="2", detail=True)
    assert len(full["transactions"]) == 1
    assert await client.post("/wallet/getblock", id_or_num="2", detail="true") == full
    query = await client.http.get("/wallet/getblock?id_or_num=2&detail=false")
    assert query.json() == {name: full[name] for name in ("blockID", "block_header")}
    assert set(full["block_header"]) == {"raw_data", "witness_signature"}
    assert len(full["block_header"]["witness_signature"]) == 130
    assert full["blockID"].startswith("0000000000000002")
    parent = await client.post("/wallet/getblock", id_or_num="1")
    assert full["block_header"]["raw_data"]["parentHash"] == parent["blockID"]


@pytest.mark.parametrize(
    ("id_or_num", "error"),
    [
        ("-1", "num must be non-positive number."),
        ("ab", "id must be legal block hash."),
        ("zz" * 32, "id must be legal block hash."),
        ("ff" * 32, "id must be legal block hash."),
        ("12345678901234567890", "id must be legal block hash."),
    ],
)
async def test_getblock_says_what_is_wrong_without_a_java_class(
    client: Any, id_or_num: str, error: str
) -> None:
    assert await client.post("/wallet/getblock", id_or_num=id_or_num) == {"Error": error}


async def test_an_id_of_a_block_that_was_not_made_is_nothing(client: Any) -> None:
    foreign = "0000000000000001" + "ab" * 24

    assert await client.post("/wallet/getblock", id_or_num=foreign) == {}
    assert await client.post("/wallet/getblockbyid", value=foreign) == {}


async def test_counts_are_told_for_empty_and_unknown_blocks_too(world: Any, client: Any) -> None:
    path = "/wallet/gettransactioncountbyblocknum"
    world.confirmed(world.transfer(world.payee.address, 1))

    assert await client.post(path, num=2) == {"count": 1}
    assert await client.post(path, num=1) == {"count": 0}
    assert await client.post(path, num=99) == {"count": 0}
    assert (await client.http.get(path + "?num=2")).json() == {"count": 1}


async def test_a_query_without_a_height_is_the_first_block_or_an_error(client: Any) -> None:
    first = (await client.http.get("/wallet/getblockbynum")).json()
    missing = (await client.http.get("/wallet/gettransactioninfobyblocknum")).json()
    bad = (await client.http.get("/wallet/getblockbynum?num=x")).json()

    assert first["blockID"].startswith("0000000000000000")
    assert missing == {"Error": "class java.lang.NumberFormatException : null"}
    assert bad == {"Error": 'class java.lang.NumberFormatException : For input string: "x"'}


async def test_now_looks_for_visible_in_the_query_alone(client: Any) -> None:
    body = await client.post("/wallet/getnowblock", visible=True)
    query = (await client.http.post("/wallet/getnowblock?visible=true")).json()

    assert body["block_header"]["raw_data"]["witness_address"].startswith("41")
    assert query["block_header"]["raw_data"]["witness_address"].startswith("T")


async def test_blocks_above_the_solid_height_do_not_exist_for_the_solid_tree(
    world: Any, client: Any
) -> None:
    world.mine(40)
    number = world.node.chain.solid_number + 1

    for path, body in (
        ("getblockbynum", {"num": number}),
        ("getblock", {"id_or_num": str(number)}),
    ):
        assert await client.post(f"/walletsolidity/{path}", **body) == {}
        assert await client.post(f"/wallet/{path}", **body) != {}
    solid = await client.post("/walletsolidity/getblockbylimitnext", startNum=20, endNum=90)
    assert numbers(solid) == list(range(20, number))


async def test_a_cached_block_is_the_same_block_in_both_forms(world: Any, client: Any) -> None:
    transaction = world.transfer(world.payee.address, 1)
    world.confirmed(transaction)
    shown = [
        await client.post("/wallet/getblockbynum", num=2, visible=visible)
        for visible in (False, True, False, True)
    ]

    assert shown[0] == shown[2]
    assert shown[1] == shown[3]
    plain = printed_transaction(transaction, visible=False)
    assert shown[0]["transactions"][0] == {"ret": [{"contractRet": "SUCCESS"}], **plain}

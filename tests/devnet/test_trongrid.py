"""The v1 facade: envelopes, histories by address, events, pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from devnet.address import to_base58
from devnet.contracts.usdt import USDT_CONTRACT, USDT_CONTRACT_ADDRESS
from devnet.forks import Fate
from devnet.genesis import CUSTOMERS
from devnet.trongrid.index import AddressIndex, Kind, unpacked

PAYER, PAYEE = (to_base58(CUSTOMERS[number].key.address) for number in (0, 1))


async def got(client: Any, path: str, **params: Any) -> Any:
    response = await client.http.get(path, params=params)
    assert response.status_code == 200
    document = response.json()
    assert document["success"] is True
    assert document["meta"]["page_size"] == len(document["data"])
    return document


async def refused(client: Any, path: str, status: int = 400, **params: Any) -> str:
    response = await client.http.get(path, params=params)
    document = response.json()
    assert response.status_code == document["statusCode"] == status
    assert document["success"] is False
    return str(document["error"])


def values(document: Any) -> list[int]:
    return [int(item["value"]) for item in document["data"]]


def paid(world: Any, *amounts: int) -> None:
    """One block for each payment in USDT."""
    for amount in amounts:
        world.confirmed(world.usdt("transfer", world.payee.address, amount))


async def test_an_account_comes_in_hex_with_its_tokens(world: Any, client: Any) -> None:
    document = await got(client, f"/v1/accounts/{PAYER}")
    account = await client.post("/wallet/getaccount", address=world.payer.address.hex())

    assert document["data"] == [{**account, "trc20": [{USDT_CONTRACT: "10000000000"}]}]
    assert document["meta"] == {"at": world.node.clock.now_ms(), "page_size": 1}
    by_hex = await got(client, f"/v1/accounts/{world.payer.address.hex()}")
    by_0x = await got(client, f"/v1/accounts/0x{world.payer.address[1:].hex()}")
    assert by_hex["data"] == by_0x["data"] == document["data"]


async def test_an_account_without_trx_is_empty_whatever_tokens_it_holds(
    world: Any, client: Any
) -> None:
    world.confirmed(world.usdt("transfer", world.stranger.address, 5))

    stranger = to_base58(world.stranger.address)
    assert (await got(client, f"/v1/accounts/{stranger}"))["data"] == []
    transfers = await got(client, f"/v1/accounts/{stranger}/transactions/trc20")
    assert values(transfers) == [5]


async def test_only_confirmed_accounts_are_those_of_the_solid_block(
    world: Any, client: Any
) -> None:
    paid(world, 7)
    path = f"/v1/accounts/{PAYER}"

    newest = (await got(client, path))["data"][0]
    solid = (await got(client, path, only_confirmed="true"))["data"][0]
    assert newest["trc20"] == [{USDT_CONTRACT: str(10**10 - 7)}]
    assert solid["trc20"] == [{USDT_CONTRACT: str(10**10)}]
    assert newest["balance"] < solid["balance"]


async def test_a_transaction_has_exactly_these_fields(world: Any, client: Any) -> None:
    info = world.confirmed(world.usdt("transfer", world.payee.address, 5))
    document = await got(client, f"/v1/accounts/{PAYER}/transactions")
    plain = await client.post("/wallet/gettransactionbyid", value=info.id.hex())

    assert document["data"] == [
        {
            "ret": [{"contractRet": "SUCCESS", "fee": info.fee}],
            "signature": plain["signature"],
            "txID": info.id.hex(),
            "net_usage": 345,
            "raw_data_hex": plain["raw_data_hex"],
            "net_fee": 0,
            "energy_usage": 0,
            "blockNumber": 2,
            "block_timestamp": info.blockTimeStamp,
            "energy_fee": 6_428_500,
            "energy_usage_total": 64_285,
            "raw_data": plain["raw_data"],
            "internal_transactions": [],
        }
    ]


async def test_transactions_are_found_from_both_sides(world: Any, client: Any) -> None:
    world.confirmed(world.transfer(world.payee.address, 1))
    world.confirmed(world.transfer(world.payer.address, 2, by=world.payee))
    path = f"/v1/accounts/{PAYER}/transactions"

    async def amounts(**params: Any) -> list[int]:
        document = await got(client, path, **params)
        contracts = [item["raw_data"]["contract"][0] for item in document["data"]]
        return [each["parameter"]["value"]["amount"] for each in contracts]

    assert await amounts() == [2, 1]
    assert await amounts(order_by="block_timestamp,asc") == [1, 2]
    assert await amounts(only_from="true") == [1]
    assert await amounts(only_to="true") == [2]
    assert await amounts(onlyTo="true", orderBy="block_timestamp,asc") == [2]


async def test_a_failed_transaction_is_listed_and_moves_no_token(world: Any, client: Any) -> None:
    world.confirmed(world.usdt("transfer", world.payee.address, 10**15))

    transactions = await got(client, f"/v1/accounts/{PAYER}/transactions")
    assert transactions["data"][0]["ret"][0]["contractRet"] == "REVERT"
    assert (await got(client, f"/v1/accounts/{PAYER}/transactions/trc20"))["data"] == []


async def test_a_token_transfer_has_exactly_these_fields(world: Any, client: Any) -> None:
    info = world.confirmed(world.usdt("transfer", world.payee.address, 5))
    for of in (PAYER, PAYEE):
        document = await got(client, f"/v1/accounts/{of}/transactions/trc20")
        assert document["data"] == [
            {
                "transaction_id": info.id.hex(),
                "token_info": {
                    "symbol": "USDT",
                    "address": USDT_CONTRACT,
                    "decimals": 6,
                    "name": "Tether USD",
                },
                "block_timestamp": info.blockTimeStamp,
                "from": PAYER,
                "to": PAYEE,
                "type": "Transfer",
                "value": "5",
            }
        ]


async def test_approvals_and_nothings_are_among_the_token_transfers(
    world: Any, client: Any
) -> None:
    world.confirmed(world.usdt("approve", world.payee.address, 9))
    world.confirmed(world.usdt("transfer", world.payee.address, 0))
    document = await got(client, f"/v1/accounts/{PAYEE}/transactions/trc20")

    assert [(item["type"], item["value"]) for item in document["data"]] == [
        ("Transfer", "0"),
        ("Approval", "9"),
    ]


async def test_token_transfers_can_be_chosen_by_side_and_contract(world: Any, client: Any) -> None:
    paid(world, 1)
    world.confirmed(world.usdt("transfer", world.payer.address, 2, by=world.payee))
    path = f"/v1/accounts/{PAYER}/transactions/trc20"

    assert values(await got(client, path)) == [2, 1]
    assert values(await got(client, path, only_to="true")) == [2]
    assert values(await got(client, path, only_from="true")) == [1]
    assert values(await got(client, path, contract_address=USDT_CONTRACT)) == [2, 1]
    assert values(await got(client, path, contract_address=PAYEE)) == []


async def test_finality_and_time_bound_a_history(world: Any, client: Any) -> None:
    paid(world, 1)
    first_ms = world.node.chain.head.time_ms
    world.mine(18)
    paid(world, 2)
    second_ms = world.node.chain.head.time_ms
    path = f"/v1/accounts/{PAYEE}/transactions/trc20"

    assert values(await got(client, path)) == [2, 1]
    assert values(await got(client, path, only_confirmed="true")) == [1]
    assert values(await got(client, path, only_unconfirmed="true")) == [2]
    assert values(await got(client, path, min_timestamp=second_ms)) == [2]
    assert values(await got(client, path, min_timestamp=second_ms + 1)) == []
    assert values(await got(client, path, max_timestamp=first_ms)) == [1]
    assert values(await got(client, path, max_timestamp=first_ms - 1)) == []
    assert values(await got(client, path, min_timestamp=first_ms, max_timestamp=second_ms)) == [
        2,
        1,
    ]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_are_whole_and_stay_so_while_the_chain_grows(
    world: Any, client: Any, order: str
) -> None:
    paid(world, *range(1, 8))
    path = f"/v1/accounts/{PAYEE}/transactions/trc20"
    params: dict[str, Any] = {"limit": 3, "order_by": f"block_timestamp,{order}"}
    seen: list[int] = []
    page = await got(client, path, **params)
    while True:
        seen += values(page)
        fingerprint = page["meta"].get("fingerprint")
        if fingerprint is None:
            break
        paid(world, 100)
        page = await got(client, path, **params, fingerprint=fingerprint)

    wanted = [1, 2, 3, 4, 5, 6, 7]
    assert [value for value in seen if value != 100] == (wanted if order == "asc" else wanted[::-1])
    assert seen.count(100) == (0 if order == "desc" else len(seen) - 7)


async def test_two_transfers_of_one_block_are_not_lost_between_pages(
    world: Any, client: Any
) -> None:
    for amount in (1, 2, 3):
        world.node.broadcast(world.usdt("transfer", world.payee.address, amount))
    world.mine()
    path = f"/v1/accounts/{PAYEE}/transactions/trc20"
    first = await got(client, path, limit=1)
    second = await got(client, path, limit=1, fingerprint=first["meta"]["fingerprint"])
    third = await got(client, path, limit=1, fingerprint=second["meta"]["fingerprint"])

    assert [*values(first), *values(second), *values(third)] == [3, 2, 1]
    assert "fingerprint" not in third["meta"]


async def test_the_link_leads_to_the_next_page(world: Any, client: Any) -> None:
    paid(world, 1, 2)
    page = await got(client, f"/v1/accounts/{PAYEE}/transactions/trc20", limit=1)
    link = urlsplit(page["meta"]["links"]["next"])
    following = await client.http.get(f"{link.path}?{link.query}")

    assert link.netloc == "node"
    assert values(following.json()) == [1]


async def test_a_fingerprint_is_good_for_its_own_parameters_alone(world: Any, client: Any) -> None:
    paid(world, 1, 2, 3)
    path = f"/v1/accounts/{PAYEE}/transactions/trc20"
    fingerprint = (await got(client, path, limit=1))["meta"]["fingerprint"]

    assert values(await got(client, path, limit=1, fingerprint=fingerprint)) == [2]
    for changed in ({"limit": 2}, {"limit": 1, "only_to": "true"}, {}):
        error = await refused(client, path, fingerprint=fingerprint, **changed)
        assert error == "invalid fingerprint"
    other = f"/v1/accounts/{PAYER}/transactions/trc20"
    assert await refused(client, other, limit=1, fingerprint=fingerprint) == "invalid fingerprint"
    for nonsense in ("0", "abc", "I0l", fingerprint + "1"):
        assert await refused(client, path, limit=1, fingerprint=nonsense) == "invalid fingerprint"


async def test_a_page_has_20_items_and_never_more_than_200(world: Any, client: Any) -> None:
    for amount in range(205):
        world.node.broadcast(world.transfer(world.payee.address, amount + 1))
    world.mine()
    path = f"/v1/accounts/{PAYEE}/transactions"

    assert (await got(client, path))["meta"]["page_size"] == 20
    assert (await got(client, path, limit=200))["meta"]["page_size"] == 200
    most = await got(client, path, limit=1_000)
    assert most["meta"]["page_size"] == 200
    rest = await got(client, path, limit=1_000, fingerprint=most["meta"]["fingerprint"])
    assert rest["meta"]["page_size"] == 5


@pytest.mark.parametrize(
    ("path", "params", "error"),
    [
        ("/v1/accounts/nobody", {}, "A valid account address is required."),
        ("/v1/accounts/nobody/transactions", {}, "A valid account address is required."),
        (f"/v1/accounts/{PAYER}/transactions", {"limit": "many"}, "limit must be a number"),
        (f"/v1/accounts/{PAYER}/transactions", {"limit": "0"}, "limit must be a number"),
        (
            f"/v1/accounts/{PAYER}/transactions",
            {"min_timestamp": "-1"},
            "min_timestamp must be a number",
        ),
        (
            f"/v1/accounts/{PAYER}/transactions",
            {"order_by": "amount,asc"},
            "order_by must be block_timestamp,asc or block_timestamp,desc",
        ),
        (
            f"/v1/accounts/{PAYER}/transactions/trc20",
            {"contract_address": "x"},
            "A valid contract_address is required.",
        ),
        ("/v1/contracts/x/events", {}, "A valid contract address is required."),
        ("/v1/transactions/x/events", {}, "A valid transaction id is required."),
        ("/v1/blocks/x/events", {}, "A valid block number is required."),
        (f"/v1/blocks/{'9' * 5_000}/events", {}, "A valid block number is required."),
        ("/v1/blocks/latest/events", {"limit": "9" * 5_000}, "limit must be a number"),
    ],
)
async def test_nonsense_is_refused(
    client: Any, path: str, params: dict[str, Any], error: str
) -> None:
    assert await refused(client, path, **params) == error


async def test_other_paths_and_methods_are_not_found(client: Any) -> None:
    for path in ("/v1", "/v1/", "/v1/accounts", f"/v1/accounts/{PAYER}/nothing", "/v1/assets/1"):
        assert await refused(client, path, status=404) == "Not Found"
    response = await client.http.post(f"/v1/accounts/{PAYER}")
    assert response.json() == {"success": False, "error": "Not Found", "statusCode": 404}


async def test_a_gateway_says_that_it_is_there(client: Any) -> None:
    assert (await client.http.get("/healthcheck")).status_code == 200


async def test_an_event_has_exactly_these_fields(world: Any, client: Any) -> None:
    info = world.confirmed(world.usdt("transfer", world.payee.address, 5))
    event = {
        "block_number": 2,
        "block_timestamp": info.blockTimeStamp,
        "caller_contract_address": USDT_CONTRACT,
        "contract_address": USDT_CONTRACT,
        "event_index": 0,
        "event_name": "Transfer",
        "result": {
            "0": f"0x{world.payer.address[1:].hex()}",
            "1": f"0x{world.payee.address[1:].hex()}",
            "2": "5",
            "from": f"0x{world.payer.address[1:].hex()}",
            "to": f"0x{world.payee.address[1:].hex()}",
            "value": "5",
        },
        "result_type": {"from": "address", "to": "address", "value": "uint256"},
        "event": "Transfer(address indexed from, address indexed to, uint256 value)",
        "transaction_id": info.id.hex(),
        "_unconfirmed": True,
    }
    for path in (
        f"/v1/contracts/{USDT_CONTRACT}/events",
        f"/v1/transactions/{info.id.hex()}/events",
        "/v1/blocks/2/events",
        "/v1/blocks/latest/events",
    ):
        assert (await got(client, path))["data"] == [event]
        assert (await got(client, path, only_confirmed="true"))["data"] == []
    world.mine(18)
    del event["_unconfirmed"]
    confirmed = await got(client, "/v1/blocks/2/events", only_confirmed="true")
    assert confirmed["data"] == [event]
    assert (await got(client, "/v1/blocks/latest/events"))["data"] == []
    assert (await got(client, "/v1/blocks/99/events"))["data"] == []
    assert (await got(client, f"/v1/transactions/{'ab' * 32}/events"))["data"] == []


async def test_events_of_a_contract_can_be_chosen(world: Any, client: Any) -> None:
    paid(world, 1)
    world.confirmed(world.usdt("approve", world.payee.address, 9))
    time_ms = world.node.chain.head.time_ms
    paid(world, 2)
    path = f"/v1/contracts/{USDT_CONTRACT}/events"

    async def names(**params: Any) -> list[str]:
        return [item["event_name"] for item in (await got(client, path, **params))["data"]]

    assert await names() == ["Transfer", "Approval", "Transfer"]
    assert await names(event_name="Approval") == ["Approval"]
    assert await names(block_number=3) == ["Approval"]
    assert await names(min_block_timestamp=time_ms) == ["Transfer", "Approval"]
    assert await names(max_block_timestamp=time_ms) == ["Approval", "Transfer"]
    assert await names(eventName="Transfer", limit=1) == ["Transfer"]


async def test_events_of_a_block_are_in_their_order_and_in_pages(world: Any, client: Any) -> None:
    for amount in (1, 2, 3):
        world.node.broadcast(world.usdt("transfer", world.payee.address, amount))
    world.mine()
    first = await got(client, "/v1/blocks/2/events", limit=2)
    rest = await got(
        client, "/v1/blocks/2/events", limit=2, fingerprint=first["meta"]["fingerprint"]
    )

    assert [each["result"]["value"] for each in first["data"]] == ["1", "2"]
    assert [each["result"]["value"] for each in rest["data"]] == ["3"]


async def test_what_a_reorganisation_took_back_is_gone_from_histories(
    world: Any, client: Any
) -> None:
    world.mine(20)
    paid(world, 1, 2)
    path = f"/v1/accounts/{PAYEE}/transactions/trc20"
    assert values(await got(client, path)) == [2, 1]

    world.node.reorganise(2, fate=Fate.DROP)
    assert values(await got(client, path)) == []
    paid(world, 3)
    assert values(await got(client, path)) == [3]
    world.mine(40)
    assert values(await got(client, path, only_confirmed="true")) == [3]


async def test_the_index_forgets_the_older_half_when_it_is_full(world: Any) -> None:
    index = AddressIndex(world.node, capacity=200)
    paid(world, *range(1, 60))
    await index.catch_up()
    heights = range(world.node.chain.head.number + 1)
    kept = index.places(Kind.TOKEN, world.payee.address, heights)
    of_contract = index.places(Kind.EVENT, USDT_CONTRACT_ADDRESS, heights)

    assert 0 < len(kept) < 59
    assert unpacked(kept[-1]).height == world.node.chain.head.number
    assert list(kept) == list(of_contract)
    await index.catch_up()
    assert index.places(Kind.TOKEN, world.payee.address, heights) == kept


async def test_a_history_is_the_same_however_often_it_is_followed(world: Any) -> None:
    early, late = AddressIndex(world.node), AddressIndex(world.node)
    for number in range(1, 30):
        paid(world, number)
        await early.catch_up()
        if number % 7 == 0:
            depth = world.node.chain.head.number - world.node.chain.solid_number
            fate = Fate.DROP if number % 2 else Fate.REORDER
            world.node.reorganise(min(depth, 3), fate=fate)
    await early.catch_up()
    await late.catch_up()

    heights = range(world.node.chain.head.number + 1)
    for kind, address in (
        (Kind.TRANSACTION, world.payer.address),
        (Kind.TOKEN, world.payee.address),
        (Kind.EVENT, USDT_CONTRACT_ADDRESS),
    ):
        places = early.places(kind, address, heights)
        assert len(places) > 0
        assert places == late.places(kind, address, heights)


async def test_a_node_that_lags_shows_shorter_histories(world: Any, client: Any) -> None:
    paid(world, 1, 2, 3)
    path = f"/v1/accounts/{PAYEE}/transactions/trc20"
    assert values(await got(client, path)) == [3, 2, 1]

    world.node.lag(2)
    assert values(await got(client, path)) == [1]
    world.node.lag(0)
    assert values(await got(client, path)) == [3, 2, 1]

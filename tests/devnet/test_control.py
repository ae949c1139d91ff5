from __future__ import annotations

from typing import Any

import pytest

from devnet.address import to_base58
from devnet.contracts.storage import read_slot
from devnet.contracts.usdt import USDT_CONTRACT_ADDRESS
from devnet.json_format import printed_transaction


async def order(control: Any, at: str, **body: Any) -> Any:
    response = await control.post(at, json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_the_faucet_sends_real_transactions(world: Any, control: Any) -> None:
    address = to_base58(world.stranger.address)
    reply = await order(control, "/devnet/faucet", address=address, trx="100", usdt="0.5")
    world.mine()

    assert len(reply["txids"]) == 2
    assert all(world.node.chain.height_of(bytes.fromhex(each)) for each in reply["txids"])
    assert world.balance_sun(world.stranger.address) == 100_000_000
    assert world.usdt_micro(world.stranger.address) == 500_000


async def test_two_equal_transfers_are_two_transactions(world: Any, control: Any) -> None:
    body = {"from": "customer-1", "to": "customer-2", "amount": "12.5", "currency": "USDT"}
    first = await order(control, "/devnet/transfer", **body)
    second = await order(control, "/devnet/transfer", **body)
    world.mine()

    assert first["txid"] != second["txid"]
    assert world.usdt_micro(world.payee.address) == 10_025_000_000


async def test_the_accounts_come_with_their_keys(world: Any, control: Any) -> None:
    accounts = (await control.get("/devnet/accounts")).json()["accounts"]

    assert [each["name"] for each in accounts][:2] == ["faucet", "customer-1"]
    assert accounts[1] == {
        "name": "customer-1",
        "address": to_base58(world.payer.address),
        "private_key": world.payer.secret.hex(),
    }


async def test_time_is_moved_by_hand(control: Any) -> None:
    before = (await control.get("/devnet/clock")).json()
    jumped = await order(control, "/devnet/jump", seconds=3600)
    mined = await order(control, "/devnet/mine", blocks=3)
    faster = await order(control, "/devnet/speed", speed=50)

    assert jumped["now_ms"] == before["now_ms"] + 3_600_000
    assert mined["head"]["number"] == before["head"]["number"] + 3
    assert mined["now_ms"] == mined["head"]["timestamp_ms"]
    assert faster["speed"] == 50


async def test_usdt_and_parameters_change_with_the_next_block(
    world: Any, control: Any, client: Any
) -> None:
    await order(control, "/devnet/usdt/blacklist", address="customer-1", listed=True)
    await order(control, "/devnet/usdt/pause", paused=True)
    await order(control, "/devnet/parameters", getEnergyFee=210)
    world.mine()

    state = world.node.chain.ledger.head
    assert read_slot(state, USDT_CONTRACT_ADDRESS, "blacklisted", world.payer.address) == 1
    assert read_slot(state, USDT_CONTRACT_ADDRESS, "paused") == 1
    assert state.parameter("getEnergyFee") == 210
    assert (await client.post("/wallet/getenergyprices"))["prices"].endswith(":210")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/devnet/faucet", {"address": "customer-1"}),
        ("/devnet/faucet", {"address": "T", "trx": "1"}),
        ("/devnet/faucet", {"address": "customer-1", "trx": 1}),
        ("/devnet/faucet", {"address": "customer-1", "trx": "0.0000001"}),
        ("/devnet/faucet", {"address": "customer-1", "trx": "-1"}),
        ("/devnet/faucet", {"address": "customer-1", "trx": "0"}),
        ("/devnet/transfer", {"from": "x", "to": "faucet", "amount": "1", "currency": "TRX"}),
        (
            "/devnet/transfer",
            {"from": "customer-1", "to": "faucet", "amount": "1", "currency": "EUR"},
        ),
        (
            "/devnet/transfer",
            {"from": "customer-1", "to": "faucet", "amount": "999999", "currency": "TRX"},
        ),
        ("/devnet/mine", {"blocks": 0}),
        ("/devnet/speed", {"speed": -1}),
        ("/devnet/jump", {"seconds": -1}),
        ("/devnet/usdt/pause", {"paused": "yes"}),
        ("/devnet/parameters", {"getNothing": 1}),
        ("/devnet/faults", {"kind": "nonsense"}),
        ("/devnet/faults", {"kind": "reorg", "depth": 99}),
    ],
)
async def test_an_unclear_order_is_refused_with_a_reason(
    control: Any, path: str, body: dict[str, Any]
) -> None:
    response = await control.post(path, json=body)

    assert response.status_code == 400
    assert response.json()["error"]


async def test_a_dropped_transaction_is_accepted_and_never_included(
    world: Any, control: Any
) -> None:
    await order(control, "/devnet/faults", kind="drop_transaction", count=1)
    dropped = world.node.broadcast(world.transfer(world.payee.address, 1))
    kept = world.node.broadcast(world.transfer(world.payee.address, 2))
    world.mine()

    assert world.node.chain.height_of(dropped.txid) is None
    assert world.node.chain.height_of(kept.txid) is not None
    world.node.broadcast(dropped.transaction)
    world.mine()
    assert world.node.chain.height_of(dropped.txid) is not None


async def test_a_waiting_transaction_can_be_dropped_by_its_id(world: Any, control: Any) -> None:
    waiting = world.node.broadcast(world.transfer(world.payee.address, 1))
    await order(control, "/devnet/faults", kind="drop_transaction", txid=waiting.txid.hex())
    world.mine()

    assert world.node.chain.height_of(waiting.txid) is None


async def test_a_path_fails_as_often_as_it_was_told(control: Any, client: Any) -> None:
    path = "/wallet/getnowblock"
    await order(control, "/devnet/faults", kind="status", path=path, status=403, count=2)
    await order(control, "/devnet/faults", kind="empty_reply", path=path)

    statuses = [await client.http.post(path) for _ in range(4)]

    assert [each.status_code for each in statuses] == [403, 403, 200, 200]
    assert "suspended for 5 s" in statuses[0].json()["Error"]
    assert statuses[2].json() == {}
    assert statuses[3].json()["blockID"]
    assert (await control.get("/devnet/faults")).json() == {"faults": []}


async def test_faults_are_listed_and_disarmed(control: Any) -> None:
    await order(control, "/devnet/faults", kind="reply_lost", count=3)
    listed = (await control.get("/devnet/faults")).json()["faults"]

    assert (listed[0]["kind"], listed[0]["left"]) == ("reply_lost", 3)
    assert (await control.delete("/devnet/faults")).json() == {"faults": []}


async def test_a_reorganisation_is_ordered_at_once(world: Any, control: Any) -> None:
    world.mine(5)
    info = world.confirmed(world.transfer(world.payee.address, 1))
    reply = await order(control, "/devnet/faults", kind="reorg", depth=2)

    assert reply["returned_txids"] == [info.id.hex()]
    assert reply["head"]["number"] == info.blockNumber + 1


async def test_requests_are_counted(world: Any, control: Any, client: Any) -> None:
    await client.post("/wallet/getnowblock")
    body = printed_transaction(world.transfer(world.payee.address, 1), visible=False)
    await client.post("/wallet/broadcasttransaction", **body)

    assert (await control.get("/devnet/requests")).json() == {
        "total": 2,
        "paths": {"/wallet/getnowblock": 1, "/wallet/broadcasttransaction": 1},
    }
    assert (await control.delete("/devnet/requests")).json() == {"total": 0, "paths": {}}

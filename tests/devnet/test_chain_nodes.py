from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from devnet.api.app import NodeApi
from devnet.app import FollowerSeat, assemble, running
from devnet.blocks import txid_of
from devnet.faults import Faults
from devnet.forks import Fate
from devnet.lagging import MAX_LAG_BLOCKS
from devnet.node import Node
from devnet.rejection import Code, RejectedError
from devnet.settings import Follower, Settings


def seated(world: Any, *, gossips: bool = True) -> FollowerSeat:
    """A second node on the chain of the first."""
    faults = Faults()
    node = Node(chain=world.node.main, clock=world.node.clock, faults=faults)
    if gossips:
        node.peers.append(world.node)
        world.node.peers.append(node)
    return FollowerSeat(node=node, app=NodeApi(node=node, faults=faults), faults=faults, port=0)


@pytest.fixture
def follower(world: Any) -> FollowerSeat:
    return seated(world)


@pytest.fixture
async def second(follower: FollowerSeat) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=follower.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://second") as http:
        yield http


async def asked(http: httpx.AsyncClient, path: str, **body: Any) -> Any:
    return (await http.post(path, json=body)).json()


async def heights(http: httpx.AsyncClient) -> tuple[int, int]:
    head = await asked(http, "/wallet/getnowblock")
    solid = await asked(http, "/walletsolidity/getnowblock")
    return (
        head["block_header"]["raw_data"]["number"],
        solid["block_header"]["raw_data"].get("number", 0),
    )


async def test_a_second_node_shows_the_same_chain(world: Any, second: Any, client: Any) -> None:
    world.mine(40)

    assert await heights(second) == (41, 23)
    assert await asked(second, "/wallet/getnowblock") == await client.post("/wallet/getnowblock")


async def test_a_node_that_lags_knows_nothing_of_the_last_blocks(
    world: Any, follower: Any, second: Any, client: Any
) -> None:
    """H1: absence on a node that is behind proves nothing."""
    world.mine(40)
    info = world.confirmed(world.transfer(world.stranger.address, 7))
    world.mine(19)
    follower.node.lag(20)

    assert await heights(second) == (41, 23)
    txid = info.id.hex()
    for tree in ("/wallet", "/walletsolidity"):
        path = f"{tree}/gettransactioninfobyid"
        assert await asked(second, path, value=txid) == {}
        assert (await client.post(path, value=txid))["id"] == txid
    assert await asked(second, "/wallet/getblockbynum", num=info.blockNumber) == {}
    account = {"address": world.stranger.address.hex()}
    assert await asked(second, "/wallet/getaccount", **account) == {}
    world.mine()
    assert (await asked(second, "/wallet/getaccount", **account))["balance"] == 7
    assert await asked(second, "/walletsolidity/getaccount", **account) == {}
    follower.node.lag(0)
    assert (await asked(second, "/walletsolidity/getaccount", **account))["balance"] == 7


async def test_a_head_can_go_back_and_forward_again(world: Any, client: Any) -> None:
    """H2, H8: a client of a balanced cluster sees heights go backwards."""
    world.mine(40)

    async def seen() -> tuple[int, int]:
        return await heights(client.http)

    before = await seen()
    world.node.lag(5)
    behind = await seen()
    world.node.lag(0)

    assert before == (41, 23)
    assert behind == (36, 18)
    assert await seen() == before


def test_a_lagging_node_has_the_state_of_every_height(world: Any, follower: Any) -> None:
    """The states of the past are those of a chain that was stopped there."""
    seen: dict[int, tuple[Any, Any]] = {}
    for amount_sun in range(1, MAX_LAG_BLOCKS + 30):
        world.confirmed(world.transfer(world.payee.address, amount_sun))
        chain = world.node.chain
        seen[chain.head.number] = (
            chain.ledger.head.account(world.payee.address),
            chain.ledger.solid.account(world.payee.address),
        )

    for blocks in range(MAX_LAG_BLOCKS + 1):
        follower.node.lag(blocks)
        ledger = follower.node.chain.ledger
        known = tuple(each.account(world.payee.address) for each in (ledger.head, ledger.solid))
        assert known == seen[follower.node.chain.head.number]


def test_states_are_remembered_when_much_becomes_solid_at_once(world: Any, follower: Any) -> None:
    world.mine(60)
    world.node.stall_solid()
    world.mine(150)
    stalled = world.node.chain.solid_number
    world.node.resume()
    world.mine(40)
    assert world.node.chain.solid_number > stalled + 100

    follower.node.lag(40)

    assert follower.node.chain.solid_number <= stalled + 9
    assert follower.node.chain.ledger.solid.account(world.payer.address) is not None


def test_nobody_lags_further_than_states_are_remembered(follower: Any) -> None:
    with pytest.raises(ValueError, match=f"0 to {MAX_LAG_BLOCKS}"):
        follower.node.lag(MAX_LAG_BLOCKS + 1)
    with pytest.raises(ValueError, match="0 to"):
        follower.node.lag(-1)


def test_transactions_travel_between_nodes(world: Any, follower: Any) -> None:
    here = world.node.broadcast(world.transfer(world.payee.address, 1))
    there = follower.node.broadcast(world.transfer(world.payee.address, 2))

    for node in (world.node, follower.node):
        assert node.pool.txids() == [here.txid, there.txid]
    world.mine()
    assert world.node.chain.height_of(there.txid) == world.node.chain.head.number
    assert len(follower.node.pool) == 0


def test_a_node_without_peers_keeps_its_transactions_to_itself(world: Any) -> None:
    """A broadcast that one node accepts may never reach a witness."""
    lonely = seated(world, gossips=False).node
    item = lonely.broadcast(world.transfer(world.payee.address, 1))

    world.mine(3)

    assert world.node.chain.height_of(item.txid) is None
    assert lonely.pool.get(item.txid) is not None
    world.node.clock.jump(61_000)
    world.mine()
    assert lonely.pool.get(item.txid) is None


def test_a_lagging_node_judges_by_what_it_sees(world: Any, follower: Any) -> None:
    world.mine(30)
    head = world.node.chain.head.block_id
    transaction = world.transfer(world.payee.address, 1)
    transaction.raw_data.ref_block_bytes = head[6:8]
    transaction.raw_data.ref_block_hash = head[8:16]
    transaction = world.signed(transaction, world.payer)
    follower.node.lag(3)

    with pytest.raises(RejectedError) as caught:
        follower.node.broadcast(transaction)

    assert caught.value.code is Code.TAPOS_ERROR
    world.node.broadcast(transaction)


def test_a_transaction_in_a_block_is_unknown_to_a_node_that_has_not_got_it(
    world: Any, follower: Any
) -> None:
    world.mine(30)
    transaction = world.transfer(world.payee.address, 1)
    world.confirmed(transaction)
    follower.node.lag(2)

    assert follower.node.chain.height_of(txid_of(transaction)) is None


async def test_a_node_on_the_losing_branch_shows_what_never_was(
    world: Any, follower: Any, second: Any, client: Any
) -> None:
    """H9: one node can tell a consistent story that the network does not share."""
    world.mine(30)
    world.confirmed(world.transfer(world.payee.address, 1))
    branch = world.node.fork(1)
    invented = world.transfer(world.stranger.address, 500)
    world.node.extend(branch, [invented])

    follower.node.follow(branch)

    txid = txid_of(invented).hex()
    told = await asked(second, "/wallet/gettransactioninfobyid", value=txid)
    assert told["blockNumber"] == world.node.chain.head.number
    account = {"address": world.stranger.address.hex()}
    assert (await asked(second, "/wallet/getaccount", **account))["balance"] == 500
    assert await client.post("/wallet/gettransactioninfobyid", value=txid) == {}
    assert (await heights(second))[0] == world.node.chain.head.number
    first = await asked(second, "/wallet/getblockbynum", num=30)
    assert first == await client.post("/wallet/getblockbynum", num=30)

    follower.node.follow(world.node.main)
    assert await asked(second, "/wallet/getaccount", **account) == {}


def test_all_nodes_follow_a_reorganisation(world: Any, follower: Any) -> None:
    world.mine(30)
    info = world.confirmed(world.transfer(world.payee.address, 1))

    world.node.reorganise(1, fate=Fate.DROP)

    assert follower.node.chain.head == world.node.chain.head
    assert follower.node.chain.height_of(info.id) is None
    assert follower.node.pending_state.account(world.payee.address) == (
        world.node.pending_state.account(world.payee.address)
    )


def test_a_lagging_view_takes_part_in_a_reorganisation(world: Any, follower: Any) -> None:
    world.mine(30)
    follower.node.lag(1)
    seen = follower.node.chain.head

    world.node.reorganise(3, fate=Fate.WAIT)

    assert follower.node.chain.head.number == seen.number + 1
    assert follower.node.chain.block_id(seen.number) != seen.block_id
    assert follower.node.chain.ledger.head.account(world.payer.address) is not None


async def test_further_nodes_listen_on_ports_of_their_own() -> None:
    settings = Settings(
        port=0, control_port=0, speed=0, followers=(Follower(), Follower(lag_blocks=2))
    )
    async with running(settings) as devnet, httpx.AsyncClient() as http:
        for _ in range(30):
            devnet.devnet.node.mine()
        first, second = devnet.follower_urls

        async def head(url: str) -> int:
            reply = (await http.post(f"{url}/wallet/getnowblock")).json()
            return int(reply["block_header"]["raw_data"]["number"])

        assert len({devnet.node_url, devnet.control_url, first, second}) == 4
        assert [await head(url) for url in (devnet.node_url, first, second)] == [30, 30, 28]


def test_there_are_no_further_nodes_unless_asked_for() -> None:
    devnet = assemble(Settings(speed=0))
    assert devnet.followers == ()
    devnet.node.close()

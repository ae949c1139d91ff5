"""Blocks are followed one by one; what they move is told once, and only as sure as it is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from devnet.forks import Fate
from devnet.genesis import GENESIS_BLOCK_ID
from services.tron_client.abi_reader import AbiReader, NotReadable
from services.tron_client.domain.blocks import ForkBelowSolid, InconsistentBlock
from services.tron_client.node.errors import NodeUnavailable, WrongChain
from services.tron_client.store.schema import TRANSFER_FEED
from shared.tron.address import address_from_bytes
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    TOKEN,
    Bench,
    SpoiledWire,
    World,
    benched,
)


async def test_a_transfer_is_seen_at_the_head_and_confirmed_when_solid(bench: Bench) -> None:
    bench.world.pay_usdt(5)
    bench.world.pay_trx(7)
    await bench.mine()
    assert await bench.transfer_events() == [("seen", "5"), ("seen", "7")]

    await bench.mine(BLOCKS_TO_SOLID - 1)
    assert len(await bench.transfer_events()) == 2
    await bench.mine()

    told = await bench.transfer_events()
    assert told[2:] == [("confirmed", "5"), ("confirmed", "7")]
    page = await bench.service.transfers.page(after="", limit=100, wait_s=0)
    assert page.as_of is not None
    assert page.as_of.height == page.items[-1].object.block.height


async def test_transfers_between_others_are_not_told(bench: Bench) -> None:
    stranger = bench.world.devnet.teller
    stranger.send_trx(bench.world.payer, b"\x41" + bytes(19) + b"\x07", 2_000_000)
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await bench.transfer_events() == []


async def test_a_reverted_token_transfer_is_not_credited(bench: Bench) -> None:
    bench.world.devnet.node.broadcast(bench.world.failing_call())
    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert await bench.transfer_events() == []


async def test_a_transfer_of_nothing_is_not_told(bench: Bench) -> None:
    bench.world.call("transfer", bench.world.payee.address, 0)
    await bench.mine()
    assert await bench.transfer_events() == []


async def test_h21_a_transfer_is_named_by_genesis_txid_source_and_position(bench: Bench) -> None:
    token_txid, coin_txid = bench.world.pay_usdt(1), bench.world.pay_trx(1)
    await bench.mine()
    names = {each.object["transfer_id"] for each in await bench.told(TRANSFER_FEED)}
    assert names == {
        f"{GENESIS_BLOCK_ID}:{token_txid}:log:0",
        f"{GENESIS_BLOCK_ID}:{coin_txid}:native:0",
    }


async def test_h21_positions_count_all_logs_of_the_receipt(world: World, tmp_path: Path) -> None:
    """A receipt with other logs before: the name does not depend on what is watched."""

    def with_foreign_log(path: str, _asked: Any, answer: Any) -> Any:
        if path.endswith("gettransactioninfobyblocknum"):
            for receipt in answer:
                receipt["log"] = [{"address": "ab" * 20, "topics": ["cd" * 32]}, *receipt["log"]]
        return answer

    async with benched(
        world, tmp_path, transport=SpoiledWire(world.devnet, with_foreign_log)
    ) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        world.pay_usdt(3)
        await bench.mine()
        (told,) = await bench.told(TRANSFER_FEED)
        assert told.object["position"] == 1


@pytest.mark.parametrize(
    ("path", "reply"),
    [
        ("/wallet/getblockbynum", {}),
        ("/wallet/gettransactioninfobyblocknum", []),
        ("/wallet/gettransactioninfobyblocknum", {}),
        ("/walletsolidity/gettransactioninfobyblocknum", []),
        ("/walletsolidity/getblockbynum", {}),
        ("/walletsolidity/getnowblock", {}),
    ],
)
async def test_an_empty_reply_loses_no_transfer(
    world: World, tmp_path: Path, path: str, reply: Any
) -> None:
    wire = SpoiledWire(world.devnet, lambda asked, _, answer: reply if asked == path else answer)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        wire.is_spoiled = True
        world.pay_usdt(5)
        world.mine(BLOCKS_TO_SOLID + 1)
        for _ in range(3):
            try:
                await bench.scan()
            except InconsistentBlock:
                continue
        wire.is_spoiled = False
        await bench.scan()
        await bench.mine()
        assert await bench.transfer_events() == [("seen", "5"), ("confirmed", "5")]


def drop_last_receipt(path: str, _asked: Any, answer: Any) -> Any:
    return answer[:-1] if path == "/wallet/gettransactioninfobyblocknum" else answer


def swap_receipts(path: str, _asked: Any, answer: Any) -> Any:
    return answer[::-1] if path == "/wallet/gettransactioninfobyblocknum" else answer


def receipts_of_another_block(path: str, _asked: Any, answer: Any) -> Any:
    if path == "/wallet/gettransactioninfobyblocknum":
        for receipt in answer:
            receipt["blockNumber"] += 1
    return answer


def success_of_what_failed(path: str, _asked: Any, answer: Any) -> Any:
    if path == "/wallet/gettransactioninfobyblocknum":
        for receipt in answer:
            receipt["result"] = "FAILED"
    return answer


def wrong_block_id(path: str, _asked: Any, answer: Any) -> Any:
    if path == "/wallet/getblockbynum" and "transactions" in answer:
        answer["blockID"] = answer["blockID"][:-1] + ("0" if answer["blockID"][-1] != "0" else "1")
    return answer


def wrong_txid(path: str, _asked: Any, answer: Any) -> Any:
    if path == "/wallet/getblockbynum" and answer.get("transactions"):
        answer["transactions"][0]["txID"] = "ab" * 32
    return answer


def other_transactions_than_the_root(path: str, _asked: Any, answer: Any) -> Any:
    if path == "/wallet/getblockbynum" and answer.get("transactions"):
        answer["transactions"].pop()
    return answer


def another_height(path: str, _asked: Any, answer: Any) -> Any:
    if path == "/wallet/getblockbynum" and answer.get("transactions"):
        answer["block_header"]["raw_data"]["number"] += 1
    return answer


@pytest.mark.parametrize(
    "spoil",
    [
        drop_last_receipt,
        swap_receipts,
        receipts_of_another_block,
        success_of_what_failed,
        wrong_block_id,
        wrong_txid,
        other_transactions_than_the_root,
        another_height,
    ],
)
async def test_h8_what_does_not_fit_is_refused_and_asked_for_again(
    world: World, tmp_path: Path, spoil: Any
) -> None:
    wire = SpoiledWire(world.devnet, spoil)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        height = bench.sight.current().head.height
        world.pay_usdt(5)
        world.pay_trx(6)
        world.mine()

        wire.is_spoiled = True
        with pytest.raises(InconsistentBlock):
            await bench.scan()
        assert bench.sight.current().head.height == height
        assert await bench.transfer_events() == []

        wire.is_spoiled = False
        await bench.scan()
        assert await bench.transfer_events() == [("seen", "5"), ("seen", "6")]


async def test_h8_the_solid_tree_is_right_about_what_was_seen(world: World, tmp_path: Path) -> None:
    """A node invents a transfer at its head only."""

    def invent(path: str, _asked: Any, answer: Any) -> Any:
        if path == "/wallet/gettransactioninfobyblocknum":
            for receipt in answer:
                receipt["log"] = receipt["log"] * 2
        return answer

    async with benched(world, tmp_path, transport=SpoiledWire(world.devnet, invent)) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        world.pay_usdt(5)
        await bench.mine(BLOCKS_TO_SOLID + 1)
        told = [(each.type, each.object["position"]) for each in await bench.told(TRANSFER_FEED)]
        assert told == [
            ("transfer.seen", 0),
            ("transfer.seen", 1),
            ("transfer.confirmed", 0),
            ("transfer.retracted", 1),
        ]


async def test_h8_a_receipt_without_its_log_at_the_head_loses_no_deposit(
    world: World, tmp_path: Path
) -> None:
    """The call names the payee under the witnesses' signatures: the block is read again when solid."""

    def without_logs(path: str, _asked: Any, answer: Any) -> Any:
        if path == "/wallet/gettransactioninfobyblocknum":
            return [{**each, "log": []} for each in answer]
        return answer

    wire = SpoiledWire(world.devnet, without_logs)
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        world.pay_usdt(5)
        await bench.mine()
        assert await bench.transfer_events() == []
        await bench.mine(BLOCKS_TO_SOLID)
        assert await bench.transfer_events() == [("confirmed", "5")]


async def test_a_fork_retracts_and_another_block_brings_it_back(bench: Bench) -> None:
    bench.world.pay_usdt(5)
    await bench.mine(3)
    bench.world.devnet.node.reorganise(3, fate=Fate.WAIT)
    await bench.mine()
    assert await bench.transfer_events() == [("seen", "5"), ("retracted", "5"), ("seen", "5")]

    await bench.mine(BLOCKS_TO_SOLID + 1)
    assert (await bench.transfer_events())[3:] == [("confirmed", "5")]
    (first, _, second, _) = await bench.told(TRANSFER_FEED)
    assert first.object["transfer_id"] == second.object["transfer_id"]
    assert first.object["block"] != second.object["block"]


async def test_a_fork_that_loses_a_transfer_only_retracts(bench: Bench) -> None:
    bench.world.pay_usdt(5)
    await bench.mine(3)
    bench.world.devnet.node.reorganise(3, fate=Fate.DROP)
    await bench.mine(BLOCKS_TO_SOLID + 4)
    assert await bench.transfer_events() == [("seen", "5"), ("retracted", "5")]


async def test_a_chain_that_leaves_ours_below_a_solid_block_is_refused(
    world: World, stranger: World, tmp_path: Path
) -> None:
    async with benched(world, tmp_path) as bench:
        await bench.mine(BLOCKS_TO_SOLID + 20)
        solid = bench.sight.current().solid
    async with benched(stranger, tmp_path) as bench:
        with pytest.raises(ForkBelowSolid):
            await bench.scan()
        assert bench.sight.current().solid == solid


async def test_a_restart_goes_on_from_the_durable_cursor(world: World, tmp_path: Path) -> None:
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        await bench.mine(2)
        height = bench.sight.current().head.height
    for amount in (1, 2, 3):
        world.pay_usdt(amount)
        world.mine(9)
    async with benched(world, tmp_path) as bench:
        assert bench.sight.current().head.height == height
        await bench.scan()
        told = await bench.transfer_events()
    assert [each for each in told if each[0] == "seen"] == [
        ("seen", "1"),
        ("seen", "2"),
        ("seen", "3"),
    ]
    assert [each for each in told if each[0] == "confirmed"] == [("confirmed", "1")]


async def test_an_empty_database_may_begin_at_a_height(world: World, tmp_path: Path) -> None:
    world.pay_usdt(5)
    world.mine(BLOCKS_TO_SOLID + 1)
    async with benched(world, tmp_path, start_height=1) as bench:
        assert await bench.scanner.scan() or bench.sight.progress is not None
        assert bench.sight.current().start.height == 0
        await bench.scan()
        assert bench.sight.current().head.height == world.devnet.node.chain.head.number
        assert bench.sight.current().solid.height == world.devnet.node.chain.solid_number


async def test_catching_up_takes_few_calls(world: World, tmp_path: Path) -> None:
    async with benched(world, tmp_path) as bench:
        await bench.scan()
    world.mine(200)
    world.devnet.node_app.requests.clear()
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        assert bench.sight.current().head.height == world.devnet.node.chain.head.number
        assert sum(bench.calls().values()) < 100


async def test_h17_a_node_of_another_network_is_refused(world: World, tmp_path: Path) -> None:
    async with benched(world, tmp_path, genesis="ab" * 32) as bench:
        with pytest.raises(WrongChain):
            await bench.scan()
        assert bench.sight.progress is None
        assert "another network" in (bench.service.chain.reason() or "")
        assert set(bench.calls()) == {"/wallet/getblockbynum"}
        with pytest.raises(WrongChain):
            await bench.service.reads.account(world.to)


async def test_h17_the_genesis_block_is_compared_again_after_a_broken_connection(
    world: World, tmp_path: Path
) -> None:
    wire = WireThatBreaks(world)
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        wire.is_broken = True
        with pytest.raises(NodeUnavailable):
            await bench.scan()
        wire.is_broken, wire.genesis = False, "00" * 32
        with pytest.raises(WrongChain):
            await bench.scan()


class WireThatBreaks(SpoiledWire):
    """Loses its connection when told to, and may find another node behind it afterwards."""

    def __init__(self, world: World) -> None:
        super().__init__(world.devnet, self._lie)
        self.is_broken = False
        self.genesis: str | None = None

    async def handle_async_request(self, request: Any) -> Any:
        if self.is_broken:
            raise httpx.ConnectError("broken", request=request)
        return await super().handle_async_request(request)

    def _lie(self, _path: str, asked: Any, answer: Any) -> Any:
        if self.genesis and asked.get("num") == 0:
            return {**answer, "blockID": self.genesis}
        return answer


@pytest.mark.parametrize("addresses", [10, 10_000])
async def test_the_scan_costs_the_same_for_few_and_for_many_addresses(
    world: World, tmp_path: Path, addresses: int
) -> None:
    many = [address_from_bytes(number.to_bytes(20, "big")) for number in range(1, addresses)]
    async with benched(world, tmp_path, poll_blocks=10, slot_ms=3_000) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to, *many])
        world.devnet.node_app.requests.clear()
        for number in range(20):
            world.pay_usdt(number + 1)
            await bench.mine()
        calls = bench.calls()
        assert calls["/wallet/getblockbynum"] == 20
        assert calls["/wallet/gettransactioninfobyblocknum"] == 20
        assert sum(calls.values()) - calls.get("/walletsolidity/getnowblock", 0) <= 20 * 4


async def test_h11_a_watch_that_races_the_scan_misses_nothing(world: World, tmp_path: Path) -> None:
    """Every transfer above the acknowledged height is told, however the two interleave."""
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        for turns in range(12):
            key = bytes([turns + 1]) * 20
            address = address_from_bytes(key)
            for _ in range(3):
                world.devnet.teller.send_trx(world.payer, b"\x41" + key, 1_000_000 + turns)
                world.mine()
            scanning = asyncio.create_task(bench.scan())
            for _ in range(turns):
                await asyncio.sleep(0)
            promise = await bench.coverage.watch([address])
            await scanning
            told = {
                each.object["block"]["height"]
                for each in await bench.told(TRANSFER_FEED)
                if each.object["recipient"] == address
            }
            head = bench.sight.current().head.height
            assert {h for h in range(head - 2, head + 1) if h > promise.birth_height} <= told


async def test_watching_twice_keeps_the_first_promise(bench: Bench) -> None:
    first = await bench.coverage.watch([bench.world.to])
    await bench.mine(5)
    again = await bench.coverage.watch([bench.world.to])
    assert again == first
    assert (await bench.coverage.page(cursor=None, limit=10)).next is None


async def test_h8_no_transfer_is_confirmed_before_its_block_is_proved_solid(
    world: World, stranger: World, tmp_path: Path
) -> None:
    """The solid head is of another branch than ours: nothing is promoted by height."""

    def another_solid_head(path: str, _asked: Any, answer: Any) -> Any:
        if path == "/walletsolidity/getnowblock":
            return other
        return answer

    wire = SpoiledWire(world.devnet, another_solid_head)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        world.pay_usdt(5)
        await bench.mine(5)
        other = await _block_of(stranger, bench.sight.current().head.height - 1)
        wire.is_spoiled = True
        world.mine()
        with pytest.raises(InconsistentBlock):
            await bench.scan()
        assert await bench.transfer_events() == [("seen", "5")]


async def _block_of(world: World, height: int) -> Any:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=world.devnet.node_app), base_url="http://node"
    ) as client:
        return (await client.post("/wallet/getblockbynum", json={"num": height})).json()


async def test_tronpy_reads_through_our_node_and_has_no_connection_of_its_own(bench: Bench) -> None:
    reader = AbiReader(bench.node)
    assert await reader.read(TOKEN, "decimals", []) == "6"
    assert "/wallet/getcontract" in bench.calls()
    assert vars(reader._client.provider) == {}


@pytest.mark.parametrize(
    "kind", ["1", "uint7", "(uint256", "nonsense", "uint256[-1]", "", "bytes33"]
)
async def test_a_contract_with_types_that_are_none_is_not_readable(
    world: World, tmp_path: Path, kind: str
) -> None:
    """Whoever deploys a contract writes its ABI."""

    def with_type(path: str, _asked: Any, answer: Any) -> Any:
        if path.endswith("getcontract"):
            for entry in answer["abi"]["entrys"]:
                entry["outputs"] = [{"type": kind}]
        return answer

    wire = SpoiledWire(world.devnet, with_type)
    async with benched(world, tmp_path, transport=wire) as bench:
        with pytest.raises(NotReadable):
            await AbiReader(bench.node).read(TOKEN, "decimals", [])

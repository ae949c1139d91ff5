"""The watch list: durable before it is acknowledged, compared by digest, and never shortened (H11)."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from devnet.chain_pb2 import FreezeBalanceV2Contract, ResourceCode
from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.domain.progress import NothingScanned
from services.tron_client.domain.rescans import ImpossibleRange
from services.tron_client.scanner.coverage import NeverUnwatched
from services.tron_client.scanner.outgoing import Outgoing
from services.tron_client.scanner.stalls import FAILURES_TO_ALARM, SUBJECT
from services.tron_client.store.addresses import AddressSet, packed
from services.tron_client.store.schema import TRANSFER_FEED
from shared.errors import Unavailable
from shared.tron.address import EVM_LENGTH, Address, address_from_bytes, evm_bytes
from shared.tron.blocks import BlockHeader, block_id
from shared.watching import digest_text, watch_digest
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    Wire,
    World,
    benched,
    new_world,
)

MANY = 100_000


def addresses(count: int, *, first: int = 1) -> list[Address]:
    return [
        address_from_bytes(number.to_bytes(EVM_LENGTH, "big"))
        for number in range(first, first + count)
    ]


def digest_of(watched: list[Address]) -> str:
    return digest_text(watch_digest(evm_bytes(each) for each in watched))


@pytest.mark.parametrize("seed", range(5))
def test_a_packed_set_holds_what_a_set_holds(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a replayable mix
    known = [bytes(EVM_LENGTH), *(chance.randbytes(EVM_LENGTH) for _ in range(200))]
    packed_set, plain = AddressSet(), set()
    for _ in range(5_000):
        address = chance.choice(known)
        if chance.random() < 0.5:
            packed_set.add(address)
            plain.add(address)
        else:
            packed_set.discard(address)
            plain.discard(address)
    assert set(packed_set) == plain
    assert len(packed_set) == len(plain)
    assert [each in packed_set for each in known] == [each in plain for each in known]
    assert packed_set.digest == watch_digest(plain)


def test_only_addresses_go_into_a_packed_set() -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        AddressSet([bytes(21)])


async def test_h11_the_digest_follows_every_change_and_survives_a_restart(
    world: World, tmp_path: Path
) -> None:
    few = addresses(30)
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        await bench.coverage.watch(few[:20])
        await bench.coverage.watch(few[10:])
        digest = await bench.coverage.digest()
        assert (digest.count, digest.digest) == (30, digest_of(few))
        await bench.coverage.unwatch(few[:5])
        assert (await bench.coverage.digest()).digest == digest_of(few[5:])
    async with benched(world, tmp_path) as bench:
        digest = await bench.coverage.digest()
        assert (digest.count, digest.digest) == (25, digest_of(few[5:]))
        assert digest.rescans_pending == 0


async def test_h11_nothing_is_promised_before_the_first_block(world: World, tmp_path: Path) -> None:
    async with benched(world, tmp_path) as bench:
        with pytest.raises(NothingScanned):
            await bench.coverage.watch(addresses(1))
        assert bench.coverage.count() == 0


async def test_h11_an_address_that_was_paid_is_never_unwatched(bench: Bench) -> None:
    world = bench.world
    world.pay_usdt(5)
    await bench.mine()
    unpaid = addresses(3)
    await bench.coverage.watch(unpaid)
    with pytest.raises(NeverUnwatched) as refused:
        await bench.coverage.unwatch([world.to, *unpaid])
    assert refused.value.facts["addresses"] == [world.to]
    assert bench.coverage.count() == 4

    assert await bench.coverage.unwatch(unpaid) == 1
    assert await bench.coverage.unwatch(unpaid) == 1


async def test_h11_nothing_is_unwatched_while_its_past_is_being_scanned(bench: Bench) -> None:
    await bench.mine(5)
    (address,) = addresses(1)
    await bench.coverage.watch([address], birth_height=1)
    with pytest.raises(NeverUnwatched):
        await bench.coverage.unwatch([address])
    await bench.mine(BLOCKS_TO_SOLID)
    await bench.rescan()
    assert await bench.coverage.unwatch([address]) == 1


async def test_h11_a_watch_that_was_given_up_half_way_and_repeated_misses_nothing(
    world: World, tmp_path: Path
) -> None:
    """The caller hangs up at any moment; what became durable then must be scanned for, too."""
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        for turns in range(30):
            key = bytes([turns + 1]) * EVM_LENGTH
            address = address_from_bytes(key)
            given_up = asyncio.create_task(bench.coverage.watch([address]))
            for _ in range(turns):
                await asyncio.sleep(0)
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)
            for _ in range(2):
                world.devnet.teller.send_trx(world.payer, b"\x41" + key, 1_000_000)
                await bench.mine()
            promise = await bench.coverage.watch([address])
            world.devnet.teller.send_trx(world.payer, b"\x41" + key, 1_000_000)
            await bench.mine()
            told = [
                each.object["block"]["height"]
                for each in await bench.told(TRANSFER_FEED)
                if each.object["recipient"] == address and each.type == "transfer.seen"
            ]
            head = bench.sight.current().head.height
            owed = [each for each in range(head - 2, head + 1) if each > promise.birth_height]
            assert set(owed) <= set(told)
            assert owed


async def test_watching_the_same_addresses_at_once_promises_them_once(bench: Bench) -> None:
    wanted = addresses(500)
    promises = await asyncio.gather(
        *(bench.coverage.watch(wanted, birth_height=1 + number) for number in range(6))
    )
    assert {each.count for each in promises} == {501}
    page = await bench.coverage.page(cursor=None, limit=1_000)
    births = {each.birth_height for each in page.items if each.id in set(wanted)}
    assert births == {1}


@pytest.mark.property
async def test_a_hundred_thousand_addresses_at_once_take_little_memory(
    world: World, tmp_path: Path
) -> None:
    wanted = addresses(MANY)
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        assert (await bench.coverage.watch(wanted)).count == MANY
    tracemalloc.start()
    try:
        async with benched(world, tmp_path) as bench:
            kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
            assert bench.coverage.count() == MANY
            assert (await bench.coverage.digest()).digest == digest_of(wanted)
    finally:
        tracemalloc.stop()
    assert kept_bytes < 12 * 2**20
    assert peak_bytes < 24 * 2**20


@pytest.mark.property
async def test_the_calls_per_block_are_the_same_for_ten_and_a_hundred_thousand_addresses(
    tmp_path: Path,
) -> None:
    asked = []
    for count in (10, MANY):
        world, place = new_world(), tmp_path / str(count)
        place.mkdir()
        async with benched(world, place, poll_blocks=10, slot_ms=3_000) as bench:
            await bench.scan()
            await bench.coverage.watch([world.to, *addresses(count - 1)])
            world.devnet.node_app.requests.clear()
            for number in range(20):
                world.pay_usdt(number + 1)
                await bench.mine()
            asked.append(bench.calls())
        world.devnet.node.chain.close()
    few, many = asked
    assert few == many
    assert (
        sum(few.values()) <= 4 * 20 + 2 * 2
    )  # two a block, two for each that is ours, the solid head


async def test_a_block_that_cannot_be_read_stops_the_scan_and_calls_somebody(
    world: World, tmp_path: Path
) -> None:
    wire = SpoiledWire(world.devnet, without_receipts)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.mine(3)
        height = bench.sight.current().head.height + 1
        world.pay_usdt(5)
        wire.is_spoiled = True
        world.mine(40)
        for _ in range(FAILURES_TO_ALARM):
            assert not bench.alarms.open
            with pytest.raises(InconsistentBlock):
                await bench.scan()
        assert bench.sight.current().head.height == height - 1
        detail = bench.alarms.open["scan_stalled", SUBJECT]
        assert f"block {height}" in detail
        assert "1 transactions and 0 receipts" in detail

        still_open = bench.alarms.open
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        bench.alarms.open |= still_open
        await bench.scan()
        assert not bench.alarms.open
        assert bench.sight.current().head.height == world.devnet.node.chain.head.number


def without_receipts(path: str, _asked: Any, answer: Any) -> Any:
    return [] if path == "/wallet/gettransactioninfobyblocknum" else answer


def test_reading_a_list_of_addresses_gives_the_bytes_that_parsing_gives() -> None:
    assert [packed(each) for each in addresses(50)] == [evm_bytes(each) for each in addresses(50)]


async def test_h5_outgoing_transactions_are_found_by_owner_with_their_bytes(bench: Bench) -> None:
    world = bench.world
    first = bench.sight.current().head.height + 1
    paid = [world.pay_usdt(1), world.pay_trx(2)]
    await bench.mine(2)
    failed = world.devnet.node.broadcast(world.failing_call()).txid.hex()
    await bench.mine(BLOCKS_TO_SOLID + 1)

    found = await bench.outgoing.find([bench.payer], first_height=first, last_height=first + 500)
    assert [each.txid for each in found.transactions] == [*paid, failed]
    assert [each.succeeded for each in found.transactions] == [True, True, False]
    assert all(sha256(each.raw_data).hexdigest() == each.txid for each in found.transactions)
    assert found.last_height == bench.sight.current().solid.height
    nothing = await bench.outgoing.find([world.to], first_height=first, last_height=first + 5)
    assert nothing.transactions == ()


async def test_h5_outgoing_tells_how_far_it_looked(bench: Bench) -> None:
    await bench.mine(BLOCKS_TO_SOLID + 150)
    solid = bench.sight.current().solid.height
    part = await bench.outgoing.find([bench.payer], first_height=3, last_height=solid)
    assert (part.first_height, part.last_height) == (3, 100)
    above = await bench.outgoing.find([bench.payer], first_height=solid + 1, last_height=solid + 9)
    assert above.last_height == solid
    with pytest.raises(ImpossibleRange):
        await bench.outgoing.find([bench.payer], first_height=9, last_height=3)


async def test_h5_outgoing_is_not_read_from_another_chain(
    world: World, stranger: World, tmp_path: Path
) -> None:
    other = SpoiledWire(stranger.devnet, lambda *asked: asked[-1])
    async with benched(world, tmp_path) as bench:
        await bench.mine(BLOCKS_TO_SOLID + 30)
        first = bench.sight.current().start.height
    async with benched(world, tmp_path, transport=other) as bench:
        with pytest.raises(InconsistentBlock):
            await bench.outgoing.find([bench.payer], first_height=first, last_height=first + 20)


async def test_h9_no_node_hides_what_was_sent_before_the_blocks_that_are_held(
    world: World, tmp_path: Path
) -> None:
    """Below those it tells of a past that fits together, in which nothing was sent."""
    txid = world.pay_usdt(1)
    world.mine()
    hidden = world.devnet.node.chain.head.number
    world.mine(BLOCKS_TO_SOLID + 120)
    wire = WireToAnotherPast(world, hidden)
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        assert bench.sight.current().start.height > 100
        found = await bench.outgoing.find([bench.payer], first_height=1, last_height=hidden + 5)
        assert [each.txid for each in found.transactions] == [txid]
        assert found.last_height == hidden + 5
    (tmp_path / "other").mkdir()
    async with benched(world, tmp_path / "other", transport=wire) as bench:
        await bench.scan()
        wire.is_of_the_other = True
        with pytest.raises(InconsistentBlock):
            await bench.outgoing.find([bench.payer], first_height=1, last_height=hidden + 5)


async def test_h5_a_long_past_is_proved_bit_by_bit(world: World, tmp_path: Path) -> None:
    world.mine(BLOCKS_TO_SOLID + 420)
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        outgoing = Outgoing(
            chain=bench.node, store=bench.store, sight=bench.sight, proved_at_once=2
        )
        for _ in range(2):
            with pytest.raises(Unavailable):
                await outgoing.find([bench.payer], first_height=1, last_height=100)
        found = await outgoing.find([bench.payer], first_height=1, last_height=100)
        assert found.last_height == 100


class WireToAnotherPast(Wire):
    """Leaves the transactions of a block out, and links the blocks after it anew."""

    def __init__(self, world: World, hidden: int) -> None:
        super().__init__(world.devnet)
        self.is_of_the_other = False
        self._hidden = hidden

    def change(self, path: str, _asked: Any, answer: Any) -> Any:
        if not self.is_of_the_other or path != "/walletsolidity/getblockbylimitnext":
            return answer
        parent_id: str | None = None
        for block in answer["block"]:
            header = block["block_header"]["raw_data"]
            if header["number"] == self._hidden:
                block.pop("transactions")
                header.pop("txTrieRoot")
            if parent_id is not None:
                header["parentHash"] = parent_id
            parent_id = block["blockID"] = block_id(BlockHeader.from_json(header))
        return answer


async def test_h5_a_stake_is_an_outgoing_transaction_too(bench: Bench) -> None:
    world = bench.world
    first = bench.sight.current().head.height + 1
    stake = FreezeBalanceV2Contract(
        owner_address=world.payer.address,
        frozen_balance=5_000_000,
        resource=ResourceCode.ENERGY,
    )
    txid = world.devnet.node.broadcast(world.wrapped(stake)).txid.hex()
    await bench.mine(BLOCKS_TO_SOLID + 1)
    found = await bench.outgoing.find([bench.payer], first_height=first, last_height=first)
    assert [each.txid for each in found.transactions] == [txid]

"""What was scanned without a watch is scanned once more for it, and each transfer told once (H11)."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from devnet.control.contract_orders import ContractOrders
from devnet.genesis import CUSTOMERS
from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.domain.rescans import ImpossibleRange, Rescan, Span, scheduled
from services.tron_client.scanner.stalls import FAILURES_TO_ALARM
from services.tron_client.store.schema import NOTICE_FEED, TRANSFER_FEED
from shared.models.tron_client import RescanState
from shared.tron.address import EVM_LENGTH, address_from_bytes
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    World,
    benched,
)


async def confirmed(bench: Bench) -> list[str]:
    """Return the amounts that were told as confirmed, in the order of their blocks."""
    events = [each for each in await bench.told(TRANSFER_FEED) if each.type.endswith("confirmed")]
    events.sort(key=lambda each: each.object["block"]["height"])
    return [each.object["amount_base_units"] for each in events]


def payments(world: World, amounts: range, *, every: int = 4) -> None:
    for amount in amounts:
        world.pay_usdt(amount)
        world.mine(every)


async def test_h11_a_watch_with_an_earlier_birth_is_told_of_its_past(
    world: World, tmp_path: Path
) -> None:
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        birth = bench.sight.current().head.height
        payments(world, range(1, 11))
        await bench.scan()

        promise = await bench.coverage.watch([world.to], birth_height=birth)
        assert promise.birth_height == birth
        assert (await bench.coverage.digest()).rescans_pending == 1
        await bench.mine(BLOCKS_TO_SOLID + 1)
        await bench.rescan()

        assert await confirmed(bench) == [str(each) for each in range(1, 11)]
        assert (await bench.coverage.digest()).rescans_pending == 0


async def test_h11_what_happened_to_an_address_in_its_past_is_told_once(
    world: World, tmp_path: Path
) -> None:
    """A black-listing that was scanned without the watch; what happened to USDT itself is no news."""
    orders = ContractOrders(world.devnet.teller)
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        birth = bench.sight.current().head.height
        orders.set_black_listed(world.payee.address, listed=True)
        orders.set_black_listed(CUSTOMERS[5].key.address, listed=True)
        orders.set_paused(paused=True)
        await bench.mine(BLOCKS_TO_SOLID + 1)
        assert [each.type for each in await bench.told(NOTICE_FEED)] == ["chain.usdt_paused"]
        await bench.coverage.watch([bench.other])
        await bench.coverage.watch([world.to], birth_height=birth)
        await bench.mine(BLOCKS_TO_SOLID + 1)
        await bench.rescan()
        await bench.coverage.rescan(1, birth + 5)
        await bench.rescan()
        told = [(each.type, each.object["subject"]) for each in await bench.told(NOTICE_FEED)]
        assert told == [("chain.usdt_paused", "usdt"), ("chain.usdt_blacklisted", world.to)]


@pytest.mark.parametrize("batch_blocks", [1, 2, 10, 100])
async def test_h11_after_the_database_was_lost_everything_since_birth_is_told_again_once(
    world: World, tmp_path: Path, batch_blocks: int
) -> None:
    """Scanning begins now; the past is proved by parent hashes from there down."""
    birth = world.devnet.node.chain.head.number
    payments(world, range(1, 31), every=5)
    world.mine(BLOCKS_TO_SOLID)
    async with benched(world, tmp_path, batch_blocks=batch_blocks) as bench:
        await bench.scan()
        assert bench.sight.current().start.height > birth + 100
        await bench.coverage.watch([world.to], birth_height=birth)
        world.pay_usdt(31)
        await bench.mine(BLOCKS_TO_SOLID + 1)
        await bench.rescan()
        assert await confirmed(bench) == [str(each) for each in range(1, 32)]

        await bench.coverage.rescan(1, bench.sight.current().solid.height)
        await bench.rescan()
        assert len(await confirmed(bench)) == 31


async def test_a_transfer_before_the_birth_is_not_told(world: World, tmp_path: Path) -> None:
    world.pay_usdt(1)
    world.mine(3)
    birth = world.devnet.node.chain.head.number
    world.pay_usdt(2)
    world.mine(BLOCKS_TO_SOLID + 2)
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to], birth_height=birth)
        await bench.coverage.rescan(1, bench.sight.current().head.height)
        await bench.mine(BLOCKS_TO_SOLID)
        await bench.rescan()
        assert await confirmed(bench) == ["2"]


async def test_a_birth_that_is_moved_back_brings_what_lies_between(
    world: World, tmp_path: Path
) -> None:
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        birth = bench.sight.current().head.height
        world.pay_usdt(1)
        await bench.mine(5)
        await bench.coverage.watch([world.to])
        world.pay_usdt(2)
        await bench.mine(BLOCKS_TO_SOLID + 1)
        assert await confirmed(bench) == ["2"]

        assert (await bench.coverage.watch([world.to], birth_height=birth)).birth_height == birth
        await bench.rescan()
        assert await confirmed(bench) == ["1", "2"]
        later = await bench.coverage.watch([world.to], birth_height=birth + 3)
        assert later.birth_height == birth
        assert (await bench.coverage.digest()).rescans_pending == 0


async def test_a_rescan_that_is_killed_goes_on_without_gap_or_repeat(
    world: World, tmp_path: Path
) -> None:
    birth = world.devnet.node.chain.head.number
    payments(world, range(1, 21), every=3)
    world.mine(BLOCKS_TO_SOLID)
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to], birth_height=birth)
        await bench.mine(BLOCKS_TO_SOLID)
    for rounds in range(1, 40):
        async with benched(world, tmp_path) as bench:
            work = asyncio.create_task(bench.rescans.scan())
            for _ in range(rounds):
                await asyncio.sleep(0)
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
    async with benched(world, tmp_path) as bench:
        await bench.rescan()
        assert await confirmed(bench) == [str(each) for each in range(1, 21)]
        assert len(await bench.told(TRANSFER_FEED)) == 20


async def test_a_watch_that_comes_while_a_rescan_runs_gets_its_own_past(
    world: World, tmp_path: Path
) -> None:
    birth = world.devnet.node.chain.head.number
    payments(world, range(1, 21), every=3)
    world.mine(BLOCKS_TO_SOLID)
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        await bench.coverage.watch([bench.other], birth_height=birth)
        await bench.mine(BLOCKS_TO_SOLID)
        for _ in range(12):
            await bench.rescans.scan()
        await bench.coverage.watch([world.to], birth_height=birth)
        await bench.mine(BLOCKS_TO_SOLID)
        await bench.rescan()
        assert await confirmed(bench) == [str(each) for each in range(1, 21)]


async def test_h11_a_watch_that_races_a_rescan_gets_all_of_its_past(
    world: World, tmp_path: Path
) -> None:
    """It is added while blocks are being fetched that lie above those it needs."""
    birth = world.devnet.node.chain.head.number
    keys = [bytes([number + 1]) * EVM_LENGTH for number in range(40)]
    for key in keys:
        world.devnet.teller.send_trx(world.payer, b"\x41" + key, 1_000_000)
        world.mine()
    world.mine(60)
    async with benched(world, tmp_path) as bench:
        await bench.mine(BLOCKS_TO_SOLID)
        for turns, key in enumerate(keys):
            middle = bench.sight.current().solid.height - 15
            await bench.coverage.rescan(middle, middle + 9)
            scanning = asyncio.create_task(bench.rescans.scan())
            for _ in range(turns):
                await asyncio.sleep(0)
            await bench.coverage.watch([address_from_bytes(key)], birth_height=birth)
            await scanning
            await bench.rescan()
            told = {each.object["recipient"] for each in await bench.told(TRANSFER_FEED)}
            assert address_from_bytes(key) in told


async def test_blocks_that_no_node_has_hold_up_no_other_range(world: World, tmp_path: Path) -> None:
    """A node that was set up from a snapshot knows nothing of the time before it."""

    def from_a_snapshot(path: str, asked: Any, answer: Any) -> Any:
        is_gone = path == "/walletsolidity/getblockbylimitnext" and asked["startNum"] < 20
        return {} if is_gone else answer

    world.mine(30)
    wire = SpoiledWire(world.devnet, from_a_snapshot)
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        first = bench.sight.current().head.height + 1
        world.pay_usdt(5)
        await bench.mine(BLOCKS_TO_SOLID + 1)
        await bench.coverage.rescan(1, 5)
        await bench.coverage.watch([world.to], birth_height=first - 1)
        for _ in range(5):
            with contextlib.suppress(InconsistentBlock):
                await bench.rescans.scan()
        assert await bench.transfer_events() == [("confirmed", "5")]
        wire.is_spoiled = False
        await bench.mine(BLOCKS_TO_SOLID)
        await bench.rescan()
        assert (await bench.coverage.digest()).rescans_pending == 0


async def test_a_rescan_waits_for_its_last_block_to_be_solid(bench: Bench) -> None:
    world = bench.world
    head = bench.sight.current().head.height
    payer = bench.payer
    world.pay_usdt(7)
    await bench.mine(2)
    await bench.coverage.watch([payer], birth_height=head)
    await bench.rescan()
    assert (await bench.coverage.digest()).rescans_pending == 1
    await bench.mine(BLOCKS_TO_SOLID)
    await bench.rescan()
    assert (await bench.coverage.digest()).rescans_pending == 0
    assert await confirmed(bench) == ["7"]


async def test_h9_a_past_that_does_not_lead_to_the_held_chain_is_not_told(
    world: World, stranger: World, tmp_path: Path
) -> None:
    """The solid tree answers for old heights with another chain of the same genesis."""
    world.mine(120)
    birth = 30
    solid_only = "/walletsolidity/"

    wire = OtherPast(world, stranger, solid_only)
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to], birth_height=birth)
        await bench.mine(BLOCKS_TO_SOLID)
        wire.is_spoiled = True
        for _ in range(FAILURES_TO_ALARM):
            with pytest.raises(InconsistentBlock):
                await bench.rescan()
        ((kind, _), detail), *_ = bench.alarms.open.items()
        assert kind == "rescan_stalled"
        assert "could not be read" in detail

        wire.is_spoiled = False
        await bench.rescan()
        assert not bench.alarms.open


class OtherPast(SpoiledWire):
    """Shows the past of another chain when many blocks are asked for at once."""

    def __init__(self, world: World, other: World, tree: str) -> None:
        super().__init__(world.devnet, self._lie)
        self._other = SpoiledWire(other.devnet, lambda *asked: asked[-1])
        self._tree = tree
        self.is_spoiled = False
        self._borrowed: Any = None

    async def handle_async_request(self, request: Any) -> Any:
        if self.is_spoiled and request.url.path == f"{self._tree}getblockbylimitnext":
            return await self._other.handle_async_request(request)
        return await super().handle_async_request(request)

    @staticmethod
    def _lie(_path: str, _asked: Any, answer: Any) -> Any:
        return answer


async def test_asking_for_the_same_range_again_is_the_same_rescan(bench: Bench) -> None:
    await bench.mine(BLOCKS_TO_SOLID + 10)
    first = await bench.coverage.rescan(2, 9)
    again = await bench.coverage.rescan(2, 9)
    within = await bench.coverage.rescan(4, 6)
    assert first.id == again.id == within.id
    (listed,) = (await bench.coverage.rescans(cursor=None, limit=10)).items
    assert listed.state is RescanState.PENDING

    await bench.rescan()
    (listed,) = (await bench.coverage.rescans(cursor=None, limit=10)).items
    assert listed.state is RescanState.DONE
    assert listed.finished_at_ms is not None
    assert (await bench.coverage.rescan(2, 9)).id != first.id


@pytest.mark.parametrize(("first", "last"), [(9, 2), (0, 4), (5, 10**9)])
async def test_a_range_that_is_none_is_refused(bench: Bench, first: int, last: int) -> None:
    with pytest.raises(ImpossibleRange):
        await bench.coverage.rescan(first, last)


def waiting(first: int, last: int, *, at: int | None = None) -> Rescan:
    return Rescan(
        id=f"{first}-{last}",
        version=1,
        reason="test",
        first_height=first,
        last_height=last,
        next_height=at or first,
        created_at_ms=0,
    )


@pytest.mark.parametrize(
    ("pending", "span", "expected"),
    [
        ([], (5, 9), (5, 9, 5)),
        ([waiting(1, 20)], (5, 9), None),
        ([waiting(1, 20, at=7)], (5, 9), (1, 20, 5)),
        ([waiting(1, 20, at=7)], (18, 30), (1, 30, 7)),
        ([waiting(1, 20)], (21, 30), (1, 30, 1)),
        ([waiting(1, 20)], (22, 30), (22, 30, 22)),
        ([waiting(40, 50)], (22, 39), (22, 50, 22)),
    ],
)
def test_ranges_that_meet_become_one(
    pending: list[Rescan], span: tuple[int, int], expected: tuple[int, int, int] | None
) -> None:
    found = scheduled(
        pending, Span(first=span[0], last=span[1]), reason="test", id_="new", now_ms=0
    )
    told = None if found is None else (found.first_height, found.last_height, found.next_height)
    assert told == expected

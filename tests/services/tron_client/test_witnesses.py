"""Blocks count by who has signed them, and nobody is let in by one node's word (H9)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devnet.chain_pb2 import AccountPermissionUpdateContract, Permission
from devnet.chain_pb2 import Key as PermissionKey
from devnet.forks import Fate
from devnet.genesis import CUSTOMERS, FAUCET, GENESIS_TIME_MS, WITNESSES
from devnet.keys import Key
from devnet.permissions import ACTIVE_OPERATIONS
from services.tron_client.domain.blocks import Anchor, InconsistentBlock
from services.tron_client.domain.progress import HeldBlock
from services.tron_client.domain.witnesses import (
    Standing,
    UnprovenBlock,
    Witness,
    WitnessesDisagree,
    WitnessSet,
    check_time,
    solid_height,
)
from services.tron_client.scanner.witnesses import (
    DISAGREEMENT,
    ONE_OPERATOR,
    PERIOD_MS,
    SIGNED_TWICE,
    SUBJECT,
    Witnesses,
)
from services.tron_client.store.witnesses import WitnessStore
from shared.clock import HeldClock
from shared.models.alarms import Severity
from shared.tron.address import Address
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    NotedAlarms,
    SpoiledWire,
    Wire,
    World,
    benched,
    operator_of,
    text,
)

NOBODY = Key(name="nobody")
SUCCESSOR = CUSTOMERS[8].key
"""A key that the devnet holds, and so can sign blocks with."""


def witness(number: int) -> Witness:
    address = text(WITNESSES[number].address)
    return Witness(address=address, key=address)


def stranger(number: int) -> Witness:
    address = text(Key(name=f"stranger-{number}").address)
    return Witness(address=address, key=address)


ALL = frozenset(witness(number) for number in range(27))


def the_27() -> WitnessSet:
    return WitnessSet.first(ALL, operators=1, due_ms=0)


def chain_by(*makers: Witness) -> list[HeldBlock]:
    return [
        HeldBlock(
            id=f"{height:064x}",
            height=height,
            parent_id=f"{height - 1:064x}",
            timestamp_ms=height * 3_000,
            touches=0,
            witness=maker.address,
            signer=maker.key,
        )
        for height, maker in enumerate(makers, start=1)
    ]


@pytest.mark.parametrize(("count", "needed"), [(1, 1), (2, 2), (3, 3), (4, 3), (10, 7), (27, 19)])
def test_h9_as_many_must_sign_as_java_tron_asks_for(count: int, needed: int) -> None:
    active = {witness(number) for number in range(count)}
    assert WitnessSet.first(active, operators=1, due_ms=0).needed == needed


def test_h9_eighteen_distinct_witnesses_prove_nothing_and_nineteen_do() -> None:
    eighteen = [witness(number) for number in range(18)]
    assert solid_height(chain_by(*eighteen, *eighteen, *eighteen), the_27()) is None
    assert solid_height(chain_by(witness(20), *eighteen), the_27()) == 1
    assert solid_height(chain_by(witness(20), *eighteen, eighteen[0]), the_27()) == 1
    assert solid_height(chain_by(*eighteen, witness(20), *eighteen), the_27()) == 19


def test_h9_strangers_and_candidates_are_not_counted() -> None:
    known = the_27().nominated(stranger(1))
    blocks = chain_by(*(witness(number) for number in range(18)), stranger(1), stranger(2))
    assert solid_height(blocks, known) is None


def test_h9_another_key_of_a_known_witness_is_not_counted() -> None:
    thief = Witness(address=witness(18).address, key=stranger(1).key)
    blocks = chain_by(*(witness(number) for number in range(18)), thief)
    assert the_27().standing(thief) is Standing.STRANGER
    assert solid_height(blocks, the_27()) is None


def test_h9_no_more_candidates_are_followed_than_leave_the_proof_to_the_known() -> None:
    known = the_27()
    for number in range(8):
        known = known.nominated(stranger(number))
    with pytest.raises(InconsistentBlock):
        known.nominated(stranger(8))


def test_h9_one_operator_can_bring_in_nobody_and_shrink_nothing() -> None:
    lie = frozenset(stranger(number) for number in range(27))
    known = the_27()
    for _ in range(3):
        known = known.agreed(lie, operators=1, due_ms=1)
    assert set(known.known) == ALL
    for _ in range(3):
        known = known.agreed(frozenset({witness(0)}), operators=1, due_ms=1)
    assert known.needed == 19
    assert set(known.known) == ALL


def test_h9_whom_two_operators_agree_on_counts_and_who_left_goes_with_the_second_word() -> None:
    active = (ALL - {witness(3)}) | {stranger(1)}
    once = the_27().agreed(active, operators=2, due_ms=1)
    assert once.standing(stranger(1)) is Standing.KNOWN
    assert once.standing(witness(3)) is Standing.KNOWN
    twice = once.agreed(active, operators=2, due_ms=2)
    assert twice.standing(witness(3)) is Standing.STRANGER
    assert set(twice.known) == active


def test_h9_one_who_comes_back_in_between_stays() -> None:
    active = (ALL - {witness(3)}) | {stranger(1)}
    known = the_27().agreed(active, operators=2, due_ms=1)
    known = known.agreed(ALL | {stranger(1)}, operators=2, due_ms=2)
    assert known.agreed(active, operators=2, due_ms=3).standing(witness(3)) is Standing.KNOWN


@pytest.mark.parametrize("passed_ms", [0, -3_000, 2_999, 1, 4_500])
def test_h9_a_block_off_the_grid_or_not_after_its_parent_is_refused(passed_ms: int) -> None:
    parent = Anchor(height=5, block_id="", timestamp_ms=GENESIS_TIME_MS)
    block = Anchor(height=6, block_id="", timestamp_ms=GENESIS_TIME_MS + passed_ms)
    with pytest.raises(InconsistentBlock):
        check_time(block, parent=parent, now_ms=GENESIS_TIME_MS + 10_000)


def test_h2_a_block_may_be_a_minute_ahead_and_no_more() -> None:
    parent = Anchor(height=5, block_id="", timestamp_ms=GENESIS_TIME_MS)
    block = Anchor(height=6, block_id="", timestamp_ms=GENESIS_TIME_MS + 72_000_000)
    check_time(block, parent=parent, now_ms=block.timestamp_ms - 60_000)
    with pytest.raises(InconsistentBlock):
        check_time(block, parent=parent, now_ms=block.timestamp_ms - 60_001)


async def test_h9_the_witnesses_are_learned_once_and_kept(world: World, tmp_path: Path) -> None:
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        asked = bench.calls()["/wallet/listwitnesses"]
        stored = await WitnessStore(bench.store).load()
        assert stored is not None
        assert set(stored.known) == ALL
    async with benched(world, tmp_path) as bench:
        await bench.mine(5)
        assert bench.calls()["/wallet/listwitnesses"] == asked == 1


async def test_h9_solid_is_what_nineteen_signed_whatever_the_node_says(
    world: World, tmp_path: Path
) -> None:
    """The node calls its very head solid, on both trees."""

    def overstated(path: str, _asked: Any, answer: Any) -> Any:
        return newest if path == "/walletsolidity/getnowblock" else answer

    wire = SpoiledWire(world.devnet, overstated)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        world.pay_trx(7)
        world.mine(BLOCKS_TO_SOLID)
        newest = await bench.node.read_raw("/wallet/getnowblock", {})
        wire.is_spoiled = True
        await bench.scan()
        assert bench.sight.current().head.height == newest["block_header"]["raw_data"]["number"]
        assert await bench.transfer_events() == [("seen", "7")]
        wire.is_spoiled = False
        await bench.mine()
        assert await bench.transfer_events() == [("seen", "7"), ("confirmed", "7")]


async def test_h9_while_nine_witnesses_are_away_nothing_becomes_solid(bench: Bench) -> None:
    await bench.mine(30)
    bench.world.devnet.node.stall_solid()
    await bench.mine(40)
    stalled = bench.sight.current().solid.height
    await bench.mine(200)
    assert bench.sight.current().solid.height == stalled
    bench.world.devnet.node.resume()
    await bench.mine(40)
    assert bench.sight.current().solid.height == bench.world.devnet.node.chain.solid_number


async def test_h9_our_proof_is_as_quick_as_the_nodes(bench: Bench) -> None:
    bench.world.devnet.node.set_absent({2, 9, 15})
    for _ in range(60):
        await bench.mine()
        assert bench.sight.current().solid.height == bench.world.devnet.node.chain.solid_number


async def test_h9_a_block_to_begin_at_must_be_signed_by_nineteen(
    world: World, tmp_path: Path
) -> None:
    """A node that calls a young block solid is not begun with."""

    def overstated(path: str, _asked: Any, answer: Any) -> Any:
        return young if path == "/walletsolidity/getnowblock" else answer

    wire = SpoiledWire(world.devnet, overstated)
    async with operator_of(Wire(world.devnet)) as honest:
        young = await honest.read_raw("/wallet/getblockbynum", {"num": 8})
    async with benched(world, tmp_path, transport=wire) as bench:
        with pytest.raises(UnprovenBlock):
            await bench.scanner.scan()
        assert bench.sight.progress is None
        world.mine(6)
        await bench.scan()
        assert bench.sight.current().start.height == 8


@pytest.mark.parametrize("by", ["forger", "noise", "nobody"])
async def test_h9_a_header_that_no_witness_signed_is_refused(bench: Bench, by: str) -> None:
    before = bench.sight.current().head.height
    bench.world.devnet.director.arm("false_seal", {"by": by, "path": "/wallet/getblockbynum"})
    bench.world.mine()
    with pytest.raises(InconsistentBlock):
        await bench.scanner.scan()
    assert bench.sight.current().head.height == before
    await bench.scan()
    assert bench.sight.current().head.height == before + 1


async def test_h9_a_block_that_stays_unsigned_calls_somebody(bench: Bench) -> None:
    bench.world.devnet.director.arm(
        "false_seal", {"by": "forger", "path": "/wallet/getblockbynum", "count": 5}
    )
    bench.world.mine()
    for _ in range(5):
        with pytest.raises(InconsistentBlock):
            await bench.scanner.scan()
    height = bench.sight.current().head.height + 1
    assert f"block {height}" in bench.alarms.open["scan_stalled", "blocks"]
    assert "no witness" in bench.alarms.open["scan_stalled", "blocks"]
    await bench.scan()
    assert not bench.alarms.open


async def test_h9_blocks_are_not_taken_back_for_an_unsigned_one(bench: Bench) -> None:
    """A fork is believed only when witnesses made it."""
    bench.world.pay_trx(7)
    await bench.mine(2)
    bench.world.devnet.director.arm(
        "false_parent", {"seal": "forger", "path": "/wallet/getblockbynum", "count": 3}
    )
    bench.world.mine()
    with pytest.raises(InconsistentBlock):
        await bench.scanner.scan()
    assert await bench.transfer_events() == [("seen", "7")]


async def one_by_one(bench: Bench, blocks: int) -> None:
    """Make blocks and follow each before the next."""
    for _ in range(blocks):
        await bench.mine()


async def hand_over(bench: Bench, old: Key, new: Key) -> None:
    """Have a witness give its witness permission to another key, and wait for it to be solid."""
    bench.world.devnet.teller.send_trx(FAUCET.key, old.address, 200_000_000)
    await bench.mine()
    own = [PermissionKey(address=old.address, weight=1)]
    update = AccountPermissionUpdateContract(
        owner_address=old.address,
        owner=Permission(threshold=1, keys=own),
        witness=Permission(
            type=Permission.Witness,
            threshold=1,
            keys=[PermissionKey(address=new.address, weight=1)],
        ),
        actives=[
            Permission(type=Permission.Active, threshold=1, keys=own, operations=ACTIVE_OPERATIONS)
        ],
    )
    payer, bench.world.payer = bench.world.payer, old
    bench.world.devnet.node.broadcast(bench.world.wrapped(update))
    bench.world.payer = payer
    bench.world.mine()


async def known_to(bench: Bench, each: Witness) -> Standing:
    stored = await WitnessStore(bench.store).load()
    assert stored is not None
    return stored.standing(each)


async def test_h9_a_new_key_of_a_witness_counts_when_nineteen_have_built_on_it(
    bench: Bench,
) -> None:
    """One operator tells of it; the known witnesses bear it out."""
    renewed = Witness(address=witness(5).address, key=text(SUCCESSOR.address))
    await hand_over(bench, WITNESSES[5], SUCCESSOR)
    standings = []
    for _ in range(27 + BLOCKS_TO_SOLID + 3):
        await bench.mine()
        standings.append(await known_to(bench, renewed))
    assert list(dict.fromkeys(standings)) == [
        Standing.STRANGER,
        Standing.CANDIDATE,
        Standing.KNOWN,
    ]
    assert standings.count(Standing.CANDIDATE) >= BLOCKS_TO_SOLID
    await one_by_one(bench, 28)
    assert bench.sight.current().solid.height == bench.world.devnet.node.chain.solid_number


async def test_h9_a_new_key_counts_at_once_when_two_operators_tell_of_it(
    world: World, tmp_path: Path
) -> None:
    renewed = Witness(address=witness(5).address, key=text(SUCCESSOR.address))
    async with (
        operator_of(Wire(world.devnet)) as other,
        benched(world, tmp_path, others={"other": other}) as bench,
    ):
        await bench.scan()
        await hand_over(bench, WITNESSES[5], SUCCESSOR)
        standings = []
        for _ in range(28):
            await bench.mine()
            standings.append(await known_to(bench, renewed))
        assert list(dict.fromkeys(standings)) == [Standing.STRANGER, Standing.KNOWN]


async def test_h9_a_key_that_is_not_the_witness_permissions_is_refused(
    world: World, tmp_path: Path
) -> None:
    """The node says that another key signs for a witness; its true blocks no longer fit that."""
    liar = WITNESSES[5].address.hex()

    def with_other_key(path: str, asked: Any, answer: Any) -> Any:
        if path == "/wallet/getaccount" and asked["address"] == liar:
            answer["witness_permission"] = {"keys": [{"address": NOBODY.address.hex()}]}
        return answer

    async with benched(
        world, tmp_path, transport=SpoiledWire(world.devnet, with_other_key)
    ) as bench:
        with pytest.raises((InconsistentBlock, UnprovenBlock)):
            await one_by_one(bench, 28)


async def test_h9_operators_that_tell_of_different_witnesses_are_not_begun_with(
    world: World, tmp_path: Path
) -> None:
    def without_one(path: str, _asked: Any, answer: Any) -> Any:
        if path == "/wallet/listwitnesses":
            answer["witnesses"].pop()
        return answer

    wire = SpoiledWire(world.devnet, without_one)
    async with (
        operator_of(wire) as other,
        benched(world, tmp_path, others={"other": other}) as bench,
    ):
        with pytest.raises(WitnessesDisagree):
            await bench.scanner.scan()
        assert (DISAGREEMENT, SUBJECT) in bench.alarms.open
        wire.is_spoiled = False
        await bench.scan()
        assert not bench.alarms.open


async def test_h9_two_operators_are_waited_for_where_there_are_two(
    world: World, tmp_path: Path
) -> None:
    def silent(path: str, _asked: Any, answer: Any) -> Any:
        busy = {"Error": "lack of computing resources"}
        return busy if path == "/wallet/listwitnesses" else answer

    wire = SpoiledWire(world.devnet, silent)
    async with (
        operator_of(wire) as other,
        benched(world, tmp_path, others={"other": other}) as bench,
    ):
        with pytest.raises(WitnessesDisagree):
            await bench.scanner.scan()
        wire.is_spoiled = False
        await bench.scan()


def told_to(bench: Bench, clock: HeldClock, alarms: NotedAlarms) -> Witnesses:
    return Witnesses(
        operators=lambda: {"own": bench.node},
        store=WitnessStore(bench.store),
        clock=clock,
        alarms=alarms,
        expects_two=True,
    )


async def test_h9_on_mainnet_one_operators_word_is_marked(world: World, tmp_path: Path) -> None:
    alarms = NotedAlarms()
    async with benched(world, tmp_path) as bench:
        await told_to(bench, HeldClock(GENESIS_TIME_MS), alarms).current()
    assert alarms.severities[ONE_OPERATOR, SUBJECT] is Severity.WARNING


async def test_h9_the_set_is_compared_again_after_a_maintenance(bench: Bench) -> None:
    asked = bench.calls()["/wallet/listwitnesses"]
    bench.world.devnet.node.clock.jump(PERIOD_MS)
    await bench.mine(5)
    assert bench.calls()["/wallet/listwitnesses"] == asked + 1


async def test_h9_a_node_that_does_not_tell_stops_no_scan(world: World, tmp_path: Path) -> None:
    """The comparison after a maintenance waits; what is known stays known."""

    def silent(path: str, _asked: Any, answer: Any) -> Any:
        busy = {"Error": "lack of computing resources"}
        return busy if path == "/wallet/listwitnesses" else answer

    wire = SpoiledWire(world.devnet, silent)
    wire.is_spoiled = False
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        wire.is_spoiled = True
        world.devnet.node.clock.jump(PERIOD_MS)
        await bench.mine(30)
        assert bench.sight.current().head.height == world.devnet.node.chain.head.number


async def test_h9_a_key_from_an_earlier_period_is_followed_and_borne_out(bench: Bench) -> None:
    """Operators tell of the present alone: makers of old blocks count by what was built on them."""
    renewed = Witness(address=witness(5).address, key=text(SUCCESSOR.address))
    await hand_over(bench, WITNESSES[5], SUCCESSOR)
    bench.world.mine(60)
    bench.world.devnet.node.clock.jump(2 * PERIOD_MS)
    bench.world.mine()
    asked = bench.calls()["/wallet/listwitnesses"]
    await bench.scan()
    assert await known_to(bench, renewed) is Standing.KNOWN
    assert bench.calls()["/wallet/listwitnesses"] == asked + 1
    assert bench.sight.current().head.height == bench.world.devnet.node.chain.head.number


async def test_h9_a_witness_that_signs_two_blocks_of_one_height_is_told_of(bench: Bench) -> None:
    """While all others are away the branch begins with the maker of the block that it replaces."""
    node = bench.world.devnet.node
    await bench.mine()
    head = await bench.store.block_at(bench.sight.current().head.height)
    assert head is not None
    places = [text(each.address) for each in WITNESSES]
    node.set_absent({*range(len(WITNESSES))} - {places.index(Address(head.witness))})
    node.reorganise(1, fate=Fate.DROP)
    await bench.scan()
    assert bench.sight.current().head.height == node.chain.head.number
    assert bench.alarms.severities[SIGNED_TWICE, head.witness] is Severity.WARNING
    assert f"has signed two blocks {head.height}" in bench.alarms.open[SIGNED_TWICE, head.witness]


async def test_h9_a_fork_of_different_witnesses_calls_nobody(bench: Bench) -> None:
    await bench.mine(3)
    bench.world.devnet.node.reorganise(3, fate=Fate.DROP)
    await bench.scan()
    assert bench.alarms.open == {}

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from devnet.api.builders import unsigned
from devnet.blocklog import BlockLog
from devnet.blocks import slot_of
from devnet.chain_pb2 import AccountPermissionUpdateContract, Key, Permission
from devnet.clock import ChainClock
from devnet.faults import Faults
from devnet.forks import Fate
from devnet.genesis import FAUCET, GENESIS_TIME_MS, WITNESSES
from devnet.keys import Key as Signer
from devnet.keys import recover
from devnet.mainchain import MainChain
from devnet.permissions import ACTIVE_OPERATIONS
from devnet.rejection import Code, RejectedError
from devnet.witness_node import WitnessNode

DAY_MS = 86_400_000


def places(world: Any, first: int) -> list[int]:
    """The places of those who made the blocks from a height on."""
    chain = world.node.chain
    addresses = [key.address for key in WITNESSES]
    return [
        addresses.index(chain.record(number).block.block_header.raw_data.witness_address)
        for number in range(first, chain.head.number + 1)
    ]


def slot(world: Any) -> int:
    return slot_of(world.node.chain.head.time_ms, GENESIS_TIME_MS)


def test_a_witness_that_stays_away_leaves_its_slots_empty(world: Any) -> None:
    first = world.node.chain.head.number + 1
    start = slot(world)
    absent = {3, 4, 26}
    world.node.set_absent(absent)

    world.mine(48)

    chain = world.node.chain
    used = {
        slot_of(chain.tip(number).time_ms, GENESIS_TIME_MS)
        for number in range(first, chain.head.number + 1)
    }
    assert len(used) == 48
    assert {each % 27 for each in used} == set(range(27)) - absent
    empty = set(range(start + 1, max(used))) - used
    assert {each % 27 for each in empty} == absent
    assert places(world, first) == [each % 27 for each in sorted(used)]


def test_slots_can_be_missed_whoever_they_belong_to(world: Any) -> None:
    start = slot(world)
    world.node.miss_slots(5)

    world.mine()
    assert slot(world) == start + 6
    world.mine()
    assert slot(world) == start + 7


def test_nothing_becomes_solid_while_nine_witnesses_stay_away(world: Any) -> None:
    world.mine(60)
    world.node.stall_solid()
    world.mine(27)
    stalled = world.node.chain.solid_number

    world.mine(80)

    assert world.node.chain.solid_number == stalled
    makers = {place for place in places(world, stalled + 1) if place >= 9}
    assert len(makers) == 18
    world.node.resume()
    world.mine(27)
    assert world.node.chain.head.number - world.node.chain.solid_number < 27


def test_a_node_may_refuse_while_nothing_becomes_solid(world: Any) -> None:
    world.mine(30)
    world.node.checks_solidity = True
    world.node.stall_solid()
    world.mine(60)

    with pytest.raises(RejectedError) as caught:
        world.node.broadcast(world.transfer(world.payee.address, 1))
    assert (caught.value.code, caught.value.message) == (
        Code.BLOCK_UNSOLIDIFIED,
        "Block unsolidified.",
    )


def test_a_halted_chain_lets_time_pass_without_blocks(world: Any) -> None:
    head = world.node.chain.head
    now_ms = world.node.clock.now_ms()
    world.node.stall_head()

    world.mine(3)

    assert world.node.chain.head == head
    assert world.node.clock.now_ms() >= now_ms + 6_000
    assert world.node.next_slot_ms() is None
    assert not world.node.mine_if_due()
    world.node.resume()
    world.mine()
    assert world.node.chain.head.number == head.number + 1


def test_a_due_block_is_made_once_and_only_by_a_witness_that_is_there(world: Any) -> None:
    node = world.node
    node.clock.advance_to(node.next_slot_ms())
    due = slot_of(node.clock.now_ms(), GENESIS_TIME_MS)
    node.set_absent([due % 27])

    assert not node.mine_if_due()
    node.clock.jump(3_000)
    assert node.mine_if_due()
    assert slot(world) == due + 1
    assert not node.mine_if_due()


def test_only_witnesses_that_exist_can_stay_away(world: Any) -> None:
    with pytest.raises(ValueError, match="0 to 26"):
        world.node.set_absent([27])
    with pytest.raises(ValueError, match="negative"):
        world.node.miss_slots(-1)


def permission_update(witness_key: bytes, owner: bytes) -> AccountPermissionUpdateContract:
    own = [Key(address=owner, weight=1)]
    return AccountPermissionUpdateContract(
        owner_address=owner,
        owner=Permission(threshold=1, keys=own),
        witness=Permission(
            type=Permission.Witness, threshold=1, keys=[Key(address=witness_key, weight=1)]
        ),
        actives=[
            Permission(type=Permission.Active, threshold=1, keys=own, operations=ACTIVE_OPERATIONS)
        ],
    )


@pytest.mark.parametrize("successor", [FAUCET.key, Signer(name="stranger")])
def test_a_witness_signs_with_the_key_of_its_witness_permission(
    world: Any, successor: Signer
) -> None:
    """A key that the devnet does not hold makes no blocks."""
    witness = WITNESSES[5]
    world.confirmed(world.transfer(witness.address, 200_000_000, by=FAUCET.key))
    update = permission_update(successor.address, witness.address)
    world.confirmed(world.signed(unsigned(world.node, update), witness))
    first = world.node.chain.head.number + 1

    world.mine(30)

    assert (5 in places(world, first)) is (successor == FAUCET.key)
    for number in range(first, world.node.chain.head.number + 1):
        header = world.node.chain.record(number).block.block_header
        digest = sha256(header.raw_data.SerializeToString(deterministic=True)).digest()
        signer = recover(digest, header.witness_signature)
        is_changed = header.raw_data.witness_address == witness.address
        assert signer == (successor.address if is_changed else header.raw_data.witness_address)


def test_a_jump_in_time_outlives_a_restart(
    tmp_path: Path, open_world: Callable[[Path], Any]
) -> None:
    path = tmp_path / "chain.blocks"
    world = open_world(path)
    world.mine(3)
    world.node.jump(14 * DAY_MS)
    jumped_ms = world.node.clock.now_ms()
    world.node.chain.close()

    again = open_world(path)

    assert again.node.clock.now_ms() >= jumped_ms
    assert again.node.chain.head.number == 3
    again.mine()
    assert again.node.chain.head.time_ms > jumped_ms - 3_000
    again.node.close()


def test_an_orderly_end_keeps_the_clock(tmp_path: Path, open_world: Callable[[Path], Any]) -> None:
    path = tmp_path / "chain.blocks"
    world = open_world(path)
    world.node.clock.jump(DAY_MS)
    stopped_ms = world.node.clock.now_ms()
    world.node.close()

    again = open_world(path)
    assert again.node.clock.now_ms() >= stopped_ms
    again.node.close()


def test_while_time_runs_a_branch_may_be_ahead_of_the_clock_which_then_catches_up() -> None:
    now_ns = 0
    clock = ChainClock(start_ms=GENESIS_TIME_MS + DAY_MS, speed=1, monotonic_ns=lambda: now_ns)
    chain = MainChain(BlockLog())
    node = WitnessNode(chain=chain, clock=clock, faults=Faults())
    for _ in range(30):
        assert node.mine_if_due()
        now_ns += 3_000_000_000
    before_ms = clock.now_ms()

    node.reorganise(2, fate=Fate.WAIT)

    assert clock.now_ms() == before_ms
    assert chain.head.time_ms - before_ms == 3_000
    assert not node.mine_if_due()
    now_ns += 6_000_000_000
    assert node.mine_if_due()
    assert chain.head.time_ms == clock.now_ms()
    node.close()

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from devnet.blocklog import BlockLog, StateFileError
from devnet.blocks import SLOT_MS, block_id_of, transaction_root
from devnet.clock import ChainClock
from devnet.forks import Fate
from devnet.genesis import GENESIS_TIME_MS, WITNESSES
from devnet.keys import recover
from devnet.rejection import Code, RejectedError


def refusal(world: Any, transaction: Any) -> Code:
    with pytest.raises(RejectedError) as caught:
        world.node.broadcast(transaction)
    return caught.value.code


def test_blocks_are_linked_sealed_and_signed_in_turn(world: Any) -> None:
    world.node.broadcast(world.transfer(world.payee.address, 1))
    world.mine(30)
    chain = world.node.chain

    for number in range(2, 31):
        block = chain.record(number).block
        raw = block.block_header.raw_data
        digest = sha256(raw.SerializeToString(deterministic=True)).digest()
        slot = (raw.timestamp - GENESIS_TIME_MS) // SLOT_MS
        assert raw.parentHash == chain.block_id(number - 1)
        assert raw.number == number
        assert raw.txTrieRoot == transaction_root(block.transactions)
        assert recover(digest, block.block_header.witness_signature) == raw.witness_address
        assert raw.witness_address == WITNESSES[slot % 27].address
        assert chain.block_id(number) == number.to_bytes(8, "big") + digest[8:]
        assert chain.block_id(number) == block_id_of(block.block_header)


def test_the_first_block_stands_in_the_slot_of_the_present(world: Any) -> None:
    assert 0 <= time.time_ns() // 1_000_000 - world.node.chain.head.time_ms < 2 * SLOT_MS


def test_the_solid_block_is_18_behind_a_full_round(world: Any) -> None:
    world.mine(17)
    assert world.node.chain.solid_number == 0
    world.mine(40)
    assert world.node.chain.head.number - world.node.chain.solid_number == 18


def test_the_solid_state_follows_the_solid_block(world: Any) -> None:
    world.mine(30)
    world.confirmed(world.transfer(world.stranger.address, 5))
    ledger = world.node.chain.ledger

    world.mine(17)
    assert ledger.solid.account(world.stranger.address) is None
    world.mine()
    assert ledger.solid.account(world.stranger.address).balance_sun == 5
    assert ledger.depth == 18


def test_a_transaction_waits_in_the_pool_and_counts_there(world: Any) -> None:
    item = world.node.broadcast(world.transfer(world.payee.address, 1))

    assert world.node.pool.get(item.txid) is not None
    assert world.node.chain.height_of(item.txid) is None
    world.mine()
    assert world.node.pool.get(item.txid) is None
    assert world.node.chain.height_of(item.txid) == world.node.chain.head.number


def test_the_same_transaction_is_taken_once(world: Any) -> None:
    transaction = world.transfer(world.payee.address, 1)
    world.node.broadcast(transaction)

    assert refusal(world, transaction) is Code.DUP_TRANSACTION_ERROR
    world.mine()
    assert refusal(world, transaction) is Code.DUP_TRANSACTION_ERROR


def test_each_rejection_has_its_code(world: Any) -> None:
    def changed(**fields: Any) -> Any:
        transaction = world.transfer(world.payee.address, 1)
        for name, value in fields.items():
            setattr(transaction.raw_data, name, value)
        return world.signed(transaction, world.payer)

    head_ms = world.node.chain.head.time_ms
    forged = world.signed(world.transfer(world.payee.address, 1), world.payee)
    unsigned = world.transfer(world.payee.address, 1)
    del unsigned.signature[:]
    too_much = world.transfer(world.payee.address, 10**17)

    assert refusal(world, changed(expiration=head_ms)) is Code.TRANSACTION_EXPIRATION_ERROR
    late = changed(expiration=head_ms + 86_400_001)
    assert refusal(world, late) is Code.TRANSACTION_EXPIRATION_ERROR
    assert refusal(world, changed(ref_block_hash=bytes(8))) is Code.TAPOS_ERROR
    assert refusal(world, changed(data=bytes(520_000))) is Code.TOO_BIG_TRANSACTION_ERROR
    assert refusal(world, forged) is Code.SIGERROR
    assert refusal(world, unsigned) is Code.SIGERROR
    assert refusal(world, too_much) is Code.CONTRACT_VALIDATE_ERROR
    assert refusal(world, world.usdt("pause", fee_limit_sun=15_000_000_001)) is (
        Code.CONTRACT_VALIDATE_ERROR
    )


def test_the_pool_forgets_after_a_minute_of_chain_time(world: Any) -> None:
    transaction = world.transfer(world.payee.address, 1)
    transaction.raw_data.expiration += 600_000
    item = world.node.broadcast(world.signed(transaction, world.payer))

    world.node.clock.jump(70_000)
    world.mine()

    assert world.node.chain.height_of(item.txid) is None
    assert world.node.pool.get(item.txid) is None


def test_a_reorganisation_returns_transactions_to_the_pool(world: Any) -> None:
    world.mine(30)
    before_sun = world.balance_sun(world.payee.address)
    info = world.confirmed(world.transfer(world.payee.address, 7))
    world.mine(2)
    old = [world.node.chain.block_id(number) for number in range(info.blockNumber, 34)]

    assert world.node.reorganise(3, fate=Fate.WAIT) == [info.id]

    chain = world.node.chain
    assert chain.head.number == 35
    assert all(chain.block_id(n) not in old for n in range(info.blockNumber, 34))
    assert chain.height_of(info.id) is None
    assert world.node.pool.get(info.id) is not None
    world.mine()
    assert chain.height_of(info.id) == 36
    assert world.balance_sun(world.payee.address) == before_sun + 7


def test_a_reorganisation_may_lose_transactions(world: Any) -> None:
    world.mine(30)
    before_sun = world.balance_sun(world.payee.address)
    info = world.confirmed(world.transfer(world.payee.address, 7))

    world.node.reorganise(1, fate=Fate.DROP)
    world.mine()

    assert world.node.chain.height_of(info.id) is None
    assert world.balance_sun(world.payee.address) == before_sun


def test_a_solid_block_is_never_replaced(world: Any) -> None:
    world.mine(30)
    with pytest.raises(ValueError, match="can be replaced"):
        world.node.reorganise(19, fate=Fate.WAIT)


def test_a_restart_continues_the_same_chain(
    tmp_path: Path, open_world: Callable[[Path], Any]
) -> None:
    path = tmp_path / "chain.blocks"
    world = open_world(path)
    world.mine(30)
    info = world.confirmed(world.usdt("transfer", world.stranger.address, 9))
    lost = world.confirmed(world.transfer(world.payee.address, 3))
    world.node.reorganise(1, fate=Fate.DROP)
    world.mine(5)
    head, solid = world.node.chain.head, world.node.chain.solid
    state, solid_state = (dict(s.changes) for s in (_states(world)))
    world.node.chain.close()

    again = open_world(path)

    assert (again.node.chain.head, again.node.chain.solid) == (head, solid)
    assert [dict(s.changes) for s in _states(again)] == [state, solid_state]
    height = again.node.chain.height_of(info.id)
    assert again.node.chain.record(height).infos[0] == info
    assert again.node.chain.height_of(lost.id) is None
    again.mine()
    assert again.node.chain.record(head.number + 1).block.block_header.raw_data.parentHash == (
        head.block_id
    )
    again.node.chain.close()


def test_a_torn_last_block_is_cut_off(tmp_path: Path, open_world: Callable[[Path], Any]) -> None:
    path = tmp_path / "chain.blocks"
    world = open_world(path)
    world.mine(3)
    world.node.chain.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])

    again = open_world(path)

    assert again.node.chain.head.number == 2
    again.node.chain.close()
    assert path.stat().st_size < len(whole) - 5


def test_a_state_file_cut_anywhere_opens_with_what_was_whole(
    tmp_path: Path, open_world: Callable[[Path], Any]
) -> None:
    """A kill at any moment, also halfway through a reorganisation, leaves a chain that goes on."""
    path = tmp_path / "chain.blocks"
    world = open_world(path)
    world.mine(30)
    world.confirmed(world.transfer(world.payee.address, 7))
    world.mine(2)
    world.node.reorganise(3, fate=Fate.REINCLUDE)
    solid = world.node.chain.solid
    world.node.chain.close()
    whole = path.read_bytes()

    for cut in range(1, len(whole), 97):
        path.write_bytes(whole[:-cut])
        again = open_world(path)
        chain = again.node.chain
        if chain.head.number >= solid.number:
            assert chain.block_id(solid.number) == solid.block_id
        again.mine()
        assert chain.record(chain.head.number).block.block_header.raw_data.parentHash == (
            chain.block_id(chain.head.number - 1)
        )
        chain.close()


def test_a_damaged_state_file_is_refused(tmp_path: Path, open_world: Callable[[Path], Any]) -> None:
    path = tmp_path / "chain.blocks"
    world = open_world(path)
    world.mine(3)
    world.node.chain.close()
    damaged = bytearray(path.read_bytes())
    damaged[-300] ^= 0xFF
    path.write_bytes(damaged)

    with pytest.raises(StateFileError):
        open_world(path)


def test_one_state_file_serves_one_devnet(
    tmp_path: Path, open_world: Callable[[Path], Any]
) -> None:
    world = open_world(tmp_path / "chain.blocks")

    with pytest.raises(StateFileError, match="another devnet"):
        BlockLog(tmp_path / "chain.blocks")
    world.node.chain.close()


def test_a_long_chain_stays_small_in_memory(
    tmp_path: Path, open_world: Callable[[Path], Any]
) -> None:
    path = tmp_path / "chain.blocks"
    world = open_world(path)
    world.mine(5_000)
    world.node.chain.close()

    again = open_world(path)

    assert again.node.chain.head.number == 5_000
    assert len(again.node.chain._recent) <= 64
    assert again.node.chain.ledger.depth == 18
    again.node.chain.close()


def test_the_clock_runs_at_its_speed_and_never_goes_back() -> None:
    now_ns = 0
    clock = ChainClock(start_ms=1_000, speed=10, monotonic_ns=lambda: now_ns)

    now_ns = 1_000_000_000
    assert clock.now_ms() == 11_000
    clock.set_speed(0)
    now_ns = 2_000_000_000
    assert clock.now_ms() == 11_000
    clock.set_speed(2)
    now_ns = 3_000_000_000
    assert clock.now_ms() == 13_000
    clock.advance_to(5_000)
    assert clock.now_ms() == 13_000
    assert clock.real_seconds_until(15_000) == 1


def _states(world: Any) -> tuple[Any, Any]:
    return world.node.chain.ledger.head, world.node.chain.ledger.solid

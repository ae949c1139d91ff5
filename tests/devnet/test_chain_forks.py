from __future__ import annotations

from typing import Any

import pytest

from devnet.blocks import block_id_of, slot_of, transaction_root, txid_of
from devnet.chain_pb2 import Transaction
from devnet.forks import Fate
from devnet.genesis import GENESIS_TIME_MS

TRX = 1_000_000
_Result = Transaction.Result


def receipt(world: Any, txid: bytes) -> Any:
    height = world.node.chain.height_of(txid)
    return next(each for each in world.node.chain.record(height).infos if each.id == txid)


def block_ids(world: Any) -> list[bytes]:
    chain = world.node.chain
    return [chain.block_id(number) for number in range(chain.head.number + 1)]


def test_a_winning_branch_is_one_block_longer_and_whole(world: Any) -> None:
    """H8: the blocks at the same heights are others, and hold together."""
    world.mine(30)
    info = world.confirmed(world.transfer(world.payee.address, 7))
    world.mine(2)
    before = block_ids(world)

    world.node.reorganise(3, fate=Fate.REINCLUDE)

    chain = world.node.chain
    after = block_ids(world)
    assert len(after) == len(before) + 1
    assert after[:-4] == before[:-3]
    assert not set(after[-4:]) & set(before)
    for number in range(info.blockNumber, len(after)):
        block = chain.record(number).block
        assert block.block_header.raw_data.parentHash == after[number - 1]
        assert block.block_header.raw_data.txTrieRoot == transaction_root(block.transactions)
        assert block_id_of(block.block_header) == after[number]


def test_a_branch_may_include_the_same_transactions_in_other_blocks(world: Any) -> None:
    world.mine(30)
    before_micro = world.usdt_micro(world.payee.address)
    info = world.confirmed(world.usdt("transfer", world.payee.address, 9))

    assert world.node.reorganise(1, fate=Fate.REINCLUDE) == [info.id]

    again = receipt(world, info.id)
    assert again.blockNumber == info.blockNumber
    assert again.blockTimeStamp > info.blockTimeStamp
    assert world.usdt_micro(world.payee.address) == before_micro + 9
    assert len(world.node.pool) == 0


def test_a_transfer_that_succeeded_may_fail_on_the_branch(world: Any) -> None:
    """H8: a result read from a block that is not solid was never final."""
    world.mine(30)
    before_micro = world.usdt_micro(world.payee.address)
    info = world.confirmed(world.usdt("transfer", world.payee.address, 9))
    assert info.receipt.result == _Result.SUCCESS

    world.node.reorganise(1, fate=Fate.FAIL)

    again = receipt(world, info.id)
    assert again.receipt.result == _Result.REVERT
    assert not again.log
    assert world.usdt_micro(world.payee.address) == before_micro
    later = world.confirmed(world.usdt("transfer", world.payee.address, 9))
    assert later.receipt.result == _Result.SUCCESS


def test_a_pause_of_their_own_outlives_a_branch_of_failures(world: Any) -> None:
    world.mine(30)
    owner = world.devnet.teller
    owner.pause(paused=True)
    world.mine(3)

    world.node.reorganise(1, fate=Fate.FAIL)

    failed = world.confirmed(world.usdt("transfer", world.payee.address, 9))
    assert failed.receipt.result == _Result.REVERT


def test_another_order_may_leave_a_transaction_without_its_money(world: Any) -> None:
    world.mine(30)
    world.confirmed(world.transfer(world.stranger.address, 5 * TRX))
    world.mine(2)
    given = world.node.broadcast(world.transfer(world.stranger.address, 100 * TRX))
    spent = world.node.broadcast(world.transfer(world.payee.address, 90 * TRX, by=world.stranger))
    world.mine()

    world.node.reorganise(1, fate=Fate.REORDER, seed=3)

    chain = world.node.chain
    assert chain.height_of(given.txid) == chain.head.number - 1
    assert chain.height_of(spent.txid) is None
    assert world.node.pool.get(spent.txid) is not None
    world.mine()
    assert chain.height_of(spent.txid) == chain.head.number


def test_a_branch_may_begin_with_a_conflicting_transaction(world: Any) -> None:
    world.mine(30)
    rich_sun = world.balance_sun(world.payer.address)
    conflict = world.transfer(world.stranger.address, rich_sun - 3 * TRX)
    info = world.confirmed(world.transfer(world.payee.address, 50 * TRX))

    world.node.reorganise(1, fate=Fate.REINCLUDE, first=[conflict])
    world.mine(3)

    assert world.node.chain.height_of(info.id) is None
    assert world.node.pool.get(info.id) is None
    assert world.balance_sun(world.stranger.address) == rich_sun - 3 * TRX


def test_a_transaction_on_a_replaced_reference_block_is_lost(world: Any) -> None:
    """The reference block decides: a transaction can follow its own branch only (TAPOS)."""
    world.mine(30)
    head = world.node.chain.head.block_id
    transaction = world.transfer(world.payee.address, 5)
    transaction.raw_data.ref_block_bytes = head[6:8]
    transaction.raw_data.ref_block_hash = head[8:16]
    info = world.confirmed(world.signed(transaction, world.payer))

    world.node.reorganise(2, fate=Fate.REINCLUDE)
    world.mine(2)

    assert world.node.chain.height_of(info.id) is None
    assert world.node.pool.get(info.id) is None


def test_blocks_down_to_the_solid_one_can_be_replaced_and_no_further(world: Any) -> None:
    world.mine(60)
    chain = world.node.chain
    solid = chain.solid
    depth = chain.head.number - solid.number

    with pytest.raises(ValueError, match="can be replaced"):
        world.node.reorganise(depth + 1, fate=Fate.WAIT)
    world.node.reorganise(depth, fate=Fate.WAIT)

    assert chain.solid_number >= solid.number
    assert chain.block_id(solid.number) == solid.block_id


def test_a_branch_overtakes_when_it_is_longer_not_before(world: Any) -> None:
    world.mine(30)
    info = world.confirmed(world.transfer(world.payee.address, 7))
    chain = world.node.chain
    old_head = chain.head

    branch = world.node.fork(1)
    assert not world.node.extend(branch)
    assert chain.head == old_head
    assert branch.head.number == old_head.number
    assert branch.head.block_id != old_head.block_id
    world.mine()
    assert not world.node.extend(branch)
    assert chain.height_of(info.id) == info.blockNumber
    assert world.node.extend(branch)

    assert chain.head == branch.head
    assert chain.height_of(info.id) is None
    assert world.node.pool.get(info.id) is not None


def test_a_branch_that_was_overtaken_by_finality_cannot_win(world: Any) -> None:
    world.mine(40)
    branch = world.node.fork(2)
    world.mine(30)
    head = world.node.chain.head

    assert not branch.can_win
    for _ in range(40):
        assert not world.node.extend(branch)
    assert branch.head.number > head.number
    assert world.node.chain.head == head
    with pytest.raises(ValueError, match="solid"):
        world.node.main.adopt(branch)


def test_a_branch_from_a_replaced_block_cannot_win(world: Any) -> None:
    world.mine(40)
    branch = world.node.fork(1)
    world.node.reorganise(3, fate=Fate.WAIT)
    head = world.node.chain.head

    for _ in range(5):
        assert not world.node.extend(branch)

    assert world.node.chain.head == head


def test_a_branch_stays_whole_and_becomes_solid_by_itself(world: Any) -> None:
    """H9: signed by all witnesses, linked and final, and yet not what the network agreed on."""
    world.mine(40)
    branch = world.node.fork(1)
    invented = world.transfer(world.stranger.address, 500)
    world.mine(60)

    world.node.extend(branch, [invented])
    for _ in range(40):
        world.node.extend(branch)

    txid = txid_of(invented)
    assert branch.height_of(txid) == branch.fork.number + 1
    assert branch.head.number - branch.solid_number == 18
    assert branch.ledger.solid.account(world.stranger.address).balance_sun == 500
    for number in range(1, branch.head.number + 1):
        header = branch.record(number).block.block_header
        assert header.raw_data.parentHash == branch.block_id(number - 1)
        assert block_id_of(header) == branch.block_id(number)
    assert world.node.chain.height_of(txid) is None
    assert world.node.chain.ledger.solid.account(world.stranger.address) is None


def test_solid_blocks_stay_solid_while_a_branch_takes_over(world: Any) -> None:
    """The 9th lowest of the latest blocks goes back for a while; what is solid does not."""
    for extra in range(1, 30):
        world.mine(1)
        chain = world.node.chain
        depth = chain.head.number - chain.solid_number
        solid = chain.solid
        solid_state = dict(chain.ledger.solid.changes)

        world.node.reorganise(min(depth, 1 + extra % 18), fate=Fate.WAIT)

        assert chain.solid_number >= solid.number
        assert chain.block_id(solid.number) == solid.block_id
        if chain.solid_number == solid.number:
            assert chain.ledger.solid.changes == solid_state


def test_a_branch_has_a_state_of_its_own(world: Any) -> None:
    world.mine(30)
    world.confirmed(world.transfer(world.stranger.address, 7))
    world.mine(25)
    world.confirmed(world.transfer(world.stranger.address, 1))
    branch = world.node.fork(1)
    on_branch = world.transfer(world.stranger.address, 2)

    world.node.extend(branch, [on_branch])

    def balance_sun(chain: Any) -> int:
        account = chain.ledger.head.account(world.stranger.address)
        return int(account.balance_sun)

    assert balance_sun(branch) == 9
    assert balance_sun(world.node.chain) == 8
    assert branch.ledger.solid.account(world.stranger.address).balance_sun == 7
    assert branch.solid == world.node.chain.solid
    world.mine()
    assert balance_sun(branch) == 9


def test_the_branch_misses_the_first_replaced_slot(world: Any) -> None:
    world.mine(30)
    replaced = world.node.chain.head.time_ms

    world.node.reorganise(1, fate=Fate.WAIT)

    first, second = (
        slot_of(world.node.chain.tip(number).time_ms, GENESIS_TIME_MS) for number in (31, 32)
    )
    assert first == slot_of(replaced, GENESIS_TIME_MS) + 1
    assert second == first + 1


def test_waiting_transactions_survive_a_reorganisation(world: Any) -> None:
    world.mine(30)
    waiting = world.node.broadcast(world.transfer(world.payee.address, 7))

    world.node.reorganise(3, fate=Fate.DROP)
    world.mine()

    assert world.node.chain.height_of(waiting.txid) == world.node.chain.head.number


def test_a_branch_includes_only_what_a_block_may(world: Any) -> None:
    world.mine(30)
    branch = world.node.fork(1)
    forged = world.signed(world.transfer(world.payee.address, 1), world.stranger)
    good = world.transfer(world.payee.address, 2)
    broke = world.transfer(world.payee.address, 10**17)

    world.node.extend(branch, [forged, good, good, broke])

    assert [info.id for info in branch.record(branch.head.number).infos] == [txid_of(good)]

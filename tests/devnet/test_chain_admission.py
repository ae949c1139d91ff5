from __future__ import annotations

from typing import Any

import pytest

from devnet.admission import MAX_TRANSACTION_BYTES
from devnet.api.builders import unsigned
from devnet.blocks import txid_of
from devnet.chain import Chain, Tip
from devnet.chain_pb2 import BlockRecord, Transaction, TransferContract
from devnet.faults import ArmedFault, Fault
from devnet.ledger import States
from devnet.node import Refusal
from devnet.pool import CAPACITY, PENDING_TIMEOUT_MS
from devnet.rejection import Code, RejectedError

DAY_MS = 86_400_000


def rejection(world: Any, transaction: Transaction) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        world.node.broadcast(transaction)
    return caught.value


def changed(world: Any, **fields: Any) -> Transaction:
    transaction = world.transfer(world.payee.address, 1)
    for name, value in fields.items():
        setattr(transaction.raw_data, name, value)
    signed: Transaction = world.signed(transaction, world.payer)
    return signed


class LongChain(Chain):
    """Many blocks that hold nothing but their number."""

    def __init__(self, height: int) -> None:
        self._height = height

    @property
    def head(self) -> Tip:
        return Tip(number=self._height, block_id=self.block_id(self._height), time_ms=0)

    @property
    def solid_number(self) -> int:
        return self._height

    @property
    def ledger(self) -> States:
        raise NotImplementedError

    def block_id(self, number: int) -> bytes:
        return number.to_bytes(8, "big") * 4

    def record(self, number: int) -> BlockRecord:
        raise NotImplementedError(number)

    def height_of(self, txid: bytes) -> int | None:
        raise NotImplementedError(txid)


def test_a_reference_block_may_be_65535_blocks_back() -> None:
    chain = LongChain(200_000)

    def is_known(back: int) -> bool:
        block_id = chain.block_id(200_000 - back)
        return chain.knows_reference(block_id[6:8], block_id[8:16])

    assert [is_known(back) for back in (0, 1, 65_535)] == [True] * 3
    assert [is_known(back) for back in (65_536, 70_000)] == [False] * 2


def test_a_reference_is_two_bytes_of_a_height_that_exists() -> None:
    chain = LongChain(100)
    head = chain.head.block_id

    assert chain.knows_reference(head[6:8], head[8:16])
    assert not chain.knows_reference(head[7:8], head[8:16])
    assert not chain.knows_reference(b"\x00\x65", (101).to_bytes(8, "big"))


def test_a_transaction_lives_from_the_next_slot_to_a_day_after_the_head(world: Any) -> None:
    head_ms = world.node.chain.head.time_ms

    for expired_ms in (head_ms, head_ms + 2_999, head_ms + DAY_MS + 1):
        refused = rejection(world, changed(world, expiration=expired_ms))
        assert refused.code is Code.TRANSACTION_EXPIRATION_ERROR
        assert refused.message == "Transaction expired"
    world.node.broadcast(changed(world, expiration=head_ms + 3_000))
    world.node.broadcast(changed(world, expiration=head_ms + DAY_MS))


def test_a_transaction_that_expires_while_it_waits_is_not_included(world: Any) -> None:
    head_ms = world.node.chain.head.time_ms
    item = world.node.broadcast(changed(world, expiration=head_ms + 3_000))
    kept = world.node.broadcast(changed(world, expiration=head_ms + 6_000))
    world.node.miss_slots(1)

    world.mine()

    assert world.node.chain.height_of(item.txid) == world.node.chain.head.number
    assert world.node.chain.height_of(kept.txid) == world.node.chain.head.number
    late = world.node.broadcast(changed(world, expiration=world.node.chain.head.time_ms + 3_000))
    branch = world.node.fork(1)
    for _ in range(2):
        world.node.extend(branch)
    world.mine()
    assert world.node.chain.height_of(late.txid) is None


def test_a_transaction_may_have_half_a_mebibyte_with_its_result(world: Any) -> None:
    empty = changed(world, data=b"").ByteSize()
    around = MAX_TRANSACTION_BYTES - 128 - empty
    largest = next(
        transaction
        for size in range(around, 0, -1)
        if (transaction := changed(world, data=bytes(size))).ByteSize() + 128
        <= MAX_TRANSACTION_BYTES
    )
    too_big = changed(world, data=largest.raw_data.data + b"\x00")

    refused = rejection(world, too_big)
    assert refused.code is Code.TOO_BIG_TRANSACTION_ERROR
    assert refused.message == (
        f"Too big transaction with result, TxId {txid_of(too_big).hex()}, "
        f"the size is {MAX_TRANSACTION_BYTES + 1} bytes, maxTxSize {MAX_TRANSACTION_BYTES}"
    )
    world.node.broadcast(largest)


def test_a_transaction_has_exactly_one_contract(world: Any) -> None:
    none = world.transfer(world.payee.address, 1)
    del none.raw_data.contract[:]
    two = world.transfer(world.payee.address, 1)
    two.raw_data.contract.append(two.raw_data.contract[0])

    refused = rejection(world, world.signed(none, world.payer))
    assert refused.message == "Contract validate error : No contract!"
    refused = rejection(world, world.signed(two, world.payer))
    assert refused.code is Code.OTHER_ERROR
    assert refused.message == (
        f"Error: tx {txid_of(two).hex()} contract size should be exactly 1, "
        "this is extend feature ,actual :2"
    )


def test_checks_come_in_the_order_of_the_node(world: Any) -> None:
    """Each defect hides those after it: life, signature, contracts, reference, size, money."""
    head_ms = world.node.chain.head.time_ms
    everything = world.transfer(world.payee.address, 10**17)
    raw = everything.raw_data
    raw.contract.append(raw.contract[0])
    raw.ref_block_hash = bytes(8)
    raw.data = bytes(520_000)
    raw.expiration = head_ms
    everything = world.signed(everything, world.stranger)

    def found() -> Code:
        return rejection(world, everything).code

    assert found() is Code.TRANSACTION_EXPIRATION_ERROR
    raw.expiration = head_ms + 2 * DAY_MS
    assert found() is Code.SIGERROR
    world.signed(everything, world.payer)
    assert found() is Code.OTHER_ERROR
    del raw.contract[1]
    assert found() is Code.SIGERROR
    world.signed(everything, world.payer)
    assert found() is Code.TAPOS_ERROR
    raw.ref_block_hash = world.node.chain.block_id(0)[8:16]
    raw.ref_block_bytes = bytes(2)
    world.signed(everything, world.payer)
    assert found() is Code.TOO_BIG_TRANSACTION_ERROR
    raw.data = b""
    world.signed(everything, world.payer)
    assert found() is Code.TRANSACTION_EXPIRATION_ERROR
    raw.expiration = head_ms + DAY_MS
    world.signed(everything, world.payer)
    assert found() is Code.CONTRACT_VALIDATE_ERROR


def test_an_account_that_is_not_activated_may_sign_but_not_pay(world: Any) -> None:
    transaction = world.transfer(world.payee.address, 1, by=world.stranger)

    refused = rejection(world, transaction)

    assert refused.code is Code.CONTRACT_VALIDATE_ERROR
    assert "does not exist" in refused.message
    forged = world.signed(transaction, world.payer)
    assert rejection(world, forged).code is Code.SIGERROR


def test_a_full_pool_makes_the_node_busy(world: Any) -> None:
    amounts = range(1, CAPACITY + 2)
    for amount_sun in amounts:
        world.node.broadcast(world.transfer(world.payee.address, amount_sun))

    refused = rejection(world, world.transfer(world.payee.address, CAPACITY + 2))
    assert (refused.code, refused.message) == (Code.SERVER_BUSY, "Server busy.")
    world.mine()
    world.node.broadcast(world.transfer(world.payee.address, CAPACITY + 2))


def test_a_minute_in_the_pool_is_one_millisecond_too_long(world: Any) -> None:
    def arriving_late(wait_ms: int) -> bytes:
        transaction = changed(
            world, expiration=world.node.chain.head.time_ms + 600_000, timestamp=wait_ms
        )
        arrived_ms = world.node.clock.now_ms()
        item = world.node.broadcast(transaction)
        world.node.stall_head()
        world.node.clock.advance_to(arrived_ms + wait_ms)
        world.node.resume()
        return bytes(item.txid)

    world.node.clock.advance_to(world.node.next_slot_ms())
    kept = arriving_late(PENDING_TIMEOUT_MS - 1)
    world.mine()
    forgotten = arriving_late(PENDING_TIMEOUT_MS)
    world.mine()

    chain = world.node.chain
    assert chain.height_of(kept) == chain.head.number - 1
    assert chain.height_of(forgotten) is None
    assert len(world.node.pool) == 0


def test_a_waiting_transaction_can_be_forgotten_with_all_it_did(world: Any) -> None:
    """A broadcast that was accepted is not yet in a block (the reply was no promise)."""
    before_sun = world.balance_sun(world.payee.address)
    dropped = world.node.broadcast(world.transfer(world.payee.address, 5))
    kept = world.node.broadcast(world.transfer(world.payee.address, 7))

    assert world.node.drop_transaction(dropped.txid)
    assert not world.node.drop_transaction(dropped.txid)

    assert world.balance_sun(world.payee.address) == before_sun + 7
    world.mine()
    assert world.node.chain.height_of(dropped.txid) is None
    assert world.node.chain.height_of(kept.txid) is not None


def test_what_the_pool_found_good_may_fail_in_the_block(world: Any) -> None:
    """Two executions: the pool's result is not the block's (TF: two-phase execution)."""
    world.confirmed(world.usdt("transfer", world.stranger.address, 500))
    world.confirmed(world.transfer(world.stranger.address, 200_000_000))
    funding = world.node.broadcast(world.usdt("transfer", world.stranger.address, 400))
    spending = world.node.broadcast(
        world.usdt("transfer", world.payee.address, 900, by=world.stranger)
    )
    pending = world.node.pool.get(spending.txid)
    assert pending.info.receipt.result == Transaction.Result.SUCCESS
    world.devnet.node._faults.arm(
        ArmedFault(fault=Fault.DROP_TRANSACTION, left=1, txid=funding.txid.hex())
    )

    world.mine()

    record = world.node.chain.record(world.node.chain.head.number)
    assert [each.id for each in record.infos] == [spending.txid]
    assert record.infos[0].receipt.result == Transaction.Result.REVERT
    assert record.block.transactions[0].ret[0].contractRet == Transaction.Result.REVERT


@pytest.mark.parametrize("code", [each for each in Code if each is not Code.SUCCESS])
def test_a_node_can_be_told_to_refuse_with_any_code(world: Any, code: Code) -> None:
    transaction = world.transfer(world.payee.address, 1)
    world.node.refuse(Refusal(error=RejectedError(code, "As told.")), times=2)

    for _ in range(2):
        refused = rejection(world, transaction)
        assert (refused.code, refused.message) == (code, "As told.")
    assert len(world.node.pool) == 0
    world.node.broadcast(transaction)


def test_a_refusal_may_come_although_the_transaction_was_taken(world: Any) -> None:
    error = RejectedError(Code.NOT_ENOUGH_EFFECTIVE_CONNECTION, "P2P broadcast failed.")
    world.node.refuse(Refusal(error=error, keeps=True))
    transaction = world.transfer(world.payee.address, 1)

    assert rejection(world, transaction) is error
    world.mine()

    assert world.node.chain.height_of(txid_of(transaction)) == world.node.chain.head.number


def test_the_same_money_can_wait_once_only(world: Any) -> None:
    balance_sun = world.balance_sun(world.payer.address)
    world.node.broadcast(world.transfer(world.payee.address, balance_sun - 2_000_000))
    message = TransferContract(
        owner_address=world.payer.address,
        to_address=world.payee.address,
        amount=balance_sun - 2_000_000,
    )
    second = unsigned(world.node, message)
    second.raw_data.timestamp += 1

    refused = rejection(world, world.signed(second, world.payer))

    assert refused.code is Code.CONTRACT_VALIDATE_ERROR
    assert refused.detail == "Validate TransferContract error, balance is not sufficient."

"""What stakes pay out is told with the verdict, to the sun, so that books can follow the receipt."""

from __future__ import annotations

from devnet.chain_pb2 import Transaction
from services.tron_client.domain.transactions import transaction_view
from shared.models.tron_transactions import ReceiptView
from tests.services.tron_client.bench import BLOCKS_TO_SOLID, Bench
from tests.services.tron_client.staking import (
    SUN_PER_TRX,
    UNFREEZING_MS,
    cancel,
    carry_out,
    claim,
    earn,
    freeze,
    reward_sun,
    unfreeze,
    wait,
    withdraw,
)


async def settled(bench: Bench, transaction: Transaction) -> ReceiptView:
    """Submit a transaction here, and return the receipt of its verdict."""
    taken = await bench.submit(transaction)
    await bench.mine(BLOCKS_TO_SOLID + 1)
    found = await bench.store.transaction(taken.id)
    assert found is not None
    view = transaction_view(found)
    assert (view.state, view.receipt is None) == ("confirmed", False)
    assert view.receipt is not None
    return view.receipt


def amounts(receipt: ReceiptView) -> tuple[int, int, int]:
    return int(receipt.claimed_sun), int(receipt.withdrawn_sun), int(receipt.restaked_sun)


async def test_a_reward_that_is_claimed_is_told_to_the_sun(bench: Bench) -> None:
    earn(bench.world)
    await bench.scan()
    due_sun = reward_sun(bench.world)
    assert due_sun > 0
    assert amounts(await settled(bench, claim(bench.world))) == (due_sun, 0, 0)


async def test_stake_that_comes_back_is_told(bench: Bench) -> None:
    carry_out(bench.world, freeze(bench.world, 10 * SUN_PER_TRX))
    carry_out(bench.world, unfreeze(bench.world, 3 * SUN_PER_TRX))
    wait(bench.world, UNFREEZING_MS)
    await bench.scan()
    receipt = await settled(bench, withdraw(bench.world))
    assert amounts(receipt) == (0, 3 * SUN_PER_TRX, 0)


async def test_an_unfreeze_tells_what_came_back_with_it(bench: Bench) -> None:
    carry_out(bench.world, freeze(bench.world, 10 * SUN_PER_TRX))
    carry_out(bench.world, unfreeze(bench.world, 3 * SUN_PER_TRX))
    wait(bench.world, UNFREEZING_MS)
    await bench.scan()
    receipt = await settled(bench, unfreeze(bench.world, SUN_PER_TRX))
    assert amounts(receipt) == (0, 3 * SUN_PER_TRX, 0)


async def test_a_cancelled_unfreeze_tells_what_is_staked_again_and_what_came_back(
    bench: Bench,
) -> None:
    carry_out(bench.world, freeze(bench.world, 10 * SUN_PER_TRX))
    carry_out(bench.world, unfreeze(bench.world, 3 * SUN_PER_TRX))
    wait(bench.world, UNFREEZING_MS)
    carry_out(bench.world, unfreeze(bench.world, 2 * SUN_PER_TRX))
    carry_out(bench.world, unfreeze(bench.world, SUN_PER_TRX))
    await bench.scan()
    receipt = await settled(bench, cancel(bench.world))
    assert amounts(receipt) == (0, 0, 3 * SUN_PER_TRX)


async def test_a_payment_claims_and_brings_back_nothing(bench: Bench) -> None:
    assert amounts(await settled(bench, bench.world.transfer(5))) == (0, 0, 0)

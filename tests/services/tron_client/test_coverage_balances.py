"""What an address holds is compared with what was told of it: money that nobody saw is noticed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.tron_client.domain.balances import Balance, read_balance, unexplained
from services.tron_client.domain.blocks import InconsistentBlock
from services.tron_client.domain.transfers import Transfer
from services.tron_client.scanner.reconciliation import (
    DOUBTS_TO_ALARM,
    MOST_RESCANNED_BLOCKS,
    UNEXPLAINED,
    Reconciliation,
    ReconciliationPolicy,
    Rescan,
)
from services.tron_client.store.balances import BalanceStore
from services.tron_client.store.schema import TRANSFER_FEED
from shared.models.tron_client import TransferSource, TransferState
from shared.tron.address import Address
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    TOKEN,
    Bench,
    SpoiledWire,
    World,
    benched,
)
from tests.services.tron_client.test_scanning_transfers import pay_internally
from tests.support import address

HOLDER, STRANGER = address(1), address(2)


def reconciliation(
    bench: Bench, *, addresses_per_round: int = 5, rescan: Rescan | None = None
) -> Reconciliation:
    return Reconciliation(
        node=bench.node,
        store=BalanceStore(bench.store),
        sight=bench.sight,
        policy=ReconciliationPolicy(token=TOKEN, addresses_per_round=addresses_per_round),
        alarms=bench.alarms,
        rescan=rescan or bench.coverage.rescan,
    )


@pytest.fixture
async def idle(world: World, tmp_path: Path) -> AsyncIterator[Bench]:
    async with benched(world, tmp_path) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        yield bench


async def rounds(bench: Bench, work: Reconciliation, count: int) -> None:
    """Go on by some blocks and look, several times."""
    for _ in range(count):
        await bench.mine(BLOCKS_TO_SOLID + 1)
        await work.reconcile()
        await work.reconcile()


async def test_balances_that_transfers_explain_raise_no_alarm(idle: Bench) -> None:
    work = reconciliation(idle)
    await rounds(idle, work, 1)
    for amount in range(1, 6):
        idle.world.pay_usdt(amount)
        idle.world.pay_trx(amount)
        await rounds(idle, work, 1)
    assert idle.alarms.open == {}
    kept = await BalanceStore(idle.store).balances([idle.world.to])
    assert kept[idle.world.to].height > idle.sight.current().solid.height - 2 * BLOCKS_TO_SOLID


async def test_trx_of_a_contract_that_the_node_does_not_tell_of_is_noticed(idle: Bench) -> None:
    work = reconciliation(idle)
    await rounds(idle, work, 1)
    pay_internally(idle.world, 5_000_000)
    await rounds(idle, work, 4)
    assert list(idle.alarms.open) == [(UNEXPLAINED, idle.world.to)]
    assert "5000000 sun" in idle.alarms.open[UNEXPLAINED, idle.world.to]


async def test_a_feed_that_was_trimmed_before_a_restart_keeps_nobody_from_looking(
    idle: Bench,
) -> None:
    idle.world.pay_usdt(5)
    await idle.mine(BLOCKS_TO_SOLID + 1)
    assert await idle.store.storage.trim_feed(TRANSFER_FEED, keep_after_ms=2**62)
    work = reconciliation(idle)
    await rounds(idle, work, 1)
    pay_internally(idle.world, 5_000_000)
    await rounds(idle, work, 4)
    assert list(idle.alarms.open) == [(UNEXPLAINED, idle.world.to)]


async def test_trx_of_a_contract_that_was_told_is_explained(idle: Bench) -> None:
    idle.world.devnet.node.saves_internal = True
    work = reconciliation(idle)
    await rounds(idle, work, 1)
    pay_internally(idle.world, 5_000_000)
    await rounds(idle, work, 4)
    assert idle.alarms.open == {}


async def test_h8_a_deposit_that_every_receipt_left_out_is_found_by_its_balance(
    world: World, tmp_path: Path
) -> None:
    """On both trees, in a call that names nobody: the balance tells, and the blocks are read again."""

    def without_logs(path: str, _asked: Any, answer: Any) -> Any:
        if path.endswith("gettransactioninfobyblocknum"):
            return [{**each, "log": []} for each in answer]
        return answer

    wire = SpoiledWire(world.devnet, without_logs)
    async with benched(world, tmp_path, transport=wire) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        work = reconciliation(bench)
        await rounds(bench, work, 2)
        world.pay_usdt(5)
        await bench.mine(BLOCKS_TO_SOLID + 1)
        assert await bench.transfer_events() == []
        wire.is_spoiled = False
        await rounds(bench, work, DOUBTS_TO_ALARM + 1)
        assert (UNEXPLAINED, world.to) in bench.alarms.open
        await bench.rescan()
        assert await bench.transfer_events() == [("confirmed", "5")]
        bench.alarms.open.clear()
        await rounds(bench, work, DOUBTS_TO_ALARM + 1)
        assert bench.alarms.open == {}
        assert await bench.transfer_events() == [("confirmed", "5")]


@pytest.mark.parametrize(
    ("blocks", "asked", "said"),
    [
        (MOST_RESCANNED_BLOCKS, [(6, 5 + MOST_RESCANNED_BLOCKS)], "are scanned once more"),
        (MOST_RESCANNED_BLOCKS + 1, [], "are not scanned once more"),
    ],
)
async def test_a_long_gap_is_left_to_a_person(
    bench: Bench, blocks: int, asked: list[tuple[int, int]], said: str
) -> None:
    found: list[tuple[int, int]] = []

    async def noted(first_height: int, last_height: int, *, reason: str) -> None:
        assert "balance" in reason
        found.append((first_height, last_height))

    store = BalanceStore(bench.store)
    await store.save(replace(balance(5), doubts=DOUBTS_TO_ALARM))
    before = (await store.balances([HOLDER]))[HOLDER]
    await reconciliation(bench, rescan=noted)._judge(before, balance(5 + blocks, usdt=9))
    assert found == asked
    assert said in bench.alarms.open[UNEXPLAINED, HOLDER]


async def test_one_answer_of_a_lagging_backend_raises_no_alarm(idle: Bench) -> None:
    work = reconciliation(idle)
    await rounds(idle, work, 1)
    idle.world.devnet.director.arm(
        "false_balance", {"path": "/walletsolidity/getaccount", "count": 1, "percent": 200}
    )
    await rounds(idle, work, 5)
    assert idle.alarms.open == {}


async def test_every_watched_address_has_its_turn_within_the_budget(idle: Bench) -> None:
    many = [address(number) for number in range(10, 30)]
    await idle.coverage.watch(many)
    work = reconciliation(idle, addresses_per_round=4)
    idle.world.devnet.node_app.requests.clear()
    await rounds(idle, work, 8)
    kept = await BalanceStore(idle.store).balances([*many, idle.world.to])
    assert len(kept) == 21
    assert idle.calls()["/walletsolidity/getaccount"] <= 2 * 8 * 4


def balance(height: int, *, trx: int = 0, usdt: int = 0, is_plain: bool = True) -> Balance:
    return Balance(id=HOLDER, height=height, trx_sun=trx, usdt_micro=str(usdt), is_plain=is_plain)


def transfer(
    amount: int,
    *,
    height: int = 15,
    sender: Address = STRANGER,
    recipient: Address = HOLDER,
    contract: Address | None = None,
) -> Transfer:
    return Transfer(
        id=f"{height}:{amount}:{sender}",
        state=TransferState.CONFIRMED,
        txid="ab" * 32,
        source=TransferSource.NATIVE,
        position=0,
        height=height,
        block_id="cd" * 32,
        timestamp_ms=0,
        contract=contract,
        sender=sender,
        recipient=recipient,
        amount_base_units=str(amount),
    )


def paid_out(amount: int) -> Transfer:
    return transfer(amount, sender=HOLDER, recipient=STRANGER, contract=TOKEN)


@pytest.mark.parametrize(
    ("after", "told", "found"),
    [
        (balance(20, trx=5), [transfer(5)], None),
        (balance(20, trx=6), [transfer(5)], "1 sun"),
        (balance(20, trx=4), [transfer(5)], None),
        (balance(20, trx=6, is_plain=False), [transfer(5)], None),
        (balance(20, trx=5), [transfer(5, height=10)], "5 sun"),
        (balance(20, trx=5), [transfer(5, height=21)], "5 sun"),
        (balance(20, trx=0), [transfer(5, sender=HOLDER)], None),
        (balance(20, usdt=5), [transfer(5, contract=TOKEN)], None),
        (
            balance(20, usdt=2),
            [transfer(5, contract=TOKEN), paid_out(3)],
            None,
        ),
        (balance(20, usdt=4), [transfer(5, contract=TOKEN)], "-1 micro-USDT"),
        (balance(20, usdt=6), [transfer(5, contract=TOKEN)], "1 micro-USDT"),
        (balance(20), [replace(transfer(5), state=TransferState.RETRACTED)], None),
    ],
)
def test_a_change_of_balance_is_explained_or_not(
    after: Balance, told: list[Transfer], found: str | None
) -> None:
    assert unexplained(balance(10), after, told) == found


@pytest.mark.parametrize(
    ("account", "is_plain"),
    [
        ({}, True),
        ({"frozenV2": [{}, {"type": "ENERGY"}, {"type": "TRON_POWER"}]}, True),
        ({"frozenV2": [{"amount": 1}]}, False),
        ({"unfrozenV2": [{"unfreeze_amount": 1, "unfreeze_expire_time": 2}]}, False),
        ({"votes": [{"vote_address": "41", "vote_count": 3}]}, False),
    ],
)
def test_stakes_make_a_balance_that_may_rise_by_itself(
    account: dict[str, Any], *, is_plain: bool
) -> None:
    assert read_balance(HOLDER, account, usdt_micro=0, height=1).is_plain is is_plain


@pytest.mark.parametrize("told", [-1, "5", 1.5, True, None])
def test_a_balance_that_is_none_is_refused(told: Any) -> None:
    with pytest.raises(InconsistentBlock):
        read_balance(HOLDER, {"balance": told}, usdt_micro=0, height=1)

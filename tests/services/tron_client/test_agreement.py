"""Deposits are confirmed only as far as one node's word reaches (H9), and lies credit nothing (H8)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devnet.contracts.abi import address_word, integer_word
from devnet.keys import Key
from services.tron_client.domain.credits import DAY_MS, RETRY_MS, CreditPolicy
from services.tron_client.scanner.agreement import DISAGREEMENT, WAITING
from services.tron_client.scanner.witnesses import SIGNED_TWICE
from shared.errors import Problem
from shared.models.tron_transactions import TransactionState
from shared.money import Currency
from tests.services.tron_client.bench import (
    BLOCKS_TO_SOLID,
    Bench,
    SpoiledWire,
    Wire,
    World,
    benched,
    operator_of,
)

FROM_100 = CreditPolicy(agreed_from={Currency.USDT: 100, Currency.TRX: 100}, needs_second=False)
STRICT = replace(FROM_100, needs_second=True)
CAPPED = replace(STRICT, daily={Currency.USDT: 120, Currency.TRX: 120})

RECEIPTS = "gettransactioninfobyblocknum"
ONE_RECEIPT = "/walletsolidity/gettransactioninfobyid"

Change = Callable[[str, Any, Any], Any]


async def start(bench: Bench) -> None:
    await bench.scan()
    await bench.coverage.watch([bench.world.to])


async def states(bench: Bench) -> list[tuple[str, str]]:
    return await bench.transfer_events()


async def solid(bench: Bench) -> None:
    await bench.mine(BLOCKS_TO_SOLID + 1)


async def look_again(bench: Bench) -> None:
    bench.world.devnet.node.clock.jump(RETRY_MS)
    await bench.agreement.retry()


def other_amounts(path: str, _asked: Any, answer: Any) -> Any:
    """The payments are said to be of another amount, wherever receipts are told."""
    for receipt in answer if RECEIPTS in path else [answer] if path == ONE_RECEIPT else []:
        for log in receipt.get("log", []):
            log["data"] = integer_word(999).hex()
    return answer


def silent(path: str, _asked: Any, answer: Any) -> Any:
    return {"Error": "lack of computing resources"} if path == ONE_RECEIPT else answer


def behind(path: str, _asked: Any, answer: Any) -> Any:
    return {} if path == ONE_RECEIPT else answer


def keeps_no_receipts(path: str, _asked: Any, answer: Any) -> Any:
    return {"Error": "this API is closed"} if path == ONE_RECEIPT else answer


async def test_h9_a_large_deposit_is_confirmed_when_two_operators_agree(
    world: World, tmp_path: Path
) -> None:
    async with (
        operator_of(Wire(world.devnet)) as other,
        benched(world, tmp_path, others={"other": other}, credit_policy=FROM_100) as bench,
    ):
        await start(bench)
        world.pay_usdt(100)
        world.pay_trx(100)
        await solid(bench)
        assert await states(bench) == [
            ("seen", "100"),
            ("seen", "100"),
            ("confirmed", "100"),
            ("confirmed", "100"),
        ]
        assert not bench.alarms.open


async def test_h9_a_deposit_that_another_operator_contradicts_waits_loudly(
    world: World, tmp_path: Path
) -> None:
    """The followed node lies consistently, on both trees; what it says is not credited."""
    wire = SpoiledWire(world.devnet, other_amounts)
    async with (
        operator_of(Wire(world.devnet)) as other,
        benched(
            world, tmp_path, transport=wire, others={"other": other}, credit_policy=FROM_100
        ) as bench,
    ):
        await start(bench)
        world.pay_usdt(5)
        await solid(bench)
        (event,) = await states(bench)
        assert event == ("seen", "999")
        ((kind, subject),) = bench.alarms.open
        assert kind == DISAGREEMENT
        for _ in range(3):
            await look_again(bench)
        assert (WAITING, subject) in bench.alarms.open
        assert await states(bench) == [("seen", "999")]
        assert (await bench.service.dials.standing())["credits_waiting"] == 1


@pytest.mark.parametrize("change", [silent, behind])
async def test_h9_a_deposit_waits_for_a_second_operator_and_is_confirmed_once(
    world: World, tmp_path: Path, change: Change
) -> None:
    wire = SpoiledWire(world.devnet, change)
    async with (
        operator_of(wire) as other,
        benched(world, tmp_path, others={"other": other}, credit_policy=FROM_100) as bench,
    ):
        await start(bench)
        world.pay_usdt(100)
        world.pay_usdt(7)
        await solid(bench)
        seen = [("seen", "100"), ("seen", "7"), ("confirmed", "7")]
        assert await states(bench) == seen
        assert not bench.alarms.open
        for _ in range(3):
            await look_again(bench)
        ((kind, _),) = bench.alarms.open
        assert kind == WAITING

        wire.is_spoiled = False
        for _ in range(3):
            await look_again(bench)
        assert await states(bench) == [*seen, ("confirmed", "100")]
        assert not bench.alarms.open
        assert (await bench.service.dials.standing())["credits_waiting"] == 0


async def test_h9_what_waits_survives_a_restart(world: World, tmp_path: Path) -> None:
    wire = SpoiledWire(world.devnet, behind)
    async with operator_of(wire) as other:
        others = {"other": other}
        async with benched(world, tmp_path, others=others, credit_policy=FROM_100) as bench:
            await start(bench)
            world.pay_usdt(100)
            await solid(bench)
        wire.is_spoiled = False
        async with benched(world, tmp_path, others=others, credit_policy=FROM_100) as bench:
            await bench.scan()
            await look_again(bench)
            await bench.mine(3)
            assert await states(bench) == [("seen", "100"), ("confirmed", "100")]


async def test_h9_a_rescan_confirms_nothing_that_waits(world: World, tmp_path: Path) -> None:
    wire = SpoiledWire(world.devnet, behind)
    async with (
        operator_of(wire) as other,
        benched(world, tmp_path, others={"other": other}, credit_policy=FROM_100) as bench,
    ):
        await start(bench)
        world.pay_usdt(100)
        await solid(bench)
        last = bench.sight.current().solid.height
        for _ in range(2):
            await bench.coverage.rescan(3, last)
            await bench.rescan()
        assert await states(bench) == [("seen", "100")]
        wire.is_spoiled = False
        await look_again(bench)
        assert await states(bench) == [("seen", "100"), ("confirmed", "100")]


async def test_h9_a_node_without_receipts_may_speak_by_the_balance(
    world: World, tmp_path: Path
) -> None:
    wire = SpoiledWire(world.devnet, keeps_no_receipts)
    async with (
        operator_of(wire) as other,
        benched(world, tmp_path, others={"other": other}, credit_policy=FROM_100) as bench,
    ):
        await start(bench)
        world.pay_usdt(100)
        await solid(bench)
        assert await states(bench) == [("seen", "100"), ("confirmed", "100")]


async def test_h9_a_balance_that_is_too_small_bears_nothing_out(
    world: World, tmp_path: Path
) -> None:
    """An amount that the recipient holds by the lying node alone."""

    def invented(path: str, _asked: Any, answer: Any) -> Any:
        for receipt in answer if RECEIPTS in path else []:
            for log in receipt.get("log", []):
                log["data"] = integer_word(10**15).hex()
        if path == "/wallet/triggerconstantcontract":
            answer["constant_result"] = [integer_word(10**15).hex()]
        return answer

    async with (
        operator_of(SpoiledWire(world.devnet, keeps_no_receipts)) as other,
        benched(
            world,
            tmp_path,
            transport=SpoiledWire(world.devnet, invented),
            others={"other": other},
            credit_policy=FROM_100,
        ) as bench,
    ):
        await start(bench)
        world.pay_usdt(5)
        await solid(bench)
        await look_again(bench)
        assert await states(bench) == [("seen", str(10**15))]


async def test_h9_a_balance_bears_no_two_deposits_out(world: World, tmp_path: Path) -> None:
    """What the recipient was paid before is no sign of what it is said to be paid now."""

    def hundred(path: str, _asked: Any, answer: Any) -> Any:
        for receipt in answer if RECEIPTS in path else [answer] if path == ONE_RECEIPT else []:
            for log in receipt.get("log", []):
                log["data"] = integer_word(100).hex()
        return answer

    world = replace(world, payee=Key(name="nobody yet"))
    wire = SpoiledWire(world.devnet, hundred)
    async with (
        operator_of(SpoiledWire(world.devnet, keeps_no_receipts)) as other,
        benched(
            world, tmp_path, transport=wire, others={"other": other}, credit_policy=FROM_100
        ) as bench,
    ):
        wire.is_spoiled = False
        await start(bench)
        world.pay_usdt(100)
        await solid(bench)
        wire.is_spoiled = True
        world.pay_usdt(5)
        await solid(bench)
        await look_again(bench)
        assert await states(bench) == [("seen", "100"), ("confirmed", "100"), ("seen", "100")]
        world.pay_usdt(95)
        await bench.mine(1)
        await look_again(bench)
        assert [each for each in await states(bench) if each[0] == "confirmed"] == [
            ("confirmed", "100")
        ]


async def test_h9_without_a_second_operator_a_large_deposit_by_log_waits(
    world: World, tmp_path: Path
) -> None:
    """A transaction of its own is under the witnesses' signatures; a log is not."""
    async with benched(world, tmp_path, credit_policy=STRICT) as bench:
        await start(bench)
        world.pay_usdt(100)
        world.pay_trx(100)
        world.pay_usdt(99)
        await solid(bench)
        assert sorted(each for each in await states(bench) if each[0] == "confirmed") == [
            ("confirmed", "100"),
            ("confirmed", "99"),
        ]
        await look_again(bench)
        assert {kind for kind, _ in bench.alarms.open} == {WAITING}


async def test_h9_small_deposits_count_up_to_a_daily_sum_and_the_rest_the_day_after(
    world: World, tmp_path: Path
) -> None:
    async with benched(world, tmp_path, credit_policy=CAPPED) as bench:
        await start(bench)
        for amount in (60, 60, 50, 40):
            world.pay_usdt(amount)
            await bench.mine()
        await solid(bench)
        confirmed = [each for each in await states(bench) if each[0] == "confirmed"]
        assert confirmed == [("confirmed", "60"), ("confirmed", "60")]
        await look_again(bench)
        assert len(bench.alarms.open) == 2

        world.devnet.node.clock.jump(DAY_MS + 7_200_000)
        world.pay_trx(1)
        await solid(bench)
        await look_again(bench)
        told = [each for each in await states(bench) if each[0] == "confirmed"]
        assert sorted(told) == sorted(
            [*confirmed, ("confirmed", "1"), ("confirmed", "50"), ("confirmed", "40")]
        )
        assert not bench.alarms.open


async def test_h2_a_local_clock_set_forward_opens_no_new_day(world: World, tmp_path: Path) -> None:
    """The sum is counted by the chain's verified time."""
    async with benched(world, tmp_path, credit_policy=CAPPED) as bench:
        await start(bench)
        for amount in (99, 99):
            world.pay_usdt(amount)
            await bench.mine()
        await solid(bench)
        world.devnet.node.clock.jump(2 * DAY_MS)
        await bench.agreement.retry()
        assert [each for each in await states(bench) if each[0] == "confirmed"] == [
            ("confirmed", "99")
        ]


async def test_h9_the_sum_survives_a_restart(world: World, tmp_path: Path) -> None:
    for _ in range(2):
        async with benched(world, tmp_path, credit_policy=CAPPED) as bench:
            await start(bench)
            world.pay_usdt(99)
            await solid(bench)
            confirmed = [each for each in await states(bench) if each[0] == "confirmed"]
            assert confirmed == [("confirmed", "99")]


async def test_h9_above_the_daily_sum_a_second_operator_is_enough(
    world: World, tmp_path: Path
) -> None:
    async with (
        operator_of(Wire(world.devnet)) as other,
        benched(world, tmp_path, others={"other": other}, credit_policy=CAPPED) as bench,
    ):
        await start(bench)
        for amount in (99, 98):
            world.pay_usdt(amount)
            await bench.mine()
        await solid(bench)
        await look_again(bench)
        assert [each for each in await states(bench) if each[0] == "confirmed"] == [
            ("confirmed", "99"),
            ("confirmed", "98"),
        ]


async def test_h9_no_new_day_credits_what_a_second_operator_contradicts(
    world: World, tmp_path: Path
) -> None:
    """It waited for the day's sum; once somebody says otherwise it waits for a person."""

    def more(path: str, _asked: Any, answer: Any) -> Any:
        for receipt in answer if RECEIPTS in path else [answer] if path == ONE_RECEIPT else []:
            for log in receipt.get("log", []):
                log["data"] = integer_word(99).hex()
        return answer

    async with (
        operator_of(Wire(world.devnet)) as other,
        benched(
            world,
            tmp_path,
            transport=SpoiledWire(world.devnet, more),
            others={"other": other},
            credit_policy=CAPPED,
        ) as bench,
    ):
        await start(bench)
        for _ in range(2):
            world.pay_usdt(1)
            await bench.mine()
        await solid(bench)
        confirmed = [each for each in await states(bench) if each[0] == "confirmed"]
        assert confirmed == [("confirmed", "99")]
        await look_again(bench)
        assert {kind for kind, _ in bench.alarms.open} == {DISAGREEMENT, WAITING}

        world.devnet.node.clock.jump(DAY_MS + 7_200_000)
        world.pay_trx(1)
        await solid(bench)
        await look_again(bench)
        told = [each for each in await states(bench) if each[0] == "confirmed"]
        assert told == [*confirmed, ("confirmed", "1")]
        assert {kind for kind, _ in bench.alarms.open} == {DISAGREEMENT, WAITING}


async def test_what_goes_out_needs_no_second_word(world: World, tmp_path: Path) -> None:
    async with benched(world, tmp_path, credit_policy=CAPPED) as bench:
        await bench.scan()
        await bench.coverage.watch([bench.payer])
        world.pay_usdt(5_000)
        await solid(bench)
        assert await states(bench) == [("seen", "5000"), ("confirmed", "5000")]


LIES: list[tuple[str, dict[str, Any]]] = [
    ("false_transaction", {"recipient": "customer-2", "amount": "777"}),
    ("false_transaction", {"recipient": "customer-2", "amount": "777", "rerooted": True}),
    (
        "false_transaction",
        {"recipient": "customer-2", "amount": "777", "rerooted": True, "seal": "forger"},
    ),
    ("invented_transfer", {"recipient": "customer-2", "amount": "777"}),
    ("invented_transfer", {"recipient": "customer-2", "amount": "777", "rerooted": True}),
    (
        "invented_transfer",
        {"recipient": "customer-2", "amount": "777", "rerooted": True, "seal": "forger"},
    ),
    ("false_seal", {"by": "forger"}),
    ("false_seal", {"by": "noise"}),
    ("false_seal", {"by": "nobody"}),
    ("false_parent", {"seal": "kept"}),
    ("false_parent", {"seal": "forger"}),
    ("false_parent", {"seal": "witness"}),
    ("false_time", {"seconds": 72_000, "seal": "kept"}),
    ("false_time", {"seconds": 72_000, "seal": "witness"}),
    ("false_time", {"seconds": -72_000, "seal": "witness"}),
    ("block_without_transactions", {}),
    ("receipts_missing", {"missing": 1, "first": 1}),
    ("receipts_reordered", {}),
    ("receipts_of_another_block", {"offset": 1}),
    ("receipts_of_another_block", {"offset": 1, "relabelled": True}),
    ("invented_receipt", {"recipient": "customer-2", "amount": "777", "consistent": False}),
    ("false_result", {}),
]
"""What a node may say again and again, on both trees, and is refused each time."""


@pytest.mark.parametrize(("name", "order"), LIES)
async def test_h8_h9_a_node_that_lies_is_refused_and_credits_nothing(
    world: World, tmp_path: Path, name: str, order: dict[str, Any]
) -> None:
    async with benched(world, tmp_path) as bench:
        await start(bench)
        payment = await bench.submit(world.transfer(3))
        world.pay_usdt(5)
        world.pay_trx(7)
        world.devnet.node.broadcast(world.failing_call())
        world.devnet.director.arm(name, {**order, "count": 0})
        world.mine(2)
        refusals = 0
        for _ in range(BLOCKS_TO_SOLID + 3):
            try:
                await bench.scan()
            except Problem:
                refusals += 1
            world.mine()
        assert refusals >= BLOCKS_TO_SOLID
        told = {kind for kind, _ in bench.alarms.open}
        assert told - {SIGNED_TWICE} == {"scan_stalled"}
        assert SIGNED_TWICE not in told or order.get("seal") == "witness"
        assert all(state != "confirmed" for state, _ in await states(bench))
        assert await bench.fate(payment.id) in {TransactionState.PENDING, TransactionState.INCLUDED}

        world.devnet.director.disarm()
        for _ in range(3):
            with suppress(Problem):
                await bench.scan()
        await solid(bench)
        confirmed = [amount for state, amount in await states(bench) if state == "confirmed"]
        assert sorted(confirmed) == ["3", "5", "7"]
        assert await bench.fate(payment.id) == TransactionState.CONFIRMED
        assert {kind for kind, _ in bench.alarms.open} <= {SIGNED_TWICE}


async def test_h9_a_log_that_never_was_needs_two_operators_who_say_so(
    world: World, tmp_path: Path
) -> None:
    """No signature covers it: to one node's receipts nothing is wrong with it."""

    def with_log(path: str, _asked: Any, answer: Any) -> Any:
        for receipt in answer if RECEIPTS in path else []:
            if receipt.get("log"):
                log = dict(receipt["log"][0])
                log["topics"] = [
                    log["topics"][0],
                    log["topics"][1],
                    address_word(world.payee.address).hex(),
                ]
                log["data"] = integer_word(777).hex()
                receipt["log"] = [*receipt["log"], log]
        return answer

    async with (
        operator_of(Wire(world.devnet)) as other,
        benched(
            world,
            tmp_path,
            transport=SpoiledWire(world.devnet, with_log),
            others={"other": other},
            credit_policy=FROM_100,
        ) as bench,
    ):
        await start(bench)
        world.pay_usdt(5)
        await solid(bench)
        told = await states(bench)
        assert told == [("seen", "5"), ("seen", "777"), ("confirmed", "5")]
        assert [kind for kind, _ in bench.alarms.open] == [DISAGREEMENT]

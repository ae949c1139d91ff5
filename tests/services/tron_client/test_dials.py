"""What an operator reads off: lag in blocks and seconds, and what waits for a block."""

from __future__ import annotations

from pathlib import Path

from services.tron_client.domain.credits import CreditPolicy
from services.tron_client.domain.waiting import waiting
from shared.clock import HeldClock
from shared.money import Currency
from tests.services.tron_client.bench import BLOCKS_TO_SOLID, Bench, World, benched, lost
from tests.services.tron_client.calling import called


def reading(bench: Bench, name: str, **labels: str) -> float | None:
    return bench.metrics.registry.get_sample_value(name, labels)


async def test_lag_is_told_in_seconds_and_in_blocks(world: World, tmp_path: Path) -> None:
    clock = HeldClock(world.devnet.node.clock.now_ms())
    async with benched(world, tmp_path, clock=clock) as bench:
        await bench.service.dials.show()
        assert bench.service.dials.lag() is None
        await bench.scan()
        head = bench.sight.current().head
        clock.advance(milliseconds=head.timestamp_ms + 31_000 - clock.now_ms())
        await bench.service.dials.show()
        assert reading(bench, "lucid_chain_age_seconds", of="scanned") == 31
        assert reading(bench, "lucid_chain_behind_blocks", of="scanned") == 10
        lag = head.height - bench.sight.current().solid.height
        assert reading(bench, "lucid_chain_behind_blocks", of="solid") == lag
        solid_age_s = reading(bench, "lucid_chain_age_seconds", of="solid")
        assert solid_age_s is not None
        assert solid_age_s >= 31 + 3 * lag


async def test_what_waits_is_counted_by_its_age_and_no_longer_once_it_is_in_a_block(
    bench: Bench,
) -> None:
    await lost(bench)
    await bench.mine(25)
    taken = await bench.submit(bench.world.transfer(7), send_key="test:two:0")
    await bench.service.dials.show()
    for older_than_s, count in (("0", 2), ("60", 1), ("600", 0)):
        found = reading(bench, "lucid_transactions_pending", older_than_s=older_than_s)
        assert found == count
    assert reading(bench, "lucid_transactions_oldest_pending_seconds") == 75
    standing = await bench.service.dials.standing()
    assert (standing["oldest_pending_s"], standing["pending_older_than_s"]["60"]) == (75, 1)
    assert taken.outcome == "accepted"


async def test_credits_that_wait_and_rescans_are_a_metric_and_in_the_status(
    world: World, tmp_path: Path
) -> None:
    policy = CreditPolicy(agreed_from={Currency.USDT: 100, Currency.TRX: 100}, needs_second=True)
    async with benched(world, tmp_path, credit_policy=policy) as bench:
        await bench.scan()
        await bench.coverage.watch([world.to])
        world.pay_usdt(100)
        world.pay_usdt(200)
        await bench.mine(BLOCKS_TO_SOLID + 1)
        await bench.coverage.rescan(3, 9)
        await bench.service.dials.show()
        assert reading(bench, "lucid_credits_waiting") == 2
        assert reading(bench, "lucid_rescan_blocks_left") == 7
        standing = await bench.service.dials.standing()
        told = {name: standing[name] for name in ("watched", "credits_waiting")}
        assert told == {"watched": 1, "credits_waiting": 2}
        assert (standing["rescans_pending"], standing["rescan_blocks_left"]) == (1, 7)
        await bench.rescan()
        assert (await bench.service.dials.standing())["rescans_pending"] == 0


def test_nothing_waits_where_nothing_was_submitted() -> None:
    found = waiting([], head_height=5)
    assert (found.oldest_s, set(found.older_than.values())) == (0, {0})


async def test_status_tells_operators_everything_and_strangers_one_word(
    world: World, tmp_path: Path
) -> None:
    async with called(world, tmp_path) as caller:
        terse = (await caller.http.get("/status")).json()
        assert set(terse) == {"status", "service", "version", "network"}
        headers = caller.keys.person()
        status = (await caller.http.get("/status", headers=headers)).json()
        details = status["details"]
        assert details["signing"] == "allowed"
        assert details["network_status"] == "synced"
        assert details["solid_lag_blocks"] >= 0
        assert details["oldest_pending_s"] == 0
        assert details["parameters_age_s"] >= 0
        assert status["alarms"] == {"open": 0, "critical": 0, "latest": []}
